//! The model that may be the best for a query with this context.
//!
//! Words, of each model: `A⁻¹`, row by row, then `b`.

use super::Policy;
use super::choice::{Ask, Choice, context_of};
use super::error::{PolicyError, parameter};
use super::feedback::Feedback;
use super::models::PerModel;
use super::state::{Format, State};
use crate::limits::{ALPHA_MAX, CONTEXT_NUMBERS_MAX};

const FORMAT: Format = Format { policy: *b"linu", version: 1 };

/// LinUCB with a line of its own for each model: Li et al., "A contextual-bandit approach to
/// personalized news article recommendation" (WWW 2010), Algorithm 1. A reward is taken for linear
/// in the context `x`; asked is the model with the largest `θ·x + α √(xᵀ A⁻¹ x)`.
///
/// What is kept is `A⁻¹` and not `A`, brought up to date by Sherman and Morrison ("Adjustment of an
/// inverse matrix", Ann. Math. Statist. 21, 1950), so that a choice is `d²` steps a model. With
/// `v = A⁻¹ x` the estimate `θ·x` is `v·b`, and the uncertainty `v·x`.
#[derive(Clone, Debug)]
pub struct LinUcb {
    alpha: f64,
    floor: f64,
    numbers: usize,
}

/// What one model has learned.
struct Line<'a> {
    inverse: &'a [f64],
    rewards: &'a [f64],
}

impl LinUcb {
    /// For contexts of so many `numbers`, each between -1 and 1; one that is always 1 lets the line
    /// be anywhere. `alpha`: how much is dared. `floor`: the part of all choices that is left to
    /// chance.
    pub fn new(numbers: usize, alpha: f64, floor: f64) -> Result<Self, PolicyError> {
        parameter("numbers", numbers as f64, (1.0, CONTEXT_NUMBERS_MAX as f64))?;
        Ok(Self {
            alpha: parameter("alpha", alpha, (0.0, ALPHA_MAX))?,
            floor: parameter("floor", floor, (0.0, 1.0))?,
            numbers,
        })
    }

    fn words_per_model(&self) -> usize {
        self.numbers * (self.numbers + 1)
    }

    fn line<'a>(&self, state: &'a State, model: usize) -> Line<'a> {
        let words = &state.words()[model * self.words_per_model()..][..self.words_per_model()];
        let (inverse, rewards) = words.split_at(self.numbers * self.numbers);
        Line { inverse, rewards }
    }
}

impl Policy for LinUcb {
    fn init(&self, models: usize) -> State {
        let numbers = self.numbers;
        let is_diagonal =
            move |word: usize| word < numbers * numbers && word.is_multiple_of(numbers + 1);
        let words = (0..models).flat_map(|_| 0..self.words_per_model());
        State::new(FORMAT, models, words.map(|word| f64::from(u8::from(is_diagonal(word)))))
    }

    /// `A` is at least 1, so `A⁻¹` is at most that, and symmetric.
    fn is_sound(&self, state: &State) -> bool {
        let numbers = self.numbers;
        (0..state.models()).all(|model| {
            let Line { inverse, .. } = self.line(state, model);
            let at = |row: usize, column: usize| inverse[row * numbers + column];
            let is_symmetric = |row| (0..row).all(|column| at(row, column) == at(column, row));
            let is_row_sound = |row| at(row, row) > 0.0 && is_symmetric(row);
            inverse.iter().all(|word| word.abs() <= 1.0) && (0..numbers).all(is_row_sound)
        })
    }

    fn choose(&self, state: &State, ask: &Ask<'_>) -> Result<Choice, PolicyError> {
        let context = context_of(ask.context, self.numbers)?;
        let bounds: PerModel = ask.servable.map(|model| {
            let line = self.line(state, model);
            let direction = product(line.inverse, context);
            let uncertainty = uncertainty(&direction, context);
            dot(&direction, line.rewards) + self.alpha * uncertainty.sqrt()
        });
        Ok(Choice::best(ask.servable, |model| bounds[model], self.floor))
    }

    fn observe(&self, state: &mut State, feedback: &Feedback<'_>) -> Result<(), PolicyError> {
        let context = context_of(feedback.context(), self.numbers)?;
        for seen in feedback.seen() {
            let direction = product(self.line(state, seen.model).inverse, context);
            let scale = 1.0 / (1.0 + uncertainty(&direction, context));
            let start = seen.model * self.words_per_model();
            let words = &mut state.words_mut()[start..][..self.words_per_model()];
            let (inverse, rewards) = words.split_at_mut(self.numbers * self.numbers);
            for (row, across) in inverse.chunks_exact_mut(self.numbers).zip(direction) {
                let along = row.iter_mut().zip(direction);
                along.for_each(|(word, down)| *word -= across * down * scale);
            }
            let reward = 1.0 - seen.loss;
            rewards.iter_mut().zip(context).for_each(|(word, number)| *word += reward * number);
        }
        Ok(())
    }
}

/// A square matrix times a vector. Beyond the vector's numbers it is 0.
fn product(matrix: &[f64], vector: &[f64]) -> [f64; CONTEXT_NUMBERS_MAX] {
    let mut product = [0.0; CONTEXT_NUMBERS_MAX];
    let rows = matrix.chunks_exact(vector.len());
    product.iter_mut().zip(rows).for_each(|(number, row)| *number = dot(row, vector));
    product
}

/// `xᵀ A⁻¹ x`, which is above 0 but for rounding.
fn uncertainty(direction: &[f64], context: &[f64]) -> f64 {
    dot(direction, context).max(0.0)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
