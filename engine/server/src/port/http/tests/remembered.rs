//! Bodies that come again: what is asked by them is the same, and they are not read.

use std::sync::Arc;

use cutter_core::cache::CacheStats;

use super::super::memo::Memo;
use super::super::question::Slot;
use super::*;

/// A world that knows bodies, all of which have one hash; with what is counted of them.
fn world() -> (World, Arc<CacheStats>) {
    let mut world = World::with_replica();
    let input = TensorSpec::exact(ElementType::Float32, Shape::new(&[2]).unwrap());
    let (memo, stats) = Memo::colliding(&input);
    world.frontend.replies.endpoints.set_memo(world.ids.applications[0], Some(memo));
    (world, stats)
}

/// What stands in the row of the query that is asked by this body.
fn row_of(world: &mut World, body: &str) -> Vec<u8> {
    world.receive(&post(body));
    let [Slot::Row { row, bytes }] = world.frontend.lists.slots[..] else {
        panic!("one input, for which there is a row")
    };
    let application = world.ids.applications[0];
    let input = world.core.row_mut(application, row, bytes as usize).to_vec();
    world.predict();
    let answer = world.output();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"default\":false"));
    input
}

fn floats(values: [f32; 2]) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_ne_bytes).collect()
}

#[test]
fn bodies_of_one_hash_are_not_taken_for_each_other() {
    let (mut world, stats) = world();
    for value in (0..60_u8).cycle().take(200).map(f32::from) {
        let body = format!("{{\"input\": [{value}, 0.5]}}");
        assert_eq!(row_of(&mut world, &body), floats([value, 0.5]));
    }
    assert_eq!((stats.misses.get(), stats.hits.get()), (60, 140));
}

#[test]
fn a_body_that_brings_more_than_one_input_or_is_wrong_is_read_each_time() {
    let (mut world, stats) = world();
    for _ in 0..3 {
        for more in ["\"explain\": true", "\"timeout_us\": 9000", "\"version\": \"1\""] {
            let body = format!("{{\"input\": [1, 2], {more}}}");
            assert_eq!(row_of(&mut world, &body), floats([1.0, 2.0]));
        }
        for wrong in ["{\"input\": [1]}", "{\"input\": [1, 2], \"timeout_us\": 0}"] {
            world.receive(&post(wrong));
            assert!(world.output().starts_with("HTTP/1.1 400 "));
        }
    }
    assert_eq!((stats.misses.get(), stats.hits.get()), (15, 0));
}

#[test]
fn a_body_that_is_known_is_answered_as_overloaded_when_there_is_no_row_for_it() {
    let (mut world, stats) = world();
    let body = r#"{"input": [1, 2]}"#;
    assert_eq!(row_of(&mut world, body), floats([1.0, 2.0]));
    (0..ROWS).for_each(|_| world.receive_on(1, &post(body)));
    world.receive_on(2, &post(body));
    assert_eq!(stats.hits.get(), u64::from(ROWS) + 1);
    assert_eq!(world.frontend.lists.slots, [Slot::Overloaded]);
}
