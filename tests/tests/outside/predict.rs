//! Predictions over real sockets: every type in and out, batches, and how requests are framed.

use cutter_tests::http::post;
use cutter_tests::{Client, Server, application, model};
use serde_json::{Value, json};

/// One application and one model of the same name, which gives back what it gets.
fn echo(name: &str, input: &str, words: &[&str]) -> String {
    let words: Vec<&str> = std::iter::once("echo").chain(words.iter().copied()).collect();
    application(name, input, 10_000, name, "rows = 16") + &model(name, &words, "")
}

fn sums() -> String {
    application("sums", "type = \"floats\", shape = [4]", 10_000, "sum", "")
        + &model("sum", &["sum"], "")
}

const SUM: &str = "{\"input\": [1, 2, 3, 4.5]}";

/// The outputs of a batch.
fn outputs(client: &mut Client, application: &str, inputs: &Value) -> Value {
    let body = json!({ "input_batch": inputs }).to_string();
    let answer = client.post(&format!("/{application}/predict"), body).json();
    let items = answer["batch_predictions"].as_array().unwrap();
    items.iter().map(|item| item["output"].clone()).collect()
}

#[test]
fn every_type_goes_in_and_comes_out_unchanged() {
    let server = Server::start(
        &[
            echo("bytes", "type = \"bytes\", shape = [5]", &["bytes", "5"]),
            echo("integers", "type = \"integers\", shape = [3]", &["integers", "3"]),
            echo("floats", "type = \"floats\", shape = [3]", &["floats", "3"]),
            echo("doubles", "type = \"doubles\", shape = [3]", &["doubles", "3"]),
            echo("strings", "type = \"strings\"", &["strings", "max", "65536"]),
        ]
        .concat(),
    );
    let mut client = server.client();
    for (application, input) in [
        ("bytes", json!("AAEC/f8=")),
        ("integers", json!([i32::MIN, 0, i32::MAX])),
        ("floats", json!([0.1, -1.5e-40, 3.4e38])),
        ("doubles", json!([0.1, 5e-324, 1.7976931348623157e308])),
        ("strings", json!("grüße, \"world\"\n\u{1F600}\u{0}")),
    ] {
        let body = json!({ "input": input }).to_string();
        let answer = client.post(&format!("/{application}/predict"), body).text();
        // As text: not every reader of JSON gives the nearest float.
        assert!(answer.contains(&format!("\"output\":{input},\"default\":false")), "{answer}");
        let body = json!({ "input_batch": [input, input, input] }).to_string();
        let answer = client.post(&format!("/{application}/predict"), body).text();
        assert_eq!(answer.matches(&format!("\"output\":{input},")).count(), 3, "{answer}");
    }
}

#[test]
fn shapes_go_in_nested_or_flat_and_come_out_nested() {
    let cube = json!([[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 10], [11, 12]]]);
    let server = Server::start(&echo(
        "cubes",
        "type = \"integers\", shape = [2, 3, 2]",
        &["integers", "2", "3", "2"],
    ));
    let mut client = server.client();
    assert_eq!(client.predict("cubes", cube.clone())["output"], cube);
    let flat: Vec<u32> = (1..=12).collect();
    assert_eq!(client.predict("cubes", flat)["output"], cube);
    let ragged = client.post("/cubes/predict", "{\"input\": [[[1, 2], [3, 4]], [[5, 6]]]}");
    assert_eq!(ragged.status, 400);
    assert!(ragged.text().contains("has 2 entries instead of 3"), "{}", ragged.text());
}

#[test]
fn inputs_of_no_length_are_inputs() {
    let server = Server::start(
        &[
            echo("bytes", "type = \"bytes\", max_bytes = 64", &["bytes", "max", "64"]),
            echo("floats", "type = \"floats\", max_bytes = 64", &["floats", "max", "64"]),
            echo("strings", "type = \"strings\", max_bytes = 64", &["strings", "max", "64"]),
        ]
        .concat(),
    );
    let mut client = server.client();
    assert_eq!(client.predict("bytes", "")["output"], "");
    assert_eq!(client.predict("floats", json!([]))["output"], json!([]));
    assert_eq!(client.predict("strings", "")["output"], "");
    let mixed = json!([[1.5], [], [2.5, 3.5], [], []]);
    assert_eq!(outputs(&mut client, "floats", &mixed), mixed);
}

