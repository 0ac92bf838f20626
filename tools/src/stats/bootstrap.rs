//! The ratio of two things that were measured in pairs, with an interval.
//!
//! The percentile bootstrap (Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979) of
//! the median of ln(b / a) over pairs. The median, because a run that somebody else disturbed says
//! nothing of either side and must not move the result.

use super::interval::CONFIDENCE;
use super::{median, rank};
use crate::random::Random;

/// How often the pairs are drawn anew.
pub const RESAMPLES: u32 = 10_000;

/// b / a and the ends of its interval of 95 % confidence, from pairs (a, b) of positive values.
///
/// # Panics
/// When there are no pairs.
pub fn bootstrap_ratio(pairs: &[(f64, f64)], random: &mut Random) -> (f64, f64, f64) {
    assert!(!pairs.is_empty(), "a ratio needs a pair");
    let mut logs: Vec<f64> = pairs.iter().map(|(a, b)| (b / a).ln()).collect();
    let count = u32::try_from(logs.len()).expect("runs are few");
    let ratio = median(&mut logs).exp();
    let mut drawn = vec![0.0; logs.len()];
    let mut medians = Vec::new();
    for _ in 0..RESAMPLES {
        drawn.fill_with(|| logs[random.below(count) as usize]);
        medians.push(median(&mut drawn));
    }
    medians.sort_by(f64::total_cmp);
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let at = |q: f64| {
        let index = usize::try_from(rank(q, u64::from(RESAMPLES)) - 1).unwrap_or(usize::MAX);
        medians[index.min(medians.len() - 1)].exp()
    };
    (ratio, at(tail), at(1.0 - tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_pairs_give_their_ratio_and_no_width() {
        let (ratio, low, high) = bootstrap_ratio(&[(2.0, 3.0), (4.0, 6.0)], &mut Random::new(1));
        assert!([ratio, low, high].iter().all(|found| (found - 1.5).abs() < 1e-12));
    }

    #[test]
    fn one_disturbed_run_does_not_move_the_ratio() {
        let mut pairs = vec![(1.0, 1.1); 9];
        pairs.push((1.0, 50.0));
        let (ratio, low, high) = bootstrap_ratio(&pairs, &mut Random::new(2));
        assert!((ratio - 1.1).abs() < 1e-9 && (low - 1.1).abs() < 1e-9);
        assert!((high - 1.1).abs() < 1e-9, "{high}");
    }

    #[test]
    fn intervals_cover_the_true_ratio() {
        let mut random = Random::new(3);
        let mut covers = |_: &i32| {
            let mut noise = || (0..12).map(|_| random.next_f64() - 0.5).sum::<f64>() * 0.02;
            let pairs: Vec<(f64, f64)> =
                (0..15).map(|_| (noise().exp(), 1.2 * noise().exp())).collect();
            let (_, low, high) = bootstrap_ratio(&pairs, &mut random);
            low <= 1.2 && 1.2 <= high
        };
        let covered = (0..200).filter(&mut covers).count();
        assert!((182..=200).contains(&covered), "{covered} of 200");
    }
}
