//! The sleep protocol: a waiter sleeps without missing what is published meanwhile.
//!
//! ```text
//!   waiter                              waker
//!   v = kick                            publish (release store of a stamp)
//!   asleep = 1                          fence SeqCst
//!   fence SeqCst                        if asleep: kick += 1, wake
//!   look again; nothing? sleep while kick == v
//!   asleep = 0
//! ```
//!
//! Of the two fences one comes first. If the waiter's does, the waker reads `asleep` as 1 and
//! wakes; if the waker's does, the waiter's second look sees what was published. The kick word
//! closes the gap between that look and the sleep: a kick in between makes the sleep return at
//! once.
//!
//! A replica sleeps on the kick word with a futex. The engine sleeps in its io_uring with an
//! eventfd armed, which holds a wake until it is read, so it needs the flag alone.
//!
//! The flag is advice from a process that may lie. A replica that lies misses its own wake, passes
//! its batch deadline and is killed.

use crate::words::Words;

const AWAKE: u64 = 0;
const ASLEEP: u64 = 1;

/// The word that says whether a waiter sleeps. Its writer is the waiter.
#[derive(Debug)]
pub struct AsleepFlag<W> {
    words: W,
}

impl<W: Words> AsleepFlag<W> {
    /// The flag is the first of `words`.
    pub fn new(words: W) -> Self {
        Self { words }
    }

    /// Waiter: announces the sleep. The caller looks once more before it sleeps.
    #[inline]
    pub fn announce(&self) {
        self.words.store_relaxed(0, ASLEEP);
        // Pairs with: the fence in `is_set_after_publish`.
        self.words.fence();
    }

    /// Waiter: takes the announcement back.
    #[inline]
    pub fn retract(&self) {
        self.words.store_relaxed(0, AWAKE);
    }

    /// Anyone: what the flag says now, for a report. Nothing may depend on it.
    pub fn is_set(&self) -> bool {
        self.words.load_relaxed(0) != AWAKE
    }

    /// Waker: whether the waiter needs a wake for what was just published.
    #[inline]
    pub fn is_set_after_publish(&self) -> bool {
        // Pairs with: the fence in `announce`.
        self.words.fence();
        self.words.load_relaxed(0) != AWAKE
    }
}

/// The word that a waiter's sleep compares with. Its writer is the waker.
#[derive(Debug)]
pub struct KickWord<W> {
    words: W,
}

impl<W: Words> KickWord<W> {
    /// The kick word is the first of `words`.
    pub fn new(words: W) -> Self {
        Self { words }
    }

    /// Waiter: the value to sleep on, read before the sleep is announced.
    #[inline]
    pub fn value(&self) -> u64 {
        self.words.load_relaxed(0)
    }

    /// Waker: makes a sleep on the old value return. The wake itself follows.
    #[inline]
    pub fn kick(&self) {
        let value = self.words.load_relaxed(0);
        self.words.store_relaxed(0, (value + 1) & u64::from(u32::MAX));
    }
}