#[test]
fn an_input_of_four_mebibytes_is_read_and_answered() {
    let bytes = format!("type = \"bytes\", max_bytes = {}", 4 << 20);
    let server = Server::start(&echo("large", &bytes, &["bytes", "max", "4194304"]));
    // 4 MiB in base64, told apart by position.
    let letters = ('A'..='Z').cycle().take((4 << 20) / 3 * 4);
    let input = letters.collect::<String>() + "AA==";
    for mut client in [server.client(), server.unix_client()] {
        let answer = client.predict("large", input.as_str());
        assert_eq!(answer["default"], false);
        assert!(answer["output"] == input.as_str(), "the output is another");
    }
    let mut client = server.client();
    let longer = client.post("/large/predict", format!("{{\"input\": \"AAAA{input}\"}}"));
    assert_eq!(longer.status, 400);
    assert!(longer.text().contains("input has 4194307 bytes"), "{}", longer.text());
}

#[test]
fn a_batch_is_answered_in_the_order_of_its_inputs() {
    let server = Server::start(&sums());
    let mut client = server.client();
    let inputs: Vec<[u32; 4]> = (0..1000).map(|n| [n, 1, 0, 0]).collect();
    let due: Vec<f64> = (0..1000).map(|n| f64::from(n + 1)).collect();
    assert_eq!(outputs(&mut client, "sums", &json!(inputs)), json!(due));
}

#[test]
fn a_batch_of_one_is_answered_as_a_batch_and_unwrapped() {
    let server = Server::start(&sums());
    let mut client = server.client();
    let answer = client.post("/sums/predict", "{\"input_batch\": [[1, 2, 3, 4.5]]}").json();
    assert_eq!(answer["output"], 10.5);
    assert_eq!(answer["batch_predictions"][0]["output"], 10.5);
    assert_eq!(answer["batch_predictions"][0]["query_id"], answer["query_id"]);
}

#[test]
fn a_bad_input_is_refused_with_its_place_and_what_was_expected() {
    let server = Server::start(&sums());
    for (body, cause) in [
        ("{\"input\": [1, 2, 3]}", "input has 3 numbers; this application takes float32[4]"),
        ("{\"input\": \"text\"}", "line 1, column 11: found '\"', expected an array of numbers"),
        (
            "{\"input_batch\": [[1, 2, 3, 4], [1]]}",
            "input_batch[1] has 1 numbers; this application takes float32[4]",
        ),
        ("{\"input\": [1, 2,\n 3 4]}", "line 2, column 4: found '4', expected ',' or ']'"),
        ("{}", "the body has neither \"input\" nor \"input_batch\"; it needs one of them"),
        ("", "line 1, column 1: found the end of the body, expected an object"),
    ] {
        let mut client = server.client();
        let response = client.post("/sums/predict", body);
        assert_eq!((response.status, response.closes()), (400, false), "{body}");
        assert_eq!(response.json()["error"], "Json error");
        let found = response.json()["cause"].as_str().unwrap().to_owned();
        assert!(found.starts_with(cause), "{found}");
    }
    assert_eq!(server.metrics().sum("cutter_queries_total", &[]), 0.0);
}

#[test]
fn the_same_is_answered_over_tcp_and_over_a_unix_socket() {
    let server = Server::start(&sums());
    for mut client in [server.client(), server.unix_client()] {
        for _ in 0..100 {
            assert_eq!(client.predict("sums", json!([1, 2, 3, 4.5]))["output"], 10.5);
        }
    }
    let metrics = server.metrics();
    assert_eq!(metrics.sum("cutter_predictions_total", &[("application", "sums")]), 200.0);
    assert_eq!(metrics.sum("cutter_connections_accepted_total", &[]), 2.0);
}

/// Head and body leave in one send. In two, the second would wait for the client's acknowledgement
/// of the first, which takes 40 ms.
#[test]
fn each_of_a_thousand_answers_comes_whole_in_one_receive() {
    let server = Server::start(&sums());
    let mut client = server.client();
    let reads = (0..1000).map(|_| client.post("/sums/predict", SUM).reads);
    assert_eq!(reads.collect::<Vec<_>>(), [1; 1000]);
}

