//! Exp3 and Exp3-IX: one model is asked, and no assumption is made about the losses.

use super::Policy;
use super::choice::{Ask, Choice};
use super::error::{PolicyError, parameter};
use super::feedback::Feedback;
use super::log_weights;
use super::models::{Models, PerModel};
use super::state::{Format, State};
use crate::limits::{ETA_MAX, ETA_MIN};

const FORMAT: Format = Format { policy: *b"exp3", version: 1 };

/// Exponential weights over importance-weighted losses: model `i`, asked with probability `p`, has
/// its weight multiplied by `exp(-η · loss / (p + γ))`.
///
/// With γ = 0, no floor and no share it is Clipper's (NSDI 2017, section 5.1) and that of Bubeck
/// and Cesa-Bianchi, "Regret analysis of stochastic and nonstochastic multi-armed bandit problems"
/// (2012), section 3.1. State: the logarithm of each weight.
#[derive(Clone, Debug)]
pub struct Exp3 {
    /// How fast it reacts.
    eta: f64,
    /// γ above: the implicit exploration of Exp3-IX.
    implicit: f64,
    /// The part of all choices that is left to chance.
    floor: f64,
    /// The part of all weight that is dealt out anew with each loss.
    share: f64,
}

impl Exp3 {
    /// Exp3 with a part of all choices left to chance (`floor`), and a part of all weight dealt out
    /// anew with each loss (`share`). With both it is Exp3.S, for a best model that changes (Auer
    /// et al., SIAM J. Comput. 32(1), 2002, section 8), in losses instead of gains.
    pub fn new(eta: f64, floor: f64, share: f64) -> Result<Self, PolicyError> {
        Ok(Self {
            eta: parameter("eta", eta, (ETA_MIN, ETA_MAX))?,
            implicit: 0.0,
            floor: parameter("floor", floor, (0.0, 1.0))?,
            share: parameter("share", share, (0.0, 1.0))?,
        })
    }

    /// Exp3-IX, whose regret is small not only in the mean: Neu, "Explore no more" (NIPS 2015),
    /// Algorithm 1, with its γ = η / 2.
    pub fn ix(eta: f64, floor: f64, share: f64) -> Result<Self, PolicyError> {
        Ok(Self { implicit: eta / 2.0, ..Self::new(eta, floor, share)? })
    }
}

impl Policy for Exp3 {
    fn init(&self, models: usize) -> State {
        log_weights::equal(FORMAT, models)
    }

    fn is_sound(&self, state: &State) -> bool {
        log_weights::are_sound(state.words())
    }

    fn choose(&self, state: &State, ask: &Ask<'_>) -> Result<Choice, PolicyError> {
        let shares = log_weights::shares(state.words(), ask.servable);
        Ok(Choice::one(ask.servable, &shares, self.floor))
    }

    fn observe(&self, state: &mut State, feedback: &Feedback<'_>) -> Result<(), PolicyError> {
        for seen in feedback.seen() {
            let estimate = seen.loss / (seen.propensity + self.implicit);
            log_weights::lower(&mut state.words_mut()[seen.model], self.eta * estimate);
        }
        log_weights::settle(state.words_mut(), self.share);
        Ok(())
    }

    fn weights(&self, state: &State, of: Models) -> PerModel {
        log_weights::shares(state.words(), of)
    }
}
