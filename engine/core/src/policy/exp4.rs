//! Exp4: all models are asked, and weighed by what each has lost.

use super::Policy;
use super::choice::{Ask, Choice};
use super::error::{PolicyError, parameter};
use super::feedback::Feedback;
use super::log_weights;
use super::models::{Models, PerModel};
use super::state::{Format, State};
use crate::limits::{ETA_MAX, ETA_MIN};

const FORMAT: Format = Format { policy: *b"exp4", version: 1 };

/// What Clipper calls Exp4 (NSDI 2017, section 5.2), with the update that is right when the losses
/// of all models are known: each weight is multiplied by `exp(-η · loss)`. That is Hedge: Freund
/// and Schapire, "A decision-theoretic generalization of on-line learning" (J. Comput. Syst. Sci.
/// 55(1), 1997), Figure 1, with β = `exp(-η)`. State: the logarithm of each weight.
///
/// A model of which no loss is known keeps its part of all weight: it neither wins nor loses by
/// having said nothing (Freund et al., "Using and combining predictors that specialize", STOC 1997,
/// SBayes).
#[derive(Clone, Debug)]
pub struct Exp4 {
    eta: f64,
    share: f64,
}

impl Exp4 {
    /// `share` is the part of all weight that is dealt out anew with each answer, so that a model
    /// that has healed comes back.
    pub fn new(eta: f64, share: f64) -> Result<Self, PolicyError> {
        let eta = parameter("eta", eta, (ETA_MIN, ETA_MAX))?;
        Ok(Self { eta, share: parameter("share", share, (0.0, 1.0))? })
    }
}

impl Policy for Exp4 {
    fn init(&self, models: usize) -> State {
        log_weights::equal(FORMAT, models)
    }

    fn is_sound(&self, state: &State) -> bool {
        log_weights::are_sound(state.words())
    }

    fn choose(&self, _: &State, _: &Ask<'_>) -> Result<Choice, PolicyError> {
        Ok(Choice::All)
    }

    fn observe(&self, state: &mut State, feedback: &Feedback<'_>) -> Result<(), PolicyError> {
        let awake = feedback.models();
        if awake.is_empty() {
            return Ok(());
        }
        let log_weights = state.words_mut();
        let before = log_weights::log_sum(log_weights, awake);
        for seen in feedback.seen() {
            let estimate = seen.loss / seen.propensity;
            log_weights::lower(&mut log_weights[seen.model], self.eta * estimate);
        }
        let lost = before - log_weights::log_sum(log_weights, awake);
        awake.iter().for_each(|model| log_weights[model] += lost);
        log_weights::settle(log_weights, self.share);
        Ok(())
    }

    fn weights(&self, state: &State, of: Models) -> PerModel {
        log_weights::shares(state.words(), of)
    }
}
