//! Policies of batching, simulated: what becomes of a trace of arrivals.
//!
//! ```text
//!  arrivals ─▶ one queue, in order ─▶ policy: drop some, take some, begin now or later
//!                                        │ when a replica is free
//!                                        ▼
//!                                     replica: free again after l(b), more or less
//! ```
//!
//! All queries have the same SLO, so that their order is that of their deadlines. A replica is
//! given its next batch when it is free, and whoever is free first is given one first. Nothing is
//! random but what is passed in: a seed gives the same figures again.

mod peers;
mod policy;
#[cfg(test)]
mod tests;

pub use peers::{PEERS, Peer};
pub use policy::Policy;

use super::{Scene, ceiling_qps};
use crate::random::Random;
use crate::stats::rank;
use policy::{Batch, Batcher, Moment};

/// The part of a run, at its start, that does not count.
const WARM_UP_SHARE: usize = 10;
/// Of a search for the goodput: to a part in a thousand of the ceiling.
const HALVINGS: u32 = 10;
/// Rounding that makes no query late, in ns.
const ROUNDING_NS: f64 = 0.01;
/// A service time is off by no more than so many deviations.
const DEVIATIONS_MAX: f64 = 3.0;

/// Arrivals without a rate: the same at every rate, only faster.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// In mean gaps from the start.
    times: Vec<f64>,
}

impl Traffic {
    /// As from many clients that know nothing of each other.
    pub fn poisson(queries: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut at = 0.0;
        let gaps = std::iter::repeat_with(|| {
            at += random.exponential(1.0);
            at
        });
        Self { times: gaps.take(queries).collect() }
    }

    /// At this rate, in ns.
    pub fn at(&self, rate_qps: f64) -> Vec<f64> {
        self.times.iter().map(|time| time * 1e9 / rate_qps).collect()
    }
}

/// How service times differ from the line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Noise {
    /// Their deviation, as a share of what the line says; normally distributed.
    pub deviation: f64,
    pub seed: u64,
}

impl Noise {
    /// The factors of one batch after the other.
    fn factors(self) -> impl FnMut() -> f64 {
        let mut random = Random::new(self.seed);
        move || {
            if self.deviation == 0.0 {
                return 1.0;
            }
            // Box and Muller, "A Note on the Generation of Random Normal Deviates" (1958).
            let (radius, turn) = (random.exponential(2.0).sqrt(), random.next_f64());
            let normal = radius * (std::f64::consts::TAU * turn).cos();
            1.0 + self.deviation * normal.clamp(-DEVIATIONS_MAX, DEVIATIONS_MAX)
        }
    }

    /// What a policy adds to the line, so that few batches take longer than it thinks.
    fn margin(self) -> f64 {
        1.0 + 2.0 * self.deviation
    }
}

/// What became of the queries after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    pub queries: u64,
    /// Answered within the SLO.
    pub in_time: u64,
    /// Never served.
    pub dropped: u64,
    /// Those in time, per second.
    pub goodput_qps: f64,
    /// Of those that were served, in time or not; absent when none was.
    pub p50_ns: Option<f64>,
    pub p99_ns: Option<f64>,
    /// Over the whole run.
    pub batches: u64,
}

impl Outcome {
    pub fn share_in_time(&self) -> f64 {
        self.in_time as f64 / self.queries.max(1) as f64
    }
}

