//! Five models of known accuracy, of which the best fails for a while.
//!
//! A stand-in for the models and images of the paper, which cannot be had: right and wrong are
//! drawn. Were each model drawn for itself, an ensemble would be far better than any real one, so
//! most questions are as hard for one model as for another; how many, is chosen such that the vote
//! of all five errs about as often as the paper's ensemble does (8.45 %, Figure 7).

use cutter_core::policy::Random;

pub const MODELS: usize = 5;
/// The paper's five Caffe models on CIFAR-10, whose top-1 errors Figure 7 gives.
pub const ACCURACIES: [f64; MODELS] = [0.540, 0.654, 0.757, 0.832, 0.9085];
pub const BEST: usize = 4;
pub const QUERIES: usize = 20_000;
/// From this query on the best model guesses.
pub const FAILS: usize = 5_000;
/// From this one on it is as good as it was.
pub const HEALS: usize = 10_000;

const CLASSES: u64 = 10;
/// The share of questions that are as hard for one model as for another.
const ALIKE: f64 = 0.8;

/// A question: what is right, and what each model says.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    pub label: u64,
    pub said: [u64; MODELS],
}

/// How often a model is right at a query.
pub fn accuracy(model: usize, query: usize) -> f64 {
    let guesses = model == BEST && (FAILS..HEALS).contains(&query);
    if guesses { 1.0 / CLASSES as f64 } else { ACCURACIES[model] }
}

/// The accuracy of the model that is best at a query.
pub fn best_accuracy(query: usize) -> f64 {
    (0..MODELS).map(|model| accuracy(model, query)).fold(0.0, f64::max)
}

/// All questions of a seed, the same for each policy.
pub fn questions(seed: u64) -> Vec<Question> {
    let mut random = Random::new(seed);
    (0..QUERIES).map(|query| question(query, &mut random)).collect()
}

fn question(query: usize, random: &mut Random) -> Question {
    let label = below(CLASSES, random);
    let hardness = random.uniform();
    let is_alike = random.uniform() < ALIKE;
    let said = std::array::from_fn(|model| {
        let hardness = if is_alike { hardness } else { random.uniform() };
        let off = 1 + below(CLASSES - 1, random);
        if hardness < accuracy(model, query) { label } else { (label + off) % CLASSES }
    });
    Question { label, said }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number below `n`")]
fn below(n: u64, random: &mut Random) -> u64 {
    (random.uniform() * n as f64) as u64
}
