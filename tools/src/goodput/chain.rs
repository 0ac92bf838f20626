//! The queue of one replica that always takes all that waits, under Poisson arrivals, solved.
//!
//! While a batch of `k` is served, Poisson(λ·l(k)) queries come, and are the next batch; when none
//! does, the next query is served alone. So batch sizes are a Markov chain. Its stationary
//! distribution gives the latency: one that came while `k` were served waits for a part of l(k)
//! that is uniform, and then takes l(j) among the `j` that came.
//!
//! The tails that are cut off (5 standard deviations of a Poisson distribution, 7 of the batch
//! sizes) hold less than a part in a million.

use std::f64::consts::{E, PI};

use super::Scene;
use crate::limits::CHAIN_ROWS_MAX;

const POISSON_DEVIATIONS: f64 = 5.0;
const SIZE_DEVIATIONS: f64 = 7.0;
/// The distribution has come to rest when all its shares together change by less.
const REST: f64 = 1e-7;
const TURNS_MAX: u32 = 2_000;
/// Halvings of the rates: to a part in a million.
const HALVINGS: u32 = 20;

/// T_M: the highest rate at which this quantile of the latency keeps the SLO when the replica takes
/// all that waits and drops nothing. Absent for several replicas, and for batches of more than
/// [`CHAIN_ROWS_MAX`] rows, whose chain is too large.
pub fn poisson_qps(scene: &Scene, quantile: f64) -> Option<f64> {
    if scene.replicas() != 1 || scene.rows_max() > CHAIN_ROWS_MAX {
        return None;
    }
    // From the first of these on, all would be late even in the largest batches that are not.
    let (mut keeps, mut fails) = (0.0, super::ceiling_qps(scene));
    for _ in 0..HALVINGS {
        let rate_qps = f64::midpoint(keeps, fails);
        if Chain::at(scene, rate_qps).late_share(scene.budget_ns()) <= 1.0 - quantile {
            keeps = rate_qps;
        } else {
            fails = rate_qps;
        }
    }
    Some(keeps)
}

/// Shares of consecutive whole numbers, from `first` on.
#[derive(Clone, Debug)]
struct Shares {
    first: usize,
    shares: Vec<f64>,
}

impl Shares {
    fn iter(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.shares.iter().enumerate().map(|(place, share)| (self.first + place, *share))
    }

    /// A Poisson distribution, from its middle outwards: each share is computed from the next.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few, from 0 on")]
    fn poisson(mean: f64) -> Self {
        let reach = POISSON_DEVIATIONS * mean.sqrt() + 3.0;
        let first = (mean - reach).max(0.0) as usize;
        let last = (mean + reach).ceil() as usize;
        let middle = mean as usize;
        let mut shares = vec![0.0; last - first + 1];
        shares[middle - first] = (middle as f64 * mean.ln() - mean - ln_factorial(middle)).exp();
        for at in (first..middle).rev() {
            shares[at - first] = shares[at + 1 - first] * (at + 1) as f64 / mean;
        }
        for at in middle + 1..=last {
            shares[at - first] = shares[at - 1 - first] * mean / at as f64;
        }
        Self { first, shares }
    }
}

/// Stirling's series where it is exact to ten digits, and the product below.
fn ln_factorial(n: usize) -> f64 {
    let x = n as f64;
    if n < 16 {
        return (2..=n).map(|factor| (factor as f64).ln()).sum();
    }
    x * (x / E).ln() + 0.5 * (2.0 * PI * x).ln() + 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3))
}

/// The batches of one rate.
#[derive(Debug)]
struct Chain<'a> {
    scene: &'a Scene,
    /// How many come while a batch of so many is served, by its size.
    arrivals: Vec<Shares>,
    sizes: Shares,
}

impl<'a> Chain<'a> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few, from 1 on")]
    fn at(scene: &'a Scene, rate_qps: f64) -> Self {
        let per_ns = rate_qps / 1e9;
        let load = per_ns * scene.line().per_row_ns;
        // The moments are known, and a bell between them is near the answer.
        let mean = per_ns * scene.line().fixed_ns / (1.0 - load);
        let deviation = (mean.max(1.0) / (1.0 - load * load)).sqrt();
        // In batches of twice what may be in time all are late, however much larger they are.
        let most = 2 * scene.rows_max() as usize + 16;
        let first = ((mean - SIZE_DEVIATIONS * deviation) as usize).clamp(1, most);
        let last = ((mean + SIZE_DEVIATIONS * deviation).ceil() as usize + 4).clamp(first, most);
        let arrivals = (first..=last)
            .map(|rows| Shares::poisson(per_ns * scene.line().service_ns(rows as u64)));
        let bell = |rows: usize| (-0.5 * ((rows as f64 - mean) / deviation).powi(2)).exp();
        let sizes = Shares { first, shares: (first..=last).map(bell).collect() };
        let mut chain = Self { scene, arrivals: arrivals.collect(), sizes };
        chain.settle();
        chain
    }

    /// Turns the chain until it rests.
    fn settle(&mut self) {
        let first = self.sizes.first;
        let last = first + self.sizes.shares.len() - 1;
        let mut next = vec![0.0; self.sizes.shares.len()];
        scale(&mut self.sizes.shares);
        for _ in 0..TURNS_MAX {
            next.fill(0.0);
            for (share, came) in self.sizes.shares.iter().zip(&self.arrivals) {
                for (rows, part) in came.iter() {
                    next[rows.clamp(first, last) - first] += share * part;
                }
            }
            scale(&mut next);
            let change: f64 =
                next.iter().zip(&self.sizes.shares).map(|(is, was)| (is - was).abs()).sum();
            std::mem::swap(&mut self.sizes.shares, &mut next);
            if change < REST {
                return;
            }
        }
    }

    /// Each way in which queries are served: how many of them, on average for each batch before,
    /// the time of that batch, of which they wait for a part, and the time of their own.
    fn ways(&self) -> impl Iterator<Item = (f64, f64, f64)> + '_ {
        let line = self.scene.line();
        self.sizes.iter().zip(&self.arrivals).flat_map(move |((rows, share), came)| {
            let before_ns = line.service_ns(rows as u64);
            came.iter().map(move |(next, part)| match next {
                0 => (share * part, 0.0, line.service_ns(1)),
                next => (share * part * next as f64, before_ns, line.service_ns(next as u64)),
            })
        })
    }

    /// The share of queries that take longer than the budget.
    fn late_share(&self, budget_ns: f64) -> f64 {
        let (mut late, mut all) = (0.0, 0.0);
        for (queries, before_ns, own_ns) in self.ways() {
            let over_ns = before_ns + own_ns - budget_ns;
            all += queries;
            if over_ns > 0.0 {
                late += queries * (over_ns / before_ns).min(1.0);
            }
        }
        late / all
    }
}

