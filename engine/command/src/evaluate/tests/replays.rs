//! What a policy does with a log is what it did, and what theory says that it does.

use std::collections::BTreeMap;

use cutter_core::feedback::Said;
use cutter_core::policy::{
    Ask, BetaThompson, Choice, EpsilonGreedy, Exp3, Exp4, GaussianThompson, LinUcb, Models, Policy,
    State, Static, Ucb1, Vote,
};

use super::super::estimate::estimates;
use super::super::replay::{Refusal, Replay, replay};
use super::{ARMS, BEST, always, learn, simulate, simulate_beside, uniform};

fn policies() -> Vec<Box<dyn Policy>> {
    vec![
        Box::new(Exp3::new(0.1, 0.01, 0.001).unwrap()),
        Box::new(Exp3::ix(0.1, 0.01, 0.0).unwrap()),
        Box::new(EpsilonGreedy::new(0.1, 0.99).unwrap()),
        Box::new(BetaThompson::new(0.999, 0.05).unwrap()),
        Box::new(GaussianThompson::new(0.5, 0.999, 0.05).unwrap()),
    ]
}

#[test]
fn a_log_replayed_with_its_own_policy_has_the_same_propensities_to_the_last_bit() {
    for policy in policies() {
        for delay in [0, 7] {
            let log = simulate(policy.as_ref(), 3, 500, delay);
            let again = replay(policy.as_ref(), ARMS.len(), &log).unwrap();
            let is_same = |at: usize| again.chances[at][..ARMS.len()] == log[at].propensities[..];
            assert!((0..500).all(is_same), "{policy:?}, told {delay} later");
        }
    }
}

#[test]
fn an_apprentice_replayed_has_the_propensities_with_which_it_chose() {
    let policy = Exp3::new(0.1, 0.1, 0.0).unwrap();
    let log = simulate_beside(0, &policy, 3, 500);
    let again = replay(&policy, ARMS.len(), &log).unwrap();
    let is_same = |at: usize| again.chances[at][1..ARMS.len()] == log[at].propensities[1..];
    assert!((0..500).all(is_same));
}

/// As `cutter_core::selection` teaches: the context, which begins as the application is, and then
/// the application.
#[test]
fn a_context_learns_for_itself_and_for_the_application_from_which_it_began() {
    let policy = Exp3::new(0.1, 0.05, 0.01).unwrap();
    let mut log = simulate(&uniform(), 4, 300, 0);
    let keys = [&b""[..], b"ann", b"bob"];
    // Bob comes when the others have learned for long.
    let key = |at: usize| keys[if at < 150 { at % 2 } else { at % 3 }];
    log.iter_mut().enumerate().for_each(|(at, of)| of.context = key(at).into());
    let again = replay(&policy, ARMS.len(), &log).unwrap();
    let mut own = policy.init(ARMS.len());
    let mut of_contexts: BTreeMap<&[u8], State> = BTreeMap::new();
    let servable = Models::first(ARMS.len());
    for (decision, chances) in log.iter().zip(&again.chances) {
        let key = &*decision.context;
        let state = of_contexts.get(key).unwrap_or(&own);
        let chosen = policy.choose(state, &Ask::of(servable)).unwrap();
        assert_eq!(Choice::One(*chances), chosen, "decision {}", decision.query_id);
        if !key.is_empty() {
            let state = of_contexts.entry(key).or_insert_with(|| own.clone());
            learn(&policy, state, decision);
        }
        learn(&policy, &mut own, decision);
    }
    let states = [&own, &of_contexts[keys[1]], &of_contexts[keys[2]]];
    assert!(states[0] != states[1] && states[1] != states[2] && states[0] != states[2]);
}

