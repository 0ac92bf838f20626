//! Predicts how long a batch will take, so that a query which cannot be in time is not sent.
//!
//! One per replica, on the engine thread. Three things are learned from the batches served:
//!
//! - A [`Line`] over the size, `fixed + per_size × size`: what a batch will probably take.
//! - [`Margins`] above it by size: what it takes at worst. What is promised contains them.
//! - The *pace*: of late, how service times were to the line. Where the last few are all far from
//!   1, the replica has become slower or faster, and the whole line is scaled by the nearest.
//!
//! A batch that takes far longer than the line has it, while the pace is as usual, is a *stall*:
//! the process or its core was taken away for a while. It says nothing about batches, and teaches
//! neither the line nor the margins. So one slow batch is no trend, and a slow-down is followed as
//! soon as all of the last few batches have it, whatever its factor. Stalls that all of the last
//! few batches of one size have are no stalls: they are a step, and it is in the margin.
//!
//! ```text
//!   ns  │                    ╳ a stall: no trend
//!       │                  · · ·  the margin: how far above the line the worst of late were
//!       │              ·  ▪ ╱▪
//!       │         ·   ▪ ╱▪
//!       │    ·   ╱ ▪            the line
//!       └──────────────────── size
//! ```
//!
//! A wrong estimate must not feed itself. Were it too high, nothing would be sent, no batch would
//! ever correct it, and one bad sample would be the end. Three things prevent this:
//!
//! 1. A sample counts for no more than the horizon (the loosest SLO linked): beyond that, all is
//!    equally late, and there is less to unlearn. A slow first batch therefore does little harm.
//! 2. Silence heals: for each whole horizon without a finished batch, the prediction is halved. A
//!    busy replica finishes batches more often than that, so this changes nothing under load; but
//!    a replica that is sent nothing is trusted again within a horizon or two, and the next batch
//!    tells the truth.
//! 3. A few good batches in a row are a pace as well, and the line comes down with it.
//!
//! With nothing known the prediction is 0: send, and learn.

use super::line::Line;
use super::margin::Margins;
use crate::limits::{SERVICE_STALL_TIMES, SERVICE_TREND_BATCHES};

/// The running estimate of one replica's service time. A size is counted in rows or in bytes, as
/// the model's [`super::Cost`] has it.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceEstimate {
    horizon_ns: u64,
    /// When the last batch finished; `None` until one has.
    last_ns: Option<u64>,
    line: Line,
    margins: Margins,
    /// Of the last batches in turn: how long each took for what the line had it.
    paces: [f64; SERVICE_TREND_BATCHES as usize],
    next_pace: usize,
}

/// What a batch tells about batches of its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// How long it took, or, when it was stalled, would probably have taken.
    pub usual_ns: u64,
    pub is_stall: bool,
}

impl ServiceEstimate {
    /// Knows nothing yet. `horizon_ns` is the loosest SLO of the linked applications.
    #[must_use]
    pub fn new(horizon_ns: u64) -> Self {
        Self {
            horizon_ns: horizon_ns.max(1),
            last_ns: None,
            line: Line::default(),
            margins: Margins::default(),
            paces: [1.0; SERVICE_TREND_BATCHES as usize],
            next_pace: 0,
        }
    }

    /// Other applications are linked: changes the horizon and keeps what is known.
    pub fn set_horizon_ns(&mut self, horizon_ns: u64) {
        self.horizon_ns = horizon_ns.max(1);
    }

    /// Forgets everything, for a new incarnation.
    pub fn reset(&mut self) {
        *self = Self::new(self.horizon_ns);
    }

    /// What a batch of this size will probably take, in ns; 0 if unknown. By this is told when a
    /// replica will be free.
    #[must_use]
    pub fn expected(&self, size: u32) -> u64 {
        self.learnt(size).unwrap_or(0)
    }

    /// What a batch of this size will take at worst, as far as batches of late tell; 0 if unknown.
    /// By this is told how large a batch may be.
    #[must_use]
    pub fn worst(&self, size: u32) -> u64 {
        self.last_ns.map_or(0, |_| whole_ns(self.worst_ns(size)))
    }

