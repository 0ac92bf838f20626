//! A histogram at one instant, in plain memory, to be read at leisure. Not for the engine thread.

use super::histogram::{bucket_of, upper_edge};

/// The edges, in ns, at which times are exposed: 1 µs times the powers of two, up to 67.1 s.
///
/// Each is a bucket's upper edge (asserted below), so nothing is interpolated.
pub const TIME_EDGES_NS: [u64; 27] = {
    let mut edges_ns = [0; 27];
    let mut i = 0;
    while i < edges_ns.len() {
        edges_ns[i] = 1_000 << i;
        i += 1;
    }
    edges_ns
};

/// The edges, in rows, at which batch sizes are exposed: the powers of two up to 4,096.
pub const BATCH_EDGES_ROWS: [u64; 13] =
    [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096];

const _: () = assert!(are_bucket_edges(&TIME_EDGES_NS));
const _: () = assert!(are_bucket_edges(&BATCH_EDGES_ROWS));

/// A copy of a histogram's counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    buckets: Vec<u64>,
    count: u64,
    sum: u64,
    max: u64,
}

impl Snapshot {
    pub(super) fn new(buckets: Vec<u64>, sum: u64, max: u64) -> Self {
        let count = buckets.iter().sum();
        Self { buckets, count, sum, max }
    }

    /// How many values were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sum of the values.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The greatest value, exactly; after [`Snapshot::since`] within the precision of a bucket.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The mean of the values, or `None` without any.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// The value that a share `q` (0 to 1) of the values does not exceed, or `None` without any.
    ///
    /// It is the upper edge of the value's bucket: never less than the truth, and at most 0.8 %
    /// more. `quantile(1.0)` is the maximum.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let rank = rank_of(q, self.count);
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|&count| {
            seen += count;
            count > 0 && seen >= rank
        })?;
        Some(self.edge_below_max(bucket))
    }

    /// The buckets that hold anything: upper edge and count. What is beyond the range has the
    /// edge `u64::MAX`. Edges never move, so that two snapshots can be compared elsewhere.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let beyond = self.buckets.len() - 1;
        let edge = move |bucket| if bucket == beyond { u64::MAX } else { upper_edge(bucket) };
        let counts = self.buckets.iter().enumerate();
        counts.filter(|(_, count)| **count > 0).map(move |(bucket, count)| (edge(bucket), *count))
    }

    /// How many values are at most `value`. Exact when `value` is the upper edge of a bucket, as
    /// all of [`TIME_EDGES_NS`] and [`BATCH_EDGES_ROWS`] are; else all of its bucket is counted.
    #[must_use]
    pub fn count_at_most(&self, value: u64) -> u64 {
        self.buckets.iter().take(bucket_of(value) + 1).sum()
    }

    /// Adds the values of another histogram of the same kind.
    ///
    /// # Panics
    /// When one is of times and the other of batch sizes.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.buckets.len(), other.buckets.len(), "histograms of the same kind");
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// What was recorded between `earlier`, a snapshot of the same histogram, and this one.
    ///
    /// # Panics
    /// When `earlier` is of another kind of histogram.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        assert_eq!(self.buckets.len(), earlier.buckets.len(), "snapshots of one histogram");
        let buckets: Vec<u64> = self
            .buckets
            .iter()
            .zip(&earlier.buckets)
            .map(|(now, before)| now.saturating_sub(*before))
            .collect();
        let highest = buckets.iter().rposition(|&count| count > 0);
        let max = highest.map_or(0, |bucket| self.edge_below_max(bucket));
        Self::new(buckets, self.sum.wrapping_sub(earlier.sum), max)
    }

    /// The greatest value that a bucket can have held. The last one holds all beyond the range.
    fn edge_below_max(&self, bucket: usize) -> u64 {
        let is_last = bucket + 1 == self.buckets.len();
        if is_last { self.max } else { upper_edge(bucket).min(self.max) }
    }
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

