//! Containers that attack the engine: each is found out, counted and killed, and the engine serves
//! on.

use cutter_tests::server::Plan;
use cutter_tests::{Load, Server, application, eventually, model};
use rustix::process::Signal;
use serde_json::json;

const FLOATS: &str = "type = \"floats\", shape = [4]";
const VIOLATIONS: &str = "cutter_protocol_violations_total";
const RESTARTS: &str = "cutter_replica_restarts_total";

/// A hostile model, with an application of its own, beside a good one.
fn beside_a_good_model(mode: &str, more: &str) -> Server {
    beside_with_objective(10_000, mode, more)
}

fn beside_with_objective(slo_ms: u32, mode: &str, more: &str) -> Server {
    let hostile = model("hostile", &["hostile", mode], more);
    let hostile = application("hostile", FLOATS, slo_ms, "hostile", "") + &hostile;
    let good = application("good", FLOATS, 10_000, "good", "") + &model("good", &["sum"], "");
    let server = Plan::new(&(hostile + &good)).start();
    server.wait_metric("cutter_replica_up", &[("model", "good")], 1.0);
    server
}

/// The good model answers as if it were alone, and nothing of it was ever restarted.
fn assert_unharmed(server: &Server) {
    let load = Load::start(server.query, "good", 2);
    load.wait_answered(200);
    let tally = load.stop();
    tally.assert_all_answered();
    assert_eq!(tally.defaulted(), 0);
    assert_eq!(server.metrics().sum(RESTARTS, &[("model", "good")]), 0.0);
}

/// A container that answers each batch with this violation is killed each time.
fn found_out(mode: &str, kind: &str) {
    let server = beside_a_good_model(mode, "");
    let answer = server.client().predict("hostile", vec![1, 2, 3, 4]);
    assert_eq!((&answer["reason"], &answer["output"]), (&json!("model_error"), &json!(-1)));
    let metrics = server.metrics();
    assert_eq!(metrics.sum(VIOLATIONS, &[("model", "hostile"), ("kind", kind)]), 2.0);
    assert_eq!(metrics.sum(VIOLATIONS, &[]), 2.0);
    server.wait_log("it broke the protocol");
    server.wait_metric(RESTARTS, &[("model", "hostile")], 2.0);
    assert_unharmed(&server);
}

#[test]
fn a_wrong_number_of_items_is_found_out() {
    found_out("item-count", "item_count");
}

#[test]
fn a_ticket_of_the_past_is_found_out() {
    found_out("generation", "generation");
}

#[test]
fn a_ticket_that_does_not_exist_is_found_out() {
    found_out("slot", "slot");
}

#[test]
fn a_batch_that_was_never_given_is_found_out() {
    found_out("unasked", "not_in_flight");
}

#[test]
fn a_status_that_means_nothing_is_found_out() {
    found_out("status", "status");
}

#[test]
fn more_output_than_fits_is_found_out() {
    found_out("length", "length");
}

#[test]
fn less_output_than_the_items_hold_is_found_out() {
    found_out("short", "length");
}

#[test]
fn a_type_that_holds_nothing_is_refused_and_named() {
    let server = beside_a_good_model("hollow", "");
    server.wait_log("dimension 1 of the shape is 0");
    assert_eq!(server.client().predict("hostile", vec![1; 4])["output"], -1);
    assert_unharmed(&server);
}

#[test]
fn holes_in_a_containers_own_memory_harm_nobody_else() {
    // Nobody waits for longer than that for what is lost.
    let server = beside_with_objective(2_000, "holes", "");
    let load = Load::start(server.query, "hostile", 2);
    assert_unharmed(&server);
    // What it answers itself may be lost in a hole, or be zeros out of one: that is its own.
    drop(load.stop());
    assert_unharmed(&server);
}

#[test]
fn a_reserved_field_that_is_used_is_found_out() {
    found_out("reserved", "reserved");
}

#[test]
fn an_item_that_is_longer_than_can_be_is_found_out() {
    found_out("item", "item");
}

#[test]
fn a_stamp_of_the_future_is_found_out() {
    found_out("stamp", "stamp");
}

#[test]
fn noise_over_all_that_a_container_can_write_is_found_out() {
    let server = beside_a_good_model("garbage", "");
    let answer = server.client().predict("hostile", vec![1, 2, 3, 4]);
    assert_eq!(answer["reason"], "model_error");
    assert_eq!(server.metrics().sum(VIOLATIONS, &[("model", "hostile")]), 2.0);
    assert_unharmed(&server);
}

