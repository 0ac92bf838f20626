//! What is told of each decision and of each lesson, for who keeps a log of them.

use super::said::Said;
use crate::ids::ApplicationId;
use crate::policy::Models;

/// A query of an application with a policy was answered; or its models were asked of an input, to
/// learn from what they say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decided<'a> {
    pub application: ApplicationId,
    /// Nobody asked, and nobody was answered.
    pub is_evaluation: bool,
    pub query_id: u64,
    pub arrived_ns: u64,
    pub answered_ns: u64,
    /// The key of the context that the query named; empty for the application itself.
    pub context: &'a [u8],
    /// The linked models that could have been asked, and those that were.
    pub servable: Models,
    pub asked: Models,
    /// With which probability each linked model was asked.
    pub propensities: &'a [f64],
    /// What each linked model said.
    pub said: &'a [Said],
    /// What was answered; nothing where it was the default output.
    pub answer: Said,
    /// The share of all linked models that agreed with it, where several were asked.
    pub confidence: Option<f64>,
    /// The context vector that the query brought, whether the policy looks at it or not.
    pub vector: &'a [f64],
}

/// What was right was told, and learned; or nothing was told in time, and that was learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Learned<'a> {
    pub application: ApplicationId,
    pub query_id: u64,
    /// When it was told, or when the time for that was over.
    pub told_ns: u64,
    /// The loss of each linked model, where it is known.
    pub losses: &'a [Option<f64>],
    /// The loss of what was answered, if it was a prediction.
    pub answer_loss: Option<f64>,
}
