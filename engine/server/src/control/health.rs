//! Whether a model's batches fail, from two counts that are looked at once a second. Pure.
//!
//! Only seconds in which batches came back count: a model that failed, and is not asked any more,
//! has not recovered.

use std::collections::VecDeque;

use crate::limits::{HEALTH_SAMPLES_MAX, MODEL_FAILING_PERCENT};

#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    seen: Counts,
    recent: VecDeque<Counts>,
}

/// Batches that came back, and those of them that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) batches: u64,
    pub(super) failed: u64,
}

impl Health {
    /// Takes the counts since the start of the server.
    pub(super) fn look(&mut self, now: Counts) {
        let batches = now.batches.saturating_sub(self.seen.batches);
        let failed = now.failed.saturating_sub(self.seen.failed);
        self.seen = now;
        if batches == 0 && failed == 0 {
            return;
        }
        if self.recent.len() == HEALTH_SAMPLES_MAX {
            self.recent.pop_front();
        }
        // The two are read one after the other, while they grow.
        self.recent.push_back(Counts { batches: batches.max(failed), failed });
    }

    /// Of the last batches; `None` before the first.
    pub(super) fn recent(&self) -> Option<Counts> {
        let add = |sum: Counts, one: &Counts| Counts {
            batches: sum.batches + one.batches,
            failed: sum.failed + one.failed,
        };
        let sum = self.recent.iter().fold(Counts::default(), add);
        (sum.batches > 0).then_some(sum)
    }

    /// Whether so many failed that the model is not well.
    pub(super) fn is_failing(&self) -> bool {
        self.recent().is_some_and(|sum| sum.failed * 100 >= sum.batches * MODEL_FAILING_PERCENT)
    }
}

impl Counts {
    pub(super) fn failed_share(self) -> f64 {
        self.failed as f64 / self.batches.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(looks: &[(u64, u64)]) -> Health {
        let mut health = Health::default();
        looks.iter().for_each(|&(batches, failed)| health.look(Counts { batches, failed }));
        health
    }

    #[test]
    fn a_model_is_failing_when_half_of_its_last_batches_failed() {
        assert!(!after(&[]).is_failing());
        assert!(!after(&[(100, 49)]).is_failing());
        assert!(after(&[(100, 50)]).is_failing());
        assert_eq!(after(&[(100, 50)]).recent(), Some(Counts { batches: 100, failed: 50 }));
    }

    #[test]
    fn a_model_that_is_not_asked_any_more_has_not_recovered() {
        let mut looks = vec![(10, 10)];
        looks.extend([(10, 10); 2 * HEALTH_SAMPLES_MAX]);
        assert!(after(&looks).is_failing());
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let good = (1..=HEALTH_SAMPLES_MAX as u64).map(|second| (10 + 10 * second, 10));
        let looks: Vec<_> = [(10, 10)].into_iter().chain(good).collect();
        assert!(after(&looks[..2]).is_failing());
        assert_eq!(after(&looks).recent().unwrap().failed, 0);
    }
}
