//! Containers that crash, hang and fail: every query is answered, and only those of the guilty
//! suffer.

use cutter_tests::http::post;
use cutter_tests::server::Plan;
use cutter_tests::{Load, Process, Server, application, eventually, model, pause_ms};
use rustix::process::Signal;
use serde_json::json;

const FLOATS: &str = "type = \"floats\", shape = [4]";
const RESTARTS: &str = "cutter_replica_restarts_total";
const HANG_300_MS: &str = "batch_timeout_us = 300000";

/// An application of the model of the same name.
fn served(name: &str, words: &[&str], slo_ms: u32, more: &str) -> String {
    application(name, FLOATS, slo_ms, name, "") + &model(name, words, more)
}

#[test]
fn a_replica_killed_under_load_costs_no_answer_and_its_neighbours_nothing() {
    let victim = served("victim", &["sum"], 5_000, "");
    let server = Server::start(&(victim + &served("innocent", &["fragile", "floats"], 5_000, "")));
    let load = Load::start(server.query, "victim", 8);
    let innocent = Load::start(server.query, "innocent", 2);
    for kills in 1..=4 {
        load.wait_answered(100);
        server.replicas("sum").iter().for_each(Process::kill);
        server.wait_metric(RESTARTS, &[("model", "victim")], f64::from(kills));
        server.wait_ready();
    }
    load.wait_answered(100);
    innocent.wait_answered(100);
    let (load, innocent) = (load.stop(), innocent.stop());
    load.assert_all_answered();
    assert!(load.predictions >= 500, "{load:?}");
    innocent.assert_all_answered();
    assert_eq!(innocent.defaulted(), 0);
    assert_eq!(server.metrics().sum(RESTARTS, &[("model", "innocent")]), 0.0);
}

#[test]
fn what_a_killed_replica_had_is_answered_by_another() {
    let server = Server::start(&served("twins", &["slow", "300"], 10_000, "replicas = 2"));
    let load = Load::start(server.query, "twins", 6);
    load.wait_answered(6);
    server.replicas("slow")[0].kill();
    load.wait_answered(12);
    let tally = load.stop();
    tally.assert_all_answered();
    assert_eq!(tally.defaulted(), 0);
    assert!(server.metrics().sum("cutter_redispatched_queries_total", &[]) >= 1.0);
}

#[test]
fn a_stopped_replica_hangs_is_killed_and_its_query_is_answered() {
    let server = Server::start(&served("sums", &["sum"], 10_000, HANG_300_MS));
    let stopped = server.replicas("sum")[0];
    stopped.signal(Signal::STOP);
    let answer = server.client().predict("sums", vec![1, 2, 3, 4]);
    assert_eq!((&answer["output"], &answer["default"]), (&json!(10.0), &json!(false)));
    stopped.wait_gone();
    server.wait_log("a batch has been running for");
    assert_eq!(server.metrics().sum(RESTARTS, &[]), 1.0);
}

#[test]
fn a_query_that_hangs_its_model_is_answered_with_an_error_after_two_lives() {
    let server = Server::start(&served("fragile", &["fragile", "floats"], 10_000, HANG_300_MS));
    let answer = server.client().predict("fragile", vec![777, 0, 0, 0]);
    assert_eq!((&answer["reason"], &answer["output"]), (&json!("model_error"), &json!(-1)));
    server.wait_metric(RESTARTS, &[], 2.0);
    assert_eq!(server.client().predict("fragile", vec![5, 0, 0, 0])["output"], 5.0);
}

#[test]
fn a_query_that_crashes_its_model_costs_two_lives_and_no_other_query_anything() {
    let server = Server::start(&served("fragile", &["fragile", "floats"], 20_000, ""));
    let load = Load::start(server.query, "fragile", 8);
    load.wait_answered(100);
    let answer = server.client().predict("fragile", vec![666, 0, 0, 0]);
    assert_eq!((&answer["reason"], &answer["output"]), (&json!("model_error"), &json!(-1)));
    let explanation = answer["default_explanation"].as_str().unwrap();
    assert!(explanation.contains("died each time it was given this input"), "{explanation}");
    load.wait_answered(100);
    let tally = load.stop();
    tally.assert_all_answered();
    assert_eq!(tally.defaulted(), 0);
    let metrics = server.metrics();
    assert_eq!(metrics.sum(RESTARTS, &[]), 2.0);
    assert_eq!(metrics.sum("cutter_defaults_total", &[("reason", "model_error")]), 1.0);
}

