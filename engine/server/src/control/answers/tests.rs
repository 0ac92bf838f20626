//! What the answers are, letter by letter, and that the page about them says so. The files are
//! those that `cutter-admin-api` reads.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use cutter_admin_api as said;
use cutter_admin_api::inspect::{Connections, EngineAnswer};
use cutter_core::contexts::ContextCounts;
use cutter_core::policy::Models;
use cutter_core::stats::{EngineStats, Reason, SelectionStats, Why};
use cutter_core::{
    ApplicationView, Asked, Availability, BatchView, CoreView, Id, LearnerView, LifeView, Link,
    ModelView, QueryView, ReplicaView,
};
use cutter_protocol::engine::EndView;
use cutter_protocol::entry::Ticket;
use cutter_protocol::wait::WaitStrategy;
use serde::Serialize;
use serde_json::Value;

use super::super::health::Counts;
use super::super::registry::{Registry, State};
use super::*;
use crate::carrier::LinkView;
use crate::config::Config;
use crate::counted::Counted;
use crate::engine::Engine;
use crate::inspection::{Inspection, Pulse};
use crate::port::http::PortLimits;
use crate::store;

const PAGE: &str = include_str!("../../../../API.md");
const READYZ: &str = include_str!("../../../../admin-api/tests/golden/readyz.json");
const STATS: &str = include_str!("../../../../admin-api/tests/golden/stats.json");
const INSPECT: &str = include_str!("../../../../admin-api/tests/golden/inspect.json");
/// The version of the server in the files.
const VERSION: &str = "0.1.0";

const MS: u64 = 1_000_000;
const NOW_NS: u64 = 9_000 * MS;

const CONFIG: &str = "[[application]]\nname = \"digits\"\nmodels = [\"softmax\", \"trees\"]\n\
    slo_us = 20000\ninput = { type = \"floats\", shape = [4] }\n\
    policy = { name = \"exp3\", mode = \"apprentice\", baseline = \"softmax\" }\n\
    [[application]]\nname = \"orphans\"\ninput.type = \"strings\"\n\
    [[model]]\nname = \"softmax\"\nversion = \"2\"\ncommand = [\"softmax\"]\nreplicas = 2\n\
    [[model]]\nname = \"trees\"\ncommand = [\"trees\"]\ncache = { bytes = 65536 }\n";

/// The first replica of the first model is up, though not where it was to be; the second waits to
/// be started again. The other model is up, and taken out.
fn registry() -> (Registry, EngineStats) {
    let (config, _) = Config::from_toml(CONFIG, Path::new("/srv"), "c").unwrap();
    let made = Engine::new(&config, PortLimits::default(), 1_000 * MS, &|| false).unwrap();
    let mut registry = made.registry;
    let (slots, model) = (registry.slots(), made.ids.models[0]);
    for slot in &slots {
        registry.next_incarnation(*slot);
    }
    registry.set(slots[0], State::Up { pid: 77 }, 5_000 * MS);
    registry.note_unpinned(slots[0], Some("core 9 is not there".to_owned()));
    registry.set(slots[1], State::BackingOff { until_ns: NOW_NS + 90 * MS }, 8_990 * MS);
    registry.note_error(slots[1], "it ended by signal 9");
    registry.set(slots[2], State::Up { pid: 78 }, 5_000 * MS);
    registry.next_incarnation(slots[1]);
    registry.look_at_model(model, Counts { batches: 8, failed: 2 });
    registry.note_model_failed(model, "7 is not a probability");
    let totals = EngineStats::new();
    keep(&mut registry);
    let counted = registry.counted(&Arc::new(EngineStats::new()));
    count(&totals, &counted);
    count_choices(&counted.selections[0].stats);
    count_kept(&counted);
    registry.applications[made.ids.applications[0]].arms_off = Models::only(1);
    (registry, totals)
}

/// What is learned and decided is kept, or seems to be.
fn keep(registry: &mut Registry) {
    let folder = tempfile::tempdir().unwrap();
    let (_, store) = store::open(&folder.path().join("state.redb"), Box::new(|| {})).unwrap();
    registry.run.store = Some(store);
    registry.run.decision_log = Some(Arc::default());
}

