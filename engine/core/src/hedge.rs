//! How many calls of a model may be sent twice, and for which replicas that is worth looking at.
//!
//! One per model version that hedges, on the engine thread. Each call that is sent for the first
//! time earns a share of one that may be sent twice. What is earned is bounded, so that a long calm
//! does not pay for a flood.

use crate::ids::ReplicaId;
use crate::limits::{HEDGE_BURST_CALLS, REPLICAS_MAX};

/// How a model version is hedged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HedgePlan {
    /// The largest share of calls that are sent twice: above 0, and at most 1.
    pub share: f64,
}

/// What may be sent twice of one model.
#[derive(Debug)]
pub(crate) struct Hedge {
    share: f64,
    /// Calls that may be sent twice now.
    earned: f64,
    /// Replicas whose running batch is late, the longest first.
    late: Vec<ReplicaId>,
}

impl Hedge {
    pub fn new(HedgePlan { share }: HedgePlan) -> Self {
        assert!(share > 0.0 && share <= 1.0, "a share of calls");
        Self { share, earned: 0.0, late: Vec::with_capacity(REPLICAS_MAX as usize) }
    }

    pub fn has_late(&self) -> bool {
        !self.late.is_empty()
    }

    pub fn is_late(&self, replica: ReplicaId) -> bool {
        self.late.contains(&replica)
    }

    /// A late replica, if there are more than so many.
    pub fn late_at(&self, place: usize) -> Option<ReplicaId> {
        self.late.get(place).copied()
    }

    pub fn begin_late(&mut self, replica: ReplicaId) {
        self.late.push(replica);
    }

    pub fn end_late(&mut self, replica: ReplicaId) {
        self.late.retain(|late| *late != replica);
    }

    /// So many calls were sent for the first time.
    pub fn earn(&mut self, calls: u32) {
        let earned = self.earned + self.share * f64::from(calls);
        self.earned = earned.min(HEDGE_BURST_CALLS);
    }

    /// So many calls were sent for the second time.
    pub fn spend(&mut self, calls: u32) {
        self.earned -= f64::from(calls);
    }

    /// How many calls may be sent twice now.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and HEDGE_BURST_CALLS"
    )]
    pub fn affords(&self) -> u32 {
        self.earned as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_earns_its_share_of_one_that_is_sent_twice() {
        let mut hedge = Hedge::new(HedgePlan { share: 0.25 });
        let affords = [3, 1, 4].map(|calls| {
            hedge.earn(calls);
            hedge.affords()
        });
        assert_eq!(affords, [0, 1, 2]);
        hedge.spend(2);
        assert_eq!(hedge.affords(), 0);
    }

    #[test]
    fn a_long_calm_does_not_pay_for_a_flood() {
        let mut hedge = Hedge::new(HedgePlan { share: 1.0 });
        (0..1_000).for_each(|_| hedge.earn(1_000));
        assert_eq!(f64::from(hedge.affords()), HEDGE_BURST_CALLS);
    }
}
