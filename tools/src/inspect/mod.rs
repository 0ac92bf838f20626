//! One dump of a running engine, for whoever debugs a stall: what is in flight, what waits, until
//! when, and who sleeps.
//!
//! As tables for people; `--json` gives what the engine said, byte for byte, for everyone else.

mod policies;
mod table;

use cutter_admin_api::inspect::{Engine, EngineAnswer, Life, Query, Replica, Ticket};
use cutter_admin_api::{Inspection, Readiness, stats};

use crate::admin::arms::NONE;
use crate::admin::words::{time, time_to};
use crate::admin::{ADMIN_DEFAULT, AdminClient, AdminError};
use crate::printing::{PrintError, print};
use crate::text::times;
use table::Table;

/// What to inspect.
#[derive(Clone, Debug, clap::Args)]
pub struct InspectOptions {
    /// The server's admin port, HOST:PORT.
    #[arg(long, value_name = "ADDRESS", default_value = ADMIN_DEFAULT)]
    pub admin: String,
    /// Print the answer as it came, for a program.
    #[arg(long)]
    pub json: bool,
}

/// Why there is no dump.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(transparent)]
    Output(#[from] PrintError),
}

/// Asks, and prints.
pub fn run(options: &InspectOptions) -> Result<(), InspectError> {
    let (inspection, answer) = AdminClient::new(&options.admin)?.inspect()?;
    let text = if options.json { answer } else { dump(&inspection) };
    Ok(print(&text)?)
}

/// The dump as text.
pub fn dump(inspection: &Inspection) -> String {
    let engine = &inspection.stats.engine;
    let mut text = format!(
        "cutter {}   up {}   {}\n",
        engine.version,
        time(engine.uptime_ns),
        inspection.readiness.status
    );
    inspection.readiness.reasons.iter().for_each(|reason| text += &format!("  {reason}\n"));
    match &inspection.engine {
        EngineAnswer::Silent(why) => text += &format!("\nENGINE  {why}\n"),
        EngineAnswer::Says(engine) => text += &engine_text(engine),
    }
    text += &processes(&inspection.readiness);
    text += &failures(&inspection.stats.models);
    text += &policies::worth(&inspection.stats);
    text += &policies::choices(&inspection.stats);
    text
}

fn engine_text(engine: &Engine) -> String {
    let mut text = format!("\nENGINE  {}\n", pulse(engine));
    let connections = &engine.connections;
    text += &format!(
        "  connections: {} open, {} lingering, {} ending; {} receiving, {} sending, {} without a \
         receive buffer; {} bytes held\n",
        connections.open,
        connections.lingering,
        connections.ending,
        connections.receiving,
        connections.sending,
        connections.starved,
        connections.held_bytes
    );
    text +=
        &format!("  io_uring: {} calls, {} overflows\n", engine.ring_enters, engine.ring_overflows);
    text += &applications(engine);
    text += &policies::policies(engine);
    text += &models(engine);
    text += &replicas(engine);
    text += &tickets(engine);
    text
}

fn pulse(engine: &Engine) -> String {
    let state = match engine.asleep_for_ns {
        Some(ns) => format!("had been asleep for {}", time(ns)),
        None => format!("last turn {} ago", time(engine.last_turn_ago_ns)),
    };
    let draining = if engine.draining { ", draining" } else { "" };
    format!(
        "{state}, longest turn {}, slept {}, waits by {}{draining}",
        time(engine.longest_turn_ns),
        times(engine.sleeps),
        engine.wait
    )
}

fn applications(engine: &Engine) -> String {
    let columns = ["application", "model", "SLO", "rows in use", "next row", "due first"];
    let mut table = Table::new("POOLS", &columns);
    for app in &engine.applications {
        let model = app.model.and_then(|model| engine.models.get(model));
        let model = model.map(|model| format!("{}:{}", model.model, model.version));
        table.row([
            app.name.clone(),
            model.unwrap_or_else(|| NONE.to_owned()),
            time(app.slo_ns),
            format!("{} of {}", app.rows_in_use, app.rows),
            app.next_row.to_string(),
            query(app.first_due.as_ref()),
        ]);
    }
    table.text()
}