#[test]
fn of_a_model_that_said_nothing_nothing_is_learned_and_of_the_others_something_is() {
    let policy = Exp4::new(0.1, 0.0).unwrap();
    let mut log = simulate(&Vote::majority(), 5, 3, 0);
    log[0].losses = [Some(0.0), None, Some(1.0), Some(1.0), Some(0.0)].into();
    log[0].said[1] = Said::Nothing;
    let again = replay(&policy, ARMS.len(), &log).unwrap();
    assert_eq!(again.terms.len(), 2, "what one would have earned is not known of the first");
    let mut state = policy.init(ARMS.len());
    learn(&policy, &mut state, &log[0]);
    let all = Models::first(ARMS.len());
    assert_eq!(again.chances[0], policy.weights(&state, all));
    assert_ne!(again.chances[0], policy.weights(&policy.init(ARMS.len()), all));
}

#[test]
fn inputs_that_were_evaluated_are_learned_from_and_are_no_decisions() {
    let policy = Exp3::new(0.1, 0.05, 0.01).unwrap();
    let queries = simulate(&uniform(), 5, 100, 0);
    let mut log = queries.clone();
    let losses = [1.0, 1.0, 0.0, 1.0, 1.0];
    for of in &mut log[..50] {
        (of.is_evaluation, of.asked) = (true, Models::first(ARMS.len()));
        (of.propensities, of.losses) = ([1.0; ARMS.len()].into(), losses.map(Some).into());
    }
    let again = replay(&policy, ARMS.len(), &log).unwrap();
    assert_eq!(again.terms.len(), 50);
    let mut state = policy.init(ARMS.len());
    log[..50].iter().for_each(|of| learn(&policy, &mut state, of));
    let chosen = policy.choose(&state, &Ask::of(Models::first(ARMS.len()))).unwrap();
    assert_eq!(chosen, Choice::One(again.chances[0]));
    assert!(again.chances[0][2] > 0.6, "{:?}", again.chances[0]);
    // One that needs numbers learns nothing of inputs that came without.
    log.iter_mut().skip(50).for_each(|of| of.vector = [1.0].into());
    let by_numbers = replay(&LinUcb::new(1, 0.5, 0.1).unwrap(), ARMS.len(), &log).unwrap();
    assert_eq!(by_numbers.terms.len(), 50);
}

#[test]
fn a_replay_is_the_same_each_time() {
    let log = simulate(&uniform(), 1, 500, 3);
    let policy = BetaThompson::new(0.999, 0.0).unwrap();
    let replays = [(); 2].map(|()| replay(&policy, ARMS.len(), &log).unwrap());
    assert_eq!(replays[0], replays[1]);
}

/// Bubeck and Cesa-Bianchi, "Regret analysis of stochastic and nonstochastic multi-armed bandit
/// problems" (2012), Theorem 3.1: at most √(2 n K ln K) with its η. Of a uniform log the same is
/// proved: there the second moment of an estimated loss is at most K as well.
#[test]
fn the_regret_of_exp3_is_below_the_curve_of_its_theorem() {
    const DECISIONS: usize = 2_000;
    const SEEDS: u64 = 25;
    let (decisions, arms) = (DECISIONS as f64, ARMS.len() as f64);
    let eta = (2.0 * arms.ln() / (decisions * arms)).sqrt();
    let bound = (2.0 * decisions * arms * arms.ln()).sqrt();
    let exp3 = Exp3::new(eta, 0.0, 0.0).unwrap();
    let regret = |logging: &dyn Policy, seed: u64| -> f64 {
        let log = simulate(logging, seed, DECISIONS, 0);
        let replay = replay(&exp3, ARMS.len(), &log).unwrap();
        let lost = |chances: &[f64]| -> f64 {
            ARMS.iter().zip(chances).map(|(arm, part)| (BEST - arm) * part).sum()
        };
        replay.chances.iter().map(|chances| lost(chances)).sum()
    };
    let mean = |logging: &dyn Policy| {
        (0..SEEDS).map(|seed| regret(logging, seed)).sum::<f64>() / SEEDS as f64
    };
    let (own, of_uniform) = (mean(&exp3), mean(&uniform()));
    // Who learns nothing loses 0.172 a decision.
    assert!(own < bound && own > 10.0, "{own} of {bound}");
    assert!(of_uniform < bound && of_uniform > 10.0, "{of_uniform} of {bound}");
    assert!(bound < 0.172 * decisions);
}