fn count_kept(counted: &Counted) {
    let (_, cache) = &counted.caches[0];
    let counts = [
        &cache.hits,
        &cache.joined,
        &cache.misses,
        &cache.bypassed,
        &cache.evicted,
        &cache.expired,
        &cache.too_large,
    ];
    counts.into_iter().zip(401..).for_each(|(counter, count)| counter.add(count));
    cache.entries.set(40);
    cache.bytes.set(65_000);
    cache.is_off.set(1);
    let store = counted.store.as_ref().unwrap();
    let counts = [&store.saved, &store.answered, &store.failures, &store.unusable];
    counts.into_iter().zip(411..).for_each(|(counter, count)| counter.add(count));
    let log = counted.decision_log.as_ref().unwrap();
    log.add_written(421);
    log.add_dropped(422);
}

/// Of 400 decisions 200 were votes and 100 were judged.
fn count_choices(counted: &SelectionStats) {
    counted.decisions.add(400);
    counted.combined.add(200);
    counted.confidence.add(150_000_000);
    counted.judged.add(100);
    counted.earned.add(77_500_000);
    counted.beside_judged.add(50);
    counted.beside_earned.add(45_000_000);
    counted.beside_agreed.add(40);
    let feedback = &counted.feedback;
    let counts = [
        &feedback.learned,
        &feedback.late,
        &feedback.duplicate,
        &feedback.unknown,
        &feedback.withdrawn,
        &feedback.expired,
        &feedback.evaluated,
        &feedback.unusable,
    ];
    counts.into_iter().zip(100..).for_each(|(counter, count)| counter.add(count));
    feedback.join_delay.record(2_000_000);
    let softmax = &counted.arms[0];
    softmax.asked.add(300);
    softmax.came.add(290);
    softmax.stragglers.add(10);
    softmax.predicted_late.add(5);
    softmax.agreed.add(150);
    // 80 right, 20 wrong.
    softmax.learned.add(100);
    softmax.losses.add(20_000_000);
    softmax.squared_losses.add(20_000_000);
    softmax.weight.set(600_000);
    counted.arms[1].asked.add(100);
}

/// Counts something of everything else.
fn count(stats: &EngineStats, counted: &Counted) {
    let totals = [
        &stats.connections_accepted,
        &stats.connections_evicted,
        &stats.bytes_in,
        &stats.bytes_out,
        &stats.system_calls_enter,
        &stats.system_calls_yield,
        &stats.system_calls_wake,
        &stats.ring_overflows,
        &stats.input_bytes_copied,
        stats.http_errors(404),
        stats.http_errors(418),
    ];
    totals.into_iter().zip(101..).for_each(|(counter, count)| counter.add(count));
    stats.connections.set(3);
    counted.applications.iter().for_each(|application| application.rows.set(4_096));
    let digits = &counted.applications[0];
    let counts = [
        &digits.queries,
        &digits.predictions,
        &digits.cancelled,
        &digits.late,
        &digits.predictions_dropped,
        digits.defaults(Reason::Late),
    ];
    counts.into_iter().zip(201..).for_each(|(counter, count)| counter.add(count));
    digits.rows.set(4_096);
    digits.rows_in_use.set(5);
    [3, 3, 257, u64::MAX >> 8].into_iter().for_each(|ns| digits.end_to_end.record(ns));
    digits.parse.record(1_000);
    digits.reply.record(2_000);
    let softmax = &counted.models[0];
    let counts = [
        &softmax.expired,
        &softmax.restarts,
        &softmax.redispatches,
        &softmax.batches_failed,
        &softmax.items_failed,
        softmax.violations(0),
        &softmax.replicas[0].batches,
        &softmax.replicas[0].rows,
        &softmax.replicas[0].service_ns,
        &softmax.hedged,
        &softmax.hedges_won,
        &softmax.replicas[0].service_sums.batches,
        &softmax.replicas[0].service_sums.rows,
        &softmax.replicas[0].service_sums.rows_squared,
        &softmax.replicas[0].service_sums.service_ns,
        &softmax.replicas[0].service_sums.rows_service_ns,
        &softmax.replicas[0].service_sums.service_us_squared,
        softmax.formed(Why::JustInTime),
        &softmax.stalls,
        &softmax.warm_ups_failed,
    ];
    counts.into_iter().zip(301..).for_each(|(counter, count)| counter.add(count));
    softmax.queued.set(4);
    softmax.batch_size.record_many(4, 6);
    softmax.queue.record(40_000);
    softmax.batch_wait.record(50_000);
    softmax.service.record(600_000);
    let gauges = [&softmax.replicas[0].up, &softmax.replicas[1].failing];
    gauges.into_iter().for_each(|gauge| gauge.set(1));
    softmax.replicas[0].batch_limit.set(17);
    softmax.replicas[0].in_flight.set(2);
}

