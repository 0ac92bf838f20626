//! What the admin HTTP answers.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::world::{DIGITS, World, container};

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
    assert!(head.contains("content-type: application/openmetrics-text"), "{head}");
    assert!(body.contains("cutter_connections"), "{body}");
    assert!(body.ends_with("# EOF\n"), "{body}");
}

#[test]
fn other_paths_and_methods_are_told_what_there_is() {
    let world = World::start(NO_MODEL);
    let (status, _, body) = world.request("GET /admin");
    assert_eq!(status, 404);
    let expected = "{\"error\":\"there is nothing at this path\",\
                    \"paths\":[\"/healthz\",\"/readyz\",\"/metrics\"]}\n";
    assert_eq!(body, expected);
    let (status, head, body) = world.request("DELETE /readyz");
    assert_eq!(status, 405);
    assert!(head.contains("allow: GET,HEAD"), "{head}");
    assert!(body.contains("only GET and HEAD are possible here"), "{body}");
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
