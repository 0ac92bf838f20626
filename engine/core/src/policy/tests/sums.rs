//! Policies over counts and sums, against the whole history.

use super::*;

/// What was seen: a model and its loss, the oldest first.
fn history() -> Vec<(usize, f64)> {
    let mut random = Random::new(SEED);
    (0..200).map(|place| (place * place % 3, random.uniform())).collect()
}

/// Count and losses of a model, with each observation discounted by its age.
fn slow(discount: f64, model: usize) -> (f64, f64) {
    let seen = history().into_iter().rev().zip(0..).filter(|((of, _), _)| *of == model);
    seen.map(|((_, loss), age)| (discount.powi(age), loss))
        .fold((0.0, 0.0), |(count, losses), (part, loss)| (count + part, losses + part * loss))
}

fn trained(policy: &dyn Policy) -> State {
    let mut state = policy.init(4);
    history().into_iter().for_each(|(model, loss)| lose(policy, &mut state, model, loss));
    state
}

#[test]
fn what_was_seen_counts_for_less_with_each_later_observation() {
    for discount in [1.0, 0.99, 0.6] {
        let state = trained(&EpsilonGreedy::new(0.1, discount).unwrap());
        for model in 0..4 {
            let (count, losses) = slow(discount, model);
            assert_near(&state.words()[2 * model..][..2], &[count, losses], 1e-9);
        }
    }
}

#[test]
fn epsilon_greedy_asks_the_best_mean_and_the_others_with_epsilon_together() {
    let policy = EpsilonGreedy::new(0.3, 1.0).unwrap();
    let mut state = policy.init(3);
    for (model, losses) in [[0.8, 0.8], [0.0, 0.2], [0.4, 0.6]].into_iter().enumerate() {
        losses.into_iter().for_each(|loss| lose(&policy, &mut state, model, loss));
    }
    let found = propensities(&policy, &state, Models::first(3));
    assert_near(&found, &per_model(&[0.1, 0.8, 0.1]), 1e-12);
    let without = propensities(&policy, &state, Models::only(0).with(2));
    assert_near(&without, &per_model(&[0.15, 0.0, 0.85]), 1e-12);
}

#[test]
fn equals_are_asked_with_the_same_chance_and_the_unknown_count_as_perfect() {
    let policy = EpsilonGreedy::new(0.0, 1.0).unwrap();
    let mut state = policy.init(3);
    let found = propensities(&policy, &state, Models::first(3));
    assert_near(&found, &per_model(&[1.0 / 3.0; 3]), 1e-12);
    lose(&policy, &mut state, 1, 0.1);
    let found = propensities(&policy, &state, Models::first(3));
    assert_near(&found, &per_model(&[0.5, 0.0, 0.5]), 1e-12);
}

#[test]
fn ucb1_asks_the_largest_bound_of_its_paper() {
    for discount in [1.0, 0.98] {
        let policy = Ucb1::new(discount).unwrap();
        let state = trained(&policy);
        let sums: [(f64, f64); 3] = std::array::from_fn(|model| slow(discount, model));
        // Of `place * place % 3` the third model is none.
        let total: f64 = sums.iter().map(|(count, _)| count).sum();
        let known = sums[..2]
            .iter()
            .map(|(count, losses)| 1.0 - losses / count + (2.0 * total.ln() / count).sqrt());
        let known: Vec<f64> = known.collect();
        let best = usize::from(known[1] > known[0]);
        let asked = propensities(&policy, &state, Models::first(2));
        assert_eq!(asked, Models::only(best).map(|_| 1.0));
        let asked = propensities(&policy, &state, Models::first(3));
        assert_eq!(asked, per_model(&[0.0, 0.0, 1.0]), "one that is not known comes first");
    }
}

#[test]
fn ucb1_by_hand_prefers_the_less_known_of_two_equal_means() {
    let policy = Ucb1::new(1.0).unwrap();
    let mut state = policy.init(2);
    (0..3).for_each(|_| lose(&policy, &mut state, 0, 0.5));
    lose(&policy, &mut state, 1, 0.5);
    assert_eq!(propensities(&policy, &state, Models::first(2)), per_model(&[0.0, 1.0]));
}
