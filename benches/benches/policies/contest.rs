//! One policy through the world, over all seeds; and what it costs to ask it.

use std::hint::black_box;
use std::time::Instant;

use cutter_bench_support::measurement::{Round, elapsed_ns};
use cutter_core::policy::combine::{Answer, Output, Outputs};
use cutter_core::policy::{Ask, Feedback, Models, Policy, Random, Seen, State};

use super::world::{FAILS, HEALS, MODELS, QUERIES, Question, best_accuracy};

/// The context of every query: one that tells nothing.
const CONTEXT: Option<&[f64]> = Some(&[1.0]);
/// A policy has recovered when it is right about as often as the best model that there is: over so
/// many queries, and all seeds, to within so much.
const WINDOW: usize = 100;
const WITHIN: f64 = 0.02;
/// Queries that are timed together: a look at the clock costs as much as the cheapest policy.
const BATCH: usize = 32;

/// How often a policy was right at each query, as the share of all seeds.
#[derive(Debug)]
pub struct Course(Vec<f64>);

impl Course {
    pub fn of(policy: &dyn Policy, worlds: &[Vec<Question>]) -> Self {
        let mut right = vec![0.0; QUERIES];
        for (questions, seed) in worlds.iter().zip(0..) {
            let mut state = policy.init(MODELS);
            let mut random = Random::new(seed);
            for (right, question) in right.iter_mut().zip(questions) {
                let is_right = query(policy, &mut state, question, &mut random);
                *right += f64::from(u8::from(is_right)) / worlds.len() as f64;
            }
        }
        Self(right)
    }

    /// The mean accuracy over some queries.
    pub fn accuracy(&self, queries: std::ops::Range<usize>) -> f64 {
        let count = queries.len() as f64;
        self.0[queries].iter().sum::<f64>() / count
    }

    /// After how many queries from the failure on it has recovered; `None` if it did not before
    /// the best model healed.
    pub fn recovery(&self) -> Option<usize> {
        self.recovered(FAILS, HEALS)
    }

    /// The same from the healing on.
    pub fn healing(&self) -> Option<usize> {
        self.recovered(HEALS, QUERIES)
    }

    fn recovered(&self, start: usize, end: usize) -> Option<usize> {
        let aim = best_accuracy(start) - WITHIN;
        (start..=end - WINDOW)
            .find(|from| self.accuracy(*from..from + WINDOW) >= aim)
            .map(|from| from - start)
    }
}

/// Times selection and observation, of a policy that has learned what there is to learn.
pub fn time(policy: &dyn Policy, questions: &[Question]) -> Round {
    let mut state = policy.init(MODELS);
    let mut random = Random::new(0);
    for question in &questions[..FAILS] {
        query(policy, &mut state, question, &mut random);
    }
    let mut latencies_ns = Vec::new();
    let begin = Instant::now();
    for batch in questions[..FAILS].chunks_exact(BATCH) {
        let start = Instant::now();
        for question in batch {
            black_box(exchange(policy, &mut state, question, &mut random));
        }
        let each_ns = elapsed_ns(start) / BATCH as u64;
        latencies_ns.extend([each_ns; BATCH]);
    }
    Round { latencies_ns, elapsed: begin.elapsed() }
}

/// Asks, answers and learns. Says whether the answer was right.
fn query(policy: &dyn Policy, state: &mut State, question: &Question, random: &mut Random) -> bool {
    let before = state.clone();
    let asked = exchange(policy, state, question, random);
    let outputs: [Output<u64>; MODELS] = std::array::from_fn(|model| {
        if asked.contains(model) { Output::Came(question.said[model]) } else { Output::Missing }
    });
    let combined = policy.combine(&before, Outputs::Classes(&outputs));
    combined.is_some_and(|combined| combined.answer == Answer::Class(question.label))
}

/// Selects, and observes at once what was lost by each model that was asked.
fn exchange(
    policy: &dyn Policy,
    state: &mut State,
    question: &Question,
    random: &mut Random,
) -> Models {
    let ask = Ask { servable: Models::first(MODELS), context: CONTEXT };
    let selection = policy.select(state, ask, random).expect("all can be asked");
    let mut seen = [Seen { model: 0, loss: 0.0, propensity: 1.0 }; MODELS];
    let asked = selection.models.iter().zip(&mut seen).map(|(model, seen)| {
        let is_wrong = question.said[model] != question.label;
        let propensity = selection.propensities[model];
        *seen = Seen { model, loss: f64::from(u8::from(is_wrong)), propensity };
    });
    let asked = asked.count();
    let feedback = Feedback::new(state, &seen[..asked], CONTEXT).expect("losses of 0 and 1");
    policy.observe(state, &feedback).expect("the context that was asked with");
    selection.models
}