#[test]
fn policies_that_ask_all_are_seen_directly_where_all_were_asked() {
    let log = simulate(&Vote::majority(), 5, 2_000, 0);
    let majority = replay(&Vote::majority(), ARMS.len(), &log).unwrap();
    assert!(majority.is_direct);
    // Of two classes that five models say, one has most of them.
    let is_right = |at: &usize| {
        let losses = log[*at].losses.iter().map(|loss| loss.unwrap()).sum::<f64>();
        losses < 2.5
    };
    let right = (0..log.len()).filter(is_right).count() as f64 / log.len() as f64;
    assert_eq!(estimates(&majority.terms).ips.mean, right);
    let exp4 = replay(&Exp4::new(0.1, 0.0).unwrap(), ARMS.len(), &log).unwrap();
    assert!(estimates(&exp4.terms).ips.mean > BEST - 0.02);
    // A model alone is seen directly as well: all three estimates are its mean.
    let alone = replay(&always(2), ARMS.len(), &log).unwrap();
    let of = estimates(&alone.terms);
    let mean = log.iter().map(|of| 1.0 - of.losses[2].unwrap()).sum::<f64>() / log.len() as f64;
    assert!(alone.is_direct);
    for estimate in [of.ips, of.snips.unwrap(), of.doubly_robust] {
        assert!((estimate.mean - mean).abs() < 1e-12);
    }
}

/// Li, Chu, Langford and Schapire, "A contextual-bandit approach to personalized news article
/// recommendation" (2010), Algorithm 1, from a uniform log as in their section 4.
#[test]
fn a_policy_that_looks_at_numbers_learns_which_model_is_right_for_them() {
    let mut log = simulate(&uniform(), 6, 4_000, 0);
    for (at, of) in log.iter_mut().enumerate() {
        let side = if at % 3 == 0 { 1.0 } else { -1.0 };
        let right = usize::from(side < 0.0);
        of.vector = [side, 0.25].into();
        for (model, loss) in of.losses.iter_mut().enumerate() {
            *loss = loss.map(|_| f64::from(u8::from(model != right)));
        }
    }
    let by_numbers = replay(&LinUcb::new(2, 0.5, 0.1).unwrap(), ARMS.len(), &log).unwrap();
    let best_alone = replay(&always(1), ARMS.len(), &log).unwrap();
    let earned = |replay: &Replay| estimates(&replay.terms).ips.mean;
    assert!(earned(&by_numbers) > 0.85, "{}", earned(&by_numbers));
    assert!((0.6..0.73).contains(&earned(&best_alone)), "{}", earned(&best_alone));
}

#[test]
fn what_a_log_cannot_tell_is_refused() {
    let log = simulate(&uniform(), 1, 300, 0);
    let refused = |policy: &dyn Policy, log: &[_]| replay(policy, ARMS.len(), log).unwrap_err();
    assert_eq!(refused(&Vote::majority(), &log), Refusal::NeedsAll);
    let by_numbers = LinUcb::new(3, 1.0, 0.1).unwrap();
    let none = Refusal::Numbers { expected: 3, found: 0 };
    assert_eq!(refused(&by_numbers, &log), none);
    let only_one = simulate(&Static { model: 2 }, 1, 300, 0);
    assert_eq!(refused(&always(1), &only_one), Refusal::Unsupported { percent: 100.0 });
    assert!(replay(&always(2), ARMS.len(), &only_one).is_ok());
    let greedy = simulate(&Ucb1::new(1.0).unwrap(), 1, 300, 0);
    assert!(matches!(refused(&uniform(), &greedy), Refusal::Unsupported { .. }));
}
