//! How the goodput of each policy is found: served, or simulated.

use std::io;
use std::str::FromStr;

use cutter_bench_support::cell::Cell;
use cutter_bench_support::report::print_note;
use cutter_bench_support::sizing::{fixed, fixed_sizes};
use cutter_bench_support::stand::{Between, Setting, Stand};
use cutter_tools::goodput::simulation::{PEERS, Peer, Traffic};
use cutter_tools::goodput::{Scene, fluid_optimum};

use super::found::QUANTILE;

/// Where a search begins, as a share of the reference, and its ends, as shares of T*.
const START_SHARE: f64 = 0.85;
const LOWEST_SHARE: f64 = 0.1;
const HIGHEST_SHARE: f64 = 1.15;
/// By how much a fixed size must be better to take the place of another.
const BETTER: f64 = 1.025;
/// Sizes that are tried, in quarters of the bound's batch.
const QUARTERS: [u64; 5] = [2, 3, 4, 5, 7];
/// Arrivals of a simulation.
const QUERIES: usize = 32_000;
const SEED: u64 = 1;

const AIMD: &str = "policy = \"aimd\"";
/// Batches begin as late as their first query allows, but not later than another replica is free:
/// for models with several.
const AIMD_DEFER: Measured = Measured::Adaptive("aimd_defer", "policy = \"aimd\", defer = true");

/// A policy and how it is measured.
#[derive(Clone, Copy, Debug)]
pub enum Measured {
    /// Served, under this name, with such a table `batch` in the configuration.
    Adaptive(&'static str, &'static str),
    /// Served, with the best of several sizes.
    FixedBest,
    /// Simulated, under this name.
    Peer(&'static str, Peer),
}

impl Measured {
    pub const ALL: [Self; 8] = [
        Self::Adaptive("aimd", AIMD),
        Self::Adaptive("quantile", "policy = \"quantile\""),
        AIMD_DEFER,
        Self::FixedBest,
        Self::Peer("sim:nexus", PEERS[0]),
        Self::Peer("sim:clockwork", PEERS[1]),
        Self::Peer("sim:triton", PEERS[2]),
        Self::Peer("sim:clipper", PEERS[3]),
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Adaptive(name, _) | Self::Peer(name, _) => name,
            Self::FixedBest => "fixed_best",
        }
    }

    /// Whether it is another one than the policies before it, for so many replicas.
    pub fn suits(self, replicas: u32) -> bool {
        replicas > 1 || self.name() != AIMD_DEFER.name()
    }

    /// The goodput; 0 when no rate was kept.
    pub fn goodput_qps(
        self,
        cell: Cell,
        scene: &Scene,
        reference_qps: f64,
        setting: &Setting,
    ) -> io::Result<f64> {
        let (bound_qps, _) = fluid_optimum(scene);
        let between = Between {
            start_qps: START_SHARE * reference_qps,
            lowest_qps: LOWEST_SHARE * bound_qps,
            highest_qps: HIGHEST_SHARE * bound_qps,
        };
        match self {
            Self::Adaptive(_, batch) => served(cell, batch, between, setting),
            Self::FixedBest => fixed_best(cell, scene, between, setting),
            Self::Peer(_, peer) => {
                Ok(peer.goodput_qps(scene, QUANTILE, &Traffic::poisson(QUERIES, SEED)))
            }
        }
    }
}

impl FromStr for Measured {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let named = Self::ALL.into_iter().find(|measured| measured.name() == text);
        named.ok_or_else(|| format!("there is no policy {text:?}; there are {}", known()))
    }
}

fn served(cell: Cell, batch: &str, between: Between, setting: &Setting) -> io::Result<f64> {
    let stand = Stand::start(cell, setting, batch)?;
    let found = stand.goodput(QUANTILE, between, |step| {
        if setting.tells_steps {
            print_note(&format!("{batch}: {step}"));
        }
    })?;
    stand.end()?;
    Ok(found.highest_pass_qps.unwrap_or(0.0))
}

/// The best of sizes around the bound's. One after the other is tried from a rate on at which it
/// would be better than the best so far; that which is best in the simulation is first, so that few
/// of them take long.
fn fixed_best(cell: Cell, scene: &Scene, between: Between, setting: &Setting) -> io::Result<f64> {
    let mut best_qps = 0.0;
    for rows in fixed_sizes(scene, QUARTERS) {
        let start_qps = if best_qps > 0.0 { BETTER * best_qps } else { between.start_qps };
        let lowest_qps = if best_qps > 0.0 { start_qps } else { between.lowest_qps };
        if start_qps < between.highest_qps {
            let between = Between { start_qps, lowest_qps, ..between };
            best_qps = served(cell, &fixed(rows), between, setting)?.max(best_qps);
        }
    }
    Ok(best_qps)
}
