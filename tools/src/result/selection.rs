//! What was found of policies that learn which of several models to trust.

use serde::{Deserialize, Serialize};

/// Policies over the same models, asked the same while one model failed for a while; and one of
/// them while a model was too slow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelectionResult {
    /// That each policy was asked.
    pub queries: u64,
    /// The model that failed.
    pub failing: String,
    /// The first query of its failure, from 0.
    pub failing_from: u64,
    /// The first query after it.
    pub failing_until: u64,
    /// A point over time is the mean of so many queries, and the points stand at even distances.
    pub window: u64,
    pub policies: Vec<PolicyResult>,
    /// The models.
    pub arms: Vec<ArmResult>,
    pub stragglers: StragglersResult,
}

/// What a policy answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyResult {
    pub name: String,
    /// Answers that were right, of all queries; a default output is not right.
    pub accuracy: f64,
    /// The same before, during and after the failure.
    pub phases: [f64; 3],
    /// The same over time.
    pub over_time: Vec<f64>,
    /// What each of the models counted for in the answers, over time; in the order of the models.
    pub shares: Vec<Vec<f64>>,
}

/// What a model said to the same queries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArmResult {
    pub model: String,
    pub accuracy: f64,
    /// Before, during and after the failure.
    pub phases: [f64; 3],
    pub over_time: Vec<f64>,
}

/// What was answered while one of the models took longer than answers may.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StragglersResult {
    /// The model that was slow.
    pub model: String,
    pub slo_ns: u64,
    pub queries: u64,
    /// Answers that a client had within the SLO and its own way.
    pub in_time: u64,
    /// Of the client's exchanges.
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub max_ns: u64,
    /// Queries for which the slow model was asked; of the others it was known to be too slow.
    pub asked: u64,
    /// Of these, the ones that were answered without it.
    pub missing: u64,
    /// Of all answers, the mean.
    pub confidence: f64,
    /// The confidence below which the default output is answered.
    pub unsure_below: f64,
    /// Answers with a prediction.
    pub sure: u64,
    /// Of these, the right ones.
    pub sure_correct: u64,
    /// Answers with the default output because too few models agreed.
    pub unsure: u64,
    /// Of these, the ones where what the models said would have been right.
    pub unsure_correct: u64,
}

impl SelectionResult {
    /// The model that was right most often over the whole run, as far as any was asked.
    #[must_use]
    pub fn best_single(&self) -> Option<&ArmResult> {
        self.arms.iter().max_by(|a, b| a.accuracy.total_cmp(&b.accuracy))
    }
}
