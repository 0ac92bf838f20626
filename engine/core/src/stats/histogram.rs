//! Distributions of times and sizes in a fixed array, written by one thread and read by any.
//!
//! The buckets are log-linear. Up to 256 each value has its own; above, each power of two is cut
//! into 128 equal buckets. So a bucket is never wider than 1/128 (0.8 %) of the values in it.
//! Buckets include their *upper* edge, so that all powers of two, and 1,000 times all powers of two
//! (the microseconds of `TIME_EDGES_NS`), are edges, and "at most that much" is counted exactly.
//!
//! ```text
//!  bucket     0   1   2  ...  255 |    256         257    ...    383    |    384     ...
//!  values     ≤1  2   3  ...  256 | 257..=258   259..=260 ... 511..=512 | 513..=516  ...
//! ```
//!
//! A histogram of times (1 ns to 68.7 s) has 3,840 buckets and takes 30 KiB; one of batch sizes has
//! 768 and takes 6 KiB. One more bucket holds all that is beyond the range. Recording writes one
//! bucket, the sum and seldom the maximum, with no locked instruction. See `counter.rs` for what
//! one writer means.

use super::counter::{Counter, Gauge};
use crate::limits::{HISTOGRAM_BATCH_MAX_ROWS, HISTOGRAM_PRECISION_BITS, HISTOGRAM_TIME_MAX_NS};

/// How many buckets one power of two is cut into.
const BUCKETS_PER_OCTAVE: u64 = 1 << HISTOGRAM_PRECISION_BITS;

/// A distribution that is being recorded.
#[derive(Debug)]
pub struct Histogram {
    buckets: Box<[Counter]>,
    sum: Counter,
    max: Gauge,
}

impl Histogram {
    /// For times in ns, up to 68.7 s apart.
    #[must_use]
    pub fn of_times() -> Self {
        Self::up_to(HISTOGRAM_TIME_MAX_NS)
    }

    /// For batch sizes in rows, up to 4,096 apart.
    #[must_use]
    pub fn of_batch_sizes() -> Self {
        Self::up_to(HISTOGRAM_BATCH_MAX_ROWS)
    }

    /// Counts one value: ns for times, rows for batch sizes. Writer only.
    ///
    /// A value beyond the histogram's range counts as just that; sum and maximum are true.
    #[inline]
    pub fn record(&self, value: u64) {
        self.record_many(value, 1);
    }

    /// Counts one value `times` times (at least once), at the cost of one: what all queries of a
    /// batch have in common. Writer only.
    #[inline]
    pub fn record_many(&self, value: u64, times: u32) {
        let last = self.buckets.len() - 1;
        self.buckets[bucket_of(value).min(last)].add(u64::from(times));
        self.sum.add(value.wrapping_mul(u64::from(times)));
        if value > self.max.get() {
            self.max.set(value);
        }
    }

    /// How many values were recorded. Any thread, as the next three.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(Counter::get).sum()
    }

    /// The sum of the values.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum.get()
    }

    /// The greatest value, exactly; 0 without any.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max.get()
    }

    /// The buckets that hold anything: upper edge and count, by rising edges. What is beyond the
    /// range has the edge `u64::MAX`. Edges never move, so that what is read at two instants can be
    /// compared.
    ///
    /// While the writer goes on, the last few values may be in the counts and not yet in sum and
    /// maximum, or the other way round.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let beyond = self.buckets.len() - 1;
        let edge = move |bucket| if bucket == beyond { u64::MAX } else { upper_edge(bucket) };
        let counts = self.buckets.iter().map(Counter::get).enumerate();
        counts.filter(|(_, count)| *count > 0).map(move |(bucket, count)| (edge(bucket), count))
    }

    fn up_to(value_max: u64) -> Self {
        let beyond = bucket_of(value_max) + 1;
        let buckets = (0..=beyond).map(|_| Counter::new()).collect();
        Self { buckets, sum: Counter::new(), max: Gauge::new() }
    }
}

