//! The front end without sockets: bytes in, bytes out, time passed in.

mod ending;
mod known;
mod remembered;
mod routes;

use std::cell::Cell;

use cutter_core::{BatchResults, Core, Death, ItemResults};
use cutter_machine::clock::Clock;
use cutter_tensor::{ElementType, Extent, Item, OutputBytes, Shape, TensorSpec};
use cutter_wire::http::Connection;
use cutter_wire::limits::{HEAD_TIME_NS, KEEP_ALIVE_IDLE_NS};

use super::ledger::Bounds;
use super::{Expired, Frontend, Output, PortLimits};
use crate::config;
use crate::engine::{Engine, Ids};
use crate::limits::{
    AT_ONCE_BYTES_MAX, PIECE_BYTES, PIPELINED_REQUESTS_MAX, SEND_BYTES_MAX, SEND_GRACE_NS,
};

const ROWS: u32 = 16;
const SLO_NS: u64 = 20_000_000;

/// A port that is full soon.
const SMALL: PortLimits = PortLimits {
    connections: 3,
    input: Bounds { share: 32 << 10, pool: 80 << 10, connection: 160 << 10 },
    output: Bounds { share: 32 << 10, pool: 128 << 10, connection: 160 << 10 },
};

/// One application `pairs` that takes two floats, and one connection.
struct World {
    frontend: Frontend,
    core: Core,
    ids: Ids,
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
        Self::of(input, ROWS, with_model)
    }

    fn of(input: TensorSpec, rows: u32, with_model: bool) -> Self {
        let (kind, extent) = match input.extent {
            Extent::Exact(shape) => ("floats", format!("shape = {shape:?}")),
            Extent::AtMost { bytes } if input.element == ElementType::Bytes => {
                ("bytes", format!("max_bytes = {bytes}"))
            }
            Extent::AtMost { bytes } => ("strings", format!("max_bytes = {bytes}")),
        };
        let models = if with_model { "[\"places\"]" } else { "[]" };
        let text = format!(
            "[server]\nsocket = \"s\"\n[[application]]\nname = \"pairs\"\n\
             input = {{ type = \"{kind}\", {extent} }}\n\
             slo_us = {}\ndefault_output = \"-1\"\nmodels = {models}\n\
             [[model]]\nname = \"places\"\nbatch = {{ policy = \"fixed\", max = 4 }}\n",
            SLO_NS / 1_000
        );
        let (mut config, _) = config::parse(&text).unwrap();
        // Fewer than a configuration can ask for.
        (config.applications[0].rows, config.applications[0].rows_at_start) = (rows, rows);
        let made = Engine::new(&config, SMALL, 1_000, &|| false).unwrap();
        let Engine { core, frontend, ids, .. } = made;
        let clock = TestClock(Cell::new(1_000));
        let mut world = Self { core, frontend, ids, clock };
        (0..SMALL.connections).for_each(|connection| world.frontend.open(connection, 1_000));
        world
    }

    /// With one replica that is ready.
    fn with_replica() -> Self {
        Self::new(true).and_replica()
    }

    fn and_replica(self) -> Self {
        let mut world = self;
        let output = TensorSpec::scalar(ElementType::Int32);
        world.core.replica_up(1_000, world.ids.replicas[0], output, 2, 4);
        world
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.receive_on(0, bytes);
    }

    fn receive_on(&mut self, connection: usize, bytes: &[u8]) {
        let now_ns = self.clock.now_ns();
        let core = &mut self.core;
        self.frontend.receive(connection, bytes, now_ns, &self.clock, core);
    }

    fn close(&mut self, connection: usize) {
        self.frontend.close(connection, &mut self.core);
    }

    /// What the next send has, if it is not read yet.
    fn begin_send(&mut self, connection: usize) -> (Output, Vec<u8>) {
        let mut out = Vec::new();
        let output = self.frontend.replies.output(connection, &mut out);
        let now_ns = self.clock.now_ns();
        if output == Output::Bytes {
            self.frontend.begin_send(connection, out.len(), now_ns);
        }
        (output, out)
    }

    fn finish_send(&mut self, connection: usize) {
        let now_ns = self.clock.now_ns();
        self.frontend.sent(connection, now_ns, &mut self.core);
        self.frontend.resume(connection, now_ns, &self.clock, &mut self.core);
    }

    fn expire(&mut self, connection: usize, after_ns: u64) -> Expired {
        self.clock.0.set(self.clock.0.get() + after_ns);
        let now_ns = self.clock.now_ns();
        self.frontend.expire(connection, now_ns, &mut self.core)
    }

    /// Sends one batch to the replica and takes its answers.
    fn predict(&mut self) -> usize {
        let mut rows = Vec::new();
        let now_ns = self.clock.now_ns();
        let sink = &mut self.frontend.replies;
        let replica = self.ids.replicas[0];
        let planned = self.core.next_batch(now_ns, replica, &mut rows, sink);
        planned.expect("queries are waiting");
        self.core.sent(now_ns, replica, 0);
        self.core.complete(now_ns, now_ns, replica, 0, &BatchResults::Items(Places), sink);
        rows.len()
    }

    /// Everything that the client gets now.
    fn output(&mut self) -> String {
        self.output_of(0)
    }

    fn output_of(&mut self, connection: usize) -> String {
        let mut all = Vec::new();
        loop {
            let (output, bytes) = self.begin_send(connection);
            if output != Output::Bytes {
                return String::from_utf8(all).unwrap();
            }
            all.extend(bytes);
            self.finish_send(connection);
        }
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
    assert_eq!(world.begin_send(0).0, Output::End);
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
        assert!(!world.core.has_waiting(world.ids.models[0]));
    }
}

