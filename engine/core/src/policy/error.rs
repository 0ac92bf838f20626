//! What a policy is asked and cannot do.

use thiserror::Error;

/// Why a policy was not made, did not choose or did not learn. Its state is as before.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum PolicyError {
    #[error("`{name}` is {value}; give a number from {least} to {most}")]
    Parameter { name: &'static str, value: f64, least: f64, most: f64 },
    #[error("none of the linked models can be asked now; ask again when one is ready")]
    NothingServable,
    #[error("the policy needs a context of {expected} numbers, and {given} came; send {expected}")]
    ContextLength { expected: usize, given: usize },
    #[error("number {place} of the context is {value}; scale each to -1 to 1")]
    ContextNumber { place: usize, value: f64 },
    #[error("a loss for model {model}, and {models} are linked; give a number below that")]
    NoSuchModel { model: usize, models: usize },
    #[error("two losses for model {model} of one answer; give one")]
    SeenTwice { model: usize },
    #[error("the loss of model {model} is {loss}; scale losses to 0 to 1")]
    Loss { model: usize, loss: f64 },
    #[error(
        "the propensity of model {model} is {propensity}; give the one it was selected with, \
         above 0 and at most 1"
    )]
    Propensity { model: usize, propensity: f64 },
}

/// A parameter that has to lie within bounds, which NaN does not.
pub(super) fn parameter(
    name: &'static str,
    value: f64,
    (least, most): (f64, f64),
) -> Result<f64, PolicyError> {
    let is_within = (least..=most).contains(&value);
    if is_within { Ok(value) } else { Err(PolicyError::Parameter { name, value, least, most }) }
}
