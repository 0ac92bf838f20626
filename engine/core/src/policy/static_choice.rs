//! Always the same model.

use super::Policy;
use super::choice::{Ask, Choice};
use super::error::PolicyError;
use super::feedback::Feedback;
use super::models::Models;
use super::state::{Format, State};

const FORMAT: Format = Format { policy: *b"stat", version: 1 };

/// One model; while it cannot be asked, the first in the application's order that can (Clipper's
/// static selection, NSDI 2017, section 5). It learns nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Static {
    /// 0 is the first that the application links.
    pub model: usize,
}

impl Policy for Static {
    fn init(&self, models: usize) -> State {
        State::new(FORMAT, models, [])
    }

    fn is_sound(&self, _: &State) -> bool {
        true
    }

    fn choose(&self, _: &State, ask: &Ask<'_>) -> Result<Choice, PolicyError> {
        let preferred = ask.servable.contains(self.model).then_some(self.model);
        let chosen = preferred.or_else(|| ask.servable.iter().next());
        let chosen = chosen.map(Models::only).unwrap_or_default();
        Ok(Choice::One(chosen.map(|_| 1.0)))
    }

    fn observe(&self, _: &mut State, _: &Feedback<'_>) -> Result<(), PolicyError> {
        Ok(())
    }
}
