//! When batches are formed.

use super::fleet::{Input, Service};
use super::oracle::Given;
use super::world::{MS, Setup, US, World};
use crate::LimitPlan;
use crate::batching::Forming;
use crate::stats::Why;

/// The world is taught how long batches take before this time.
const TAUGHT_NS: u64 = 90 * MS;

/// One replica with batches of this service time, known by now.
fn taught(mut setup: Setup, service: Service) -> World {
    setup.machines.iter_mut().for_each(|machine| machine.service = service);
    setup.models[0].limit = LimitPlan::Fixed { max: 64 };
    let mut world = setup.build_up();
    for round in 0..5 {
        let replicas = u64::try_from(world.machines.len()).expect("few");
        (0..replicas).for_each(|_| world.queries_at(round * 18 * MS, 1));
    }
    world.run_until(TAUGHT_NS);
    world
}

fn fixed(service_ns: u64) -> Service {
    Service { fixed_ns: service_ns, per_item_ns: 0 }
}

/// What was sent after the lessons: when after them, in µs, and to whom how many.
fn sent(world: &World) -> Vec<(u64, usize, usize)> {
    let start_ns = super::world::START_NS + TAUGHT_NS;
    let later = world.oracle.batches.iter().filter(|sent| sent.at_ns >= start_ns);
    later.map(|sent| ((sent.at_ns - start_ns) / US, sent.replica, sent.queries.len())).collect()
}

fn arrive(world: &mut World, after_us: &[u64]) {
    let at_ns = |after_us: &u64| TAUGHT_NS + after_us * US;
    after_us.iter().for_each(|after_us| world.query_at(at_ns(after_us), Input::Good));
}

fn formed(world: &World, why: Why) -> u64 {
    world.stats.models[0].formed(why).get()
}

#[test]
fn a_second_batch_is_formed_a_lead_before_the_first_ends() {
    let mut world = taught(Setup::simple(), fixed(MS));
    let before = formed(&world, Why::JustInTime);
    arrive(&mut world, &[0, 100, 400, 899]);
    world.finish();
    assert_eq!(sent(&world), [(0, 0, 1), (900, 0, 3)]);
    assert_eq!(formed(&world, Why::JustInTime), before + 1);
}

#[test]
fn behind_a_batch_that_takes_long_none_is_formed_before_it_is_back() {
    let mut setup = Setup::simple();
    setup.applications[0].slo_ns = 100 * MS;
    let mut world = taught(setup, fixed(21 * MS));
    arrive(&mut world, &[20_000, 20_100, 40_950]);
    world.finish();
    assert_eq!(sent(&world), [(20_000, 0, 1), (41_000, 0, 2)]);
}

#[test]
fn batches_shorter_than_the_lead_are_always_two_under_way() {
    let mut world = taught(Setup::simple(), fixed(80 * US));
    arrive(&mut world, &[0, 10, 20]);
    world.finish();
    assert_eq!(sent(&world), [(0, 0, 1), (10, 0, 1), (80, 0, 1)]);
}

#[test]
fn of_several_replicas_the_next_batch_is_due_a_lead_before_one_ends_and_when_one_just_ended() {
    let mut setup = Setup::simple();
    setup.models[0].replicas = 2;
    setup.machines.push(setup.machines[0]);
    let mut world = taught(setup, fixed(MS));
    let start_ns = super::world::START_NS + TAUGHT_NS;
    arrive(&mut world, &[1_000, 1_800, 2_150]);
    let mut due_us = |now_us: u64, takes_ns| {
        world.run_until(TAUGHT_NS + now_us * US);
        let due_ns = world.core.next_form_ns(start_ns + now_us * US, takes_ns)?;
        Some((due_ns - start_ns) / US)
    };
    assert_eq!(due_us(500, MS), None, "both have been idle for long");
    assert_eq!(due_us(2_100, MS), Some(2_000), "one has just ended: a lead before now");
    assert_eq!(due_us(2_100, MS + 1), None, "its batches are too fast to be waited for");
    assert_eq!(due_us(2_200, MS), Some(3_050), "it runs again");
    assert_eq!(due_us(6_500, MS), None);
    world.finish();
}

#[test]
fn what_is_not_known_is_not_waited_for() {
    let mut world = Setup::simple().build_up();
    world.queries_at(0, 2);
    world.finish();
    assert_eq!(world.batch_sizes(), [1, 1]);
    assert_eq!(world.oracle.batches[0].at_ns, world.oracle.batches[1].at_ns);
}

