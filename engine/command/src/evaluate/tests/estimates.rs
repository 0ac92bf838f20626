//! Estimates beside what is known: over many seeds they are right in the mean, and their intervals
//! hold what they should.

use cutter_core::policy::{Exp3, Policy};

use super::super::estimate::{Estimate, Estimates, Interval, Term, estimates};
use super::super::log::Usable;
use super::super::replay::replay;
use super::{ARMS, always, simulate, simulate_beside, uniform};

const SEEDS: u64 = 100;
const DECISIONS: usize = 1_000;

/// Of each log what is estimated of a policy, and what it would have earned in truth.
fn over_seeds(logs: &[Vec<Usable>], target: &dyn Policy) -> Vec<(Estimates, f64)> {
    let of_log = |log: &Vec<Usable>| {
        let replay = replay(target, ARMS.len(), log).unwrap();
        let earned = |chances: &[f64]| ARMS.iter().zip(chances).map(|(arm, part)| arm * part).sum();
        let truth: f64 = replay.chances.iter().map(|chances| -> f64 { earned(chances) }).sum();
        (estimates(&replay.terms), truth / DECISIONS as f64)
    };
    logs.iter().map(of_log).collect()
}

/// How many deviations of a mean over the seeds it is from the truth.
fn z(seeds: &[(Estimates, f64)], of: fn(&Estimates) -> f64) -> f64 {
    let errors: Vec<f64> = seeds.iter().map(|(estimates, truth)| of(estimates) - truth).collect();
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    mean / (variance(&errors) / errors.len() as f64).sqrt()
}

fn variance(numbers: &[f64]) -> f64 {
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    let squares = numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>();
    squares / (numbers.len() - 1) as f64
}

fn spread(seeds: &[(Estimates, f64)], of: fn(&Estimates) -> f64) -> f64 {
    let errors: Vec<f64> = seeds.iter().map(|(estimates, truth)| of(estimates) - truth).collect();
    variance(&errors)
}

fn covered(seeds: &[(Estimates, f64)], of: fn(&Estimates) -> Estimate) -> usize {
    let holds = |(estimates, truth): &&(Estimates, f64)| {
        (of(estimates).least..=of(estimates).most).contains(truth)
    };
    seeds.iter().filter(holds).count()
}

fn are_right(logging: &dyn Policy, targets: &[&dyn Policy]) {
    are_right_of(|seed| simulate(logging, seed, DECISIONS, 0), targets);
}

/// Each of the targets is told rightly by the logs of all seeds.
fn are_right_of(log: impl Fn(u64) -> Vec<Usable>, targets: &[&dyn Policy]) {
    let logs: Vec<Vec<Usable>> = (0..SEEDS).map(log).collect();
    targets.iter().for_each(|target| is_right(&logs, *target));
}

fn is_right(logs: &[Vec<Usable>], target: &dyn Policy) {
    let seeds = over_seeds(logs, target);
    let (ips, robust) = (z(&seeds, |of| of.ips.mean), z(&seeds, |of| of.doubly_robust.mean));
    assert!(ips.abs() < 3.0, "IPS is {ips} deviations off");
    assert!(robust.abs() < 3.0, "DR is {robust} deviations off");
    let spreads = [spread(&seeds, |of| of.ips.mean), spread(&seeds, |of| of.doubly_robust.mean)];
    assert!(spreads[1] < spreads[0], "{spreads:?}");
    let held = [
        covered(&seeds, |of| of.ips),
        covered(&seeds, |of| of.snips.unwrap()),
        covered(&seeds, |of| of.doubly_robust),
    ];
    assert!(held.iter().all(|held| *held >= 90), "{held:?} of {SEEDS}");
}

#[test]
fn a_uniform_log_tells_what_each_model_would_have_earned() {
    are_right(&uniform(), &[&always(0), &always(4)]);
}

#[test]
fn a_log_of_exp3_tells_what_the_best_and_the_worst_model_would_have_earned() {
    let logging = Exp3::new(0.05, 0.2, 0.0).unwrap();
    are_right(&logging, &[&always(4), &always(3)]);
}

#[test]
fn a_policy_that_learns_as_it_is_replayed_is_told_as_well() {
    are_right(&uniform(), &[&Exp3::new(0.02, 0.0, 0.0).unwrap()]);
}

#[test]
fn a_log_of_an_apprentice_tells_of_those_that_were_asked_beside_the_baseline() {
    let log = |seed| simulate_beside(3, &uniform(), seed, DECISIONS);
    are_right_of(log, &[&always(4), &Exp3::new(0.02, 0.0, 0.0).unwrap()]);
}

fn term(weight: f64, reward: f64) -> Term {
    Term {
        weight,
        weighted_reward: weight * reward,
        doubly_robust: 0.5 + weight * (reward - 0.5),
        weight_most: 2.0,
        unsupported: 0.0,
    }
}

#[test]
fn four_decisions_give_the_means_that_are_worked_out_by_hand() {
    let of = estimates(&[term(2.0, 1.0), term(0.0, 1.0), term(2.0, 0.0), term(1.0, 1.0)]);
    assert_eq!(of.ips.mean, 0.75);
    assert_eq!(of.snips.unwrap().mean, 0.6);
    assert_eq!(of.doubly_robust.mean, 0.625);
    assert_eq!(of.effective, 25.0 / 9.0);
    assert_eq!(of.interval, Interval::Bernstein);
    assert_eq!((of.ips.least, of.ips.most), (0.0, 1.0), "four tell nothing for sure");
    // The deviation of 2, 0, 0, 1 is 0.957, that of their mean half of it.
    assert!((of.ips.error - 0.478_713).abs() < 1e-6, "{}", of.ips.error);
}

#[test]
fn many_decisions_have_a_normal_interval_and_what_is_untold_widens_it() {
    let terms: Vec<Term> = (0..400).map(|at| term(1.0, f64::from(at % 2))).collect();
    let of = estimates(&terms);
    assert_eq!((of.effective, of.interval), (400.0, Interval::Normal));
    let half = 1.959_964 * 0.5 / 399_f64.sqrt();
    assert!((of.ips.least - (0.5 - half)).abs() < 1e-6, "{:?}", of.ips);
    let untold: Vec<Term> = terms.iter().map(|term| Term { unsupported: 0.01, ..*term }).collect();
    let widened = estimates(&untold);
    assert_eq!(widened.ips.least, of.ips.least);
    assert!((widened.ips.most - of.ips.most - 0.01).abs() < 1e-12);
}

#[test]
fn a_policy_that_would_have_asked_nothing_of_what_was_asked_has_no_snips() {
    let of = estimates(&[term(0.0, 1.0), term(0.0, 0.0)]);
    assert_eq!((of.snips, of.effective, of.ips.mean), (None, 0.0, 0.0));
}
