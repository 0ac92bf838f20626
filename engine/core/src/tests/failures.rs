//! Containers that die, hang, or are taken away.

use super::fleet::Input;
use super::oracle::Given;
use super::world::{Event, MS, START_NS, Setup, US, World};
use crate::Death;
use crate::stats::Reason;

const UP: Event = Event::Up { replica: 0 };
const CRASH: Event = Event::Lost { replica: 0, death: Death::Crash };
const STOP: Event = Event::Lost { replica: 0, death: Death::Stopped };

fn default(reason: Reason) -> Given {
    Given::Default(reason, Vec::new())
}

/// These inputs wait when the replicas come up after 1 ms, so that they make one batch.
fn in_one_batch(setup: &Setup, inputs: &[Input]) -> World {
    let mut world = setup.build();
    inputs.iter().for_each(|input| world.query_at(0, *input));
    (0..setup.machines.len()).for_each(|replica| world.at(MS, Event::Up { replica }));
    world
}

/// All batches: when they were sent, in µs, and which queries were in them.
fn sent(world: &World) -> Vec<(u64, &[usize])> {
    let after_us = |at_ns| (at_ns - START_NS) / US;
    world.oracle.batches.iter().map(|sent| (after_us(sent.at_ns), &*sent.queries)).collect()
}

fn lives_lost(world: &World) -> u32 {
    world.machines.iter().map(|machine| machine.lives_lost).sum()
}

#[test]
fn killed_replica_batch_is_answered_by_another() {
    let mut world = Setup::replicas(2).build_up();
    world.queries_at(0, 1);
    world.at(500 * US, CRASH);
    world.finish();
    assert_eq!(world.answer(0), (1_500 * US, Given::Prediction));
    let replicas: Vec<usize> = world.oracle.batches.iter().map(|sent| sent.replica).collect();
    assert_eq!(replicas, [0, 1]);
    assert_eq!(world.stats.models[0].redispatches.get(), 1);
}

#[test]
fn a_query_of_death_costs_two_lives_and_its_neighbours_are_predicted() {
    let mut inputs = [Input::Good; 5];
    inputs[2] = Input::Kills;
    let mut world = in_one_batch(&Setup::replicas(2), &inputs);
    world.finish();
    assert_eq!(lives_lost(&world), 2);
    let detail = b"the model's container died each time it was given this input".to_vec();
    assert_eq!(world.answer(2).1, Given::Default(Reason::ModelError, detail));
    let innocents = [0, 1, 3, 4].map(|number| world.answer(number).1);
    assert_eq!(innocents, [0; 4].map(|_| Given::Prediction));
}

#[test]
fn every_suspect_goes_alone_and_then_batches_go_on() {
    let mut world = in_one_batch(&Setup::simple(), &[Input::Good; 2]);
    world.at(1_500 * US, CRASH);
    world.queries_at(2 * MS, 3);
    world.finish();
    let expected: [(u64, &[usize]); 4] =
        [(1_000, &[0, 1]), (6_500, &[0]), (7_500, &[2, 3, 4]), (8_500, &[1])];
    assert_eq!(sent(&world), expected);
}

/// Ten suspects and a steady load, on one replica.
#[test]
fn suspects_and_batches_take_turns() {
    let mut world = in_one_batch(&Setup::simple(), &[Input::Good; 10]);
    world.at(1_500 * US, CRASH);
    (0..100).for_each(|query| world.query_at(6 * MS + query * 100 * US, Input::Good));
    world.finish();
    let after_the_crash = &world.batch_sizes()[1..];
    let suspects = |sizes: &[usize]| sizes.iter().filter(|size| **size == 1).count();
    let (first, rest) = after_the_crash.split_at(14);
    assert_eq!(suspects(first), 7, "{after_the_crash:?}");
    assert!(first.windows(2).all(|pair| (pair[0] == 1) != (pair[1] == 1)), "{first:?}");
    assert!(suspects(rest) <= 4, "{rest:?}");
}

/// The first has the batch that dies; the second takes the suspects one by one, with batches in
/// between, and the first, when it is back, makes batches of what has come meanwhile.
#[test]
fn one_replica_is_in_quarantine_and_the_other_goes_on() {
    let mut setup = Setup::replicas(2);
    setup.machines.iter_mut().for_each(|machine| machine.restart_ns = Some(MS / 10));
    let mut world = setup.build();
    world.queries_at(0, 12);
    world.at(MS, Event::Up { replica: 0 });
    world.at(1_200 * US, Event::Up { replica: 1 });
    world.at(1_500 * US, CRASH);
    (0..100).for_each(|query| world.query_at(2 * MS + query * 100 * US, Input::Good));
    world.finish();
    let of = |replica: usize| {
        let batches = world.oracle.batches.iter().filter(move |sent| sent.replica == replica);
        batches.map(|sent| sent.queries.iter().any(|query| *query < 12)).collect::<Vec<_>>()
    };
    // The oracle sees to it that no two suspects are in flight.
    assert!(of(0)[1..=10].iter().all(|suspects| !suspects), "{:?}", of(0));
    assert!(of(1).iter().filter(|suspect| **suspect).count() >= 6, "{:?}", of(1));
    assert!((0..112).all(|query| world.answer(query).1 == Given::Prediction));
}

