//! Model checks of the two algorithms that everything else stands on: the ring and the sleep.
//!
//! The algorithms run unchanged over words that loom watches. Loom tries the interleavings, and the
//! old values that a relaxed load may still see. So that a green check means something, each check
//! is made again with one ordering, fence or step taken away, and loom must find the failure.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
// Not loom's: dropping that one is a step of the model, and a failed model cannot take any.
use std::sync::Arc;

use cutter_protocol::ring::{Consumer, ENTRY_WORDS, Entry, Producer};
use cutter_protocol::sleep::{AsleepFlag, KickWord};
use cutter_protocol::words::Words;
use loom::sync::atomic::{AtomicU64, Ordering, fence};
use loom::sync::{Condvar, Mutex};
use loom::thread;

/// Switches away from a thread that could have gone on, for each run.
const PREEMPTIONS_MAX: usize = 3;
const CAPACITY: u32 = 2;
const LOST_WAKE: &str = "a lost wake";
const TORN_MESSAGE: &str = "a torn message";
const TORN_TABLE: &str = "a torn table";
const NEVER_POISONED: &str = "a failure ends the whole model";

/// What one end of a model does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    ReleaseIsRelaxed,
    AcquireIsRelaxed,
    NoFence,
    /// The producer publishes although every entry holds a message.
    NoCredit,
    /// The waiter sleeps without a second look.
    OneLook,
    /// The waiter reads the kick word only after its second look.
    LateValue,
    /// The waker wakes and leaves the kick word as it is.
    NoKick,
    /// The waker never looks at the flag.
    NoWake,
}

/// Words on loom's heap, of which one end may hold a weakened view.
#[derive(Clone, Debug)]
struct LoomWords {
    words: Arc<Vec<AtomicU64>>,
    flaw: Flaw,
}

impl LoomWords {
    fn new(words: usize) -> Self {
        let words = Arc::new((0..words).map(|_| AtomicU64::new(0)).collect());
        Self { words, flaw: Flaw::None }
    }

    fn with(&self, flaw: Flaw) -> Self {
        Self { flaw, ..self.clone() }
    }
}

impl Words for LoomWords {
    fn load_relaxed(&self, word: usize) -> u64 {
        self.words[word].load(Ordering::Relaxed)
    }

    fn load_acquire(&self, word: usize) -> u64 {
        let weak = self.flaw == Flaw::AcquireIsRelaxed;
        self.words[word].load(if weak { Ordering::Relaxed } else { Ordering::Acquire })
    }

    fn store_relaxed(&self, word: usize, value: u64) {
        self.words[word].store(value, Ordering::Relaxed);
    }

    fn store_release(&self, word: usize, value: u64) {
        let weak = self.flaw == Flaw::ReleaseIsRelaxed;
        self.words[word].store(value, if weak { Ordering::Relaxed } else { Ordering::Release });
    }

    fn fence(&self) {
        if self.flaw != Flaw::NoFence {
            fence(Ordering::SeqCst);
        }
    }
}

/// What the kernel promises of a futex: the comparison and the sleep are one step for a waker.
///
/// The waker closes it when it has said everything. Whoever sleeps then has missed a wake, and
/// says so; a deadlock would say so too, but loom cannot unwind from one.
#[derive(Debug, Default)]
struct Futex {
    bucket: Mutex<Bucket>,
    sleepers: Condvar,
}

#[derive(Debug, Default)]
struct Bucket {
    asleep: bool,
    closed: bool,
}

impl Futex {
    fn wait(&self, kick: &KickWord<LoomWords>, expected: u64) {
        let mut bucket = self.bucket.lock().expect(NEVER_POISONED);
        bucket.asleep = kick.value() == expected;
        while bucket.asleep && !bucket.closed {
            bucket = self.sleepers.wait(bucket).expect(NEVER_POISONED);
        }
        let lost = bucket.asleep;
        drop(bucket);
        assert!(!lost, "{LOST_WAKE}");
    }

