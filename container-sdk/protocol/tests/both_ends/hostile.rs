//! A replica that writes what it wants, when it wants: the engine believes only what it submitted,
//! and uses only what it checked.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use cutter_protocol::engine::{Completed, EngineEnd, Polled, PoolChange, PoolChanged, Results};
use cutter_protocol::entry::{Completion, FLAG_UNIFORM, ItemEntry, STATUS_FAILED, Ticket};
use cutter_protocol::violation::Violation;
use cutter_tensor::{Extent, Item, TensorSpec};
use proptest::prelude::*;

use crate::support::peer::{DEPTH, ITEMS_MAX, Peer, change, ends, failed, ok, submit};
use crate::support::{SetOnDrop, at_most_bytes, exact_bytes};

/// The item table flickers between good and bad while the engine checks it and copies by it.
#[test]
fn what_is_used_is_what_was_checked() {
    const ITEMS: u32 = 3;
    // Seven for three places: every item gets every entry.
    let flickers =
        [ok(20), ok(3), ok(u32::MAX), failed(0, 4096), ok(7), failed(u32::MAX, 9), ok(0)];
    let (mut engine, mut peer) = ends(at_most_bytes(20));
    let mut flickerer = Peer::of(&engine);
    let (begun, done) = (Barrier::new(2), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            let table = &flickerer.item_table(0)[..ITEMS as usize];
            let steps = || table.iter().cycle().zip(flickers.iter().cycle());
            let flicker = |(word, entry): (&AtomicU64, &ItemEntry)| {
                word.store(bytemuck::cast(*entry), Ordering::Relaxed);
            };
            steps().take(100).for_each(flicker);
            begun.wait();
            steps().take_while(|_| !done.load(Ordering::Relaxed)).for_each(flicker);
        });
        // Also after a failure, or the failure would wait for ever.
        let _end = SetOnDrop(&done);
        begun.wait();
        let mut ticket = submit(&mut engine, ITEMS);
        let (mut believed, mut refused) = (0u32, 0u32);
        while believed.min(refused) < 5_000 {
            let completion = peer.by_table(ticket, ITEMS);
            peer.publish(completion);
            let checked = |polled: Polled<'_>| {
                check_items(&polled.completed().expect("published above").results);
            };
            match engine.poll().map(checked) {
                Ok(()) => {
                    ticket = submit(&mut engine, ITEMS);
                    believed += 1;
                }
                Err(violation) => {
                    assert!(matches!(violation, Violation::Item { .. }), "{violation}");
                    refused += 1;
                }
            }
        }
    });
}

/// Every result of three with outputs of at most 20 bytes can be had, and is in bounds.
fn check_items(results: &Results<'_>) {
    let Results::Items(items) = results else { panic!("the batch did not fail") };
    for index in 0..3 {
        match items.get(index) {
            Item::Output(output) => assert!(output.bytes().len() <= 20),
            Item::Failed(message) => assert!(message.len() <= 4096),
        }
    }
}

/// One step of a hostile script.
#[derive(Clone, Debug)]
enum Step {
    Submit {
        items: u32,
    },
    /// Asks for a change of the pools.
    Change(PoolChange),
    Poll,
    /// Overwrites a word of the completions, counted from the start of a region.
    Scribble {
        region: Region,
        word: usize,
        value: u64,
    },
    ScribbleOutputs {
        slot: u32,
        byte: u8,
    },
    /// Completes a batch in good order, but for one word of the completion.
    Complete {
        which: usize,
        form: Form,
        tamper: Option<(usize, u64)>,
    },
    /// Completes the change in good order, or as one that failed, but for one word.
    CompleteChange {
        failed: Option<u32>,
        tamper: Option<(usize, u64)>,
    },
    /// Goes back to where the engine looks.
    Return,
}

#[derive(Clone, Copy, Debug)]
enum Region {
    Ring,
    ItemTables,
    Anywhere,
}

#[derive(Clone, Debug)]
enum Form {
    Uniform,
    Table(Vec<(bool, u16)>),
    Failed(u32),
}

/// The engine, the replica, and what the test knows to be in flight.
#[derive(Debug)]
struct World {
    engine: EngineEnd,
    peer: Peer,
    in_flight: Vec<(Ticket, u32)>,
    change: Option<(Ticket, PoolChange)>,
    /// Completions that the engine took from the ring, believed or not.
    taken: u64,
}

