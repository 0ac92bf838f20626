//! The policies of other servers, each as well set as it can be.

use super::{Noise, Policy, Traffic, goodput_at};
use crate::goodput::Scene;

/// Delays that Triton's users try: its documentation's example is 100 µs.
const TRITON_DELAYS_NS: [f64; 4] = [0.0, 100_000.0, 1_000_000.0, 5_000_000.0];

/// A server whose policy is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub name: &'static str,
    settings: fn(&Scene) -> Vec<Policy>,
}

/// All of them.
pub const PEERS: [Peer; 4] = [
    Peer { name: "nexus", settings: nexus },
    Peer { name: "clockwork", settings: |_| vec![Policy::Clockwork] },
    Peer { name: "triton", settings: triton },
    Peer { name: "clipper", settings: |_| vec![Policy::Clipper] },
];

impl Peer {
    /// Its goodput, with the best of its settings.
    pub fn goodput_qps(&self, scene: &Scene, quantile: f64, traffic: &Traffic) -> f64 {
        let of = |policy| goodput_at(scene, policy, quantile, traffic, Noise::default());
        (self.settings)(scene).into_iter().map(of).fold(0.0, f64::max)
    }
}

/// Batches that take no longer than half of the SLO.
fn nexus(scene: &Scene) -> Vec<Policy> {
    let rows_max = scene.line().rows_within(scene.budget_ns() / 2.0).max(1);
    vec![Policy::Window { rows_max }]
}

/// Preferred sizes at even distances up to the largest that is in time, by each of the delays.
fn triton(scene: &Scene) -> Vec<Policy> {
    const SIZES: u64 = 8;
    let rows = |part: u64| (scene.rows_max() * part / SIZES).max(1);
    let of = |part| TRITON_DELAYS_NS.map(|delay_ns| Policy::Triton { rows: rows(part), delay_ns });
    (1..=SIZES).flat_map(of).collect()
}
