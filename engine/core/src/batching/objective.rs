//! What a batch's service time may be, so that the queries in it keep their SLO.
//!
//! Of `n` replicas under full load that begin one after another, one begins every `n`-th part of a
//! service time. A query that just missed a batch waits until the next replica begins, which is so
//! long, and then for its own batch. With `S` for what the SLO leaves beside receiving, parsing and
//! replying, and `l` for the service time of a batch:
//!
//! ```text
//!   l / n + l ≤ S,  so  l ≤ S · n / (n + 1)
//!
//!  |<---------------------- tightest SLO ---------------------->|
//!  | overhead | wait for a replica |         our batch          |
//!             |<------ l / n ----->|<------------ l ----------->|
//! ```
//!
//! For one replica it is a half, as Nexus (SOSP '19) has it; for many, nearly all, as Symphony
//! (arXiv 2308.07470) has it. The largest batch within it gives the highest rate at which even
//! arrivals are all in time.
//!
//! That is what a batch is on average, then. As a bound on every batch it is too tight: arrivals
//! are not even, and a queue that was long for a moment is served sooner by one larger batch; in
//! overload, where what waited for long is given up, all batches may be larger. How large each may
//! be follows from its own first query. The limit stands above that, for where the prediction is
//! wrong, and its objective is `S · (n + 1) / (n + 2)`. With `n / (n + 1)` no batch could be larger
//! than the bound's, and no more be served in overload (`cargo test -p cutter-core tests::load`).
//!
//! That is for batches as they usually are. Where the core is taken from a replica now and then,
//! some of any size take longer, and to count with those would make all of them small. A query that
//! did not wait is still in time if its batch takes all of `S`; what a batch may take at worst, for
//! a limit that tells the two apart, is that.
//!
//! That a second batch is formed for a replica that works only just in time is taken for granted
//! here. Where the fixed cost of a batch is so small that it pays to form two, small batches are as
//! good as large ones; what is predicted for the second contains the first, so that it becomes as
//! small as it has to be.

use std::num::NonZeroU32;

use crate::limits::SERVICE_OBJECTIVE_MIN_NS;

/// What the service time of one batch may be, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objective {
    /// As batches usually are.
    pub usual_ns: u64,
    /// In nearly all cases; no less than the usual.
    pub worst_ns: u64,
}

impl Objective {
    /// Of a model of which nothing is known yet.
    pub const LEAST: Self =
        Self { usual_ns: SERVICE_OBJECTIVE_MIN_NS, worst_ns: SERVICE_OBJECTIVE_MIN_NS };

    /// `tightest_slo_ns` is the least SLO of the applications linked to the model; `overhead_ns` is
    /// the measured time of a query that is neither queueing nor service; `live_replicas` are those
    /// that batches are sent to.
    ///
    /// An SLO that the overhead alone exceeds cannot be kept. The floor then lets batching go on
    /// with small batches instead of an objective of zero.
    #[must_use]
    pub fn of(tightest_slo_ns: u64, overhead_ns: u64, live_replicas: NonZeroU32) -> Self {
        let left_ns = tightest_slo_ns.saturating_sub(overhead_ns);
        // All but one part of so many.
        let parts = u64::from(live_replicas.get()) + 2;
        Self {
            usual_ns: (left_ns - left_ns.div_ceil(parts)).max(SERVICE_OBJECTIVE_MIN_NS),
            worst_ns: left_ns.max(SERVICE_OBJECTIVE_MIN_NS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicas(count: u32) -> NonZeroU32 {
        NonZeroU32::new(count).expect("some")
    }

    #[test]
    fn one_replica_gets_two_thirds_of_what_the_overhead_leaves_and_four_get_five_sixths() {
        let of = |overhead_ns, count| {
            let Objective { usual_ns, worst_ns } =
                Objective::of(20_000_000, overhead_ns, replicas(count));
            (usual_ns, worst_ns)
        };
        assert_eq!(of(500_000, 1), (13_000_000, 19_500_000));
        assert_eq!(of(200_000, 4), (16_500_000, 19_800_000));
    }

    #[test]
    fn an_overhead_beyond_the_slo_leaves_the_floor() {
        assert_eq!(Objective::of(1_000, u64::MAX, replicas(2)), Objective::LEAST);
        assert_eq!(Objective::of(0, 0, replicas(1)), Objective::LEAST);
    }

    #[test]
    fn the_largest_values_do_not_overflow() {
        let objective = Objective::of(u64::MAX, 0, replicas(u32::MAX));
        assert!(objective.usual_ns > u64::MAX - (1 << 33) && objective.worst_ns == u64::MAX);
    }
}
