//! Which calls go into a batch, and which are given up for those behind them.

use super::fleet::{Input, Service};
use super::oracle::Given;
use super::world::{ApplicationSetup, Event, MS, Setup, US, World};
use crate::LimitPlan;
use crate::batching::{Cost, Forming};
use crate::stats::{Reason, Why};

const TAUGHT_NS: u64 = 200 * MS;

/// One replica, 20 ms for a query. How long a batch takes is known by now, and one of ten is
/// running, from 0 ms on.
fn busy(service: Service) -> World {
    let mut setup = Setup::simple();
    setup.machines[0].service = service;
    setup.models[0].limit = LimitPlan::Fixed { max: 64 };
    let mut world = setup.build_up();
    (0..10).for_each(|round| world.queries_at(round * 19 * MS, 1 + (round % 3) as usize));
    // The first that comes goes alone, and lets the others gather.
    world.queries_at(TAUGHT_NS - service.of(1), 1);
    world.queries_at(TAUGHT_NS - service.of(1) + 1, 10);
    world.run_until(TAUGHT_NS);
    assert_eq!(world.batch_sizes().last(), Some(&10));
    world
}

fn arrive(world: &mut World, after_ms: u64, count: usize) -> std::ops::Range<usize> {
    let first = world.oracle.queries.len();
    (0..count).for_each(|_| world.query_at(TAUGHT_NS + after_ms * MS, Input::Good));
    world.run_until(TAUGHT_NS + after_ms * MS);
    first..first + count
}

fn all_predicted(world: &World, mut numbers: std::ops::Range<usize>) -> bool {
    numbers.all(|number| world.answer(number).1 == Given::Prediction)
}

fn late() -> Given {
    Given::Default(Reason::Late, Vec::new())
}

/// Batches of 4 ms and 1 ms a row: ten take 14 ms.
const SMALL: Service = Service { fixed_ns: 4 * MS, per_item_ns: MS };

/// At 14 ms the head has 7 ms left: a batch of three. The other four then begin at 21 ms and are
/// done at 29, in time.
#[test]
fn a_batch_is_small_enough_for_its_first_query_when_the_rest_can_wait() {
    let mut world = busy(SMALL);
    let head = arrive(&mut world, 1, 1);
    let others = arrive(&mut world, 10, 6);
    world.finish();
    assert!(all_predicted(&world, head) && all_predicted(&world, others));
    assert!(world.batch_sizes().ends_with(&[10, 3, 4]));
    assert_eq!(world.stats.models[0].formed(Why::Deadline).get(), 1);
}

/// With eight others, six would begin at 21 ms and be done at 31, too late. Without the head, all
/// eight are done at 26.
#[test]
fn the_first_query_is_given_up_when_serving_it_would_make_others_late() {
    let mut world = busy(SMALL);
    let head = arrive(&mut world, 1, 1);
    let others = arrive(&mut world, 10, 8);
    world.finish();
    assert_eq!(world.answer(head.start), (TAUGHT_NS + 13_900 * US, late()));
    assert!(all_predicted(&world, others));
    assert!(world.batch_sizes().ends_with(&[10, 8]));
    assert_eq!(world.stats.models[0].formed(Why::LookAhead).get(), 1);
}

/// With another replica that is free, those behind the head go there.
#[test]
fn nothing_is_given_up_for_those_whom_another_replica_can_take() {
    let mut setup = Setup::replicas(2);
    setup.machines.iter_mut().for_each(|machine| machine.service = SMALL);
    setup.models[0].limit = LimitPlan::Fixed { max: 3 };
    let mut world = setup.build();
    world.queries_at(0, 6);
    (0..2).for_each(|replica| world.at(MS, Event::Up { replica }));
    world.finish();
    assert_eq!(world.batch_sizes(), [3, 3]);
    assert!(all_predicted(&world, 0..6));
}

/// Batches of 9 ms and 0.1 ms a row: those of thirty take 12 ms, more than half of the SLO.
const HIGH: Service = Service { fixed_ns: 9 * MS, per_item_ns: MS / 10 };
/// Batches of 5 ms and 0.1 ms a row: those of thirty take 8 ms.
const LARGE: Service = Service { fixed_ns: 5 * MS, per_item_ns: MS / 10 };

