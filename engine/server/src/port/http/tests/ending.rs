//! What becomes of requests as the server ends.

use super::*;

#[test]
fn a_draining_server_closes_after_its_answers() {
    let mut world = World::with_replica();
    world.frontend.begin_drain();
    world.receive(&post(r#"{"input": [1, 2]}"#));
    world.predict();
    assert!(world.output().contains("Connection: close"));
    assert_eq!(world.begin_send(0).0, Output::End);
}

#[test]
fn a_request_that_is_under_way_as_the_server_ends_is_answered() {
    let mut world = World::with_replica();
    let request = post(r#"{"input": [1, 2]}"#);
    let (half, rest) = request.split_at(request.len() - 5);
    world.receive(half);
    world.frontend.begin_drain();
    world.receive(rest);
    world.predict();
    let output = world.output();
    assert!(output.starts_with("HTTP/1.1 200") && output.contains("Connection: close"), "{output}");
    assert_eq!(world.begin_send(0).0, Output::End);
}

#[test]
fn half_a_request_is_refused_when_the_server_ends() {
    let mut world = World::with_replica();
    world.receive(b"POST /pairs");
    world.frontend.begin_drain();
    assert_eq!(world.output(), "", "the rest may be on its way");
    world.frontend.refuse_parts(1_000, 0..3, &mut world.core);
    assert!(world.output().starts_with("HTTP/1.1 503"));
    assert_eq!(world.begin_send(0).0, Output::End);
}
