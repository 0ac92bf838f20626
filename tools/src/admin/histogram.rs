//! A distribution as the engine sends it: counts by the upper edges of their buckets.
//!
//! The engine's buckets are at most 1/128 (0.8 %) wide, and their edges never move, so counts of
//! the same edge can be subtracted and added.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Times in ns, or batch sizes in rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Histogram {
    pub count: u64,
    pub sum: u64,
    /// The greatest value of all, exactly. A difference keeps that of its later side.
    pub max: u64,
    /// (upper edge, count) in the order of the edges; empty buckets are left out.
    pub buckets: Vec<(u64, u64)>,
}

impl Histogram {
    /// What was recorded after `earlier`, a state of the same histogram.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before: BTreeMap<u64, u64> = earlier.buckets.iter().copied().collect();
        let came = |&(edge, count): &(u64, u64)| {
            let count = count.saturating_sub(before.get(&edge).copied().unwrap_or(0));
            (count > 0).then_some((edge, count))
        };
        let buckets: Vec<(u64, u64)> = self.buckets.iter().filter_map(came).collect();
        Self {
            count: buckets.iter().map(|(_, count)| count).sum(),
            sum: self.sum.wrapping_sub(earlier.sum),
            max: self.max,
            buckets,
        }
    }

    /// Adds the values of another.
    pub fn merge(&mut self, other: &Self) {
        let mut sum: BTreeMap<u64, u64> = self.buckets.iter().copied().collect();
        other.buckets.iter().for_each(|(edge, count)| *sum.entry(*edge).or_default() += count);
        self.buckets = sum.into_iter().collect();
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// The value that a share `q` (0 to 1) of the values does not exceed: the upper edge of its
    /// bucket, so never less than the truth and at most 0.8 % more. `None` without any value.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        // Made smaller by twice what rounding can add, or 0.07 of 100 would be the eighth.
        let place = (q * self.count as f64 * (1.0 - 2.0 * f64::EPSILON)).ceil();
        let mut seen = 0_u64;
        let mut buckets = self.buckets.iter();
        let found = buckets.find(|(_, count)| {
            seen += count;
            seen as f64 >= place
        });
        found.map(|(edge, _)| (*edge).min(self.max))
    }

    /// The same, if at least `beyond` values are greater, so that it is more than an accident.
    pub fn supported_quantile(&self, q: f64, beyond: u64) -> Option<u64> {
        // A whole number may come out a little too small: a millionth is nobody's sample.
        let greater = (1.0 - q) * self.count as f64 + 1e-6;
        (greater >= beyond as f64).then(|| self.quantile(q)).flatten()
    }

    /// The mean, or `None` without any value.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Histogram {
        let mut buckets = BTreeMap::new();
        values.iter().for_each(|value| *buckets.entry(*value).or_default() += 1);
        Histogram {
            count: values.len() as u64,
            sum: values.iter().sum(),
            max: values.iter().copied().max().unwrap_or(0),
            buckets: buckets.into_iter().collect(),
        }
    }

    #[test]
    fn an_empty_histogram_has_no_quantile_and_no_mean() {
        assert_eq!((of(&[]).quantile(0.5), of(&[]).mean()), (None, None));
    }

    #[test]
    fn a_share_that_floating_point_rounds_up_does_not_take_the_next_value() {
        let values: Vec<u64> = (1..=100).collect();
        let quantiles = [0.0, 0.07, 0.5, 0.99, 1.0].map(|q| of(&values).quantile(q));
        assert_eq!(quantiles, [1, 7, 50, 99, 100].map(Some));
    }

    #[test]
    fn a_quantile_with_too_few_values_beyond_it_is_none() {
        let values: Vec<u64> = (1..=500).collect();
        assert_eq!(of(&values).supported_quantile(0.99, 5), Some(495));
        assert_eq!(of(&values[1..]).supported_quantile(0.99, 5), None);
    }

    #[test]
    fn the_last_edge_stands_for_the_greatest_value() {
        let beyond = Histogram { count: 1, sum: 70, max: 70, buckets: vec![(u64::MAX, 1)] };
        assert_eq!(beyond.quantile(0.5), Some(70));
    }

    proptest! {
        #[test]
        fn what_came_between_and_what_was_before_make_the_whole(
            before in prop::collection::vec(1_u64..50, 0..60),
            between in prop::collection::vec(1_u64..50, 0..60),
        ) {
            let earlier = of(&before);
            let later = of(&[before, between.clone()].concat());
            let came = later.since(&earlier);
            prop_assert_eq!(&came.buckets, &of(&between).buckets);
            prop_assert_eq!((came.count, came.sum), (of(&between).count, of(&between).sum));
            let mut whole = earlier;
            whole.merge(&came);
            prop_assert_eq!(whole, later);
        }
    }
}
