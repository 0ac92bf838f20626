//! The best so far, and now and then any.

use super::Policy;
use super::choice::{Ask, Choice};
use super::error::{PolicyError, parameter};
use super::feedback::Feedback;
use super::state::{Format, State};
use super::tally::{self, Tally};
use crate::limits::DISCOUNT_MIN;

const FORMAT: Format = Format { policy: *b"epsi", version: 1 };

/// ε-greedy: the model with the best mean so far, but any with probability ε (Sutton and Barto,
/// "Reinforcement learning", 2nd edition 2018, section 2.4). One that was not seen yet counts as
/// perfect (section 2.6). With a discount below 1 the means forget (section 2.5). State: see
/// `tally`.
#[derive(Clone, Debug)]
pub struct EpsilonGreedy {
    epsilon: f64,
    discount: f64,
}

impl EpsilonGreedy {
    pub fn new(epsilon: f64, discount: f64) -> Result<Self, PolicyError> {
        Ok(Self {
            epsilon: parameter("epsilon", epsilon, (0.0, 1.0))?,
            discount: parameter("discount", discount, (DISCOUNT_MIN, 1.0))?,
        })
    }
}

impl Policy for EpsilonGreedy {
    fn init(&self, models: usize) -> State {
        tally::empty(FORMAT, models)
    }

    fn is_sound(&self, state: &State) -> bool {
        Tally::of(state).is_sound()
    }

    fn choose(&self, state: &State, ask: &Ask<'_>) -> Result<Choice, PolicyError> {
        let tally = Tally::of(state);
        Ok(Choice::best(ask.servable, |model| tally.mean_reward(model), self.epsilon))
    }

    fn observe(&self, state: &mut State, feedback: &Feedback<'_>) -> Result<(), PolicyError> {
        tally::observe(state, self.discount, feedback);
        Ok(())
    }
}
