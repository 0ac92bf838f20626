//! What two cores can do without Cutter: a cache line there and back, and a row there with one word
//! back. Whatever carries rows between two processes is measured against these.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use cutter_engine::pool::InputPool;
use cutter_protocol::clock::monotonic_ns;
use memmap2::MmapOptions;

use crate::cores::{Cores, beside, pin};
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
    pin(cores.engine)?;
    beside(
        cores.other,
        || answer_words(&ask, &answer, |number| number),
        || {
            let mut number = 0;
            let round = record(exchanges, |_| {
                number += 1;
                exchange(number, &ask, &answer);
            });
            ask.0.store(STOP, Ordering::Release);
            round
        },
    )
}

/// A row written to shared memory, summed by another core, and its sum back in one word.
///
/// The memory, its rows, the order in which they are used and the way in which they are written are
/// those of the engine.
pub fn row_there_sum_back(cores: Cores, rows: &[Row], exchanges: Exchanges) -> io::Result<Round> {
    let mut pool = InputPool::create(POOL_ROWS, ROW_BYTES).map_err(io::Error::other)?;
    let view = MmapOptions::new().populate().map_raw_read_only(&pool.as_fd())?;
    let (ask, answer) = (Word::default(), Word::default());
    let answer_with_sums = || {
        answer_words(&ask, &answer, |number| {
            let offset = ROW_BYTES * row_of(number) as usize;
            // SAFETY: within the mapping, which `view` keeps, and aligned as rows are. The row is
            // not written between the asking word, which was loaded, and the answering word.
            let row = unsafe {
                std::slice::from_raw_parts(view.as_ptr().add(offset).cast::<f32>(), FLOATS)
            };
            (number << 32) | u64::from(sum(row).to_bits())
        });
    };
    pin(cores.engine)?;
    beside(cores.other, answer_with_sums, || {
        let mut number = 0;
        let round = record_sums(rows, exchanges, |_, input| {
            number += 1;
            pool.row_mut(row_of(number), ROW_BYTES).copy_from_slice(bytemuck::bytes_of(input));
            let word = exchange(number, &ask, &answer);
            f32::from_bits(u32::try_from(word & u64::from(u32::MAX)).expect("the low half"))
        });
        ask.0.store(STOP, Ordering::Release);
        round
    })?
}

/// Times each exchange by itself. It is told when it began.
pub fn record(exchanges: Exchanges, mut exchange: impl FnMut(u64)) -> Round {
    let mut latencies_ns = Vec::with_capacity(exchanges.total());
    let mut begin = Instant::now();
    for number in 0..exchanges.total() {
        if number == exchanges.warm_up {
            begin = Instant::now();
        }
        let start_ns = monotonic_ns();
        exchange(start_ns);
        latencies_ns.push(monotonic_ns() - start_ns);
    }
    let elapsed = begin.elapsed();
    latencies_ns.drain(..exchanges.warm_up);
    Round { latencies_ns, elapsed }
}

/// Times exchanges of rows for their sums, and fails when a sum is wrong.
pub fn record_sums(
    rows: &[Row],
    exchanges: Exchanges,
    mut exchange: impl FnMut(u64, &Row) -> f32,
) -> io::Result<Round> {
    let sums: Vec<f32> = rows.iter().map(|row| sum(row)).collect();
    let mut inputs = (0..rows.len()).cycle();
    let mut wrong = 0;
    let round = record(exchanges, |start_ns| {
        let input = inputs.next().expect("endless");
        let answer = exchange(start_ns, &rows[input]);
        wrong += u32::from(answer.to_bits() != sums[input].to_bits());
    });
    match wrong {
        0 => Ok(round),
        wrong => Err(io::Error::other(format!("{wrong} sums of {} are wrong", exchanges.total()))),
    }
}

/// The row of a question: the next one, around the pool.
fn row_of(number: u64) -> u32 {
    u32::try_from(number % u64::from(POOL_ROWS)).expect("below POOL_ROWS")
}

/// Asks, and spins until the answer, which differs from the last one, is there.
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
