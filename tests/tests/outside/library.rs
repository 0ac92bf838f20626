//! The engine as a library: in this very process, asked without a socket.

use std::process::Command;
use std::time::Duration;

use cutter_core::feedback::{Lesson, Truth};
use cutter_core::stats::Reason;
use cutter_server::asker::{AskError, Asker, Learning, Query, Reply, Said, Whom};
use cutter_server::config::{self, Config};
use cutter_server::server::{Host, Server};
use cutter_tests::{Client, Process, application, binary, command, eventually, model};
use serde_json::Value;

const FLOATS: &str = "type = \"floats\", shape = [4]";

/// With nobody who could ask over HTTP.
fn start(slo_ms: u32, model_words: &[&str]) -> (Server, tempfile::TempDir) {
    start_serving(
        &(application("sums", FLOATS, slo_ms, "m", "rows = 64") + &model("m", model_words, "")),
    )
}

fn start_serving(body: &str) -> (Server, tempfile::TempDir) {
    start_serving_in("\"none\"", body)
}

fn start_serving_in(state: &str, body: &str) -> (Server, tempfile::TempDir) {
    let text = format!("[server]\nadmin = \"127.0.0.1:0\"\nstate = {state}\n{body}");
    let folder = tempfile::tempdir().expect("temporary files can be made");
    let (mut config, _) = Config::from_toml(&text, folder.path(), "t").expect("it is right");
    config.server.query.clear();
    let server = Server::start(config, Host::default()).expect("it starts");
    (server, folder)
}

fn bytes(input: [f32; 4]) -> Vec<u8> {
    input.map(f32::to_ne_bytes).as_flattened().to_vec()
}

fn float(output: &[u8]) -> f32 {
    f32::from_ne_bytes(output.try_into().expect("one float"))
}

#[test]
fn the_example_prints_the_prediction() {
    let sum = binary("sum");
    let example = sum.with_file_name("examples").join("embedded");
    let ended = command::succeed(Command::new(example).arg(sum));
    assert_eq!(ended, "10\n");
}

#[test]
fn many_threads_ask_at_once_and_each_gets_its_own_answer() {
    let (mut server, _folder) = start(2_000, &["sum"]);
    std::thread::scope(|scope| {
        for thread in 0..8u16 {
            let mut asker = server.asker("sums").unwrap();
            scope.spawn(move || {
                for query in 0..500u16 {
                    let (thread, query) = (f32::from(thread), f32::from(query));
                    let reply = asker.ask(&bytes([thread * 1_000.0, query, 0.0, 0.0])).unwrap();
                    let Reply::Prediction { output, .. } = reply else { panic!("{reply:?}") };
                    assert_eq!(float(output), thread * 1_000.0 + query);
                }
            });
        }
    });
    let counted = server.counted();
    let sums = &counted.applications[0];
    assert_eq!((sums.queries.get(), sums.predictions.get()), (4_000, 4_000));
    eventually("all are handed over", || (sums.end_to_end.count() == 4_000).then_some(()));
    assert_eq!(counted.engine.connections_accepted.get(), 0);
    server.stop();
    server.join().unwrap();
}

#[test]
fn what_is_late_is_answered_with_the_default_at_its_deadline() {
    let (mut server, _folder) = start(50, &["slow", "400"]);
    let mut asker = server.asker("sums").unwrap();
    let reply = asker.ask(&bytes([1.0; 4])).unwrap();
    let Reply::Default { output, reason, .. } = reply else { panic!("{reply:?}") };
    assert_eq!(output, "-1");
    assert!(matches!(reason, Reason::Late | Reason::NotReady), "{reason:?}");
    server.stop();
    server.join().unwrap();
}

