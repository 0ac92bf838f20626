//! The seam between "how large may a batch be" and those who form batches.
//!
//! One per replica, since replicas differ in speed. Its users see only sizes and times.

use super::aimd::Aimd;
use super::objective::Objective;
use super::quantile::Quantile;

/// How large a replica's next batch may be, in rows or bytes, and what is learned from the batches
/// served.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchLimit {
    /// Adapts to the service time objective.
    Aimd(Aimd),
    /// Adapts to the objective by the 99th percentile of service times.
    Quantile(Box<Quantile>),
    /// Always the same, whatever the service times are.
    Fixed {
        /// The largest batch, at least 1.
        max: u32,
    },
}

impl BatchLimit {
    /// The largest that the next batch may be; at least 1.
    #[must_use]
    pub fn limit(&self) -> u32 {
        match self {
            Self::Aimd(aimd) => aimd.limit(),
            Self::Quantile(quantile) => quantile.limit(),
            Self::Fixed { max } => (*max).max(1),
        }
    }

    /// Tells how a batch went. `cut_off_by_limit`: more was waiting, but the limit kept it out.
    /// `usual_ns`: how long batches of its size take, as [`super::Lesson`] has it.
    pub fn observe(&mut self, size: u32, cut_off_by_limit: bool, usual_ns: u64) {
        match self {
            Self::Aimd(aimd) => aimd.observe(size, cut_off_by_limit, usual_ns),
            Self::Quantile(quantile) => quantile.observe(size, cut_off_by_limit, usual_ns),
            Self::Fixed { .. } => {}
        }
    }

    /// Changes what a batch's service time may be.
    pub fn set_objective(&mut self, objective: Objective) {
        match self {
            Self::Aimd(aimd) => aimd.set_objective_ns(objective.usual_ns),
            Self::Quantile(quantile) => quantile.set_objective(objective),
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
        limit.set_objective(Objective { usual_ns: 1_000, worst_ns: 2_000 });
        limit.observe(7, true, 1);
        limit.observe(7, true, u64::MAX);
        assert_eq!(limit.limit(), 7);
    }

    #[test]
    fn a_fixed_limit_of_zero_still_lets_one_row_through() {
        assert_eq!(BatchLimit::Fixed { max: 0 }.limit(), 1);
    }

    #[test]
    fn the_variants_hand_everything_on() {
        let (mut aimd, mut quantile) = (Aimd::new(64, 1_000_000), Quantile::new(64));
        let mut limits =
            [BatchLimit::Aimd(aimd.clone()), BatchLimit::Quantile(Box::new(quantile.clone()))];
        for (size, service_ns, objective_ns) in [(1, 10, 1_000_000), (2, 10, 5), (3, 10, 5)] {
            let objective = Objective { usual_ns: objective_ns, worst_ns: 2 * objective_ns };
            aimd.set_objective_ns(objective_ns);
            quantile.set_objective(objective);
            aimd.observe(size, true, service_ns);
            quantile.observe(size, true, service_ns);
            for limit in &mut limits {
                limit.set_objective(objective);
                limit.observe(size, true, service_ns);
            }
            assert_eq!(limits[0].limit(), aimd.limit());
            assert_eq!(limits[1].limit(), quantile.limit());
        }
        assert_eq!(limits, [BatchLimit::Aimd(aimd), BatchLimit::Quantile(Box::new(quantile))]);
    }
}
