//! Logs whose truth is known: models that are right with a given chance.

mod command;
mod estimates;
mod replays;
mod uses;

use cutter_core::feedback::Said;
use cutter_core::policy::{
    Ask, Exp3, Feedback, Models, Policy, Random, Seen, Selection, State, Static,
};

use super::log::Usable;

/// With which chance each model is right.
const ARMS: [f64; 5] = [0.76, 0.65, 0.83, 0.54, 0.91];
const BEST: f64 = 0.91;

/// Each with the same chance: Exp3 that leaves all to chance.
fn uniform() -> Exp3 {
    Exp3::new(0.1, 1.0, 0.0).unwrap()
}

/// A log of so many decisions of a policy, each of which is told so many decisions later.
fn simulate(policy: &dyn Policy, seed: u64, decisions: usize, delay: usize) -> Vec<Usable> {
    simulate_with(policy, seed, decisions, delay, |selection| selection)
}

/// The same of an apprentice: a baseline is asked beside whom the policy has chosen.
fn simulate_beside(baseline: usize, policy: &dyn Policy, seed: u64, length: usize) -> Vec<Usable> {
    simulate_with(policy, seed, length, 0, |Selection { models, mut propensities }| {
        propensities[baseline] = 1.0;
        Selection { models: models.with(baseline), propensities }
    })
}

fn simulate_with(
    policy: &dyn Policy,
    seed: u64,
    decisions: usize,
    delay: usize,
    asked: impl Fn(Selection) -> Selection,
) -> Vec<Usable> {
    let mut random = Random::new(seed);
    let mut state = policy.init(ARMS.len());
    let mut log: Vec<Usable> = Vec::new();
    for at in 0..decisions {
        let told = at.checked_sub(1 + delay).map(|told| &log[told]);
        told.into_iter().for_each(|told| learn(policy, &mut state, told));
        let ask = Ask::of(Models::first(ARMS.len()));
        let selection = asked(policy.select(&state, ask, &mut random).unwrap());
        // Who is right is drawn for all, whoever is asked.
        let is_right = ARMS.map(|chance| random.uniform() < chance);
        log.push(decision(at, delay, &selection, &is_right));
    }
    log
}

/// From what was known of a decision.
fn learn(policy: &dyn Policy, state: &mut State, told: &Usable) {
    let seen = |model: usize| {
        let propensity = told.propensities[model];
        told.losses[model].map(|loss| Seen { model, loss, propensity })
    };
    let seen: Vec<Seen> = told.asked.iter().filter_map(seen).collect();
    let feedback = Feedback::new(state, &seen, None).unwrap();
    policy.observe(state, &feedback).unwrap();
}

/// A decision for which class 1 is right, and class 2 is what the others say.
fn decision(at: usize, delay: usize, selection: &Selection, is_right: &[bool]) -> Usable {
    let Selection { models: asked, propensities } = *selection;
    let of = |model: usize, right: bool| asked.contains(model).then_some(right);
    let loss = |right: bool| if right { 0.0 } else { 1.0 };
    let said = |right: bool| Said::Class(if right { 1 } else { 2 });
    let known = || is_right.iter().enumerate().map(|(model, right)| of(model, *right));
    Usable {
        is_evaluation: false,
        query_id: at as u64,
        arrived_ns: 1_000 * at as i128,
        told_ns: 1_000 * (at + delay) as i128 + 500,
        context: Box::default(),
        servable: Models::first(is_right.len()),
        asked,
        propensities: propensities[..is_right.len()].into(),
        said: known().map(|right| right.map_or(Said::Nothing, said)).collect(),
        losses: known().map(|right| right.map(loss)).collect(),
        answer_loss: known().flatten().map(loss).next(),
        pass_probability: 1.0,
        vector: Box::default(),
    }
}

/// One model alone.
fn always(model: usize) -> Static {
    Static { model }
}
