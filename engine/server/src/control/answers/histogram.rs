//! A histogram that is being recorded, as it is at this instant. Not for the engine thread.

use cutter_admin_api::Histogram;
use cutter_core::stats;

/// Copies the counts for reading.
///
/// While the writer goes on, the last few values may be in the counts and not yet in sum and
/// maximum, or the other way round.
pub(crate) fn distribution(recorded: &stats::Histogram) -> Histogram {
    // In the order in which they are written.
    let buckets: Vec<_> = recorded.buckets().collect();
    Histogram::new(buckets, recorded.sum(), recorded.max())
}

#[cfg(test)]
mod tests {
    use cutter_core::stats::{BATCH_EDGES_ROWS, TIME_EDGES_NS};
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Histogram {
        let recorded = stats::Histogram::of_times();
        values.iter().for_each(|&value| recorded.record(value));
        distribution(&recorded)
    }

    #[test]
    fn nothing_recorded_is_the_empty_histogram() {
        assert_eq!(of(&[]), Histogram::default());
    }

    #[test]
    fn only_buckets_that_hold_anything_are_listed_by_their_edges() {
        let listed = of(&[3, 3, 257, 1_000_001, u64::MAX]);
        assert_eq!(listed.buckets, [(3, 2), (258, 1), (1_003_520, 1), (u64::MAX, 1)]);
        assert_eq!((listed.count, listed.max), (5, u64::MAX));
    }

    #[test]
    fn batch_sizes_are_counted_at_their_edges() {
        let recorded = stats::Histogram::of_batch_sizes();
        [1, 2, 3, 4_096, 5_000].into_iter().for_each(|rows| recorded.record(rows));
        let rows = distribution(&recorded);
        let counts = BATCH_EDGES_ROWS.map(|edge| rows.count_at_most(edge));
        assert_eq!(counts, [1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4]);
        assert_eq!((rows.count, rows.quantile(1.0)), (5, Some(5_000)));
    }

    #[test]
    fn a_difference_tells_what_was_recorded_between() {
        let recorded = stats::Histogram::of_times();
        [10, 1_000_000].into_iter().for_each(|value| recorded.record(value));
        let before = distribution(&recorded);
        [20, 30].into_iter().for_each(|value| recorded.record(value));
        let between = distribution(&recorded).since(&before);
        assert_eq!((between.count, between.sum, between.max), (2, 50, 30));
    }

    #[test]
    fn counts_read_on_another_thread_only_grow_and_end_complete() {
        let recorded = stats::Histogram::of_times();
        std::thread::scope(|scope| {
            scope.spawn(|| (1..=20_000).for_each(|value| recorded.record(value)));
            let counts = (0..50).map(|_| distribution(&recorded).count).collect::<Vec<_>>();
            assert!(counts.is_sorted(), "{counts:?}");
        });
        let complete = distribution(&recorded);
        assert_eq!((complete.count, complete.max), (20_000, 20_000));
        assert_eq!(complete.sum, 20_000 * 20_001 / 2);
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
