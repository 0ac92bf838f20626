//! Everything that is counted, with the whole distributions: `cutter-stats/1`.
//!
//! All numbers count from the start of the server. A reader takes two answers and computes what
//! happened in between; nothing here knows who reads, or how often.

use std::collections::BTreeMap;

use cutter_core::stats::{
    ApplicationStats, EngineStats, HTTP_STATUS_OTHER, Histogram, ModelStats, Reason, ReplicaStats,
};
use serde::Serialize;

use super::super::board::Board;
use crate::config::Config;

const SCHEMA: &str = "cutter-stats/1";

#[derive(Debug, Serialize)]
pub(in super::super) struct StatsAnswer<'a> {
    schema: &'static str,
    /// Monotonic.
    pub(in super::super) at_ns: u64,
    engine: EngineFigures,
    applications: Vec<ApplicationFigures<'a>>,
    models: Vec<ModelFigures<'a>>,
}

#[derive(Debug, Serialize)]
struct EngineFigures {
    version: &'static str,
    uptime_ns: u64,
    connections: u64,
    connections_accepted: u64,
    /// Ended to give their place to another.
    connections_evicted: u64,
    bytes_in: u64,
    bytes_out: u64,
    system_calls: SystemCalls,
    ring_overflows: u64,
    input_bytes_copied: u64,
    log_lines_dropped: u64,
    /// By status; those that never occurred are left out.
    http_errors: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
struct SystemCalls {
    enter: u64,
    #[serde(rename = "yield")]
    yielded: u64,
    wake: u64,
}

#[derive(Debug, Serialize)]
struct ApplicationFigures<'a> {
    name: &'a str,
    slo_ns: u64,
    /// The linked models, as indexes into `models`.
    models: &'a [usize],
    queries: u64,
    predictions: u64,
    /// Clients went away before the answer was there.
    cancelled: u64,
    /// Answers that went out after the deadline, whatever they carried.
    late: u64,
    /// Predictions that were made and not told.
    predictions_dropped: u64,
    defaults: BTreeMap<&'static str, u64>,
    rows: u64,
    rows_in_use: u64,
    end_to_end: Distribution,
    parse: Distribution,
    reply: Distribution,
}

#[derive(Debug, Serialize)]
struct ModelFigures<'a> {
    model: &'a str,
    version: &'a str,
    queued: u64,
    expired: u64,
    restarts: u64,
    redispatches: u64,
    batches_failed: u64,
    items_failed: u64,
    /// By kind; those that never occurred are left out.
    violations: BTreeMap<&'static str, u64>,
    /// Of the last batches that came back, the part that failed.
    failed_share: f64,
    /// What the model said of the last batch that failed.
    last_error: Option<String>,
    batch_size: Distribution,
    queue: Distribution,
    batch_wait: Distribution,
    service: Distribution,
    replicas: Vec<ReplicaFigures>,
}

#[derive(Debug, Serialize)]
struct ReplicaFigures {
    state: &'static str,
    up: bool,
    /// Most of its recent batches failed.
    failing: bool,
    restarts: u64,
    batch_limit: u64,
    in_flight: u64,
    batches: u64,
    rows: u64,
    /// The service times of its batches, added up.
    service_ns: u64,
}

/// A distribution: of times in ns, or of batch sizes in rows.
#[derive(Debug, Serialize)]
struct Distribution {
    count: u64,
    sum: u64,
    max: u64,
    /// Upper edge and count of each bucket that holds anything. A bucket is at most 1/128 wide.
    buckets: Vec<(u64, u64)>,
}

impl<'a> StatsAnswer<'a> {
    pub(in super::super) fn new(
        at_ns: u64,
        process: Process,
        stats: &'a EngineStats,
        config: &'a Config,
        board: &Board,
    ) -> Self {
        let applications = stats.applications.iter().zip(&config.applications);
        let models = stats.models.iter().enumerate();
        Self {
            schema: SCHEMA,
            at_ns,
            engine: EngineFigures::new(process, stats),
            applications: applications.map(|(s, c)| ApplicationFigures::new(s, c)).collect(),
            models: models.map(|(index, model)| ModelFigures::new(index, model, board)).collect(),
        }
    }
}

/// What is known of the process.
#[derive(Clone, Copy, Debug)]
pub(in crate::control) struct Process {
    pub uptime_ns: u64,
    pub log_lines_dropped: u64,
}

impl EngineFigures {
    fn new(process: Process, stats: &EngineStats) -> Self {
        let Process { uptime_ns, log_lines_dropped } = process;
        let name = |status: Option<u16>| {
            status.map_or_else(|| HTTP_STATUS_OTHER.to_owned(), |status| status.to_string())
        };
        let errors = stats.http_errors_by_status().filter(|(_, count)| *count > 0);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            uptime_ns,
            connections: stats.connections.get(),
            connections_accepted: stats.connections_accepted.get(),
            connections_evicted: stats.connections_evicted.get(),
            bytes_in: stats.bytes_in.get(),
            bytes_out: stats.bytes_out.get(),
            system_calls: SystemCalls {
                enter: stats.system_calls_enter.get(),
                yielded: stats.system_calls_yield.get(),
                wake: stats.system_calls_wake.get(),
            },
            ring_overflows: stats.ring_overflows.get(),
            input_bytes_copied: stats.input_bytes_copied.get(),
            log_lines_dropped,
            http_errors: errors.map(|(status, count)| (name(status), count)).collect(),
        }
    }
}

