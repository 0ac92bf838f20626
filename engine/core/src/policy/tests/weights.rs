//! Exp3, Exp3-IX and Exp4 against weights that are multiplied as the papers write it.

use super::*;
use crate::limits::LOG_WEIGHT_MIN;

/// Weights as plain numbers, multiplied and dealt out.
fn slow(history: &[Seen], eta: f64, implicit: f64, share: f64) -> [f64; 3] {
    let mut weights = [1.0; 3];
    for seen in history {
        weights[seen.model] *= (-eta * seen.loss / (seen.propensity + implicit)).exp();
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight = (1.0 - share) * *weight + share * sum / 3.0);
    }
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

fn history() -> Vec<Seen> {
    let mut random = Random::new(SEED);
    let seen = |place: usize| Seen {
        model: place * place % 3,
        loss: random.uniform(),
        propensity: 0.2 + 0.8 * random.uniform(),
    };
    (0..300).map(seen).collect()
}

#[test]
fn exp3_and_exp3_ix_multiply_weights_as_their_papers_say() {
    let cases = [
        (Exp3::new(0.1, 0.0, 0.0), 0.0, 0.0),
        (Exp3::new(0.1, 0.0, 0.01), 0.0, 0.01),
        (Exp3::ix(0.1, 0.0, 0.0), 0.05, 0.0),
        (Exp3::ix(0.1, 0.0, 0.01), 0.05, 0.01),
    ];
    for (policy, implicit, share) in cases {
        let policy = policy.unwrap();
        let mut state = policy.init(3);
        history().iter().for_each(|seen| observe(&policy, &mut state, &[*seen]));
        let found = propensities(&policy, &state, Models::first(3));
        assert_near(&found[..3], &slow(&history(), 0.1, implicit, share), 1e-12);
    }
}

#[test]
fn the_first_step_of_exp3_is_the_one_computed_by_hand() {
    // A loss of 1, asked with 1/2, at η = ln 2 / 2: the weight is halved.
    let policy = Exp3::new(2.0_f64.ln() / 2.0, 0.0, 0.0).unwrap();
    let mut state = policy.init(2);
    observe(&policy, &mut state, &[Seen { model: 1, loss: 1.0, propensity: 0.5 }]);
    let found = propensities(&policy, &state, Models::first(2));
    assert_near(&found, &per_model(&[2.0 / 3.0, 1.0 / 3.0]), 1e-12);
}

#[test]
fn exp4_weighs_models_by_the_sum_of_what_they_lost() {
    let policy = Exp4::new(0.3, 0.0).unwrap();
    let mut state = policy.init(4);
    let (mut random, mut sums) = (Random::new(SEED), [0.0; 4]);
    for _ in 0..100 {
        let losses = sums.map(|_| random.uniform());
        sums.iter_mut().zip(losses).for_each(|(sum, loss)| *sum += loss);
        lose_all(&policy, &mut state, &losses);
    }
    let weights = sums.map(|sum: f64| (-0.3 * sum).exp());
    let sum: f64 = weights.iter().sum();
    let expected = weights.map(|weight| weight / sum);
    assert_near(&policy.weights(&state, Models::first(4))[..4], &expected, 1e-12);
}

#[test]
fn exp4_leaves_its_part_to_a_model_that_said_nothing() {
    let policy = Exp4::new(1.0, 0.0).unwrap();
    let mut state = policy.init(3);
    lose(&policy, &mut state, 0, 1.0);
    let alone = policy.weights(&state, Models::first(3));
    assert_near(&alone, &per_model(&[1.0 / 3.0; 3]), 1e-12);
    let losses = [0, 1].map(|model| Seen { model, loss: model as f64, propensity: 1.0 });
    observe(&policy, &mut state, &losses);
    let found = policy.weights(&state, Models::first(3));
    let kept = 2.0 / 3.0 / (1.0 + (-1.0_f64).exp());
    assert_near(&found, &per_model(&[kept, kept * (-1.0_f64).exp(), 1.0 / 3.0]), 1e-12);
}

#[test]
fn no_weight_leaves_its_bounds_however_much_is_lost_at_however_small_a_propensity() {
    for policy in [
        &Exp3::new(10.0, 0.0, 0.0).unwrap() as &dyn Policy,
        &Exp3::ix(10.0, 0.0, 0.0).unwrap(),
        &Exp4::new(10.0, 0.0).unwrap(),
    ] {
        for models in 1..=3 {
            let mut state = policy.init(models);
            for round in 0..1_000 {
                let propensity = if round % 2 == 0 { f64::MIN_POSITIVE / 1e9 } else { 1.0 };
                let model = round % 7 % models;
                observe(policy, &mut state, &[Seen { model, loss: 1.0, propensity }]);
                assert!(policy.is_sound(&state), "{policy:?}: {state:?}");
                let weights = policy.weights(&state, Models::first(models));
                assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            }
            assert!(state.words().iter().all(|word| (LOG_WEIGHT_MIN..=0.0).contains(word)));
        }
    }
}

#[test]
fn with_a_share_no_model_has_less_than_its_part_of_it() {
    let policy = Exp4::new(1.0, 0.01).unwrap();
    let mut state = policy.init(2);
    (0..1_000).for_each(|_| lose_all(&policy, &mut state, &[0.0, 1.0]));
    let least = policy.weights(&state, Models::first(2))[1];
    assert!((0.005..0.01).contains(&least), "{least}");
}
