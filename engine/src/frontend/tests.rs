//! The front end without sockets: bytes in, bytes out, time passed in.

use std::cell::Cell;
use std::sync::Arc;

use cutter_protocol::engine::{Item, OutputBytes};
use cutter_protocol::tensor::{ElementType, Shape, TensorSpec};

use super::{Frontend, Output, Pacing, PortLimits};
use crate::clipper;
use crate::clock::Clock;
use crate::limits::{HEAD_TIME_NS, KEEP_ALIVE_IDLE_NS, PIPELINED_REQUESTS_MAX};
use crate::pool::InputPool;
use crate::scheduler::{
    ApplicationPlan, BatchResults, ItemResults, ModelPlan, PolicyPlan, Scheduler,
};
use crate::stats::EngineStats;

const ROWS: u32 = 16;
const SLO_NS: u64 = 20_000_000;

/// One application `pairs` that takes two floats, and one connection.
struct World {
    frontend: Frontend,
    scheduler: Scheduler,
    clock: TestClock,
}

struct TestClock(Cell<u64>);

impl Clock for TestClock {
    fn now_ns(&self) -> u64 {
        self.0.get()
    }
}

/// A model that answers each item with its place in the batch.
struct Places;

impl ItemResults for Places {
    fn get(&self, item: usize) -> Item<'_> {
        const PLACES: [[u8; 4]; 4] = [[0, 0, 0, 0], [1, 0, 0, 0], [2, 0, 0, 0], [3, 0, 0, 0]];
        Item::Output(OutputBytes::borrowed(&PLACES[item]))
    }
}

impl World {
    fn new(with_model: bool) -> Self {
        let input = TensorSpec::exact(ElementType::Float32, Shape::new(&[2]).unwrap());
        let application = clipper::Application {
            name: "pairs".to_owned(),
            input,
            default_output: "-1".to_owned(),
            model: with_model.then(|| ("places".to_owned(), "1".to_owned())),
        };
        let stats = Arc::new(EngineStats::new(&["pairs"], &[("places", "1", 1)], &[]));
        let plan = ApplicationPlan { slo_ns: SLO_NS, rows: ROWS, model: with_model.then_some(0) };
        let policy = PolicyPlan::Fixed { max: 4 };
        let model = ModelPlan { replicas: 1, depth: 1, policy, batch_timeout_ns: u64::MAX / 2 };
        let pool = InputPool::create(ROWS, 64).unwrap();
        let mut world = Self {
            scheduler: Scheduler::new(&[plan], &[model], Arc::clone(&stats)),
            frontend: Frontend::new(vec![application], vec![pool], PortLimits::default(), stats),
            clock: TestClock(Cell::new(1_000)),
        };
        world.frontend.open(0, 1_000);
        world
    }

    /// With one replica that is ready.
    fn with_replica() -> Self {
        let mut world = Self::new(true);
        let output = TensorSpec::scalar(ElementType::Int32);
        world.scheduler.replica_up(1_000, 0, output, 1, 4);
        world
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.frontend.receive(0, bytes, &self.clock, &mut self.scheduler);
    }

    /// Sends one batch to the replica and takes its answers.
    fn predict(&mut self) -> usize {
        let mut rows = Vec::new();
        let now_ns = self.clock.now_ns();
        let sink = &mut self.frontend.replies;
        let planned = self.scheduler.next_batch(now_ns, 0, &mut rows, sink);
        planned.expect("queries are waiting");
        self.scheduler.sent(now_ns, 0, 0);
        self.scheduler.complete(now_ns, 0, 0, &BatchResults::Items(Places), sink);
        rows.len()
    }