#[test]
fn a_model_that_exits_or_scribbles_when_asked_is_as_one_that_crashes() {
    let server = Server::start(&served("fragile", &["fragile", "floats"], 20_000, "replicas = 3"));
    let mut client = server.client();
    for query in [99, 555] {
        let answer = client.predict("fragile", vec![query, 0, 0, 0]);
        assert_eq!(answer["reason"], "model_error", "{query}");
    }
    assert_eq!(client.predict("fragile", vec![7, 0, 0, 0])["output"], 7.0);
}

#[test]
fn the_message_of_a_failed_item_or_batch_reaches_its_client_and_the_model_lives_on() {
    let server = Server::start(
        &(served("fragile", &["fragile", "floats"], 10_000, "")
            + &served("failing", &["fragile", "fail"], 10_000, "")
            + &served("wordless", &["fragile", "nonzero"], 10_000, "")),
    );
    let mut client = server.client();
    for (application, input, explanation) in [
        ("fragile", 13, "Model fragile failed: 13 is unlucky"),
        ("fragile", 1313, "Model fragile failed: 1313 is a bad year"),
        ("failing", 1, "Model failing failed: this model always fails"),
    ] {
        let answer = client.predict(application, vec![input, 0, 0, 0]);
        assert_eq!(answer["reason"], "model_error");
        assert_eq!(answer["default_explanation"], explanation);
    }
    assert_eq!(client.predict("wordless", vec![1, 0, 0, 0])["reason"], "model_error");
    assert_eq!(server.metrics().sum(RESTARTS, &[]), 0.0);
}

#[test]
fn a_failed_item_says_so_by_itself_and_the_rest_of_its_batch_is_predicted() {
    let fixed = "batch = { policy = \"fixed\", max = 16 }";
    let server = Server::start(&served("fragile", &["fragile", "floats"], 10_000, fixed));
    let body = "{\"input_batch\": [[1,0,0,0], [13,0,0,0], [2,0,0,0]]}";
    let answer = server.client().post("/fragile/predict", body).json();
    let items = &answer["batch_predictions"];
    assert_eq!((&items[0]["output"], &items[2]["output"]), (&json!(1.0), &json!(2.0)));
    assert_eq!(items[1]["default_explanation"], "Model fragile failed: 13 is unlucky");
}

/// One bad input makes the batch fail in which it is: 1313, among inputs that the model takes.
#[test]
fn an_input_that_fails_its_batch_is_told_so_and_the_rest_of_the_batch_is_predicted() {
    let fixed = "batch = { policy = \"fixed\", max = 16 }";
    let server = Server::start(&served("fragile", &["fragile", "floats"], 10_000, fixed));
    let body = "{\"input_batch\": [[1,0,0,0], [2,0,0,0], [1313,0,0,0], [4,0,0,0], [5,0,0,0]]}";
    let answer = server.client().post("/fragile/predict", body).json();
    let items = &answer["batch_predictions"];
    let outputs = [0, 1, 3, 4].map(|item| &items[item]["output"]);
    assert_eq!(outputs, [1.0, 2.0, 4.0, 5.0].map(|output| json!(output)).each_ref());
    assert_eq!(items[2]["default_explanation"], "Model fragile failed: 1313 is a bad year");
    let metrics = server.metrics();
    let failed = ["cutter_batches_failed_total", "cutter_items_failed_total"];
    let [batches, failed] = failed.map(|name| metrics.sum(name, &[]));
    assert!((1.0..=4.0).contains(&batches), "{batches} batches of 5, 3 or 2, 2 or 1, and 1");
    assert_eq!(failed, 1.0);
}

/// Batches of four, of 44 ms each: what the 200 ask for takes twice the second that the good one
/// has, which waits for the two batches on their way at most.
#[test]
fn what_was_asked_by_clients_that_have_gone_is_not_computed() {
    let fixed = "batch = { policy = \"fixed\", max = 4 }";
    let server = Server::start(&served("slow", &["slow", "40", "1000"], 1_000, fixed));
    let mut good = server.client();
    for _ in 0..3 {
        for _ in 0..200 {
            let mut client = server.client();
            client.send(post("/slow/predict", "{\"input\": [1, 2, 3, 4]}"));
            client.reset();
        }
        let answer = good.predict("slow", vec![7, 0, 0, 0]);
        assert_eq!((&answer["output"], &answer["default"]), (&json!(7.0), &json!(false)));
    }
    // A request may be lost with its connection before it is read; most are not.
    server.wait_metric("cutter_cancelled_total", &[], 100.0);
}