impl World {
    fn new(output: TensorSpec) -> Self {
        let (engine, peer) = ends(output);
        Self { engine, peer, in_flight: vec![], change: None, taken: 0 }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Submit { items } => self.submit(items),
            Step::Change(change) => self.ask(change),
            Step::Poll => self.poll(),
            Step::Scribble { region, word, value } => {
                let words = match region {
                    Region::Ring => self.peer.ring_words(),
                    Region::ItemTables => self.peer.item_table_words(),
                    Region::Anywhere => 0..self.peer.words(),
                };
                self.peer.set_word(words.start + word % words.len(), value);
            }
            Step::ScribbleOutputs { slot, byte } => self.peer.outputs(slot).fill(byte),
            Step::Complete { which, form, tamper } => self.complete(which, &form, tamper),
            Step::CompleteChange { failed, tamper } => self.complete_change(failed, tamper),
            Step::Return => self.peer.position = self.taken,
        }
        assert_eq!(self.engine.in_flight() as usize, self.in_flight.len());
        assert_eq!(self.engine.has_free_ticket(), self.in_flight.len() < DEPTH as usize);
        assert_eq!(self.engine.has_free_change(), self.change.is_none());
    }

    fn ask(&mut self, wanted: PoolChange) {
        if self.engine.has_free_change() {
            self.change = Some((change(&mut self.engine, wanted), wanted));
        }
    }

    fn complete_change(&mut self, failed: Option<u32>, tamper: Option<(usize, u64)>) {
        let Some((ticket, _)) = self.change else { return };
        let mut completion = self.peer.changed(ticket);
        if let Some(bytes) = failed {
            (completion.status, completion.message_bytes) = (STATUS_FAILED, bytes);
        }
        self.publish(completion, tamper);
    }

    /// Publishes a completion, but for one word.
    fn publish(&mut self, mut completion: Completion, tamper: Option<(usize, u64)>) {
        completion.stamp = self.peer.position + 1;
        let mut words: [u64; 8] = bytemuck::cast(completion);
        tamper.into_iter().for_each(|(word, value)| words[word] = value);
        self.peer.publish_stamped(bytemuck::cast(words));
    }

    fn submit(&mut self, items: u32) {
        if self.engine.has_free_ticket() {
            let ticket = submit(&mut self.engine, items);
            assert!(self.in_flight.iter().all(|(other, _)| other.slot != ticket.slot));
            self.in_flight.push((ticket, items));
        }
    }

    fn complete(&mut self, which: usize, form: &Form, tamper: Option<(usize, u64)>) {
        let Some((ticket, count)) = self.in_flight.get(which % DEPTH as usize).copied() else {
            return;
        };
        let mut completion = self.peer.by_table(ticket, count);
        match form {
            Form::Uniform => completion.flags = FLAG_UNIFORM,
            Form::Failed(bytes) => {
                completion.status = STATUS_FAILED;
                (completion.output_bytes, completion.message_bytes) = (0, *bytes);
            }
            Form::Table(items) => {
                for (item, (fails, length)) in (0..count).zip(items.iter().cycle()) {
                    let bytes = match self.peer.geometry.output.extent {
                        Extent::Exact(shape) => u32::try_from(shape.elements()).expect("small"),
                        Extent::AtMost { bytes } => u32::from(*length) % (bytes + 1),
                    };
                    let entry = if *fails { failed(bytes, *length % 4000) } else { ok(bytes) };
                    self.peer.set_item(ticket.slot, item, entry);
                }
            }
        }
        self.publish(completion, tamper);
    }

    /// Nothing is written meanwhile, so what the engine finds can be told beforehand.
    fn poll(&mut self) {
        let entry = self.peer.entry(self.taken);
        let expected = self.taken + 1;
        let before = expected.saturating_sub(self.peer.ring_entries() as u64);
        let has_news = self.engine.has_news();
        assert_eq!(has_news, entry.stamp != before);
        match self.engine.poll() {
            Ok(Polled::Nothing) => assert!(!has_news),
            Err(Violation::Stamp { found, expected: due }) => {
                assert_eq!((found, due), (entry.stamp, expected));
                assert!(has_news && found != expected);
            }
            Err(violation) => {
                assert_eq!(entry.stamp, expected);
                assert!(violation.kind() < Violation::KINDS.len());
                self.taken += 1;
            }
            Ok(Polled::Copying) => panic!("a batch of a few bytes is copied at once"),
            Ok(Polled::PoolChanged(PoolChanged { change, result })) => {
                assert_eq!(entry.stamp, expected);
                assert_eq!(self.change.take(), Some((entry.ticket, change)));
                let bytes = entry.message_bytes as usize;
                let message = &self.peer.messages(DEPTH)[..bytes];
                let failed = entry.status == STATUS_FAILED;
                assert_eq!(result, if failed { Err(message) } else { Ok(()) });
                self.taken += 1;
            }
            Ok(Polled::Completed(completed)) => {
                assert_eq!(entry.stamp, expected);
                let known = (completed.ticket, completed.item_count);
                let index = self.in_flight.iter().position(|it| *it == known);
                self.in_flight.remove(index.expect("only what is in flight completes"));
                self.taken += 1;
                check_results(&mut self.peer, &entry, &completed.results);
            }
        }
    }
}