    fn wake(&self) {
        self.bucket.lock().expect(NEVER_POISONED).asleep = false;
        self.sleepers.notify_one();
    }

    fn close(&self) {
        self.bucket.lock().expect(NEVER_POISONED).closed = true;
        self.sleepers.notify_one();
    }
}

/// What the kernel promises of an eventfd: a wake is kept until it is read. Closed as above.
#[derive(Debug, Default)]
struct EventFd {
    counter: Mutex<Counter>,
    sleepers: Condvar,
}

#[derive(Debug, Default)]
struct Counter {
    wakes: u64,
    closed: bool,
}

impl EventFd {
    fn write(&self) {
        self.counter.lock().expect(NEVER_POISONED).wakes += 1;
        self.sleepers.notify_one();
    }

    fn read(&self) {
        let mut counter = self.counter.lock().expect(NEVER_POISONED);
        while counter.wakes == 0 && !counter.closed {
            counter = self.sleepers.wait(counter).expect(NEVER_POISONED);
        }
        let lost = counter.wakes == 0;
        counter.wakes = 0;
        drop(counter);
        assert!(!lost, "{LOST_WAKE}");
    }

    fn close(&self) {
        self.counter.lock().expect(NEVER_POISONED).closed = true;
        self.sleepers.notify_one();
    }
}

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS_MAX);
    builder.check(model);
}

/// What loom finds wrong in a model.
fn failure(model: impl Fn() + Sync + Send + 'static) -> Option<String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| check(model)));
    let text = |panic: Box<dyn Any + Send>| match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => (*panic.downcast::<&str>().expect("panics here have a text")).to_owned(),
    };
    outcome.err().map(text)
}

/// Every word differs from every other word of every other message.
fn message(number: u64) -> Entry {
    std::array::from_fn(|word| number * 100 + word as u64)
}

fn assert_is_message(entry: &Entry, number: u64) {
    assert!(entry[1..] == message(number)[1..], "{TORN_MESSAGE}");
}

/// Three messages cross a ring of two entries. As in the protocol, the consumer's answer to a
/// message is the credit for another.
fn ring_model(producer_flaw: Flaw, consumer_flaw: Flaw) {
    const MESSAGES: u64 = 3;
    let words = LoomWords::new(CAPACITY as usize * ENTRY_WORDS);
    let mut producer = Producer::new(words.with(producer_flaw), CAPACITY);
    let mut consumer = Consumer::new(words.with(consumer_flaw), CAPACITY);
    let answers = Arc::new(AtomicU64::new(0));
    let seen = answers.clone();
    let producing = thread::spawn(move || {
        for number in 1..=MESSAGES {
            let has_credit = || number - seen.load(Ordering::Acquire) <= u64::from(CAPACITY);
            while producer_flaw != Flaw::NoCredit && !has_credit() {
                thread::yield_now();
            }
            producer.publish(&message(number));
        }
    });
    for number in 1..=MESSAGES {
        let entry = loop {
            match consumer.take().expect("only stamps of this lap or the previous") {
                Some(entry) => break entry,
                None => thread::yield_now(),
            }
        };
        assert_is_message(&entry, number);
        answers.store(number, Ordering::Release);
    }
    producing.join().expect(NEVER_POISONED);
    assert!(!consumer.has_news());
}

/// A table that is written before a message is whole when the message is there, as the tables of
/// rows and of items must be.
fn table_model(producer_flaw: Flaw, consumer_flaw: Flaw) {
    const TABLE_WORD: usize = ENTRY_WORDS;
    let words = LoomWords::new(ENTRY_WORDS + 2);
    let (written, read) = (words.with(producer_flaw), words.with(consumer_flaw));
    let producing = thread::spawn(move || {
        written.store_relaxed(TABLE_WORD, 7);
        written.store_relaxed(TABLE_WORD + 1, 8);
        Producer::new(written, 1).publish(&message(1));
    });
    let mut consumer = Consumer::new(read.clone(), 1);
    while consumer.take().expect("only stamps of this lap").is_none() {
        thread::yield_now();
    }
    let table = [TABLE_WORD, TABLE_WORD + 1].map(|word| read.load_relaxed(word));
    assert!(table == [7, 8], "{TORN_TABLE}");
    producing.join().expect(NEVER_POISONED);
}

