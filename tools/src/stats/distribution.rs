//! A distribution of times from its samples. Failed requests rank above every answer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};

use super::inflation::inflation;
use super::interval::{highest_quantile, low_rank, needs, quantile_ranks};
use super::rank;
use crate::limits::LATENCY_NS_MAX;
use crate::result::load::{Distribution, QuantileResult, QuantileState};

/// Points of a curve.
const CURVE_POINTS: u32 = 200;
/// Significant digits of the histogram that goes into the result file.
const HISTOGRAM_DIGITS: u8 = 3;
/// What a failed request has for a time, where order is all that matters.
const FAILED_NS: u64 = u64::MAX;

/// The distribution of a run's samples, given in the order in which they were due; `None` for a
/// request that was never answered. Intervals allow for the likeness of neighbours.
pub fn distribution_in_order(
    latencies: impl IntoIterator<Item = Option<u64>>,
    quantiles: &[f64],
) -> Distribution {
    let in_order_ns: Vec<u64> =
        latencies.into_iter().map(|latency_ns| latency_ns.unwrap_or(FAILED_NS)).collect();
    let mut sorted_ns = in_order_ns.clone();
    sorted_ns.sort_unstable();
    let answered = sorted_ns.partition_point(|&ns| ns < FAILED_NS);
    let failed = (sorted_ns.len() - answered) as u64;
    sorted_ns.truncate(answered);
    of_sorted(&sorted_ns, failed, quantiles, |q| {
        // A quantile among the failed: nothing but failing is above the slowest answer.
        let at = at_rank(&sorted_ns, rank(q, in_order_ns.len() as u64));
        let threshold_ns = at.or(sorted_ns.last().copied()).unwrap_or(0);
        inflation(&in_order_ns, threshold_ns)
    })
}

/// The distribution of the times of those that were answered, in any order, and the number of those
/// that were not. `inflation` says for a quantile how many samples count as one.
pub fn distribution(
    answered_ns: &mut [u64],
    failed: u64,
    quantiles: &[f64],
    inflation: impl Fn(f64) -> f64,
) -> Distribution {
    answered_ns.sort_unstable();
    of_sorted(answered_ns, failed, quantiles, inflation)
}

fn of_sorted(
    sorted_ns: &[u64],
    failed: u64,
    quantiles: &[f64],
    inflation: impl Fn(f64) -> f64,
) -> Distribution {
    let answered = sorted_ns.len();
    let sum: u128 = sorted_ns.iter().map(|&ns| u128::from(ns)).sum();
    Distribution {
        count: answered as u64 + failed,
        failed,
        min_ns: sorted_ns.first().copied().unwrap_or(0),
        mean_ns: if answered == 0 { 0.0 } else { sum as f64 / answered as f64 },
        max_ns: sorted_ns.last().copied().unwrap_or(0),
        quantiles: quantiles
            .iter()
            .map(|&quantile| quantile_result(sorted_ns, failed, quantile, inflation(quantile)))
            .collect(),
        curve: curve(sorted_ns, failed),
        histogram: histogram(sorted_ns),
    }
}

/// The count of all samples decides whether a quantile is told. How alike neighbours are decides
/// how far its interval reaches: beyond the slowest sample, when too few of them are independent.
fn quantile_result(sorted_ns: &[u64], failed: u64, q: f64, inflation: f64) -> QuantileResult {
    let count = sorted_ns.len() as u64 + failed;
    let needs = needs(q, 1.0);
    let is_supported = count >= needs;
    let at =
        |rank: Option<u64>| rank.filter(|_| is_supported).and_then(|rank| at_rank(sorted_ns, rank));
    let value_ns = at(Some(rank(q, count)));
    QuantileResult {
        quantile: q,
        value_ns,
        low_ns: at(Some(low_rank(count, q, inflation))),
        high_ns: at(quantile_ranks(count, q, inflation).map(|(_, high)| high)),
        state: match (is_supported, value_ns) {
            (false, _) => QuantileState::Unsupported,
            (true, None) => QuantileState::Failed,
            (true, Some(_)) => QuantileState::Measured,
        },
        needs,
    }
}

