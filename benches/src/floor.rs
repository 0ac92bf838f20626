//! What two cores can do without Cutter: a cache line there and back, and a row there with one word
//! back. Whatever carries rows between two processes is measured against these.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use cutter_engine::pool::InputPool;
use cutter_protocol::clock::monotonic_ns;
use memmap2::MmapOptions;

use crate::cores::{Cores, pin};
use crate::inputs::{FLOATS, POOL_ROWS, ROW_BYTES, Row, sum};
use crate::measurement::Round;

/// How many exchanges a round has.
#[derive(Clone, Copy, Debug)]
pub struct Exchanges {
    /// Before the first one that is recorded.
    pub warm_up: usize,
    pub recorded: usize,
}

impl Exchanges {
    pub fn total(self) -> usize {
        self.warm_up + self.recorded
    }
}

/// A word on a pair of cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Word(AtomicU64);

const STOP: u64 = u64::MAX;

/// One word each way, both sides spinning.
pub fn line_there_and_back(cores: Cores, exchanges: Exchanges) -> io::Result<Round> {
    let (ask, answer) = (Word::default(), Word::default());
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            pin(cores.other)?;
            answer_words(&ask, &answer, |number| number);
            io::Result::Ok(())
        });
        pin(cores.engine)?;
        let round = record(exchanges, |number| {
            exchange(number, &ask, &answer);
        });
        ask.0.store(STOP, Ordering::Release);
        other.join().map_err(|_| io::Error::other("the answering thread panicked"))??;
        Ok(round)
    })
}

/// A row written to shared memory, summed by another core, and its sum back in one word.
///
/// The memory, its rows, the order in which they are used and the way in which they are written are
/// those of the engine.
pub fn row_there_sum_back(cores: Cores, rows: &[Row], exchanges: Exchanges) -> io::Result<Round> {
    let mut pool = InputPool::create(POOL_ROWS, ROW_BYTES).map_err(io::Error::other)?;
    // SAFETY: the memory stays as long as it is mapped. A row is read between the asking word that
    // follows its writing and the answering word that precedes its next writing.
    let view = unsafe { MmapOptions::new().populate().map(&pool.as_fd())? };
    let (ask, answer) = (Word::default(), Word::default());
    let slot_of = |number: u64| usize::try_from(number % u64::from(POOL_ROWS)).expect("a row");
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            pin(cores.other)?;
            let floats: &[f32] = bytemuck::cast_slice(&view);
            answer_words(&ask, &answer, |number| {
                let sum = sum(&floats[slot_of(number) * FLOATS..][..FLOATS]);
                (number << 32) | u64::from(sum.to_bits())
            });
            io::Result::Ok(())
        });
        pin(cores.engine)?;
        let mut inputs = rows.iter().cycle();
        let round = record(exchanges, |number| {
            let input = inputs.next().expect("endless");
            let row = u32::try_from(slot_of(number)).expect("a row");
            pool.row_mut(row, ROW_BYTES).copy_from_slice(bytemuck::bytes_of(input));
            let word = exchange(number, &ask, &answer);
            debug_assert_eq!(u64::from(sum(input).to_bits()), word & u64::from(u32::MAX));
        });
        ask.0.store(STOP, Ordering::Release);
        other.join().map_err(|_| io::Error::other("the answering thread panicked"))??;
        Ok(round)
    })
}

/// Times each exchange by itself. They are numbered from 1.
pub fn record(exchanges: Exchanges, mut exchange: impl FnMut(u64)) -> Round {
    let mut latencies_ns = Vec::with_capacity(exchanges.recorded);
    let mut begin = Instant::now();
    for number in 1..=exchanges.total() {
        if number == exchanges.warm_up + 1 {
            begin = Instant::now();
        }
        let start_ns = monotonic_ns();
        exchange(number as u64);
        let latency_ns = monotonic_ns() - start_ns;
        if number > exchanges.warm_up {
            latencies_ns.push(latency_ns);
        }
    }
    Round { latencies_ns, elapsed: begin.elapsed() }
}

/// Asks, and spins until the low half of the question's number stands in the answer's high half, or
/// the number itself in all of it.
fn exchange(number: u64, ask: &Word, answer: &Word) -> u64 {
    let before = answer.0.load(Ordering::Relaxed);
    // Pairs with: the acquire load in `answer_words`.
    ask.0.store(number, Ordering::Release);
    loop {
        // Pairs with: the release store in `answer_words`.
        let word = answer.0.load(Ordering::Acquire);
        if word != before {
            return word;
        }
        std::hint::spin_loop();
    }
}

/// Answers every new word until it is told to stop.
fn answer_words(ask: &Word, answer: &Word, mut answer_to: impl FnMut(u64) -> u64) {
    let mut last = 0;
    loop {
        // Pairs with: the release store in `exchange`.
        let number = ask.0.load(Ordering::Acquire);
        if number == STOP {
            return;
        }
        if number == last {
            std::hint::spin_loop();
            continue;
        }
        last = number;
        // Pairs with: the acquire load in `exchange`.
        answer.0.store(answer_to(number), Ordering::Release);
    }
}
