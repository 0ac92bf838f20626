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
    logs.sort_by(f64::total_cmp);
    // How often each was drawn is enough: their order is known.
    let mut drawn = vec![0; logs.len()];
    let mut medians = Vec::new();
    for _ in 0..RESAMPLES {
        drawn.fill(0);
        (0..count).for_each(|_| drawn[random.below(count) as usize] += 1);
        medians.push(median_of_drawn(&logs, &drawn));
    }
    medians.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let at = |q: f64| {
        let index = usize::try_from(rank(q, u64::from(RESAMPLES)) - 1).unwrap_or(usize::MAX);
        medians[index.min(medians.len() - 1)].exp()
    };
    (ratio, at(tail), at(1.0 - tail))
}

/// The median of as many values as there are, each of which was drawn so often.
fn median_of_drawn(sorted: &[f64], drawn: &[usize]) -> f64 {
    let at = |place: usize| {
        let mut until = 0;
        let is_there = |count: &usize| {
            until += count;
            until > place
        };
        sorted[drawn.iter().position(is_there).expect("as many are drawn as there are")]
    };
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { at(middle - 1).midpoint(at(middle)) } else { at(middle) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_what_was_drawn_is_that_of_the_values_drawn() {
        let mut random = Random::new(4);
        for count in 1..12_u32 {
            let sorted: Vec<f64> = (0..count).map(|at| f64::from(at * at)).collect();
            let mut drawn = vec![0; sorted.len()];
            (0..count).for_each(|_| drawn[random.below(count) as usize] += 1);
            let values = sorted.iter().zip(&drawn);
            let mut values: Vec<f64> =
                values.flat_map(|(value, times)| vec![*value; *times]).collect();
            assert_eq!(median_of_drawn(&sorted, &drawn), median(&mut values), "{drawn:?}");
        }
    }

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
