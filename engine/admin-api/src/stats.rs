//! `/stats`: everything that is counted since the start of the server, with whole distributions.
//!
//! Counts only grow. What is not a count says so: it is how things stand when the answer is made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Histogram, Selection};

/// The version of the format.
pub const SCHEMA: &str = "cutter-stats/1";

/// The answer of `/stats`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// [`SCHEMA`].
    pub schema: String,
    /// When this was counted, in ns of the server's monotonic clock.
    pub at_ns: u64,
    pub engine: Engine,
    /// In the order of the configuration.
    pub applications: Vec<Application>,
    /// In the order of the configuration.
    pub models: Vec<Model>,
    /// Where what is learned outlives the server; left out when it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<Store>,
    /// Left out when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision_log: Option<DecisionLog>,
}

/// The file with what policies have learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    /// States written.
    pub saved: u64,
    /// States asked for, and answered with what is there.
    pub answered: u64,
    /// Writes and reads that failed, and were or are tried again.
    pub failures: u64,
    /// States that could not be used: damaged, or of another version of the policy.
    pub unusable: u64,
}

/// The files with what was decided and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionLog {
    /// Decisions and lessons that are in files.
    pub records_written: u64,
    /// Those that are not, since the disk did not take them in time.
    pub records_dropped: u64,
}

/// The server as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// Of the server.
    pub version: String,
    /// Since the start.
    pub uptime_ns: u64,
    /// Client connections that are open now.
    pub connections: u64,
    pub connections_accepted: u64,
    /// Ended to give their place to another.
    pub connections_evicted: u64,
    /// Received from clients.
    pub bytes_in: u64,
    /// Sent to clients.
    pub bytes_out: u64,
    pub system_calls: SystemCalls,
    /// Completions that did not fit into the io_uring completion queue at once.
    pub ring_overflows: u64,
    /// Received privately, and then parsed or copied into a row.
    pub input_bytes_copied: u64,
    /// Lines of the log that could not be written.
    #[serde(default)]
    pub log_lines_dropped: u64,
    /// Answers by HTTP status, `other` for those without a count of their own; those that never
    /// occurred are left out.
    pub http_errors: BTreeMap<String, u64>,
}

/// System calls of the engine thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemCalls {
    /// Of `io_uring_enter`.
    pub enter: u64,
    /// Of `sched_yield`.
    #[serde(rename = "yield")]
    pub yielded: u64,
    /// To wake a replica that sleeps.
    pub wake: u64,
}

/// An application. When all is answered, `queries` are `predictions`, all `defaults` and
/// `cancelled` together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Application {
    pub name: String,
    /// As configured.
    pub slo_ns: u64,
    /// The linked models, as indexes into [`Stats::models`].
    #[serde(default)]
    pub models: Vec<usize>,
    /// Queries received.
    pub queries: u64,
    /// Queries answered with a prediction.
    pub predictions: u64,
    /// Queries whose client went away before the answer was there.
    pub cancelled: u64,
    /// Answers that went out after the deadline, whatever they carried.
    pub late: u64,
    /// Predictions that were made and not told.
    pub predictions_dropped: u64,
    /// Queries answered with the default output, by reason.
    pub defaults: BTreeMap<String, u64>,
    /// Rows of its input pool, now.
    pub rows: u64,
    /// Those of them that hold a query, now.
    pub rows_in_use: u64,
    /// ns from the complete request to the answer handed to the kernel.
    pub end_to_end: Histogram,
    /// ns from the complete request to the input in its row.
    pub parse: Histogram,
    /// ns from the output to the answer handed to the kernel.
    pub reply: Histogram,
    /// How it chooses among its models; left out without a policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<Selection>,
}

/// A model version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    pub model: String,
    pub version: String,
    /// Queries that wait in its queue, now.
    pub queued: u64,
    /// Queries that were not sent, because they would have come too late.
    pub expired: u64,
    /// Lives of its replicas after the first of each.
    pub restarts: u64,
    /// Queries sent again because their replica died or their batch failed.
    pub redispatches: u64,
    /// Batches that took far longer than batches of their size do, for which no limit was cut.
    #[serde(default)]
    pub stalls: u64,
    /// Batches that came back as failed.
    #[serde(default)]
    pub batches_failed: u64,
    /// Warm-ups that a probe ended which failed, or of which the container died.
    #[serde(default)]
    pub warm_ups_failed: u64,
    /// Queries answered with the model's own error.
    #[serde(default)]
    pub items_failed: u64,
    /// Calls that were also sent to a second replica, and those that it answered first.
    #[serde(default)]
    pub hedged: u64,
    #[serde(default)]
    pub hedges_won: u64,
    /// Batches, by why they were formed then, and no larger: `idle` (the replica took all that
    /// waited), `just_in_time` (the one before was about to end), `full` (the limit), `deadline`
    /// (more would have made its first query late), `wait_over`, `look_ahead` (queries were given
    /// up for those behind them). Those that never occurred are left out.
    #[serde(default)]
    pub formed: BTreeMap<String, u64>,
    /// Ways in which its replicas broke the protocol, by kind; those that never occurred are left
    /// out.
    #[serde(default)]
    pub violations: BTreeMap<String, u64>,
    /// Of the last batches that came back, the part that failed: 0 to 1.
    #[serde(default)]
    pub failed_share: f64,
    /// What the model said of the last batch that failed; `null` when none has.
    pub last_error: Option<String>,
    /// Rows of the batches sent.
    pub batch_size: Histogram,
    /// ns of a query from its row until it is taken into a batch.
    pub queue: Histogram,
    /// ns of a query from there until its replica begins with the batch.
    pub batch_wait: Histogram,
    /// ns of a query from there until the batch has come back.
    pub service: Histogram,
    /// By their numbers.
    pub replicas: Vec<Replica>,
    /// Left out without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
}

