//! Additive increase, multiplicative decrease of a replica's batch limit.
//!
//! The idea is that of Clipper (NSDI '17, section 4.3): raise the largest batch by a fixed step
//! until a batch exceeds the latency objective, then back off by a tenth. Ours differs in this:
//!
//! - Clipper compares with the whole SLO, so time in the queue is not provided for. Our objective
//!   is for *service* alone and leaves room for queueing (see `objective.rs`).
//! - Clipper's prototype sets the limit from the size of the batch actually sent, so that under
//!   light load the limit collapses to "last size + 2". Ours grows only when the limit itself cut
//!   the batch off, and a small batch that was fast leaves it alone.
//! - Several batches may be on their way, formed under different limits. A batch speaks only for
//!   its own size: one that is smaller than the limit raises it to "its size + step" at most, and
//!   one that is larger than the limit (formed before a cut) does not cut what was cut for it
//!   already. So one crossing of the objective costs one back-off at any depth.
//!
//! Between 90 % and 100 % of the objective the limit rests. With service time
//! `fixed + per_row × n`, it therefore comes to rest where service reaches 90 % of the objective,
//! or up to one step above. That is at least 90 % of the largest batch that keeps the objective
//! when the fixed cost is nothing, and less when it is large: 80 % when the fixed cost is half of
//! the objective. Where one step is more than those 10 %, the limit cannot rest and moves up
//! and down around the objective.
//!
//! Invariant: 1 ≤ limit ≤ max.

use crate::limits::{AIMD_BACK_OFF_PARTS, AIMD_HEADROOM_PARTS, AIMD_START_ROWS, AIMD_STEP_ROWS};

/// The AIMD batch limit of one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aimd {
    limit: u32,
    max: u32,
    objective_ns: u64,
    /// Growth needs a service time below this: 90 % of the objective.
    grow_below_ns: u64,
}

impl Aimd {
    /// Starts small. `max` (at least 1) is what an output slot and a ticket can hold.
    #[must_use]
    pub fn new(max: u32, objective_ns: u64) -> Self {
        let max = max.max(1);
        let mut aimd =
            Self { limit: AIMD_START_ROWS.min(max), max, objective_ns: 0, grow_below_ns: 0 };
        aimd.set_objective_ns(objective_ns);
        aimd
    }