const SLEEP_MESSAGES: u64 = 2;

/// The words of a model of sleep.
struct Sleep {
    ring: LoomWords,
    flag: LoomWords,
    kick: LoomWords,
}

impl Sleep {
    fn new() -> Self {
        Self {
            ring: LoomWords::new(CAPACITY as usize * ENTRY_WORDS),
            flag: LoomWords::new(1),
            kick: LoomWords::new(1),
        }
    }
}

/// A replica that sleeps on a futex gets every message.
fn futex_model(waker_flaw: Flaw, waiter_flaw: Flaw) {
    let words = Sleep::new();
    let futex = Arc::new(Futex::default());
    let mut producer = Producer::new(words.ring.clone(), CAPACITY);
    let mut consumer = Consumer::new(words.ring.clone(), CAPACITY);
    let (flag, kick) = (AsleepFlag::new(words.flag.with(waker_flaw)), words.kick.clone());
    let bell = futex.clone();
    let waking = thread::spawn(move || {
        let kick = KickWord::new(kick);
        for number in 1..=SLEEP_MESSAGES {
            producer.publish(&message(number));
            if waker_flaw != Flaw::NoWake && flag.is_set_after_publish() {
                if waker_flaw != Flaw::NoKick {
                    kick.kick();
                }
                bell.wake();
            }
        }
        bell.close();
    });
    let flag = AsleepFlag::new(words.flag.with(waiter_flaw));
    let kick = KickWord::new(words.kick);
    for number in 1..=SLEEP_MESSAGES {
        let entry = loop {
            if let Some(entry) = consumer.take().expect("only stamps of this lap") {
                break entry;
            }
            let mut value = kick.value();
            flag.announce();
            if waiter_flaw == Flaw::OneLook || !consumer.has_news() {
                if waiter_flaw == Flaw::LateValue {
                    value = kick.value();
                }
                futex.wait(&kick, value);
            }
            flag.retract();
        };
        assert_is_message(&entry, number);
    }
    waking.join().expect(NEVER_POISONED);
}

/// An engine that sleeps on an eventfd gets every completion.
fn eventfd_model(waker_flaw: Flaw, waiter_flaw: Flaw) {
    let words = Sleep::new();
    let doorbell = Arc::new(EventFd::default());
    let mut producer = Producer::new(words.ring.clone(), CAPACITY);
    let mut consumer = Consumer::new(words.ring.clone(), CAPACITY);
    let flag = AsleepFlag::new(words.flag.with(waker_flaw));
    let bell = doorbell.clone();
    let waking = thread::spawn(move || {
        for number in 1..=SLEEP_MESSAGES {
            producer.publish(&message(number));
            if waker_flaw != Flaw::NoWake && flag.is_set_after_publish() {
                bell.write();
            }
        }
        bell.close();
    });
    let flag = AsleepFlag::new(words.flag.with(waiter_flaw));
    for number in 1..=SLEEP_MESSAGES {
        let entry = loop {
            if let Some(entry) = consumer.take().expect("only stamps of this lap") {
                break entry;
            }
            flag.announce();
            if waiter_flaw == Flaw::OneLook || !consumer.has_news() {
                doorbell.read();
            }
            flag.retract();
        };
        assert_is_message(&entry, number);
    }
    waking.join().expect(NEVER_POISONED);
}

#[test]
fn a_ring_carries_every_word_in_order() {
    check(|| ring_model(Flaw::None, Flaw::None));
}