/// The third batch takes the slot of the first, so that the second lies behind it.
#[test]
fn suspects_go_in_the_order_in_which_they_were_sent() {
    let mut world = Setup::simple().build_up();
    world.queries_at(0, 2);
    world.queries_at(500 * US, 1);
    world.at(1_950 * US, CRASH);
    world.finish();
    let expected: [(u64, &[usize]); 5] =
        [(0, &[0]), (0, &[1]), (1_900, &[2]), (6_950, &[1]), (7_950, &[2])];
    assert_eq!(sent(&world), expected);
}

#[test]
fn a_suspect_waits_until_its_replica_has_nothing_else_to_do() {
    let mut setup = Setup::replicas(2);
    setup.machines[0].restart_ns = None;
    let mut world = setup.build_up();
    world.queries_at(0, 4);
    world.at(500 * US, CRASH);
    world.finish();
    let expected: [(u64, &[usize]); 6] =
        [(0, &[0]), (0, &[1]), (0, &[2]), (0, &[3]), (2_000, &[0]), (3_000, &[2])];
    assert_eq!(sent(&world), expected);
}

#[test]
fn a_stopped_replicas_work_is_sent_again_as_a_batch() {
    let mut world = in_one_batch(&Setup::simple(), &[Input::Good; 3]);
    world.at(1_500 * US, STOP);
    world.finish();
    let expected: [(u64, &[usize]); 2] = [(1_000, &[0, 1, 2]), (6_500, &[0, 1, 2])];
    assert_eq!(sent(&world), expected);
}

#[test]
fn being_stopped_takes_none_of_a_querys_lives() {
    let mut setup = Setup::simple();
    setup.applications[0].slo_ns = 100 * MS;
    let mut world = setup.build_up();
    world.queries_at(0, 1);
    [(500, STOP), (6_000, STOP), (11_500, CRASH)]
        .into_iter()
        .for_each(|(after_us, event)| world.at(after_us * US, event));
    world.finish();
    assert_eq!(world.answer(0), (17_500 * US, Given::Prediction));
    assert_eq!(world.oracle.queries[0].calls[0].sends, 4);
}

#[test]
fn a_suspect_whose_replica_is_stopped_still_goes_alone() {
    let mut setup = Setup::simple();
    setup.applications[0].slo_ns = 100 * MS;
    let mut world = in_one_batch(&setup, &[Input::Good; 2]);
    world.at(1_500 * US, CRASH);
    world.at(7_000 * US, STOP);
    world.queries_at(8 * MS, 1);
    world.finish();
    let expected: [(u64, &[usize]); 5] =
        [(1_000, &[0, 1]), (6_500, &[0]), (12_000, &[1]), (13_000, &[2]), (14_000, &[0])];
    assert_eq!(sent(&world), expected);
}

#[test]
fn an_answered_suspect_gives_its_row_back_though_no_replica_is_up() {
    let mut setup = Setup::simple();
    setup.applications[0].rows = 2;
    setup.machines[0].restart_ns = Some(100 * MS);
    let mut world = in_one_batch(&setup, &[Input::Good; 2]);
    world.at(1_500 * US, CRASH);
    world.queries_at(21 * MS, 1);
    world.run_until(50 * MS);
    assert_eq!(world.answer(0), (20 * MS, default(Reason::NotReady)));
    assert_eq!(world.answer(2), (41 * MS, default(Reason::NotReady)));
    world.finish();
}

#[test]
fn a_batch_that_hangs_is_killed_after_its_timeout_and_its_work_goes_on() {
    let mut setup = Setup::replicas(2);
    setup.applications[0].slo_ns = 100 * MS;
    setup.models[0].batch_timeout_ns = 10 * MS;
    let mut world = setup.build_up();
    world.queries_at(0, 1);
    world.at(500 * US, Event::Hang { replica: 0 });
    world.finish();
    assert_eq!(world.answer(0), (11 * MS + 1, Given::Prediction));
    assert_eq!(lives_lost(&world), 1);
}

#[test]
fn the_timeout_counts_from_when_a_batch_began_to_run() {
    let mut setup = Setup::simple();
    setup.machines[0].service.fixed_ns = 8 * MS;
    setup.models[0].batch_timeout_ns = 10 * MS;
    let mut world = setup.build_up();
    world.queries_at(0, 2);
    world.finish();
    assert_eq!(world.answer(1), (16 * MS, Given::Prediction));
    assert_eq!(lives_lost(&world), 0);
}

#[test]
fn a_query_in_a_batch_that_hangs_is_answered_at_its_deadline() {
    let mut world = Setup::simple().build_up();
    world.query_at(0, Input::Hangs);
    world.finish();
    assert_eq!(world.answer(0), (20 * MS, default(Reason::Late)));
    assert_eq!(lives_lost(&world), 1);
}

#[test]
fn when_no_replica_will_be_back_what_was_in_flight_is_answered_at_once() {
    let mut setup = Setup::simple();
    setup.machines[0].restart_ns = None;
    let mut world = setup.build_up();
    world.queries_at(0, 1);
    world.at(500 * US, CRASH);
    world.finish();
    assert_eq!(world.answer(0), (500 * US, default(Reason::NotReady)));
}

#[test]
fn a_new_incarnation_starts_with_what_waited() {
    let mut world = Setup::simple().build_up();
    world.at(0, STOP);
    world.queries_at(MS, 3);
    world.at(2 * MS, UP);
    world.finish();
    let expected: [(u64, &[usize]); 1] = [(2_000, &[0, 1, 2])];
    assert_eq!(sent(&world), expected);
}
