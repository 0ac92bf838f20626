//! Capacity: the highest rate at which a quantile of the latency keeps an SLO.
//!
//! ```text
//!  rate ──▶  pass   pass     pass        fail          doubling, or halving when the first fails
//!             1k     2k       4k          8k
//!                             └ pass 5.7k ┘            then halves of the interval (geometric),
//!                                    └ 6.7k fail ┘     until its ends are within the precision
//! ```
//!
//! Each step is a row of short runs ("chunks"), ended as soon as a sequential test
//! ([`crate::stats::ShareTest`]) tells whether the share of requests over the SLO is below
//! 1 − quantile or above it. The answer is an interval: the highest rate that passed, the lowest
//! that failed. A rate so close to the capacity that its share lies within the margin of the test
//! may be decided either way.
//!
//! A step begins with shorter runs that do not count (`settling`), until the server has adapted to
//! the rate or the time for that is over.

mod chunk;
mod settling;
mod step;

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

pub use chunk::ChunkReading;

use crate::limits::RATE_QPS_MAX;
use settling::Settling;
use step::Step;

/// Steps of one search. From 1 request per second to the highest rate are 23 doublings.
pub const STEPS_MAX: usize = 100;
/// Chunks before a step is decided: one stall of the machine must not decide it.
pub const CHUNKS_MIN: u32 = 2;
/// Chunks that the generator may spoil before it is the one that cannot keep the rate.
pub const SPOILT_CHUNKS_MAX: u32 = 2;

/// What to search for.
#[derive(Clone, Debug, PartialEq)]
pub struct CapacitySettings {
    pub target: String,
    /// As the loads are made, for the result.
    pub arrivals: String,
    pub slo_ns: u64,
    /// The quantile of the latency that must keep the SLO.
    pub quantile: f64,
    /// The largest share of answers that may be defaults.
    pub defaults_share_max: f64,
    pub start_qps: f64,
    /// No rate outside these is tried.
    pub lowest_qps: f64,
    pub highest_qps: f64,
    /// The search ends when the ends of the interval are no further apart than this share.
    pub precision: f64,
    /// How near the limit a share may be and still be decided either way, as a share of the limit.
    pub margin: f64,
    /// Chunks of one step; then the share found so far decides.
    pub chunks_max: u32,
    /// Slices in which the server may settle before a step; with 0 it is judged at once.
    pub slices_max: u32,
}

/// Why there is no such search.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CapacityError {
    #[error("the quantile {quantile} cannot be tested; give one from 0.5 to 0.9999")]
    Quantile { quantile: f64 },
    #[error("a share of {share} defaults is not possible; give one from 0 to 1")]
    DefaultsShare { share: f64 },
    #[error("a {name} of {share} is not possible; give one above 0 and below 1, such as 0.05")]
    Share { name: &'static str, share: f64 },
    #[error(
        "rates from {lowest_qps} to {highest_qps} with {start_qps} to start from make no search; \
         give them in ascending order, above 0 and up to {RATE_QPS_MAX}"
    )]
    Rates { lowest_qps: f64, start_qps: f64, highest_qps: f64 },
    #[error("{chunks} chunks per step are too few; {CHUNKS_MIN} is the least")]
    Chunks { chunks: u32 },
}

impl CapacitySettings {
    pub const PRECISION: f64 = 0.05;
    pub const MARGIN: f64 = 0.25;
    pub const CHUNKS_MAX: u32 = 12;
    pub const SLICES_MAX: u32 = 20;

    /// Whether a search can be made of them. To be asked before [`search`].
    pub fn check(&self) -> Result<(), CapacityError> {
        let is_share = |share: f64| share > 0.0 && share < 1.0;
        let (lowest_qps, start_qps, highest_qps) =
            (self.lowest_qps, self.start_qps, self.highest_qps);
        let ascend = lowest_qps <= start_qps && start_qps <= highest_qps;
        if !(0.5..=0.9999).contains(&self.quantile) {
            Err(CapacityError::Quantile { quantile: self.quantile })
        } else if !(0.0..=1.0).contains(&self.defaults_share_max) {
            Err(CapacityError::DefaultsShare { share: self.defaults_share_max })
        } else if !is_share(self.precision) {
            Err(CapacityError::Share { name: "precision", share: self.precision })
        } else if !is_share(self.margin) {
            Err(CapacityError::Share { name: "margin", share: self.margin })
        } else if !(ascend && lowest_qps > 0.0 && highest_qps <= RATE_QPS_MAX) {
            Err(CapacityError::Rates { lowest_qps, start_qps, highest_qps })
        } else if self.chunks_max < CHUNKS_MIN {
            Err(CapacityError::Chunks { chunks: self.chunks_max })
        } else {
            Ok(())
        }
    }
}

