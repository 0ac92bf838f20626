//! What is lost by not knowing the best model from the start, against the theory's bounds.

use std::f64::consts::E;

use super::*;

const SEEDS: u64 = 10;
/// Clipper's five models (NSDI 2017, Figure 8).
const ACCURACIES: [f64; 5] = [0.76, 0.65, 0.83, 0.54, 0.91];

/// The mean over seeds of what was lost in expectation, beyond the best model of each round.
fn regret(policy: &dyn Policy, rounds: usize, mean_losses: impl Fn(usize) -> Vec<f64>) -> f64 {
    let one = |seed: u64| -> f64 {
        let mut state = policy.init(mean_losses(0).len());
        let losses = |round: usize, random: &mut Random| {
            let is_lost = |mean: f64| f64::from(u8::from(random.uniform() < mean));
            per_model(&mean_losses(round).into_iter().map(is_lost).collect::<Vec<_>>())
        };
        let selections = play(policy, &mut state, rounds, &mut Random::new(seed), losses);
        let lost = selections.iter().zip(0..).map(|(selection, round)| {
            let means = mean_losses(round);
            let best = means.iter().copied().fold(1.0, f64::min);
            let expected: f64 =
                means.iter().zip(selection.propensities).map(|(mean, part)| mean * part).sum();
            expected - best
        });
        lost.sum()
    };
    (0..SEEDS).map(one).sum::<f64>() / SEEDS as f64
}

/// Bubeck and Cesa-Bianchi 2012, Theorem 3.1: with η = √(2 ln K / (n K)) at most √(2 n K ln K).
#[test]
fn on_a_stationary_sequence_exp3_loses_less_than_its_bound() {
    let (rounds, models) = (10_000, ACCURACIES.len() as f64);
    let eta = (2.0 * models.ln() / (rounds as f64 * models)).sqrt();
    let bound = (2.0 * rounds as f64 * models * models.ln()).sqrt();
    let losses = |_: usize| ACCURACIES.map(|accuracy| 1.0 - accuracy).to_vec();
    for policy in [Exp3::new(eta, 0.0, 0.0).unwrap(), Exp3::ix(eta, 0.0, 0.0).unwrap()] {
        let regret = regret(&policy, rounds, losses);
        println!("{policy:?}: {regret:.0} of at most {bound:.0}");
        assert!(regret < bound, "{regret}");
    }
}

/// Auer et al. 2002, section 8: Exp3.S, for S stretches of which each has its best model, loses at
/// most 2 √(e - 1) √(K T (S ln(K T) + e)).
#[test]
fn on_a_switching_sequence_exp3_with_a_share_loses_less_than_its_bound() {
    let (rounds, models, stretches) = (20_000, 2.0, 4);
    let total = rounds as f64;
    let complexity = f64::from(stretches) * (models * total).ln() + E;
    let gamma = (models * complexity / ((E - 1.0) * total)).sqrt();
    let share = E / total / (1.0 + E / total);
    let bound = 2.0 * ((E - 1.0) * models * total * complexity).sqrt();
    let losses = |round: usize| {
        let is_odd = round * 4 / rounds % 2 == 1;
        if is_odd { vec![1.0, 0.0] } else { vec![0.0, 1.0] }
    };
    let tracking = regret(&Exp3::new(gamma / models, gamma, share).unwrap(), rounds, losses);
    println!("Exp3.S: {tracking:.0} of at most {bound:.0}");
    assert!(tracking < bound, "{tracking}");
    let blind = regret(&Exp3::new(gamma / models, 0.0, 0.0).unwrap(), rounds, losses);
    println!("without a share: {blind:.0}");
    assert!(blind > tracking, "{blind}");
}

/// Clipper's own curve has 0.74 at its first query and 0.90 at its 1,000th, so 0.90 is what it
/// comes to and not the mean of the way there, which is what it costs to learn.
#[test]
fn exp3_with_the_arms_of_clipper_is_right_nine_times_of_ten_after_a_thousand_queries() {
    let policy = Exp3::new(0.1, 0.0, 0.0).unwrap();
    let mut accuracies = vec![0.0; 2_000];
    for seed in 0..100 {
        let mut state = policy.init(5);
        let mut random = Random::new(seed);
        let selections = play(&policy, &mut state, 2_000, &mut random, bernoulli(ACCURACIES));
        for (accuracy, selection) in accuracies.iter_mut().zip(selections) {
            let right = ACCURACIES.iter().zip(selection.propensities);
            *accuracy += right.map(|(right, part)| right * part).sum::<f64>() / 100.0;
        }
    }
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let (during, after) = (mean(&accuracies[..1_000]), mean(&accuracies[1_000..]));
    println!(
        "first query {:.4}, 1,000th {:.4}; mean of the first 1,000 {during:.4}, of the next \
         {after:.4}",
        accuracies[0], accuracies[999]
    );
    assert!(after >= 0.90, "{after}");
    assert!((0.87..0.90).contains(&during), "{during}");
}
