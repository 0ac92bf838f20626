//! From when on a batch is late by its replica's own history.
//!
//! One per replica of a model that hedges, on the engine thread. Each batch that came back tells
//! its *ratio*: how long it took for what was predicted. Of these one quantile is kept, by
//! stochastic approximation: a ratio above it raises it a little, one at or below it lowers it by
//! less, so that it stands still where the right share of them lies above.
//!
//! ```text
//!   above ▸ + gain · quantile        at or below ▸ − gain · (1 − quantile)
//! ```
//!
//! It is kept as a logarithm: a step is a share of what it is, and a straggler of a hundred times
//! moves it no further than one of twice. The gain is constant, so what was long ago is forgotten.
//! It is never below 1, since what is within its prediction is not late, and it starts high: with
//! little known, few batches are late.

use super::service::whole_ns;
use crate::limits::{
    HEDGE_GAIN, HEDGE_HISTORY_MIN, HEDGE_MIN_NS, HEDGE_QUANTILE, HEDGE_RATIO_MAX, HEDGE_RATIO_START,
};

/// The running quantile of one replica's ratios.
#[derive(Clone, Debug, PartialEq)]
pub struct Lateness {
    log_ratio: f64,
    /// Ratios told, until there are enough.
    history: u32,
}

impl Default for Lateness {
    fn default() -> Self {
        Self { log_ratio: HEDGE_RATIO_START.ln(), history: 0 }
    }
}

impl Lateness {
    /// Learns from a batch that took `service_ns`, for which `predicted_ns` was predicted.
    pub fn observe(&mut self, service_ns: u64, predicted_ns: u64) {
        let log_ratio = (service_ns.max(1) as f64 / predicted_ns.max(1) as f64).ln();
        let step = if log_ratio > self.log_ratio { HEDGE_QUANTILE } else { HEDGE_QUANTILE - 1.0 };
        self.log_ratio = (self.log_ratio + HEDGE_GAIN * step).clamp(0.0, HEDGE_RATIO_MAX.ln());
        self.history = self.history.saturating_add(1);
    }

    /// A batch that has run for longer is late; `None` while too little is known.
    #[must_use]
    pub fn late_after_ns(&self, predicted_ns: u64) -> Option<u64> {
        if self.history < HEDGE_HISTORY_MIN {
            return None;
        }
        let usual_ns = predicted_ns as f64 * self.log_ratio.exp();
        Some(whole_ns(usual_ns).max(HEDGE_MIN_NS))
    }

    /// Forgets everything, for a new incarnation.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PREDICTED_NS: u64 = 1_000_000;

    /// Told of a thousand batches that took what this says of their numbers, in percent.
    fn taught(mut lateness: Lateness, percent: impl Fn(u64) -> u64) -> Lateness {
        (0..1_000).for_each(|n| lateness.observe(PREDICTED_NS / 100 * percent(n), PREDICTED_NS));
        lateness
    }

    fn late_after_percent(lateness: &Lateness) -> u64 {
        lateness.late_after_ns(PREDICTED_NS).unwrap() * 100 / PREDICTED_NS
    }

    #[test]
    fn nothing_is_late_before_enough_is_known() {
        let mut lateness = Lateness::default();
        (1..HEDGE_HISTORY_MIN).for_each(|_| lateness.observe(PREDICTED_NS, PREDICTED_NS));
        assert_eq!(lateness.late_after_ns(PREDICTED_NS), None);
        lateness.observe(PREDICTED_NS, PREDICTED_NS);
        assert!(lateness.late_after_ns(PREDICTED_NS).is_some());
        lateness.reset();
        assert_eq!(lateness.late_after_ns(PREDICTED_NS), None);
    }

    #[test]
    fn a_replica_that_keeps_to_its_prediction_is_late_right_after_it() {
        assert_eq!(late_after_percent(&taught(Lateness::default(), |_| 100)), 100);
        assert_eq!(late_after_percent(&taught(Lateness::default(), |_| 50)), 100);
    }

    /// Ratios from 1.00 to 1.99, each as often as any other, in an order that mixes them.
    #[test]
    fn it_finds_the_ratio_above_which_one_batch_in_twenty_lies() {
        let late_after = late_after_percent(&taught(Lateness::default(), |n| 100 + n * 37 % 100));
        assert!((185..=205).contains(&late_after), "{late_after} %");
    }

    #[test]
    fn what_was_long_ago_is_forgotten_in_both_directions() {
        let slow = taught(Lateness::default(), |n| 300 + n * 37 % 100);
        assert!(late_after_percent(&slow) > 350);
        assert!(late_after_percent(&taught(slow, |n| 100 + n * 37 % 100)) < 210);
    }

    #[test]
    fn one_straggler_moves_it_no_further_than_any_other_batch_above() {
        let usual = taught(Lateness::default(), |_| 100);
        let [mut twice, mut for_ever] = [usual.clone(), usual];
        twice.observe(2 * PREDICTED_NS, PREDICTED_NS);
        for_ever.observe(u64::MAX, PREDICTED_NS);
        assert_eq!(twice, for_ever);
    }

    #[test]
    fn a_short_run_is_never_late() {
        let lateness = taught(Lateness::default(), |_| 100);
        assert_eq!(lateness.late_after_ns(0), Some(HEDGE_MIN_NS));
    }

    proptest! {
        #[test]
        fn any_history_keeps_it_within_its_bounds(
            batches in prop::collection::vec((any::<u64>(), any::<u64>()), 20..200),
            predicted_ns in 0..1_u64 << 40,
        ) {
            let mut lateness = Lateness::default();
            for (service_ns, predicted_ns) in batches {
                lateness.observe(service_ns, predicted_ns);
            }
            let late_ns = lateness.late_after_ns(predicted_ns).unwrap();
            prop_assert!(late_ns >= predicted_ns.max(HEDGE_MIN_NS));
            let most_ns = predicted_ns as f64 * HEDGE_RATIO_MAX;
            prop_assert!(late_ns as f64 <= most_ns.max(HEDGE_MIN_NS as f64) * 1.000_001);
        }
    }
}