    fn output(&mut self) -> String {
        let mut out = Vec::new();
        self.frontend.replies.output(0, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// The bodies of all answers that stand ready.
    fn bodies(&mut self) -> Vec<String> {
        let output = self.output();
        let answers = output.split("HTTP/1.1 ").skip(1);
        answers.map(|answer| answer.split_once("\r\n\r\n").unwrap().1.to_owned()).collect()
    }
}

fn post(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST /pairs/predict HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

#[test]
fn a_prediction_is_answered_as_clipper_does() {
    let mut world = World::with_replica();
    world.receive(&post(r#"{"input": [1, 2.5]}"#));
    assert_eq!(world.predict(), 1);
    let output = world.output();
    assert!(output.starts_with("HTTP/1.1 200 OK\r\n"), "{output}");
    assert!(output.ends_with(r#"{"query_id":1,"output":0,"default":false}"#), "{output}");
}

#[test]
fn a_query_without_a_model_gets_the_default_and_the_reason() {
    let mut world = World::new(false);
    world.receive(&post(r#"{"input": [1, 2]}"#));
    assert_eq!(
        world.bodies(),
        [concat!(
            r#"{"query_id":1,"output":-1,"default":true,"#,
            r#""default_explanation":"No model is linked to application pairs","#,
            r#""reason":"no_model"}"#
        )]
    );
}

#[test]
fn every_item_of_a_batch_is_answered_in_its_order() {
    let mut world = World::with_replica();
    world.receive(&post(r#"{"input_batch": [[1, 2], [3, 4], [5, 6]]}"#));
    assert_eq!(world.predict(), 3);
    assert_eq!(
        world.bodies(),
        [concat!(
            r#"{"batch_predictions":[{"query_id":1,"output":0,"default":false},"#,
            r#"{"query_id":2,"output":1,"default":false},"#,
            r#"{"query_id":3,"output":2,"default":false}]}"#
        )]
    );
}

#[test]
fn a_batch_of_one_is_answered_wrapped_and_unwrapped() {
    let mut world = World::with_replica();
    world.receive(&post(r#"{"input_batch": [[1, 2]]}"#));
    world.predict();
    let item = r#""query_id":1,"output":0,"default":false"#;
    assert_eq!(world.bodies(), [format!(r#"{{{item},"batch_predictions":[{{{item}}}]}}"#)]);
}

#[test]
fn the_same_bytes_split_anywhere_give_the_same_answers() {
    let bytes = [post(r#"{"input": [1, 2]}"#), post(r#"{"input_batch": [[1, 2], [3, 4]]}"#)];
    let bytes = bytes.concat();
    let answers = |cut: usize| {
        let mut world = World::with_replica();
        world.receive(&bytes[..cut]);
        world.receive(&bytes[cut..]);
        world.predict();
        world.output()
    };
    let whole = answers(0);
    assert_eq!(whole.matches("HTTP/1.1 200").count(), 2);
    assert!((1..bytes.len()).all(|cut| answers(cut) == whole));
}

#[test]
fn a_bad_request_is_refused_behind_what_is_owed_and_closes() {
    let mut world = World::with_replica();
    world.receive(&[post(r#"{"input": [1, 2]}"#), b"BOGUS\r\n\r\n".to_vec()].concat());
    assert_eq!(world.output(), "");
    world.predict();
    let output = world.output();
    let (first, second) = output.split_once("}HTTP/1.1 400").unwrap();
    assert!(first.contains("200 OK"));
    assert!(second.contains("Connection: close"));
    assert_eq!(world.frontend.replies.output(0, &mut Vec::new()), Output::End);
}

#[test]
fn what_is_wrong_with_a_question_is_told() {
    for (request, status, text) in [
        (post("{\"input\": [1, 2}"), "400", "Json error"),
        (post("{\"input\": [1]}"), "400", "float32[2]"),
        (post(r#"{"input": [1, 2], "version": "9"}"#), "400", "has version"),
        (b"GET /pairs/predict HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(), "405", "Allow: POST"),
        (b"POST /nobody/predict HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(), "404", "pairs"),
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(), "404", "/{application}/predict"),
    ] {
        let mut world = World::with_replica();
        world.receive(&request);
        let output = world.output();
        assert!(output.starts_with(&format!("HTTP/1.1 {status} ")), "{output}");
        assert!(output.contains(text), "{output}");
        assert!(!world.scheduler.has_waiting(0));
    }
}

#[test]
fn rows_of_a_refused_question_are_free_again() {
    let mut world = World::with_replica();
    for _ in 0..2 * ROWS {
        world.frontend.close(0);
        world.frontend.open(0, 1_000);
        world.receive(&post("{\"input_batch\": [[1, 2], [3, 4], [5]]}"));
        assert!(world.output().contains("400"));
    }
    let rows: Vec<u32> = (0..ROWS).filter_map(|_| world.scheduler.reserve(0)).collect();
    assert_eq!(rows.len(), ROWS as usize);
}

#[test]
fn inputs_beyond_the_pool_are_overloaded_each_by_itself() {
    let mut world = World::with_replica();
    let inputs = vec!["[1, 2]"; ROWS as usize + 2].join(",");
    world.receive(&post(&format!("{{\"input_batch\": [{inputs}]}}")));
    (0..ROWS / 4).for_each(|_| assert_eq!(world.predict(), 4));
    let bodies = world.bodies();
    assert_eq!(bodies[0].matches("\"default\":false").count(), ROWS as usize);
    assert_eq!(bodies[0].matches("\"reason\":\"overloaded\"").count(), 2);
}

#[test]
fn pipelined_requests_beyond_the_limit_wait_their_turn() {
    let mut world = World::with_replica();
    let many = PIPELINED_REQUESTS_MAX + 4;
    world.receive(&post(r#"{"input": [1, 2]}"#).repeat(many));
    assert_eq!(world.frontend.replies.owed(0), PIPELINED_REQUESTS_MAX);
    let mut answered = 0;
    while answered < many {
        answered += world.predict();
        assert!(!world.bodies().is_empty());
        world.frontend.resume(0, &world.clock, &mut world.scheduler);
    }
    assert!(world.frontend.is_idle(0));
}

#[test]
fn an_answer_for_a_client_that_left_reaches_nobody_else() {
    let mut world = World::with_replica();
    world.receive(&post(r#"{"input": [1, 2]}"#));
    world.frontend.close(0);
    world.frontend.open(0, 2_000);
    assert_eq!(world.predict(), 1);
    assert_eq!(world.output(), "");
    assert!(world.frontend.is_idle(0));
}

#[test]
fn an_expectation_is_answered_before_the_body() {
    let mut world = World::with_replica();
    let request = String::from_utf8(post(r#"{"input": [1, 2]}"#)).unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    world.receive(format!("{head}\r\nExpect: 100-continue\r\n\r\n").as_bytes());
    assert_eq!(world.output(), "HTTP/1.1 100 Continue\r\n\r\n");
    world.receive(body.as_bytes());
    world.predict();
    assert!(world.output().contains("200 OK"));
}

#[test]
fn a_draining_server_closes_after_its_answers() {
    let mut world = World::with_replica();
    world.frontend.begin_drain();
    world.receive(&post(r#"{"input": [1, 2]}"#));
    world.predict();
    assert!(world.output().contains("Connection: close"));
    assert_eq!(world.frontend.replies.output(0, &mut Vec::new()), Output::End);
}

#[test]
fn slow_clients_are_told_or_closed() {
    let date = crate::http::http_date(0);
    let mut world = World::with_replica();
    world.receive(b"POST /pairs");
    let late_ns = 1_000 + HEAD_TIME_NS;
    assert_eq!(world.frontend.check_pace(0, late_ns, &date), Pacing::Keep(None));
    assert!(world.output().starts_with("HTTP/1.1 408"));
    let mut idle = World::with_replica();
    let late_ns = 1_000 + KEEP_ALIVE_IDLE_NS;
    assert_eq!(idle.frontend.check_pace(0, late_ns, &date), Pacing::CloseIdle);
}
