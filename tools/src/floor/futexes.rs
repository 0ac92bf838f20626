//! Two threads that wake each other.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::futex;

use super::cores::{Pair, beside, pin};
use super::exchange::{Sampling, record};

const STOP: u32 = u32::MAX;

/// A word on which a thread sleeps.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Bell(AtomicU32);

impl Bell {
    pub fn get(&self) -> u32 {
        // Pairs with: the release store in `set`.
        self.0.load(Ordering::Acquire)
    }

    /// Changes the word, for one who looks at it all the time.
    pub fn set(&self, value: u32) {
        // Pairs with: the acquire load in `get`.
        self.0.store(value, Ordering::Release);
    }

    /// Changes the word and wakes who sleeps on it.
    pub fn ring(&self, value: u32) {
        self.set(value);
        // Nobody sleeping is no error.
        let _ = futex::wake(&self.0, futex::Flags::PRIVATE, 1);
    }

    /// Sleeps until the word is not `last`.
    pub fn wait(&self, last: u32) -> u32 {
        loop {
            let value = self.get();
            if value != last {
                return value;
            }
            // Woken, interrupted or too late: in each case the word is looked at again.
            let _ = futex::wait(&self.0, futex::Flags::PRIVATE, last, None);
        }
    }
}

/// Both sides sleep until the other wakes them.
pub fn there_and_back(pair: Pair, sampling: Sampling) -> io::Result<Vec<u64>> {
    let (ask, answer) = (Bell::default(), Bell::default());
    let answer_until_stopped = || {
        let mut last = 0;
        loop {
            last = ask.wait(last);
            if last == STOP {
                return;
            }
            answer.ring(last);
        }
    };
    pin(pair.client)?;
    let (round, ()) = beside(pair.server, answer_until_stopped, || {
        let mut last = 0;
        let round = record(sampling, || {
            ask.ring(last + 1);
            last = answer.wait(last);
            Ok(())
        });
        ask.ring(STOP);
        round
    })?;
    round
}
