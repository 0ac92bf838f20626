//! The end of a server: what was accepted is answered, and nothing is left behind.

use cutter_tests::http::post;
use cutter_tests::server::Plan;
use cutter_tests::{Client, Load, Process, Server, application, eventually, model};
use rustix::process::Signal;

const FLOATS: &str = "type = \"floats\", shape = [4]";
const INPUT: &str = "{\"input\": [1, 2, 3, 4.5]}";

fn sums() -> String {
    application("sums", FLOATS, 10_000, "sum", "") + &model("sum", &["sum"], "replicas = 2")
}

/// A server whose model takes so long for a batch that its clients can be watched waiting.
fn slow(ms: &str, slo_ms: u32) -> Server {
    Server::start(
        &(application("slow", FLOATS, slo_ms, "slow", "") + &model("slow", &["slow", ms], "")),
    )
}

/// Nothing of an ended server is left: no process, no socket; of its folder only the configuration.
fn assert_gone(server: &Server, children: &[Process]) {
    assert!(!server.process.is_alive());
    assert!(children.iter().all(|child| !child.is_alive()));
    let left: Vec<_> = std::fs::read_dir(server.folder()).unwrap().flatten().collect();
    let left: Vec<_> = left.iter().map(std::fs::DirEntry::file_name).collect();
    assert_eq!(left, ["cutter.toml"]);
    assert!(Client::try_tcp(server.query).is_err());
}

/// An end in good order is no error, and starts nothing.
fn assert_quiet(server: &Server) {
    assert_eq!(server.log.find("ERROR"), None);
    assert_eq!(server.log.find("incarnation=2"), None);
}

#[test]
fn a_sigterm_under_load_loses_no_accepted_query() {
    let mut server = Plan::new(&sums()).with_container_socket().start_ready();
    let children = server.process.children();
    assert_eq!(children.len(), 2);
    let load = Load::start(server.query, "sums", 16);
    load.wait_answered(500);
    let status = server.stop();
    let tally = load.stop();
    tally.assert_all_answered();
    assert_eq!(tally.told_to_close, 16);
    assert_eq!(tally.defaulted(), 0);
    assert_eq!(status.code(), Some(0));
    assert_gone(&server, &children);
    assert_quiet(&server);
}

#[test]
fn queries_in_flight_and_in_the_queue_are_answered_before_the_end() {
    let mut server = slow("300", 20_000);
    let mut clients: Vec<Client> = (0..6).map(|_| server.client()).collect();
    clients.iter_mut().for_each(|client| client.send(post("/slow/predict", INPUT).repeat(2)));
    server.wait_metric("cutter_queries_total", &[], 12.0);
    server.process.signal(Signal::TERM);
    for client in &mut clients {
        assert_eq!(client.response().json()["output"], 1.0);
        let last = client.response();
        assert_eq!((last.json()["output"].as_f64(), last.closes()), (Some(1.0), true));
        client.expect_end();
    }
    assert_eq!(server.wait_end().code(), Some(0));
}

#[test]
fn a_request_that_does_not_become_whole_is_refused_when_the_server_ends() {
    let mut server = Server::start(&sums());
    let request = post("/sums/predict", INPUT);
    let mut client = server.client();
    client.send(&request[..request.len() - 5]);
    server.wait_metric("cutter_received_bytes_total", &[], 1.0);
    server.process.signal(Signal::TERM);
    let answer = client.response();
    assert_eq!((answer.status, answer.closes()), (503, true));
    client.expect_end();
    assert_eq!(server.wait_end().code(), Some(0));
}

#[test]
fn a_draining_server_takes_no_new_connections_and_says_that_it_is_not_ready() {
    let mut server = slow("4000", 20_000);
    let mut client = server.client();
    client.send(post("/slow/predict", INPUT));
    server.wait_metric("cutter_queries_total", &[], 1.0);
    server.process.signal(Signal::TERM);
    eventually("it is draining", || {
        let ready = server.admin("/readyz");
        assert_eq!(server.admin("/healthz").status, 200);
        (ready.status == 503 && ready.json()["status"] == "draining").then_some(())
    });
    eventually("new connections are refused", || {
        let refused = Client::try_tcp(server.query).err();
        refused.map(|error| assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused))
    });
    assert!(!server.query_socket().exists());
    assert!(client.is_silent());
    assert_eq!(client.response().json()["output"], 1.0);
    assert_eq!(server.wait_end().code(), Some(0));
}

#[test]
fn an_idle_server_ends_and_closes_its_idle_connections() {
    let mut server = Server::start(&sums());
    let children = server.process.children();
    let mut idle = [server.client(), server.unix_client(), server.client()];
    assert_eq!(idle[0].predict("sums", vec![1, 2, 3, 4])["output"], 10.0);
    assert_eq!(server.stop().code(), Some(0));
    idle.iter_mut().for_each(Client::expect_end);
    assert_gone(&server, &children);
    assert_quiet(&server);
}

#[test]
fn a_sigint_ends_a_server_as_a_sigterm_does() {
    let mut server = Server::start(&sums());
    server.process.signal(Signal::INT);
    assert_eq!(server.wait_end().code(), Some(0));
}

#[test]
fn a_second_sigterm_does_not_wait_for_the_models() {
    let mut server = slow("60000", 3_000);
    let children = server.process.children();
    let mut client = server.client();
    client.send(post("/slow/predict", INPUT));
    server.wait_metric("cutter_queries_total", &[], 1.0);
    server.process.signal(Signal::TERM);
    server.wait_log("draining");
    server.process.signal(Signal::TERM);
    children.iter().for_each(Process::wait_gone);
    // The server ends when the client has its answer, which cannot be a prediction any more.
    let answer = client.response();
    assert_eq!((answer.status, &answer.json()["reason"]), (200, &"shutting_down".into()));
    assert_eq!(server.wait_end().code(), Some(0));
    assert_gone(&server, &children);
}

#[test]
fn a_client_that_never_reads_does_not_hold_up_the_end_for_ever() {
    let mut server = Server::start(&sums());
    let mut deaf = server.client();
    deaf.send_until_refused(post("/sums/predict", INPUT).repeat(100).as_bytes());
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn a_server_whose_models_never_came_up_ends_as_well() {
    let mut server = Plan::new(
        &(application("bad", FLOATS, 10_000, "bad", "") + &model("bad", &["hostile", "mute"], "")),
    )
    .start();
    let children = server.wait_new_replicas("hostile", 1, &[]);
    assert_eq!(server.stop().code(), Some(0));
    assert_gone(&server, &children);
}
