//! Models with caches: what is known is not asked again, and the same is asked once.

use super::*;

fn cached(setup: Setup) -> World {
    World::new(Setup { caches: true, ..setup })
}

const PLAIN: Asking<'static> = Asking { key: &[], vector: None, explain: false };

#[test]
fn an_input_that_was_answered_is_answered_again_without_the_model() {
    let mut world = cached(Setup::vote(1));
    world.ask_of(1, &PLAIN);
    world.answer(0, 5.0);
    let again = world.ask_of(1, &PLAIN);
    assert_eq!((world.number(again), world.take(0)), (5.0, 0));
    let other = world.ask_of(2, &PLAIN);
    assert!(!world.heard.told.contains_key(&other));
    world.answer(0, 6.0);
    world.assert_empty();
}

#[test]
fn identical_calls_are_evaluated_once_and_all_are_answered() {
    let mut world = cached(Setup::vote(2));
    let queries: Vec<u64> = (0..8).map(|_| world.ask_of(1, &PLAIN)).collect();
    assert_eq!([0, 1].map(|model| world.take(model)), [1, 1]);
    [0, 1].into_iter().for_each(|model| world.say(model, &3.0_f32.to_le_bytes()));
    for query in queries {
        assert_eq!((world.number(query), world.told(query).confidence), (3.0, Some(1.0)));
    }
    world.assert_empty();
}

#[test]
fn who_joined_leads_when_the_leader_is_answered_before_its_call_was_sent() {
    let mut world = cached(Setup::vote(1));
    world.ask_of(1, &PLAIN);
    world.advance(5 * MS);
    let joined = world.ask_of(1, &PLAIN);
    world.advance(SLO_NS - 5 * MS);
    assert_eq!(world.asked(), [0], "who joined is queued now");
    world.answer(0, 4.0);
    assert_eq!(world.number(joined), 4.0);
    world.assert_empty();
}

#[test]
fn who_joined_gets_the_output_of_a_leader_that_is_answered_while_it_is_evaluated() {
    let mut world = cached(Setup::vote(1));
    let leader = world.ask_of(1, &PLAIN);
    world.take(0);
    world.advance(5 * MS);
    let joined = world.ask_of(1, &PLAIN);
    world.advance(SLO_NS - 5 * MS);
    assert_eq!(world.told(leader).output, Err(Reason::Late));
    world.say(0, &4.0_f32.to_le_bytes());
    assert_eq!(world.number(joined), 4.0);
    let later = world.ask_of(1, &PLAIN);
    assert_eq!(world.number(later), 4.0, "what came too late is known from then on");
    world.assert_empty();
}

#[test]
fn who_joined_a_call_that_the_model_fails_on_fails_with_it_and_nothing_is_kept() {
    let mut world = cached(Setup::vote(1));
    let queries: Vec<u64> = (0..3).map(|_| world.ask_of(1, &PLAIN)).collect();
    assert_eq!(world.take(0), 1);
    world.give(0, Item::Failed(b"no"));
    for query in queries {
        assert_eq!(world.told(query).output, Err(Reason::ModelError));
    }
    let again = world.ask_of(1, &PLAIN);
    world.answer(0, 2.0);
    assert_eq!(world.number(again), 2.0);
    world.assert_empty();
}

#[test]
fn a_replica_that_dies_twice_with_a_leader_fails_who_joined_too() {
    let mut world = cached(Setup::vote(1));
    let queries: Vec<u64> = (0..3).map(|_| world.ask_of(1, &PLAIN)).collect();
    for _ in 0..2 {
        assert_eq!(world.take(0), 1);
        world.holds[0] = None;
        let (now_ns, replica) = (world.now_ns, world.replicas[0]);
        world.core.replica_lost(now_ns, replica, crate::Death::Crash, &mut world.heard);
        world.core.replica_up(now_ns, replica, FLOAT, 1, ROWS);
    }
    for query in queries {
        assert_eq!(world.told(query).output, Err(Reason::ModelError));
    }
    world.assert_empty();
}

#[test]
fn who_joined_fails_with_a_leader_whose_model_is_down() {
    let mut world = cached(Setup::vote(1));
    let queries: Vec<u64> = (0..3).map(|_| world.ask_of(1, &PLAIN)).collect();
    let (now_ns, replica, model) = (world.now_ns, world.replicas[0], world.models[0]);
    world.core.replica_lost(now_ns, replica, crate::Death::Stopped, &mut world.heard);
    world.core.set_availability(now_ns, model, crate::Availability::Down, &mut world.heard);
    for query in queries {
        assert_eq!(world.told(query).output, Err(Reason::NotReady));
    }
    world.assert_empty();
}

#[test]
fn a_client_that_goes_passes_its_call_on() {
    let mut world = cached(Setup::vote(1));
    world.ask_of(1, &PLAIN);
    let joined = world.ask_of(1, &PLAIN);
    let row = world.core.view().applications[0].1.first_due.unwrap().row;
    world.core.abandon(world.application, row);
    assert_eq!(world.asked(), [0]);
    world.answer(0, 4.0);
    assert_eq!(world.number(joined), 4.0);
    assert_eq!(world.core.view().applications[0].1.rows_in_use, 0);
}

#[test]
fn a_model_that_is_late_is_taken_to_say_what_it_said_of_the_input_before() {
    let substitute = Substitute::Last;
    let mut world = cached(Setup { substitute, ..Setup::values(2, 0.5) });
    world.ask_of(1, &PLAIN);
    [2.0, 6.0].into_iter().enumerate().for_each(|(model, said)| world.answer(model, said));
    let (now_ns, replica) = (world.now_ns, world.replicas[1]);
    world.core.replica_lost(now_ns, replica, crate::Death::Stopped, &mut world.heard);
    // Both are known, and the one that is down is not asked; so the other is combined alone.
    let known = world.ask_of(1, &PLAIN);
    assert_eq!(world.number(known), 2.0);
    world.core.replica_up(now_ns, replica, FLOAT, 1, ROWS);
    let unknown = world.ask_of(2, &PLAIN);
    world.answer(0, 2.0);
    world.take(1);
    world.advance(SLO_NS);
    assert_eq!((world.number(unknown), world.told(unknown).confidence), (2.0, Some(0.5)));
    world.say(1, &0.0_f32.to_le_bytes());
    world.assert_empty();
}

#[test]
fn how_full_the_caches_are_is_published_with_the_other_gauges() {
    let mut world = cached(Setup::vote(2));
    world.ask_of(1, &PLAIN);
    let entries = |world: &World| {
        world.core.publish_gauges();
        world.caches.iter().map(|cache| cache.entries.get()).collect::<Vec<_>>()
    };
    assert_eq!(entries(&world), [1, 1]);
    [0, 1].into_iter().for_each(|model| world.answer(model, 5.0));
    world.ask_of(2, &PLAIN);
    assert_eq!(entries(&world), [2, 2]);
}
