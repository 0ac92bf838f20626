//! `/stats` and `/inspect` of a real server: what is counted is what was asked, and what hangs is
//! found.

use cutter_tests::http::post;
use cutter_tests::{Server, application, eventually, model};
use rustix::process::Signal;
use serde_json::{Value, json};

const FLOATS: &str = "type = \"floats\", shape = [4]";

fn served(words: &[&str], slo_ms: u32, more: &str) -> Server {
    Server::start(&(application("sums", FLOATS, slo_ms, "sum", "") + &model("sum", words, more)))
}

fn get(server: &Server, path: &str) -> Value {
    let response = server.admin(path);
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()
}

/// The counts of a distribution's buckets.
fn buckets(distribution: &Value) -> u64 {
    let buckets = distribution["buckets"].as_array().unwrap().iter();
    buckets.map(|bucket| bucket[1].as_u64().unwrap()).sum()
}

#[test]
fn stats_count_what_was_asked() {
    let server = served(&["sum"], 10_000, "replicas = 2");
    server.wait_metric("cutter_replica_up", &[], 2.0);
    let mut client = server.client();
    (0..20).for_each(|_| drop(client.predict("sums", vec![1, 2, 3, 4])));
    // An answer's time ends when the kernel has it, which its client may know a moment before.
    let stats = eventually("every answer was handed over", || {
        let stats = get(&server, "/stats");
        (buckets(&stats["applications"][0]["end_to_end"]) == 20).then_some(stats)
    });
    assert_eq!(
        (&stats["schema"], &stats["engine"]["connections_accepted"]),
        (&json!("cutter-stats/1"), &json!(1))
    );
    let sums = &stats["applications"][0];
    assert_eq!(
        ["queries", "predictions", "cancelled"].map(|name| &sums[name]),
        [20, 20, 0].map(|n| json!(n)).each_ref()
    );
    assert_eq!(
        (&sums["slo_ns"], &sums["defaults"]["late"]),
        (&json!(10_000_000_000_u64), &json!(0))
    );
    let sum = &stats["models"][0];
    let times = [
        &sums["end_to_end"],
        &sums["parse"],
        &sums["reply"],
        &sum["queue"],
        &sum["batch_wait"],
        &sum["service"],
    ];
    assert_eq!(times.map(buckets), [20; 6]);
    assert_eq!(times.map(|time| time["count"].as_u64().unwrap()), [20; 6]);
    let replicas = sum["replicas"].as_array().unwrap();
    let added =
        |name: &str| replicas.iter().map(|replica| replica[name].as_u64().unwrap()).sum::<u64>();
    // One client that waits for each answer: batches of one.
    assert_eq!((added("rows"), added("batches"), added("restarts")), (20, 20, 0));
    assert_eq!(added("service_ns"), sum["service"]["sum"].as_u64().unwrap());
    assert_eq!(
        replicas.iter().map(|replica| &replica["up"]).collect::<Vec<_>>(),
        [&json!(true); 2]
    );
}

#[test]
fn a_stopped_replica_shows_what_it_has_in_flight_and_what_waits_behind_it() {
    let more = "batch_timeout_us = 30000000\nbatch = { policy = \"fixed\", max = 1 }";
    let server = served(&["sum"], 30_000, more);
    let replica = server.replicas("sum")[0];
    replica.signal(Signal::STOP);
    let mut clients: Vec<_> = (0..5).map(|_| server.client()).collect();
    clients
        .iter_mut()
        .for_each(|client| client.send(post("/sums/predict", "{\"input\": [1, 2, 3, 4]}")));
    // The second batch is formed just before the first should be over.
    let inspected = eventually("five queries are with the engine, and two batches", || {
        let inspected = get(&server, "/inspect");
        let engine = &inspected["engine"];
        let rows = &engine["applications"][0]["rows_in_use"];
        let batches = &engine["replicas"][0]["life"]["ring"]["outstanding"];
        (rows == 5 && batches == 2).then_some(inspected)
    });
    let engine = &inspected["engine"];
    let life = &engine["replicas"][0]["life"];
    let tickets = life["tickets"].as_array().unwrap();
    // Two batches of one; three queries wait.
    assert_eq!(tickets.iter().map(|ticket| &ticket["items"]).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(life["incarnation"], 1);
    let hangs_in_ns = tickets[0]["hangs_in_ns"].as_i64().unwrap();
    assert!((1..30_000_000_000).contains(&hangs_in_ns), "{hangs_in_ns}");
    assert_eq!(tickets[1]["hangs_in_ns"], json!(null));
    let waiting = &engine["models"][0];
    assert_eq!(waiting["queued"], 3);
    assert!(waiting["head"]["query_id"].is_u64(), "{waiting}");
    assert!(waiting["head"]["age_ns"].as_u64().unwrap() > 0, "{waiting}");
    assert_eq!(engine["connections"]["open"], 5);
    let slot = &inspected["readiness"]["models"][0]["replicas"][0];
    assert_eq!((&slot["state"], &slot["pid"]), (&json!("up"), &json!(replica.pid)));
    replica.signal(Signal::CONT);
    let statuses = clients.iter_mut().map(|client| client.response().status);
    assert_eq!(statuses.collect::<Vec<_>>(), [200; 5]);
    // An answer may be a moment old.
    eventually("nothing is in flight any more", || {
        let life = &get(&server, "/inspect")["engine"]["replicas"][0]["life"];
        (life["tickets"] == json!([]) && life["ring"]["outstanding"] == 0).then_some(())
    });
}
