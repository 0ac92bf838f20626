//! Additive increase, multiplicative decrease of a replica's batch limit.
//!
//! The idea is that of Clipper (NSDI '17, section 4.3.1): raise the largest batch by a fixed step
//! until a batch exceeds the latency objective, then back off by a tenth. Ours differs in this:
//!
//! - Clipper compares with the whole SLO, so time in the queue is not provided for. Our objective
//!   is for *service* alone and leaves room for queueing (see `objective.rs`).
//! - Clipper's prototype sets the limit from the size of the batch actually sent, so that under
//!   light load the limit collapses to "last size + 2". Ours grows only when the limit itself cut
//!   the batch off, and a small batch that was fast leaves it alone.
//! - Until the first miss it doubles, as TCP's slow start does: a limit of 1,000 rows is found in
//!   ten batches, and not in 500.
//! - It remembers where the last miss was. It comes back there by halves of what is missing, as
//!   TCP BIC does (Xu, Harfoush and Rhee, INFOCOM '04), rests just below, and looks beyond only
//!   once in a while; then in steps of 2, 4, 8, …, while they are in time. And what was in time
//!   just before is not given up for one step too far. So under full load the limit rests at the
//!   largest batch that keeps the objective, and does not swing below it.
//! - A miss is answered in proportion: a batch of five times the objective makes the limit a fifth.
//! - Several batches may be on their way, formed under different limits. A batch speaks only for
//!   its own size: growth starts from there, and so does a cut. One crossing of the objective
//!   costs one back-off at any depth.
//!
//! ```text
//!            miss
//!   limit     ╷  ╭──────────── rest ────────────╮ probe
//!     │      ╱│  ╱‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾╲╱‾‾‾
//!     │     ╱ ╰─╯
//!     │  ╭─╯   by halves
//!     │──╯ slow start
//! ```
//!
//! That a stall is no miss is decided before: what is told here is how long a batch of its size
//! *usually* takes (see `service.rs`).
//!
//! Invariant: 1 ≤ limit ≤ max.

use crate::limits::{
    AIMD_BACK_OFF_PARTS, AIMD_PATIENCE_MAX, AIMD_REST_PARTS, AIMD_START, AIMD_STEP,
};

/// Beyond all sizes: no miss is remembered.
const NOWHERE: u32 = u32::MAX;

/// The AIMD batch limit of one replica. Sizes are rows, or bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aimd {
    limit: u32,
    max: u32,
    objective_ns: u64,
    /// Nothing has missed yet.
    is_slow_start: bool,
    /// The largest batch that was in time since one of its size or less missed.
    in_time: u32,
    /// The least batch that missed, as far as it is remembered.
    missed: u32,
    /// What the next look beyond all that is remembered adds.
    step: u32,
    /// Batches in time just below the last miss.
    rested: u32,
    /// So many of them, and what is beyond is looked at again.
    patience: u32,
}

impl Aimd {
    /// Starts small. `max` (at least 1) is what an output slot and a ticket can hold.
    #[must_use]
    pub fn new(max: u32, objective_ns: u64) -> Self {
        let max = max.max(1);
        Self {
            limit: AIMD_START.min(max),
            max,
            objective_ns,
            is_slow_start: true,
            in_time: 0,
            missed: NOWHERE,
            step: AIMD_STEP,
            rested: 0,
            patience: 1,
        }
    }

    /// The largest that the next batch may be.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// What a batch's service time may be, in ns.
    #[must_use]
    pub fn objective_ns(&self) -> u64 {
        self.objective_ns
    }

    /// Changes the objective and keeps the limit; the next batches correct it.
    pub fn set_objective_ns(&mut self, objective_ns: u64) {
        self.objective_ns = objective_ns;
    }