fn models(engine: &Engine) -> String {
    let columns =
        ["model", "available", "queued", "suspects", "objective", "overhead", "hang after", "head"];
    let mut table = Table::new("QUEUES", &columns);
    for model in &engine.models {
        table.row([
            format!("{}:{}", model.model, model.version),
            model.availability.clone(),
            format!("{} of {}", model.queued, model.queue_capacity),
            model.suspects.to_string(),
            time(model.objective_ns),
            time(model.overhead_ns),
            time(model.batch_timeout_ns),
            query(model.head.as_ref()),
        ]);
    }
    table.text()
}

fn replicas(engine: &Engine) -> String {
    let columns = [
        "replica",
        "life",
        "limit",
        "submitted",
        "completed",
        "in flight",
        "capacity",
        "waiting",
        "last completion",
        "asleep",
        "kicks",
    ];
    let mut table = Table::new("RINGS", &columns);
    for replica in &engine.replicas {
        let name = replica_name(replica);
        let limit = replica.batch_limit.to_string();
        let Some(life) = &replica.life else {
            let gone = [name, "not up".to_owned(), limit];
            table.row(gone.into_iter().chain((3..columns.len()).map(|_| NONE.to_owned())));
            continue;
        };
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        table.row([
            name,
            life_name(life),
            limit,
            life.ring.submitted.to_string(),
            life.ring.completed.to_string(),
            life.ring.outstanding.to_string(),
            life.ring.capacity.to_string(),
            yes(life.ring.completion_waiting),
            format!("{} ago", time(life.last_completion_ago_ns)),
            yes(life.asleep),
            life.kicks.to_string(),
        ]);
    }
    table.text()
}

fn tickets(engine: &Engine) -> String {
    let columns = ["replica", "slot", "generation", "items", "age", "first due", "hangs"];
    let mut table = Table::new("IN FLIGHT", &columns);
    for replica in &engine.replicas {
        let tickets = replica.life.iter().flat_map(|life| &life.tickets);
        tickets.for_each(|ticket| table.row(ticket_row(replica, ticket)));
    }
    table.text()
}

fn ticket_row(replica: &Replica, ticket: &Ticket) -> [String; 7] {
    let due = ticket.due_in_ns.map(time_to);
    let hangs = ticket.hangs_in_ns.map(time_to);
    [
        replica_name(replica),
        ticket.slot.to_string(),
        ticket.generation.to_string(),
        ticket.items.to_string(),
        time(ticket.age_ns),
        due.unwrap_or_else(|| "all answered".to_owned()),
        hangs.unwrap_or_else(|| "waits its turn".to_owned()),
    ]
}

fn processes(readiness: &Readiness) -> String {
    let columns = ["replica", "state", "for", "pid", "incarnation", "restarts", "last error"];
    let mut table = Table::new("PROCESSES", &columns);
    for model in &readiness.models {
        for replica in &model.replicas {
            let state = match replica.retry_in_ms {
                Some(ms) => format!("{}, again in {ms} ms", replica.state),
                None => replica.state.clone(),
            };
            let error = replica.last_error.clone().or_else(|| replica.not_pinned.clone());
            table.row([
                format!("{}:{}/{}", model.name, model.version, replica.replica),
                state,
                time(replica.for_ms.saturating_mul(1_000_000)),
                replica.pid.map_or_else(|| NONE.to_owned(), |pid| pid.to_string()),
                replica.incarnation.to_string(),
                replica.restarts.to_string(),
                error.unwrap_or_else(|| NONE.to_owned()),
            ]);
        }
    }
    table.text()
}

/// Models of which batches have failed; nothing when there are none.
fn failures(models: &[stats::Model]) -> String {
    let columns = ["model", "failed batches", "failed items", "of the last", "last error"];
    let mut table = Table::new("FAILURES", &columns);
    let failed = models.iter().filter(|model| model.batches_failed > 0 || model.items_failed > 0);
    let mut is_empty = true;
    for model in failed {
        is_empty = false;
        table.row([
            format!("{}:{}", model.model, model.version),
            model.batches_failed.to_string(),
            model.items_failed.to_string(),
            format!("{:.0} %", model.failed_share * 100.0),
            model.last_error.clone().unwrap_or_else(|| NONE.to_owned()),
        ]);
    }
    if is_empty { String::new() } else { table.text() }
}

