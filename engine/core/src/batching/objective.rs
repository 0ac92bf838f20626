//! What a batch's service time may be, so that the queries in it keep their SLO.
//!
//! A query that arrives just after a batch was formed waits for the batches before its own and then
//! for its own. With `depth` batches at a replica, that is `depth` service times (one running, then
//! ours, at depth 2), plus all that is not service: receiving, parsing, replying. Hence:
//!
//! ```text
//!  |<------------------------- tightest SLO ------------------------->|
//!  | overhead |   a batch before ours    |         our batch          |
//!             |<------- objective ------>|<-------- objective ------->|
//! ```

use std::num::NonZeroU32;

use crate::limits::SERVICE_OBJECTIVE_MIN_NS;

/// The objective for the service time of one batch, in ns.
///
/// `tightest_slo_ns` is the least SLO of the applications linked to the model; `overhead_ns` is the
/// measured time of a query that is neither queueing nor service; `depth` is the number of batches
/// that a query may wait behind, its own included.
///
/// An SLO that the overhead alone exceeds cannot be kept. The floor then lets batching go on with
/// small batches instead of an objective of zero.
#[must_use]
pub fn service_objective_ns(tightest_slo_ns: u64, overhead_ns: u64, depth: NonZeroU32) -> u64 {
    let left_ns = tightest_slo_ns.saturating_sub(overhead_ns);
    (left_ns / u64::from(depth.get())).max(SERVICE_OBJECTIVE_MIN_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: NonZeroU32 = NonZeroU32::MIN;
    const TWO: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);

    #[test]
    fn what_the_overhead_leaves_is_divided_by_the_depth() {
        assert_eq!(service_objective_ns(20_000_000, 400_000, TWO), 9_800_000);
        assert_eq!(service_objective_ns(20_000_000, 400_000, ONE), 19_600_000);
    }

    #[test]
    fn an_overhead_beyond_the_slo_leaves_the_floor() {
        assert_eq!(service_objective_ns(1_000_000, u64::MAX, TWO), SERVICE_OBJECTIVE_MIN_NS);
        assert_eq!(service_objective_ns(0, 0, ONE), SERVICE_OBJECTIVE_MIN_NS);
    }

    #[test]
    fn a_share_just_above_the_floor_is_kept() {
        let slo_ns = 2 * (SERVICE_OBJECTIVE_MIN_NS + 1);
        assert_eq!(service_objective_ns(slo_ns, 0, TWO), SERVICE_OBJECTIVE_MIN_NS + 1);
    }
}
