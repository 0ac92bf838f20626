//! Several models for one query, and queries with deadlines of their own.

use super::fleet::{ITEM_MESSAGE, Input};
use super::oracle::Given;
use super::world::{Event, MS, Setup, US, World};
use crate::Asked;
use crate::limits::{LEAD_NS_MAX, LEAD_STEPS};
use crate::stats::Reason;

/// Both models are asked; the first takes 5 ms, the second 1 ms.
fn slow_and_quick() -> Setup {
    let mut setup = Setup::models(2);
    setup.machines[0].service.fixed_ns = 5 * MS;
    setup
}

fn answered(setup: &Setup, input: Input) -> World {
    let mut world = setup.build_up();
    world.query_at(0, input);
    world.finish();
    world
}

#[test]
fn the_output_of_the_first_model_is_told_even_if_another_is_quicker() {
    let world = answered(&slow_and_quick(), Input::Good);
    assert_eq!(world.answer(0), (5 * MS, Given::Prediction));
}

#[test]
fn an_output_that_nothing_can_precede_any_more_is_told_at_once() {
    let mut setup = slow_and_quick();
    setup.applications[0].models = vec![1, 0];
    let world = answered(&setup, Input::Good);
    assert_eq!(world.answer(0), (MS, Given::Prediction));
}

#[test]
fn when_the_first_model_fails_the_second_is_told() {
    let world = answered(&slow_and_quick(), Input::FailsItem);
    assert_eq!(world.answer(0), (5 * MS, Given::Prediction));
}

#[test]
fn when_all_fail_the_last_of_them_says_why() {
    let mut setup = slow_and_quick();
    setup.applications[0].models = vec![1];
    let world = answered(&setup, Input::FailsItem);
    let expected = Given::Default(Reason::ModelError, ITEM_MESSAGE.to_vec());
    assert_eq!(world.answer(0), (MS, expected));
    let mut world = slow_and_quick().build_up();
    [0, 1].into_iter().for_each(|replica| world.at(0, Event::Break { replica, broken: true }));
    world.query_at(0, Input::Good);
    world.finish();
    assert!(matches!(world.answer(0), (_, Given::Default(Reason::ModelError, _))));
}

#[test]
fn at_the_deadline_what_is_there_is_told() {
    let mut setup = slow_and_quick();
    setup.machines[0].service.fixed_ns = 30 * MS;
    let world = answered(&setup, Input::Good);
    assert_eq!(world.answer(0), (20 * MS, Given::Prediction));
}

#[test]
fn once_it_is_known_what_handing_over_takes_answers_are_with_the_kernel_by_the_deadline() {
    let mut setup = slow_and_quick();
    setup.machines[0].service.fixed_ns = 30 * MS;
    setup.models[0].batch_timeout_ns = 200 * MS;
    setup.reply_ns = 300 * US;
    let mut world = setup.build_up();
    (0..200).for_each(|query| world.query_at(query * 100 * MS, Input::Good));
    world.finish();
    let took_ns = |number: usize| world.answer(number).0 - number as u64 * 100 * MS;
    assert_eq!(took_ns(0), 20 * MS, "nothing is known yet");
    let step_ns = LEAD_NS_MAX / LEAD_STEPS;
    for handed_over_ns in (50..200).map(|number| took_ns(number) + 300 * US) {
        assert!(handed_over_ns.abs_diff(20 * MS) <= step_ns, "after {handed_over_ns} ns");
    }
    let late = world.stats.applications[0].late.get();
    assert!((1..25).contains(&late), "{late} of them were late, most of them the first");
}

#[test]
fn an_answer_that_comes_in_time_teaches_nothing_of_those_that_are_due() {
    let mut setup = Setup::models(2);
    setup.reply_ns = 300 * US;
    let mut world = setup.build_up();
    (0..100).for_each(|query| world.query_at(query * 100 * MS, Input::Good));
    world.at(100 * 100 * MS, Event::Hang { replica: 0 });
    world.query_at(101 * 100 * MS, Input::Good);
    world.finish();
    assert_eq!(world.answer(100).0, (101 * 100 + 20) * MS);
}

#[test]
fn a_model_that_is_not_there_is_not_waited_for() {
    let mut world = slow_and_quick().build();
    world.at(0, Event::Up { replica: 1 });
    let down = crate::Availability::Down;
    world.at(0, Event::Availability { model: 0, availability: down });
    world.query_at(MS, Input::Good);
    world.finish();
    assert_eq!(world.answer(0), (2 * MS, Given::Prediction));
}

#[test]
fn of_several_models_the_first_only_is_asked() {
    let mut setup = slow_and_quick();
    setup.applications[0].asked = Asked::First;
    let world = answered(&setup, Input::Good);
    assert_eq!(world.answer(0), (5 * MS, Given::Prediction));
    assert_eq!(world.oracle.batches.len(), 1);
}

#[test]
fn a_query_whose_client_goes_is_not_sent_to_those_that_it_still_waits_for() {
    let mut world = slow_and_quick().build_up();
    world.queries_at(0, 3);
    world.at(2 * MS, Event::Abandon { number: 2 });
    world.finish();
    let sent_to = |replica| {
        let batches = world.oracle.batches.iter().filter(move |sent| sent.replica == replica);
        batches.flat_map(|sent| sent.queries.clone()).collect::<Vec<usize>>()
    };
    assert_eq!((sent_to(0), sent_to(1)), (vec![0, 1], vec![0, 1, 2]));
}

#[test]
fn a_query_with_a_deadline_of_its_own_is_answered_by_then() {
    let mut world = Setup::simple().build();
    for timeout_ns in [Some(3 * MS), None, Some(50 * MS), Some(7 * MS)] {
        world.at(0, Event::Arrive { application: 0, input: Input::Good, timeout_ns });
    }
    world.finish();
    let answered_ns = [0, 1, 2, 3].map(|number| world.answer(number).0);
    assert_eq!(answered_ns, [3 * MS, 20 * MS, 50 * MS, 7 * MS]);
}

#[test]
fn whose_deadline_is_nearer_goes_first_and_nobody_waits_for_a_late_look() {
    let mut setup = Setup::simple();
    setup.models[0].depth = 1;
    setup.models[0].limit = crate::LimitPlan::Fixed { max: 1 };
    let mut world = setup.build_up();
    for timeout_ns in [None, None, Some(5 * MS)] {
        world.at(0, Event::Arrive { application: 0, input: Input::Good, timeout_ns });
    }
    world.finish();
    let order: Vec<usize> = world.oracle.batches.iter().flat_map(|b| b.queries.clone()).collect();
    assert_eq!(order, [0, 2, 1]);
    assert_eq!(world.answer(2), (2 * MS, Given::Prediction));
    // A timeout shorter than any prediction is kept too.
    let mut world = setup.build_up();
    world.at(0, Event::Arrive { application: 0, input: Input::Good, timeout_ns: Some(100 * US) });
    world.finish();
    assert_eq!(world.answer(0).0, 100 * US);
}
