//! A distribution: counts by the upper edges of their buckets.
//!
//! The engine's buckets are at most 1/128 (0.8 %) wide, and their edges never move, so counts of
//! the same edge can be subtracted and added. Those that hold nothing are left out.
//!
//! ```text
//!   buckets    (3, 2)   (258, 1)   (u64::MAX, 1)     two values up to 3, one of 257 or 258,
//!                                                    one beyond all edges: at most `max`
//! ```
//!
//! Invariant of those that were made here: the edges rise, and `count` is the sum of the counts.
//! One that was read may be anything: then figures are wrong, and nothing panics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Times in ns, or batch sizes in rows: what holds it says which.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// How many values were recorded.
    pub count: u64,
    /// The sum of the values, modulo 2^64.
    pub sum: u64,
    /// The greatest value, exactly; of a difference, the upper edge of its bucket.
    pub max: u64,
    /// (upper edge, count), by rising edges. What is beyond the range has the edge `u64::MAX`.
    pub buckets: Vec<(u64, u64)>,
}

impl Histogram {
    /// From the buckets in the order of their edges, empty ones among them or not, and what is
    /// known besides.
    #[must_use]
    pub fn new(buckets: impl IntoIterator<Item = (u64, u64)>, sum: u64, max: u64) -> Self {
        let buckets: Vec<_> = buckets.into_iter().filter(|(_, count)| *count > 0).collect();
        Self { count: sum_of_counts(&buckets), sum, max, buckets }
    }

