//! What the admin HTTP answers.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::world::{DIGITS, World, answer_on, ask, container, json_of};

const NO_MODEL: &str = "[[application]]\nname = \"alone\"\ninput.type = \"strings\"\n";

#[test]
fn a_running_engine_is_healthy_whatever_its_models_do() {
    let world = World::start(&format!("{DIGITS}\n[[model]]\nname = \"m\"\n"));
    let (status, head, body) = world.request("GET /healthz");
    assert_eq!((status, body.as_str()), (200, "{\"status\":\"ok\"}\n"));
    assert!(head.contains("content-type: application/json"), "{head}");
    assert!(head.contains("connection: close"), "{head}");
}

#[test]
fn an_application_without_a_model_is_noted_and_does_not_make_the_server_unready() {
    let world = World::start(NO_MODEL);
    let (status, ready) = world.ready();
    assert_eq!(status, 200);
    assert_eq!(ready["applications_without_model"][0], "alone");
}

#[test]
fn metrics_are_prometheus_text() {
    let mut world = World::start(&container("serves"));
    let _end = world.hear_up(0, 1);
    let (status, head, body) = world.request("GET /metrics");
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert!(body.contains("# TYPE cutter_queries_total counter\n"), "{body}");
    assert!(body.contains("\ncutter_log_lines_dropped_total 0\n"), "{body}");
}

#[test]
fn metrics_are_open_metrics_for_whoever_wants_that() {
    let world = World::start(NO_MODEL);
    let accept = "Accept: application/openmetrics-text; version=1.0.0, text/plain;q=0.5";
    let (status, head, body) = world.request_with("GET /metrics", accept);
    assert_eq!(status, 200);
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.contains("# TYPE cutter_queries counter\n"), "{body}");
    assert!(body.ends_with("# EOF\n"), "{body}");
}

#[test]
fn many_who_inspect_at_once_cost_the_engine_thread_one_look() {
    let world = World::start(&format!("{DIGITS}\n[[model]]\nname = \"m\"\n"));
    let asked = [(); 8].map(|()| ask(world.admin, "GET /inspect", ""));
    world.answer_inspection();
    let answers = asked.map(|stream| serde_json::from_str(&answer_on(stream).2).unwrap());
    // The engine thread of this world answers one question.
    assert!(answers.iter().all(|answer: &Value| answer["engine"]["wait"] == "adaptive"));
}

#[test]
fn other_paths_and_methods_are_told_what_there_is() {
    let world = World::start(NO_MODEL);
    let (status, _, body) = world.request("GET /admin");
    assert_eq!(status, 404);
    let expected = "{\"error\":\"there is nothing at this path\",\
                    \"paths\":[\"/healthz\",\"/readyz\",\"/metrics\",\"/stats\",\"/inspect\",\
                    \"/applications/{application}/arms/{model}\",\
                    \"/models/{model}/batch\"]}\n";
    assert_eq!(body, expected);
    let (status, head, body) = world.request("DELETE /readyz");
    assert_eq!(status, 405);
    assert!(head.contains("allow: GET,HEAD"), "{head}");
    assert!(body.contains("only GET and HEAD are possible here"), "{body}");
}

#[test]
fn stats_name_every_application_and_model_of_the_configuration() {
    let world = World::start(&format!("{DIGITS}\n[[model]]\nname = \"m\"\n"));
    world.stats.applications[0].queries.add(3);
    let stats = json_of(world.admin, "/stats");
    assert_eq!(
        (&stats["schema"], &stats["applications"][0]["queries"]),
        (&json!("cutter-stats/1"), &json!(3))
    );
    assert_eq!(stats["models"][0]["replicas"][0]["state"], "not_connected");
}

/// The engine thread of this world never answers.
#[test]
fn an_engine_thread_that_is_stuck_is_called_so_with_all_that_is_known_without_it() {
    let world = World::start(&format!("{DIGITS}\n[[model]]\nname = \"m\"\n"));
    let inspected = json_of(world.admin, "/inspect");
    assert_eq!(inspected["engine"], "no answer within 1 s: the engine thread is stuck");
    let slot = &inspected["readiness"]["models"][0]["replicas"][0];
    assert_eq!(slot["state"], "not_connected");
    assert_eq!(inspected["stats"]["applications"][0]["name"], "digits");
}

#[test]
fn an_engine_thread_that_answers_is_quoted() {
    let world = World::start(&format!("{DIGITS}\n[[model]]\nname = \"m\"\n"));
    let inspected = std::thread::scope(|scope| {
        let admin = world.admin;
        let asked = scope.spawn(move || json_of(admin, "/inspect"));
        world.answer_inspection();
        asked.join().unwrap()
    });
    let engine = &inspected["engine"];
    assert_eq!((&engine["last_turn_ago_ns"], &engine["wait"]), (&json!(25), &json!("adaptive")));
    assert_eq!(engine["models"][0]["model"], "m");
    assert_eq!(engine["replicas"][0]["life"], json!(null));
}

#[test]
fn a_request_without_end_is_cut_off() {
    let world = World::start(NO_MODEL);
    let mut stream = TcpStream::connect(world.admin).unwrap();
    let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nx: ");
    let _ = stream.write_all(&vec![b'a'; 2 * crate::limits::ADMIN_REQUEST_BYTES_MAX]);
    let mut answer = Vec::new();
    // Closed, perhaps with a reset, and without an answer.
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(answer, b"");
    assert_eq!(world.request("GET /healthz").0, 200);
}
