//! The model that may be the best.

use super::Policy;
use super::choice::{Ask, Choice};
use super::error::{PolicyError, parameter};
use super::feedback::Feedback;
use super::models::Models;
use super::state::{Format, State};
use super::tally::{self, Tally};
use crate::limits::DISCOUNT_MIN;

const FORMAT: Format = Format { policy: *b"ucb1", version: 1 };

/// UCB1: the model with the largest `mean + √(2 ln n / nᵢ)`, where `nᵢ` of `n` observations are its
/// own (Auer, Cesa-Bianchi, Fischer, "Finite-time analysis of the multiarmed bandit problem",
/// Machine Learning 47, 2002, Figure 1). With a discount below 1 it is D-UCB (Garivier and
/// Moulines, ALT 2011, section 2, with ξ = 1/2). State: see `tally`.
///
/// It leaves nothing to chance but the choice among equals: of most choices the propensity is 1,
/// and nothing can be told from its log about a model that it did not ask.
#[derive(Clone, Debug)]
pub struct Ucb1 {
    discount: f64,
}

impl Ucb1 {
    pub fn new(discount: f64) -> Result<Self, PolicyError> {
        Ok(Self { discount: parameter("discount", discount, (DISCOUNT_MIN, 1.0))? })
    }
}

impl Policy for Ucb1 {
    fn init(&self, models: usize) -> State {
        tally::empty(FORMAT, models)
    }

    fn is_sound(&self, state: &State) -> bool {
        Tally::of(state).is_sound()
    }

    fn choose(&self, state: &State, ask: &Ask<'_>) -> Result<Choice, PolicyError> {
        let tally = Tally::of(state);
        let total = tally.total(Models::first(state.models()));
        let bound = |model| {
            // Sums that forget may be below 1 together, and that is no reason for a bonus below 0.
            let bonus = 2.0 * total.max(1.0).ln() / tally.count(model);
            let is_known = tally.count(model) > 0.0;
            if is_known { tally.mean_reward(model) + bonus.sqrt() } else { f64::INFINITY }
        };
        Ok(Choice::best(ask.servable, bound, 0.0))
    }

    fn observe(&self, state: &mut State, feedback: &Feedback<'_>) -> Result<(), PolicyError> {
        tally::observe(state, self.discount, feedback);
        Ok(())
    }
}
