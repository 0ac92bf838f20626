//! Batches that come back and say that they failed: who is guilty, who is tried again, and what a
//! model or a replica costs that fails whatever it is given.

use super::fleet::{BROKEN_MESSAGE, ITEM_MESSAGE, Input, batch_message};
use super::oracle::Given;
use super::world::{Event, MS, START_NS, Setup, US, World};
use crate::LimitPlan;
use crate::stats::Reason;

const SECOND_NS: u64 = 1_000 * MS;

fn model_error(text: &[u8]) -> Given {
    Given::Default(Reason::ModelError, text.to_vec())
}

/// So many inputs in one batch, after 1 ms, of which some make it fail.
fn in_one_batch(setup: &Setup, count: usize, bad: &[usize]) -> World {
    let mut world = setup.build();
    for number in 0..count {
        let input = if bad.contains(&number) { Input::FailsBatch } else { Input::Good };
        world.query_at(0, input);
    }
    world.at(MS, Event::Up { replica: 0 });
    world
}

/// All batches: when they were sent, in µs, and which queries were in them.
fn sent(world: &World) -> Vec<(u64, Vec<usize>)> {
    let after_us = |at_ns| (at_ns - START_NS) / US;
    let batches = world.oracle.batches.iter();
    batches.map(|sent| (after_us(sent.at_ns), sent.queries.clone())).collect()
}

#[test]
fn the_one_that_fails_a_batch_is_found_and_its_neighbours_are_predicted() {
    let mut world = in_one_batch(&Setup::simple(), 8, &[5]);
    world.finish();
    let expected = [
        (1_000, (0..8).collect()),
        (2_000, vec![0, 1, 2, 3]),
        (2_000, vec![4, 5, 6, 7]),
        (4_000, vec![4, 5]),
        // Formed before it is known that the other half has failed, and behind it.
        (4_900, vec![6, 7]),
        (5_900, vec![4]),
        (6_900, vec![5]),
    ];
    assert_eq!(sent(&world), expected);
    assert_eq!(world.answer(5), (8 * MS, model_error(&batch_message(5))));
    let innocents = [0, 1, 2, 3, 4, 6, 7];
    assert!(innocents.into_iter().all(|number| world.answer(number).1 == Given::Prediction));
    let stats = &world.stats.models[0];
    let counts = [&stats.batches_failed, &stats.items_failed, &stats.redispatches];
    assert_eq!(counts.map(crate::stats::Counter::get), [4, 1, 8 + 4 + 2]);
}

#[test]
fn every_guilty_one_is_told_its_own_failure() {
    let mut world = in_one_batch(&Setup::simple(), 16, &[0, 1, 15]);
    world.finish();
    for number in [0, 1, 15] {
        assert_eq!(world.answer(number).1, model_error(&batch_message(number)));
    }
    assert!((2..15).all(|number| world.answer(number).1 == Given::Prediction));
}

/// Batches of 6 ms one after another, and 20 ms for each query. The first teaches how long it
/// takes; the batch of the other two fails at 12 ms; the second of these cannot be in time any
/// more.
#[test]
fn who_cannot_be_tried_again_in_time_is_answered_without_the_words_of_another() {
    let mut setup = Setup::simple();
    setup.models[0].depth = 1;
    setup.machines[0].service.fixed_ns = 6 * MS;
    let mut world = setup.build_up();
    world.queries_at(0, 1);
    world.queries_at(MS, 1);
    world.query_at(MS, Input::FailsBatch);
    world.finish();
    assert_eq!(world.answer(1), (18 * MS, Given::Prediction));
    let Given::Default(Reason::ModelError, text) = world.answer(2).1 else { panic!("predicted") };
    assert!(text.starts_with(b"the batch in which this input was has failed"));
    assert_eq!((world.answer(2).0, world.oracle.queries[2].calls[0].sends), (18 * MS, 1));
}

#[test]
fn a_failed_item_is_answered_model_error_and_its_neighbours_are_predicted() {
    let mut world = Setup::simple().build();
    [Input::Good, Input::FailsItem, Input::Good]
        .into_iter()
        .for_each(|input| world.query_at(0, input));
    world.at(MS, Event::Up { replica: 0 });
    world.finish();
    let given = [0, 1, 2].map(|number| world.answer(number).1);
    assert_eq!(given, [Given::Prediction, model_error(ITEM_MESSAGE), Given::Prediction]);
    let stats = &world.stats.models[0];
    assert_eq!((stats.batches_failed.get(), stats.items_failed.get()), (0, 1));
}

#[test]
fn failed_batches_teach_neither_the_limit_nor_the_estimate() {
    let mut setup = Setup::simple();
    setup.models[0].limit = LimitPlan::Aimd { max: 64 };
    let mut world = setup.build_up();
    world.at(0, Event::Break { replica: 0, broken: true });
    (0..200).for_each(|round| world.queries_at(round * MS / 2, 4));
    world.run_until(200 * MS);
    assert_eq!(world.limit(0), 1);
    assert_eq!(world.core.replicas[world.replica(0)].estimate.predict(1, START_NS + 200 * MS), 0);
    world.finish();
}

