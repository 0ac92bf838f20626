//! What two cores can do without Cutter: a row there, and one word back. Whatever carries rows
//! between two processes is measured against this. The floors that need nothing of the engine are
//! those of `cutter-bench floor`.

use std::io;
use std::time::Instant;

use cutter_machine::clock::monotonic_ns;
use cutter_server::pool;
use cutter_tools::floor::cores::{beside, pin};
use cutter_tools::floor::line::Words;
use memmap2::MmapOptions;

use crate::cores::Cores;
use crate::inputs::{FLOATS, POOL_ROWS, ROW_BYTES, Row, sum};
use crate::measurement::{Exchanges, Round};

/// A row written to shared memory, summed by another core, and its sum back in one word.
///
/// The memory, its rows, the order in which they are used and the way in which they are written are
/// those of the engine.
pub fn row_there_sum_back(cores: Cores, rows: &[Row], exchanges: Exchanges) -> io::Result<Round> {
    let pool = pool::create(POOL_ROWS, ROW_BYTES, POOL_ROWS).map_err(io::Error::other)?;
    let (mut pool, descriptor) = pool;
    let view = MmapOptions::new().populate().map_raw_read_only(&descriptor)?;
    let words = Words::default();
    let answer_with_sums = || {
        words.answer(|number| {
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
    let (round, ()) = beside(cores.other, answer_with_sums, || {
        let mut number = 0;
        let round = record_sums(rows, exchanges, |_, input| {
            number += 1;
            pool.row_mut(row_of(number), ROW_BYTES).copy_from_slice(bytemuck::bytes_of(input));
            let word = words.exchange(number);
            f32::from_bits(u32::try_from(word & u64::from(u32::MAX)).expect("the low half"))
        });
        words.stop();
        round
    })?;
    round
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