#[test]
fn rows_of_a_refused_question_are_free_again() {
    let mut world = World::with_replica();
    for _ in 0..2 * ROWS {
        world.close(0);
        world.frontend.open(0, 1_000);
        world.receive(&post("{\"input_batch\": [[1, 2], [3, 4], [5]]}"));
        assert!(world.output().contains("400"));
    }
    let application = world.ids.applications[0];
    let rows: Vec<u32> = (0..ROWS).filter_map(|_| world.core.reserve(application)).collect();
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
    }
    assert!(world.frontend.is_idle(0));
}

#[test]
fn an_answer_for_a_client_that_left_reaches_nobody_else() {
    let mut world = World::with_replica();
    world.receive(&post(r#"{"input": [1, 2]}"#));
    let (mut rows, replica) = (Vec::new(), world.ids.replicas[0]);
    let sink = &mut world.frontend.replies;
    world.core.next_batch(1_000, replica, &mut rows, sink).unwrap();
    world.core.sent(1_000, replica, 0);
    world.close(0);
    world.frontend.open(0, 2_000);
    let results = BatchResults::Items(Places);
    let sink = &mut world.frontend.replies;
    world.core.complete(3_000, 3_000, replica, 0, &results, sink);
    assert_eq!(world.output(), "");
    assert!(world.frontend.is_idle(0));
}

#[test]
fn a_client_that_left_is_not_computed_for() {
    let mut world = World::with_replica();
    world.receive(&post(r#"{"input_batch": [[1, 2], [3, 4]]}"#));
    world.close(0);
    let mut rows = Vec::new();
    let sink = &mut world.frontend.replies;
    let replica = world.ids.replicas[0];
    assert_eq!(world.core.next_batch(1_000, replica, &mut rows, sink), None);
    assert!(world.core.is_idle());
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
fn slow_clients_are_told_or_closed() {
    let mut world = World::with_replica();
    world.receive(b"POST /pairs");
    assert_eq!(world.expire(0, HEAD_TIME_NS), Expired::Nothing);
    assert!(world.output().starts_with("HTTP/1.1 408"));
    let mut idle = World::with_replica();
    assert_eq!(idle.expire(0, KEEP_ALIVE_IDLE_NS), Expired::End);
}

#[test]
fn a_late_client_that_does_not_read_is_refused_once_and_then_ended() {
    let mut world = World::with_replica();
    world.receive(&post(r#"{"input": [1, 2]}"#));
    world.predict();
    assert_eq!(world.begin_send(0).0, Output::Bytes);
    world.receive(b"POST /");
    let mut waited_ns = 0;
    while world.expire(0, 250_000_000) == Expired::Nothing {
        waited_ns += 250_000_000;
        assert_eq!(world.frontend.replies.owed(0), 0, "no refusal while an answer goes out");
    }
    assert!((SEND_GRACE_NS - 250_000_000..2 * SEND_GRACE_NS).contains(&waited_ns));
}

#[test]
fn the_clock_of_a_head_begins_when_the_answers_before_it_are_out() {
    let mut world = World::with_replica();
    world.receive(&[post(r#"{"input": [1, 2]}"#), b"POST /".to_vec()].concat());
    assert_eq!(world.frontend.deadline_ns(0), None);
    assert_eq!(world.expire(0, 9 * HEAD_TIME_NS), Expired::Nothing);
    let now_ns = world.clock.now_ns();
    world.core.tick(now_ns, &mut world.frontend.replies);
    assert!(world.output().contains("200 OK"));
    assert_eq!(world.expire(0, HEAD_TIME_NS), Expired::Nothing);
    assert!(world.output().starts_with("HTTP/1.1 408"));
    assert_eq!(world.expire(0, HEAD_TIME_NS), Expired::Nothing);
    assert_eq!(world.begin_send(0).0, Output::End);
}

#[test]
fn a_well_framed_mistake_keeps_its_connection() {
    let mut world = World::with_replica();
    let good = post(r#"{"input": [1, 2]}"#);
    world.receive(&[post("{"), good.repeat(3)].concat());
    world.predict();
    let output = world.output();
    assert!(output.starts_with("HTTP/1.1 400") && !output.contains("Connection: close"));
    assert_eq!(output.matches("HTTP/1.1 200").count(), 3);
}

#[test]
fn nothing_is_executed_behind_a_response_that_ends_the_connection() {
    for end in ["POST /pairs/predict HTTP/1.1\r\nHost: h\r\nConnection: close\r\n", "BOGUS\r\n"] {
        let end = format!("{end}Content-Length: 1\r\n\r\n{{");
        let mut world = World::with_replica();
        world.receive(&[end.into_bytes(), post(r#"{"input": [1, 2]}"#)].concat());
        world.receive(&post(r#"{"input": [1, 2]}"#));
        assert!(!world.core.has_waiting(world.ids.models[0]));
        assert_eq!(world.output().matches("HTTP/1.1 ").count(), 1);
        assert_eq!(world.begin_send(0).0, Output::End);
    }
}

#[test]
fn a_client_that_has_shut_its_side_gets_every_answer() {
    let mut world = World::with_replica();
    let many = PIPELINED_REQUESTS_MAX + 4;
    world.receive(&post(r#"{"input": [1, 2]}"#).repeat(many));
    world.frontend.receive_end(0, 1_000, &mut world.core);
    let mut output = String::new();
    while output.matches("HTTP/1.1 200").count() < many {
        world.predict();
        output.push_str(&world.output());
    }
    assert_eq!(world.begin_send(0).0, Output::End);
}

#[test]
fn decoded_bodies_are_counted_and_go_with_their_connection() {
    let mut world = World::with_replica();
    let head = "POST /pairs/predict HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = [b"8000\r\n".to_vec(), vec![b' '; 0x8000], b"\r\n".to_vec()].concat();
    for _ in 0..9 {
        world.receive(head.as_bytes());
        world.receive(&body);
        assert!(world.frontend.memory().held >= 0x8000);
        world.close(0);
        assert_eq!(world.frontend.memory().held, 0);
        world.frontend.open(0, 1_000);
    }
}

#[test]
fn who_holds_too_much_is_refused_and_nobody_else() {
    let mut world = World::with_replica();
    let head = |bytes: usize| {
        format!("POST /pairs/predict HTTP/1.1\r\nHost: h\r\nContent-Length: {bytes}\r\n\r\n")
    };
    for connection in [0, 1] {
        world.receive_on(connection, head(60 << 10).as_bytes());
        for _ in 0..58 {
            world.receive_on(connection, &[b' '; 1 << 10]);
        }
    }
    let refused = |world: &mut World, connection| world.output_of(connection).contains("503");
    let (first, second) = (refused(&mut world, 0), refused(&mut world, 1));
    assert_eq!([first, second], [false, false]);
    world.receive_on(2, head(64 << 10).as_bytes());
    for _ in 0..64 {
        world.receive_on(2, &[b' '; 1 << 10]);
    }
    assert!(refused(&mut world, 2), "the pool has no room for a third");
    world.close(2);
    world.frontend.open(2, 1_000);
    let question = post(r#"{"input": [1, 2]}"#);
    world.receive_on(2, &question[..20]);
    world.receive_on(2, &question[20..]);
    world.predict();
    let output = world.output_of(2);
    assert!(output.contains("200 OK") && !output.contains("503"), "{output}");
}

#[test]
fn bytes_owed_are_bounded_and_a_client_that_does_not_read_is_not_executed_for() {
    let mut world = World::with_replica();
    let question = post(&format!("{{\"input_batch\": [{}]}}", vec!["[1, 2]"; 16].join(",")));
    assert_eq!(world.begin_send(0).0, Output::Nothing);
    let mut executed = 0;
    for _ in 0..1_000 {
        world.receive(&question);
        while world.core.has_waiting(world.ids.models[0]) {
            executed += world.predict();
        }
        let (output, bytes) = world.begin_send(0);
        assert!(output != Output::Bytes || executed <= 16, "one send is under way");
        assert!(bytes.len() <= SEND_BYTES_MAX);
        assert!(world.frontend.memory().owed <= 3 * (32 << 10) + (128 << 10) + SEND_BYTES_MAX);
    }
    assert!(executed <= 16 * (PIPELINED_REQUESTS_MAX + 1), "{executed}");
}

#[test]
fn a_large_body_is_read_in_pieces_and_answered_like_a_small_one() {
    let mut world = World::with_replica();
    let space = " ".repeat(3 * AT_ONCE_BYTES_MAX / 2);
    let large = post(&format!("{{\"input\": [1,{space} 2]}}"));
    world.receive(&[large, post(r#"{"input": [3, 4]}"#)].concat());
    assert!(world.frontend.has_large_work());
    while world.frontend.has_large_work() {
        world.frontend.replies.begin_turn(AT_ONCE_BYTES_MAX);
        world.frontend.work(&world.clock, &mut world.core);
    }
    assert_eq!(world.predict(), 2);
    assert_eq!(world.bodies().len(), 2);
    assert!(world.frontend.is_idle(0));
}

#[test]
fn what_a_large_input_left_is_cleared_in_pieces_before_a_small_one_is_admitted() {
    let most = 8 * PIECE_BYTES;
    let input = TensorSpec::at_most(ElementType::Bytes, u32::try_from(most).unwrap());
    let mut world = World::of(input, 1, true).and_replica();
    world.receive(&post(&format!(r#"{{"input": "{}"}}"#, "AAEC".repeat(most / 3))));
    while world.frontend.has_large_work() {
        world.frontend.work(&world.clock, &mut world.core);
    }
    assert_eq!(world.predict(), 1);
    assert_eq!(world.bodies().len(), 1);

    world.receive(&post(r#"{"input": "AAEC"}"#));
    let mut turns = 0;
    while world.frontend.has_large_work() {
        world.frontend.work(&world.clock, &mut world.core);
        turns += 1;
    }
    assert!((6..=8).contains(&turns), "{turns} turns");
    let application = world.ids.applications[0];
    let row = world.core.row_mut(application, 0, most);
    assert_eq!(row[..3], [0, 1, 2]);
    assert!(row[3..].iter().all(|byte| *byte == 0));
    assert_eq!(world.predict(), 1);
    assert_eq!(world.bodies().len(), 1);
}

#[test]
fn a_send_keeps_its_bound_wherever_an_answer_ends_in_it() {
    for short_of in (0..600).step_by(7) {
        let mut world = World::with_replica();
        let bytes = SEND_BYTES_MAX - short_of;
        let write = |out: &mut Vec<u8>| out.resize(bytes, b'x');
        world.frontend.replies.owe_raw(0, Connection::Keep, write).unwrap();
        world.receive(&post(r#"{"input": [1, 2]}"#));
        assert_eq!(world.predict(), 1);
        let mut all = 0;
        loop {
            let (output, sent) = world.begin_send(0);
            if output != Output::Bytes {
                break;
            }
            assert!(sent.len() <= SEND_BYTES_MAX, "{} bytes, {short_of} short of it", sent.len());
            all += sent.len();
            world.finish_send(0);
        }
        assert!(all > bytes + 100, "{all}");
    }
}

#[test]
fn the_longest_waiting_connection_is_known() {
    let mut world = World::with_replica();
    assert_eq!(world.frontend.longest_waiting(), Some(0));
    world.receive(&post(r#"{"input": [1, 2]}"#));
    assert_eq!(world.frontend.longest_waiting(), Some(1));
    world.receive_on(1, b"POST");
    assert_eq!(world.frontend.longest_waiting(), Some(2));
    world.predict();
    world.output();
    world.close(2);
    assert_eq!(world.frontend.longest_waiting(), Some(0), "an idle one before a slow one");
}
