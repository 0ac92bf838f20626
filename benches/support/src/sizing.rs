//! How batches are sized: by a policy that adapts, or by a size that never changes.

use cutter_tools::goodput::simulation::{Noise, Policy, Traffic, goodput_at};
use cutter_tools::goodput::{Scene, fluid_optimum};

use crate::cell::Cell;
use crate::report::print_note;
use crate::stand::{Setting, check};

/// The policies of the server that adapt by themselves.
const ADAPTIVE: [&str; 2] = ["aimd", "quantile"];
/// The share that is kept in time in the simulation that sorts sizes.
const QUANTILE: f64 = 0.99;
/// Arrivals of that simulation.
const QUERIES: usize = 32_000;
const SEED: u64 = 1;

/// The policies that adapt, but those that this server's configuration refuses; of these it says
/// so.
pub fn adaptive(cell: Cell, setting: &Setting) -> Vec<&'static str> {
    let is_served = |name: &&str| match check(cell, setting, &policy(name)) {
        Ok(()) => true,
        Err(why) => {
            print_note(&format!("{name} is left out: {}", why.lines().next().unwrap_or_default()));
            false
        }
    };
    ADAPTIVE.into_iter().filter(is_served).collect()
}

/// The table `batch` of a policy.
pub fn policy(name: &str) -> String {
    format!("policy = \"{name}\"")
}

/// The table `batch` of a fixed size.
pub fn fixed(rows: u64) -> String {
    format!("policy = \"fixed\", max = {rows}")
}

/// Sizes in quarters of the bound's batch, that which is best in the simulation first.
pub fn fixed_sizes(scene: &Scene, quarters: [u64; 5]) -> Vec<u64> {
    let (_, rows) = fluid_optimum(scene);
    let sizes = quarters.map(|quarters| (rows * quarters / 4).clamp(1, scene.rows_max()));
    let traffic = Traffic::poisson(QUERIES, SEED);
    let simulated_qps =
        |rows| goodput_at(scene, Policy::Fixed { rows }, QUANTILE, &traffic, Noise::default());
    let mut sizes: Vec<(f64, u64)> = sizes.map(|rows| (simulated_qps(rows), rows)).to_vec();
    sizes.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    sizes.dedup_by_key(|(_, rows)| *rows);
    sizes.into_iter().map(|(_, rows)| rows).collect()
}
