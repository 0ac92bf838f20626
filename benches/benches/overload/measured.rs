//! One load on one cell: from cold, and then on.

use std::io;

use cutter_bench_support::cell::Cell;
use cutter_bench_support::measurement::median;
use cutter_bench_support::processes::resident_bytes;
use cutter_bench_support::sizing::policy;
use cutter_bench_support::slices::{goodput_qps, slices_qps};
use cutter_bench_support::stand::{Setting, Stand};
use cutter_tools::arrivals::Arrivals;
use cutter_tools::goodput::fluid_optimum;
use cutter_tools::load::Recording;

/// From when on a server that was cold should serve all that it can.
pub const WARM_NS: u64 = 500_000_000;
/// A generator that sends one request of a thousand later than this has not kept its schedule.
const LATE_NS: u64 = 1_000_000;

/// For how long it is loaded.
#[derive(Clone, Copy, Debug)]
pub struct Lengths {
    cold_ns: u64,
    chunk_ns: u64,
    chunks: u64,
}

/// What came of a load.
#[derive(Debug)]
pub struct Overload {
    pub cell: Cell,
    pub load: f64,
    pub bound_qps: f64,
    /// Goodput from when the server was ready, by slices.
    pub cold_qps: Vec<f64>,
    /// Goodput of these from [`WARM_NS`] on.
    pub warm_qps: f64,
    /// From here on to the lag: the median of the parts of the load.
    pub goodput_qps: f64,
    /// All answers, from when their request was due; from when it was sent; as the server says, of
    /// all parts together.
    pub p999_ns: u64,
    pub sent_p999_ns: u64,
    pub server_p999_ns: u64,
    pub lag_p999_ns: u64,
    /// Requests that had to wait since every connection was taken.
    pub blocked: u64,
    /// Requests without an answer.
    pub unanswered: usize,
    /// After the first part of the load, and after the last.
    pub resident_bytes: (u64, u64),
    pub rows_per_batch: f64,
    /// What batches might have at the end, all replicas together.
    pub limit_rows: u64,
    /// The share of the time in which the replicas worked, by what their batches must have taken.
    pub busy: f64,
}

impl Lengths {
    pub const LONG: Self = Self { cold_ns: 2_000_000_000, chunk_ns: 1_500_000_000, chunks: 5 };
    pub const SHORT: Self = Self { cold_ns: 800_000_000, chunk_ns: 200_000_000, chunks: 2 };

    /// Of all that comes after the beginning.
    fn load_ns(self) -> u64 {
        self.chunk_ns * self.chunks
    }
}

impl Overload {
    pub fn measure(
        cell: Cell,
        load: f64,
        setting: &Setting,
        policy_name: &str,
        lengths: Lengths,
    ) -> io::Result<Self> {
        let (bound_qps, _) = fluid_optimum(&cell.scene().map_err(io::Error::other)?);
        let arrivals = Arrivals::Poisson { rate_qps: load * bound_qps };
        let stand = Stand::start(cell, setting, &policy(policy_name))?;
        let slo_ns = stand.slo_ns();
        let cold = stand.offer(&arrivals, lengths.cold_ns, 0)?;
        let cold_qps = slices_qps(&cold, (0, lengths.cold_ns), slo_ns);
        let warm_qps = goodput_qps(&cold, (WARM_NS, lengths.cold_ns), slo_ns);
        drop(cold);
        let counts = stand.counts();
        let before = (counts.end_to_end()?, counts.batches()?, counts.rows()?);
        let mut chunks = Vec::new();
        for seed in 1..=lengths.chunks {
            let recording = stand.offer(&arrivals, lengths.chunk_ns, seed)?;
            chunks.push(Chunk::of(recording, lengths.chunk_ns, slo_ns)?);
        }
        let server = counts.end_to_end()?.since(&before.0);
        let batches = (counts.batches()? - before.1) as f64;
        let rows = (counts.rows()? - before.2) as f64;
        let limit_rows = counts.limit_rows()?;
        stand.end()?;
        let replicas_us = f64::from(cell.replicas) * lengths.load_ns() as f64 / 1e3;
        let time_ns = |time: fn(&Chunk) -> u64| median(chunks.iter().map(time));
        Ok(Self {
            cell,
            load,
            bound_qps,
            cold_qps,
            warm_qps,
            goodput_qps: median(chunks.iter().map(|chunk| chunk.goodput_qps)),
            p999_ns: time_ns(|chunk| chunk.p999_ns),
            sent_p999_ns: time_ns(|chunk| chunk.sent_p999_ns),
            server_p999_ns: server.quantile(0.999).unwrap_or(0),
            lag_p999_ns: time_ns(|chunk| chunk.lag_p999_ns),
            blocked: chunks.iter().map(|chunk| chunk.blocked).sum(),
            unanswered: chunks.iter().map(|chunk| chunk.unanswered).sum(),
            resident_bytes: (chunks[0].resident_bytes, chunks[chunks.len() - 1].resident_bytes),
            rows_per_batch: rows / batches,
            limit_rows,
            busy: (batches * f64::from(cell.beta_us) + rows * f64::from(cell.alpha_us))
                / replicas_us,
        })
    }

    /// Whether the generator sent what was due when it was due.
    pub fn is_on_time(&self) -> bool {
        self.lag_p999_ns <= LATE_NS
    }

    pub fn of_bound(&self, qps: f64) -> f64 {
        qps / self.bound_qps
    }
}

/// What came of one part of the load.
struct Chunk {
    goodput_qps: f64,
    p999_ns: u64,
    sent_p999_ns: u64,
    lag_p999_ns: u64,
    blocked: u64,
    unanswered: usize,
    /// When the recording has been given back.
    resident_bytes: u64,
}

impl Chunk {
    fn of(recording: Recording, duration_ns: u64, slo_ns: u64) -> io::Result<Self> {
        let samples = &recording.samples;
        let answered = || samples.iter().filter(|sample| sample.outcome.is_answer());
        let chunk = Self {
            goodput_qps: goodput_qps(&recording, (0, duration_ns), slo_ns),
            p999_ns: p999(answered().map(|sample| sample.latency_ns)),
            sent_p999_ns: p999(answered().map(|sample| sample.latency_ns - sample.lag_ns)),
            lag_p999_ns: p999(samples.iter().map(|sample| sample.lag_ns)),
            blocked: recording.blocked,
            unanswered: samples.len() - answered().count(),
            resident_bytes: 0,
        };
        drop(recording);
        Ok(Self { resident_bytes: resident_bytes(std::process::id())?, ..chunk })
    }
}

/// By nearest rank; 0 of none.
fn p999(times_ns: impl Iterator<Item = u64>) -> u64 {
    let mut times_ns: Vec<u64> = times_ns.collect();
    let Some(rank) = (times_ns.len() * 999).div_ceil(1_000).checked_sub(1) else { return 0 };
    *times_ns.select_nth_unstable(rank).1
}