#[test]
fn a_replica_that_does_not_map_the_rows_is_ended_and_the_link_is_made() {
    let (mut server, folder) = start(2_000, &["sum"]);
    let replica = |field: &str| -> Value {
        Client::tcp(server.admin()).get("/readyz").json()["models"][0]["replicas"][0][field].take()
    };
    let wait_up = || eventually("the replica is up", || (replica("state") == "up").then_some(()));
    wait_up();
    let pid = replica("pid").as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap();
    let stopped = Process::of(pid).unwrap();
    stopped.signal(rustix::process::Signal::STOP);
    let text = "[server]\nadmin = \"127.0.0.1:0\"\n".to_owned()
        + &application("late", FLOATS, 2_000, "m", "rows = 64")
        + &model("m", &["sum"], "");
    let (mut config, _) = Config::from_toml(&text, folder.path(), "t").unwrap();
    server.changes().add_application(config.applications.remove(0), 1).unwrap();
    server.changes().link("late", &["m"]).unwrap();
    stopped.wait_gone();
    wait_up();
    for name in ["late", "sums"] {
        let mut asker = server.asker(name).unwrap();
        let reply = asker.ask(&bytes([1.0, 2.0, 3.0, 4.0])).unwrap();
        let Reply::Prediction { output, .. } = reply else { panic!("{name}: {reply:?}") };
        assert_eq!(float(output), 10.0, "{name}");
    }
    let why = "it was killed: it could not change the input pools that it reads";
    assert_eq!(replica("last_error"), why);
    server.stop();
    server.join().unwrap();
}

#[test]
fn what_cannot_be_asked_is_refused_with_its_reason() {
    let (mut server, _folder) = start(2_000, &["sum"]);
    let unknown = server.asker("words").unwrap_err().to_string();
    assert_eq!(unknown, "there is no application words; there are: sums");
    let mut asker = server.asker("sums").unwrap();
    let wrong = asker.ask(&[0; 12]).unwrap_err().to_string();
    assert_eq!(wrong, "the input has 12 bytes, but the application takes float32[4]");
    assert!(asker.ask(&bytes([1.0; 4])).is_ok(), "a refused question hurts nobody");
    server.changes().remove_application("sums").unwrap();
    assert_eq!(asker.ask(&bytes([1.0; 4])).unwrap_err(), AskError::Removed);
    server.stop();
    server.join().unwrap();
    assert_eq!(asker.ask(&bytes([1.0; 4])).unwrap_err(), AskError::Ended);
    assert_eq!(asker.ask(&bytes([1.0; 4])).unwrap_err(), AskError::Ended);
}

#[test]
fn an_application_that_cannot_be_is_refused_and_the_others_go_on() {
    let (mut server, folder) = start(2_000, &["sum"]);
    let body = application("late", FLOATS, 2_000, "m", "rows = 64") + &model("m", &["sum"], "");
    let settings = || {
        let text = format!("[server]\nadmin = \"127.0.0.1:0\"\n{body}");
        Config::from_toml(&text, folder.path(), "t").unwrap().0.applications.remove(0)
    };
    for asked in [0, 1_000] {
        let refused = server.changes().add_application(settings(), asked).unwrap_err().to_string();
        let due = "is to ask up to {} models; give a number from 1 to 32";
        assert!(refused.ends_with(&due.replace("{}", &asked.to_string())), "{refused}");
    }
    for rows_at_start in [0, 65] {
        let settings = config::Application { rows_at_start, ..settings() };
        let refused = server.changes().add_application(settings, 1).unwrap_err().to_string();
        let due = "`rows_at_start` of application \"late\" is {}; expected 1 to 64";
        assert_eq!(refused, due.replace("{}", &rows_at_start.to_string()));
    }
    let text = format!("[server]\nadmin = \"127.0.0.1:0\"\n{body}");
    let (mut config, _) = Config::from_toml(&text, folder.path(), "t").unwrap();
    config.models[0].name = "other".to_owned();
    config.models[0].cache = Some(config::Cache { bytes: 1, ttl_ns: None });
    let due = "`bytes` of the cache of model \"other\" is 1; expected 65536 to 17179869184";
    let refused = server.changes().add_model(config.models[0].clone()).unwrap_err().to_string();
    assert_eq!(refused, due);
    let refused = Server::start(config, Host::default()).unwrap_err().to_string();
    assert_eq!(refused, format!("cannot start: {due}"));
    assert!(server.asker("sums").unwrap().ask(&bytes([1.0; 4])).is_ok());
    server.stop();
    server.join().unwrap();
}