/// At 6 ms, when the ten are back, the head has 5.5 ms left and 20 wait: all of them take 7.1 ms,
/// so the head is given up, although a batch of five would save it.
#[test]
fn where_batches_are_large_all_that_waits_goes_together() {
    let mut world = busy(LARGE);
    let head = world.oracle.queries.len();
    let timeout_ns = Some(10 * MS + MS / 2);
    let arrival = Event::Arrive { application: 0, input: Input::Good, timeout_ns };
    world.at(TAUGHT_NS + MS, arrival);
    let others = arrive(&mut world, 2, 20);
    world.finish();
    assert_eq!(world.answer(head), (TAUGHT_NS + 5_900 * US, late()));
    assert!(all_predicted(&world, others.start + 1..others.end));
    assert!(world.batch_sizes().ends_with(&[10, 20]));
}

/// The same where thirty are no small batch: at 10 ms the head has 9.3 ms left, for three rows.
#[test]
fn where_they_are_not_the_first_is_saved_if_the_rest_can_wait() {
    let mut world = busy(HIGH);
    let head = arrive(&mut world, 0, 1);
    world.finish();
    assert!(all_predicted(&world, head));
}

/// A call that waits alone goes a shorter way, but for one behind the entry of a client that has
/// gone. Both give it up, or send it, at the same time.
#[test]
fn one_that_waits_alone_goes_as_it_does_behind_one_that_is_gone() {
    let outcome_with = |timeout_ns: u64, gone: bool| {
        let mut world = busy(SMALL);
        if gone {
            let number = arrive(&mut world, 1, 1).start;
            world.at(TAUGHT_NS + MS, Event::Abandon { number });
        }
        let number = world.oracle.queries.len();
        let timeout_ns = Some(timeout_ns);
        let arrival = Event::Arrive { application: 0, input: Input::Good, timeout_ns };
        world.at(TAUGHT_NS + 2 * MS, arrival);
        world.finish();
        let why = Why::ALL.map(|why| world.stats.models[0].formed(why).get());
        (world.answer(number), world.batch_sizes(), world.limit(0), why)
    };
    let timeouts = (8..24).map(|ms| ms * MS);
    let alone: Vec<_> = timeouts.clone().map(|ns| outcome_with(ns, false)).collect();
    let behind: Vec<_> = timeouts.map(|ns| outcome_with(ns, true)).collect();
    assert_eq!(alone, behind);
    let predicted = alone.iter().filter(|(answer, ..)| answer.1 == Given::Prediction).count();
    assert!((1..alone.len()).contains(&predicted), "{predicted} of {}", alone.len());
}

/// Inputs of 4 bytes and of 60, batches of 240 bytes, each of which takes 0.1 ms.
fn by_bytes(queries: &[(usize, usize)]) -> World {
    let mut setup = Setup::simple();
    setup.models[0].forming = Forming { cost: Cost::Bytes, ..Forming::default() };
    setup.models[0].limit = LimitPlan::Fixed { max: 240 };
    setup.applications = [4, 60]
        .map(|input_bytes| ApplicationSetup {
            input_bytes,
            ..ApplicationSetup::of(200 * MS, 512, Some(0))
        })
        .to_vec();
    let mut world = setup.build_up();
    world.machines[0].plan.service.fixed_ns = MS;
    world.machines[0].per_byte_ns = 100 * US;
    // It is told how long inputs are by batches of each, and is busy when the queries come.
    for round in 0..20 {
        arrive_at(&mut world, round * 100 * MS, usize::from(round % 4 == 0));
    }
    for (application, count) in queries {
        (0..*count).for_each(|_| arrive_at(&mut world, 1_901 * MS, *application));
    }
    world.finish();
    world
}

fn arrive_at(world: &mut World, at_ns: u64, application: usize) {
    world.at(at_ns, Event::Arrive { application, input: Input::Good, timeout_ns: None });
}

#[test]
fn a_batch_is_as_large_as_its_bytes_where_bytes_count() {
    for (queries, expected) in [
        (&[(0, 120)][..], vec![60, 60]),
        (&[(1, 6)], vec![4, 2]),
        (&[(1, 3), (0, 30)], vec![18, 15]),
    ] {
        let world = by_bytes(queries);
        assert_eq!(world.batch_sizes()[20..], expected);
    }
}