/// The bucket of a value. Zero shares the first with one.
#[expect(clippy::cast_possible_truncation, reason = "at most 58 octaves of 128 buckets each")]
pub(super) const fn bucket_of(value: u64) -> usize {
    // Subtracting 1 makes the upper edge part of the bucket. Setting the bit of 128 puts all values
    // below 256 in the first, exact range, without a branch.
    let below = value.saturating_sub(1);
    let octave = (below | BUCKETS_PER_OCTAVE).ilog2() - HISTOGRAM_PRECISION_BITS;
    (octave as u64 * BUCKETS_PER_OCTAVE + (below >> octave)) as usize
}

/// The greatest value of a bucket.
pub(super) const fn upper_edge(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let octave = (bucket / BUCKETS_PER_OCTAVE).saturating_sub(1);
    (bucket - octave * BUCKETS_PER_OCTAVE + 1) << octave
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_histogram_of_times_takes_thirty_kibibytes() {
        assert_eq!(size_of_val(&*Histogram::of_times().buckets), (30 << 10) + 8);
        assert_eq!(size_of_val(&*Histogram::of_batch_sizes().buckets), (6 << 10) + 8);
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        (1..3_840).for_each(|bucket| {
            assert_eq!(bucket_of(upper_edge(bucket)), bucket);
            assert_eq!(bucket_of(upper_edge(bucket - 1) + 1), bucket);
        });
        assert_eq!((bucket_of(0), bucket_of(1), upper_edge(0)), (0, 0, 1));
        assert_eq!(upper_edge(3_839), HISTOGRAM_TIME_MAX_NS);
    }

    #[test]
    fn the_picture_in_the_module_comment_is_true() {
        let buckets = [256, 257, 258, 259, 512, 513, 516, 517].map(bucket_of);
        assert_eq!(buckets, [255, 256, 256, 257, 383, 384, 384, 385]);
    }

    #[test]
    fn recording_many_is_recording_one_as_often() {
        let (at_once, one_by_one) = (Histogram::of_times(), Histogram::of_times());
        at_once.record_many(70_000, 3);
        (0..3).for_each(|_| one_by_one.record(70_000));
        assert!(at_once.buckets().eq(one_by_one.buckets()));
        assert_eq!((at_once.count(), at_once.sum(), at_once.max()), (3, 210_000, 70_000));
        assert_eq!((one_by_one.sum(), one_by_one.max()), (210_000, 70_000));
    }

    #[test]
    fn a_value_beyond_the_range_is_counted_apart_from_the_largest_within() {
        let histogram = Histogram::of_times();
        histogram.record(HISTOGRAM_TIME_MAX_NS);
        histogram.record(HISTOGRAM_TIME_MAX_NS + 1);
        histogram.record(u64::MAX);
        assert_eq!((histogram.count(), histogram.max()), (3, u64::MAX));
        let listed: Vec<_> = histogram.buckets().collect();
        assert_eq!(listed, [(HISTOGRAM_TIME_MAX_NS, 1), (u64::MAX, 2)]);
    }

    #[test]
    fn only_buckets_that_hold_anything_are_listed_by_their_edges() {
        let histogram = Histogram::of_times();
        [3, 3, 257, 1_000_001].into_iter().for_each(|value| histogram.record(value));
        let listed: Vec<_> = histogram.buckets().collect();
        assert_eq!(listed, [(3, 2), (258, 1), (1_003_520, 1)]);
    }

    #[test]
    fn counts_read_on_another_thread_only_grow_and_end_complete() {
        let histogram = Histogram::of_times();
        std::thread::scope(|scope| {
            scope.spawn(|| (1..=20_000).for_each(|value| histogram.record(value)));
            let counts = (0..50).map(|_| histogram.count()).collect::<Vec<_>>();
            assert!(counts.is_sorted(), "{counts:?}");
        });
        assert_eq!((histogram.count(), histogram.max()), (20_000, 20_000));
        assert_eq!(histogram.sum(), 20_000 * 20_001 / 2);
    }

    proptest! {
        #[test]
        fn a_bucket_is_never_wider_than_a_part_in_128_of_its_values(value in any::<u64>()) {
            let value = value >> (value % 64) >> 1;
            let edge = upper_edge(bucket_of(value));
            prop_assert!(edge >= value);
            prop_assert!(edge - value <= value / 128 + 1);
        }
    }
}
