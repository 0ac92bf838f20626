//! What a policy does with a log is what it did, and what theory says that it does.

use cutter_core::policy::{
    BetaThompson, EpsilonGreedy, Exp3, Exp4, GaussianThompson, Policy, Static, Ucb1, Vote,
};

use super::super::estimate::estimates;
use super::super::replay::{Refusal, replay};
use super::{ARMS, BEST, always, simulate, uniform};

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
    const SEEDS: u64 = 50;
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

#[test]
fn what_a_log_cannot_tell_is_refused() {
    let log = simulate(&uniform(), 1, 300, 0);
    let refused = |policy: &dyn Policy, log: &[_]| replay(policy, ARMS.len(), log).unwrap_err();
    assert_eq!(refused(&Vote::majority(), &log), Refusal::NeedsAll);
    let only_one = simulate(&Static { model: 2 }, 1, 300, 0);
    assert_eq!(refused(&always(1), &only_one), Refusal::Unsupported { percent: 100.0 });
    assert!(replay(&always(2), ARMS.len(), &only_one).is_ok());
    let greedy = simulate(&Ucb1::new(1.0).unwrap(), 1, 300, 0);
    assert!(matches!(refused(&uniform(), &greedy), Refusal::Unsupported { .. }));
}