#[test]
fn pipelined_requests_are_answered_in_order_however_many_they_are() {
    let server = Server::start(&sums());
    let mut client = server.client();
    let requests = (0..500).map(|n| post("/sums/predict", &format!("{{\"input\":[{n},0,0,0]}}")));
    client.send(requests.collect::<String>());
    let answers = (0..500).map(|_| client.response().json()["output"].clone());
    let due: Vec<Value> = (0..500).map(|n| json!(f64::from(n))).collect();
    assert_eq!(answers.collect::<Vec<_>>(), due);
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let server = Server::start(&sums());
    let mut client = server.client();
    for byte in post("/sums/predict", SUM).as_bytes() {
        client.send([*byte]);
    }
    assert_eq!(client.response().json()["output"], 10.5);
}

#[test]
fn a_chunked_body_is_read_with_extensions_and_trailers() {
    let server = Server::start(&sums());
    let mut client = server.client();
    let head = "POST /sums/predict HTTP/1.1\r\nHost: cutter\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (first, second) = SUM.split_at(9);
    let body = format!(
        "{:x};name=value\r\n{first}\r\n{:X}\r\n{second}\r\n0\r\nChecksum: none\r\n\r\n",
        first.len(),
        second.len()
    );
    client.send(format!("{head}{body}{head}{body}"));
    let answers = [client.response(), client.response()];
    assert_eq!(answers.map(|answer| answer.json()["output"].clone()), [10.5, 10.5]);
}

#[test]
fn a_client_that_expects_a_100_gets_it_before_its_body_is_sent() {
    let server = Server::start(&sums());
    let mut client = server.client();
    let bytes = SUM.len();
    let interim = client.request(format!(
        "POST /sums/predict HTTP/1.1\r\nHost: cutter\r\nExpect: 100-continue\r\n\
         Content-Length: {bytes}\r\n\r\n"
    ));
    assert_eq!(interim.status, 100);
    assert_eq!(client.request(SUM).json()["output"], 10.5);
}

#[test]
fn http_1_0_closes_unless_the_client_asks_to_keep() {
    let server = Server::start(&sums());
    let request = |field: &str| {
        format!("POST /sums/predict HTTP/1.0\r\n{field}Content-Length: {}\r\n\r\n{SUM}", SUM.len())
    };
    let mut client = server.client();
    let kept = client.request(request("Connection: keep-alive\r\n"));
    assert_eq!((kept.status, kept.field("connection")), (200, Some("keep-alive")));
    let closed = client.request(request(""));
    assert_eq!((closed.status, closed.closes()), (200, true));
    client.expect_end();
}

#[test]
fn a_client_that_stops_sending_gets_what_it_is_owed() {
    let server = Server::start(&sums());
    let mut client = server.client();
    client.send(post("/sums/predict", SUM).repeat(3));
    client.end_sending();
    let answers = [client.response(), client.response(), client.response()];
    assert_eq!(answers.map(|answer| answer.json()["output"].clone()), [10.5, 10.5, 10.5]);
    client.expect_end();
}

