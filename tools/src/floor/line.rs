//! Two threads that spin on a word each: what a cache line costs there and back.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cores::{Pair, beside, pin};
use super::exchange::{Sampling, record};

/// The question that ends the answering.
const STOP: u64 = u64::MAX;

/// A word on a pair of cache lines of its own: CPUs fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Word(AtomicU64);

/// A word for questions and a word for answers. One thread asks, another answers.
#[derive(Debug, Default)]
pub struct Words {
    ask: Word,
    answer: Word,
}

impl Words {
    /// Asks, and spins until the answer, which must differ from the last one, is there. A question
    /// differs from the one before and is not `u64::MAX`.
    pub fn exchange(&self, question: u64) -> u64 {
        let before = self.answer.0.load(Ordering::Relaxed);
        // Pairs with: the acquire load in `answer`.
        self.ask.0.store(question, Ordering::Release);
        loop {
            // Pairs with: the release store in `answer`.
            let word = self.answer.0.load(Ordering::Acquire);
            if word != before {
                return word;
            }
            std::hint::spin_loop();
        }
    }

    /// Answers every new question, spinning, until `stop`.
    pub fn answer(&self, mut answer_to: impl FnMut(u64) -> u64) {
        let mut last = 0;
        loop {
            // Pairs with: the release stores in `exchange` and `stop`.
            let question = self.ask.0.load(Ordering::Acquire);
            if question == STOP {
                return;
            }
            if question == last {
                std::hint::spin_loop();
                continue;
            }
            last = question;
            // Pairs with: the acquire load in `exchange`.
            self.answer.0.store(answer_to(question), Ordering::Release);
        }
    }

    /// Ends `answer`.
    pub fn stop(&self) {
        // Pairs with: the acquire load in `answer`.
        self.ask.0.store(STOP, Ordering::Release);
    }
}

/// One word each way, both sides spinning.
pub fn there_and_back(pair: Pair, sampling: Sampling) -> io::Result<Vec<u64>> {
    let words = Words::default();
    pin(pair.server)?;
    let (round, ()) = beside(
        pair.client,
        || words.answer(|question| question),
        || {
            let mut question = 0;
            let round = record(sampling, || {
                question += 1;
                words.exchange(question);
                Ok(())
            });
            words.stop();
            round
        },
    )?;
    round
}