/// What the engine believed is what lies in the replica's memory, within the bounds.
fn check_results(peer: &mut Peer, entry: &Completion, results: &Results<'_>) {
    let (slot, output) = (entry.ticket.slot, peer.geometry.output);
    let items = match results {
        Results::Failed(message) => {
            return assert_eq!(*message, &peer.messages(slot)[..entry.message_bytes as usize]);
        }
        Results::Items(items) => items,
    };
    for item in 0..entry.item_count {
        match items.get(item as usize) {
            Item::Output(found) => {
                let bytes = found.bytes();
                assert!(output.admits_bytes(bytes.len()));
                let start = item as usize * peer.geometry.output_stride();
                assert_eq!(bytes, &peer.outputs(slot)[start..start + bytes.len()]);
            }
            Item::Failed(message) => {
                let ItemEntry { message_bytes, bytes_or_offset, .. } = peer.item(slot, item);
                let start = bytes_or_offset as usize;
                assert_eq!(message.len(), usize::from(message_bytes));
                assert_eq!(message, &peer.messages(slot)[start..start + message.len()]);
            }
        }
    }
}

fn value() -> impl Strategy<Value = u64> {
    let halves = (0..20u64, 0..20u64).prop_map(|(low, high)| high << 32 | low);
    prop_oneof![3 => 0..20u64, 3 => halves, 2 => any::<u64>(), 1 => Just(u64::MAX)]
}