/// The sample of a rank, if it is one of those that were answered.
fn at_rank(sorted_ns: &[u64], rank: u64) -> Option<u64> {
    sorted_ns.get(usize::try_from(rank - 1).ok()?).copied()
}

/// Points at even distances on the axis of `HdrHistogram`'s plots, ln(1 / (1 − q)), from the
/// smallest sample to the highest quantile that is supported, or to the last answer.
fn curve(sorted_ns: &[u64], failed: u64) -> Vec<(f64, u64)> {
    let count = sorted_ns.len() as u64 + failed;
    let end = -(-highest_quantile(count, 1.0)).ln_1p();
    let points = (0..=CURVE_POINTS).map_while(|point| {
        let q = -(-end * f64::from(point) / f64::from(CURVE_POINTS)).exp_m1();
        at_rank(sorted_ns, rank(q, count)).map(|ns| (q, ns))
    });
    if end > 0.0 { points.collect() } else { Vec::new() }
}

fn histogram(sorted_ns: &[u64]) -> String {
    let mut histogram = Histogram::<u64>::new_with_max(LATENCY_NS_MAX, HISTOGRAM_DIGITS)
        .expect("an hour and three digits are within what a histogram can be made for");
    sorted_ns.iter().for_each(|&ns| histogram.saturating_record(ns));
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(&histogram, &mut bytes)
        .expect("a vector takes whatever is written");
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::Deserializer;
    use proptest::prelude::*;

    use super::*;
    use crate::random::Random;

    fn independent(samples: &mut [u64], failed: u64, quantiles: &[f64]) -> Distribution {
        distribution(samples, failed, quantiles, |_| 1.0)
    }

    #[test]
    fn quantiles_are_samples_with_the_samples_around_them() {
        let mut samples: Vec<u64> = (1..=100).rev().collect();
        let found = independent(&mut samples, 0, &[0.5, 0.9]);
        let of = |quantile: &QuantileResult| (quantile.low_ns, quantile.value_ns, quantile.high_ns);
        assert_eq!(of(&found.quantiles[0]), (Some(40), Some(50), Some(61)));
        assert_eq!(found.quantiles[1].value_ns, Some(90));
        assert_eq!((found.count, found.min_ns, found.max_ns), (100, 1, 100));
        assert_eq!(found.mean_ns, 50.5);
        assert_eq!(found.quantiles[1].state, QuantileState::Measured);
    }

    #[test]
    fn a_quantile_without_enough_samples_is_not_given() {
        let mut samples: Vec<u64> = (0..367).collect();
        let found = independent(&mut samples, 0, &[0.99]).quantiles.remove(0);
        assert_eq!((found.value_ns, found.low_ns, found.high_ns), (None, None, None));
        assert_eq!((found.state, found.needs), (QuantileState::Unsupported, 368));
    }

    #[test]
    fn an_interval_without_an_upper_end_is_one_of_too_few_independent_samples() {
        let mut samples: Vec<u64> = (1..=700).collect();
        let found = distribution(&mut samples, 0, &[0.99], |_| 2.0).quantiles.remove(0);
        assert_eq!((found.state, found.value_ns), (QuantileState::Measured, Some(693)));
        assert_eq!((found.high_ns, found.needs), (None, 368));
        assert!(found.low_ns.unwrap() < 693);
    }

    #[test]
    fn failed_requests_are_slower_than_every_answer() {
        let mut samples: Vec<u64> = (1..=9_900).collect();
        let found = independent(&mut samples, 100, &[0.5, 0.989, 0.995]);
        assert_eq!((found.count, found.failed), (10_000, 100));
        assert_eq!(found.quantiles[0].value_ns, Some(5_000));
        let reaching = &found.quantiles[1];
        assert_eq!((reaching.value_ns, reaching.high_ns), (Some(9_890), None));
        assert_eq!(reaching.state, QuantileState::Measured);
        let among = &found.quantiles[2];
        assert_eq!((among.value_ns, among.high_ns), (None, None));
        assert_eq!(among.state, QuantileState::Failed);
        assert!(found.curve.iter().all(|&(q, ns)| q <= 0.99 && ns <= 9_900));
        assert!(found.curve.last().unwrap().0 > 0.98);
    }

    #[test]
    fn a_run_without_any_answer_has_no_times() {
        let found = independent(&mut [], 1_000, &[0.5]);
        assert_eq!(found.quantiles[0].state, QuantileState::Failed);
        assert_eq!((found.min_ns, found.mean_ns, found.max_ns), (0, 0.0, 0));
        assert_eq!((found.curve.len(), found.count), (0, 1_000));
        let empty = independent(&mut [], 0, &[0.5]);
        assert_eq!(empty.quantiles[0].state, QuantileState::Unsupported);
        let in_order = distribution_in_order(vec![None; 1_000], &[0.5, 0.99]);
        assert_eq!(in_order.quantiles[1].state, QuantileState::Failed);
    }

    #[test]
    fn the_curve_goes_in_even_steps_to_the_highest_quantile_that_is_supported() {
        let mut samples: Vec<u64> = (1..=36_887).collect();
        let curve = independent(&mut samples, 0, &[0.5]).curve;
        assert_eq!(curve[0], (0.0, 1));
        assert!(curve.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
        let (last, _) = curve[CURVE_POINTS as usize];
        assert!((last - 0.9999).abs() < 1e-8, "{last}");
        let step = |at: usize| ((1.0 - curve[at].0) / (1.0 - curve[at + 1].0)).ln();
        assert!((step(0) - step(150)).abs() < 1e-6);
    }

    #[test]
    fn the_histogram_is_read_back_by_its_library() {
        let mut samples = [1_000, 2_000_000, u64::MAX - 1];
        let text = independent(&mut samples, 0, &[]).histogram;
        let bytes = STANDARD.decode(text).unwrap();
        let back: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
        assert_eq!((back.len(), back.min()), (3, 1_000));
        assert!(back.max() >= LATENCY_NS_MAX);
    }

    #[test]
    fn intervals_of_a_server_with_a_memory_cover_the_truth() {
        // ln(latency) is autoregressive: x' = 0.9 x + noise, so its marginal has deviation 2.294,
        // noise being uniform over ±√3. The median is 0 by symmetry.
        let mut random = Random::new(7);
        let mut run = || {
            let mut x = 0.0_f64;
            let mut next = || {
                x = 0.9 * x + (random.next_f64() * 2.0 - 1.0) * 3.0_f64.sqrt();
                super::super::whole(x.exp() * 1e6)
            };
            (0..10_200).map(|_| next()).skip(200).collect::<Vec<u64>>()
        };
        let (mut covered, mut plainly) = (0, 0);
        for _ in 0..75 {
            let mut samples = run();
            let found = distribution_in_order(samples.iter().copied().map(Some), &[0.5]);
            let plain = independent(&mut samples, 0, &[0.5]);
            let covers = |found: &QuantileResult| {
                (found.low_ns.unwrap()..=found.high_ns.unwrap()).contains(&1_000_000)
            };
            covered += u32::from(covers(&found.quantiles[0]));
            plainly += u32::from(covers(&plain.quantiles[0]));
        }
        assert!(covered >= 68, "{covered} of 75");
        assert!(plainly < 50, "{plainly} of 75");
    }

    proptest! {
        #[test]
        fn values_are_order_statistics_and_lie_inside_their_intervals(
            mut samples in prop::collection::vec(0..1_000_000_u64, 1..500),
            failed in 0..100_u64,
            q in 0.0..0.99,
        ) {
            let found = independent(&mut samples, failed, &[q]).quantiles.remove(0);
            let mut all: Vec<Option<u64>> = samples.iter().copied().map(Some).collect();
            all.extend((0..failed).map(|_| None));
            let truth = all[usize::try_from(rank(q, all.len() as u64)).unwrap() - 1];
            let is_supported = found.state != QuantileState::Unsupported;
            prop_assert_eq!(is_supported, all.len() as u64 >= found.needs);
            prop_assert_eq!(found.value_ns, truth.filter(|_| is_supported));
            prop_assert!(found.low_ns.unwrap_or(0) <= found.value_ns.unwrap_or(u64::MAX));
            prop_assert!(found.high_ns.unwrap_or(u64::MAX) >= found.value_ns.unwrap_or(0));
        }
    }
}
