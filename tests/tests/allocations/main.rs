//! The way of a query takes nothing from the heap in steady state: real threads, real containers,
//! kept connections, and an allocator that counts what the engine thread asks for.
//!
//! Steady is what has been warmed up: each buffer has grown to what the queries need, and each
//! place has been used. Bodies, outputs and batches beyond the limits up to which buffers are kept
//! for their next use are no part of it.

#![allow(clippy::unwrap_used, reason = "a test fails here")]

mod counting;
mod served;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use cutter_core::Asked;
use cutter_tests::http::post;
use cutter_tests::{Client, application};
use serde_json::{Value, json};

use counting::{Counting, Counts};
use served::Served;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many queries are counted; and how many of those that are all answered at their deadline. As
/// many were asked before: what gets longer with each query would double its memory meanwhile.
const QUERIES: usize = 2_000;
const QUERIES_AT_DEADLINE: usize = 500;
/// How often they are counted until there is a round without any: on a busy machine more answers
/// may stand in a buffer than ever before, and then it grows, once.
const ROUNDS_MAX: usize = 3;
/// In how many goes those before are asked: hurried and not, of the crowd and of the clients.
const GOES_BEFORE: usize = 4;
/// By connection: how many requests are sent before the first is answered.
const PIPELINES: [usize; 4] = [1, 1, 2, 4];
/// Connections that ask before anything is counted, and how many requests each sends at a time:
/// more than ever afterwards comes in one turn, and no more on one connection, whose buffers are
/// given up beyond what is kept.
const CROWD: usize = 32;
const CROWD_PIPELINE: usize = 4;

const FLOATS: &str = "type = \"floats\", shape = [784]";

/// What is served, what is asked, and what is to be answered.
struct Case {
    input: &'static str,
    slo_ms: u32,
    /// In the order in which they are asked: the words of each.
    models: &'static [&'static [&'static str]],
    asked: Asked,
    /// Bodies of requests, which are sent in turn.
    bodies: Vec<Value>,
    queries: usize,
    /// Whether the answers are defaults. How many are the other depends on how busy the machine is.
    defaults: bool,
}

/// Counts what the engine thread asks of the heap while it answers.
#[track_caller]
fn assert_steady(case: &Case) {
    // One at a time: there is one allocator, and the processor is to be the clients' and the
    // server's alone.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let names: Vec<String> = (0..case.models.len()).map(|model| format!("model{model}")).collect();
    let models = names.iter().zip(case.models).map(|(name, words)| model(name, words));
    let server = "[server]\nquery = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\n".to_owned();
    let asking = application("asking", case.input, case.slo_ms, &names.join("\", \""), "");
    let text = server + &asking + &models.collect::<String>();
    let served = Served::start(&text, case.asked);
    let mut clients = PIPELINES.map(|_| Client::tcp(served.address));
    let mut crowd: Vec<Client> = (0..CROWD).map(|_| Client::tcp(served.address)).collect();
    let in_one_go = case.queries / GOES_BEFORE;
    // A busy machine makes defaults of predictions, which are longer: each buffer has had both.
    for hurried in [true, false] {
        ask(&mut crowd, &[CROWD_PIPELINE; CROWD], case, hurried, in_one_go);
    }
    drop(crowd);
    for hurried in [true, false] {
        ask(&mut clients, &PIPELINES, case, hurried, in_one_go);
    }
    let batches = || {
        let replicas = served.counted.models.iter().flat_map(|model| &model.replicas);
        let counts = replicas.map(|replica| (replica.batches.get(), replica.rows.get()));
        counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1))
    };
    let before = batches();
    let engine = served.engine_thread();
    let mut round =
        || counting::of_thread(engine, || ask(&mut clients, &PIPELINES, case, false, case.queries));
    let mut counted = round();
    for _ in 1..ROUNDS_MAX {
        if counted.0 == Counts::default() {
            break;
        }
        counted = round();
    }
    let (counts, places) = counted;
    let after = batches();
    // A drain waits for idle connections for a while.
    drop(clients);
    served.end();
    // A model that is never in time gets its batches one by one.
    let (batches, rows) = (after.0 - before.0, after.1 - before.1);
    assert!(case.defaults || rows > batches, "no batch had more than one row");
    assert_eq!(counts, Counts::default(), "the first came from\n{places}");
}

/// The text of a model. Its program is of this package, so that no other has to be built.
fn model(name: &str, words: &[&str]) -> String {
    let (program, words) = words.split_first().unwrap();
    let program = match *program {
        "echo" => env!("CARGO_BIN_EXE_echo"),
        _ => env!("CARGO_BIN_EXE_slow"),
    };
    let command: Vec<&str> = std::iter::once(program).chain(words.iter().copied()).collect();
    format!("[[model]]\nname = \"{name}\"\ncommand = {command:?}\n")
}

