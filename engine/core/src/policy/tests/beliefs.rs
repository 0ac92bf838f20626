//! Thompson sampling against integrals that are computed slowly.

use super::*;

const STEPS: usize = 20_000;

/// The chances of being the best by densities over [0, 1], on a grid so fine that ties are none.
fn slow(densities: &[&dyn Fn(f64) -> f64]) -> Vec<f64> {
    let at = |step: usize| (step as f64 + 0.5) / STEPS as f64;
    let scaled = |density: &&dyn Fn(f64) -> f64| {
        let sum: f64 = (0..STEPS).map(|step| density(at(step))).sum();
        1.0 / sum
    };
    let scales: Vec<f64> = densities.iter().map(scaled).collect();
    let mut below = vec![0.0; densities.len()];
    let mut chances = vec![0.0; densities.len()];
    for step in 0..STEPS {
        let all = densities.iter().zip(&scales).map(|(density, scale)| scale * density(at(step)));
        let masses: Vec<f64> = all.collect();
        for (model, mass) in masses.iter().enumerate() {
            let others = (0..densities.len()).filter(|other| *other != model);
            let lower: f64 = others.map(|other| below[other] + masses[other] / 2.0).product();
            chances[model] += mass * lower;
        }
        below.iter_mut().zip(&masses).for_each(|(below, mass)| *below += mass);
    }
    chances
}

/// A state in which each model has such sums.
fn known(policy: &dyn Policy, sums: [[f64; 2]; 3]) -> State {
    let mut state = policy.init(3);
    state.words_mut().copy_from_slice(sums.as_flattened());
    assert!(policy.is_sound(&state));
    state
}

/// Counts and losses: little, something and much known; close together; one far behind.
const KNOWN: [[[f64; 2]; 3]; 4] = [
    [[0.0, 0.0], [3.0, 1.0], [10.0, 4.0]],
    [[90.0, 9.0], [60.0, 5.0], [80.0, 12.0]],
    [[900.0, 20.0], [50.0, 0.0], [40.0, 38.0]],
    [[500.0, 250.0], [490.0, 250.0], [1.0, 1.0]],
];

#[test]
fn beta_chances_are_those_of_the_integral() {
    let policy = BetaThompson::new(0.999, 0.0).unwrap();
    for sums in KNOWN {
        let found = propensities(&policy, &known(&policy, sums), Models::first(3));
        let density = |[count, losses]: [f64; 2]| {
            let rewards = count - losses;
            let log = move |x: f64| rewards * x.ln() + losses * (1.0 - x).ln();
            let most = log((rewards + 1e-9) / (count + 2e-9));
            move |x: f64| (log(x) - most).exp()
        };
        let [a, b, c] = sums.map(density);
        assert_near(&found[..3], &slow(&[&a, &b, &c]), 0.005);
    }
}

#[test]
fn gaussian_chances_are_those_of_the_integral() {
    let policy = GaussianThompson::new(0.4, 0.999, 0.0).unwrap();
    for sums in KNOWN {
        let found = propensities(&policy, &known(&policy, sums), Models::first(3));
        let density = |[count, losses]: [f64; 2]| {
            let mean = (0.5 + count - losses) / (count + 1.0);
            let variance = 0.4 * 0.4 / (count + 1.0);
            move |x: f64| (-(x - mean).powi(2) / (2.0 * variance)).exp()
        };
        let [a, b, c] = sums.map(density);
        assert_near(&found[..3], &slow(&[&a, &b, &c]), 0.005);
    }
}

#[test]
fn after_one_right_answer_a_model_is_the_better_of_two_with_two_thirds() {
    // Beta(2, 1) against Beta(1, 1): the integral of 2x · x.
    let policy = BetaThompson::new(0.99, 0.0).unwrap();
    let mut state = policy.init(2);
    lose(&policy, &mut state, 0, 0.0);
    let found = propensities(&policy, &state, Models::first(2));
    assert_near(&found, &per_model(&[2.0 / 3.0, 1.0 / 3.0]), 1e-4);
}

#[test]
fn models_that_are_known_alike_have_the_same_chance() {
    for policy in [
        &BetaThompson::new(0.99, 0.0).unwrap() as &dyn Policy,
        &GaussianThompson::new(0.5, 0.99, 0.0).unwrap(),
    ] {
        for models in 1..=LINKS_MAX {
            let mut state = policy.init(models);
            (0..300).for_each(|_| lose_all(policy, &mut state, &vec![0.2; models]));
            let found = propensities(policy, &state, Models::first(models));
            assert_near(&found[..models], &vec![1.0 / models as f64; models], 1e-12);
        }
    }
}
