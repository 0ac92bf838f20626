//! Everything that is counted, with the whole distributions.
//!
//! All numbers count from the start of the server. A reader takes two answers and computes what
//! happened in between; nothing here knows who reads, or how often.

use cutter_admin_api::stats::{
    Application, Cache, DecisionLog, Engine, Model, Replica, SCHEMA, ServiceSums, Stats, Store,
    SystemCalls,
};
use cutter_core::cache::CacheStats;
use cutter_core::ids::ModelId;
use cutter_core::stats::{
    self as counted, EngineStats, HTTP_STATUS_OTHER, Reason, ReplicaStats, Why,
};

use super::super::registry::{ApplicationEntry, ModelEntry, Registry};
use super::distribution;
use super::selection::selection;
use crate::decision_log::LogCounts;
use crate::store::{StoreCounts, StoreThread};

/// What is known of the process.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Process {
    pub(in super::super) uptime_ns: u64,
    pub(in super::super) log_lines_dropped: u64,
}

/// The answer of `/stats`.
pub(in super::super) fn stats(
    at_ns: u64,
    process: Process,
    counted: &EngineStats,
    registry: &Registry,
) -> Stats {
    let applications = registry.applications.iter();
    let models = registry.models.iter();
    Stats {
        schema: SCHEMA.to_owned(),
        at_ns,
        engine: engine(process, counted),
        applications: applications.map(|(_, entry)| application(entry, registry)).collect(),
        models: models.map(|(id, entry)| model(entry, registry.failures(id), registry)).collect(),
        store: registry.run.store.as_ref().map(StoreThread::counts).map(|counted| store(counted)),
        decision_log: registry.run.decision_log.as_deref().map(decision_log),
    }
}

fn store(counted: &StoreCounts) -> Store {
    Store {
        saved: counted.saved.get(),
        answered: counted.answered.get(),
        failures: counted.failures.get(),
        unusable: counted.unusable.get(),
    }
}

fn decision_log(counted: &LogCounts) -> DecisionLog {
    DecisionLog { records_written: counted.written(), records_dropped: counted.dropped() }
}

fn engine(process: Process, counted: &EngineStats) -> Engine {
    let Process { uptime_ns, log_lines_dropped } = process;
    let name = |status: Option<u16>| {
        status.map_or_else(|| HTTP_STATUS_OTHER.to_owned(), |status| status.to_string())
    };
    let errors = counted.http_errors_by_status().filter(|(_, count)| *count > 0);
    Engine {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_ns,
        connections: counted.connections.get(),
        connections_accepted: counted.connections_accepted.get(),
        connections_evicted: counted.connections_evicted.get(),
        bytes_in: counted.bytes_in.get(),
        bytes_out: counted.bytes_out.get(),
        system_calls: SystemCalls {
            enter: counted.system_calls_enter.get(),
            yielded: counted.system_calls_yield.get(),
            wake: counted.system_calls_wake.get(),
        },
        ring_overflows: counted.ring_overflows.get(),
        input_bytes_copied: counted.input_bytes_copied.get(),
        log_lines_dropped,
        http_errors: errors.map(|(status, count)| (name(status), count)).collect(),
    }
}

fn application(entry: &ApplicationEntry, registry: &Registry) -> Application {
    let ApplicationEntry { settings, stats: counted, links, .. } = entry;
    // Models are told by their places in the list of this answer.
    let place = |link: &ModelId| registry.models.iter().position(|(model, _)| model == *link);
    let default = |reason: Reason| (reason.as_str().to_owned(), counted.defaults(reason).get());
    Application {
        name: counted.name.to_string(),
        slo_ns: settings.slo_ns,
        models: links.iter().filter_map(place).collect(),
        queries: counted.queries.get(),
        predictions: counted.predictions.get(),
        cancelled: counted.cancelled.get(),
        late: counted.late.get(),
        predictions_dropped: counted.predictions_dropped.get(),
        defaults: Reason::ALL.map(default).into(),
        rows: counted.rows.get(),
        rows_in_use: counted.rows_in_use.get(),
        end_to_end: distribution(&counted.end_to_end),
        parse: distribution(&counted.parse),
        reply: distribution(&counted.reply),
        selection: selection(entry, place),
    }
}

fn model(
    entry: &ModelEntry,
    (failed_share, last_error): (f64, Option<&str>),
    registry: &Registry,
) -> Model {
    let counted = &entry.stats;
    let kinds = counted.violation_kinds().iter().enumerate();
    let violations = kinds.map(|(kind, name)| ((*name).to_owned(), counted.violations(kind).get()));
    let formed = Why::ALL.map(|why| (why.as_str().to_owned(), counted.formed(why).get()));
    let replicas = entry.replicas.iter().zip(&counted.replicas);
    Model {
        model: counted.model.to_string(),
        version: counted.version.to_string(),
        queued: counted.queued.get(),
        expired: counted.expired.get(),
        restarts: counted.restarts.get(),
        redispatches: counted.redispatches.get(),
        stalls: counted.stalls.get(),
        batches_failed: counted.batches_failed.get(),
        warm_ups_failed: counted.warm_ups_failed.get(),
        items_failed: counted.items_failed.get(),
        hedged: counted.hedged.get(),
        hedges_won: counted.hedges_won.get(),
        formed: formed.into_iter().filter(|(_, count)| *count > 0).collect(),
        violations: violations.filter(|(_, count)| *count > 0).collect(),
        failed_share,
        last_error: last_error.map(str::to_owned),
        batch_size: distribution(&counted.batch_size),
        queue: distribution(&counted.queue),
        batch_wait: distribution(&counted.batch_wait),
        service: distribution(&counted.service),
        replicas: replicas.map(|(id, counted)| replica(counted, registry.replica(*id))).collect(),
        cache: entry.cache.as_deref().map(cache),
    }
}

fn cache(counted: &CacheStats) -> Cache {
    Cache {
        hits: counted.hits.get(),
        joined: counted.joined.get(),
        misses: counted.misses.get(),
        bypassed: counted.bypassed.get(),
        evicted: counted.evicted.get(),
        expired: counted.expired.get(),
        too_large: counted.too_large.get(),
        entries: counted.entries.get(),
        bytes: counted.bytes.get(),
        off: counted.is_off.get() == 1,
    }
}

fn replica(counted: &ReplicaStats, (state, restarts): (&str, u64)) -> Replica {
    Replica {
        state: state.to_owned(),
        up: counted.up.get() == 1,
        failing: counted.failing.get() == 1,
        restarts,
        batch_limit: counted.batch_limit.get(),
        in_flight: counted.in_flight.get(),
        batches: counted.batches.get(),
        rows: counted.rows.get(),
        service_ns: counted.service_ns.get(),
        service_sums: Some(service_sums(&counted.service_sums)),
    }
}

/// Read until they are the same twice: a batch that is in some of the sums and not yet in others
/// would bend a line that is fitted to few.
fn service_sums(counted: &counted::ServiceSums) -> ServiceSums {
    /// Batches end far less often than they are read here.
    const TRIES: u32 = 8;
    let read = || ServiceSums {
        batches: counted.batches.get(),
        rows: counted.rows.get(),
        rows_squared: counted.rows_squared.get(),
        service_ns: counted.service_ns.get(),
        rows_service_ns: counted.rows_service_ns.get(),
        service_us_squared: counted.service_us_squared.get(),
    };
    let mut sums = read();
    for _ in 0..TRIES {
        let again = read();
        if again == sums {
            break;
        }
        sums = again;
    }
    sums
}
