//! Whom queries ask.

use super::*;
use crate::Availability;

/// How many of so many queries ask each model; each is answered at once.
fn asked_of(world: &mut World, queries: usize) -> Vec<usize> {
    let mut counts = vec![0; world.models.len()];
    for _ in 0..queries {
        world.ask();
        for model in world.asked() {
            counts[model] += 1;
            world.answer(model, 1.0);
        }
    }
    counts
}

#[test]
fn one_model_is_asked_and_answered_with_the_propensity_that_is_noted() {
    let mut world = World::new(Setup::one_of(3));
    let counts = asked_of(&mut world, 300);
    assert_eq!(counts.iter().sum::<usize>(), 300);
    assert!(counts.iter().all(|count| *count > 60), "{counts:?}");
    for noted in world.heard.noted.values() {
        assert_eq!((noted.asked.len(), noted.servable), (1, Models::first(3)));
        assert!(noted.propensities.iter().all(|p| (p - 1.0 / 3.0).abs() < 1e-12));
        assert_eq!(noted.answer, Said::Class(1));
    }
    assert!(world.heard.told.values().all(|told| told.confidence.is_none()));
    world.assert_empty();
}

#[test]
fn the_same_seed_and_ids_give_the_same_choices() {
    let asked = |world: World| -> Vec<Models> {
        world.heard.noted.values().map(|noted| noted.asked).collect()
    };
    let run = || {
        let mut world = World::new(Setup::one_of(4));
        asked_of(&mut world, 50);
        asked(world)
    };
    assert_eq!(run(), run());
}

#[test]
fn who_is_not_ready_is_not_chosen_and_the_others_share_its_part() {
    let mut world = World::new(Setup::one_of(3));
    let (now_ns, replica) = (world.now_ns, world.replicas[1]);
    world.core.replica_lost(now_ns, replica, crate::Death::Crash, &mut world.heard);
    let counts = asked_of(&mut world, 100);
    assert_eq!((counts[1], counts[0] + counts[2]), (0, 100));
    let all = world.heard.noted.values();
    all.for_each(|noted| assert_eq!(noted.propensities, [0.5, 0.0, 0.5]));
    world.core.replica_up(now_ns, replica, FLOAT, 1, ROWS);
    assert!(asked_of(&mut world, 100)[1] > 10, "it is back");
}

#[test]
fn when_none_is_ready_who_is_being_started_is_chosen_and_who_is_down_is_not() {
    let mut world = World::new(Setup::one_of(2));
    let now_ns = world.now_ns;
    for replica in world.replicas.clone() {
        world.core.replica_lost(now_ns, replica, crate::Death::Crash, &mut world.heard);
    }
    let down = world.models[0];
    world.core.set_availability(now_ns, down, Availability::Down, &mut world.heard);
    (0..10).for_each(|_| {
        world.ask();
    });
    assert_eq!(world.asked(), [1]);
    let down = world.models[1];
    world.core.set_availability(now_ns, down, Availability::Down, &mut world.heard);
    let query = world.ask();
    assert_eq!(world.told(query).output, Err(Reason::NotReady));
    world.assert_empty();
}

#[test]
fn who_would_be_late_as_predicted_is_not_chosen() {
    let mut world = World::new(Setup::one_of(2));
    // A batch of model 0 takes longer than the SLO; the estimate knows it from then on.
    world.ask();
    while world.asked() != [0] {
        world.answer(1, 1.0);
        world.ask();
    }
    world.take(0);
    world.advance(SLO_NS + MS);
    world.say(0, &1.0_f32.to_le_bytes());
    let counts = asked_of(&mut world, 50);
    assert_eq!(counts, [0, 50]);
    assert_eq!(world.stats.arms[0].predicted_late.get(), 50);
    // It is tried again when it was silent for long: a wrong estimate heals.
    world.advance(10 * SLO_NS);
    assert!(asked_of(&mut world, 50)[0] > 5);
}

#[test]
fn who_is_taken_out_is_not_asked_and_a_cap_bounds_the_share_of_choices() {
    let mut caps = [1.0; LINKS_MAX];
    caps[0] = 0.1;
    let on = Models::first(3).without(2);
    let mut world = World::new(Setup { caps, on, ..Setup::one_of(3) });
    let counts = asked_of(&mut world, 200);
    assert_eq!(counts[2], 0);
    let all = world.heard.noted.values();
    all.for_each(|noted| {
        let expected = [0.1, 0.9, 0.0];
        let off = noted.propensities.iter().zip(expected).map(|(p, e)| (p - e).abs());
        assert!(off.sum::<f64>() < 1e-12, "{:?}", noted.propensities);
    });
}

#[test]
fn a_log_only_application_asks_its_baseline_alone() {
    let mode = Mode::LogOnly { baseline: 2 };
    let mut world = World::new(Setup { mode, ..Setup::one_of(3) });
    assert_eq!(asked_of(&mut world, 20), [0, 0, 20]);
    let all = world.heard.noted.values();
    all.for_each(|noted| assert_eq!(noted.propensities, [0.0, 0.0, 1.0]));
}

#[test]
fn a_baseline_was_certain_to_be_asked_whatever_the_policy_chose_beside_it() {
    let mode = Mode::Apprentice { baseline: 1 };
    let mut world = World::new(Setup { mode, ..Setup::one_of(2) });
    let counts = asked_of(&mut world, 100);
    assert_eq!(counts[1], 100);
    assert!(counts[0] > 20 && counts[0] < 80, "{counts:?}");
    let all = world.heard.noted.values();
    all.for_each(|noted| assert_eq!(noted.propensities, [0.5, 1.0]));
}

#[test]
fn an_application_with_a_policy_and_no_models_answers_the_default() {
    let mut world = World::new(Setup::vote(1));
    world.link(Vec::new(), None);
    let query = world.ask();
    assert_eq!(world.told(query).output, Err(Reason::NoModel));
    world.assert_empty();
}
