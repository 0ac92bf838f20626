//! The paper's Exp3 (η 0.1, no floor, no share) over the five arms of its Figure 8, simulated with
//! the policies of `cutter_core` and without a server.
//!
//! A question is as hard for one arm as for another with the same chance as in the bench
//! `policies`. To Exp3 that makes no difference: it asks one arm for each question.

use std::io;

use cutter_bench_support::finding::{Aim, Chart, Finding, rounded};
use cutter_core::policy::{Ask, Exp3, Feedback, Models, Policy, Random, Seen};
use serde_json::json;

const ARMS: [f64; 5] = [0.76, 0.65, 0.83, 0.54, 0.91];
const ETA: f64 = 0.1;
const SEEDS: u64 = 100;
const QUERIES: usize = 2_000;
/// The share of questions that are as hard for one arm as for another.
const ALIKE: f64 = 0.8;
const ACCURACY_MIN: f64 = 0.90;
/// After how many queries the paper's curve is told, and what it is there.
const PAPER: [(usize, f64); 5] =
    [(0, 0.74), (200, 0.85), (500, 0.89), (1_000, 0.90), (1_999, 0.907)];

pub fn find() -> io::Result<Finding> {
    let policy = Exp3::new(ETA, 0.0, 0.0).map_err(io::Error::other)?;
    let mut accuracy = vec![0.0; QUERIES];
    for seed in 0..SEEDS {
        for (mean, expected) in accuracy.iter_mut().zip(course(&policy, seed)) {
            *mean += expected / SEEDS as f64;
        }
    }
    let at = accuracy[1_000];
    let rows = PAPER.map(|(query, paper)| {
        vec![query.to_string(), format!("{:.3}", accuracy[query]), format!("{paper:.3}")]
    });
    let points = |(query, mean): (usize, &f64)| (query as f64, *mean);
    Ok(Finding {
        title: format!("Exp3 with η {ETA} over arms of {ARMS:?}, {SEEDS} seeds, simulated"),
        records: vec![json!({ "name": "exp3_regret", "mean_accuracy_1000": rounded(at) })],
        head: vec!["after", "ours", "paper"],
        rows: rows.to_vec(),
        aims: vec![Aim::new(
            at >= ACCURACY_MIN,
            format!("at least {ACCURACY_MIN:.2} after 1,000 queries: {at:.4}"),
        )],
        notes: vec![
            "the mean over seeds of what the next answer is expected to be: the accuracy of each \
             arm times the probability of its choice"
                .to_owned(),
        ],
        charts: vec![Chart {
            title: "What Exp3 has learned",
            x: "queries",
            y: "expected accuracy",
            curves: vec![
                ("ours".to_owned(), accuracy.iter().enumerate().step_by(10).map(points).collect()),
                ("paper".to_owned(), PAPER.map(|(query, mean)| (query as f64, mean)).to_vec()),
            ],
            across: vec![(0.91, "the best arm".to_owned())],
        }],
    })
}

/// The accuracy that is to be expected of each answer.
fn course(policy: &Exp3, seed: u64) -> impl Iterator<Item = f64> {
    let mut state = policy.init(ARMS.len());
    let mut random = Random::new(seed);
    (0..QUERIES).map(move |_| {
        let ask = Ask { servable: Models::first(ARMS.len()), context: None };
        let selection = policy.select(&state, ask, &mut random).expect("all can be asked");
        let expected = (0..ARMS.len()).map(|arm| selection.propensities[arm] * ARMS[arm]).sum();
        let hardness = random.uniform();
        let is_alike = random.uniform() < ALIKE;
        let said = ARMS.map(|accuracy| {
            let hardness = if is_alike { hardness } else { random.uniform() };
            hardness < accuracy
        });
        let seen = selection.models.iter().map(|model| {
            let propensity = selection.propensities[model];
            Seen { model, loss: f64::from(u8::from(!said[model])), propensity }
        });
        let seen: Vec<Seen> = seen.collect();
        let feedback = Feedback::new(&state, &seen, None).expect("losses of 0 and 1");
        policy.observe(&mut state, &feedback).expect("no context is needed");
        expected
    })
}