#[test]
fn a_ring_without_release_is_found_out() {
    assert_eq!(
        failure(|| ring_model(Flaw::ReleaseIsRelaxed, Flaw::None)).as_deref(),
        Some(TORN_MESSAGE)
    );
}

#[test]
fn a_ring_without_acquire_is_found_out() {
    assert_eq!(
        failure(|| ring_model(Flaw::None, Flaw::AcquireIsRelaxed)).as_deref(),
        Some(TORN_MESSAGE)
    );
}

#[test]
fn a_producer_without_credit_is_found_out() {
    assert_eq!(failure(|| ring_model(Flaw::NoCredit, Flaw::None)).as_deref(), Some(TORN_MESSAGE));
}

#[test]
fn a_table_is_published_by_the_stamp_that_follows_it() {
    check(|| table_model(Flaw::None, Flaw::None));
}

#[test]
fn a_table_without_release_is_found_out() {
    assert_eq!(
        failure(|| table_model(Flaw::ReleaseIsRelaxed, Flaw::None)).as_deref(),
        Some(TORN_TABLE)
    );
}

#[test]
fn a_table_without_acquire_is_found_out() {
    assert_eq!(
        failure(|| table_model(Flaw::None, Flaw::AcquireIsRelaxed)).as_deref(),
        Some(TORN_TABLE)
    );
}

#[test]
fn a_replica_on_a_futex_misses_no_wake() {
    check(|| futex_model(Flaw::None, Flaw::None));
}

#[test]
fn a_futex_waker_without_its_fence_is_found_out() {
    assert_eq!(failure(|| futex_model(Flaw::NoFence, Flaw::None)).as_deref(), Some(LOST_WAKE));
}

#[test]
fn a_futex_waiter_without_its_fence_is_found_out() {
    assert_eq!(failure(|| futex_model(Flaw::None, Flaw::NoFence)).as_deref(), Some(LOST_WAKE));
}

#[test]
fn a_futex_waiter_that_does_not_look_again_is_found_out() {
    assert_eq!(failure(|| futex_model(Flaw::None, Flaw::OneLook)).as_deref(), Some(LOST_WAKE));
}

#[test]
fn a_futex_waiter_that_reads_the_kick_too_late_is_found_out() {
    assert_eq!(failure(|| futex_model(Flaw::None, Flaw::LateValue)).as_deref(), Some(LOST_WAKE));
}

#[test]
fn a_futex_waker_that_does_not_kick_is_found_out() {
    assert_eq!(failure(|| futex_model(Flaw::NoKick, Flaw::None)).as_deref(), Some(LOST_WAKE));
}

#[test]
fn a_futex_waker_that_never_wakes_is_found_out() {
    assert_eq!(failure(|| futex_model(Flaw::NoWake, Flaw::None)).as_deref(), Some(LOST_WAKE));
}

#[test]
fn an_engine_on_an_eventfd_misses_no_wake() {
    check(|| eventfd_model(Flaw::None, Flaw::None));
}

#[test]
fn an_eventfd_waker_without_its_fence_is_found_out() {
    assert_eq!(failure(|| eventfd_model(Flaw::NoFence, Flaw::None)).as_deref(), Some(LOST_WAKE));
}

#[test]
fn an_eventfd_waiter_without_its_fence_is_found_out() {
    assert_eq!(failure(|| eventfd_model(Flaw::None, Flaw::NoFence)).as_deref(), Some(LOST_WAKE));
}

#[test]
fn an_eventfd_waiter_that_does_not_look_again_is_found_out() {
    assert_eq!(failure(|| eventfd_model(Flaw::None, Flaw::OneLook)).as_deref(), Some(LOST_WAKE));
}

#[test]
fn an_eventfd_waker_that_never_wakes_is_found_out() {
    assert_eq!(failure(|| eventfd_model(Flaw::NoWake, Flaw::None)).as_deref(), Some(LOST_WAKE));
}
