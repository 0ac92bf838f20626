//! A batch limit by quantile regression: the largest batch whose service time, as a line over the
//! size, keeps the objective at the median and leaves a query in time at the P99 (Clipper, NSDI
//! '17, section 4.3.2, has the latter alone).
//!
//! One per replica, on the engine thread. The line is fitted to the last few batches, and what is
//! older is forgotten. Of so few, less than one in a hundred is none: the line of the 99th
//! percentile lies on or above all of them, and of all such lines it is the one that is least above
//! them on average. That is, the lowest at their mean size; it is found exactly, by bisection of
//! its slope. The line of the median has the same slope, with half of the batches above it.
//!
//! ```text
//!   ns │                     ╱
//!      │                  ▪╱
//!      │         ▪     ╱▪  ▪    ╱   lowest here: at the mean size
//!      │            ╱▪ │     ╱
//!      │     ▪   ╱  ▪  │▪ ╱  the median
//!      └────────────────────────── size
//! ```
//!
//! A limit that has found its place gives batches of one size for long, which tell nothing of the
//! slope. It then stays what it was, but for looking beyond: there less and less of it counts,
//! until larger batches are tried, and tell it anew.
//!
//! Two quantiles, for beside a process that takes the core now and then some batches of any size
//! take long. Were those to keep the objective, which leaves time for waiting, all batches would be
//! small and bring little; what they have to do is to bring what did not wait in time. Where some
//! do not even do that, no size keeps the P99: once such a batch was half as large as the median
//! allows, or less, the median counts alone, as long as that batch is remembered.
//!
//! Beyond the sizes that it has seen the line is not trusted far: until a batch has missed, the
//! limit is at most twice the largest, and afterwards a quarter more.
//!
//! Invariant: 1 ≤ limit ≤ max.

use super::objective::Objective;
use crate::limits::{
    QUANTILE_BATCHES, QUANTILE_HALVINGS, QUANTILE_REACH_PARTS, QUANTILE_SLOPE_FADE,
    QUANTILE_SPREAD_PARTS, QUANTILE_TOLERANCE,
};

/// The batch limit of one replica. Sizes are rows, or bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantile {
    limit: u32,
    max: u32,
    objective: Objective,
    /// The last batches in turn: size and service time in ns.
    batches: [(f64, f64); QUANTILE_BATCHES],
    count: usize,
    next: usize,
    per_size_ns: f64,
    /// How much of the slope counts where the limit looks beyond what it has seen.
    trust: f64,
    has_missed: bool,
}

impl Quantile {
    /// Starts with a batch of one, and an objective that nothing keeps. `max` is at least 1.
    #[must_use]
    pub fn new(max: u32) -> Self {
        Self {
            limit: 1,
            max: max.max(1),
            objective: Objective::LEAST,
            batches: [(0.0, 0.0); QUANTILE_BATCHES],
            count: 0,
            next: 0,
            per_size_ns: 0.0,
            trust: 1.0,
            has_missed: false,
        }
    }

    /// The largest that the next batch may be.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Changes the objective; the next batch moves the limit.
    pub fn set_objective(&mut self, objective: Objective) {
        self.objective = objective;
    }

    /// Tells how a batch went. `cut_off_by_limit`: more was waiting, but the limit kept it out.
    pub fn observe(&mut self, size: u32, cut_off_by_limit: bool, service_ns: u64) {
        self.batches[self.next] = (f64::from(size), service_ns as f64);
        self.next = (self.next + 1) % QUANTILE_BATCHES;
        self.count = (self.count + 1).min(QUANTILE_BATCHES);
        self.has_missed |= service_ns > self.objective.usual_ns;
        let seen = &self.batches[..self.count];
        let largest = seen.iter().map(|batch| batch.0).fold(1.0, f64::max);
        let least = seen.iter().map(|batch| batch.0).fold(largest, f64::min);
        if (largest - least) * QUANTILE_SPREAD_PARTS > largest {
            (self.per_size_ns, self.trust) = (slope(seen), 1.0);
        }
        let within = self.within(self.per_size_ns);
        if !cut_off_by_limit {
            self.limit = self.limit.min(whole(within).max(1));
        } else if within < largest {
            self.limit = whole(within).clamp(1, self.max);
        } else {
            self.trust *= 1.0 - QUANTILE_SLOPE_FADE;
            let within = self.within(self.per_size_ns * self.trust);
            self.limit = whole(within.min(self.reach(largest))).clamp(1, self.max);
        }
    }

