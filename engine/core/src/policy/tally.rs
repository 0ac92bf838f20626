//! How often each model was seen, and what it lost, where what is older counts for less.
//!
//! Two words for each model: a count and a sum of losses. With each observation those of all models
//! are multiplied by the discount, then what was seen is added (Garivier and Moulines, "On
//! upper-confidence bound policies for switching bandit problems", ALT 2011, section 2, equations
//! for `N_t(γ, i)` and `X̄_t(γ, i)`). So a model that was not asked for long is known little.
//!
//! Invariant: 0 ≤ losses ≤ count.

use super::feedback::Feedback;
use super::models::Models;
use super::state::{Format, State};

const WORDS: usize = 2;

/// The words of a state as this room means them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally<'a>(&'a [f64]);

/// Nothing was seen.
pub(super) fn empty(format: Format, models: usize) -> State {
    State::new(format, models, std::iter::repeat_n(0.0, WORDS * models))
}

pub(super) fn observe(state: &mut State, discount: f64, feedback: &Feedback<'_>) {
    let words = state.words_mut();
    words.iter_mut().for_each(|word| *word *= discount);
    for seen in feedback.seen() {
        words[WORDS * seen.model] += 1.0;
        words[WORDS * seen.model + 1] += seen.loss;
    }
}

impl<'a> Tally<'a> {
    pub(super) fn of(state: &'a State) -> Self {
        Self(state.words())
    }

    pub(super) fn is_sound(self) -> bool {
        let (pairs, _) = self.0.as_chunks::<WORDS>();
        pairs.iter().all(|[count, losses]| (0.0..=*count).contains(losses))
    }

    pub(super) fn count(self, model: usize) -> f64 {
        self.0[WORDS * model]
    }

    pub(super) fn losses(self, model: usize) -> f64 {
        self.0[WORDS * model + 1]
    }

    /// What is not lost.
    pub(super) fn rewards(self, model: usize) -> f64 {
        self.count(model) - self.losses(model)
    }

    /// The mean of what is not lost; 1 of a model that was not seen.
    pub(super) fn mean_reward(self, model: usize) -> f64 {
        let count = self.count(model);
        if count > 0.0 { self.rewards(model) / count } else { 1.0 }
    }

    pub(super) fn total(self, of: Models) -> f64 {
        of.iter().map(|model| self.count(model)).sum()
    }
}
