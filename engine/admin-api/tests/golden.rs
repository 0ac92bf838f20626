//! Answers are read and written again without a change, and read whatever is added or not sent.
//! That the server writes the same files is its own test (`server/control/answers`).

#![allow(clippy::unwrap_used, reason = "a test fails here")]

use cutter_admin_api::arms::{Switch, Switched};
use cutter_admin_api::inspect::EngineAnswer;
use cutter_admin_api::{Health, Inspection, Readiness, Stats};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const READYZ: &str = include_str!("golden/readyz.json");
const STATS: &str = include_str!("golden/stats.json");
const INSPECT: &str = include_str!("golden/inspect.json");

fn round_trip<T: DeserializeOwned + Serialize>(text: &str) -> String {
    let answer: T = serde_json::from_str(text).unwrap();
    serde_json::to_string_pretty(&answer).unwrap() + "\n"
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Takes fields away, wherever they are.
fn without(value: Value, names: &[&str]) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(name, _)| !names.contains(&name.as_str()))
            .map(|(name, value)| (name, without(value, names)))
            .collect(),
        Value::Array(values) => values.into_iter().map(|value| without(value, names)).collect(),
        other => other,
    }
}

#[test]
fn what_was_read_is_written_letter_by_letter() {
    assert_eq!(round_trip::<Readiness>(READYZ), READYZ);
    assert_eq!(round_trip::<Stats>(STATS), STATS);
    assert_eq!(round_trip::<Inspection>(INSPECT), INSPECT);
    let ended = "{\n  \"status\": \"engine thread ended\"\n}\n";
    assert_eq!(round_trip::<Health>(ended), ended);
}

#[test]
fn an_engine_thread_that_says_nothing_is_read_as_why() {
    let mut silent = value(INSPECT);
    silent["engine"] = json!("no answer within 1 s");
    let read: Inspection = serde_json::from_value(silent.clone()).unwrap();
    assert_eq!(read.engine, EngineAnswer::Silent("no answer within 1 s".to_owned()));
    assert_eq!(serde_json::to_value(read).unwrap(), silent);
}

#[test]
fn fields_of_a_later_server_are_not_minded() {
    // A number, since that is what the entries of a map are.
    let more = INSPECT.replace("{\n", "{ \"of_a_later_server\": 1,\n");
    assert!(more.matches("of_a_later_server").count() > 20);
    let read: Inspection = serde_json::from_str(&more).unwrap();
    let read = serde_json::to_value(read).unwrap();
    assert_eq!(without(read, &["of_a_later_server"]), value(INSPECT));
}

#[test]
fn what_an_older_server_does_not_send_has_a_default() {
    let added = [
        "reasons",
        "applications_without_model",
        "log_lines_dropped",
        "stalls",
        "batches_failed",
        "warm_ups_failed",
        "items_failed",
        "hedged",
        "hedges_won",
        "formed",
        "failed_share",
        "failing",
        "warming",
        "violations",
        "last_error",
        "retries",
        "selection",
        "cache",
        "store",
        "decision_log",
        "service_sums",
        "policy",
    ];
    let older = without(value(INSPECT), &added);
    let read: Inspection = serde_json::from_value(older).unwrap();
    let softmax = &read.stats.models[0];
    assert_eq!((softmax.stalls, softmax.batches_failed, softmax.failed_share), (0, 0, 0.0));
    assert_eq!((&softmax.last_error, softmax.replicas[1].failing), (&None, false));
    assert_eq!((&read.stats.applications[0].selection, read.stats.models[1].cache), (&None, None));
    assert_eq!((read.stats.store, read.stats.decision_log), (None, None));
    assert_eq!((read.stats.engine.log_lines_dropped, read.readiness.reasons.len()), (0, 0));
}

#[test]
fn a_switch_is_read_as_it_is_meant_and_not_with_anything_besides() {
    assert_eq!(round_trip::<Switch>(r#"{"enabled":false}"#), "{\n  \"enabled\": false\n}\n");
    assert!(serde_json::from_str::<Switch>(r#"{"enabled":false,"cap":0.5}"#).is_err());
    let said = json!({ "application": "digits", "model": "softmax:2", "enabled": false });
    let read: Switched = serde_json::from_value(said.clone()).unwrap();
    assert_eq!((read.enabled, serde_json::to_value(&read).unwrap()), (false, said));
}