    /// The same, healed by silence. By this is told whether a replica is of any use.
    #[must_use]
    pub fn predict(&self, size: u32, now_ns: u64) -> u64 {
        self.healed(self.worst_ns(size), now_ns)
    }

    /// What a batch of this size took lately, in ns, however long ago that was; `None` if unknown.
    #[must_use]
    pub fn learnt(&self, size: u32) -> Option<u64> {
        self.last_ns.map(|_| whole_ns(self.line.at(f64::from(size))))
    }

    /// How long ago the last batch finished; `None` if none has.
    #[must_use]
    pub fn silent_for(&self, now_ns: u64) -> Option<u64> {
        self.last_ns.map(|last_ns| now_ns.saturating_sub(last_ns))
    }

    /// Learns from a batch of this size that took `service_ns` and finished at `now_ns`. Says what
    /// of that others may learn.
    pub fn observe(&mut self, size: u32, service_ns: u64, now_ns: u64) -> Lesson {
        let sample_ns = service_ns.min(self.horizon_ns) as f64;
        let is_first = self.last_ns.replace(now_ns).is_none();
        if !is_first {
            self.keep_pace(size, sample_ns);
        }
        if self.line.is_firm() {
            let line_ns = self.line.at(f64::from(size));
            if !self.margins.learn(size, sample_ns - line_ns, line_ns) {
                return Lesson { usual_ns: whole_ns(line_ns), is_stall: true };
            }
        }
        self.line.learn(f64::from(size), sample_ns);
        Lesson { usual_ns: service_ns, is_stall: false }
    }

    /// Notes the pace of a batch. If all of the last few are far from the line, to one side, the
    /// line moves to the nearest of them.
    fn keep_pace(&mut self, size: u32, sample_ns: f64) {
        let pace = sample_ns.max(1.0) / self.line.at(f64::from(size)).max(1.0);
        self.paces[self.next_pace] = pace;
        self.next_pace = (self.next_pace + 1) % self.paces.len();
        let slowest = self.paces.into_iter().fold(0.0, f64::max);
        let fastest = self.paces.into_iter().fold(f64::INFINITY, f64::min);
        let shift = if fastest > SERVICE_STALL_TIMES { fastest } else { slowest };
        if fastest > SERVICE_STALL_TIMES || slowest * SERVICE_STALL_TIMES < 1.0 {
            self.line.scale(shift);
            self.margins.shrink(shift.min(1.0));
            self.paces.iter_mut().for_each(|pace| *pace /= shift);
        }
    }

    fn worst_ns(&self, size: u32) -> f64 {
        self.line.at(f64::from(size)) + self.margins.of(size)
    }

