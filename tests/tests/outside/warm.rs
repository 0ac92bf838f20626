//! Replicas that are warmed up before they get queries: real containers that allow it.

use cutter_tests::server::Plan;
use cutter_tests::{Load, Server, application, eventually, model, undisturbed};
use serde_json::Value;

const FLOATS: &str = "type = \"floats\", shape = [4]";
/// As many as a warm replica answers in time, in two batches or three.
const CLIENTS: u32 = 64;

fn probed(slo_ms: u32, word: &str) -> String {
    application("sums", FLOATS, slo_ms, "m", "") + &model("m", &["probed", word], "")
}

fn replica(server: &Server) -> Value {
    server.admin("/readyz").json()["models"][0]["replicas"][0].take()
}

/// Of the first answers after a start, those that were defaults.
fn defaults_at_start(word: &str) -> usize {
    let server = Server::start(&probed(20, word));
    let load = Load::start(server.query, "sums", CLIENTS);
    load.wait_answered(2 * CLIENTS as usize);
    let tally = load.stop();
    tally.assert_all_answered();
    tally.defaulted()
}

#[test]
fn a_warm_replica_sheds_less_at_its_start_than_a_cold_one() {
    undisturbed(|| {
        let [cold, warm] = ["cold", "well"].map(defaults_at_start);
        let text = format!("{cold} defaults after a cold start, {warm} after a warm-up");
        if 2 * warm < cold { Ok(()) } else { Err(text) }
    });
}

#[test]
fn a_replica_that_is_warmed_up_is_called_so_and_gets_no_query() {
    let server = Plan::new(&probed(50, "stays")).start();
    let warming = eventually("it is warmed up", || {
        let replica = replica(&server);
        (replica["state"] == "warming").then_some(replica)
    });
    assert!(warming["pid"].is_u64(), "{warming}");
    let inspected = server.admin("/inspect").json();
    let life = &inspected["engine"]["replicas"][0]["life"];
    assert_eq!(life["warming"], true);
    assert_eq!(server.client().predict("sums", vec![1, 2, 3, 4])["reason"], "not_ready");
    server.wait_ready();
    assert_eq!(replica(&server)["state"], "up");
    assert_eq!(server.client().predict("sums", vec![1, 2, 3, 4])["output"], 1.0);
}

#[test]
fn a_container_that_fails_zeros_serves_and_that_is_told_once() {
    let server = Server::start(&probed(1_000, "fails"));
    server.wait_log("not warmed up: no zeros");
    assert_eq!(server.client().predict("sums", vec![1, 2, 3, 4])["output"], 1.0);
    server.wait_metric("cutter_warm_ups_failed_total", &[], 1.0);
    let metrics = server.metrics();
    assert_eq!(metrics.sum("cutter_warm_ups_failed_total", &[]), 1.0);
    assert_eq!(metrics.sum("cutter_batches_failed_total", &[]), 0.0);
}

#[test]
fn a_container_that_dies_of_zeros_is_not_warmed_up_again() {
    let server = Server::start(&probed(1_000, "dies"));
    server.wait_log("not warmed up: an incarnation of this replica died of a probe");
    assert_eq!(server.client().predict("sums", vec![1, 2, 3, 4])["output"], 1.0);
    assert_eq!(replica(&server)["restarts"], 1);
    server.wait_metric("cutter_warm_ups_failed_total", &[], 1.0);
}
