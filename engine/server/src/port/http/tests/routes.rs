//! Applications that come and go while connections are kept.

use std::sync::Arc;

use cutter_core::ids::{ApplicationId, OfApplication};
use cutter_core::slab::Slab;
use cutter_core::stats::ApplicationStats;
use cutter_core::{Application, ApplicationPlan, Change, Links};

use super::*;
use crate::pool;
use crate::port::http::Endpoint;

/// The ids of one place, which one application after the other has.
type Ids = Slab<(), OfApplication>;

/// Without a model, so that every question is answered at once.
fn world() -> (World, Ids, ApplicationId) {
    let (world, mut ids) = (World::new(false), Ids::new(1));
    let first = ids.insert(()).unwrap();
    assert_eq!(world.ids.applications, [first]);
    (world, ids, first)
}

/// Takes two floats, and says this.
fn endpoint(name: &str, default_output: &str) -> Endpoint {
    let input = TensorSpec::exact(ElementType::Float32, Shape::new(&[2]).unwrap());
    let stats = Arc::new(ApplicationStats::new(name));
    Endpoint::new(name.to_owned(), input, SLO_NS, default_output, Vec::new(), stats)
}

impl World {
    fn change(&mut self, change: Change, endpoint: Option<Endpoint>) {
        self.frontend.change(&change, endpoint.map(Box::new));
        self.core.change(1_000, 0, change, &mut self.frontend.replies);
    }

    fn add(&mut self, id: ApplicationId, endpoint: Endpoint) {
        let (pool, _) = pool::create(ROWS, 64, ROWS).unwrap();
        let (slo_ns, stats) = (SLO_NS, Arc::clone(&endpoint.stats));
        let plan = ApplicationPlan { slo_ns, pool, links_max: 1, has_policy: false, stats };
        let application = Box::new(Application::new(plan));
        self.change(Change::AddApplication { id, application }, Some(endpoint));
    }

    fn remove(&mut self, id: ApplicationId) {
        self.change(Change::DrainApplication(id), None);
        self.change(Change::RemoveApplication(id), None);
    }

    /// What the first connection gets for these bytes.
    fn answer(&mut self, bytes: &[u8]) -> String {
        self.receive(bytes);
        self.output()
    }
}

fn question() -> Vec<u8> {
    post(r#"{"input": [1, 2]}"#)
}

/// The status of an answer, and its body.
fn told(answer: &str) -> (&str, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (&head["HTTP/1.1 ".len()..][..3], body)
}

#[test]
fn a_repeated_request_behind_the_removal_of_its_application_finds_none() {
    let (mut world, _, first) = world();
    assert_eq!(told(&world.answer(&question())).0, "200");
    assert_eq!(told(&world.answer(&question())).0, "200");
    world.remove(first);
    let answer = world.answer(&question());
    let cause = r#"no application has the name \"pairs\"; there are: none"#;
    assert_eq!(told(&answer), ("404", &*format!(r#"{{"error":"Not found","cause":"{cause}"}}"#)));
}

#[test]
fn a_repeated_request_to_an_application_that_takes_no_more_finds_none() {
    let (mut world, _, first) = world();
    assert_eq!(told(&world.answer(&question())).0, "200");
    world.change(Change::DrainApplication(first), None);
    assert_eq!(told(&world.answer(&question())).0, "404");
}

#[test]
fn a_repeated_request_reaches_what_was_added_under_its_name() {
    let (mut world, mut ids, first) = world();
    world.remove(first);
    ids.remove(first);
    assert_eq!(told(&world.answer(&question())).0, "404");
    assert_eq!(told(&world.answer(&question())).0, "404");
    world.add(ids.insert(()).unwrap(), endpoint("pairs", "-7"));
    let answer = world.answer(&question());
    assert!(told(&answer).1.contains(r#""output":-7,"default":true"#), "{answer}");
}

#[test]
fn a_repeated_request_does_not_reach_another_application_in_the_same_place() {
    let (mut world, mut ids, first) = world();
    assert_eq!(told(&world.answer(&question())).0, "200");
    world.remove(first);
    ids.remove(first);
    let second = ids.insert(()).unwrap();
    assert_eq!(second.place(), first.place());
    world.add(second, endpoint("others", "-7"));
    let answer = world.answer(&question());
    assert!(told(&answer).1.contains("there are: others"), "{answer}");
}

#[test]
fn an_application_that_goes_or_comes_amid_a_body_is_what_its_end_finds() {
    let question = question();
    let (start, end) = question.split_at(question.len() - 5);
    let (mut world, mut ids, first) = world();
    world.receive(start);
    world.remove(first);
    ids.remove(first);
    assert_eq!(told(&world.answer(end)).0, "404");
    world.receive(start);
    world.add(ids.insert(()).unwrap(), endpoint("pairs", "-7"));
    assert_eq!(told(&world.answer(end)).0, "200");
}

#[test]
fn a_repeated_request_keeps_to_the_limit_of_an_application_linked_anew() {
    let (mut world, _, first) = world();
    assert_eq!(told(&world.answer(&question())).0, "200");
    let links = Box::new(Links::default());
    let change = Change::Link { application: first, links, rooms: Vec::new() };
    world.change(change, Some(Endpoint { body_bytes_max: 4, ..endpoint("pairs", "-7") }));
    assert_eq!(told(&world.answer(&question())).0, "413");
}

#[test]
fn each_request_behind_one_of_another_kind_is_judged_by_itself() {
    let (mut world, ..) = world();
    let requests = [
        ("GET", "/pairs/predict", "", "405"),
        ("POST", "/pairs/predict", "", "200"),
        ("OPTIONS", "/pairs/predict", "", "204"),
        ("POST", "/pairs/predict", "Content-Encoding: gzip\r\n", "415"),
        ("POST", "/nobody/predict", "", "404"),
        ("POST", "/p%61irs/predict", "", "200"),
        ("POST", "/p%6/predict", "", "400"),
    ];
    for (method, path, fields, status) in requests {
        let body = r#"{"input": [1, 2]}"#;
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: h\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
        );
        for _ in 0..3 {
            assert_eq!(told(&world.answer(request.as_bytes())).0, status, "{request}");
        }
    }
}
