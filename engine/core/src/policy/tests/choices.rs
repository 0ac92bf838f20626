//! What is chosen, and how often.

use super::*;

/// Beyond it lies one chi-squared in 10,000, with four degrees of freedom.
const CHI_SQUARED_MAX: f64 = 23.5;
const DRAWS: usize = 5_000;

/// A state that has learned something.
fn trained(policy: &dyn Policy) -> State {
    let mut state = policy.init(5);
    let losses = bernoulli([0.76, 0.65, 0.83, 0.54, 0.91]);
    play(policy, &mut state, 60, &mut Random::new(SEED), losses);
    state
}

#[test]
fn each_model_is_asked_as_often_as_its_propensity_says_whoever_can_be_asked() {
    for policy in policies() {
        let state = trained(&*policy);
        for servable in [Models::first(5), Models::only(0).with(2).with(4), Models::only(3)] {
            let expected = propensities(&*policy, &state, servable);
            let (mut random, mut asked) = (Random::new(SEED), [0; LINKS_MAX]);
            for _ in 0..DRAWS {
                let selection = policy.select(&state, ask(servable), &mut random).unwrap();
                assert_eq!(selection.propensities, expected);
                selection.models.iter().for_each(|model| asked[model] += 1);
            }
            let chi_squared: f64 = (0..LINKS_MAX)
                .filter(|model| expected[*model] > 0.0)
                .map(|model| (expected[model] * DRAWS as f64, f64::from(asked[model])))
                .map(|(expected, asked)| (asked - expected).powi(2) / expected)
                .sum();
            assert!(chi_squared < CHI_SQUARED_MAX, "{policy:?}: {asked:?} for {expected:?}");
            let never = (0..LINKS_MAX).filter(|model| expected[*model] == 0.0);
            never.for_each(|model| assert_eq!(asked[model], 0, "{policy:?}"));
        }
    }
}

#[test]
fn propensities_of_one_choice_add_up_to_one_over_those_that_can_be_asked() {
    for policy in policies() {
        let state = trained(&*policy);
        for servable in [Models::first(5), Models::only(1).with(3), Models::only(4)] {
            let found = propensities(&*policy, &state, servable);
            let choice = policy.choose(&state, &ask(servable)).unwrap();
            let sum = if choice == Choice::All { servable.len() as f64 } else { 1.0 };
            assert!((found.iter().sum::<f64>() - sum).abs() < 1e-12, "{policy:?}: {found:?}");
            let outside = (0..LINKS_MAX).filter(|model| !servable.contains(*model));
            outside.for_each(|model| assert_eq!(found[model], 0.0, "{policy:?}"));
        }
    }
}

#[test]
fn shares_of_those_that_cannot_be_asked_go_to_the_others_in_proportion() {
    let policy = Exp3::new(0.5, 0.0, 0.0).unwrap();
    let mut state = policy.init(3);
    lose_all(&policy, &mut state, &[0.0, 0.4, 1.0]);
    let all = propensities(&policy, &state, Models::first(3));
    let two = propensities(&policy, &state, Models::only(0).with(2));
    assert_near(&[two[2] / two[0]], &[all[2] / all[0]], 1e-12);
}

#[test]
fn of_the_floor_each_model_that_can_be_asked_has_one_part() {
    let policy = Exp3::new(1.0, 0.3, 0.0).unwrap();
    let mut state = policy.init(4);
    (0..1_000).for_each(|_| lose_all(&policy, &mut state, &[0.0, 1.0, 1.0, 1.0]));
    let found = propensities(&policy, &state, Models::first(3));
    assert_near(&found, &per_model(&[0.8, 0.1, 0.1]), 1e-12);
}

#[test]
fn without_a_model_that_can_be_asked_nothing_is_selected() {
    for policy in policies() {
        let state = policy.init(3);
        for servable in [Models::default(), Models::only(3)] {
            let selected = policy.select(&state, ask(servable), &mut Random::new(1));
            assert_eq!(selected, Err(PolicyError::NothingServable), "{policy:?}");
        }
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for policy in policies() {
        let run = |seed| {
            let mut state = policy.init(5);
            let losses = bernoulli([0.76, 0.65, 0.83, 0.54, 0.91]);
            let selections = play(&*policy, &mut state, 500, &mut Random::new(seed), losses);
            (selections, state.bytes())
        };
        assert_eq!(run(7), run(7), "{policy:?}");
    }
}

#[test]
fn static_asks_its_model_and_the_first_that_can_be_asked_while_it_cannot() {
    let policy = Static { model: 2 };
    let state = policy.init(4);
    let asked = |servable| propensities(&policy, &state, servable);
    assert_eq!(asked(Models::first(4)), per_model(&[0.0, 0.0, 1.0]));
    assert_eq!(asked(Models::only(1).with(3)), per_model(&[0.0, 1.0]));
}

#[test]
fn ensembles_ask_all_that_can_be_asked() {
    let two = Models::only(0).with(2);
    for policy in [&Vote::majority() as &dyn Policy, &Exp4::new(0.1, 0.0).unwrap()] {
        let selected = policy.select(&policy.init(3), ask(two), &mut Random::new(1)).unwrap();
        assert_eq!(selected.models, two);
        assert_eq!(selected.propensities, per_model(&[1.0, 0.0, 1.0]));
    }
}