const fn are_bucket_edges(edges: &[u64]) -> bool {
    let mut i = 0;
    while i < edges.len() {
        if upper_edge(bucket_of(edges[i])) != edges[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::histogram::Histogram;
    use super::*;

    fn of(values: &[u64]) -> Snapshot {
        let histogram = Histogram::of_times();
        values.iter().for_each(|&value| histogram.record(value));
        histogram.snapshot()
    }

    #[test]
    fn an_empty_histogram_has_no_quantile_and_no_mean() {
        let empty = of(&[]);
        assert_eq!((empty.quantile(0.5), empty.mean(), empty.max()), (None, None, 0));
    }

    #[test]
    fn small_values_are_exact() {
        let values: Vec<u64> = (1..=100).collect();
        let snapshot = of(&values);
        let quantiles = [0.0, 0.01, 0.5, 0.99, 0.999, 1.0].map(|q| snapshot.quantile(q));
        assert_eq!(quantiles, [1, 1, 50, 99, 100, 100].map(Some));
        assert_eq!((snapshot.mean(), snapshot.sum()), (Some(50.5), 5_050));
    }

    #[test]
    fn a_share_that_floating_point_rounds_up_does_not_take_the_next_value() {
        let values: Vec<u64> = (1..=100).collect();
        assert_eq!(of(&values).quantile(0.07), Some(7));
    }

    #[test]
    fn a_quantile_outside_zero_to_one_is_the_nearest_inside() {
        let snapshot = of(&[3, 5]);
        assert_eq!([-1.0, f64::NAN, 2.0].map(|q| snapshot.quantile(q)), [3, 3, 5].map(Some));
    }

    #[test]
    fn a_quantile_never_exceeds_the_maximum() {
        assert_eq!(of(&[1_000_001]).quantile(0.5), Some(1_000_001));
        assert_eq!(of(&[u64::MAX]).quantile(0.5), Some(u64::MAX));
    }

    #[test]
    fn a_value_on_an_edge_counts_as_at_most_that_edge() {
        let snapshot = of(&[999, 1_000, 1_001, 2_000, 2_001]);
        assert_eq!([1_000, 2_000, 4_000].map(|edge| snapshot.count_at_most(edge)), [2, 4, 5]);
        assert_eq!(snapshot.count_at_most(u64::MAX), 5);
    }

    #[test]
    fn edges_go_from_a_microsecond_to_a_minute() {
        assert_eq!(TIME_EDGES_NS[0], 1_000);
        assert_eq!(TIME_EDGES_NS[26], 67_108_864_000);
    }

    #[test]
    fn only_buckets_that_hold_anything_are_listed_by_their_edges() {
        let listed: Vec<_> = of(&[3, 3, 257, 1_000_001, u64::MAX]).buckets().collect();
        assert_eq!(listed, [(3, 2), (258, 1), (1_003_520, 1), (u64::MAX, 1)]);
    }

    #[test]
    fn since_tells_what_came_between_two_snapshots() {
        let histogram = Histogram::of_times();
        [10, 1_000_000].into_iter().for_each(|value| histogram.record(value));
        let before = histogram.snapshot();
        [20, 30].into_iter().for_each(|value| histogram.record(value));
        let between = histogram.snapshot().since(&before);
        assert_eq!((between.count(), between.sum(), between.max()), (2, 50, 30));
        assert_eq!(between.quantile(0.5), Some(20));
        assert_eq!(before.since(&before), of(&[]));
    }

    #[test]
    #[should_panic(expected = "histograms of the same kind")]
    fn times_and_batch_sizes_do_not_mix() {
        of(&[1]).merge(&Histogram::of_batch_sizes().snapshot());
    }

    /// Spread over all magnitudes up to 2^36.
    fn time_ns() -> impl Strategy<Value = u64> {
        (0_u32..36).prop_flat_map(|bits| (1_u64 << bits)..(2_u64 << bits))
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_the_sorted_values_or_up_to_a_part_in_128_more(
            mut values in prop::collection::vec(time_ns(), 1..200),
            permille in 0_usize..=1_000,
        ) {
            let found = of(&values).quantile(permille as f64 / 1_000.0).unwrap();
            values.sort_unstable();
            let rank = (permille * values.len()).div_ceil(1_000).max(1);
            let truth = values[rank - 1];
            prop_assert!((truth..=truth + truth / 128 + 1).contains(&found), "{found} {truth}");
        }

        #[test]
        fn merging_two_is_recording_all_in_one(
            a in prop::collection::vec(time_ns(), 0..50),
            b in prop::collection::vec(time_ns(), 0..50),
        ) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(merged, of(&[a, b].concat()));
        }

        #[test]
        fn counts_at_the_edges_are_exact(
            values in prop::collection::vec(time_ns(), 0..100),
            edge in prop::sample::select(TIME_EDGES_NS.to_vec()),
        ) {
            let truth = values.iter().filter(|&&value| value <= edge).count() as u64;
            prop_assert_eq!(of(&values).count_at_most(edge), truth);
        }
    }
}