    /// Tells how a batch went. `cut_off_by_limit`: more was waiting, but the limit kept it out.
    pub fn observe(&mut self, size: u32, cut_off_by_limit: bool, service_ns: u64) {
        if service_ns > self.objective_ns {
            self.back_off(size, service_ns);
            return;
        }
        self.in_time = self.in_time.max(size);
        if size >= self.missed {
            self.forget_the_miss();
        }
        if cut_off_by_limit {
            self.grow(size);
        }
    }

    fn grow(&mut self, size: u32) {
        if self.is_slow_start {
            self.limit = self.limit.max(size.saturating_mul(2).min(self.max));
        } else if self.missed == NOWHERE {
            self.look_beyond(size);
        } else {
            self.approach(size);
        }
    }

    /// Steps of 2, 4, 8, …. Where the first was in time, what was remembered was wrong.
    fn look_beyond(&mut self, size: u32) {
        if self.step > AIMD_STEP {
            self.patience = 1;
        }
        let step = self.step.max(size / AIMD_REST_PARTS);
        let grown = size.saturating_add(step).min(self.max);
        if grown > self.limit {
            self.limit = grown;
            self.step = self.step.saturating_mul(2);
        }
    }

    /// Half of the way to the last miss; near it, rest.
    fn approach(&mut self, size: u32) {
        let gap = self.missed - size;
        if gap > (size / AIMD_REST_PARTS).max(1) {
            self.limit = self.limit.max((size + gap / 2).min(self.max));
            return;
        }
        self.rested += 1;
        if self.rested >= self.patience {
            self.forget_the_miss();
        }
    }

    fn forget_the_miss(&mut self) {
        (self.missed, self.step, self.rested) = (NOWHERE, AIMD_STEP, 0);
    }

