//! Runs with noise in their middle.

use std::io;

use cutter_bench_support::beside::load_beside;
use cutter_bench_support::cell::Cell;
use cutter_bench_support::recovery::batches_until;
use cutter_bench_support::sizing::{fixed, fixed_sizes, policy};
use cutter_bench_support::slices::{SLICE_NS, goodput_qps, slices_qps};
use cutter_bench_support::stand::{Setting, Stand};
use cutter_tools::arrivals::Arrivals;
use cutter_tools::goodput::fluid_optimum;

use super::disturbance::Case;

/// In quarters of the bound's batch: noise asks for smaller ones.
const QUARTERS: [u64; 5] = [1, 2, 3, 4, 5];
/// Goodput after the noise that is as good as before.
pub const AS_GOOD: f64 = 0.95;
/// A server that was just started has adapted by then.
const SETTLE_NS: u64 = 1_000_000_000;

/// For how long each part of a run goes on, in whole slices.
#[derive(Clone, Copy, Debug)]
pub struct Lengths {
    before_ns: u64,
    noise_ns: u64,
    after_ns: u64,
}

/// A policy that adapts, in one noise.
#[derive(Debug)]
pub struct Adapted {
    pub policy: &'static str,
    /// Before, during and after the noise.
    pub before_qps: f64,
    pub goodput_qps: f64,
    pub after_qps: f64,
    /// Batches from the end of the noise until goodput was back; `None`: never, in the time given.
    pub back_after_batches: Option<u64>,
    /// Batches of the time after the noise.
    pub batches_after: u64,
    pub slices_qps: Vec<f64>,
}

/// All that was measured in one noise.
#[derive(Debug)]
pub struct CaseFound {
    pub case: Case,
    pub offered_qps: f64,
    pub fixed_best_qps: f64,
    pub fixed_best_rows: u64,
    pub adapted: Vec<Adapted>,
}

impl Lengths {
    pub const LONG: Self =
        Self { before_ns: 3_000_000_000, noise_ns: 4_000_000_000, after_ns: 4_000_000_000 };
    pub const SHORT: Self =
        Self { before_ns: 1_200_000_000, noise_ns: 500_000_000, after_ns: 500_000_000 };
}

impl CaseFound {
    pub fn measure(
        cell: Cell,
        case: Case,
        policies: &[&'static str],
        setting: &Setting,
        lengths: Lengths,
    ) -> io::Result<Self> {
        let scene = cell.scene().map_err(io::Error::other)?;
        let (offered_qps, _) = fluid_optimum(&scene);
        let run = |batch: &str, lengths: Lengths| {
            Run { cell, case, offered_qps, lengths }.go(setting, batch)
        };
        let mut adapted = Vec::new();
        for name in policies {
            adapted.push(run(&policy(name), lengths)?.adapted(name));
        }
        let (mut fixed_best_qps, mut fixed_best_rows) = (0.0, 0);
        let for_fixed = Lengths { before_ns: SETTLE_NS, after_ns: 0, ..lengths };
        for rows in fixed_sizes(&scene, QUARTERS) {
            let goodput_qps = run(&fixed(rows), for_fixed)?.goodput_qps;
            if goodput_qps > fixed_best_qps {
                (fixed_best_qps, fixed_best_rows) = (goodput_qps, rows);
            }
        }
        Ok(Self { case, offered_qps, fixed_best_qps, fixed_best_rows, adapted })
    }
}

/// One run to make.
#[derive(Clone, Copy)]
struct Run {
    cell: Cell,
    case: Case,
    offered_qps: f64,
    lengths: Lengths,
}

/// What one run came to.
struct Ran {
    before_qps: f64,
    goodput_qps: f64,
    slices_qps: Vec<f64>,
    after_qps: Vec<f64>,
    /// Since the end of the noise, at the end of each slice after it.
    batches: Vec<u64>,
}

impl Run {
    fn go(self, setting: &Setting, batch: &str) -> io::Result<Ran> {
        let Lengths { before_ns, noise_ns, after_ns } = self.lengths;
        let noise = (before_ns, before_ns + noise_ns);
        let end_ns = noise.1 + after_ns;
        let stand = Stand::start(self.cell, setting, batch)?;
        let (counts, pids) = (stand.counts(), stand.model_pids()?);
        let pid = *pids.first().ok_or_else(|| io::Error::other("the model has no process"))?;
        let arrivals = Arrivals::Constant { rate_qps: self.offered_qps };
        let (recording, batches) = load_beside(
            setting.cores.engine,
            |progress| stand.offer_watched(&arrivals, end_ns, 0, progress),
            |clock| {
                self.case.disturb(pid, stand.model_cpu(), clock, noise)?;
                let before = counts.batches()?;
                let slices = 1..=after_ns / SLICE_NS;
                let at_end = slices.map(|slice| {
                    clock.sleep_until(noise.1 + slice * SLICE_NS);
                    Ok(counts.batches()? - before)
                });
                at_end.collect::<io::Result<Vec<u64>>>()
            },
        )?;
        let slo_ns = stand.slo_ns();
        stand.end()?;
        Ok(Ran {
            before_qps: goodput_qps(&recording, (SETTLE_NS.min(before_ns / 2), before_ns), slo_ns),
            goodput_qps: goodput_qps(&recording, noise, slo_ns),
            slices_qps: slices_qps(&recording, (0, end_ns), slo_ns),
            after_qps: slices_qps(&recording, (noise.1, end_ns), slo_ns),
            batches,
        })
    }
}

impl Ran {
    fn adapted(self, policy: &'static str) -> Adapted {
        let Self { before_qps, goodput_qps, slices_qps, after_qps, batches } = self;
        Adapted {
            policy,
            before_qps,
            goodput_qps,
            after_qps: after_qps.iter().sum::<f64>() / after_qps.len().max(1) as f64,
            back_after_batches: batches_until(&after_qps, &batches, AS_GOOD * before_qps),
            batches_after: batches.last().copied().unwrap_or(0),
            slices_qps,
        }
    }
}
