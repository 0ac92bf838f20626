//! Which queries go together, to whom, and when they are not sent at all.

use super::fleet::Input;
use super::oracle::Given;
use super::world::{ApplicationSetup, Event, MS, Setup, US, World};
use crate::stats::Reason;
use crate::{Death, LimitPlan};

fn late() -> Given {
    Given::Default(Reason::Late, Vec::new())
}

fn replicas_used(world: &World) -> Vec<usize> {
    world.oracle.batches.iter().map(|sent| sent.replica).collect()
}

#[test]
fn a_batch_is_no_larger_than_the_container_takes() {
    let mut setup = Setup::simple();
    setup.machines[0].items_max = 4;
    let mut world = setup.build();
    world.queries_at(0, 10);
    world.at(MS, Event::Up { replica: 0 });
    world.finish();
    assert_eq!(world.batch_sizes(), [4, 4, 2]);
}

#[test]
fn a_batch_is_no_larger_than_the_limit() {
    let mut setup = Setup::simple();
    setup.models[0].limit = LimitPlan::Fixed { max: 7 };
    let mut world = setup.build();
    world.queries_at(0, 10);
    world.at(MS, Event::Up { replica: 0 });
    world.finish();
    assert_eq!(world.batch_sizes(), [7, 3]);
}

#[test]
fn the_earlier_deadline_goes_first_whatever_its_application() {
    let mut setup = Setup::simple();
    setup.models[0].limit = LimitPlan::Fixed { max: 2 };
    setup.applications = [50, 10].map(|slo| ApplicationSetup::of(slo * MS, 16, Some(0))).to_vec();
    let mut world = setup.build();
    for application in [0, 0, 1, 1] {
        world.at(0, Event::Arrive { application, input: Input::Good, timeout_ns: None });
    }
    world.at(MS, Event::Up { replica: 0 });
    world.finish();
    let sent: Vec<&[usize]> = world.oracle.batches.iter().map(|sent| &*sent.queries).collect();
    assert_eq!(sent, [[2, 3], [0, 1]]);
}

#[test]
fn the_least_occupied_replica_goes_first() {
    let mut world = Setup::replicas(2).build_up();
    world.queries_at(0, 4);
    world.finish();
    assert_eq!(replicas_used(&world), [0, 1, 0, 1]);
}

#[test]
fn two_replicas_share_a_load_that_is_too_much_for_one() {
    let mut setup = Setup::replicas(2);
    setup.models[0].limit = LimitPlan::Fixed { max: 1 };
    let mut world = setup.build_up();
    (0..100).for_each(|query| world.query_at(query * 600 * US, Input::Good));
    world.finish();
    let first = replicas_used(&world).iter().filter(|replica| **replica == 0).count();
    assert!((40..=60).contains(&first), "{first} of 100 batches went to the first");
    assert!((0..100).all(|query| world.answer(query).1 == Given::Prediction));
}

/// Batches of 9 ms, an SLO of 17 ms: what comes just after one has begun is not done in time by the
/// next one.
#[test]
fn a_query_that_would_be_late_is_not_sent() {
    let mut setup = Setup::simple();
    setup.applications[0].slo_ns = 17 * MS;
    setup.machines[0].service.fixed_ns = 9 * MS;
    let mut world = setup.build_up();
    [0, 10, 10, 11].into_iter().for_each(|at| world.queries_at(at * MS, 1));
    world.finish();
    assert_eq!(world.answer(2), (18_900 * US, late()));
    assert_eq!(world.oracle.queries[2].calls[0].sends, 0);
    assert_eq!(world.answer(3), (28 * MS, Given::Prediction));
    assert_eq!(world.stats.models[0].expired.get(), 1);
}

/// Batches of 9 ms, 16 ms objective: 2 ms of the first are left when the second query comes.
#[test]
fn the_time_that_a_running_batch_has_had_already_is_not_counted_again() {
    let mut setup = Setup::simple();
    setup.applications[0].slo_ns = 16 * MS;
    setup.machines[0].service.fixed_ns = 9 * MS;
    let mut world = setup.build_up();
    [0, 10, 17].into_iter().for_each(|at| world.queries_at(at * MS, 1));
    world.finish();
    assert_eq!(world.answer(2), (28 * MS, Given::Prediction));
}

/// Batches of 9 ms in the first life and of 1 ms in the second.
#[test]
fn a_new_incarnation_is_not_judged_by_the_one_before() {
    let mut setup = Setup::simple();
    setup.applications[0].slo_ns = 10 * MS;
    let mut world = setup.build_up();
    world.at(0, Event::Pace { replica: 0, percent: 900 });
    world.queries_at(0, 1);
    world.at(10 * MS, Event::Lost { replica: 0, death: Death::Stopped });
    world.queries_at(16 * MS, 2);
    world.finish();
    assert_eq!(world.answer(0), (9 * MS, Given::Prediction));
    assert_eq!(world.answer(2), (18 * MS, Given::Prediction));
}

/// The first batch takes 30 ms, so that the next one cannot be in time as far as is known.
#[test]
fn an_idle_replica_is_tried_whatever_is_predicted() {
    let mut setup = Setup::simple();
    setup.machines[0].service.fixed_ns = 30 * MS;
    setup.applications.push(ApplicationSetup::of(40 * MS, 64, Some(0)));
    let mut world = setup.build_up();
    world.queries_at(0, 1);
    world.at(31 * MS, Event::Pace { replica: 0, percent: 10 });
    world.queries_at(32 * MS, 1);
    world.finish();
    assert_eq!(world.answer(0), (20 * MS, late()));
    assert_eq!(world.answer(1), (35 * MS, Given::Prediction));
}

fn grown() -> World {
    let mut setup = Setup::simple();
    setup.models[0].limit = LimitPlan::Aimd { max: 64 };
    let mut world = setup.build_up();
    (0..10).for_each(|round| world.queries_at(round * 10 * MS, 60));
    world.run_until(500 * MS);
    assert!(world.limit(0) > 10, "the limit is {}", world.limit(0));
    world
}

#[test]
fn light_load_does_not_shrink_the_limit() {
    let mut world = grown();
    let limit = world.limit(0);
    (0..100).for_each(|query| world.queries_at(500 * MS + query * 5 * MS, 1));
    world.finish();
    assert_eq!(world.limit(0), limit);
}

#[test]
fn light_load_does_not_raise_the_limit() {
    let mut setup = Setup::simple();
    setup.models[0].limit = LimitPlan::Aimd { max: 64 };
    let mut world = setup.build_up();
    (0..100).for_each(|query| world.queries_at(query * 2 * MS, 1));
    world.finish();
    assert_eq!(world.limit(0), 1);
}

/// 15 times slower from 500 ms on, and so many queries, one after another.
fn slowed(queries: u64) -> World {
    let mut world = grown();
    world.at(500 * MS, Event::Pace { replica: 0, percent: 1_500 });
    (0..queries).for_each(|query| world.queries_at(501 * MS + query * 30 * MS, 1));
    world.finish();
    world
}

#[test]
fn a_stalled_batch_does_not_shrink_the_limit_and_is_counted() {
    let world = slowed(1);
    assert_eq!((world.limit(0), world.stats.models[0].stalls.get()), (grown().limit(0), 1));
}

#[test]
fn batches_beyond_the_objective_shrink_the_limit_from_the_third_in_a_row() {
    assert!(slowed(4).limit(0) < grown().limit(0));
}