#[test]
fn a_batch_completed_twice_is_answered_once_and_found_out() {
    let server = beside_a_good_model("twice", "");
    let mut client = server.client();
    assert_eq!(client.predict("hostile", vec![1, 2, 3, 4])["output"], 0.0);
    let kind = [("model", "hostile"), ("kind", "not_in_flight")];
    server.wait_metric(VIOLATIONS, &kind, 1.0);
    assert!(client.is_silent());
    assert_unharmed(&server);
}

#[test]
fn a_doorbell_that_never_stops_is_found_out() {
    let server = beside_a_good_model("flood", "");
    let kind = [("model", "hostile"), ("kind", "wake_flood")];
    server.wait_metric(VIOLATIONS, &kind, 1.0);
    server.wait_metric(RESTARTS, &[("model", "hostile")], 1.0);
    assert_unharmed(&server);
}

#[test]
fn a_container_that_aborts_with_a_batch_in_hand_is_started_again() {
    let server = beside_a_good_model("abort", "");
    assert_eq!(server.client().predict("hostile", vec![1; 4])["reason"], "model_error");
    server.wait_metric(RESTARTS, &[("model", "hostile")], 2.0);
    server.wait_log("SIGABRT");
    assert_unharmed(&server);
}

#[test]
fn a_container_that_stops_itself_is_killed_as_one_that_hangs() {
    let server = beside_a_good_model("freeze", "batch_timeout_us = 300000");
    assert_eq!(server.client().predict("hostile", vec![1; 4])["reason"], "model_error");
    server.wait_log("a batch has been running for");
    assert_unharmed(&server);
}

#[test]
fn a_container_that_talks_after_the_handshake_is_killed() {
    let server = beside_a_good_model("talk", "");
    server.wait_log("it sent a message after the handshake");
    assert_unharmed(&server);
}

#[test]
fn descriptors_that_a_container_sends_go_nowhere() {
    let server = beside_a_good_model("smuggle", "");
    server.wait_log("it sent a message after the handshake");
    server.wait_metric(RESTARTS, &[("model", "hostile")], 3.0);
    // 64 in each message: one that stayed would be seen.
    assert!(server.process.descriptors() < 64);
    assert_unharmed(&server);
}

#[test]
fn a_container_that_prints_without_end_is_heard_in_part() {
    let server = beside_a_good_model("noisy", "");
    server.wait_log("noise");
    assert_eq!(server.client().predict("hostile", vec![1; 4])["output"], 0.0);
    assert_unharmed(&server);
    let lines = server.log.lines();
    assert!(lines.iter().all(|line| line.len() < 10_000 && !line.contains(['\u{1B}', '\0'])));
    assert!(lines.len() < 20_000, "{} lines", lines.len());
}

#[test]
fn a_container_cannot_change_what_the_engine_writes() {
    let server = beside_a_good_model("seals", "");
    let attacks = eventually("all attacks are over", || {
        let mut lines = server.log.lines();
        lines.retain(|line| line.contains("attack on "));
        (lines.len() == 20).then_some(lines)
    });
    let refused = |line: &String| line.contains(": EPERM") || line.contains(": EACCES");
    let carried_out: Vec<&String> = attacks.iter().filter(|line| !refused(line)).collect();
    assert_eq!(carried_out, [""; 0]);
    assert_eq!(attacks.iter().filter(|line| line.contains("on inputs")).count(), 10);
    // It is a good container otherwise.
    assert_eq!(server.client().predict("hostile", vec![1; 4])["default"], false);
    assert_eq!(server.metrics().sum(VIOLATIONS, &[]), 0.0);
    assert_unharmed(&server);
}

#[test]
fn a_container_that_does_not_end_when_asked_does_not_hold_up_the_end() {
    let mut server = beside_a_good_model("deaf", "");
    server.wait_metric("cutter_replica_up", &[("model", "hostile")], 1.0);
    let deaf = server.replicas("hostile")[0];
    assert!(server.stop().success());
    assert!(!deaf.is_alive());
}

#[test]
fn a_stopped_container_does_not_hold_up_the_end() {
    let mut server = beside_a_good_model("honest", "");
    server.wait_metric("cutter_replica_up", &[("model", "hostile")], 1.0);
    let stopped = server.replicas("hostile")[0];
    stopped.signal(Signal::STOP);
    assert!(server.stop().success());
    assert!(!stopped.is_alive());
}
