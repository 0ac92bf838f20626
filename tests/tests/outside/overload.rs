//! More queries than a server can take: some are refused at once, none is left to wait, and what
//! is taken is answered.

use cutter_tests::http::post;
use cutter_tests::{Client, Load, Server, application, model};
use rustix::process::Signal;

const FLOATS: &str = "type = \"floats\", shape = [4]";
const INPUT: &str = "{\"input\": [1, 2, 3, 4.5]}";
/// As few rows as there can be.
const ROWS: usize = 16;

#[test]
fn a_full_pool_refuses_at_once_while_the_others_still_wait() {
    let hours = "batch_timeout_us = 600000000";
    let server = Server::start(
        &(application("sums", FLOATS, 60_000, "sum", "rows = 16") + &model("sum", &["sum"], hours)),
    );
    let replica = server.replicas("sum")[0];
    replica.signal(Signal::STOP);
    let mut waiting: Vec<Client> = (0..ROWS).map(|_| server.client()).collect();
    waiting.iter_mut().for_each(|client| client.send(post("/sums/predict", INPUT)));
    server.wait_metric("cutter_queries_total", &[], 16.0);
    let mut late = server.client();
    let refused = late.post("/sums/predict", INPUT).json();
    assert_eq!((refused["default"].as_bool(), &refused["output"]), (Some(true), &(-1).into()));
    assert_eq!(refused["reason"], "overloaded");
    assert!(waiting.iter_mut().all(Client::is_silent));
    server.wait_metric("cutter_input_pool_rows_in_use", &[], 16.0);
    replica.signal(Signal::CONT);
    for mut client in waiting {
        assert_eq!(client.response().json()["output"], 10.5);
    }
    assert_eq!(late.predict("sums", vec![1, 2, 3, 4])["output"], 10.0);
}

#[test]
fn a_batch_that_does_not_fit_is_answered_as_far_as_it_does() {
    let server = Server::start(
        &(application("sums", FLOATS, 10_000, "sum", "rows = 16") + &model("sum", &["sum"], "")),
    );
    let inputs = vec!["[1, 2, 3, 4.5]"; 20].join(",");
    let answer = server.client().post("/sums/predict", format!("{{\"input_batch\": [{inputs}]}}"));
    let answer = answer.json();
    let items = answer["batch_predictions"].as_array().unwrap();
    let predicted = items.iter().filter(|item| item["output"] == 10.5).count();
    let refused = items.iter().filter(|item| item["reason"] == "overloaded").count();
    assert_eq!((predicted, refused), (ROWS, 4));
}

#[test]
fn a_model_that_is_too_slow_for_all_still_answers_some_in_time() {
    let batch = "batch = { policy = \"fixed\", max = 2 }";
    let server = Server::start(
        &(application("sums", FLOATS, 200, "slow", "rows = 64")
            + &model("slow", &["slow", "10"], batch)
            + &application("others", FLOATS, 10_000, "sum", "")
            + &model("sum", &["sum"], "")),
    );
    // 10 ms for 2 queries, of which 48 always wait: 240 ms for all, where 200 are allowed.
    let load = Load::start(server.query, "sums", 48);
    let others = Load::start(server.query, "others", 2);
    load.wait_answered(240);
    let queued = server.metrics().sum("cutter_queued_queries", &[("model", "slow")]);
    let (tally, others) = (load.stop(), others.stop());
    tally.assert_all_answered();
    assert!(queued <= 64.0, "{queued}");
    assert!(tally.predictions >= 48, "{tally:?}");
    assert!(tally.defaults.keys().all(|reason| reason == "late"), "{tally:?}");
    others.assert_all_answered();
    assert_eq!(others.defaulted(), 0);
    // The load is over, and with it the delay.
    assert_eq!(server.client().predict("sums", vec![10_000, 0, 0, 0])["default"], false);
}

#[test]
fn a_client_that_never_reads_harms_nobody() {
    let server = Server::start(
        &(application("sums", FLOATS, 10_000, "sum", "") + &model("sum", &["sum"], "")),
    );
    let mut deaf = server.client();
    // It sends until the server takes no more, and reads nothing.
    deaf.send_until_refused(post("/sums/predict", INPUT).repeat(100).as_bytes());
    let load = Load::start(server.query, "sums", 4);
    load.wait_answered(500);
    let tally = load.stop();
    tally.assert_all_answered();
    assert_eq!(tally.defaulted(), 0);
}
