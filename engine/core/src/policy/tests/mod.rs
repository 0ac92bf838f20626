//! Policies against what can be computed by hand or slowly.

mod beliefs;
mod choices;
mod combining;
mod contexts;
mod faults;
mod plans;
mod regret;
mod states;
mod sums;
mod weights;

use super::*;
use crate::limits::LINKS_MAX;

/// Of whatever a test draws.
const SEED: u64 = 20_260_301;
/// Numbers of the contexts here.
const NUMBERS: usize = 3;
const CONTEXT: [f64; NUMBERS] = [1.0, -0.5, 0.25];

/// Every policy, as it may be configured.
fn policies() -> [Box<dyn Policy>; 12] {
    let equal = Vote::majority();
    let weights = [0.5, 0.1, 0.9, 0.3, 1.0, 0.2, 0.0, 0.4];
    let weighted = Vote::weighted(std::array::from_fn(|model| weights[model % 8])).unwrap();
    [
        Box::new(Static { model: 1 }),
        Box::new(Exp3::new(0.1, 0.0, 0.0).unwrap()),
        Box::new(Exp3::new(0.1, 0.1, 0.001).unwrap()),
        Box::new(Exp3::ix(0.1, 0.0, 0.0).unwrap()),
        Box::new(Exp4::new(0.1, 0.001).unwrap()),
        Box::new(EpsilonGreedy::new(0.1, 0.99).unwrap()),
        Box::new(Ucb1::new(1.0).unwrap()),
        Box::new(BetaThompson::new(0.99, 0.01).unwrap()),
        Box::new(GaussianThompson::new(0.5, 0.99, 0.01).unwrap()),
        Box::new(LinUcb::new(NUMBERS, 1.0, 0.1).unwrap()),
        Box::new(equal),
        Box::new(weighted),
    ]
}

fn ask(servable: Models) -> Ask<'static> {
    Ask { servable, context: Some(&CONTEXT) }
}

/// The probabilities with which a policy would ask each model now.
fn propensities(policy: &dyn Policy, state: &State, servable: Models) -> PerModel {
    policy.select(state, ask(servable), &mut Random::new(0)).unwrap().propensities
}

fn observe(policy: &dyn Policy, state: &mut State, seen: &[Seen]) {
    let feedback = Feedback::new(state, seen, Some(&CONTEXT)).unwrap();
    policy.observe(state, &feedback).unwrap();
}

/// One loss, of a model that was asked with certainty.
fn lose(policy: &dyn Policy, state: &mut State, model: usize, loss: f64) {
    observe(policy, state, &[Seen { model, loss, propensity: 1.0 }]);
}

/// The losses of all models.
fn lose_all(policy: &dyn Policy, state: &mut State, losses: &[f64]) {
    let seen = losses.iter().enumerate();
    let seen: Vec<Seen> =
        seen.map(|(model, loss)| Seen { model, loss: *loss, propensity: 1.0 }).collect();
    observe(policy, state, &seen);
}

/// Asks so many times, each time with these losses for the models, of which those that were asked
/// are observed. Gives what was selected.
fn play(
    policy: &dyn Policy,
    state: &mut State,
    rounds: usize,
    random: &mut Random,
    mut losses: impl FnMut(usize, &mut Random) -> PerModel,
) -> Vec<Selection> {
    let mut selections = Vec::new();
    for round in 0..rounds {
        let servable = Models::first(state.models());
        let selection = policy.select(state, ask(servable), random).unwrap();
        let losses = losses(round, random);
        let seen = selection.models.iter().map(|model| Seen {
            model,
            loss: losses[model],
            propensity: selection.propensities[model],
        });
        let seen: Vec<Seen> = seen.collect();
        observe(policy, state, &seen);
        selections.push(selection);
    }
    selections
}

/// Right or wrong, by these accuracies.
fn bernoulli(accuracies: [f64; 5]) -> impl FnMut(usize, &mut Random) -> PerModel {
    move |_, random| {
        let wrong = accuracies.map(|accuracy| f64::from(u8::from(random.uniform() >= accuracy)));
        std::array::from_fn(|model| wrong.get(model).copied().unwrap_or_default())
    }
}

/// The first numbers of all models.
fn per_model(numbers: &[f64]) -> PerModel {
    std::array::from_fn(|model| numbers.get(model).copied().unwrap_or_default())
}

#[track_caller]
fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    let is_near = |(found, expected): (&f64, &f64)| (found - expected).abs() <= tolerance;
    let all = found.len() == expected.len() && found.iter().zip(expected).all(is_near);
    assert!(all, "{found:?} is not {expected:?}");
}

#[test]
fn sets_of_models_are_in_order_and_as_large_as_they_are() {
    let models: Models = [4, 1, 7].into_iter().collect();
    assert_eq!(models.iter().collect::<Vec<_>>(), [1, 4, 7]);
    assert_eq!((models.len(), models.contains(4), models.contains(LINKS_MAX)), (3, true, false));
    assert_eq!(models.without(4), Models::only(1).with(7));
    assert_eq!(Models::first(LINKS_MAX).within(models), models);
    assert!(models.within(Models::first(1)).is_empty());
}
