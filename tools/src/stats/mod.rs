//! The statistics of latencies. Pure functions of samples; randomness is passed in.
//!
//! ```text
//!  samples in order ─▶ warm_up ─▶ inflation ─┐
//!                                            ├▶ distribution ▸ quantiles with intervals
//!                     sorted, failed last ───┘
//!  runs of A and B  ─▶ two_samples ▸ Mann-Whitney, Cliff's delta     bootstrap ▸ ratio
//!  a share of requests, chunk by chunk ─▶ sequential ▸ below, above, undecided
//! ```
//!
//! Quantiles are order statistics of the raw samples: nothing is rounded to a bucket. Successive
//! latencies resemble each other, so intervals count fewer samples than there are (`inflation`).

pub mod bootstrap;
pub mod distribution;
pub mod inflation;
pub mod interval;
pub mod sequential;
mod special;
pub mod two_samples;
pub mod warm_up;

pub use bootstrap::bootstrap_ratio;
pub use distribution::{distribution, distribution_in_order};
pub use inflation::inflation;
pub use interval::{needs, quantile_ranks};
pub use sequential::{Decision, ShareTest};
pub use two_samples::{cliffs_delta, mann_whitney};
pub use warm_up::{WarmUpCut, warm_up};

/// The place, from 1, of the value that a share `q` of `count` values does not exceed.
///
/// A product such as 0.07 × 100 comes out a little above the whole number that is meant. It is made
/// smaller by twice what rounding can add, or else the next place would be taken.
pub fn rank(q: f64, count: u64) -> u64 {
    let place = q * count as f64 * (1.0 - 2.0 * f64::EPSILON);
    whole(place.ceil()).min(count).max(1)
}

/// The middle of the values, which are left in their order. Not a number without any.
pub fn median_of(values: &[f64]) -> f64 {
    median(&mut values.to_vec())
}

/// The middle of the values, or of the two middle ones. Not a number without any.
fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let middle = values.len() / 2;
    let is_even = values.len().is_multiple_of(2);
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    match (is_even, below.iter().copied().max_by(f64::total_cmp)) {
        (true, Some(lower)) => lower.midpoint(*upper),
        _ => *upper,
    }
}

/// Without its decimals.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of samples are not negative; the cast saturates"
)]
pub(crate) fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_is_the_least_that_covers_its_share() {
        let ranks = [0.0, 0.07, 0.5, 0.505, 0.99, 1.0, 2.0].map(|q| rank(q, 100));
        assert_eq!(ranks, [1, 7, 50, 51, 99, 100, 100]);
    }

    #[test]
    fn a_median_lies_in_the_middle() {
        assert!(median(&mut []).is_nan());
        assert_eq!([median(&mut [3.0]), median(&mut [4.0, 1.0])], [3.0, 2.5]);
        assert_eq!([median(&mut [9.0, 1.0, 2.0]), median(&mut [9.0, 1.0, 2.0, 4.0])], [2.0, 3.0]);
    }
}
