//! The seam between "how large may a batch be" and those who form batches.
//!
//! One per replica, since replicas differ in speed. Another way to set the limit (quantile
//! regression) becomes another variant; its users see only sizes and times.

use super::Aimd;

/// How many rows may go into a replica's next batch, and what it learns from the batches served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchLimit {
    /// Adapts to the service time objective.
    Aimd(Aimd),
    /// Always the same, whatever the service times are.
    Fixed {
        /// The most rows in a batch, at least 1.
        max: u32,
    },
}

impl BatchLimit {
    /// The most rows that the next batch may have; at least 1.
    #[must_use]
    pub fn limit(&self) -> u32 {
        match self {
            Self::Aimd(aimd) => aimd.limit(),
            Self::Fixed { max } => (*max).max(1),
        }
    }

    /// Tells how a batch went. `cut_off_by_limit`: more was waiting, but the limit kept it out.
    pub fn observe(&mut self, batch_size: u32, cut_off_by_limit: bool, service_ns: u64) {
        match self {
            Self::Aimd(aimd) => aimd.observe(batch_size, cut_off_by_limit, service_ns),
            Self::Fixed { .. } => {}
        }
    }

    /// A batch of this size was tried, and took so long.
    pub fn prove(&mut self, batch_size: u32, service_ns: u64) {
        match self {
            Self::Aimd(aimd) => aimd.prove(batch_size, service_ns),
            Self::Fixed { .. } => {}
        }
    }

    /// Changes what a batch's service time may be. See [`super::service_objective_ns`].
    pub fn set_objective_ns(&mut self, objective_ns: u64) {
        match self {
            Self::Aimd(aimd) => aimd.set_objective_ns(objective_ns),
            Self::Fixed { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_limit_stays_whatever_is_observed() {
        let mut limit = BatchLimit::Fixed { max: 7 };
        limit.set_objective_ns(1_000);
        limit.observe(7, true, 1);
        limit.observe(7, true, u64::MAX);
        assert_eq!(limit.limit(), 7);
    }

    #[test]
    fn a_fixed_limit_of_zero_still_lets_one_row_through() {
        assert_eq!(BatchLimit::Fixed { max: 0 }.limit(), 1);
    }

    #[test]
    fn the_aimd_variant_hands_everything_on() {
        let mut direct = Aimd::new(64, 1_000_000);
        let mut limit = BatchLimit::Aimd(direct.clone());
        direct.observe(1, true, 10);
        limit.observe(1, true, 10);
        direct.set_objective_ns(5);
        limit.set_objective_ns(5);
        direct.observe(3, true, 10);
        limit.observe(3, true, 10);
        assert_eq!(limit, BatchLimit::Aimd(direct.clone()));
        assert_eq!(limit.limit(), direct.limit());
        assert_eq!(limit.limit(), 2);
    }
}