/// A batch hangs in the first replica, one waits behind it, and queries wait behind both.
fn seen() -> Inspection {
    let query = QueryView {
        id: 3,
        application: Id::from_bits(0),
        row: 2,
        arrived_ns: NOW_NS - 25 * MS,
        deadline_ns: NOW_NS - 5 * MS,
        is_answered: false,
    };
    let digits = ApplicationView {
        links: vec![Link { model: Id::from_bits(0), pool: 0 }],
        asked: Asked::First,
        is_draining: false,
        rows: 4_096,
        rows_in_use: 5,
        next_row: 6,
        first_due: Some(query),
        learner: Some(LearnerView {
            contexts: ContextCounts {
                held: 30,
                loading: 2,
                changed: 3,
                lessons_lost: 4,
                forgotten: 5,
            },
            decisions_waiting: 60,
        }),
    };
    let orphans = ApplicationView {
        links: Vec::new(),
        asked: Asked::First,
        is_draining: false,
        rows: 0,
        rows_in_use: 0,
        next_row: 0,
        first_due: None,
        learner: None,
    };
    let softmax = ModelView {
        availability: Availability::Expected,
        queued: 4,
        queue_capacity: 4_096,
        suspects: 1,
        retries: 2,
        head: Some(QueryView { is_answered: true, ..query }),
        objective_ns: 9 * MS,
        overhead_ns: 5_000,
        batch_timeout_ns: 200 * MS,
    };
    let batches = vec![
        BatchView {
            slot: 1,
            items: 8,
            dispatched_ns: NOW_NS - 30 * MS,
            deadline_ns: None,
            hangs_ns: Some(NOW_NS + 170 * MS),
        },
        BatchView {
            slot: 0,
            items: 17,
            dispatched_ns: NOW_NS - 20 * MS,
            deadline_ns: Some(NOW_NS + 2 * MS),
            hangs_ns: None,
        },
    ];
    let last_completion_ns = NOW_NS - 31 * MS;
    let (alone, warming) = (true, false);
    let life = LifeView { items_max: 1_024, last_completion_ns, alone, warming, batches };
    let gone = ReplicaView {
        model: Id::from_bits(0),
        ordinal: 1,
        is_draining: false,
        batch_limit: 1,
        life: None,
    };
    let replica = ReplicaView { ordinal: 0, batch_limit: 17, life: Some(life), ..gone.clone() };
    Inspection {
        at_ns: NOW_NS,
        pulse: Pulse {
            wait: WaitStrategy::Adaptive,
            turned_ns: NOW_NS - 1_200,
            longest_turn_ns: 3_400_000,
            sleeps: 9,
            asleep_since_ns: Some(NOW_NS - 1_100),
        },
        draining: false,
        ring_enters: 1_000,
        ring_overflows: 1,
        connections: Connections {
            open: 7,
            lingering: 1,
            ending: 2,
            receiving: 6,
            sending: 3,
            starved: 4,
            held_bytes: 512,
        },
        core: CoreView {
            applications: vec![(Id::from_bits(0), digits), (Id::from_bits(1), orphans)],
            models: vec![(Id::from_bits(0), softmax)],
            replicas: vec![(Id::from_bits(0), replica), (Id::from_bits(1), gone)],
            kept_bytes: 0,
        },
        links: vec![(Id::from_bits(0), link())],
    }
}

