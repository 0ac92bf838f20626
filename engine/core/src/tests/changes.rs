//! Applications, models and replicas that come and go while queries run.

use super::fleet::Input;
use super::oracle::Given;
use super::world::{ApplicationSetup, Event, MS, Setup, US};
use crate::Asked;
use crate::stats::Reason;

fn to(models: &[usize]) -> Event {
    Event::Relink { application: 0, models: models.to_vec(), asked: Asked::First }
}

/// Two models of 1 ms; the application asks the first.
fn two() -> Setup {
    let mut setup = Setup::models(2);
    setup.applications[0].models = vec![0];
    setup.applications[0].asked = Asked::First;
    setup
}

#[test]
fn a_switch_leaves_no_query_behind_and_the_next_one_asks_the_new_model() {
    let mut world = two().build_up();
    world.queries_at(0, 5);
    world.at(500 * US, to(&[1]));
    world.query_at(600 * US, Input::Good);
    world.finish();
    assert!((0..6).all(|number| world.answer(number).1 == Given::Prediction));
    let asked = |number: usize| world.oracle.queries[number].calls[0].model;
    assert_eq!([0, 1, 2, 3, 4, 5].map(asked), [0, 0, 0, 0, 0, 1]);
    assert_eq!(world.answer(5).0, 1_600 * US);
}

#[test]
fn a_rollback_is_the_same_step_and_finds_the_room_it_had() {
    let mut world = two().build_up();
    for (after_ms, model) in [(1, 1), (2, 0), (3, 1), (4, 0)] {
        world.at(after_ms * MS, to(&[model]));
        world.queries_at(after_ms * MS, 3);
    }
    world.finish();
    assert!((0..12).all(|number| world.answer(number).1 == Given::Prediction));
}

#[test]
fn a_model_goes_when_its_last_batch_is_back_and_not_before() {
    let mut world = two().build_up();
    world.queries_at(0, 3);
    world.at(500 * US, to(&[1]));
    world.at(600 * US, Event::RetireModel { model: 0, back_after_ns: 10 * MS });
    // Two batches of one query are in flight, and one query waits.
    world.run_until(2_900 * US);
    assert_eq!(world.core.view().models.len(), 2);
    world.run_until(3 * MS);
    assert_eq!(world.core.view().models.len(), 1);
    world.run_until(14 * MS);
    assert_eq!(world.core.view().models.len(), 2);
    world.finish();
    assert!((0..3).all(|number| world.answer(number).1 == Given::Prediction));
}

#[test]
fn an_application_that_goes_takes_its_queries_to_their_end() {
    let mut setup = Setup::simple();
    setup.applications.push(ApplicationSetup::of(30 * MS, 4, Some(0)));
    let mut world = setup.build_up();
    let arrive = |application| Event::Arrive { application, input: Input::Good, timeout_ns: None };
    world.at(0, arrive(1));
    world.at(100 * US, Event::RetireApplication { application: 1, back_after_ns: 5 * MS });
    world.at(200 * US, arrive(1));
    world.at(300 * US, arrive(0));
    world.run_until(MS);
    assert_eq!(world.core.view().applications.len(), 1);
    world.at(6_100 * US, arrive(1));
    world.finish();
    assert_eq!(
        world.oracle.queries.len(),
        3,
        "the one that came in between is refused by the port"
    );
    assert!((0..3).all(|number| world.answer(number).1 == Given::Prediction));
}

#[test]
fn a_replica_that_goes_finishes_what_it_has_and_gets_no_more() {
    let mut world = Setup::replicas(2).build_up();
    world.queries_at(0, 2);
    world.at(500 * US, Event::RetireReplica { replica: 0, back_after_ns: 10 * MS });
    world.queries_at(600 * US, 4);
    world.finish();
    assert!((0..6).all(|number| world.answer(number).1 == Given::Prediction));
    let of = |replica| world.oracle.batches.iter().filter(move |sent| sent.replica == replica);
    assert_eq!((of(0).count(), world.machines[0].lives_lost), (1, 1));
    assert_eq!(world.oracle.queries[0].calls[0].stops, 0, "it was not sent again");
}

#[test]
fn a_model_whose_last_replica_goes_answers_at_once() {
    let mut world = Setup::simple().build_up();
    world.at(0, Event::RetireReplica { replica: 0, back_after_ns: 10 * MS });
    world.query_at(MS, Input::Good);
    world.query_at(12 * MS, Input::Good);
    world.finish();
    assert_eq!(world.answer(0), (MS, Given::Default(Reason::NotReady, Vec::new())));
    assert_eq!(world.answer(1), (13 * MS, Given::Prediction));
}

#[test]
fn a_thousand_changes_under_load_leave_no_query_unanswered_and_nothing_behind() {
    let mut setup = Setup::models(3);
    setup.applications.push(ApplicationSetup::of(10 * MS, 32, Some(1)));
    setup.applications.push(ApplicationSetup::of(40 * MS, 16, Some(2)));
    let mut world = setup.build_up();
    for step in 0..450_u64 {
        let at_ns = step * 500 * US;
        let turn = usize::try_from(step % 3).expect("small");
        let application = turn;
        let back_after_ns = MS;
        world.at(
            at_ns,
            match step % 7 {
                0 => Event::RetireModel { model: turn, back_after_ns },
                1 => Event::RetireApplication { application, back_after_ns },
                2 => Event::RetireReplica { replica: turn, back_after_ns },
                3 => Event::Relink { application, models: vec![turn, 0, 2], asked: Asked::All },
                _ => Event::Relink { application, models: vec![2 - turn], asked: Asked::First },
            },
        );
        let arrive =
            |application| Event::Arrive { application, input: Input::Good, timeout_ns: None };
        (0..3).for_each(|application| world.at(at_ns + 100 * US, arrive(application)));
    }
    world.finish();
    assert!(world.changes_done() > 1_000, "{} changes", world.changes_done());
    let predicted = world.oracle.score(0, u64::MAX);
    assert!(predicted.share_in_time() > 0.5, "{predicted:?}");
}