    /// What was recorded after `earlier`, a state of the same histogram.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before: BTreeMap<u64, u64> = earlier.buckets.iter().copied().collect();
        let came = self.buckets.iter().map(|&(edge, count)| {
            (edge, count.saturating_sub(before.get(&edge).copied().unwrap_or(0)))
        });
        let mut came = Self::new(came, self.sum.wrapping_sub(earlier.sum), self.max);
        came.max = came.buckets.last().map_or(0, |(edge, _)| (*edge).min(self.max));
        came
    }

    /// Adds the values of another of the same unit.
    pub fn merge(&mut self, other: &Self) {
        let mut counts: BTreeMap<u64, u64> = self.buckets.iter().copied().collect();
        for (edge, count) in &other.buckets {
            let sum = counts.entry(*edge).or_default();
            *sum = sum.saturating_add(*count);
        }
        let max = self.max.max(other.max);
        *self = Self::new(counts, self.sum.wrapping_add(other.sum), max);
    }

    /// The value that a share `q` (0 to 1) of the values does not exceed, or `None` without any.
    ///
    /// It is the upper edge of the value's bucket: never less than the truth, and at most 0.8 %
    /// more. `quantile(1.0)` is the maximum.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let rank = rank_of(q, self.count);
        let mut seen = 0_u64;
        let found = self.buckets.iter().find(|(_, count)| {
            seen = seen.saturating_add(*count);
            seen >= rank
        });
        found.map(|(edge, _)| (*edge).min(self.max))
    }

    /// The same, if at least `beyond` values are greater, so that it is more than an accident.
    #[must_use]
    pub fn supported_quantile(&self, q: f64, beyond: u64) -> Option<u64> {
        // A whole number may come out a little too small: a millionth is nobody's sample.
        let greater = (1.0 - q) * self.count as f64 + 1e-6;
        (greater >= beyond as f64).then(|| self.quantile(q)).flatten()
    }

    /// The mean of the values, or `None` without any.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// How many values are at most `value`. Exact when that is the upper edge of a bucket; else
    /// those in its own bucket are not counted.
    #[must_use]
    pub fn count_at_most(&self, value: u64) -> u64 {
        let below = self.buckets.iter().filter(|(edge, _)| *edge <= value);
        below.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

fn sum_of_counts(buckets: &[(u64, u64)]) -> u64 {
    buckets.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
}

/// The place, from 1, of the value that a share `q` of `count` values does not exceed.
///
/// A product such as 0.07 × 100 comes out a little above the whole number that is meant. It is made
/// smaller by twice what rounding can add, or else the next place would be taken.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and the place is then put within 1 and count"
)]
fn rank_of(q: f64, count: u64) -> u64 {
    let place = q * count as f64 * (1.0 - 2.0 * f64::EPSILON);
    (place.ceil() as u64).min(count).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each value in a bucket of its own.
    fn of(values: &[u64]) -> Histogram {
        let mut buckets = BTreeMap::new();
        values.iter().for_each(|value| *buckets.entry(*value).or_default() += 1);
        let max = values.iter().copied().max().unwrap_or(0);
        Histogram::new(buckets, values.iter().sum(), max)
    }

    fn up_to(last: u64) -> Histogram {
        of(&(1..=last).collect::<Vec<_>>())
    }

    #[test]
    fn an_empty_histogram_has_no_quantile_and_no_mean() {
        let empty = Histogram::default();
        assert_eq!((empty.quantile(0.5), empty.mean(), of(&[])), (None, None, empty));
    }

    #[test]
    fn buckets_that_hold_nothing_are_left_out() {
        let histogram = Histogram::new([(1, 0), (2, 3), (3, 0)], 6, 2);
        assert_eq!((histogram.count, histogram.buckets.as_slice()), (3, &[(2, 3)][..]));
    }

    #[test]
    fn a_share_that_floating_point_rounds_up_does_not_take_the_next_value() {
        let quantiles = [0.0, 0.07, 0.5, 0.99, 0.999, 1.0].map(|q| up_to(100).quantile(q));
        assert_eq!(quantiles, [1, 7, 50, 99, 100, 100].map(Some));
    }

    #[test]
    fn a_quantile_outside_zero_to_one_is_the_nearest_inside() {
        let quantiles = [-1.0, f64::NAN, 2.0].map(|q| of(&[3, 5]).quantile(q));
        assert_eq!(quantiles, [3, 3, 5].map(Some));
    }

    #[test]
    fn a_quantile_never_exceeds_the_maximum() {
        let beyond = Histogram::new([(64, 1), (u64::MAX, 1)], 130, 70);
        assert_eq!([0.5, 1.0].map(|q| beyond.quantile(q)), [64, 70].map(Some));
        assert_eq!(Histogram::new([(72, 1)], 70, 70).quantile(0.5), Some(70));
    }

    #[test]
    fn a_quantile_with_too_few_values_beyond_it_is_none() {
        assert_eq!(up_to(500).supported_quantile(0.99, 5), Some(495));
        assert_eq!(up_to(499).supported_quantile(0.99, 5), None);
    }

    #[test]
    fn the_maximum_of_a_difference_is_the_edge_of_its_bucket_and_no_more_than_the_maximum() {
        let before = Histogram::new([(10, 1), (2_048, 1)], 2_010, 2_000);
        let after = Histogram::new([(10, 1), (32, 2), (2_048, 1)], 2_070, 2_000);
        let between = after.since(&before);
        assert_eq!((between.count, between.sum, between.max), (2, 60, 32));
        assert_eq!(between.quantile(1.0), Some(32));
        assert_eq!(after.since(&Histogram::default()).max, 2_000);
        assert_eq!(after.since(&after), Histogram::default());
    }

    #[test]
    fn a_value_on_an_edge_counts_as_at_most_that_edge() {
        let histogram = Histogram::new([(1_000, 2), (1_008, 1), (u64::MAX, 4)], 0, 9_999);
        let counts = [999, 1_000, 1_007, 1_008, u64::MAX].map(|edge| histogram.count_at_most(edge));
        assert_eq!(counts, [0, 2, 2, 3, 7]);
    }

    #[test]
    fn nonsense_that_was_read_is_answered_with_nonsense() {
        let json = r#"{ "count": 9, "sum": 1, "max": 5, "buckets": [[7, 18446744073709551615],
            [2, 0], [2, 18446744073709551615]] }"#;
        let mut read: Histogram = serde_json::from_str(json).unwrap();
        assert_eq!(read.count_at_most(u64::MAX), u64::MAX);
        assert_eq!((read.quantile(0.5), read.since(&up_to(9)).count), (Some(5), u64::MAX));
        read.merge(&read.clone());
        assert_eq!(read.count, u64::MAX);
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_the_sorted_values(
            mut values in prop::collection::vec(1_u64..1_000_000, 1..200),
            permille in 0_usize..=1_000,
        ) {
            let found = of(&values).quantile(permille as f64 / 1_000.0);
            values.sort_unstable();
            let rank = (permille * values.len()).div_ceil(1_000).max(1);
            prop_assert_eq!(found, Some(values[rank - 1]));
        }

        #[test]
        fn what_came_between_and_what_was_before_make_the_whole(
            before in prop::collection::vec(1_u64..50, 0..60),
            between in prop::collection::vec(1_u64..50, 0..60),
        ) {
            let earlier = of(&before);
            let later = of(&[before, between.clone()].concat());
            let came = later.since(&earlier);
            prop_assert_eq!(&came, &of(&between));
            let mut whole = earlier;
            whole.merge(&came);
            prop_assert_eq!(whole, later);
        }
    }
}