    fn back_off(&mut self, size: u32, service_ns: u64) {
        if size <= self.in_time {
            // It is not as it was.
            (self.in_time, self.patience) = (0, 1);
        } else if self.in_time > 0 {
            self.patience = (self.patience * 2).min(AIMD_PATIENCE_MAX);
        }
        self.is_slow_start = false;
        self.missed = self.missed.min(size);
        (self.step, self.rested) = (AIMD_STEP, 0);
        let by_a_tenth = size - size.div_ceil(AIMD_BACK_OFF_PARTS);
        let in_proportion =
            u128::from(size) * u128::from(self.objective_ns) / u128::from(service_ns.max(1));
        let in_proportion = u32::try_from(in_proportion).unwrap_or(u32::MAX);
        let reduced = by_a_tenth.min(in_proportion).max(self.in_time).max(1);
        self.limit = self.limit.min(reduced);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OBJECTIVE_NS: u64 = 10_000_000;

    /// A replica whose service time is `fixed_ns + per_row_ns × n`.
    #[derive(Clone, Copy, Debug)]
    struct Synthetic {
        fixed_ns: u64,
        per_row_ns: u64,
    }

    /// 4 ms and 0.1 ms for each row: 60 rows keep the objective.
    const HEAVY: Synthetic = Synthetic { fixed_ns: 4_000_000, per_row_ns: 100_000 };
    const FREE: Synthetic = Synthetic { fixed_ns: 0, per_row_ns: 1 };

    impl Synthetic {
        fn service_ns(self, rows: u32) -> u64 {
            self.fixed_ns + self.per_row_ns * u64::from(rows)
        }

        fn slower(self, times: u64) -> Self {
            Self { fixed_ns: self.fixed_ns * times, per_row_ns: self.per_row_ns * times }
        }
    }

    /// Serves full batches only, as under overload, and returns the limit before each of them.
    fn serve_full_batches(aimd: &mut Aimd, replica: Synthetic, batches: usize) -> Vec<u32> {
        (0..batches)
            .map(|_| {
                let limit = aimd.limit();
                aimd.observe(limit, true, replica.service_ns(limit));
                limit
            })
            .collect()
    }

    /// At rest at 60 rows.
    fn rested() -> Aimd {
        let mut aimd = Aimd::new(1_024, OBJECTIVE_NS);
        serve_full_batches(&mut aimd, HEAVY, 20);
        assert_eq!(aimd.limit(), 60);
        aimd
    }

    #[test]
    fn it_starts_at_one_and_doubles_up_to_the_maximum() {
        let mut aimd = Aimd::new(20, OBJECTIVE_NS);
        assert_eq!(serve_full_batches(&mut aimd, FREE, 7), [1, 2, 4, 8, 16, 20, 20]);
    }

    #[test]
    fn a_maximum_of_zero_means_one() {
        let mut aimd = Aimd::new(0, OBJECTIVE_NS);
        aimd.observe(1, true, 1);
        assert_eq!(aimd.limit(), 1);
    }

    #[test]
    fn from_a_start_at_one_it_comes_to_rest_at_the_largest_batch_within_thirteen() {
        let mut aimd = Aimd::new(1_024, OBJECTIVE_NS);
        let limits = serve_full_batches(&mut aimd, HEAVY, 13);
        assert_eq!(limits, [1, 2, 4, 8, 16, 32, 64, 57, 60, 62, 60, 61, 60]);
    }

    #[test]
    fn a_miss_by_little_costs_a_tenth_and_a_miss_by_much_costs_its_share() {
        let [mut little, mut much] = [rested(), rested()];
        little.observe(60, true, OBJECTIVE_NS + 1);
        much.observe(60, true, 5 * OBJECTIVE_NS);
        assert_eq!((little.limit(), much.limit()), (54, 12));
    }

    #[test]
    fn half_of_what_a_miss_took_away_comes_back_with_each_full_batch() {
        let mut aimd = rested();
        aimd.observe(60, true, OBJECTIVE_NS + 1);
        assert_eq!(serve_full_batches(&mut aimd, HEAVY, 4), [54, 57, 58, 59]);
    }

    #[test]
    fn a_look_beyond_that_fails_costs_nothing_of_what_was_in_time() {
        let mut aimd = rested();
        aimd.observe(62, true, HEAVY.service_ns(62));
        assert_eq!(aimd.limit(), 60);
    }

    #[test]
    fn the_longer_nothing_changes_the_less_often_it_looks_beyond() {
        let mut aimd = rested();
        let limits = serve_full_batches(&mut aimd, HEAVY, 1_000);
        let beyond = limits.iter().filter(|limit| **limit > 60).count();
        assert!((10..=40).contains(&beyond), "{beyond} of 1,000 looked beyond");
        assert!(limits.iter().all(|limit| (60..=62).contains(limit)));
    }

    #[test]
    fn light_load_does_not_shrink_the_limit() {
        let mut aimd = rested();
        aimd.observe(1, false, 1);
        aimd.observe(59, false, OBJECTIVE_NS);
        assert_eq!(aimd.limit(), 60);
    }

    #[test]
    fn a_batch_that_was_not_cut_off_does_not_grow_the_limit() {
        let mut aimd = Aimd::new(1_024, OBJECTIVE_NS);
        (0..100).for_each(|_| aimd.observe(1, false, 1));
        assert_eq!(aimd.limit(), 1);
    }

    #[test]
    fn one_crossing_at_depth_two_cuts_once() {
        let mut aimd = rested();
        (0..2).for_each(|_| aimd.observe(60, true, OBJECTIVE_NS + 1));
        assert_eq!(aimd.limit(), 54);
    }

    #[test]
    fn a_small_batch_that_misses_cuts_the_limit_below_itself() {
        let mut aimd = rested();
        aimd.observe(10, false, OBJECTIVE_NS + 1);
        assert_eq!(aimd.limit(), 9);
    }

    #[test]
    fn a_new_objective_moves_the_limit_from_where_it_is() {
        let mut aimd = rested();
        aimd.set_objective_ns(OBJECTIVE_NS / 2);
        assert_eq!((aimd.limit(), aimd.objective_ns()), (60, OBJECTIVE_NS / 2));
        let limits = serve_full_batches(&mut aimd, HEAVY, 100);
        assert!(limits[20..].iter().all(|limit| (9..=12).contains(limit)), "{limits:?}");
    }

    #[test]
    fn one_input_larger_than_the_limit_speaks_for_its_size_too() {
        let mut aimd = Aimd::new(u32::MAX, OBJECTIVE_NS);
        aimd.observe(70_000, true, 1_000);
        assert_eq!(aimd.limit(), 140_000);
    }

    #[test]
    fn the_largest_sizes_and_times_do_not_overflow() {
        let mut aimd = Aimd::new(u32::MAX, u64::MAX);
        aimd.observe(u32::MAX, true, 0);
        assert_eq!(aimd.limit(), u32::MAX);
        aimd.set_objective_ns(0);
        aimd.observe(u32::MAX, true, u64::MAX);
        assert_eq!(aimd.limit(), 1);
        aimd.observe(0, true, 0);
    }

    #[test]
    fn it_follows_a_slow_down_within_five_batches_and_its_end_within_eighty() {
        let normal = Synthetic { fixed_ns: 0, per_row_ns: OBJECTIVE_NS / 500 };
        let mut aimd = Aimd::new(1_024, OBJECTIVE_NS);
        serve_full_batches(&mut aimd, normal, 100);
        serve_full_batches(&mut aimd, normal.slower(10), 5);
        let slow_ns = normal.slower(10).service_ns(aimd.limit());
        assert!(slow_ns <= OBJECTIVE_NS * 11 / 10, "limit {} takes {slow_ns} ns", aimd.limit());
        serve_full_batches(&mut aimd, normal.slower(10), 1_000);
        serve_full_batches(&mut aimd, normal, 80);
        assert!((475..=515).contains(&aimd.limit()), "{} rows after", aimd.limit());
    }

    #[test]
    fn it_recovers_from_a_time_that_let_nothing_through() {
        let mut aimd = rested();
        serve_full_batches(&mut aimd, HEAVY.slower(1_000), 1_000);
        assert_eq!(aimd.limit(), 1);
        let limits = serve_full_batches(&mut aimd, HEAVY, 30);
        assert!(limits[29] >= 57, "{limits:?}");
    }

    proptest! {
        #[test]
        fn whatever_it_is_told_it_stays_between_one_and_the_maximum(
            max in 1_u32..300,
            batches in prop::collection::vec(
                (0_u32..400, any::<bool>(), 0..OBJECTIVE_NS * 3),
                0..200,
            ),
        ) {
            let mut aimd = Aimd::new(max, OBJECTIVE_NS);
            for (size, cut_off, service_ns) in batches {
                let before = aimd.limit();
                aimd.observe(size, cut_off, service_ns);
                prop_assert!((1..=max).contains(&aimd.limit()));
                prop_assert!(aimd.limit() >= before || service_ns > OBJECTIVE_NS);
                prop_assert!(aimd.limit() <= before || cut_off);
            }
        }

        /// From 95 % of the largest batch that keeps the objective to a step beyond it, whatever
        /// the fixed cost is.
        #[test]
        fn under_full_batches_it_rests_within_five_percent_of_the_largest_batch(
            largest in 20_u64..4_000,
            fixed_percent in 0_u64..80,
        ) {
            let fixed_ns = OBJECTIVE_NS / 100 * fixed_percent;
            let replica = Synthetic { fixed_ns, per_row_ns: (OBJECTIVE_NS - fixed_ns) / largest };
            let mut aimd = Aimd::new(8_192, OBJECTIVE_NS);
            serve_full_batches(&mut aimd, replica, 100);
            let held = serve_full_batches(&mut aimd, replica, 1_000);
            let within = u32::try_from((OBJECTIVE_NS - fixed_ns) / replica.per_row_ns).unwrap();
            let near = |limit: &&u32| (within * 19 / 20..=within + within / 32 + 2).contains(limit);
            prop_assert!(held.iter().filter(near).count() >= 990, "{} {:?}", within, held);
        }
    }
}
