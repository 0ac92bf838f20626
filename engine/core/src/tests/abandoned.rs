//! Clients that go before their answer is there: what they asked for costs nobody anything.

use super::fleet::{Input, Service};
use super::oracle::Given;
use super::world::{ApplicationSetup, Event, MS, Setup, US, World};
use crate::stats::Reason;
use crate::{Availability, Death, LimitPlan};

const UP: Event = Event::Up { replica: 0 };

fn gone(world: &mut World, after_ns: u64, numbers: std::ops::Range<usize>) {
    numbers.for_each(|number| world.at(after_ns, Event::Abandon { number }));
}

#[test]
fn a_query_whose_client_has_gone_is_neither_computed_nor_answered_and_is_counted() {
    let mut world = Setup::simple().build();
    world.queries_at(0, 2);
    gone(&mut world, MS, 0..1);
    world.at(2 * MS, UP);
    world.finish();
    assert_eq!(world.batch_sizes(), [1]);
    assert_eq!(world.answer(1), (3 * MS, Given::Prediction));
    assert_eq!(world.stats.applications[0].cancelled.get(), 1);
}

#[test]
fn its_row_is_free_at_once_if_it_waits_and_with_its_batch_if_it_is_in_one() {
    let mut world = Setup::simple().build_up();
    world.queries_at(0, 5);
    gone(&mut world, 500 * US, 0..5);
    world.run_until(400 * US);
    assert_eq!(world.rows_in_use(), 5);
    world.run_until(600 * US);
    // The first two are in flight, one behind the other.
    assert_eq!(world.rows_in_use(), 2);
    world.run_until(MS);
    assert_eq!(world.rows_in_use(), 1);
    world.finish();
    assert_eq!(world.batch_sizes(), [1, 1]);
}

/// 4 ms and 0.1 ms a row: 200 together take longer than the 20 ms that a query has.
#[test]
fn two_hundred_that_ask_and_go_do_not_make_a_good_query_late() {
    let mut setup = Setup::simple();
    setup.applications[0].rows = 1_024;
    setup.models[0].limit = LimitPlan::Fixed { max: 1_024 };
    setup.machines[0].service = Service { fixed_ns: 4 * MS, per_item_ns: 100 * US };
    setup.machines[0].items_max = 1_024;
    let mut world = setup.build_up();
    for round in 0..3 {
        let at_ns = round as u64 * 100 * MS;
        world.queries_at(at_ns, 200);
        gone(&mut world, at_ns + 10 * US, round * 201..round * 201 + 200);
        world.query_at(at_ns + 20 * US, Input::Good);
    }
    world.finish();
    for round in 0..3 {
        assert_eq!(world.answer(round * 201 + 200).1, Given::Prediction);
    }
    assert!(world.stats.applications[0].cancelled.get() >= 3 * 198);
}

/// More come and go than the queue has room for, while no replica is up.
#[test]
fn those_that_went_take_nobodys_place_in_the_queue() {
    let mut setup = Setup::simple();
    setup.applications[0].rows = 8;
    let mut world = setup.build();
    world.query_at(0, Input::Good);
    for round in 0..100_usize {
        let at_ns = round as u64 * 10 * US;
        world.queries_at(at_ns + US, 7);
        gone(&mut world, at_ns + 2 * US, 1 + 7 * round..8 + 7 * round);
    }
    world.queries_at(2 * MS, 7);
    world.at(3 * MS, UP);
    world.finish();
    let answered = [0].into_iter().chain(701..708);
    for number in answered {
        assert_eq!(world.answer(number), (4 * MS, Given::Prediction));
    }
    assert_eq!(world.stats.applications[0].cancelled.get(), 700);
}

/// The first batch teaches 30 ms, so that nothing that waits then could be in time, as predicted;
/// but one that went could have been.
#[test]
fn an_idle_replica_is_tried_whatever_those_that_went_could_have_waited_for() {
    let mut setup = Setup::simple();
    setup.models[0].depth = 1;
    setup.machines[0].service.fixed_ns = 30 * MS;
    setup.applications.push(ApplicationSetup::of(100 * MS, 64, Some(0)));
    let mut world = setup.build_up();
    world.queries_at(0, 1);
    world.at(12 * MS, Event::Arrive { application: 1, input: Input::Good, timeout_ns: None });
    gone(&mut world, 13 * MS, 1..2);
    world.queries_at(14 * MS, 1);
    world.at(29 * MS, Event::Pace { replica: 0, percent: 10 });
    world.finish();
    assert_eq!(world.answer(2), (33 * MS, Given::Prediction));
}

#[test]
fn suspects_and_halves_whose_clients_went_are_not_sent_either() {
    let mut world = Setup::simple().build();
    world.queries_at(0, 4);
    world.at(MS, UP);
    world.at(1_500 * US, Event::Lost { replica: 0, death: Death::Crash });
    gone(&mut world, 2 * MS, 0..3);
    world.finish();
    assert_eq!(world.batch_sizes(), [4, 1]);
    assert_eq!(world.answer(3).1, Given::Prediction);
    let mut world = Setup::simple().build();
    (0..4).for_each(|_| world.query_at(0, Input::FailsBatch));
    world.at(MS, UP);
    gone(&mut world, 2_500 * US, 0..3);
    world.finish();
    assert_eq!(world.batch_sizes(), [4, 2, 2, 1]);
}

#[test]
fn who_went_is_not_answered_when_the_model_goes_down() {
    let mut world = Setup::simple().build();
    world.queries_at(0, 2);
    gone(&mut world, MS, 0..1);
    let availability = Availability::Down;
    world.at(2 * MS, Event::Availability { model: 0, availability });
    world.finish();
    assert_eq!(world.answer(1), (2 * MS, Given::Default(Reason::NotReady, Vec::new())));
}
