//! What the engine counts and times, kept in fixed arrays off the critical section.
//!
//! Writer: the engine thread, alone. Readers: the control thread, at any time, through an `Arc` of
//! each. What is counted of an application, a model version or a replica is made with it; recording
//! neither allocates, nor locks, nor waits, and reading does not disturb the writer.
//!
//! ```text
//!  EngineStats       totals: connections, HTTP errors, bytes, system calls
//!  ApplicationStats  answers, rows, end-to-end time, parse and reply stages
//!  FeedbackStats     of an application: updates by what became of them, and how long they took
//!  ModelStats        batches, failures, queue, batch-wait and service stages
//!   └─ ReplicaStats  limit, in flight, up, batches, time busy
//! ```
//!
//! Where a stage is kept: parsing and replying depend on the application (its input type, its
//! output), and no model is involved yet or any more; waiting and service depend on the model,
//! whose queue may serve several applications. So each time is recorded once, in one place. The
//! end-to-end time is the application's, whose SLO it is measured against. All stages count
//! queries, so that their shares of the end-to-end time compare; what a batch has in common is
//! recorded with [`Histogram::record_many`], once.
#![forbid(unsafe_code)]

mod counter;
mod edges;
mod feedback;
mod histogram;
mod labels;
mod selection;
mod service_sums;

use std::sync::Arc;

pub use counter::{Counter, Gauge};
pub use edges::{BATCH_EDGES_ROWS, TIME_EDGES_NS};
pub use feedback::FeedbackStats;
pub use histogram::Histogram;
pub use labels::{HTTP_STATUS_OTHER, HTTP_STATUSES, Reason, Stage, Why};
pub use selection::{ArmStats, MILLIONTHS, SelectionStats};
pub use service_sums::ServiceSums;

pub(crate) use selection::millionths;

/// What is counted of one engine thread, whoever is asked.
#[derive(Debug)]
pub struct EngineStats {
    /// Client connections that are open.
    pub connections: Gauge,
    /// Client connections accepted.
    pub connections_accepted: Counter,
    /// Connections ended for others: they had kept us waiting longest when no place was left.
    pub connections_evicted: Counter,
    /// Bytes received from clients.
    pub bytes_in: Counter,
    /// Bytes sent to clients.
    pub bytes_out: Counter,
    /// Calls of `io_uring_enter`.
    pub system_calls_enter: Counter,
    /// Calls of `sched_yield`.
    pub system_calls_yield: Counter,
    /// Calls that wake a sleeping replica.
    pub system_calls_wake: Counter,
    /// Completions that did not fit into the io_uring completion queue at once.
    pub ring_overflows: Counter,
    /// Input bytes received privately and then parsed or copied into their row.
    pub input_bytes_copied: Counter,
    http_errors: [Counter; HTTP_STATUSES.len() + 1],
}

/// What is counted for one application.
///
/// When all is answered, `queries` = `predictions` + all defaults + `cancelled`.
#[derive(Debug)]
pub struct ApplicationStats {
    /// Its name.
    pub name: Box<str>,
    /// Queries received.
    pub queries: Counter,
    /// Queries answered with a prediction.
    pub predictions: Counter,
    /// Queries whose client went away before their answer was there.
    pub cancelled: Counter,
    /// Answers handed to the kernel after the deadline of their query, whatever they carried.
    pub late: Counter,
    /// Predictions that were made and not told: there was no room for them, or they were no text.
    pub predictions_dropped: Counter,
    /// Rows of its input pool in use.
    pub rows_in_use: Gauge,
    /// Rows of its input pool.
    pub rows: Gauge,
    /// From the complete request to the answer handed to the kernel.
    pub end_to_end: Histogram,
    /// [`Stage::Parse`].
    pub parse: Histogram,
    /// [`Stage::Reply`].
    pub reply: Histogram,
    defaults: [Counter; Reason::ALL.len()],
}

/// What is counted for one model version.
#[derive(Debug)]
pub struct ModelStats {
    /// Its name.
    pub model: Box<str>,
    /// Its version.
    pub version: Box<str>,
    /// Queries waiting in its queue.
    pub queued: Gauge,
    /// Queries answered instead of being sent, because they would have come too late.
    pub expired: Counter,
    /// Rows per batch sent. Its count is the number of batches.
    pub batch_size: Histogram,
    /// Incarnations started after the first of a replica.
    pub restarts: Counter,
    /// Queries sent again because their replica died or their batch failed.
    pub redispatches: Counter,
    /// Queries sent to a second replica too, because the first was late.
    pub hedged: Counter,
    /// Those of them to which the second answered first.
    pub hedges_won: Counter,
    /// Batches that were stalled: they took far longer than batches of their size do, and no batch
    /// limit was cut for it.
    pub stalls: Counter,
    /// Batches that came back as failed.
    pub batches_failed: Counter,
    /// Warm-ups that a probe ended which failed, or of which the container died.
    pub warm_ups_failed: Counter,
    /// Queries answered with the model's own error: it failed on them, or on a batch of them alone.
    pub items_failed: Counter,
    /// [`Stage::Queue`].
    pub queue: Histogram,
    /// [`Stage::BatchWait`], counted for each query of the batch.
    pub batch_wait: Histogram,
    /// [`Stage::Service`], counted for each query of the batch.
    pub service: Histogram,
    /// By replica.
    pub replicas: Box<[Arc<ReplicaStats>]>,
    formed: [Counter; Why::ALL.len()],
    violation_kinds: &'static [&'static str],
    violations: Box<[Counter]>,
}

