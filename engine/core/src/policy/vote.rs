//! All models are asked, and weighed as they always are.

use super::Policy;
use super::choice::{Ask, Choice};
use super::error::{PolicyError, parameter};
use super::feedback::Feedback;
use super::models::{Models, PerModel};
use super::state::{Format, State};
use crate::limits::LINKS_MAX;

const FORMAT: Format = Format { policy: *b"vote", version: 1 };

/// A vote, or a mean, with weights that do not change (Clipper's linear ensemble, NSDI 2017,
/// section 5.2). It learns nothing.
#[derive(Clone, Debug)]
pub struct Vote {
    weights: PerModel,
}

impl Vote {
    /// Each model counts the same: majority vote, and mean.
    pub fn majority() -> Self {
        Self { weights: [1.0; LINKS_MAX] }
    }

    /// Each model counts for its weight, from 0 to 1. Where all that are there have weight 0, they
    /// count the same.
    pub fn weighted(weights: PerModel) -> Result<Self, PolicyError> {
        for weight in weights {
            parameter("weight", weight, (0.0, 1.0))?;
        }
        Ok(Self { weights })
    }
}

impl Policy for Vote {
    fn init(&self, models: usize) -> State {
        State::new(FORMAT, models, [])
    }

    fn is_sound(&self, _: &State) -> bool {
        true
    }

    fn choose(&self, _: &State, _: &Ask<'_>) -> Result<Choice, PolicyError> {
        Ok(Choice::All)
    }

    fn observe(&self, _: &mut State, _: &Feedback<'_>) -> Result<(), PolicyError> {
        Ok(())
    }

    fn weights(&self, _: &State, of: Models) -> PerModel {
        of.shares(&self.weights)
    }
}
