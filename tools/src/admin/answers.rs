//! What `/stats` says. Fields that a later engine adds are not known here, and not minded.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Histogram;

/// The version of the format.
pub const STATS_SCHEMA: &str = "cutter-stats/1";

/// Everything that an engine has counted since its start.
#[derive(Clone, Debug, Deserialize)]
pub struct Stats {
    /// The engine's monotonic clock.
    pub at_ns: u64,
    pub engine: EngineStats,
    pub applications: Vec<ApplicationStats>,
    pub models: Vec<ModelStats>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct EngineStats {
    pub version: String,
    pub uptime_ns: u64,
    pub connections: u64,
    pub connections_accepted: u64,
    pub connections_evicted: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub system_calls: SystemCalls,
    pub ring_overflows: u64,
    pub input_bytes_copied: u64,
    #[serde(default)]
    pub log_lines_dropped: u64,
    /// By status.
    pub http_errors: BTreeMap<String, u64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub struct SystemCalls {
    pub enter: u64,
    #[serde(rename = "yield")]
    pub yielded: u64,
    pub wake: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct ApplicationStats {
    pub name: String,
    pub slo_ns: u64,
    pub queries: u64,
    pub predictions: u64,
    pub cancelled: u64,
    pub late: u64,
    pub predictions_dropped: u64,
    /// By reason.
    pub defaults: BTreeMap<String, u64>,
    pub rows: u64,
    pub rows_in_use: u64,
    pub end_to_end: Histogram,
    pub parse: Histogram,
    pub reply: Histogram,
}

#[derive(Clone, Debug, Deserialize)]
pub struct ModelStats {
    pub model: String,
    pub version: String,
    pub queued: u64,
    pub expired: u64,
    pub restarts: u64,
    pub redispatches: u64,
    #[serde(default)]
    pub batches_failed: u64,
    #[serde(default)]
    pub items_failed: u64,
    /// Of the last batches that came back, the part that failed.
    #[serde(default)]
    pub failed_share: f64,
    /// What the model said of the last batch that failed.
    pub last_error: Option<String>,
    pub batch_size: Histogram,
    pub queue: Histogram,
    pub batch_wait: Histogram,
    pub service: Histogram,
    pub replicas: Vec<ReplicaStats>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct ReplicaStats {
    pub state: String,
    pub up: bool,
    pub restarts: u64,
    pub batch_limit: u64,
    pub in_flight: u64,
    pub batches: u64,
    pub rows: u64,
    /// The service times of its batches, added up.
    pub service_ns: u64,
}

impl Stats {
    /// Whether another engine process answered than the one of `earlier`, or one with another
    /// configuration: then nothing can be said of the time between.
    pub fn is_of_another_start(&self, earlier: &Self) -> bool {
        let shape = |stats: &Self| {
            let applications = stats.applications.iter().map(|app| app.name.clone());
            let models = stats.models.iter();
            let models = models.map(|m| (m.model.clone(), m.version.clone(), m.replicas.len()));
            (applications.collect::<Vec<_>>(), models.collect::<Vec<_>>())
        };
        self.engine.uptime_ns < earlier.engine.uptime_ns || shape(self) != shape(earlier)
    }
}
