//! Where the warm-up ends, and whether what comes after it looks alike from beginning to end.
//!
//! MSER-5 (White, "An Effective Truncation Heuristic for Bias Reduction in Simulation Output",
//! 1997; White, Cobb & Spratt, "A Comparison of Five Steady-State Truncation Heuristics", 2000):
//! of batches of at least five samples, cut those at the start without which the mean of the rest
//! is known best.
//!
//! ```text
//!  batch  0 … d │ d + 1 ……………………… k      the least of  Σ (z − mean)² / (k − d)²  over d ≤ k / 2
//!        cut    │ kept
//! ```
//!
//! A batch is stood for by the logarithm of its median. A mean would be ruled by its slowest
//! request, and the logarithm makes a server that is twice as slow as far off as one that is twice
//! as fast. Two changes keep a stall in mid-run from being taken for the end of a warm-up, which
//! would hide it: a batch counts as at most three standard deviations off, and a cut is made only
//! if the run was unlike the rest from its first batches on. A third keeps the cut short: of all
//! that are nearly as good as the best, the earliest is taken.

use super::median;
use super::special::normal_two_sided;

const BATCHES_MAX: usize = 200;
/// With fewer batches nothing is said, and nothing cut.
const BATCHES_MIN: usize = 20;
const SAMPLES_PER_BATCH_MIN: usize = 5;
/// How far off a batch can count, in standard deviations.
const DEVIATIONS_MAX: f64 = 3.0;
/// How many batches at the start of a warm-up must be off, most of them, and how far.
const FIRST_BATCHES: usize = 10;
const DEVIATIONS_MIN: f64 = 1.0;
/// How much worse than the best an earlier cut may be.
const STATISTIC_TOLERANCE: f64 = 0.02;
/// A standard deviation is the median of absolute deviations times this, for normal values.
const PER_MEDIAN_DEVIATION: f64 = 1.4826;
/// Differences of less than a hundredth are no warm-up, however steady the server is.
const DEVIATION_LEAST: f64 = 0.01;
/// A trend must be as unlikely as this to be one …
const TREND_P_MAX: f64 = 0.001;
/// … and amount to more than this, as a factor, over the run.
const TREND_FACTOR_MIN: f64 = 1.1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarmUpCut {
    /// To be left out at the start.
    pub samples: usize,
    /// Whether the rest looks alike from its beginning to its end. If no cut makes it so, none is
    /// made.
    pub is_stationary: bool,
}

/// Finds the end of the warm-up of a run, from its latencies in the order in which they were due
/// (failed ones as `u64::MAX`).
pub fn warm_up(in_order_ns: &[u64]) -> WarmUpCut {
    let batches = (in_order_ns.len() / SAMPLES_PER_BATCH_MIN).min(BATCHES_MAX);
    if batches < BATCHES_MIN {
        return WarmUpCut { samples: 0, is_stationary: true };
    }
    let size = in_order_ns.len() / batches;
    let levels = levels(in_order_ns, size, batches);
    let cut = cut(&standardised(&levels));
    if cut == batches / 2 {
        return WarmUpCut { samples: 0, is_stationary: false };
    }
    WarmUpCut { samples: cut * size, is_stationary: !has_trend(&levels[cut..]) }
}

/// The logarithms of the batches' medians.
fn levels(in_order_ns: &[u64], size: usize, batches: usize) -> Vec<f64> {
    let mut batch = Vec::with_capacity(size);
    let of_batch = |samples: &[u64]| {
        batch.clear();
        batch.extend_from_slice(samples);
        let (_, middle, _) = batch.select_nth_unstable(size / 2);
        (*middle as f64).max(1.0).ln()
    };
    in_order_ns.chunks_exact(size).take(batches).map(of_batch).collect()
}

/// Distances from the level of the second half, in its standard deviations, not beyond
/// [`DEVIATIONS_MAX`].
fn standardised(levels: &[f64]) -> Vec<f64> {
    let mut later = levels[levels.len() / 2..].to_vec();
    let centre = median(&mut later);
    later.iter_mut().for_each(|level| *level = (*level - centre).abs());
    let deviation = (median(&mut later) * PER_MEDIAN_DEVIATION).max(DEVIATION_LEAST);
    let off = |level: &f64| (level - centre) / deviation;
    levels.iter().map(|level| off(level).clamp(-DEVIATIONS_MAX, DEVIATIONS_MAX)).collect()
}

/// The number of batches to cut: at most half of them, which means that no cut helps.
fn cut(off: &[f64]) -> usize {
    let (mut sum, mut squares) = (0.0, 0.0);
    let mut statistics: Vec<f64> = Vec::with_capacity(off.len());
    for (kept, value) in (1_u32..).zip(off.iter().rev()) {
        sum += value;
        squares += value * value;
        let kept = f64::from(kept);
        statistics.push((squares - sum * sum / kept) / (kept * kept));
    }
    statistics.reverse();
    let is_candidate = |cut: &usize| {
        let first = &mut off[..FIRST_BATCHES.min(*cut)].to_vec();
        *cut == 0 || median(first).abs() > DEVIATIONS_MIN
    };
    let candidates: Vec<usize> = (0..=off.len() / 2).filter(is_candidate).collect();
    let statistic = |cut: &usize| statistics[*cut];
    let least = candidates.iter().map(statistic).fold(f64::INFINITY, f64::min);
    let enough = least * (1.0 + STATISTIC_TOLERANCE);
    candidates.into_iter().find(|cut| statistic(cut) <= enough).unwrap_or(0)
}