fn form() -> impl Strategy<Value = Form> {
    let item = (any::<bool>(), any::<u16>());
    prop_oneof![
        Just(Form::Uniform),
        proptest::collection::vec(item, 1..8).prop_map(Form::Table),
        (0..=4097u32).prop_map(Form::Failed),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    const REGIONS: &[Region] = &[Region::Ring, Region::Ring, Region::ItemTables, Region::Anywhere];
    let scribble = (proptest::sample::select(REGIONS), any::<usize>(), value());
    let tamper = || proptest::option::weighted(0.3, (0..8usize, value()));
    let pool_change = prop_oneof![
        (0..16u32).prop_map(|pool| PoolChange::Map { pool }),
        (0..16u32).prop_map(|pool| PoolChange::Unmap { pool }),
    ];
    let failed = proptest::option::weighted(0.3, 0..=4097u32);
    prop_oneof![
        2 => pool_change.prop_map(Step::Change),
        3 => (failed, tamper())
            .prop_map(|(failed, tamper)| Step::CompleteChange { failed, tamper }),
        4 => (1..=ITEMS_MAX).prop_map(|items| Step::Submit { items }),
        8 => Just(Step::Poll),
        3 => scribble.prop_map(|(region, word, value)| Step::Scribble { region, word, value }),
        1 => (0..DEPTH, any::<u8>()).prop_map(|(slot, byte)| Step::ScribbleOutputs { slot, byte }),
        6 => (0..2usize, form(), tamper())
            .prop_map(|(which, form, tamper)| Step::Complete { which, form, tamper }),
        2 => Just(Step::Return),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_script_misleads_an_engine_with_exact_outputs(
        steps in proptest::collection::vec(step(), 1..200),
    ) {
        let mut world = World::new(exact_bytes(7));
        steps.into_iter().for_each(|step| world.step(step));
    }

    #[test]
    fn no_script_misleads_an_engine_with_outputs_of_their_own_length(
        steps in proptest::collection::vec(step(), 1..200),
    ) {
        let mut world = World::new(at_most_bytes(20));
        steps.into_iter().for_each(|step| world.step(step));
    }
}

/// Words that a soak writes, unless the environment says otherwise.
const SOAK_WORDS: u64 = 1_000_000_000;
const SOAK_WORDS_VARIABLE: &str = "CUTTER_SOAK_WORDS";

/// The words after which the writer of a soak puts something at the engine's cursor that is nearly
/// in good order; else the engine would see broken stamps and nothing else.
const WORDS_PER_COMPLETION: u64 = 64;

/// How often the writer lets the engine go before, when that does not look.
const YIELDS_MAX: u32 = 100;

/// A quick source of words that look random.
#[derive(Debug)]
struct Noise(u64);

impl Noise {
    fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.word() % end
    }
}

/// What both threads of a soak know.
#[derive(Debug, Default)]
struct Soak {
    /// Completions that the engine took from the ring, believed or not.
    taken: AtomicU64,
    /// The ticket submitted last, and its items.
    ticket: AtomicU64,
    items: AtomicU64,
    /// The ticket of the change of the pools under way.
    change: AtomicU64,
    written: AtomicU64,
    /// Looks of the engine.
    looks: AtomicU64,
    done: AtomicBool,
}

/// What came of a soak.
#[derive(Debug, Default)]
struct Tally {
    polls: u64,
    pieces: u64,
    believed: u64,
    changes: u64,
    violations: [u64; Violation::KINDS.len()],
}

/// Writes noise over all that a replica can write, and now and then what is nearly a completion.
fn write_noise(mut peer: Peer, soak: &Soak, words: u64, seed: u64) {
    let mut noise = Noise(seed);
    let entries: Vec<usize> =
        (0..peer.ring_entries() as u64).map(|entry| peer.entry_word(entry)).collect();
    let tables = peer.item_table_words();
    let template = peer.by_table(Ticket::default(), 1);
    let stride = peer.geometry.output_stride() as u64;
    let is_exact = peer.geometry.is_exact();
    let item_bytes = peer.geometry.output.bytes_max() as u64;
    let [completions, outputs] = peer.all_words();
    let put = |words: &[AtomicU64], word: usize, value| words[word].store(value, Ordering::Relaxed);
    let mut written = 0;
    while written < words {
        for _ in 0..WORDS_PER_COMPLETION {
            let area = if noise.below(4) == 0 { outputs } else { completions };
            let word = usize::try_from(noise.below(area.len() as u64)).expect("an index");
            put(area, word, noise.word());
        }
        for word in tables.clone() {
            let bytes = if is_exact { item_bytes } else { noise.below(item_bytes + 1) };
            let failed = noise.below(4) == 0;
            let small = noise.below(64);
            let entry = if failed { 1 | small << 16 | small << 32 } else { bytes << 32 };
            let is_broken = noise.below(64) == 0;
            put(completions, word, if is_broken { noise.word() } else { entry });
        }
        let taken = soak.taken.load(Ordering::Acquire);
        let items = soak.items.load(Ordering::Relaxed);
        let mut completion = template;
        completion.ticket = bytemuck::cast(soak.ticket.load(Ordering::Relaxed));
        completion.item_count = u32::try_from(items).expect("few items");
        if noise.below(16) == 0 {
            completion.item_count += 1;
        }
        completion.output_bytes = items * stride;
        let form = noise.below(3);
        completion.flags = if is_exact && form > 0 { FLAG_UNIFORM } else { 0 };
        if form == 2 && noise.below(2) == 0 {
            (completion.status, completion.flags) = (STATUS_FAILED, 0);
            (completion.output_bytes, completion.message_bytes) = (0, 99);
        }
        if noise.below(8) == 0 {
            let ticket = bytemuck::cast(soak.change.load(Ordering::Relaxed));
            completion =
                Completion { ticket, flags: 0, item_count: 0, output_bytes: 0, ..completion };
        }
        let mut entry: [u64; 8] = bytemuck::cast(completion);
        if noise.below(3) == 0 {
            entry[usize::try_from(1 + noise.below(7)).expect("small")] = noise.word();
        }
        let first = entries[usize::try_from(taken).expect("small") % entries.len()];
        (1..8).for_each(|word| put(completions, first + word, entry[word]));
        let looks = soak.looks.load(Ordering::Relaxed);
        completions[first].store(taken + 1, Ordering::Release);
        // Most of these are seen, also where both threads share one core.
        let has_looked = || soak.looks.load(Ordering::Relaxed) > looks + 1;
        for _ in (0..YIELDS_MAX).take_while(|_| !has_looked()) {
            thread::yield_now();
        }
        written += WORDS_PER_COMPLETION + tables.len() as u64 + 8;
        soak.written.store(written, Ordering::Relaxed);
    }
    soak.done.store(true, Ordering::Release);
}

/// Every result can be had, is in bounds, and stays what it is while the replica writes on.
fn check_stays(engine_output: &TensorSpec, completed: &Completed<'_>) {
    let Results::Items(items) = &completed.results else { return };
    let mix = |sum: u64, byte: &u8| sum.wrapping_mul(31).wrapping_add(u64::from(*byte));
    let sum = |bytes: &[u8]| bytes.iter().fold(0, mix);
    for item in 0..completed.item_count as usize {
        match (items.get(item), items.get(item)) {
            (Item::Output(once), Item::Output(again)) => {
                assert!(engine_output.admits_bytes(once.bytes().len()));
                assert_eq!(sum(once.bytes()), sum(again.bytes()));
            }
            (Item::Failed(once), Item::Failed(again)) => assert_eq!(sum(once), sum(again)),
            (once, again) => panic!("{once:?} has become {again:?}"),
        }
    }
}

/// The engine's side of a soak: polls until the writer is done.
fn poll_noise(engine: &mut EngineEnd, soak: &Soak, tally: &mut Tally) {
    let output = engine.geometry().output;
    let mut in_flight: Vec<(Ticket, u32)> = vec![];
    let mut is_copying = false;
    while !soak.done.load(Ordering::Acquire) {
        while engine.has_free_ticket() {
            let items = 1 + u32::try_from(in_flight.len()).expect("few") % ITEMS_MAX;
            let ticket = submit(engine, items);
            in_flight.push((ticket, items));
        }
        if engine.has_free_change() {
            let ticket = change(engine, PoolChange::Map { pool: 1 });
            soak.change.store(bytemuck::cast(ticket), Ordering::Relaxed);
        }
        let (ticket, items) = in_flight[in_flight.len() - 1];
        soak.items.store(u64::from(items), Ordering::Relaxed);
        soak.ticket.store(bytemuck::cast(ticket), Ordering::Relaxed);
        assert!(engine.has_news() || !is_copying);
        tally.polls += 1;
        let before = engine.view().completed;
        match engine.poll() {
            Ok(Polled::Nothing) => assert!(!is_copying),
            Ok(Polled::Copying) => (is_copying, tally.pieces) = (true, tally.pieces + 1),
            Ok(Polled::Completed(completed)) => {
                let known = (completed.ticket, completed.item_count);
                let index = in_flight.iter().position(|it| *it == known);
                in_flight.remove(index.expect("only what is in flight completes"));
                check_stays(&output, &completed);
                (is_copying, tally.believed) = (false, tally.believed + 1);
            }
            Ok(Polled::PoolChanged(changed)) => {
                assert!(!is_copying);
                assert_eq!(changed.change, PoolChange::Map { pool: 1 });
                tally.changes += 1;
            }
            Err(violation) => {
                assert!(!is_copying);
                tally.violations[violation.kind()] += 1;
            }
        }
        assert_eq!(engine.in_flight() as usize, in_flight.len());
        assert!(engine.view().completed - before <= 1);
        soak.looks.fetch_add(1, Ordering::Relaxed);
        soak.taken.store(engine.view().completed, Ordering::Release);
    }
}

#[test]
#[ignore = "takes minutes; run it with --release, --ignored and --nocapture"]
fn soak_of_hostile_words() {
    let words = std::env::var(SOAK_WORDS_VARIABLE).ok();
    let words: u64 = words.map_or(SOAK_WORDS, |words| words.parse().expect("a number of words"));
    soak_for(words);
}

#[test]
fn a_short_soak_misleads_no_engine() {
    soak_for(2_000_000);
}

fn soak_for(words: u64) {
    let outputs = [exact_bytes(4), exact_bytes(700), at_most_bytes(20), at_most_bytes(600 << 10)];
    let mut tally = Tally::default();
    let mut written = 0;
    for (seed, output) in (0x9E37_79B9_7F4A_7C15..).zip(outputs) {
        let (mut engine, peer) = ends(output);
        let soak = Soak::default();
        thread::scope(|scope| {
            let soak = &soak;
            let share = words / outputs.len() as u64;
            scope.spawn(move || {
                // Also after a failure, or the engine's side would wait for ever.
                let _end = SetOnDrop(&soak.done);
                write_noise(peer, soak, share, seed);
            });
            poll_noise(&mut engine, soak, &mut tally);
        });
        written += soak.written.load(Ordering::Relaxed);
    }
    let Tally { polls, pieces, believed, changes, violations } = tally;
    let kinds: Vec<String> =
        Violation::KINDS.iter().zip(violations).map(|(kind, n)| format!("{kind} {n}")).collect();
    eprintln!(
        "soak: {written} words written by replicas; {polls} looks, {believed} batches and \
         {changes} changes believed, {pieces} pieces copied, none inconsistent; violations: {}",
        kinds.join(", ")
    );
    assert!(
        believed > 0 && changes > 0 && violations.iter().filter(|count| **count > 0).count() > 3
    );
}