/// What one short run found, after its warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chunk {
    pub requests: u64,
    /// Slower than the SLO; those that failed or were never answered among them.
    pub over_slo: u64,
    pub defaults: u64,
    pub failed: u64,
    /// The quantile, where the chunk supports it.
    pub quantile_ns: Option<u64>,
    /// How many requests count as one ([`crate::stats::inflation()`], at the SLO).
    pub inflation: f64,
    /// Whether the generator kept the rate. Else the chunk says nothing of the server.
    pub is_valid: bool,
    pub duration_ns: u64,
    /// What the server's batches may have after it, all replicas together; absent where it does not
    /// say.
    pub limit_rows: Option<u64>,
}

/// A short run that is to be made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    pub rate_qps: f64,
    /// From 0 over the whole search, so that each can have its own seed.
    pub number: u32,
    /// A slice in which the server settles; else a chunk that counts.
    pub is_slice: bool,
}

/// How a step came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// The test was sure.
    Sequential,
    /// It was not, and the chunks were used up: what was found decides.
    Cap,
    /// Too many defaults.
    Defaults,
    /// The generator could not keep the rate: nothing is known of the server.
    Generator,
}

/// One rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepResult {
    pub rate_qps: f64,
    pub passed: bool,
    pub decided_by: DecidedBy,
    /// Of all chunks that the generator did not spoil, as the next three.
    pub requests: u64,
    pub over_slo: u64,
    pub defaults: u64,
    pub failed: u64,
    /// The median of the chunks'.
    pub quantile_ns: Option<u64>,
    /// Of all chunks, as the next.
    pub duration_ns: u64,
    pub chunks: u32,
    /// How long the server was given to adapt to the rate, and whether it stood still at the end.
    pub settle_ns: u64,
    pub settled: bool,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CapacityResult {
    pub target: String,
    pub slo_ns: u64,
    pub quantile: f64,
    pub defaults_share_max: f64,
    pub arrivals: String,
    /// Absent when no rate passed.
    pub highest_pass_qps: Option<f64>,
    /// Absent when no rate failed.
    pub lowest_fail_qps: Option<f64>,
    /// The search ended where the generator could not keep the rate: the capacity may be higher
    /// than the highest pass says.
    pub limited_by_generator: bool,
    /// The goodput as a share of what there is to be had; absent when that is not known.
    pub bound: Option<ShareOfBound>,
    /// In the order in which they were made.
    pub steps: Vec<StepResult>,
}

/// The highest pass beside T* of the model, by the server's own service times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShareOfBound {
    /// `NAME:VERSION`.
    pub model: String,
    pub fixed_ns: f64,
    pub per_row_ns: f64,
    /// How well the line fits.
    pub r_squared: f64,
    pub overhead_ns: u64,
    pub replicas: u32,
    pub bound_qps: f64,
    pub share: f64,
}

/// What a search tells while it goes on.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// A chunk, counted from 1 within its step, and what is known of the step.
    Chunk {
        chunk: u32,
        so_far: &'a StepResult,
    },
    Step(&'a StepResult),
}