fn waiting(wait_ns: u64) -> Setup {
    let mut setup = Setup::simple();
    setup.models[0].forming = Forming { wait_ns, ..Forming::default() };
    setup
}

#[test]
fn an_idle_replica_is_given_time_for_more_to_come() {
    let mut world = taught(waiting(2 * MS), fixed(MS));
    arrive(&mut world, &[0, 500, 1_900, 2_100]);
    world.finish();
    assert_eq!(sent(&world), [(2_000, 0, 3), (4_100, 0, 1)]);
    // What taught it has waited too, but the first.
    assert_eq!(formed(&world, Why::WaitOver), 4 + 2);
}

#[test]
fn nothing_is_waited_for_when_the_batch_is_full() {
    let mut world = taught(waiting(2 * MS), fixed(MS));
    arrive(&mut world, &vec![0; 63]);
    arrive(&mut world, &[300]);
    world.finish();
    assert_eq!(sent(&world), [(300, 0, 64)]);
}

/// 20 ms for a query, 1 ms for its batch.
#[test]
fn waiting_ends_where_the_first_could_not_be_in_time_any_more() {
    let mut world = taught(waiting(50 * MS), fixed(MS));
    arrive(&mut world, &[0, 7_000]);
    world.finish();
    assert_eq!(sent(&world), [(19_000, 0, 2)]);
    let last = world.oracle.queries.len() - 2;
    assert_eq!(world.answer(last), (TAUGHT_NS + 20 * MS, Given::Prediction));
    assert!(formed(&world, Why::Deadline) > 0);
}

/// Two replicas with batches of 8 ms. Both have a row; then one has two, and the other waits half
/// of 8 ms for its turn.
#[test]
fn the_only_idle_replica_waits_for_its_turn() {
    let mut world = taught(Setup::replicas(2), fixed(8 * MS));
    arrive(&mut world, &[0, 10, 1_000, 1_100, 7_905, 9_000]);
    world.finish();
    assert_eq!(sent(&world), [(0, 0, 1), (10, 1, 1), (7_900, 0, 2), (11_900, 1, 2)]);
}

#[test]
fn of_two_idle_replicas_one_begins_at_once() {
    let mut world = taught(Setup::replicas(3), fixed(9 * MS));
    arrive(&mut world, &[0, 10, 20, 1_000, 1_100, 9_100, 9_200]);
    world.finish();
    let begun = [(0, 0, 1), (10, 1, 1), (20, 2, 1), (8_900, 0, 2)];
    assert_eq!(sent(&world), [&begun[..], &[(9_100, 1, 1), (12_100, 2, 1)]].concat());
}

/// Batches of 17 ms: what has come 1 ms after the last began is to begin within 3 ms.
#[test]
fn no_turn_is_waited_for_past_what_the_first_query_allows() {
    let mut world = taught(Setup::replicas(2), fixed(17 * MS));
    arrive(&mut world, &[0, 100, 14_000, 14_100, 17_500]);
    world.finish();
    let begun = [(0, 0, 1), (100, 1, 1), (16_900, 0, 2)];
    assert_eq!(sent(&world), [&begun[..], &[(20_500, 1, 1)]].concat());
}

fn deferring() -> Setup {
    let mut setup = Setup::replicas(2);
    setup.models[0].forming = Forming { defer: true, ..Forming::default() };
    setup
}

/// The first is free after 8 ms. What comes meanwhile waits until then, although the second is
/// idle.
#[test]
fn deferred_batches_wait_until_another_replica_is_free() {
    let mut world = taught(deferring(), fixed(8 * MS));
    arrive(&mut world, &[0, 1_000, 7_000]);
    world.finish();
    assert_eq!(sent(&world), [(0, 0, 1), (7_900, 0, 2)]);
}

/// Batches of 11 ms: one that comes just after the first has begun must begin within 9 ms.
#[test]
fn deferred_batches_do_not_wait_for_one_that_is_free_too_late() {
    let mut world = taught(deferring(), fixed(11 * MS));
    arrive(&mut world, &[0, 1_000]);
    world.finish();
    assert_eq!(sent(&world), [(0, 0, 1), (1_000, 1, 1)]);
}