/// Makes them add up to 1.
fn scale(shares: &mut [f64]) {
    let sum: f64 = shares.iter().sum();
    shares.iter_mut().for_each(|share| *share /= sum);
}

#[cfg(test)]
mod tests {
    use super::super::mean_latency_max_ns;
    use super::super::scene::testing::scene;
    use super::*;

    impl Chain<'_> {
        fn mean_rows(&self) -> f64 {
            self.sizes.iter().map(|(rows, share)| rows as f64 * share).sum()
        }

        fn mean_latency_ns(&self) -> f64 {
            let ways = self.ways().map(|(queries, before_ns, own_ns)| {
                (queries, queries * (before_ns / 2.0 + own_ns))
            });
            let (all, sum) = ways.fold((0.0, 0.0), |sum, way| (sum.0 + way.0, sum.1 + way.1));
            sum / all
        }
    }

    #[test]
    fn a_poisson_distribution_has_its_shares_its_sum_and_its_mean() {
        for mean in [0.01, 0.5, 1.0, 17.3, 40.0, 900.0] {
            let shares = Shares::poisson(mean);
            let sum: f64 = shares.iter().map(|(_, share)| share).sum();
            let first: f64 = shares.iter().map(|(n, share)| n as f64 * share).sum();
            assert!((sum - 1.0).abs() < 2e-6, "{mean}: {sum}");
            assert!((first / mean - 1.0).abs() < 2e-5, "{mean}: {first}");
        }
        let known = Shares::poisson(2.0);
        let at_three = known.iter().find(|(n, _)| *n == 3).unwrap().1;
        assert!((at_three - 8.0 / 6.0 * (-2.0_f64).exp()).abs() < 1e-9, "{at_three}");
    }

    #[test]
    fn the_rates_are_those_of_the_reference_within_a_percent() {
        let rows = [
            (0.1, 1.0, 8_609.0),
            (0.1, 2.0, 7_559.0),
            (0.1, 4.0, 5_562.0),
            (0.4, 1.0, 1_990.0),
            (0.4, 2.0, 1_714.0),
            (1.0, 1.0, 696.0),
            (1.0, 2.0, 584.0),
            (1.0, 4.0, 391.0),
        ];
        for (per_row_ms, fixed_ms, known_qps) in rows {
            let found_qps = poisson_qps(&scene(per_row_ms, fixed_ms, 20, 1), 0.99).unwrap();
            assert!((found_qps / known_qps - 1.0).abs() < 0.01, "{found_qps} is not {known_qps}");
        }
    }

    #[test]
    fn a_higher_quantile_is_kept_at_a_lower_rate() {
        let scene = scene(0.4, 2.0, 20, 1);
        let rates = [0.5, 0.9, 0.99, 0.999].map(|quantile| poisson_qps(&scene, quantile).unwrap());
        assert!(rates.is_sorted_by(|a, b| a > b), "{rates:?}");
    }

    /// Both from Inoue's paper, which the chain does not know.
    #[test]
    fn the_mean_batch_and_the_mean_latency_are_those_of_the_closed_forms() {
        let scene = scene(0.1, 4.0, 20, 1);
        for rate_qps in [500.0, 2_000.0, 5_000.0, 7_000.0] {
            let chain = Chain::at(&scene, rate_qps);
            let idle = chain.arrivals.iter().zip(&chain.sizes.shares);
            let idle: f64 = idle
                .map(|(came, share)| {
                    came.iter().filter(|(n, _)| *n == 0).map(|(_, part)| part).sum::<f64>() * share
                })
                .sum();
            let (load, per_ns) = (rate_qps * 1e-4, rate_qps / 1e9);
            let mean_rows = (per_ns * 4e6 + idle) / (1.0 - load);
            assert!((chain.mean_rows() / mean_rows - 1.0).abs() < 1e-3, "{}", chain.mean_rows());
            let (most_ns, found_ns) =
                (mean_latency_max_ns(&scene, rate_qps).unwrap(), chain.mean_latency_ns());
            assert!((0.95..=1.001).contains(&(found_ns / most_ns)), "{found_ns} of {most_ns}");
        }
    }

    #[test]
    fn several_replicas_and_batches_without_end_have_no_chain() {
        assert_eq!(poisson_qps(&scene(0.1, 4.0, 20, 2), 0.99), None);
        assert_eq!(poisson_qps(&scene(0.0001, 1.0, 20, 1), 0.99), None);
    }
}