/// Searches. `run` makes one run. Settings have been checked.
pub fn search<E>(
    settings: &CapacitySettings,
    mut run: impl FnMut(Run) -> Result<Chunk, E>,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<CapacityResult, E> {
    let mut result = CapacityResult {
        target: settings.target.clone(),
        slo_ns: settings.slo_ns,
        quantile: settings.quantile,
        defaults_share_max: settings.defaults_share_max,
        arrivals: settings.arrivals.clone(),
        highest_pass_qps: None,
        lowest_fail_qps: None,
        limited_by_generator: false,
        bound: None,
        steps: Vec::new(),
    };
    // The lowest rate that did not pass, whoever's fault it was.
    let mut ceiling_qps = None;
    let mut runs = 0;
    let mut next_run = |rate_qps, is_slice| {
        let number = runs;
        runs += 1;
        run(Run { rate_qps, number, is_slice })
    };
    let mut next_qps = Some(settings.start_qps);
    while let Some(rate_qps) = next_qps.filter(|_| result.steps.len() < STEPS_MAX) {
        let mut step = Step::new(settings, rate_qps);
        let mut settling = Settling::default();
        let mut settled = settings.slices_max == 0;
        for _ in 0..settings.slices_max {
            settled = settling.add(next_run(rate_qps, true)?);
            if settled {
                break;
            }
        }
        step.settled(settling.duration_ns(), settled);
        let found = loop {
            let decided = step.add(&next_run(rate_qps, false)?);
            let so_far = step.result();
            progress(Progress::Chunk { chunk: so_far.chunks, so_far: &so_far });
            if decided {
                break so_far;
            }
        };
        progress(Progress::Step(&found));
        if found.passed {
            result.highest_pass_qps = Some(rate_qps);
        } else {
            ceiling_qps = Some(rate_qps);
            result.limited_by_generator = found.decided_by == DecidedBy::Generator;
            if !result.limited_by_generator {
                result.lowest_fail_qps = Some(rate_qps);
            }
        }
        result.steps.push(found);
        next_qps = next(settings, result.highest_pass_qps, ceiling_qps);
    }
    Ok(result)
}

/// The rate to try next, between those that passed and those that did not.
fn next(
    settings: &CapacitySettings,
    pass_qps: Option<f64>,
    ceiling_qps: Option<f64>,
) -> Option<f64> {
    match (pass_qps, ceiling_qps) {
        (Some(pass_qps), None) if pass_qps < settings.highest_qps => {
            Some((pass_qps * 2.0).min(settings.highest_qps))
        }
        (None, Some(ceiling_qps)) if ceiling_qps > settings.lowest_qps => {
            Some((ceiling_qps / 2.0).max(settings.lowest_qps))
        }
        (Some(pass_qps), Some(ceiling_qps)) => {
            let is_wide = ceiling_qps / pass_qps > 1.0 + settings.precision;
            is_wide.then(|| (pass_qps * ceiling_qps).sqrt())
        }
        _ => None,
    }
}

impl Display for StepResult {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let share = |count: u64| count as f64 / self.requests.max(1) as f64 * 100.0;
        let verdict = match (self.passed, self.decided_by) {
            (true, _) => "pass",
            (false, DecidedBy::Generator) => "generator too slow",
            (false, DecidedBy::Defaults) => "fail (defaults)",
            (false, _) => "fail",
        };
        write!(
            f,
            "{:>10.0} requests/s: {verdict}; {:.2} % of {} over the SLO, {:.2} % defaults",
            self.rate_qps,
            share(self.over_slo),
            self.requests,
            share(self.defaults)
        )?;
        if self.settled {
            return Ok(());
        }
        let within_s = self.settle_ns as f64 / 1e9;
        write!(f, "; the server had not settled after {within_s:.1} s: it was judged as it was")
    }
}

impl Display for CapacityResult {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (percent, slo_ms) = (self.quantile * 100.0, self.slo_ns as f64 / 1e6);
        write!(f, "p{} within {slo_ms} ms: ", format!("{percent:.2}").trim_end_matches(".00"))?;
        match (self.highest_pass_qps, self.lowest_fail_qps) {
            (Some(pass), Some(fail)) => {
                write!(f, "{pass:.0} requests/s pass, {fail:.0} requests/s fail")?;
            }
            (Some(pass), None) => write!(f, "{pass:.0} requests/s pass, and none failed")?,
            (None, Some(fail)) => write!(f, "no rate passed, down to {fail:.0} requests/s")?,
            (None, None) => write!(f, "no rate could be tried")?,
        }
        if self.limited_by_generator {
            write!(f, "; more could not be sent: the generator was too slow")?;
        }
        let Some(bound) = &self.bound else { return Ok(()) };
        let time = |ns: f64| crate::text::time(crate::stats::whole(ns));
        write!(
            f,
            "\n{:.1} % of T* = {:.0} requests/s of {}: {} + {} × rows a batch (R² {:.3}), {}, {} \
             of overhead",
            bound.share * 100.0,
            bound.bound_qps,
            bound.model,
            time(bound.fixed_ns),
            time(bound.per_row_ns),
            bound.r_squared,
            crate::text::counted(u64::from(bound.replicas), "replica"),
            crate::text::time(bound.overhead_ns)
        )
    }
}

#[cfg(test)]
mod tests;