    /// A prediction that silence has healed.
    fn healed(&self, ns: f64, now_ns: u64) -> u64 {
        let Some(last_ns) = self.last_ns else { return 0 };
        let horizons_of_silence = now_ns.saturating_sub(last_ns) / self.horizon_ns;
        let halvings = u32::try_from(horizons_of_silence).unwrap_or(u32::MAX);
        whole_ns(ns).checked_shr(halvings).unwrap_or(0)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates at both ends, and the estimate is finite"
)]
pub(crate) fn whole_ns(ns: f64) -> u64 {
    // `round` is a call into a library on a processor that is only known to be an x86-64.
    (ns + 0.5) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HORIZON_NS: u64 = 20_000_000;
    const NOW_NS: u64 = 1_000_000_000;
    const MS: u64 = 1_000_000;

    fn assert_near(predicted_ns: u64, truth_ns: u64) {
        let off_ns = predicted_ns.abs_diff(truth_ns);
        assert!(off_ns <= truth_ns / 50, "{predicted_ns} ns instead of {truth_ns}");
    }

    /// Batches of these sizes, served as `fixed + per_row × size`.
    fn trained(sizes: &[u32], fixed_ns: u64, per_row_ns: u64) -> ServiceEstimate {
        let mut estimate = ServiceEstimate::new(HORIZON_NS);
        for &size in sizes {
            estimate.observe(size, fixed_ns + per_row_ns * u64::from(size), NOW_NS);
        }
        estimate
    }

    #[test]
    fn nothing_known_predicts_nothing() {
        let estimate = ServiceEstimate::new(HORIZON_NS);
        assert_eq!((estimate.predict(100, NOW_NS), estimate.learnt(100)), (0, None));
    }

    #[test]
    fn one_batch_predicts_the_same_again() {
        let estimate = trained(&[10], 1_000, 100);
        assert_eq!(estimate.predict(10, NOW_NS), 2_000);
        assert_eq!(estimate.predict(20, NOW_NS), 2_000);
    }

    #[test]
    fn fixed_and_per_row_cost_are_told_apart() {
        let estimate = trained(&[1, 3, 5, 7, 9, 11], 500_000, 20_000);
        assert_near(estimate.expected(1), 520_000);
        assert_near(estimate.expected(100), 2_500_000);
    }

    #[test]
    fn sizes_may_be_counted_in_bytes() {
        let estimate = trained(&[1 << 30, 1 << 31, 3 << 30, u32::MAX, 1 << 20], 500_000, 0);
        assert_near(estimate.predict(1 << 29, NOW_NS), 500_000);
        let mut estimate = ServiceEstimate::new(HORIZON_NS);
        for size in [1_u32, 2, 3, 4, 1, 3].map(|parts| parts * 1_000_000) {
            estimate.observe(size, u64::from(size), NOW_NS);
        }
        assert_near(estimate.expected(2_500_000), 2_500_000);
    }

    #[test]
    fn the_cost_per_row_is_remembered_when_all_batches_have_one_size() {
        let mut estimate = trained(&[1, 3, 5, 7, 9, 1, 9, 1, 9], 500_000, 20_000);
        (0..10_000).for_each(|_| {
            estimate.observe(9, 680_000, NOW_NS);
        });
        assert_near(estimate.expected(9), 680_000);
        assert_near(estimate.expected(100), 2_500_000);
    }

    #[test]
    fn one_stall_is_told_and_changes_no_prediction() {
        let mut estimate = trained(&[10; 50], 4_000_000, 0);
        let before = estimate.clone();
        let lesson = estimate.observe(10, 19_000_000, NOW_NS);
        assert_eq!(lesson, Lesson { usual_ns: 4_000_000, is_stall: true });
        assert_eq!(estimate.predict(10, NOW_NS), before.predict(10, NOW_NS));
        assert_eq!(estimate.predict(100, NOW_NS), before.predict(100, NOW_NS));
    }

    #[test]
    fn stalls_in_every_third_batch_change_no_prediction() {
        let mut estimate = trained(&[10; 50], 4_000_000, 0);
        for _ in 0..100 {
            [4, 4, 19].into_iter().for_each(|ms| {
                estimate.observe(10, ms * MS, NOW_NS);
            });
        }
        assert_eq!(estimate.predict(10, NOW_NS), 4_000_000);
    }

    #[test]
    fn a_tenfold_slow_down_is_followed_within_three_batches() {
        let mut estimate = trained(&[10; 50], 1_000_000, 0);
        (0..3).for_each(|_| {
            estimate.observe(10, 10_000_000, NOW_NS);
        });
        assert_eq!(estimate.expected(10), 10_000_000);
        assert!(!estimate.observe(10, 10_000_000, NOW_NS).is_stall);
    }

    #[test]
    fn its_end_is_followed_within_three_batches() {
        let mut estimate = trained(&[10; 50], 10_000_000, 0);
        (0..3).for_each(|_| {
            estimate.observe(10, 1_000_000, NOW_NS);
        });
        assert_near(estimate.predict(10, NOW_NS), 1_000_000);
    }

    /// Padded to powers of two: 33 rows take as long as 64.
    #[test]
    fn a_step_of_the_service_time_is_in_what_is_promised() {
        let stepped_ns = |rows: u32| 1_000_000 + 100_000 * u64::from(rows.next_power_of_two());
        let mut estimate = ServiceEstimate::new(HORIZON_NS);
        for _ in 0..20 {
            for rows in [1, 2, 3, 9, 17, 30, 33, 40, 64] {
                estimate.observe(rows, stepped_ns(rows), NOW_NS);
            }
        }
        for rows in [1, 2, 3, 9, 17, 30, 33, 40, 64] {
            let predicted_ns = estimate.predict(rows, NOW_NS);
            assert!(predicted_ns * 20 >= stepped_ns(rows) * 19, "{rows} rows: {predicted_ns} ns");
        }
    }

    #[test]
    fn a_slow_first_batch_is_unlearned_within_four() {
        let mut estimate = ServiceEstimate::new(HORIZON_NS);
        estimate.observe(1, u64::MAX, NOW_NS);
        assert_eq!(estimate.predict(1, NOW_NS), HORIZON_NS);
        (0..4).for_each(|_| {
            estimate.observe(1, 500_000, NOW_NS);
        });
        assert!(estimate.predict(1, NOW_NS) < 1_500_000);
    }

    #[test]
    fn silence_halves_the_prediction_for_each_whole_horizon() {
        let estimate = trained(&[10], 16_000_000, 0);
        assert_eq!(estimate.predict(10, NOW_NS + HORIZON_NS - 1), 16_000_000);
        assert_eq!(estimate.predict(10, NOW_NS + HORIZON_NS), 8_000_000);
        assert_eq!(estimate.expected(10), 16_000_000);
        assert_eq!(estimate.predict(10, NOW_NS + 100 * HORIZON_NS), 0);
        assert_eq!(estimate.predict(10, u64::MAX), 0);
        assert_eq!(estimate.learnt(10), Some(16_000_000), "it is not forgotten");
    }

    #[test]
    fn a_time_before_the_last_batch_does_no_harm() {
        assert_eq!(trained(&[10], 1_000, 0).predict(10, 0), 1_000);
    }

    #[test]
    fn reset_forgets_and_keeps_the_horizon() {
        let mut estimate = trained(&[1, 2, 3], 1_000, 10);
        estimate.reset();
        assert_eq!(estimate, ServiceEstimate::new(HORIZON_NS));
    }

    proptest! {
        #[test]
        fn any_history_gives_an_expectation_that_does_not_fall_with_size_and_a_promise_above_it(
            batches in prop::collection::vec((0_u32..5_000, any::<u64>()), 1..100),
            size in 1_u32..5_000,
        ) {
            let mut estimate = ServiceEstimate::new(HORIZON_NS);
            for (rows, service_ns) in batches {
                estimate.observe(rows, service_ns >> (rows % 64), NOW_NS);
            }
            let here = estimate.expected(size);
            prop_assert!(here <= 2 * HORIZON_NS * u64::from(size) + 2 * HORIZON_NS, "{}", here);
            prop_assert!(estimate.expected(size + 1) >= here);
            prop_assert!(estimate.predict(size, NOW_NS) >= here);
        }

        /// Batches that lie on a line are predicted by that line, whatever their order.
        #[test]
        fn a_steady_replica_is_predicted_within_two_percent(
            sizes in prop::collection::vec(1_u32..500, 20..50),
            fixed_ns in 2_000_000_u64..5_000_000,
            per_row_ns in 1_u64..4_000,
        ) {
            let sizes = [&[1, 500], sizes.as_slice(), &[1, 500]].concat();
            let estimate = trained(&sizes, fixed_ns, per_row_ns);
            let truth_ns = fixed_ns + per_row_ns * 250;
            let off_ns = estimate.expected(250).abs_diff(truth_ns);
            prop_assert!(off_ns <= truth_ns / 50 + 1, "{} ns off {}", off_ns, truth_ns);
        }
    }

    proptest! {
        /// Whatever is seen, a batch is never predicted to take much more than the worst of those
        /// seen: as many times as long as its size is to theirs, for the line and for the margin.
        #[test]
        fn no_prediction_is_far_beyond_all_that_was_seen(
            batches in prop::collection::vec((1_u32..=8, 0.0..5.0_f64), 1..60),
        ) {
            let mut estimate = ServiceEstimate::new(1 << 40);
            let mut worst_ns = 0;
            for (at_ns, (size, power)) in (0..).zip(batches) {
                let service_ns = whole_ns(50_000.0 * power.exp());
                worst_ns = worst_ns.max(service_ns);
                estimate.observe(size, service_ns, at_ns);
                let predicted_ns = (1..=8).map(|size| estimate.worst(size)).max();
                prop_assert!(predicted_ns.unwrap_or(0) <= 2 * 8 * worst_ns);
            }
        }
    }
}
