//! Intervals of quantiles, by order statistics.
//!
//! Of `n` independent samples, the number below the true quantile is binomial, whatever the
//! distribution. So two sorted samples enclose the quantile with a chance that is known: Hahn &
//! Meeker, "Statistical Intervals" (1991), section 5.2; David & Nagaraja, "Order Statistics"
//! (2003), section 7.1.
//!
//! ```text
//!  sorted:  1 ………… low ····· q·n ········ high … n     the tail beyond each: 2.5 %
//! ```

use super::special::binomial_at_least;
use super::whole;

/// The confidence of an interval, and what may be lost on either side.
pub const CONFIDENCE: f64 = 0.95;
const TAIL: f64 = (1.0 - CONFIDENCE) / 2.0;

/// The least number of samples that can support a quantile: its interval must end at or before the
/// largest of them, so 1 − qⁿ must be at least 97.5 %.
///
/// `inflation` is how many samples count as one ([`inflation`](super::inflation())).
pub fn needs(q: f64, inflation: f64) -> u64 {
    if q >= 1.0 {
        return u64::MAX;
    }
    let independent = (TAIL.ln() / q.max(0.0).ln() - 1e-9).ceil().max(1.0);
    whole((independent * inflation.max(1.0)).ceil())
}

/// The ranks, from 1, of the two sorted samples that enclose the quantile `q` with 95 % confidence.
/// Nothing when `n` samples, of which `inflation` count as one, have nothing to enclose it with.
///
/// Where the interval would begin below the smallest sample, it begins with it.
pub fn quantile_ranks(n: u64, q: f64, inflation: f64) -> Option<(u64, u64)> {
    if n < needs(q, inflation) {
        return None;
    }
    let independent = independent(n, inflation);
    let high = first(1, independent, |k| binomial_at_least(k, independent, q) <= TAIL);
    let high = whole((high as f64 * spread(n, independent)).ceil()).min(n);
    Some((low_rank(n, q, inflation), high))
}

/// The lower of the two: there is one for any number of samples.
pub fn low_rank(n: u64, q: f64, inflation: f64) -> u64 {
    let independent = independent(n, inflation);
    let at_most = |k: u64| 1.0 - binomial_at_least(k + 1, independent, q);
    let low = first(0, independent, |k| at_most(k) > TAIL);
    whole((low as f64 * spread(n, independent)).floor()).max(1)
}

/// An interval is that of fewer, independent samples, whose places are then found among all.
fn independent(n: u64, inflation: f64) -> u64 {
    whole(n as f64 / inflation.max(1.0)).clamp(1, n.max(1))
}

fn spread(n: u64, independent: u64) -> f64 {
    (n as f64 + 1.0) / (independent as f64 + 1.0)
}

/// The highest quantile that `n` samples support.
pub fn highest_quantile(n: u64, inflation: f64) -> f64 {
    let independent = (n as f64 / inflation.max(1.0)).floor();
    if independent < 1.0 { 0.0 } else { TAIL.powf(1.0 / independent) }
}

/// The first number from `low` on that is so, given that all after it are; `high` when none is.
fn first(mut low: u64, mut high: u64, is_so: impl Fn(u64) -> bool) -> u64 {
    while low < high {
        let middle = low.midpoint(high);
        if is_so(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::Random;
    use crate::stats::rank;

    #[test]
    fn intervals_of_the_median_are_those_of_the_tables() {
        // Tables for the sign test: the largest d with P(B < d) <= 0.025, and n + 1 - d.
        let table = [(6, 1, 6), (10, 2, 9), (20, 6, 15), (25, 8, 18), (50, 18, 33), (100, 40, 61)];
        for (n, low, high) in table {
            assert_eq!(quantile_ranks(n, 0.5, 1.0), Some((low, high)), "{n}");
        }
    }

    #[test]
    fn a_quantile_needs_the_samples_that_can_lie_beyond_it() {
        let needed = [0.5, 0.9, 0.99, 0.999, 0.9999].map(|q| needs(q, 1.0));
        assert_eq!(needed, [6, 36, 368, 3_688, 36_887]);
        assert_eq!((needs(0.99, 2.5), needs(0.0, 1.0), needs(1.0, 1.0)), (920, 1, u64::MAX));
        for (q, n) in [0.5, 0.9, 0.99, 0.999, 0.9999].into_iter().zip(needed) {
            assert_eq!(quantile_ranks(n - 1, q, 1.0), None, "{q}");
            assert_eq!(quantile_ranks(n, q, 1.0).unwrap().1, n, "{q}");
            assert!(highest_quantile(n, 1.0) >= q && highest_quantile(n - 1, 1.0) < q, "{q}");
        }
    }

    #[test]
    fn the_longest_run_has_narrow_intervals() {
        let (low, high) = quantile_ranks(32_000_000, 0.999, 1.0).unwrap();
        let deviation = (32_000_000.0 * 0.999 * 0.001_f64).sqrt();
        assert!((31_968_000.0 - low as f64 - 1.96 * deviation).abs() < 3.0, "{low}");
        assert!((high as f64 - 31_968_000.0 - 1.96 * deviation).abs() < 3.0, "{high}");
    }

    /// How many of 2,000 runs have the quantile inside its interval, as a share.
    fn coverage(n: u64, q: f64, inflation: f64, mut run: impl FnMut() -> Vec<f64>) -> f64 {
        let (low, high) = quantile_ranks(n, q, inflation).unwrap();
        let covers = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            let value = |rank: u64| values[usize::try_from(rank - 1).unwrap()];
            value(low) <= q && q <= value(high)
        };
        (0..2_000).filter(|_| covers(run())).count() as f64 / 2_000.0
    }

    #[test]
    fn intervals_of_independent_samples_cover_the_truth() {
        let mut random = Random::new(1);
        for (n, q) in [(50, 0.5), (500, 0.99), (400, 0.9)] {
            let run = || (0..n).map(|_| random.next_f64()).collect();
            let covered = coverage(n, q, 1.0, run);
            assert!((0.94..0.99).contains(&covered), "{covered} of {n} for {q}");
        }
    }

    #[test]
    fn intervals_of_samples_that_come_in_groups_cover_the_truth_when_inflated() {
        // Each value four times: four samples count as one.
        let mut random = Random::new(2);
        let mut run = || (0..500).map(|_| random.next_f64()).flat_map(|x| [x; 4]).collect();
        let inflated = coverage(2_000, 0.95, 4.0, &mut run);
        let plain = coverage(2_000, 0.95, 1.0, &mut run);
        assert!((0.94..0.98).contains(&inflated), "{inflated}");
        assert!(plain < 0.75, "{plain}");
    }

    proptest! {
        #[test]
        fn an_interval_encloses_its_quantile_and_stays_inside_the_samples(
            n in 1_u64..100_000,
            q in 0.001..0.9999,
            inflation in 1.0..20.0,
        ) {
            if let Some((low, high)) = quantile_ranks(n, q, inflation) {
                prop_assert!(1 <= low && low <= high && high <= n);
                prop_assert!(low <= rank(q, n) && rank(q, n) <= high, "{low} {high}");
            }
        }

        #[test]
        fn inflation_widens(n in 4_000_u64..100_000, q in 0.01..0.99, inflation in 1.5..8.0) {
            let (low, high) = quantile_ranks(n, q, 1.0).unwrap();
            let (lower, higher) = quantile_ranks(n, q, inflation).unwrap();
            prop_assert!(lower <= low && high <= higher);
        }
    }
}