#[test]
fn a_model_that_is_down_is_answered_for_at_once_and_a_slow_one_at_the_deadline() {
    let down = "[[model]]\nname = \"down\"\ncommand = [\"./nothing-here\"]\n";
    let server = Plan::new(
        &(application("down", FLOATS, 60_000, "down", "")
            + down
            + "[[application]]\nname = \"alone\"\ninput = { type = \"strings\" }\nrows = 16\n"
            + &served("slow", &["slow", "700"], 200, "")),
    )
    .start();
    server.wait_new_replicas("slow", 1, &[]);
    server.wait_log("nothing-here");
    let mut client = server.client();
    // Its objective is a minute; nobody waits that long for it here.
    let answer = client.predict("down", vec![1, 2, 3, 4]);
    assert_eq!((&answer["reason"], &answer["output"]), (&json!("not_ready"), &json!(-1)));
    assert_eq!(client.predict("alone", "?")["reason"], "no_model");
    server.wait_metric("cutter_replica_up", &[("model", "slow")], 1.0);
    assert_eq!(client.predict("slow", vec![1, 2, 3, 4])["reason"], "late");
}

#[test]
fn no_replica_survives_a_killed_engine() {
    let mut server = Server::start(
        &(served("sums", &["sum"], 10_000, "replicas = 3")
            + &served("hung", &["hostile", "honest"], 10_000, "replicas = 2")),
    );
    server.wait_metric("cutter_replica_up", &[], 5.0);
    let mut replicas = server.replicas("sum");
    replicas.extend(server.replicas("hostile"));
    assert_eq!(replicas.len(), 5);
    replicas[0].signal(Signal::STOP);
    server.process.kill();
    assert!(!server.wait_end().success());
    replicas.iter().for_each(Process::wait_gone);
}

/// What a server holds for its replicas, as the kernel counts it.
fn held(server: &Server) -> (usize, usize, usize) {
    let process = server.process;
    (process.descriptors(), process.mappings("memfd:cutter-"), process.children().len())
}

/// Waits until a server holds the same at several looks in a row.
fn settled(server: &Server) -> (usize, usize, usize) {
    eventually("the server holds still", || {
        let looks = [(); 5].map(|()| {
            pause_ms(40);
            held(server)
        });
        looks.windows(2).all(|pair| pair[0] == pair[1]).then_some(looks[0])
    })
}

#[test]
fn after_two_hundred_restarts_a_server_holds_what_it_held_before() {
    const REPLICAS: usize = 50;
    let up = [("model", "many")];
    let server = Server::start(&served("many", &["sum"], 10_000, "replicas = 50"));
    server.wait_metric("cutter_replica_up", &up, 50.0);
    let before = settled(&server);
    let all_mappings = server.process.mappings("");
    for round in 1..=4 {
        let replicas = server.wait_new_replicas("sum", REPLICAS, &[]);
        replicas.iter().for_each(Process::kill);
        server.wait_metric(RESTARTS, &up, f64::from(round) * 50.0);
        server.wait_metric("cutter_replica_up", &up, 50.0);
    }
    assert_eq!(settled(&server), before);
    // The allocator may have taken a few more from the system.
    assert!(server.process.mappings("") <= all_mappings + 16);
    assert_eq!(server.client().predict("many", vec![1, 2, 3, 4])["output"], 10.0);
}

#[test]
fn a_replica_that_somebody_else_ends_is_started_again() {
    let server = Server::start(&served("sums", &["sum"], 10_000, ""));
    let first = server.replicas("sum");
    first[0].signal(Signal::TERM);
    server.wait_new_replicas("sum", 1, &first);
    server.wait_ready();
    let mut client = server.client();
    client.send(post("/sums/predict", "{\"input\": [1, 2, 3, 4]}"));
    assert_eq!(client.response().json()["output"], 10.0);
    server.wait_log("its process ended");
}