/// An application that learns whether the sum or the first of the floats is meant.
fn start_learning() -> (Server, tempfile::TempDir) {
    start_learning_in("\"none\"")
}

/// The same, where what it learns outlives it.
fn start_learning_in(state: &str) -> (Server, tempfile::TempDir) {
    let policy = "rows = 64\n[application.policy]\nname = \"exp4\"\nseed = 5";
    let body = application("means", FLOATS, 2_000, "sum\", \"first", policy)
        + &application("plain", FLOATS, 2_000, "sum", "rows = 64")
        + &model("sum", &["sum"], "")
        + &model("first", &["slow", "0"], "");
    let (server, folder) = start_serving_in(state, &body);
    eventually("both models are ready", || {
        let readiness = Client::tcp(server.admin()).get("/readyz").json();
        (readiness["status"] == "ready").then_some(())
    });
    (server, folder)
}

const INPUT: [f32; 4] = [1.0, 2.0, 3.0, 4.0];

fn label(number: u32) -> Lesson {
    Lesson::Label(Truth::number(f64::from(number), number.to_string().as_bytes()))
}

/// What is answered to one user, and the id of the query.
fn ask_for(asker: &mut Asker, user: &str) -> (f32, u64) {
    let whom = Whom { key: user.as_bytes(), vector: &[] };
    let reply = asker.ask_with(&Query { whom, ..Query::of(&bytes(INPUT)) }).unwrap();
    let Reply::Prediction { query_id, output, confidence, .. } = reply else { panic!("{reply:?}") };
    assert_eq!(confidence, Some(0.5), "two models say different things");
    (float(output), query_id)
}

#[test]
fn each_context_learns_from_what_its_own_answers_were_worth() {
    let (mut server, _folder) = start_learning();
    let mut asker = server.asker("means").unwrap();
    for _ in 0..40 {
        for (user, meant) in [("ann", 10), ("bob", 1)] {
            let (_, query_id) = ask_for(&mut asker, user);
            assert_eq!(asker.learn(query_id, label(meant)), Ok(Learning::Learned));
        }
    }
    assert_eq!(ask_for(&mut asker, "ann").0, 10.0);
    assert_eq!(ask_for(&mut asker, "bob").0, 1.0);
    server.stop();
    server.join().unwrap();
}

#[test]
fn what_was_learned_a_moment_ago_is_there_when_the_models_are_linked_again() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.redb");
    let (mut server, _folder) = start_learning_in(&format!("{:?}", state.to_str().unwrap()));
    let mut asker = server.asker("means").unwrap();
    let weights = |asker: &mut Asker, user: &str| {
        let (whom, input) = (Whom { key: user.as_bytes(), vector: &[] }, bytes(INPUT));
        let query = Query { explain: true, whom, ..Query::of(&input) };
        let reply = asker.ask_with(&query).unwrap();
        let Reply::Prediction { explanation, .. } = reply else { panic!("{reply:?}") };
        explanation.iter().map(|said| said.weight).collect::<Vec<f64>>()
    };
    for round in 0..3 {
        for (user, meant) in [("", 10), ("ann", 1)] {
            let (_, query_id) = ask_for(&mut asker, user);
            assert_eq!(asker.learn(query_id, label(meant)), Ok(Learning::Learned));
        }
        let learned = weights(&mut asker, "ann");
        assert!(learned[1] > 0.5, "{round}: {learned:?}");
        server.changes().link("means", &["first", "sum"]).unwrap();
        server.changes().link("means", &["sum", "first"]).unwrap();
        eventually("it is loaded", || (weights(&mut asker, "ann") == learned).then_some(()));
    }
    server.changes().remove_application("means").unwrap();
    server.stop();
    server.join().unwrap();
}