    /// The most rows that the next batch may have.
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
        self.grow_below_ns = objective_ns - objective_ns / AIMD_HEADROOM_PARTS;
    }

    /// Tells how a batch went. `cut_off_by_limit`: more was waiting, but the limit kept it out.
    pub fn observe(&mut self, batch_size: u32, cut_off_by_limit: bool, service_ns: u64) {
        if service_ns > self.objective_ns {
            self.back_off(batch_size);
        } else if cut_off_by_limit && service_ns < self.grow_below_ns {
            self.grow(batch_size);
        }
    }

    /// A batch of this size was tried, and took so long. With time to spare it raises the limit to
    /// its size. One that took longer says nothing: it was larger than the limit would have it.
    pub fn prove(&mut self, batch_size: u32, service_ns: u64) {
        if service_ns < self.grow_below_ns {
            self.limit = self.limit.max(batch_size.min(self.max));
        }
    }

    fn grow(&mut self, batch_size: u32) {
        let proven = batch_size.min(self.limit);
        let grown = proven.saturating_add(AIMD_STEP_ROWS).min(self.max);
        self.limit = self.limit.max(grown);
    }

    /// A batch of the limit's size or less shows the limit itself to be too large.
    fn back_off(&mut self, batch_size: u32) {
        let too_large = batch_size.max(self.limit);
        let reduced = too_large - too_large.div_ceil(AIMD_BACK_OFF_PARTS);
        self.limit = self.limit.min(reduced).max(1);
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

    impl Synthetic {
        fn service_ns(self, rows: u32) -> u64 {
            self.fixed_ns + self.per_row_ns * u64::from(rows)
        }

        /// The largest batch whose service time does not exceed `bound_ns`.
        fn largest_batch(self, bound_ns: u64) -> u64 {
            bound_ns.saturating_sub(self.fixed_ns) / self.per_row_ns
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

    /// The rules again, as a table and with other arithmetic, for comparison.
    fn model_step(limit: u32, max: u32, batch: u32, cut_off: bool, service_ns: u64) -> u32 {
        let tenths_of_objective = service_ns as f64 / (OBJECTIVE_NS as f64 / 10.0);
        match (tenths_of_objective > 10.0, cut_off && tenths_of_objective < 9.0) {
            (true, _) => limit.min(limit.max(batch) * 9 / 10).max(1),
            (false, true) => limit.max(limit.min(batch) + 2).min(max),
            (false, false) => limit,
        }
    }

    #[test]
    fn it_starts_at_one_and_grows_by_two() {
        let mut aimd = Aimd::new(1_024, OBJECTIVE_NS);
        let limits = serve_full_batches(&mut aimd, Synthetic { fixed_ns: 0, per_row_ns: 1 }, 4);
        assert_eq!(limits, [1, 3, 5, 7]);
    }

    #[test]
    fn it_backs_off_by_a_tenth_down_to_one() {
        let mut aimd = Aimd { limit: 20, ..Aimd::new(1_024, OBJECTIVE_NS) };
        let slow = Synthetic { fixed_ns: OBJECTIVE_NS, per_row_ns: 1 };
        let limits = serve_full_batches(&mut aimd, slow, 14);
        assert_eq!(limits, [20, 18, 16, 14, 12, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
        assert_eq!(aimd.limit(), 1);
        aimd.observe(1, true, u64::MAX);
        assert_eq!(aimd.limit(), 1);
    }

    #[test]
    fn it_never_exceeds_the_maximum() {
        let mut aimd = Aimd::new(4, OBJECTIVE_NS);
        let limits = serve_full_batches(&mut aimd, Synthetic { fixed_ns: 0, per_row_ns: 1 }, 4);
        assert_eq!(limits, [1, 3, 4, 4]);
    }

    #[test]
    fn a_maximum_of_zero_means_one() {
        let mut aimd = Aimd::new(0, OBJECTIVE_NS);
        aimd.observe(1, true, 1);
        assert_eq!(aimd.limit(), 1);
    }

    #[test]
    fn it_rests_between_ninety_and_a_hundred_percent_of_the_objective() {
        let mut aimd = Aimd { limit: 50, ..Aimd::new(1_024, OBJECTIVE_NS) };
        aimd.observe(50, true, OBJECTIVE_NS);
        aimd.observe(50, true, OBJECTIVE_NS / 10 * 9);
        assert_eq!(aimd.limit(), 50);
        aimd.observe(50, true, OBJECTIVE_NS / 10 * 9 - 1);
        assert_eq!(aimd.limit(), 52);
        aimd.observe(52, true, OBJECTIVE_NS + 1);
        assert_eq!(aimd.limit(), 46);
    }

    #[test]
    fn light_load_does_not_shrink_the_limit() {
        let mut aimd = Aimd { limit: 100, ..Aimd::new(1_024, OBJECTIVE_NS) };
        aimd.observe(1, false, 1);
        aimd.observe(99, false, OBJECTIVE_NS);
        assert_eq!(aimd.limit(), 100);
    }

    #[test]
    fn a_batch_that_was_not_cut_off_does_not_grow_the_limit() {
        let mut aimd = Aimd { limit: 100, ..Aimd::new(1_024, OBJECTIVE_NS) };
        aimd.observe(100, false, 1);
        assert_eq!(aimd.limit(), 100);
    }

    #[test]
    fn one_crossing_at_depth_two_cuts_once() {
        let mut aimd = Aimd { limit: 100, ..Aimd::new(1_024, OBJECTIVE_NS) };
        aimd.observe(100, true, OBJECTIVE_NS + 1);
        aimd.observe(100, true, OBJECTIVE_NS + 1);
        assert_eq!(aimd.limit(), 90);
        aimd.observe(90, true, OBJECTIVE_NS + 1);
        assert_eq!(aimd.limit(), 81);
    }

    #[test]
    fn two_batches_of_the_same_limit_grow_it_once() {
        let mut aimd = Aimd { limit: 10, ..Aimd::new(1_024, OBJECTIVE_NS) };
        aimd.observe(10, true, 1);
        aimd.observe(10, true, 1);
        assert_eq!(aimd.limit(), 12);
    }

    #[test]
    fn a_new_objective_moves_the_limit_from_where_it_is() {
        let mut aimd = Aimd { limit: 100, ..Aimd::new(1_024, OBJECTIVE_NS) };
        aimd.set_objective_ns(1_000);
        assert_eq!((aimd.limit(), aimd.objective_ns()), (100, 1_000));
        aimd.observe(100, true, 1_001);
        assert_eq!(aimd.limit(), 90);
    }

    #[test]
    fn the_largest_sizes_and_times_do_not_overflow() {
        let mut aimd = Aimd { limit: u32::MAX - 1, ..Aimd::new(u32::MAX, u64::MAX) };
        aimd.observe(u32::MAX - 1, true, 0);
        assert_eq!(aimd.limit(), u32::MAX);
        aimd.set_objective_ns(0);
        aimd.observe(u32::MAX, true, u64::MAX);
        assert_eq!(aimd.limit(), u32::MAX - u32::MAX.div_ceil(10));
    }

    /// From 500 rows down to 50 takes 22 back-offs (0.9^22 < 0.1), and back 225 steps.
    #[test]
    fn it_recovers_from_a_slow_down_and_from_its_end() {
        let normal = Synthetic { fixed_ns: 0, per_row_ns: OBJECTIVE_NS / 500 };
        let mut aimd = Aimd::new(1_024, OBJECTIVE_NS);
        serve_full_batches(&mut aimd, normal, 1_000);
        let before = aimd.limit();
        serve_full_batches(&mut aimd, normal.slower(10), 23);
        let slow_ns = normal.slower(10).service_ns(aimd.limit());
        assert!(slow_ns <= OBJECTIVE_NS, "limit {} takes {slow_ns} ns", aimd.limit());
        serve_full_batches(&mut aimd, normal, 250);
        assert!(aimd.limit() >= before, "{} rows after, {before} before", aimd.limit());
        assert!(normal.service_ns(aimd.limit()) <= OBJECTIVE_NS);
    }

    #[test]
    fn it_recovers_from_a_stall_that_let_nothing_through() {
        let normal = Synthetic { fixed_ns: 500_000, per_row_ns: OBJECTIVE_NS / 100 };
        let mut aimd = Aimd::new(1_024, OBJECTIVE_NS);
        serve_full_batches(&mut aimd, normal, 1_000);
        let before = aimd.limit();
        serve_full_batches(&mut aimd, normal.slower(1_000), 1_000);
        assert_eq!(aimd.limit(), 1);
        serve_full_batches(&mut aimd, normal, 1_000);
        assert_eq!(aimd.limit(), before);
    }

    proptest! {
        #[test]
        fn it_does_what_the_plain_model_does(
            max in 1_u32..300,
            batches in prop::collection::vec(
                (1_u32..300, any::<bool>(), 0..OBJECTIVE_NS * 5 / 4),
                0..200,
            ),
        ) {
            let mut aimd = Aimd::new(max, OBJECTIVE_NS);
            let mut model = 1;
            for (batch, cut_off, service_ns) in batches {
                aimd.observe(batch, cut_off, service_ns);
                model = model_step(model, max, batch, cut_off, service_ns);
                prop_assert_eq!(aimd.limit(), model);
                prop_assert!((1..=max).contains(&aimd.limit()));
            }
        }

        /// Reaches at least 90 % of the largest batch that keeps the objective, and holds it.
        #[test]
        fn without_a_fixed_cost_it_reaches_and_holds_ninety_percent_of_the_largest_batch(
            largest in 21_u64..1_900,
        ) {
            let replica = Synthetic { fixed_ns: 0, per_row_ns: OBJECTIVE_NS / largest };
            let mut aimd = Aimd::new(4_096, OBJECTIVE_NS);
            serve_full_batches(&mut aimd, replica, 1_000);
            let held = serve_full_batches(&mut aimd, replica, 1_000);
            let least = u64::from(*held.iter().min().unwrap());
            let most = *held.iter().max().unwrap();
            prop_assert!(least * 10 >= replica.largest_batch(OBJECTIVE_NS) * 9, "{}", least);
            prop_assert!(replica.service_ns(most) <= OBJECTIVE_NS);
        }

        /// With a fixed cost, the limit rests in the last tenth of the objective and never beyond.
        #[test]
        fn with_a_fixed_cost_it_comes_to_rest_in_the_last_tenth_of_the_objective(
            fixed_percent in 0_u64..=80,
            rows_in_the_last_tenth in 3_u64..190,
        ) {
            let replica = Synthetic {
                fixed_ns: OBJECTIVE_NS / 100 * fixed_percent,
                per_row_ns: OBJECTIVE_NS / 10 / rows_in_the_last_tenth,
            };
            let mut aimd = Aimd::new(4_096, OBJECTIVE_NS);
            serve_full_batches(&mut aimd, replica, 1_000);
            let held = serve_full_batches(&mut aimd, replica, 1_000);
            let rest = held[0];
            prop_assert!(held.iter().all(|&limit| limit == rest));
            prop_assert!(replica.service_ns(rest) >= OBJECTIVE_NS / 10 * 9);
            prop_assert!(replica.service_ns(rest) <= OBJECTIVE_NS);
            let growth_ends_at = replica.largest_batch(OBJECTIVE_NS / 10 * 9);
            prop_assert!(u64::from(rest) <= growth_ends_at + 2);
        }
    }
}