impl<'a> ApplicationFigures<'a> {
    fn new(stats: &'a ApplicationStats, config: &'a crate::config::Application) -> Self {
        let defaults = Reason::ALL.map(|reason| (reason.as_str(), stats.defaults(reason).get()));
        Self {
            name: &stats.name,
            slo_ns: config.slo_ns,
            models: &config.models,
            queries: stats.queries.get(),
            predictions: stats.predictions.get(),
            cancelled: stats.cancelled.get(),
            late: stats.late.get(),
            predictions_dropped: stats.predictions_dropped.get(),
            defaults: defaults.into(),
            rows: stats.rows.get(),
            rows_in_use: stats.rows_in_use.get(),
            end_to_end: Distribution::of(&stats.end_to_end),
            parse: Distribution::of(&stats.parse),
            reply: Distribution::of(&stats.reply),
        }
    }
}

impl<'a> ModelFigures<'a> {
    fn new(index: usize, stats: &'a ModelStats, board: &Board) -> Self {
        let kinds = stats.violation_kinds().iter().enumerate();
        let violations = kinds.map(|(kind, name)| (*name, stats.violations(kind).get()));
        let replicas = stats.replicas.iter().enumerate();
        let (failed_share, last_error) = board.failures(index);
        Self {
            model: &stats.model,
            version: &stats.version,
            queued: stats.queued.get(),
            expired: stats.expired.get(),
            restarts: stats.restarts.get(),
            redispatches: stats.redispatches.get(),
            batches_failed: stats.batches_failed.get(),
            items_failed: stats.items_failed.get(),
            violations: violations.filter(|(_, count)| *count > 0).collect(),
            failed_share,
            last_error: last_error.map(str::to_owned),
            batch_size: Distribution::of(&stats.batch_size),
            queue: Distribution::of(&stats.queue),
            batch_wait: Distribution::of(&stats.batch_wait),
            service: Distribution::of(&stats.service),
            replicas: replicas
                .map(|(ordinal, stats)| ReplicaFigures::new(stats, board.replica(index, ordinal)))
                .collect(),
        }
    }
}

impl ReplicaFigures {
    fn new(stats: &ReplicaStats, (state, restarts): (&'static str, u64)) -> Self {
        Self {
            state,
            up: stats.up.get() == 1,
            failing: stats.failing.get() == 1,
            restarts,
            batch_limit: stats.batch_limit.get(),
            in_flight: stats.in_flight.get(),
            batches: stats.batches.get(),
            rows: stats.rows.get(),
            service_ns: stats.service_ns.get(),
        }
    }
}

impl Distribution {
    fn of(histogram: &Histogram) -> Self {
        let snapshot = histogram.snapshot();
        Self {
            count: snapshot.count(),
            sum: snapshot.sum(),
            max: snapshot.max(),
            buckets: snapshot.buckets().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;
    use crate::engine::new_stats;

    const CONFIG: &str = "[[application]]\nname = \"digits\"\nmodels = [\"m\"]\nslo_us = 5000\n\
        input = { type = \"floats\", shape = [4] }\n\
        [[model]]\nname = \"m\"\ncommand = [\"m\"]\nreplicas = 2\n";

    #[test]
    fn every_count_comes_out_under_its_name() {
        let (config, _) = Config::from_toml(CONFIG, Path::new("/srv"), "c").unwrap();
        let stats = new_stats(&config);
        let digits = &stats.applications[0];
        digits.queries.add(7);
        digits.predictions.add(4);
        digits.defaults(Reason::Late).add(3);
        digits.cancelled.add(2);
        digits.late.add(5);
        [3, 3, 257].into_iter().for_each(|ns| digits.end_to_end.record(ns));
        stats.http_errors(404).add(2);
        stats.models[0].violations(0).increment();
        let replica = &stats.models[0].replicas[1];
        replica.batches.add(2);
        replica.rows.add(9);
        replica.service_ns.add(1_500);
        replica.failing.set(1);
        stats.models[0].batches_failed.add(3);
        stats.models[0].items_failed.add(4);
        let board = Board::new(&config, 0);
        let process = Process { uptime_ns: 10, log_lines_dropped: 12 };
        let answer = StatsAnswer::new(11, process, &stats, &config, &board);
        let answer: Value = serde_json::to_value(&answer).unwrap();
        assert_eq!((&answer["schema"], &answer["at_ns"]), (&json!("cutter-stats/1"), &json!(11)));
        assert_eq!(answer["engine"]["http_errors"], json!({ "404": 2 }));
        let digits = &answer["applications"][0];
        let names = ["slo_ns", "queries", "predictions", "cancelled", "late"];
        let counts = names.map(|name| &digits[name]);
        assert_eq!(counts, [5_000_000, 7, 4, 2, 5].map(|count| json!(count)).each_ref());
        assert_eq!(digits["defaults"]["late"], 3);
        let distribution =
            json!({ "count": 3, "sum": 263, "max": 257, "buckets": [[3, 2], [258, 1]] });
        assert_eq!(digits["end_to_end"], distribution);
        let expected = json!({
            "state": "starting", "up": false, "failing": true, "restarts": 0, "batch_limit": 0,
            "in_flight": 0, "batches": 2, "rows": 9, "service_ns": 1_500,
        });
        assert_eq!(answer["models"][0]["replicas"][1], expected);
        let failed = ["batches_failed", "items_failed"].map(|name| &answer["models"][0][name]);
        assert_eq!(failed, [3, 4].map(|count| json!(count)).each_ref());
        assert_eq!(answer["models"][0]["violations"].as_object().unwrap().len(), 1);
    }
}