fn query(query: Option<&Query>) -> String {
    query.map_or_else(
        || NONE.to_owned(),
        |query| {
            let due = if query.answered {
                "answered".to_owned()
            } else {
                format!("due {}", time_to(query.due_in_ns))
            };
            format!(
                "query {} in row {}, {} old, {due}",
                query.query_id,
                query.row,
                time(query.age_ns)
            )
        },
    )
}

fn replica_name(replica: &Replica) -> String {
    format!("{}:{}/{}", replica.model, replica.version, replica.replica)
}

fn life_name(life: &Life) -> String {
    let alone = if life.alone { ", one suspect alone" } else { "" };
    let warming = if life.warming { ", warming up" } else { "" };
    let stopped = if life.stopped { ", stopped" } else { "" };
    format!("{}{alone}{warming}{stopped}", life.incarnation)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::admin::testing::{answering, busy_json, choosing_json, http};

    /// One batch runs and hangs in replica 0, three queries wait, replica 1 has gone.
    fn stalled_json() -> Value {
        let query = json!({
            "query_id": 3, "application": "digits", "row": 2, "age_ns": 25_000_000,
            "due_in_ns": -5_000_000, "answered": false,
        });
        json!({
            "schema": "cutter-inspect/1",
            "readiness": { "status": "ready", "models": [{
                "name": "softmax", "version": "1", "ready": true, "replicas": [
                    { "replica": 0, "state": "up", "for_ms": 4_000, "pid": 77, "incarnation": 2,
                      "restarts": 1, "last_error": "it ended by signal 9" },
                    { "replica": 1, "state": "backing_off", "for_ms": 10, "incarnation": 1,
                      "restarts": 0, "retry_in_ms": 90, "last_error": "exit status 1" },
                ],
            }]},
            "engine": {
                "last_turn_ago_ns": 1_200, "longest_turn_ns": 3_400_000, "wait": "adaptive",
                "sleeps": 9, "asleep_for_ns": null, "draining": false, "ring_enters": 1_000,
                "ring_overflows": 0,
                "connections": { "open": 4, "lingering": 0, "ending": 0, "receiving": 4,
                    "sending": 0, "starved": 0, "held_bytes": 0 },
                "applications": [{ "name": "digits", "slo_ns": 20_000_000, "model": 0, "rows": 4096,
                    "rows_in_use": 4, "next_row": 5, "first_due": query }],
                "models": [{ "model": "softmax", "version": "1", "availability": "expected",
                    "queued": 3, "queue_capacity": 4096, "suspects": 0, "head": query,
                    "objective_ns": 9_000_000, "overhead_ns": 5_000,
                    "batch_timeout_ns": 200_000_000 }],
                "replicas": [
                    { "model": "softmax", "version": "1", "replica": 0, "batch_limit": 8, "life": {
                        "incarnation": 2, "items_max": 1024, "last_completion_ago_ns": 31_000_000,
                        "alone": false, "asleep": true, "kicks": 12, "stopped": false,
                        "wakes_without_news": 0,
                        "ring": { "capacity": 4, "submitted": 101, "completed": 100,
                            "outstanding": 1, "completion_waiting": false },
                        "tickets": [{ "slot": 1, "generation": 51, "items": 1,
                            "age_ns": 30_000_000, "due_in_ns": null,
                            "hangs_in_ns": 170_000_000 }] } },
                    { "model": "softmax", "version": "1", "replica": 1, "batch_limit": 1,
                      "life": null },
                ],
            },
            "stats": busy_json(1),
        })
    }

    fn dumped(json: Value) -> String {
        dump(&serde_json::from_value(json).unwrap())
    }

    #[track_caller]
    fn assert_holds(text: &str, wanted: &[&str]) {
        let missing: Vec<_> = wanted.iter().filter(|wanted| !text.contains(**wanted)).collect();
        assert!(missing.is_empty(), "{missing:?} in\n{text}");
    }

    #[test]
    fn a_dump_shows_what_is_in_flight_what_waits_and_until_when() {
        assert_holds(
            &dumped(stalled_json()),
            &[
                "cutter 0.1.0   up 1.00 s   ready",
                "last turn 1.20 µs ago, longest turn 3.40 ms, slept 9 times, waits by adaptive",
                "connections: 4 open",
                "  digits       softmax:1  20.0 ms  4 of 4096    5         \
                 query 3 in row 2, 25.0 ms old, due 5.00 ms ago",
                "  softmax:1  expected   3 of 4096  0         9.00 ms    5.00 µs   200 ms",
                "  softmax:1/0  2       8      101        100        1          4         no",
                "  softmax:1/1  not up  1      –",
                "  softmax:1/0  1     51          1      30.0 ms  all answered  in 170 ms",
                "  softmax:1/0  up                           4.00 s   77   2            1",
                "backing_off, again in 90 ms",
                "exit status 1",
            ],
        );
    }

    #[test]
    fn a_model_that_loads_or_fails_is_shown_with_what_it_said() {
        let mut failing = stalled_json();
        failing["readiness"]["models"][0]["replicas"][0]["state"] = json!("loading");
        assert!(!dumped(failing.clone()).contains("FAILURES"));
        let model = &mut failing["stats"]["models"][0];
        model["batches_failed"] = json!(12);
        model["items_failed"] = json!(48);
        model["failed_share"] = json!(0.75);
        model["last_error"] = json!("no weights");
        let row = "  softmax:1  12              48            75 %         no weights";
        assert_holds(&dumped(failing), &["softmax:1/0  loading", "FAILURES", row]);
    }

    #[test]
    fn a_policy_is_shown_with_what_it_holds_and_what_it_makes_of_its_models() {
        assert!(
            !["POLICIES", "WORTH", "ARMS"].iter().any(|it| dumped(stalled_json()).contains(it))
        );
        let mut choosing = stalled_json();
        choosing["stats"] = choosing_json();
        choosing["engine"]["applications"][0]["policy"] = json!({
            "name": "exp3", "mode": "apprentice", "contexts_held": 30, "contexts_loading": 2,
            "contexts_changed": 3, "lessons_lost": 1, "contexts_forgotten": 0,
            "decisions_waiting": 60,
        });
        assert_holds(
            &dumped(choosing),
            &[
                "  digits       exp3    apprentice  30        2        3        60 decisions",
                "60 decisions  1 lesson",
                "  digits       400        100     77.5 %             -2.5    75.0 %",
                "25.0 %    80.0 %             90.0 %",
                "  digits       softmax:1  yes        0.600   75.0 %  0.800 (0.721 to 0.879)",
                "  digits       trees:1    taken out  0.400   25.0 %  –",
                "40.0 %, off",
            ],
        );
    }

    #[test]
    fn an_engine_that_says_nothing_is_told_with_what_is_known_without_it() {
        let mut silent = stalled_json();
        silent["engine"] = json!("no answer within 1 s: the engine thread is stuck");
        let text = dumped(silent);
        assert_holds(&text, &["ENGINE  no answer within 1 s", "softmax:1/0  up"]);
        assert!(!text.contains("IN FLIGHT"), "{text}");
    }

    #[test]
    fn an_engine_that_slept_and_a_table_without_rows_are_told_so() {
        let mut asleep = stalled_json();
        asleep["engine"]["asleep_for_ns"] = json!(2_000_000);
        asleep["engine"]["replicas"][0]["life"] = json!(null);
        asleep["engine"]["models"][0]["head"] = json!(null);
        assert_holds(&dumped(asleep), &["had been asleep for 2.00 ms", "IN FLIGHT\n  nothing\n"]);
    }

    #[test]
    fn the_answer_is_kept_as_it_came() {
        let body = stalled_json().to_string();
        let (_, answer) = answering(&http(200, &body), |client| client.inspect()).unwrap();
        assert_eq!(answer, body);
    }
}
