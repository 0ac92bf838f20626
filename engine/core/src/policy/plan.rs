//! Which policy, and with which parameters, as plain data: what a configuration says before the
//! policy is made.

use super::epsilon_greedy::EpsilonGreedy;
use super::error::PolicyError;
use super::exp3::Exp3;
use super::exp4::Exp4;
use super::lin_ucb::LinUcb;
use super::static_choice::Static;
use super::thompson_beta::BetaThompson;
use super::thompson_gaussian::GaussianThompson;
use super::ucb::Ucb1;
use super::vote::Vote;
use super::{PerModel, Policy};

/// A policy of this crate. What its parameters mean, and their bounds, is told where it is made.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyPlan {
    /// [`Static`], of the first linked model.
    Static,
    /// [`Exp3::new`].
    Exp3 { eta: f64, floor: f64, share: f64 },
    /// [`Exp3::ix`].
    Exp3Ix { eta: f64, floor: f64, share: f64 },
    /// [`Exp4::new`].
    Exp4 { eta: f64, share: f64 },
    /// [`EpsilonGreedy::new`].
    EpsilonGreedy { epsilon: f64, discount: f64 },
    /// [`Ucb1::new`].
    Ucb1 { discount: f64 },
    /// [`BetaThompson::new`].
    BetaThompson { discount: f64, floor: f64 },
    /// [`GaussianThompson::new`].
    GaussianThompson { deviation: f64, discount: f64, floor: f64 },
    /// [`Vote::majority`].
    Vote,
    /// [`Vote::weighted`]: a weight for each linked model, in their order; 0 where there is none.
    Weighted { weights: Vec<f64> },
    /// [`LinUcb::new`].
    LinUcb { numbers: usize, alpha: f64, floor: f64 },
}

impl PolicyPlan {
    /// Makes it.
    pub fn build(&self) -> Result<Box<dyn Policy>, PolicyError> {
        Ok(match *self {
            Self::Static => Box::new(Static::default()),
            Self::Exp3 { eta, floor, share } => Box::new(Exp3::new(eta, floor, share)?),
            Self::Exp3Ix { eta, floor, share } => Box::new(Exp3::ix(eta, floor, share)?),
            Self::Exp4 { eta, share } => Box::new(Exp4::new(eta, share)?),
            Self::EpsilonGreedy { epsilon, discount } => {
                Box::new(EpsilonGreedy::new(epsilon, discount)?)
            }
            Self::Ucb1 { discount } => Box::new(Ucb1::new(discount)?),
            Self::BetaThompson { discount, floor } => Box::new(BetaThompson::new(discount, floor)?),
            Self::GaussianThompson { deviation, discount, floor } => {
                Box::new(GaussianThompson::new(deviation, discount, floor)?)
            }
            Self::Vote => Box::new(Vote::majority()),
            Self::Weighted { ref weights } => Box::new(Vote::weighted(per_model(weights))?),
            Self::LinUcb { numbers, alpha, floor } => Box::new(LinUcb::new(numbers, alpha, floor)?),
        })
    }

    /// Whether every servable model is asked, and not one of them.
    pub fn asks_all(&self) -> bool {
        matches!(self, Self::Exp4 { .. } | Self::Vote | Self::Weighted { .. })
    }
}

fn per_model(weights: &[f64]) -> PerModel {
    std::array::from_fn(|model| weights.get(model).copied().unwrap_or_default())
}