    /// The largest batch whose median keeps the objective, and whose P99 what that may be at worst,
    /// by lines of this slope. Where smaller ones do not keep the latter, it does not count.
    fn within(&self, per_size_ns: f64) -> f64 {
        let seen = &self.batches[..self.count];
        let usual_ns = self.objective.usual_ns as f64 * (1.0 + QUANTILE_TOLERANCE);
        let worst_ns = self.objective.worst_ns as f64 * (1.0 + QUANTILE_TOLERANCE);
        let within = |most_ns: f64, fixed_ns: f64| ((most_ns - fixed_ns) / per_size_ns).max(0.0);
        let mut fixed_ns = [0.0; QUANTILE_BATCHES];
        let fixed_ns = &mut fixed_ns[..self.count];
        for (fixed_ns, (size, ns)) in fixed_ns.iter_mut().zip(seen) {
            *fixed_ns = ns - per_size_ns * size;
        }
        let middle = fixed_ns.len() / 2;
        let (_, median_ns, above) = fixed_ns.select_nth_unstable_by(middle, f64::total_cmp);
        let by_median = within(usual_ns, *median_ns);
        let highest_ns = above.iter().copied().fold(*median_ns, f64::max);
        let by_highest = within(worst_ns, highest_ns);
        let small_miss = |(size, ns): &(f64, f64)| size * 2.0 <= by_median && *ns > worst_ns;
        if by_highest < by_median && seen.iter().any(small_miss) {
            return by_median;
        }
        by_median.min(by_highest)
    }

    /// How far the line is trusted.
    fn reach(&self, largest: f64) -> f64 {
        let more = (largest / QUANTILE_REACH_PARTS).max(1.0);
        if self.has_missed { largest + more } else { largest * 2.0 }
    }
}