/// The prediction cache of a model version. A call of the model is one of `hits`, `joined`,
/// `misses` and `bypassed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// Calls answered from it.
    pub hits: u64,
    /// Calls that waited for the output of an identical one.
    pub joined: u64,
    /// Calls that were evaluated, and their outputs kept if they could be.
    pub misses: u64,
    /// Calls that were evaluated and left no output there: it was off, or had no room for them, or
    /// the identical call under way was to come too late.
    pub bypassed: u64,
    /// Outputs that gave their place to others, or found none.
    pub evicted: u64,
    /// Outputs that were too old when they were asked for.
    pub expired: u64,
    /// Inputs and outputs that are too large for it.
    pub too_large: u64,
    /// Outputs that are there or awaited, now.
    pub entries: u64,
    /// All memory that it has taken, used or not.
    pub bytes: u64,
    /// Whether it is off now, since it does not pay.
    pub off: bool,
}

/// A replica of a model version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// As in [`crate::readyz::Replica::state`].
    pub state: String,
    /// Whether it is connected and ready for batches, now.
    pub up: bool,
    /// Whether most of its recent batches failed.
    #[serde(default)]
    pub failing: bool,
    /// Lives after the first.
    pub restarts: u64,
    /// The most rows that its next batch may have, now.
    pub batch_limit: u64,
    /// Batches that it holds, now.
    pub in_flight: u64,
    /// Batches that came back.
    pub batches: u64,
    /// The rows in those.
    pub rows: u64,
    /// The service times of those, added up: how long it was busy.
    pub service_ns: u64,
    /// What a line of service time over rows can be fitted to; an older server tells none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_sums: Option<ServiceSums>,
}

/// Sums over the batches that a replica served and that did not fail. A line of service time over
/// rows follows from them by least squares, for any stretch of time: it is their difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSums {
    pub batches: u64,
    pub rows: u64,
    pub rows_squared: u64,
    pub service_ns: u64,
    /// Of each batch, its rows times its service time.
    pub rows_service_ns: u64,
    /// In µs², for ns² would soon be too many.
    pub service_us_squared: u64,
}

impl ServiceSums {
    /// What was added since. Sums wrap, and their differences are right nevertheless.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        self.with(earlier, u64::wrapping_sub)
    }

    /// Adds what another replica served.
    pub fn add(&mut self, other: &Self) {
        *self = self.with(other, u64::wrapping_add);
    }

    fn with(&self, other: &Self, combine: fn(u64, u64) -> u64) -> Self {
        Self {
            batches: combine(self.batches, other.batches),
            rows: combine(self.rows, other.rows),
            rows_squared: combine(self.rows_squared, other.rows_squared),
            service_ns: combine(self.service_ns, other.service_ns),
            rows_service_ns: combine(self.rows_service_ns, other.rows_service_ns),
            service_us_squared: combine(self.service_us_squared, other.service_us_squared),
        }
    }
}

impl Stats {
    /// Whether another server process answered than the one of `earlier`, or one with another
    /// configuration: then nothing can be said of the time between.
    #[must_use]
    pub fn is_of_another_start(&self, earlier: &Self) -> bool {
        self.engine.uptime_ns < earlier.engine.uptime_ns || self.shape() != earlier.shape()
    }

    /// The names of what is counted, which is what a configuration decides.
    fn shape(&self) -> (Vec<&str>, Vec<(&str, &str, usize)>) {
        let applications = self.applications.iter().map(|app| app.name.as_str());
        let models = self.models.iter();
        let models = models.map(|m| (m.model.as_str(), m.version.as_str(), m.replicas.len()));
        (applications.collect(), models.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden() -> Stats {
        serde_json::from_str(include_str!("../tests/golden/stats.json")).unwrap()
    }

    #[test]
    fn a_later_answer_with_the_same_names_is_of_the_same_start() {
        let mut later = golden();
        later.engine.uptime_ns += 1;
        later.applications[0].queries += 1;
        assert!(!later.is_of_another_start(&golden()));
    }

    #[test]
    fn a_server_that_is_younger_or_has_other_names_was_started_anew() {
        let mut others = [(); 4].map(|()| golden());
        others[0].engine.uptime_ns -= 1;
        others[1].applications[0].name.push('s');
        others[2].models[0].version.push('1');
        others[3].models[0].replicas.pop();
        assert!(others.iter().all(|other| other.is_of_another_start(&golden())));
    }
}
