//! An admin port for tests, and what it might say.

use std::io::{Read, Write};
use std::net::TcpListener;

use cutter_admin_api::Stats;
use serde_json::{Value, json};

use super::AdminClient;

/// Runs `ask` against a port that answers each of its questions with these bytes.
pub(crate) fn answering<T>(bytes: &[u8], ask: impl FnOnce(AdminClient) -> T) -> T {
    answering_each(vec![bytes.to_vec()], ask)
}

/// The same with one answer after the other; then the port is closed.
pub(crate) fn answering_each<T>(answers: Vec<Vec<u8>>, ask: impl FnOnce(AdminClient) -> T) -> T {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = AdminClient::new(&listener.local_addr().unwrap().to_string()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut question = [0; 4 << 10];
                let read = stream.read(&mut question).unwrap();
                assert!(question[..read].ends_with(b"\r\n\r\n"));
                stream.write_all(&answer).unwrap();
            }
        });
        ask(client)
    })
}

pub(crate) fn http(status: u16, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// An application, a model and two replicas, at 1 s, with nothing counted.
pub(crate) fn stats_json() -> Value {
    let none = json!({ "count": 0, "sum": 0, "max": 0, "buckets": [] });
    let replica = json!({
        "state": "up", "up": true, "restarts": 0, "batch_limit": 8, "in_flight": 0, "batches": 0,
        "rows": 0, "service_ns": 0,
    });
    json!({
        "schema": "cutter-stats/1",
        "at_ns": 1_000_000_000_u64,
        "engine": {
            "version": "0.1.0", "uptime_ns": 500_000_000_u64, "connections": 3,
            "connections_accepted": 3, "connections_evicted": 0, "bytes_in": 0, "bytes_out": 0,
            "system_calls": { "enter": 0, "yield": 0, "wake": 0 }, "ring_overflows": 0,
            "input_bytes_copied": 0, "http_errors": {},
        },
        "applications": [{
            "name": "digits", "slo_ns": 20_000_000, "models": [0], "queries": 0, "predictions": 0,
            "cancelled": 0, "late": 0, "predictions_dropped": 0,
            "defaults": { "late": 0, "overloaded": 0 }, "rows": 4096, "rows_in_use": 0,
            "end_to_end": none, "parse": none, "reply": none,
        }],
        "models": [{
            "model": "softmax", "version": "1", "queued": 0, "expired": 0, "restarts": 0,
            "redispatches": 0, "violations": {}, "batch_size": none, "queue": none,
            "batch_wait": none, "service": none, "replicas": [replica, replica],
        }],
    })
}

/// The same after `half_seconds` in each of which 1,000 queries were answered: 900 took 1 ms, 100
/// took 10 ms, and 20 got the default. Replica 0 was busy for half of the time, with batches of 4.
pub(crate) fn busy_json(half_seconds: u64) -> Value {
    let times = |count: u64, ns: u64| {
        let (count, slow) = (count * half_seconds, count / 10 * half_seconds);
        let fast = count - slow;
        json!({
            "count": count, "sum": fast * ns + slow * 10 * ns, "max": 10 * ns,
            "buckets": [[ns, fast], [10 * ns, slow]],
        })
    };
    let mut stats = stats_json();
    stats["at_ns"] = json!(1_000_000_000 + half_seconds * 500_000_000);
    let engine = &mut stats["engine"];
    engine["uptime_ns"] = json!(500_000_000 + half_seconds * 500_000_000);
    engine["bytes_in"] = json!(3_000_000 * half_seconds);
    engine["bytes_out"] = json!(50_000 * half_seconds);
    engine["system_calls"] = json!({
        "enter": 2_000 * half_seconds, "yield": 400 * half_seconds, "wake": 100 * half_seconds,
    });
    let digits = &mut stats["applications"][0];
    digits["queries"] = json!(1_000 * half_seconds);
    digits["predictions"] = json!(980 * half_seconds);
    digits["defaults"] = json!({ "late": 20 * half_seconds, "overloaded": 0 });
    digits["rows_in_use"] = json!(1024);
    digits["end_to_end"] = times(1_000, 1_000_000);
    digits["parse"] = times(1_000, 2_000);
    digits["reply"] = times(1_000, 3_000);
    let softmax = &mut stats["models"][0];
    softmax["queued"] = json!(7);
    softmax["restarts"] = json!(1);
    softmax["queue"] = times(980, 40_000);
    softmax["batch_wait"] = times(980, 50_000);
    softmax["service"] = times(980, 600_000);
    let batches = json!({
        "count": 245 * half_seconds, "sum": 980 * half_seconds, "max": 4,
        "buckets": [[4, 245 * half_seconds]],
    });
    softmax["batch_size"] = batches;
    let replica = &mut softmax["replicas"][0];
    replica["in_flight"] = json!(2);
    replica["batches"] = json!(245 * half_seconds);
    replica["rows"] = json!(980 * half_seconds);
    replica["service_ns"] = json!(250_000_000 * half_seconds);
    let replica = &mut softmax["replicas"][1];
    replica["state"] = json!("backing_off");
    replica["up"] = json!(false);
    replica["restarts"] = json!(1);
    stats
}

/// A busy server whose application learns beside softmax. Its second model has a cache, and is
/// taken out.
pub(crate) fn choosing_json() -> Value {
    let mut stats = busy_json(1);
    let mut trees = stats["models"][0].clone();
    trees["model"] = json!("trees");
    trees["cache"] = json!({
        "hits": 30, "joined": 10, "misses": 50, "bypassed": 10, "evicted": 0,
        "expired": 0, "too_large": 0, "entries": 50, "bytes": 65_536, "off": true,
    });
    stats["models"].as_array_mut().unwrap().push(trees);
    stats["applications"][0]["selection"] = json!({
        "policy": "exp3", "mode": "apprentice", "decisions": 400, "combined": 200,
        "confidence": 0.75, "judged": 100, "effective_accuracy": 0.775, "regret": -2.5,
        "apprentice": { "judged": 50, "agreement": 0.8, "earned": 0.9 },
        "feedback": {
            "learned": 100, "share": 0.25, "late": 0, "duplicate": 0, "unknown": 0, "withdrawn": 0,
            "expired": 0, "evaluated": 0, "unusable": 0,
            "join_delay": {
                "count": 100, "sum": 200_000_000, "max": 2_000_000, "buckets": [[2_000_000, 100]],
            },
        },
        "arms": [
            {
                "model": 0, "enabled": true, "weight": 0.6, "asked": 300, "share": 0.75,
                "came": 290, "stragglers": 10, "predicted_late": 0, "agreed": 150,
                "agreement": 0.75, "learned": 100,
                "reward": { "mean": 0.8, "interval": [0.721205, 0.878795] },
            },
            {
                "model": 1, "enabled": false, "weight": 0.4, "asked": 100, "share": 0.25,
                "came": 100, "stragglers": 0, "predicted_late": 7, "agreed": 0, "agreement": 0.0,
                "learned": 0, "reward": null,
            },
        ],
    });
    stats
}

pub(crate) fn stats_of(json: Value) -> Stats {
    serde_json::from_value(json).unwrap()
}