/// The slope of the line that lies on or above all and is the lowest at their mean size.
fn slope(seen: &[(f64, f64)]) -> f64 {
    let mean = seen.iter().map(|batch| batch.0).sum::<f64>() / seen.len() as f64;
    // What no line through a batch and above nothing exceeds.
    let steepest = seen.iter().map(|(size, ns)| ns / size.max(1.0)).fold(0.0, f64::max);
    let (mut low, mut high) = (0.0, steepest);
    for _ in 0..QUANTILE_HALVINGS {
        let middle = f64::midpoint(low, high);
        // The batch that bears a line of this slope: to its left, a steeper line is lower.
        let height = |batch: &&(f64, f64)| batch.1 - middle * batch.0;
        let bearer = seen.iter().max_by(|a, b| height(a).total_cmp(&height(b)));
        if bearer.is_some_and(|(size, _)| *size > mean) {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates at both ends, and a size that is not a number becomes 0"
)]
fn whole(size: f64) -> u32 {
    size as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OBJECTIVE_NS: u64 = 10_000_000;
    const WORST_NS: u64 = 15_000_000;

    /// With an objective of 10 ms, and 15 ms at worst.
    fn quantile(max: u32) -> Quantile {
        let mut limit = Quantile::new(max);
        limit.set_objective(Objective { usual_ns: OBJECTIVE_NS, worst_ns: WORST_NS });
        limit
    }

    /// Serves full batches that take so long, and returns the limit before each of them.
    fn serve(limit: &mut Quantile, batches: usize, service_ns: impl Fn(u32) -> u64) -> Vec<u32> {
        (0..batches)
            .map(|_| {
                let size = limit.limit();
                limit.observe(size, true, service_ns(size));
                size
            })
            .collect()
    }

    fn heavy_ns(rows: u32) -> u64 {
        4_000_000 + 100_000 * u64::from(rows)
    }

    #[test]
    fn it_finds_the_largest_batch_that_keeps_the_objective_within_eight() {
        let mut limit = quantile(1_024);
        let limits = serve(&mut limit, 9, heavy_ns);
        assert_eq!(limits, [1, 2, 4, 8, 16, 32, 61, 60, 60]);
    }

    #[test]
    fn it_stays_there_but_for_looks_beyond() {
        let mut limit = quantile(1_024);
        serve(&mut limit, 10, heavy_ns);
        let held = serve(&mut limit, 1_000, heavy_ns);
        assert!(held.iter().all(|limit| (58..=66).contains(limit)), "{held:?}");
    }

    #[test]
    fn the_quantile_is_above_all_of_the_last_batches() {
        let mut limit = quantile(1_024);
        serve(&mut limit, 8, heavy_ns);
        limit.observe(60, true, heavy_ns(60) + 1_000_000);
        assert!((48..=52).contains(&limit.limit()), "{}", limit.limit());
    }

    #[test]
    fn a_slow_down_is_followed_by_the_next_batch_and_its_end_within_a_hundred() {
        let mut limit = quantile(1_024);
        let normal_ns = |rows: u32| 200_000 + 20_000 * u64::from(rows);
        serve(&mut limit, 100, normal_ns);
        limit.observe(limit.limit(), true, 10 * normal_ns(limit.limit()));
        assert!(limit.limit() <= 50, "{}", limit.limit());
        serve(&mut limit, 500, |rows| 10 * normal_ns(rows));
        assert!((36..=45).contains(&limit.limit()), "{}", limit.limit());
        serve(&mut limit, 100, normal_ns);
        assert!(limit.limit() >= 480, "{}", limit.limit());
    }

    #[test]
    fn where_some_batches_of_any_size_bring_nothing_in_time_the_median_counts() {
        let mut limit = quantile(1_024);
        let (mut rows, mut busy_ns) = (0, 0);
        for batch in 0..2_000 {
            let size = limit.limit();
            let disturbed_ns = if batch % 8 == 0 { WORST_NS } else { 0 };
            limit.observe(size, true, heavy_ns(size) + disturbed_ns);
            (rows, busy_ns) = (rows + u64::from(size), busy_ns + heavy_ns(size) + disturbed_ns);
        }
        // Sixty rows in each batch would be 5.1 a millisecond, and one row 0.17.
        let rows_per_ms = rows as f64 / (busy_ns as f64 / 1e6);
        assert!(rows_per_ms > 4.0, "{rows_per_ms}");
    }

    #[test]
    fn batches_that_are_delayed_now_and_then_make_it_no_smaller_while_all_is_in_time() {
        let mut limit = quantile(1_024);
        serve(&mut limit, 10, heavy_ns);
        for batch in 0..1_000 {
            let delay_ns = if batch % 4 == 0 { 4_000_000 } else { 0 };
            limit.observe(limit.limit(), true, heavy_ns(limit.limit()) + delay_ns);
            assert!(batch < 100 || (58..=66).contains(&limit.limit()), "{}", limit.limit());
        }
    }

    #[test]
    fn light_load_neither_shrinks_nor_grows_it() {
        let mut limit = quantile(1_024);
        serve(&mut limit, 8, heavy_ns);
        (0..1_000).for_each(|_| limit.observe(1, false, heavy_ns(1)));
        assert_eq!(limit.limit(), 60);
    }

    #[test]
    fn one_bad_start_is_forgotten() {
        let mut limit = quantile(1_024);
        limit.observe(1, true, 50 * OBJECTIVE_NS);
        let limits = serve(&mut limit, 300, heavy_ns);
        assert!(limits[299] >= 58, "{limits:?}");
    }

    proptest! {
        #[test]
        fn whatever_it_is_told_it_stays_between_one_and_the_maximum(
            max in 1_u32..300,
            batches in prop::collection::vec((0_u32..400, any::<bool>(), any::<u64>()), 0..200),
        ) {
            let mut limit = quantile(max);
            for (size, cut_off, service_ns) in batches {
                limit.observe(size, cut_off, service_ns >> (size % 64));
                prop_assert!((1..=max).contains(&limit.limit()));
            }
        }
    }
}