/// Asks so many queries over the connections at the same time, and looks at each answer. When
/// `hurried`, no model can answer in time.
fn ask(clients: &mut [Client], pipelines: &[usize], case: &Case, hurried: bool, queries: usize) {
    let requests: Vec<(String, usize)> = case
        .bodies
        .iter()
        .map(|body| {
            let queries = body["input_batch"].as_array().map_or(1, Vec::len);
            let mut body = body.clone();
            if hurried {
                body["timeout_us"] = json!(1);
            }
            (post("/asking/predict", &body.to_string()), queries)
        })
        .collect();
    let marks = ["\"default\":false", "\"default\":true"];
    let due = marks[usize::from(case.defaults || hurried)];
    // Relaxed: counts, which are read when the threads have ended.
    let (asked, as_due) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = &|client: &mut Client, depth: usize| {
        let mut requests = requests.iter().cycle();
        while asked.load(Ordering::Relaxed) < queries {
            let sent: Vec<&(String, usize)> = requests.by_ref().take(depth).collect();
            client.send(sent.iter().map(|(request, _)| request.as_str()).collect::<String>());
            for (_, queries) in sent {
                let answer = client.response();
                assert_eq!(answer.status, 200, "{}", answer.text());
                as_due.fetch_add(answer.text().matches(due).count(), Ordering::Relaxed);
                asked.fetch_add(*queries, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for (client, depth) in clients.iter_mut().zip(pipelines) {
            scope.spawn(move || work(client, *depth));
        }
    });
    let (asked, as_due) = (asked.into_inner(), as_due.into_inner());
    assert!(as_due > 0, "none of {asked} answers has {due}");
}

/// 784 floats as a program writes them: about 7 KB of text, different for each number.
fn floats(number: u32) -> Value {
    let float = |place: u32| f64::from((place * 7919 + number * 104_729) % 100_000) / 1e5;
    (0..784).map(float).collect()
}

fn one(input: Value) -> Value {
    json!({ "input": input })
}

/// Single inputs, and a few together.
fn floats_alone_and_together() -> Vec<Value> {
    let mut bodies: Vec<Value> = (0..13).map(|number| one(floats(number))).collect();
    bodies.push(json!({ "input_batch": [floats(20), floats(21)] }));
    bodies
}

#[test]
fn queries_of_784_floats_allocate_nothing() {
    assert_steady(&Case {
        input: FLOATS,
        slo_ms: 1_000,
        models: &[&["slow", "0"]],
        asked: Asked::First,
        bodies: floats_alone_and_together(),
        queries: QUERIES,
        defaults: false,
    });
}

#[test]
fn small_inputs_in_base64_allocate_nothing() {
    let together = json!({ "input_batch": ["AAECAwQF", "BQQDAgEA", "////////"] });
    assert_steady(&Case {
        input: "type = \"bytes\", shape = [6]",
        slo_ms: 1_000,
        models: &[&["echo", "bytes", "6"]],
        asked: Asked::First,
        bodies: vec![one("AAECAwQF".into()), one("////////".into()), together],
        queries: QUERIES,
        defaults: false,
    });
}

#[test]
fn strings_and_outputs_of_any_length_allocate_nothing() {
    let texts = ["", "a", "grüße, \"world\"", &"long ".repeat(60)];
    assert_steady(&Case {
        input: "type = \"strings\", max_bytes = 4096",
        slo_ms: 1_000,
        models: &[&["echo", "strings", "max", "4096"]],
        asked: Asked::First,
        bodies: texts.map(|text| one(text.into())).into(),
        queries: QUERIES,
        defaults: false,
    });
}

#[test]
fn queries_that_ask_the_first_of_several_models_allocate_nothing() {
    assert_steady(&Case {
        input: FLOATS,
        slo_ms: 1_000,
        models: &[&["slow", "0"], &["slow", "1"], &["slow", "2"]],
        asked: Asked::First,
        bodies: floats_alone_and_together(),
        queries: QUERIES,
        defaults: false,
    });
}

#[test]
fn outputs_that_wait_for_the_first_models_allocate_nothing() {
    assert_steady(&Case {
        input: FLOATS,
        slo_ms: 1_000,
        models: &[&["slow", "1"], &["slow", "0"], &["slow", "0"]],
        asked: Asked::All,
        bodies: floats_alone_and_together(),
        queries: QUERIES,
        defaults: false,
    });
}

#[test]
fn outputs_that_are_there_at_the_deadline_allocate_nothing() {
    assert_steady(&Case {
        input: FLOATS,
        slo_ms: 10,
        models: &[&["slow", "60"], &["slow", "0"]],
        asked: Asked::All,
        bodies: floats_alone_and_together(),
        queries: QUERIES_AT_DEADLINE,
        defaults: false,
    });
}

#[test]
fn defaults_because_of_the_deadline_allocate_nothing() {
    assert_steady(&Case {
        input: FLOATS,
        slo_ms: 5,
        models: &[&["slow", "20"]],
        asked: Asked::First,
        bodies: floats_alone_and_together(),
        queries: QUERIES_AT_DEADLINE,
        defaults: true,
    });
}