fn link() -> LinkView {
    let ticket = |slot| (Ticket { slot, generation: 51 }, 8);
    LinkView {
        incarnation: 1,
        wakes_without_news: 5,
        end: EndView {
            ring_capacity: 4,
            submitted: 102,
            completed: 100,
            has_news: true,
            replica_asleep: true,
            kicks: 12,
            stopped: false,
            tickets: vec![ticket(0), ticket(1)],
            change: None,
        },
    }
}

#[track_caller]
fn assert_golden(answer: &impl Serialize, golden: &str) {
    let text = serde_json::to_string_pretty(answer).unwrap() + "\n";
    assert_eq!(text, golden, "{text}");
}

fn golden_stats() -> said::Stats {
    let (registry, totals) = registry();
    let process = Process { uptime_ns: 8_500 * MS, log_lines_dropped: 12 };
    let mut answer = stats(NOW_NS, process, &totals, &registry);
    assert_eq!(answer.engine.version, env!("CARGO_PKG_VERSION"));
    answer.engine.version = VERSION.to_owned();
    answer
}

#[test]
fn readyz_says_who_is_ready_and_why_others_are_not() {
    assert_golden(&registry().0.readiness(NOW_NS), READYZ);
}

#[test]
fn stats_say_every_count_under_its_name() {
    assert_golden(&golden_stats(), STATS);
}

#[test]
fn an_inspection_says_what_is_in_flight_and_what_waits() {
    let (registry, _) = registry();
    let answer = said::Inspection {
        schema: said::inspect::SCHEMA.to_owned(),
        readiness: registry.readiness(NOW_NS),
        engine: EngineAnswer::Says(Box::new(engine(&seen(), &registry))),
        stats: golden_stats(),
    };
    assert_golden(&answer, INSPECT);
}

/// The part of the page about the admin address.
fn page() -> &'static str {
    let (_, section) = PAGE.split_once("\n## The admin address\n").unwrap();
    section.split("\n## ").next().unwrap()
}

/// The names of all fields, at any depth.
fn fields(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(object) => {
            let below = object.values().flat_map(fields);
            object.keys().cloned().chain(below).collect()
        }
        Value::Array(values) => values.iter().flat_map(fields).collect(),
        _ => BTreeSet::new(),
    }
}

/// The fields of an answer that the page has rows for.
fn told(path: &str) -> BTreeSet<String> {
    let head = format!("\n| field of `{path}` | |\n| --- | --- |\n");
    let (_, table) = page().split_once(&head).unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let names = rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

#[test]
fn the_page_names_fields_that_there_are_and_all_at_the_top() {
    for (path, golden) in [("/readyz", READYZ), ("/stats", STATS), ("/inspect", INSPECT)] {
        let answer: Value = serde_json::from_str(golden).unwrap();
        let (told, fields) = (told(path), fields(&answer));
        assert_eq!(told.difference(&fields).collect::<Vec<_>>(), [""; 0], "{path}");
        let mut top = answer.as_object().unwrap().keys();
        assert!(top.all(|name| told.contains(name)), "{path}: {told:?}");
    }
}

#[test]
fn the_words_on_the_page_are_those_of_the_answers() {
    let states = [
        State::Starting,
        State::Loading { pid: 1, is_expected: true },
        State::Warming { pid: 1 },
        State::Up { pid: 1 },
        State::BackingOff { until_ns: 0 },
        State::NotConnected,
        State::Ended,
    ];
    let states = states.map(|state| format!("`{}`", state.name())).join(", ");
    let words = [
        said::readyz::READY,
        said::readyz::DEGRADED,
        said::readyz::NOT_READY,
        said::readyz::DRAINING,
        said::stats::SCHEMA,
        said::inspect::SCHEMA,
    ];
    let words = words.iter().map(|word| format!("`{word}`")).chain([states]);
    assert_eq!(words.filter(|word| !page().contains(word)).collect::<Vec<_>>(), [""; 0]);
}
