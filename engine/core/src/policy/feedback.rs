//! What was right: losses, checked before a policy sees them.

use super::error::PolicyError;
use super::models::Models;
use super::state::State;

/// How wrong one model was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    pub model: usize,
    /// From 0, right, to 1, as wrong as can be.
    pub loss: f64,
    /// With which probability the model was asked: 1 where all were, or where the losses of all are
    /// known (full information).
    pub propensity: f64,
}

/// The losses of one answer. They are in range, of models that there are, each once.
#[derive(Clone, Copy, Debug)]
pub struct Feedback<'a> {
    seen: &'a [Seen],
    context: Option<&'a [f64]>,
}

impl<'a> Feedback<'a> {
    /// Checks the losses of one answer, for the state that is to learn from them.
    pub fn new(
        state: &State,
        seen: &'a [Seen],
        context: Option<&'a [f64]>,
    ) -> Result<Self, PolicyError> {
        let mut models = Models::default();
        for &Seen { model, loss, propensity } in seen {
            if model >= state.models() {
                return Err(PolicyError::NoSuchModel { model, models: state.models() });
            }
            if models.contains(model) {
                return Err(PolicyError::SeenTwice { model });
            }
            if !(0.0..=1.0).contains(&loss) {
                return Err(PolicyError::Loss { model, loss });
            }
            if !(propensity > 0.0 && propensity <= 1.0) {
                return Err(PolicyError::Propensity { model, propensity });
            }
            models = models.with(model);
        }
        Ok(Self { seen, context })
    }

    pub fn seen(&self) -> &'a [Seen] {
        self.seen
    }

    /// The context that came with the query.
    pub fn context(&self) -> Option<&'a [f64]> {
        self.context
    }

    /// The models of which a loss is known.
    pub(super) fn models(&self) -> Models {
        self.seen.iter().map(|seen| seen.model).collect()
    }
}
