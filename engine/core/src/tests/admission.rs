//! What a query meets when it comes: no model, no replica, no row.

use std::sync::Arc;

use super::fleet::Input;
use super::oracle::Given;
use super::world::{Event, MS, START_NS, Setup, World};
use crate::stats::Reason;
use crate::{Availability, HandedOver};

fn default(reason: Reason) -> Given {
    Given::Default(reason, Vec::new())
}

/// Events at their times, and everything that comes of them.
fn lived_through(setup: &Setup, events: &[(u64, Event)]) -> World {
    let mut world = setup.build();
    events.iter().for_each(|(after_ns, event)| world.at(*after_ns, event.clone()));
    world.finish();
    world
}

const QUERY: Event = Event::Arrive { application: 0, input: Input::Good, timeout_ns: None };
const UP: Event = Event::Up { replica: 0 };
const DOWN: Event = Event::Availability { model: 0, availability: Availability::Down };

#[test]
fn an_application_without_a_model_is_answered_no_model_at_once() {
    let mut setup = Setup::simple();
    setup.applications[0].models.clear();
    let world = lived_through(&setup, &[(0, UP), (MS, QUERY)]);
    assert_eq!(world.answer(0), (MS, default(Reason::NoModel)));
}

#[test]
fn queries_wait_for_an_expected_replica_and_are_answered_not_ready_at_their_deadline() {
    let world = lived_through(&Setup::simple(), &[(MS, QUERY), (2 * MS, QUERY)]);
    assert_eq!(world.answer(0), (21 * MS, default(Reason::NotReady)));
    assert_eq!(world.answer(1), (22 * MS, default(Reason::NotReady)));
}

#[test]
fn queries_that_waited_are_predicted_when_a_replica_comes_up() {
    let world = lived_through(&Setup::simple(), &[(0, QUERY), (10 * MS, UP)]);
    assert_eq!(world.answer(0), (11 * MS, Given::Prediction));
}

#[test]
fn a_model_that_is_down_is_answered_not_ready_at_once() {
    let world = lived_through(&Setup::simple(), &[(MS, DOWN), (2 * MS, QUERY)]);
    assert_eq!(world.answer(0), (2 * MS, default(Reason::NotReady)));
}

#[test]
fn what_waits_is_answered_not_ready_when_the_model_goes_down() {
    let world = lived_through(&Setup::simple(), &[(MS, QUERY), (5 * MS, DOWN)]);
    assert_eq!(world.answer(0), (5 * MS, default(Reason::NotReady)));
}

#[test]
fn a_model_is_not_down_while_a_replica_is_up() {
    let world = lived_through(&Setup::simple(), &[(0, UP), (MS, DOWN), (2 * MS, QUERY)]);
    assert_eq!(world.answer(0), (3 * MS, Given::Prediction));
}

#[test]
fn a_replica_that_comes_up_ends_the_down() {
    let world = lived_through(&Setup::simple(), &[(MS, DOWN), (2 * MS, UP), (3 * MS, QUERY)]);
    assert_eq!(world.answer(0), (4 * MS, Given::Prediction));
}

#[test]
fn a_full_pool_gives_no_row_until_one_is_given_back() {
    let mut setup = Setup::simple();
    setup.applications[0].rows = 2;
    let mut world = setup.build();
    let application = world.application(0);
    let rows = [0; 3].map(|_| world.core.reserve(application));
    assert_eq!(rows, [Some(0), Some(1), None]);
    world.core.cancel(application, 1, 0);
    assert_eq!(world.core.reserve(application), Some(1));
}

#[test]
fn a_query_without_a_row_is_answered_overloaded_at_once() {
    let mut setup = Setup::simple();
    setup.applications[0].rows = 2;
    let world = lived_through(&setup, &[(0, QUERY), (0, QUERY), (MS, QUERY), (2 * MS, UP)]);
    assert_eq!(world.answer(0), (3 * MS, Given::Prediction));
    assert_eq!(world.answer(2), (MS, default(Reason::Overloaded)));
}

#[test]
fn a_row_is_kept_while_a_replica_reads_it_even_after_the_answer() {
    let mut setup = Setup::simple();
    setup.applications[0].rows = 1;
    setup.machines[0].service.fixed_ns = 30 * MS;
    let queries = [(0, QUERY), (25 * MS, QUERY), (31 * MS, QUERY)];
    let world = lived_through(&setup, &[&[(0, UP)], &queries[..]].concat());
    assert_eq!(world.answer(0), (20 * MS, default(Reason::Late)));
    assert_eq!(world.answer(1), (25 * MS, default(Reason::Overloaded)));
    assert_eq!(world.answer(2), (51 * MS, default(Reason::Late)));
}

#[test]
fn a_server_that_ends_answers_all_that_is_open_wherever_it_is() {
    let mut setup = Setup::simple();
    setup.models[0].depth = 1;
    let mut world = setup.build_up();
    world.queries_at(0, 3);
    world.run_until(MS / 2);
    assert!(!world.core.is_idle());
    let now_ns = world.oracle.now_ns;
    world.core.answer_all(now_ns, Reason::ShuttingDown, &mut world.oracle);
    assert!(world.core.is_idle());
    world.finish();
    let given = [0, 1, 2].map(|number| world.answer(number));
    assert_eq!(given, [0; 3].map(|_| (MS / 2, default(Reason::ShuttingDown))));
}

#[test]
fn an_answer_handed_over_after_the_deadline_is_late_whatever_it_carries() {
    let mut world = Setup::simple().build_up();
    world.queries_at(0, 1);
    world.finish();
    let (answered_ns, given) = world.answer(0);
    assert_eq!((answered_ns, given), (MS, Given::Prediction));
    let stats = Arc::clone(&world.stats);
    let stats = &stats.applications[0];
    for (after_ns, late) in [(20 * MS, 0), (20 * MS + 1, 1)] {
        let handed_over = HandedOver {
            application: world.application(0),
            queries: 1,
            arrived_ns: START_NS,
            deadline_ns: START_NS + 20 * MS,
            due_ns: START_NS + 20 * MS,
            answered_ns: START_NS + MS,
        };
        world.core.handed_over(&handed_over, START_NS + after_ns);
        assert_eq!(stats.late.get(), late);
    }
    let end_to_end = &stats.end_to_end;
    assert_eq!((end_to_end.count(), end_to_end.sum()), (2, 40 * MS + 1));
    let reply = &stats.reply;
    assert_eq!((reply.count(), reply.sum()), (2, 38 * MS + 1));
}
