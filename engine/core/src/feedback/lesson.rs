//! What a client says of an answer, and what a policy is to learn of it.

use super::loss::Truth;
use crate::limits::{CONTEXT_NUMBERS_MAX, LINKS_MAX};
use crate::policy::{Models, PerModel, Seen};

/// What a client says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lesson {
    /// What was right.
    Label(Truth),
    /// What the answer was worth, in the application's range of rewards.
    Reward(f64),
    /// The answer was never shown.
    Withdrawn,
}

/// A context vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vector {
    numbers: [f64; CONTEXT_NUMBERS_MAX],
    count: u8,
}

impl Vector {
    pub const NONE: Self = Self { numbers: [0.0; CONTEXT_NUMBERS_MAX], count: 0 };

    /// `None` when it has more than [`CONTEXT_NUMBERS_MAX`] numbers.
    pub fn new(given: &[f64]) -> Option<Self> {
        let mut numbers = [0.0; CONTEXT_NUMBERS_MAX];
        numbers.get_mut(..given.len())?.copy_from_slice(given);
        Some(Self { numbers, count: u8::try_from(given.len()).ok()? })
    }

    /// The numbers, if there are any.
    pub fn numbers(&self) -> Option<&[f64]> {
        (self.count > 0).then(|| &self.numbers[..usize::from(self.count)])
    }
}

/// The losses of some models, for a policy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Losses {
    known: Models,
    losses: PerModel,
    propensities: PerModel,
    pub vector: Vector,
}

impl Losses {
    /// None yet, of a query of which so much was known.
    pub fn of(vector: &[f64]) -> Self {
        let (losses, propensities) = ([0.0; LINKS_MAX], [1.0; LINKS_MAX]);
        let vector = Vector::new(vector).unwrap_or(Vector::NONE);
        Self { known: Models::NONE, losses, propensities, vector }
    }

    pub fn put(&mut self, model: usize, loss: f64, propensity: f64) {
        self.known = self.known.with(model);
        (self.losses[model], self.propensities[model]) = (loss, propensity);
    }

    pub fn known(&self) -> Models {
        self.known
    }

    /// The loss of a model, if it is known.
    pub fn get(&self, model: usize) -> Option<f64> {
        self.known.contains(model).then(|| self.losses[model])
    }

    /// For [`Feedback::new`](crate::policy::Feedback::new), in a place that has room for all.
    pub fn seen<'a>(&self, place: &'a mut [Seen; LINKS_MAX]) -> &'a [Seen] {
        let mut count = 0;
        for model in self.known.iter() {
            let (loss, propensity) = (self.losses[model], self.propensities[model]);
            place[count] = Seen { model, loss, propensity };
            count += 1;
        }
        &place[..count]
    }
}