#[test]
fn what_cannot_be_learned_is_told_apart_and_changes_nothing() {
    let (mut server, _folder) = start_learning();
    let mut asker = server.asker("means").unwrap();
    let (_, query_id) = ask_for(&mut asker, "ann");
    let word = Lesson::Label(Truth::text(b"ten"));
    for (id, lesson, due) in [
        (query_id, word, Learning::Label),
        (query_id, Lesson::Reward(7.0), Learning::Reward),
        (query_id, label(10), Learning::Learned),
        (query_id, label(1), Learning::Duplicate),
        (12, label(1), Learning::Unknown),
    ] {
        assert_eq!(asker.learn(id, lesson), Ok(due), "{id} {lesson:?}");
    }
    // Of an input that nobody asked for, the models are asked.
    let (whom, other) = (Whom { key: b"ann", vector: &[] }, bytes([2.0, 0.0, 0.0, 1.0]));
    assert_eq!(asker.learn_input(whom, &other, label(3)), Ok(Learning::Evaluating));
    let counted = server.counted();
    let learned = &counted.selections[0].stats.feedback;
    eventually("it is learned", || (learned.evaluated.get() == 1).then_some(()));
    let too_long = Whom { key: &[7; 300], vector: &[] };
    let input = bytes(INPUT);
    let refused = asker.ask_with(&Query { whom: too_long, ..Query::of(&input) }).unwrap_err();
    let refused = refused.to_string();
    assert_eq!(refused, "the key of a context has 300 bytes, and may have 64");
    let mut plain = server.asker("plain").unwrap();
    let reply = plain.ask(&bytes(INPUT)).unwrap();
    let Reply::Prediction { query_id, confidence: None, .. } = reply else { panic!("{reply:?}") };
    assert_eq!(plain.learn(query_id, label(10)), Ok(Learning::NoPolicy));
    server.stop();
    server.join().unwrap();
    assert_eq!(plain.learn(query_id, label(10)), Err(AskError::Ended));
}

#[test]
fn a_query_has_a_time_of_its_own_and_is_explained_if_it_asks_for_that() {
    let (mut server, _folder) = start_learning();
    let mut asker = server.asker("means").unwrap();
    let input = bytes(INPUT);
    let reply = asker.ask_with(&Query { explain: true, ..Query::of(&input) }).unwrap();
    let Reply::Prediction { output, explanation, .. } = reply else { panic!("{reply:?}") };
    let said: Vec<Said<'_>> = explanation.iter().collect();
    let floats: Vec<f32> = said.iter().map(|said| float(said.output.unwrap().0)).collect();
    assert_eq!(floats, [10.0, 1.0]);
    assert_eq!([said[0].place, said[1].place], [0, 1]);
    assert!((said[0].weight + said[1].weight - 1.0).abs() < 1e-9, "{said:?}");
    assert!(floats.contains(&float(output)) && said.iter().all(|said| said.after.is_some()));
    let reply = asker.ask(&input).unwrap();
    let Reply::Prediction { explanation, .. } = reply else { panic!("{reply:?}") };
    assert_eq!(explanation.iter().count(), 0, "nobody asked for it");
    // Far below what a container needs to be woken.
    let timeout = Some(Duration::from_micros(1));
    let reply = asker.ask_with(&Query { timeout, ..Query::of(&input) }).unwrap();
    assert!(matches!(reply, Reply::Default { output: "-1", .. }), "{reply:?}");
    for timeout in [Duration::ZERO, Duration::from_secs(61)] {
        let query = Query { timeout: Some(timeout), ..Query::of(&input) };
        let refused = asker.ask_with(&query).unwrap_err();
        assert_eq!(refused, AskError::Timeout(timeout));
    }
    server.stop();
    server.join().unwrap();
}