/// What is counted and shown for one replica.
#[derive(Debug, Default)]
pub struct ReplicaStats {
    /// The most rows that its next batch may have.
    pub batch_limit: Gauge,
    /// Batches that it holds.
    pub in_flight: Gauge,
    /// 1 while an incarnation takes queries, else 0.
    pub up: Gauge,
    /// 1 while most of its recent batches failed, else 0.
    pub failing: Gauge,
    /// Batches that came back.
    pub batches: Counter,
    /// Rows in them.
    pub rows: Counter,
    /// Their service times in ns, added up: how long the replica was busy, since its batches run
    /// one after another.
    pub service_ns: Counter,
    /// Of those that did not fail: how their service times depend on their rows.
    pub service_sums: ServiceSums,
}

impl Default for EngineStats {
    fn default() -> Self {
        Self::new()
    }
}

impl EngineStats {
    /// Nothing is counted yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            connections: Gauge::new(),
            connections_accepted: Counter::new(),
            connections_evicted: Counter::new(),
            bytes_in: Counter::new(),
            bytes_out: Counter::new(),
            system_calls_enter: Counter::new(),
            system_calls_yield: Counter::new(),
            system_calls_wake: Counter::new(),
            ring_overflows: Counter::new(),
            input_bytes_copied: Counter::new(),
            http_errors: [const { Counter::new() }; HTTP_STATUSES.len() + 1],
        }
    }

    /// The counter of answers with this HTTP status; those not in [`HTTP_STATUSES`] share one.
    #[must_use]
    pub fn http_errors(&self, status: u16) -> &Counter {
        let place = HTTP_STATUSES.iter().position(|&known| known == status);
        &self.http_errors[place.unwrap_or(HTTP_STATUSES.len())]
    }

    /// How many answers had which HTTP status, the known ones first.
    pub fn http_errors_by_status(&self) -> impl Iterator<Item = (Option<u16>, u64)> + '_ {
        let known = HTTP_STATUSES.iter().map(|&status| Some(status)).chain([None]);
        known.zip(self.http_errors.iter().map(Counter::get))
    }
}

impl ApplicationStats {
    /// Nothing is counted yet.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            queries: Counter::new(),
            predictions: Counter::new(),
            cancelled: Counter::new(),
            late: Counter::new(),
            predictions_dropped: Counter::new(),
            rows_in_use: Gauge::new(),
            rows: Gauge::new(),
            end_to_end: Histogram::of_times(),
            parse: Histogram::of_times(),
            reply: Histogram::of_times(),
            defaults: [const { Counter::new() }; Reason::ALL.len()],
        }
    }

    /// The counter of queries answered with the default output for this reason.
    #[must_use]
    pub fn defaults(&self, reason: Reason) -> &Counter {
        &self.defaults[reason.index()]
    }
}

impl ModelStats {
    /// Nothing is counted yet.
    pub fn new(
        model: &str,
        version: &str,
        replicas: usize,
        violation_kinds: &'static [&'static str],
    ) -> Self {
        Self {
            model: model.into(),
            version: version.into(),
            queued: Gauge::new(),
            expired: Counter::new(),
            batch_size: Histogram::of_batch_sizes(),
            restarts: Counter::new(),
            redispatches: Counter::new(),
            hedged: Counter::new(),
            hedges_won: Counter::new(),
            stalls: Counter::new(),
            batches_failed: Counter::new(),
            warm_ups_failed: Counter::new(),
            items_failed: Counter::new(),
            queue: Histogram::of_times(),
            batch_wait: Histogram::of_times(),
            service: Histogram::of_times(),
            replicas: (0..replicas).map(|_| Arc::default()).collect(),
            formed: [const { Counter::new() }; Why::ALL.len()],
            violation_kinds,
            violations: violation_kinds.iter().map(|_| Counter::new()).collect(),
        }
    }

    /// The counter of batches that were formed for this reason.
    #[must_use]
    pub fn formed(&self, why: Why) -> &Counter {
        &self.formed[why.index()]
    }

    /// The counter of violations of the kind with this index.
    ///
    /// # Panics
    /// When there is no such kind. The index comes from our own enum of kinds, never from a peer.
    #[must_use]
    pub fn violations(&self, kind: usize) -> &Counter {
        &self.violations[kind]
    }

    /// The names of the kinds of violations, in the order of their indexes.
    #[must_use]
    pub fn violation_kinds(&self) -> &'static [&'static str] {
        self.violation_kinds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_status_and_kind_has_its_own_counter() {
        let stats = EngineStats::new();
        let digits = ApplicationStats::new("digits");
        Reason::ALL.iter().for_each(|&reason| digits.defaults(reason).increment());
        digits.defaults(Reason::Late).add(10);
        assert_eq!(Reason::ALL.map(|reason| digits.defaults(reason).get()), [1, 1, 1, 11, 1, 1, 1]);
        let softmax = ModelStats::new("softmax", "1", 2, &["stamp", "slot"]);
        softmax.violations(1).add(3);
        assert_eq!([0, 1].map(|kind| softmax.violations(kind).get()), [0, 3]);
        [413, 413, 418, 599].into_iter().for_each(|status| stats.http_errors(status).increment());
        assert_eq!([413, 400, 418].map(|status| stats.http_errors(status).get()), [2, 0, 2]);
    }
}