/// Mann, "Nonparametric Tests against Trend" (1945), and the median of all slopes of Theil (1950)
/// and Sen (1968): sure that there is a trend, and that it matters.
fn has_trend(levels: &[f64]) -> bool {
    let count = levels.len() as f64;
    let mut signs = 0.0_f64;
    let mut slopes = Vec::with_capacity(levels.len() * levels.len() / 2);
    for (later, y) in levels.iter().enumerate() {
        for (earlier, x) in levels[..later].iter().enumerate() {
            signs += if y > x {
                1.0
            } else if y < x {
                -1.0
            } else {
                0.0
            };
            slopes.push((y - x) / (later - earlier) as f64);
        }
    }
    let mut sorted = levels.to_vec();
    sorted.sort_by(f64::total_cmp);
    let spread = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let ties: f64 = sorted.chunk_by(|a, b| a == b).map(|group| spread(group.len() as f64)).sum();
    let variance = (spread(count) - ties) / 18.0;
    if variance <= 0.0 {
        return false;
    }
    let z = (signs.abs() - 1.0).max(0.0) / variance.sqrt();
    let change = median(&mut slopes) * count;
    normal_two_sided(z) < TREND_P_MAX && change.abs() > TREND_FACTOR_MIN.ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::whole;
    use super::*;
    use crate::random::Random;

    /// Latencies of 100 µs with a long tail, times a factor that depends on the share of the run.
    fn run(count: u32, seed: u64, factor: impl Fn(f64) -> f64) -> Vec<u64> {
        let mut random = Random::new(seed);
        let latency_ns = |i: u32| {
            let noise = random.exponential(30_000.0);
            whole((100_000.0 + noise) * factor(f64::from(i) / f64::from(count)))
        };
        (0..count).map(latency_ns).collect()
    }

    #[test]
    fn a_stationary_run_is_hardly_cut() {
        let found: Vec<_> = (0..100).map(|seed| warm_up(&run(20_000, seed, |_| 1.0))).collect();
        for (seed, found) in found.iter().enumerate() {
            assert!(found.samples <= 1_000 && found.is_stationary, "{found:?} of seed {seed}");
        }
        let cut: usize = found.iter().map(|found| found.samples).sum();
        assert!(cut / 100 < 200, "{cut}");
    }

    #[test]
    fn a_planted_transient_is_found() {
        for (seed, length) in [0.02, 0.1, 0.3].into_iter().cycle().take(60).enumerate() {
            let slow = |at: f64| if at < length { 3.0 - 2.0 * at / length } else { 1.0 };
            let found = warm_up(&run(20_000, seed as u64, slow));
            let share = found.samples as f64 / 20_000.0;
            assert!(found.is_stationary, "{found:?} of seed {seed}");
            assert!((length * 0.8..length * 1.05 + 0.05).contains(&share), "{share} of {length}");
        }
    }

    #[test]
    fn a_server_that_begins_faster_is_cut_as_well() {
        let found = warm_up(&run(20_000, 1, |at| if at < 0.1 { 0.5 } else { 1.0 }));
        assert!((2_000..2_400).contains(&found.samples) && found.is_stationary, "{found:?}");
    }

    #[test]
    fn a_stall_in_mid_run_is_no_warm_up() {
        for (seed, start) in [0.05, 0.1, 0.2, 0.4, 0.7].into_iter().cycle().take(50).enumerate() {
            let stalled = |at: f64| if (start..start + 0.1).contains(&at) { 500.0 } else { 1.0 };
            let found = warm_up(&run(20_000, seed as u64, stalled));
            assert!(found.samples <= 800 && found.is_stationary, "{found:?} of seed {seed}");
        }
    }

    #[test]
    fn a_run_that_never_settles_is_not_stationary() {
        let growing = run(20_000, 1, |at| 1.0 + at);
        assert!(!warm_up(&growing).is_stationary);
        let late = run(20_000, 2, |at| if at < 0.7 { 2.0 } else { 1.0 });
        assert_eq!(warm_up(&late), WarmUpCut { samples: 0, is_stationary: false });
        let slightly = run(20_000, 3, |at| 1.0 + 0.05 * at);
        assert!(warm_up(&slightly).is_stationary);
        let overloaded = run(20_000, 4, |at| if at < 0.6 { 1.0 } else { 1.0 + 100.0 * (at - 0.6) });
        assert!(!warm_up(&overloaded).is_stationary);
    }

    #[test]
    fn short_runs_and_constant_runs_are_left_as_they_are() {
        let whole_run = WarmUpCut { samples: 0, is_stationary: true };
        assert_eq!(warm_up(&[]), whole_run);
        assert_eq!(warm_up(&[5; 99]), whole_run);
        assert_eq!(warm_up(&[5; 10_000]), whole_run);
        assert_eq!(warm_up(&[u64::MAX; 10_000]), whole_run);
    }

    proptest! {
        #[test]
        fn at_most_half_is_cut(latencies_ns in prop::collection::vec(any::<u64>(), 0..400)) {
            prop_assert!(warm_up(&latencies_ns).samples <= latencies_ns.len() / 2);
        }
    }
}