/// A fixed limit of 16 and a load of 8 in each ms: what one replica can do in halves of batches.
fn two_of_which_the_first_is_broken() -> World {
    let mut setup = Setup::replicas(2);
    setup.applications[0].rows = 1_024;
    let mut world = setup.build_up();
    // It fails at once.
    world.at(0, Event::Pace { replica: 0, percent: 1 });
    world.at(0, Event::Break { replica: 0, broken: true });
    (0..8_000).for_each(|query| world.query_at(MS + query * MS / 8, Input::Good));
    world
}

#[test]
fn a_replica_that_fails_at_once_does_not_take_the_load_of_one_that_works() {
    let mut world = two_of_which_the_first_is_broken();
    world.finish();
    let answers = (0..8_000).map(|query| world.answer(query)).enumerate();
    let defaulted: Vec<_> = answers.filter(|(_, (_, given))| *given != Given::Prediction).collect();
    assert!(defaulted.is_empty(), "{defaulted:?}");
    let broken = world.oracle.batches.iter().filter(|sent| sent.replica == 0);
    let late = broken.filter(|sent| sent.at_ns > START_NS + 100 * MS).count();
    assert!((5..=10).contains(&late), "{late} batches in 900 ms to see whether it is well again");
}

#[test]
fn a_replica_that_works_again_gets_its_share_again() {
    let mut world = two_of_which_the_first_is_broken();
    world.at(500 * MS, Event::Break { replica: 0, broken: false });
    world.at(500 * MS, Event::Pace { replica: 0, percent: 100 });
    world.finish();
    let since_ns = START_NS + SECOND_NS;
    let later = world.oracle.batches.iter().filter(|sent| sent.at_ns > since_ns - 100 * MS);
    let (all, its) =
        later.fold((0, 0), |(all, its), sent| (all + 1, its + usize::from(sent.replica == 0)));
    assert!(its * 3 > all, "{its} of {all}");
}

/// Taking batches apart is not worth it any more: each query is tried once, by itself.
#[test]
fn a_model_that_fails_everything_costs_a_batch_for_each_query_and_no_more() {
    let mut setup = Setup::simple();
    setup.machines[0].service.fixed_ns = 100 * US;
    let mut world = setup.build_up();
    world.at(0, Event::Break { replica: 0, broken: true });
    (0..5_000).for_each(|query| world.query_at(query * 200 * US, Input::Good));
    world.queries_at(500 * MS, 16);
    world.finish();
    let settled = world.oracle.queries.iter().filter(|q| q.arrived_ns > START_NS + 10 * MS);
    assert!(settled.clone().all(|query| query.calls[0].sends <= 1));
    let sends: u32 = world.oracle.queries.iter().map(|query| query.calls[0].sends).sum();
    assert!(sends <= 5_016 + 64, "{sends} sends of 5,016 queries");
    assert_eq!(world.answer(4_000).1, model_error(BROKEN_MESSAGE));
}

#[test]
fn a_model_that_works_again_is_trusted_again() {
    let mut world = Setup::simple().build_up();
    world.at(0, Event::Break { replica: 0, broken: true });
    (0..1_000).for_each(|query| world.query_at(query * MS, Input::Good));
    world.at(500 * MS, Event::Break { replica: 0, broken: false });
    world.queries_at(600 * MS, 30);
    world.finish();
    assert!((502..1_030).all(|query| world.answer(query).1 == Given::Prediction));
    assert!(world.batch_sizes().into_iter().any(|size| size > 8));
}

/// Half of the inputs are bad, so that hardly a batch succeeds: still every good one is predicted.
#[test]
fn good_inputs_are_predicted_though_half_of_all_are_bad() {
    let mut world = Setup::simple().build_up();
    for query in 0..2_000_usize {
        let input = if query % 2 > 0 { Input::FailsBatch } else { Input::Good };
        world.query_at(query as u64 / 8 * 20 * MS, input);
    }
    world.finish();
    let good = (0..1_000).map(|query| world.answer(2 * query).1);
    let predicted = good.filter(|given| *given == Given::Prediction).count();
    assert!(predicted >= 990, "{predicted} of 1,000");
}

#[test]
fn the_first_failure_in_each_second_is_reported_for_its_model() {
    let mut world = Setup::simple().build_up();
    assert_eq!(world.core.take_failure_report(), None);
    [0, 10, 990, 1_010].into_iter().for_each(|at| world.query_at(at * MS, Input::FailsBatch));
    let mut reports = Vec::new();
    for after_ms in [5, 995, 1_015] {
        world.run_until(after_ms * MS);
        let texts = std::iter::from_fn(|| world.core.take_failure_report());
        reports.extend(texts.map(|report| (after_ms, report.model, report.text.into_vec())));
    }
    world.finish();
    let model = world.model(0);
    let expected = [(5, model, batch_message(0)), (1_015, model, batch_message(3))];
    assert_eq!(reports, expected);
}
