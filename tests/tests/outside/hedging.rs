//! Calls of a replica that is late are sent to another one too: real processes, one of which is
//! stopped.

use cutter_tests::server::Plan;
use cutter_tests::{Client, Server, model};
use rustix::process::Signal;
use serde_json::{Value, json};

/// What a query may take, and what each replica takes for a batch.
const SLO_MS: u32 = 3_000;
const BATCH_MS: &str = "2";
/// Enough for the replicas' histories, and for what may be sent twice of what follows.
const QUERIES_BEFORE: usize = 150;
const QUERIES_BESIDE: usize = 4;

/// A model of two replicas. It is asked by a policy that sends late calls to another one, or not.
fn two_replicas(hedge: bool) -> Server {
    let application = format!(
        "[[application]]\nname = \"asking\"\ninput = {{ type = \"floats\", shape = [1] }}\n\
         slo_us = {SLO_MS}000\ndefault_output = \"-1\"\nmodels = [\"twice\"]\n\
         [application.policy]\nname = \"static\"\nhedge = {hedge}\n"
    );
    let model = model("twice", &["slow", BATCH_MS], "replicas = 2");
    Plan::new(&(model + &application)).with("state = \"none\"").start_ready()
}

fn predictions(client: &mut Client, queries: usize) -> usize {
    let answers = (0..queries).map(|query| client.predict("asking", json!([query])));
    answers.filter(|answer| answer["default"] == json!(false)).count()
}

/// Of the model, by name.
fn count(server: &Server, name: &str) -> u64 {
    let stats: Value = server.admin("/stats").json();
    stats["models"][0][name].as_u64().unwrap()
}

/// Both replicas get queries, and so a history by which they can be late.
fn teach(server: &Server) {
    server.wait_metric("cutter_replica_up", &[], 2.0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                assert_eq!(predictions(&mut server.client(), QUERIES_BEFORE), QUERIES_BEFORE);
            });
        }
    });
}

#[test]
fn a_query_whose_replica_has_stopped_is_answered_by_the_other_one() {
    let server = two_replicas(true);
    teach(&server);
    let mut client = server.client();
    for replica in server.process.children() {
        replica.signal(Signal::STOP);
        assert_eq!(predictions(&mut client, QUERIES_BESIDE), QUERIES_BESIDE);
        replica.signal(Signal::CONT);
    }
    assert!(count(&server, "hedges_won") > 0, "none was answered by the other replica");
}

#[test]
fn a_policy_that_was_not_told_to_sends_no_call_twice() {
    let server = two_replicas(false);
    teach(&server);
    assert_eq!(count(&server, "hedged"), 0);
}