#[test]
fn each_broken_limit_and_framing_attack_has_its_status_and_ends_the_connection() {
    let server = Server::start(&sums());
    let good = "POST /sums/predict HTTP/1.1\r\nHost: cutter\r\n";
    let fields = "X: y\r\n".repeat(70);
    let target = "x".repeat(5000);
    let long = "z".repeat(20_000);
    for (request, status) in [
        (format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        (format!("{good}X: {long}\r\n\r\n"), 431),
        (format!("{good}{fields}\r\n"), 431),
        (format!("{good}Content-Length: 99999999999\r\n\r\n"), 413),
        (format!("{good}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), 400),
        (format!("{good}Content-Length: 2\r\nContent-Length: 3\r\n\r\n"), 400),
        (format!("{good}Content-Length: +2\r\n\r\n{{}}"), 400),
        (format!("{good}Transfer-Encoding: gzip, chunked\r\n\r\n"), 501),
        (format!("{good}Transfer-Encoding: chunked\r\n\r\n0x2\r\n"), 400),
        (format!("{good}Content-Length : 2\r\n\r\n"), 400),
        (format!("{good} folded\r\n\r\n"), 400),
        (format!("{good}Expect: a miracle\r\n\r\n"), 417),
        ("POST /sums/predict HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("POST /sums/predict HTTP/2.0\r\nHost: a\r\n\r\n".to_owned(), 505),
        ("POST /sums/predict HTTP/1.1\nHost: a\n\n".to_owned(), 400),
        ("\u{16}\u{3}\u{1}\u{2}".to_owned(), 400),
    ] {
        let mut client = server.client();
        let response = client.request(&request);
        let start: String = request.chars().take(80).collect();
        assert_eq!((response.status, response.closes()), (status, true), "{start:?}");
        assert!(!response.json()["cause"].as_str().unwrap().is_empty(), "{start:?}");
        client.expect_end();
    }
}

#[test]
fn a_path_or_method_that_is_not_there_says_what_is() {
    let server = Server::start(&sums());
    let mut client = server.client();
    let unknown = client.post("/sum/predict", SUM);
    assert_eq!(unknown.status, 404);
    assert!(unknown.text().contains("there are: sums"), "{}", unknown.text());
    assert_eq!(client.get("/").status, 404);
    let method = client.get("/sums/predict");
    assert_eq!((method.status, method.field("allow")), (405, Some("POST")));
    // None of these ends the connection, and a final slash is as good as none.
    assert_eq!(client.post("/sums/predict/", SUM).json()["output"], 10.5);
}

#[test]
fn a_head_that_does_not_come_is_given_up() {
    let server = Server::start(&sums());
    let mut client = server.client();
    let response = client.request("POST /sums/predict HTTP/1.1\r\nHo");
    assert_eq!((response.status, response.closes()), (408, true));
    client.expect_end();
}

#[test]
fn a_version_is_served_only_when_it_is_the_models() {
    let server = Server::start(&sums());
    let mut client = server.client();
    let body = |version| format!("{{\"input\": [1, 2, 3, 4.5], \"version\": \"{version}\"}}");
    assert_eq!(client.post("/sums/predict", body("1")).json()["output"], 10.5);
    let other = client.post("/sums/predict", body("2"));
    assert_eq!(other.status, 400);
    assert!(other.text().contains("has version \\\"1\\\""), "{}", other.text());
}

/// An application of two versions of a model, of which one adds and the other gives back.
fn two_versions(models: &str) -> Server {
    Server::start(
        &[
            application("sums", "type = \"floats\", shape = [4]", 10_000, models, ""),
            model("m", &["echo", "floats", "4"], "version = \"1\""),
            model("m", &["sum"], "version = \"2\""),
        ]
        .concat(),
    )
}

#[test]
fn of_several_versions_the_first_that_is_listed_answers_and_the_others_stand_ready() {
    let sum = json!(10.5);
    let echo = json!([1.0, 2.0, 3.0, 4.5]);
    for (models, asked, other, output) in
        [("m:2\", \"m:1", "2", "1", &sum), ("m:1\", \"m:2", "1", "2", &echo)]
    {
        let server = two_versions(models);
        let mut client = server.client();
        let body = |version| format!("{{\"input\": [1, 2, 3, 4.5], \"version\": \"{version}\"}}");
        assert_eq!(client.post("/sums/predict", SUM).json()["output"], *output);
        assert_eq!(client.post("/sums/predict", body(asked)).json()["output"], *output);
        let refused = client.post("/sums/predict", body(other));
        assert_eq!(refused.status, 400);
        let due = format!(
            "version \"{other}\" was asked for; the application's model \"m\" has version \
             \"{asked}\""
        );
        assert_eq!(refused.json()["cause"], due);
        let metrics = server.metrics();
        for (version, rows) in [(asked, 2.0), (other, 0.0)] {
            let labels = [("model", "m"), ("version", version)];
            assert_eq!(metrics.sum("cutter_replica_up", &labels), 1.0, "{version}");
            assert_eq!(metrics.sum("cutter_batch_rows_sum", &labels), rows, "{version}");
        }
    }
}
