//! Predicts how long a batch will take, so that a query which cannot be in time is not sent.
//!
//! One per replica, on the engine thread. It fits `service = fixed + per_row × size` to the batches
//! served, each older batch counting less than the next (means, variance and covariance with
//! exponential forgetting). A batch slower than predicted counts for a half, one as fast or faster
//! for an eighth: so the estimate follows a slow-down within a few batches and comes down gently.
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
//! 3. Each good batch takes away an eighth of what is left of a bad one.
//!
//! With nothing known the prediction is 0: send, and learn.

use crate::limits::{SERVICE_GAIN_DOWN, SERVICE_GAIN_UP, SERVICE_SIZE_VARIANCE_MIN};

/// The running estimate of one replica's service time.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceEstimate {
    horizon_ns: u64,
    /// When the last batch finished; `None` until one has.
    last_ns: Option<u64>,
    mean_rows: f64,
    mean_ns: f64,
    variance_rows: f64,
    covariance: f64,
    /// Kept when batches have one size for long and nothing can be told from their variance.
    per_row_ns: f64,
}

impl ServiceEstimate {
    /// Knows nothing yet. `horizon_ns` is the loosest SLO of the linked applications.
    #[must_use]
    pub fn new(horizon_ns: u64) -> Self {
        Self {
            horizon_ns: horizon_ns.max(1),
            last_ns: None,
            mean_rows: 0.0,
            mean_ns: 0.0,
            variance_rows: 0.0,
            covariance: 0.0,
            per_row_ns: 0.0,
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

    /// What a batch of `batch_size` rows would take, in ns, if it began now; 0 if unknown.
    #[must_use]
    pub fn predict(&self, batch_size: u32, now_ns: u64) -> u64 {
        let (Some(last_ns), Some(learnt_ns)) = (self.last_ns, self.learnt(batch_size)) else {
            return 0;
        };
        let horizons_of_silence = now_ns.saturating_sub(last_ns) / self.horizon_ns;
        let halvings = u32::try_from(horizons_of_silence).unwrap_or(u32::MAX);
        learnt_ns.checked_shr(halvings).unwrap_or(0)
    }

    /// What a batch of `batch_size` rows took lately, in ns, however long ago that was; `None` if
    /// unknown.
    #[must_use]
    pub fn learnt(&self, batch_size: u32) -> Option<u64> {
        self.last_ns.map(|_| whole_ns(self.line(f64::from(batch_size))))
    }

    /// Learns from a batch of `batch_size` rows that took `service_ns` and finished at `now_ns`.
    pub fn observe(&mut self, batch_size: u32, service_ns: u64, now_ns: u64) {
        let rows = f64::from(batch_size);
        let sample_ns = service_ns.min(self.horizon_ns) as f64;
        if self.last_ns.is_none() {
            self.mean_rows = rows;
            self.mean_ns = sample_ns;
        } else {
            self.learn(rows, sample_ns);
        }
        self.last_ns = Some(now_ns);
    }

    fn learn(&mut self, rows: f64, sample_ns: f64) {
        let gain = if sample_ns > self.line(rows) { SERVICE_GAIN_UP } else { SERVICE_GAIN_DOWN };
        let rows_off = rows - self.mean_rows;
        let ns_off = sample_ns - self.mean_ns;
        self.mean_rows += gain * rows_off;
        self.mean_ns += gain * ns_off;
        self.variance_rows = (1.0 - gain) * (self.variance_rows + gain * rows_off * rows_off);
        self.covariance = (1.0 - gain) * (self.covariance + gain * rows_off * ns_off);
        if self.variance_rows > SERVICE_SIZE_VARIANCE_MIN {
            self.per_row_ns = self.covariance / self.variance_rows;
        }
    }

    /// The line through the means. Its slope is at least 0 and at most so steep that no rows take
    /// no time: noise cannot make a larger batch look faster, nor the fixed cost negative.
    fn line(&self, rows: f64) -> f64 {
        let steepest = self.mean_ns / self.mean_rows.max(1.0);
        let per_row_ns = self.per_row_ns.clamp(0.0, steepest);
        self.mean_ns + per_row_ns * (rows - self.mean_rows)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates at both ends, and the estimate is finite"
)]
fn whole_ns(ns: f64) -> u64 {
    ns.round() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HORIZON_NS: u64 = 20_000_000;
    const NOW_NS: u64 = 1_000_000_000;

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
        assert_eq!(estimate.predict(1, NOW_NS), 520_000);
        assert_eq!(estimate.predict(100, NOW_NS), 2_500_000);
    }

    #[test]
    fn the_cost_per_row_is_remembered_when_all_batches_have_one_size() {
        let mut estimate = trained(&[1, 3, 5, 7, 9], 500_000, 20_000);
        (0..10_000).for_each(|_| estimate.observe(9, 680_000, NOW_NS));
        assert_eq!(estimate.predict(9, NOW_NS), 680_000);
        let off_ns = estimate.predict(100, NOW_NS).abs_diff(2_500_000);
        assert!(off_ns < 1_000, "{off_ns} ns off");
    }

    #[test]
    fn a_tenfold_slow_down_is_followed_within_four_batches() {
        let mut estimate = trained(&[10; 50], 1_000_000, 0);
        (0..4).for_each(|_| estimate.observe(10, 10_000_000, NOW_NS));
        assert!(estimate.predict(10, NOW_NS) > 9_000_000);
    }

    #[test]
    fn its_end_is_followed_within_forty_batches() {
        let mut estimate = trained(&[10; 50], 10_000_000, 0);
        (0..40).for_each(|_| estimate.observe(10, 1_000_000, NOW_NS));
        let predicted_ns = estimate.predict(10, NOW_NS);
        assert!((1_000_000..1_100_000).contains(&predicted_ns), "{predicted_ns} ns");
    }

    #[test]
    fn a_cost_that_grows_faster_than_the_size_never_makes_a_small_batch_free() {
        let mut estimate = ServiceEstimate::new(HORIZON_NS);
        estimate.observe(10, 1_000, NOW_NS);
        estimate.observe(20, 10_000, NOW_NS);
        let one_row_ns = estimate.predict(1, NOW_NS);
        assert_eq!(one_row_ns, estimate.predict(15, NOW_NS).div_ceil(15));
    }

    #[test]
    fn a_sample_counts_for_no_more_than_the_horizon() {
        let mut estimate = ServiceEstimate::new(HORIZON_NS);
        estimate.observe(1, u64::MAX, NOW_NS);
        assert_eq!(estimate.predict(1, NOW_NS), HORIZON_NS);
    }

    #[test]
    fn silence_halves_the_prediction_for_each_whole_horizon() {
        let estimate = trained(&[10], 16_000_000, 0);
        assert_eq!(estimate.predict(10, NOW_NS + HORIZON_NS - 1), 16_000_000);
        assert_eq!(estimate.predict(10, NOW_NS + HORIZON_NS), 8_000_000);
        assert_eq!(estimate.predict(10, NOW_NS + 3 * HORIZON_NS), 2_000_000);
        assert_eq!(estimate.predict(10, NOW_NS + 100 * HORIZON_NS), 0);
        assert_eq!(estimate.predict(10, u64::MAX), 0);
        assert_eq!(estimate.learnt(10), Some(16_000_000), "it is not forgotten");
    }

    #[test]
    fn the_worst_sample_is_trusted_again_after_one_silent_horizon() {
        let mut estimate = ServiceEstimate::new(HORIZON_NS);
        estimate.observe(1, u64::MAX, NOW_NS);
        let later_ns = NOW_NS + HORIZON_NS;
        assert!(estimate.predict(1, later_ns) < HORIZON_NS);
        (0..20).for_each(|_| estimate.observe(1, 1_000_000, later_ns));
        assert!(estimate.predict(1, later_ns) < 3_000_000);
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
        fn any_history_gives_a_bounded_prediction_that_does_not_fall_with_size(
            batches in prop::collection::vec((0_u32..5_000, any::<u64>()), 1..100),
            size in 1_u32..5_000,
        ) {
            let mut estimate = ServiceEstimate::new(HORIZON_NS);
            for (rows, service_ns) in batches {
                estimate.observe(rows, service_ns >> (rows % 64), NOW_NS);
            }
            let here = estimate.predict(size, NOW_NS);
            prop_assert!(here <= HORIZON_NS * u64::from(size) + HORIZON_NS);
            prop_assert!(estimate.predict(size + 1, NOW_NS) >= here);
        }

        /// Batches that lie on a line are predicted by that line, whatever their order.
        #[test]
        fn a_steady_replica_is_predicted_within_a_percent(
            sizes in prop::collection::vec(1_u32..500, 2..50),
            fixed_ns in 0_u64..5_000_000,
            per_row_ns in 1_u64..20_000,
        ) {
            let sizes = [sizes.as_slice(), &[1, 500]].concat();
            let estimate = trained(&sizes, fixed_ns, per_row_ns);
            let truth_ns = fixed_ns + per_row_ns * 250;
            let off_ns = estimate.predict(250, NOW_NS).abs_diff(truth_ns);
            prop_assert!(off_ns <= truth_ns / 100 + 1, "{} ns off {}", off_ns, truth_ns);
        }
    }
}
