//! Which of an application's models a query asks, and what is made of what they say.
//!
//! Owner: the engine thread. Pure logic: a model is a number below the number of models, a state is
//! numbers, and randomness is passed in. Nothing here allocates after [`Policy::init`], and nothing
//! here knows what a query, a replica or an output's bytes are. An application whose configuration
//! names a policy has it in its [`Learner`](crate::selection::Learner), which asks it for each
//! query; the queries of others are asked as [`Asked`](crate::Asked) says.
//!
//! How it flows: for a query, the state of its context and the set of models that can be asked now
//! go to [`Policy::select`], which says whom to ask, and with which probability each was asked.
//! What they say goes to [`Policy::combine`], which weighs it to an answer and says how many agree.
//! When somebody says what was right, the losses go to [`Policy::observe`], and the state has
//! learned.
//!
//! ```text
//!  servable set ─┐                    outputs                       losses, propensities
//!                ▼                       ▼                                   ▼
//!   state ▸ select ▸ models asked ▸ combine ▸ answer, confidence ▸ ┄ ▸ observe ▸ state
//! ```
//!
//! Invariants:
//! - Propensities are a function of state, servable set and context alone: a decision that is
//!   repeated on the same state has the same ones, whatever was drawn.
//! - Of one that is not servable the propensity is 0; those of a choice of one add up to 1.
//! - A state is finite numbers within the bounds of its policy, whatever was observed.
//!
//! # Rooms
//! [`Models`] sets of models · [`Choice`] probabilities and draws · [`Feedback`] checked losses ·
//! [`combine`] votes and means · [`State`] numbers and bytes · [`PolicyPlan`] what is configured ·
//! `log_weights`, `tally`, `posterior` what several policies keep · a file for each policy.

mod choice;
pub mod combine;
mod epsilon_greedy;
mod error;
mod exp3;
mod exp4;
mod feedback;
mod lin_ucb;
mod log_weights;
mod models;
mod plan;
mod posterior;
mod random;
mod state;
mod static_choice;
mod tally;
#[cfg(test)]
mod tests;
mod thompson_beta;
mod thompson_gaussian;
mod ucb;
mod vote;

use std::fmt;

pub use choice::{Ask, Choice, Selection};
pub use epsilon_greedy::EpsilonGreedy;
pub use error::PolicyError;
pub use exp3::Exp3;
pub use exp4::Exp4;
pub use feedback::{Feedback, Seen};
pub use lin_ucb::LinUcb;
pub use models::{Models, PerModel};
pub use plan::PolicyPlan;
pub use random::Random;
pub use state::{Format, State, StateError};
pub use static_choice::Static;
pub use thompson_beta::BetaThompson;
pub use thompson_gaussian::GaussianThompson;
pub use ucb::Ucb1;
pub use vote::Vote;

use combine::{Combined, Outputs};

/// A way to choose among models, to weigh what they say, and to learn from what was right.
///
/// The four functions of Clipper (NSDI 2017, section 5): `init`, `select`, `combine`, `observe`. A
/// policy holds its parameters and nothing that changes; what it has learned is in the [`State`],
/// of which there is one for each application and context. A policy of one's own says
/// [`init`](Self::init), [`is_sound`](Self::is_sound), [`choose`](Self::choose) and
/// [`observe`](Self::observe).
pub trait Policy: fmt::Debug + Send {
    /// What is known of so many models before anything is observed.
    ///
    /// # Panics
    /// When `models` is 0 or more than [`LINKS_MAX`](crate::limits::LINKS_MAX).
    fn init(&self, models: usize) -> State;

    /// Whether finite numbers are a state that `init` and `observe` can lead to: asked of states
    /// that were stored.
    fn is_sound(&self, state: &State) -> bool;

    /// With which probability each model is asked. `ask.servable` has at least one, and none that
    /// is not linked.
    fn choose(&self, state: &State, ask: &Ask<'_>) -> Result<Choice, PolicyError>;

    /// Learns from losses. On an error the state is as before.
    fn observe(&self, state: &mut State, feedback: &Feedback<'_>) -> Result<(), PolicyError>;

    /// How much each of some models counts in an answer; adds up to 1 over them.
    fn weights(&self, state: &State, of: Models) -> PerModel {
        let _ = state;
        of.equal_shares()
    }

    /// Whom a query asks.
    fn select(
        &self,
        state: &State,
        ask: Ask<'_>,
        random: &mut Random,
    ) -> Result<Selection, PolicyError> {
        let servable = ask.servable.within(Models::first(state.models()));
        if servable.is_empty() {
            return Err(PolicyError::NothingServable);
        }
        Ok(self.choose(state, &Ask { servable, ..ask })?.draw(servable, random))
    }

    /// What the outputs that are there come to; `None` when there is none.
    ///
    /// # Panics
    /// When there is not one output, or word about it, for each linked model.
    fn combine(&self, state: &State, outputs: Outputs<'_>) -> Option<Combined> {
        assert_eq!(outputs.len(), state.models());
        let there = outputs.there();
        if there.is_empty() {
            return None;
        }
        Some(outputs.combine(&self.weights(state, there)))
    }
}
