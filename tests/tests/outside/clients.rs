//! Real clients, as people use them: curl, and the HTTP libraries of Python; and a client that was
//! written for Clipper.

use std::process::Command;

use cutter_tests::command::succeed;
use cutter_tests::{Server, application, model, tools};
use serde_json::{Value, json};

const SUM: &str = "{\"input\": [1, 2, 3, 4.5]}";

/// A sum of four floats, an echo of bytes up to 4 MiB, and an echo of strings.
fn served() -> Server {
    let bytes = format!("type = \"bytes\", max_bytes = {}", 4 << 20);
    let texts = "rows = 16\njson_output = true";
    Server::start(
        &(application("sums", "type = \"floats\", shape = [4]", 10_000, "sum", "")
            + &model("sum", &["sum"], "")
            + &application("bytes", &bytes, 10_000, "bytes", "rows = 16")
            + &model("bytes", &["echo", "bytes", "max", "4194304"], "")
            + &application("texts", "type = \"strings\"", 10_000, "texts", texts)
            + &model("texts", &["echo", "strings", "max", "65536"], "")),
    )
}

fn url(server: &Server, application: &str) -> String {
    format!("http://{}/{application}/predict", server.query)
}

/// curl, told to fail rather than to wait, and to say what it got.
fn curl(words: &[&str]) -> String {
    let mut curl = tools::tool("curl");
    succeed(
        curl.args(["--silent", "--show-error", "--fail-with-body", "--max-time", "20"]).args(words),
    )
}

fn output(answer: &str) -> Value {
    serde_json::from_str::<Value>(answer).unwrap()["output"].clone()
}

#[test]
fn curl_predicts_over_tcp_and_over_a_unix_socket() {
    let server = served();
    let url = url(&server, "sums");
    assert_eq!(output(&curl(&["--data", SUM, &url])), 10.5);
    let socket = server.query_socket();
    let over_unix = ["--unix-socket", socket.to_str().unwrap(), "--data", SUM];
    assert_eq!(output(&curl(&[&over_unix[..], &["http://cutter/sums/predict"]].concat())), 10.5);
    assert_eq!(output(&curl(&["--http1.0", "--data", SUM, &url])), 10.5);
}

#[test]
fn curl_uses_one_connection_for_many_queries() {
    let server = served();
    let url = url(&server, "sums");
    let words = ["--data", SUM, "--write-out", "\n%{num_connects}\n"];
    let said = curl(&[&words[..], &[&url, &url, &url, &url]].concat());
    let connects: Vec<&str> = said.lines().skip(1).step_by(2).collect();
    assert_eq!(connects, ["1", "0", "0", "0"], "{said}");
}

#[test]
fn curl_sends_a_large_body_after_a_100_and_in_chunks() {
    let server = served();
    let url = url(&server, "bytes");
    let folder = tempfile::tempdir().unwrap();
    let input = "QUJD".repeat(1 << 20);
    std::fs::write(folder.path().join("body"), json!({ "input": input }).to_string()).unwrap();
    let body = format!("@{}", folder.path().join("body").display());
    let fields: [&[&str]; 3] = [
        &["--header", "Expect: 100-continue"],
        &["--header", "Transfer-Encoding: chunked"],
        &["--header", "Expect:"],
    ];
    for fields in fields {
        let words = [fields, &["--data-binary", &body, &url]].concat();
        assert!(output(&curl(&words)) == input.as_str(), "{fields:?}");
    }
    let verbose = [fields[0], &["--verbose", "--data-binary", &body, &url]].concat();
    let said = tools::tool("curl").args(verbose).output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("< HTTP/1.1 100 Continue"), "{said}");
}

#[test]
fn curl_is_told_what_is_wrong() {
    let server = served();
    let mut command = tools::tool("curl");
    let words = ["--silent", "--write-out", "\n%{http_code}", "--data", "{\"input\": [1]}"];
    let said = succeed(command.args(words).arg(url(&server, "sums")));
    let (body, code) = said.rsplit_once('\n').unwrap();
    let cause = serde_json::from_str::<Value>(body).unwrap()["cause"].clone();
    assert_eq!(
        (cause.as_str(), code),
        (Some("input has 1 numbers; this application takes float32[4]"), "400")
    );
}

/// Runs one of the scripts in `clients` against a server.
fn python(script: &str, server: &Server) {
    let script = format!("{}/clients/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(tools::python());
    command.arg(script).arg(server.query.to_string()).arg(server.query_socket());
    assert_eq!(succeed(&mut command).trim(), "all answers are as they should be");
}

#[test]
fn the_python_library_requests_predicts() {
    python("with_requests.py", &served());
}

#[test]
fn the_python_library_httpx_predicts() {
    python("with_httpx.py", &served());
}

#[test]
fn the_python_library_aiohttp_predicts_from_many_tasks() {
    python("with_aiohttp.py", &served());
}

#[test]
fn a_client_written_for_clipper_predicts_unchanged() {
    python("for_clipper.py", &served());
}
