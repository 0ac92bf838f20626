//! The bytes of one client, from a file, and what must come: each file under `cases` is sent as it
//! is to a real server with real containers.

use cutter_tests::{Client, Response, Server, application, model};
use serde_json::json;

/// Every file, so that none lies there unsent.
const CASES: [&str; 8] = [
    "empty-list-element.http",
    "encoded-path.http",
    "error-then-five.http",
    "gzip.http",
    "not-http.http",
    "number-like-string.http",
    "options-star.http",
    "twenty-then-half-close.http",
];

fn folder() -> String {
    format!("{}/cases", env!("CARGO_MANIFEST_DIR"))
}

fn case(name: &str) -> Vec<u8> {
    assert!(CASES.contains(&name), "{name} is not in the list");
    std::fs::read(format!("{}/{name}", folder())).unwrap()
}

/// `f4`: four floats to their sum; `st`: a string to itself; `by`: bytes to themselves.
fn served() -> Server {
    let echo = |name: &str, element: &str, bytes: &str| {
        let input = format!("type = \"{element}\", max_bytes = {bytes}");
        application(name, &input, 10_000, name, "rows = 16")
            + &model(name, &["echo", element, "max", bytes], "")
    };
    let sum = application("f4", "type = \"floats\", shape = [4]", 10_000, "sum", "");
    let models = model("sum", &["sum"], "") + &echo("st", "strings", "4096");
    Server::start(&(sum + &models + &echo("by", "bytes", "1048576")))
}

/// A client that has sent a file.
fn sent(server: &Server, name: &str) -> Client {
    let mut client = server.client();
    client.send(case(name));
    client
}

fn assert_is_ten(response: &Response) {
    assert_eq!((response.status, response.closes()), (200, false), "{}", response.text());
    assert_eq!(response.json()["output"], 10.0);
}

/// Whether the connection is still good for a query.
fn assert_open(mut client: Client) {
    assert_eq!(client.predict("f4", json!([1, 2, 3, 4.5]))["output"], 10.5);
    assert!(client.is_silent(), "there is more than was asked for");
}

#[test]
fn every_file_is_one_of_the_cases() {
    let names = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, CASES);
}

#[test]
fn an_empty_list_element_is_ignored() {
    let server = served();
    let mut client = sent(&server, "empty-list-element.http");
    assert_is_ten(&client.response());
    assert_open(client);
}

#[test]
fn an_encoded_path_finds_its_application() {
    let server = served();
    let mut client = sent(&server, "encoded-path.http");
    assert_is_ten(&client.response());
    assert_open(client);
}

#[test]
fn requests_behind_a_refused_body_are_answered_in_order() {
    let server = served();
    let mut client = sent(&server, "error-then-five.http");
    let refused = client.response();
    assert_eq!((refused.status, refused.closes()), (400, false), "{}", refused.text());
    (0..5).for_each(|_| assert_is_ten(&client.response()));
    assert_open(client);
}

#[test]
fn a_compressed_body_is_refused_and_its_connection_goes_on() {
    let server = served();
    let mut client = sent(&server, "gzip.http");
    let refused = client.response();
    assert_eq!((refused.status, refused.closes()), (415, false), "{}", refused.text());
    assert_eq!(refused.field("accept-encoding"), Some("identity"));
    assert_eq!(refused.json()["error"], "Unsupported content coding");
    assert_open(client);
}

/// Had it been waited for, it would have come to a 408.
#[test]
fn a_line_that_is_not_http_is_refused_when_it_is_there() {
    let server = served();
    let mut client = sent(&server, "not-http.http");
    let refused = client.response();
    assert_eq!((refused.status, refused.closes()), (400, true), "{}", refused.text());
    client.expect_end();
}

#[test]
fn a_string_that_looks_like_a_number_stays_a_string() {
    let server = served();
    let mut client = sent(&server, "number-like-string.http");
    let response = client.response();
    let text = response.text();
    assert!(text.contains("\"output\":\"1e400\",\"default\":false"), "{text}");
    assert_open(client);
}

#[test]
fn the_methods_of_the_server_are_told_without_a_body() {
    let server = served();
    let mut client = sent(&server, "options-star.http");
    let told = client.response();
    assert_eq!((told.status, told.field("allow"), told.closes()), (204, Some("POST"), false));
    assert_eq!((told.field("content-length"), told.field("content-type")), (None, None));
    assert_open(client);
}

#[test]
fn a_client_that_stops_sending_gets_all_that_it_is_owed() {
    let server = served();
    let mut client = sent(&server, "twenty-then-half-close.http");
    client.end_sending();
    (0..20).for_each(|_| assert_is_ten(&client.response()));
    client.expect_end();
}

/// None of the files is for this application, which is here for who adds one.
#[test]
fn bytes_come_back_as_they_were_sent() {
    let server = served();
    let mut client = server.client();
    assert_eq!(client.predict("by", "AAEC/f8=")["output"], "AAEC/f8=");
    assert_open(client);
}
