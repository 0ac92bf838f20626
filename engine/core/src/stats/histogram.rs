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
use super::snapshot::Snapshot;
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

    /// Copies the counts for reading. Any thread; allocates.
    ///
    /// While the writer goes on, the last few values may be in the counts and not yet in sum and
    /// maximum, or the other way round. The count of values always equals the sum of the buckets.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let buckets = self.buckets.iter().map(Counter::get).collect();
        Snapshot::new(buckets, self.sum.get(), self.max.get())
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
        assert_eq!(at_once.snapshot(), one_by_one.snapshot());
        assert_eq!((at_once.snapshot().count(), at_once.snapshot().sum()), (3, 210_000));
    }

    #[test]
    fn a_value_beyond_the_range_is_counted_apart_from_the_largest_within() {
        let histogram = Histogram::of_times();
        histogram.record(HISTOGRAM_TIME_MAX_NS);
        histogram.record(HISTOGRAM_TIME_MAX_NS + 1);
        histogram.record(u64::MAX);
        let snapshot = histogram.snapshot();
        assert_eq!((snapshot.count(), snapshot.max()), (3, u64::MAX));
        assert_eq!(snapshot.count_at_most(HISTOGRAM_TIME_MAX_NS), 1);
    }

    #[test]
    fn counts_read_on_another_thread_only_grow_and_end_complete() {
        let histogram = Histogram::of_times();
        std::thread::scope(|scope| {
            scope.spawn(|| (1..=20_000).for_each(|value| histogram.record(value)));
            let counts = (0..50).map(|_| histogram.snapshot().count()).collect::<Vec<_>>();
            assert!(counts.is_sorted(), "{counts:?}");
        });
        let snapshot = histogram.snapshot();
        assert_eq!((snapshot.count(), snapshot.max()), (20_000, 20_000));
        assert_eq!(snapshot.sum(), 20_000 * 20_001 / 2);
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
