//! The control plane as those see it who scrape it and who ask whether it is well.

use std::process::Command;

use cutter_tests::{Client, Server, application, command, model, tools};

const FLOATS: &str = "type = \"floats\", shape = [4]";

fn served() -> Server {
    Server::start(
        &(application("sums", FLOATS, 10_000, "sum", "")
            + &model("sum", &["sum"], "version = \"7.1\"\nreplicas = 2")
            + "[[application]]\nname = \"alone\"\ninput = { type = \"strings\" }\nrows = 16\n"),
    )
}

#[test]
fn a_real_prometheus_client_reads_every_sample() {
    let server = served();
    let mut client = server.client();
    for _ in 0..10 {
        client.predict("sums", vec![1, 2, 3, 4]);
    }
    client.predict("alone", "nobody there");
    client.post("/sums/predict", "{\"input\": [1]}");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/scrape.py");
    let url = format!("http://{}/metrics", server.admin);
    let said = command::succeed(Command::new(tools::python()).arg(script).arg(url));
    assert_eq!(said.trim(), "all samples are as they should be");
}

#[test]
fn what_is_counted_is_what_happened() {
    let server = served();
    let mut client = server.client();
    let batch = "{\"input_batch\": [[1,2,3,4], [1,2,3,4], [1,2,3,4]]}";
    assert_eq!(client.post("/sums/predict", batch).status, 200);
    client.predict("sums", vec![1, 2, 3, 4]);
    client.predict("alone", "nobody there");
    assert_eq!(client.get("/nowhere").status, 404);
    let sums = [("application", "sums")];
    let sum = [("model", "sum"), ("version", "7.1")];
    server.wait_metric("cutter_replica_up", &sum, 2.0);
    let metrics = server.metrics();
    for (name, labels, due) in [
        ("cutter_queries_total", &sums[..], 4.0),
        ("cutter_predictions_total", &sums, 4.0),
        ("cutter_defaults_total", &sums, 0.0),
        ("cutter_defaults_total", &[("application", "alone"), ("reason", "no_model")], 1.0),
        ("cutter_http_errors_total", &[("status", "404")], 1.0),
        ("cutter_connections_accepted_total", &[], 1.0),
        ("cutter_end_to_end_seconds_count", &sums, 4.0),
        ("cutter_end_to_end_seconds_bucket", &[("application", "sums"), ("le", "+Inf")], 4.0),
        ("cutter_batch_rows_sum", &sum, 4.0),
        ("cutter_replica_up", &sum, 2.0),
        ("cutter_replica_restarts_total", &sum, 0.0),
        ("cutter_protocol_violations_total", &sum, 0.0),
        ("cutter_input_pool_rows", &sums, 4096.0),
    ] {
        assert_eq!(metrics.sum(name, labels), due, "{name} {labels:?}");
    }
    // Every stage counts queries.
    let stages = ["parse", "reply"].map(|stage| {
        metrics.sum("cutter_application_stage_seconds_count", &[sums[0], ("stage", stage)])
    });
    assert_eq!(stages, [4.0; 2]);
    let stages = ["queue", "batch_wait", "service"]
        .map(|stage| metrics.sum("cutter_model_stage_seconds_count", &[sum[0], ("stage", stage)]));
    assert_eq!(stages, [4.0; 3]);
}

#[test]
fn a_server_says_that_it_is_well_and_which_replicas_are_ready() {
    let server = served();
    assert_eq!(server.admin("/healthz").json()["status"], "ok");
    let ready = server.admin("/readyz").json();
    assert_eq!((&ready["status"], &ready["models"][0]["name"]), (&"ready".into(), &"sum".into()));
    assert_eq!(ready["applications_without_model"][0], "alone");
    let missing = server.admin("/nothing");
    assert_eq!(missing.status, 404);
    assert!(missing.text().contains("/readyz"), "{}", missing.text());
    let post = Client::tcp(server.admin).post("/metrics", "{}");
    assert_eq!(post.status, 405);
}

#[test]
fn the_query_port_has_no_control_plane_and_the_admin_port_no_queries() {
    let server = served();
    assert_eq!(server.client().get("/metrics").status, 404);
    let query = Client::tcp(server.admin).post("/sums/predict", "{\"input\": [1,2,3,4]}");
    assert_eq!(query.status, 404);
}

#[test]
fn connections_that_say_nothing_keep_nobody_out() {
    let server = served();
    let mut silent: Vec<Client> = (0..100).map(|_| Client::tcp(server.admin)).collect();
    // There is room for fewer than these. Nobody waits until the time of one is over.
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(server.admin(path).status, 200);
    }
    let newest = silent.last_mut().unwrap();
    assert_eq!(newest.get("/healthz").status, 200);
}

#[test]
fn a_request_without_end_at_the_admin_port_is_cut_off() {
    let server = served();
    let mut client = Client::tcp(server.admin);
    client.send("GET /healthz HTTP/1.1\r\n");
    let endless = "X-Padding: yes\r\n".repeat(100_000);
    // The server closes while this is on its way, or has answered that it is too much.
    let sent = client.try_send(endless.as_bytes());
    let answered = client.try_response().map(|answer| answer.status);
    assert!(sent.is_err() || answered.is_err() || answered.is_ok_and(|status| status >= 400));
    assert_eq!(server.admin("/healthz").status, 200);
}