/// Runs a policy over ascending arrivals.
pub fn simulate(scene: &Scene, policy: Policy, arrivals_ns: &[f64], noise: Noise) -> Outcome {
    let mut batcher = Batcher::new(scene, policy, noise.margin());
    let mut factor = noise.factors();
    let mut free_ns = vec![0.0_f64; scene.replicas() as usize];
    let mut record = Record::new(scene, arrivals_ns);
    let (mut head, mut tail) = (0, 0);
    while head < arrivals_ns.len() {
        let (replica, next_free_ns) = first_free(&free_ns);
        let now_ns = free_ns[replica].max(arrivals_ns[head]);
        tail = tail.max(head);
        tail += arrivals_ns[tail..].iter().take_while(|arrival_ns| **arrival_ns <= now_ns).count();
        let moment = Moment { arrivals_ns, head, tail, now_ns, next_free_ns };
        let Batch { first, rows, start_ns } = batcher.form(replica, &moment);
        let service_ns = scene.line().service_ns(rows as u64) * factor();
        head = first + rows;
        free_ns[replica] = now_ns;
        if rows > 0 {
            free_ns[replica] = start_ns + service_ns;
            record.served(first..head, free_ns[replica]);
            batcher.served(replica, rows, service_ns);
        }
    }
    record.outcome()
}

/// The goodput of a policy: the highest rate at which this share of all queries is in time.
pub fn goodput_at(
    scene: &Scene,
    policy: Policy,
    quantile: f64,
    traffic: &Traffic,
    noise: Noise,
) -> f64 {
    let (mut keeps, mut fails) = (0.0, ceiling_qps(scene));
    for _ in 0..HALVINGS {
        let rate_qps = f64::midpoint(keeps, fails);
        let outcome = simulate(scene, policy, &traffic.at(rate_qps), noise);
        if outcome.share_in_time() >= quantile {
            keeps = rate_qps;
        } else {
            fails = rate_qps;
        }
    }
    keeps
}

/// The replica that is free first, and when the next one is.
fn first_free(free_ns: &[f64]) -> (usize, Option<f64>) {
    let (mut first, mut next_ns) = (0, f64::INFINITY);
    for (replica, ns) in free_ns.iter().enumerate().skip(1) {
        if *ns < free_ns[first] {
            next_ns = free_ns[first];
            first = replica;
        } else {
            next_ns = next_ns.min(*ns);
        }
    }
    (first, next_ns.is_finite().then_some(next_ns))
}

/// Counts what was served.
struct Record<'a> {
    scene: &'a Scene,
    arrivals_ns: &'a [f64],
    warm_up: usize,
    in_time: u64,
    batches: u64,
    latencies_ns: Vec<f64>,
}

impl<'a> Record<'a> {
    fn new(scene: &'a Scene, arrivals_ns: &'a [f64]) -> Self {
        let warm_up = arrivals_ns.len() / WARM_UP_SHARE;
        let latencies_ns = Vec::with_capacity(arrivals_ns.len());
        Self { scene, arrivals_ns, warm_up, in_time: 0, batches: 0, latencies_ns }
    }

    fn served(&mut self, queries: std::ops::Range<usize>, end_ns: f64) {
        self.batches += 1;
        let counted = queries.start.max(self.warm_up)..queries.end.max(self.warm_up);
        for arrival_ns in &self.arrivals_ns[counted] {
            let latency_ns = end_ns - arrival_ns;
            self.in_time += u64::from(latency_ns <= self.scene.budget_ns() + ROUNDING_NS);
            self.latencies_ns.push(latency_ns);
        }
    }

    fn outcome(mut self) -> Outcome {
        let counted = &self.arrivals_ns[self.warm_up..];
        let queries = counted.len() as u64;
        let span_ns = counted.last().zip(counted.first()).map_or(0.0, |(last, first)| last - first);
        let seconds = (span_ns / 1e9).max(f64::MIN_POSITIVE);
        let mut at = |quantile: f64| {
            let place = usize::try_from(rank(quantile, self.latencies_ns.len() as u64)).ok()? - 1;
            let is_known = place < self.latencies_ns.len();
            is_known.then(|| *self.latencies_ns.select_nth_unstable_by(place, f64::total_cmp).1)
        };
        let (p50_ns, p99_ns) = (at(0.5), at(0.99));
        Outcome {
            queries,
            in_time: self.in_time,
            dropped: queries - self.latencies_ns.len() as u64,
            goodput_qps: self.in_time as f64 / seconds,
            p50_ns,
            p99_ns,
            batches: self.batches,
        }
    }
}
