//! A part of `/stats`: how an application with a policy chooses among its models, and what it has
//! learned of them.
//!
//! Counts grow since the models were linked, and begin again with others. Shares, rewards and
//! weights are from 0 to 1, rounded to millionths; they are `null` where nothing was counted that
//! they could be computed from.

use serde::{Deserialize, Serialize};

use crate::Histogram;

/// How an application chooses among its models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// The policy, as configured.
    pub policy: String,
    /// What the policy is for, as configured: `online`, `apprentice` or `log_only`.
    pub mode: String,
    /// Queries for which models were chosen.
    pub decisions: u64,
    /// Answers that are the vote or the mean of several models.
    pub combined: u64,
    /// Of those, the mean confidence: the share of all linked models that agreed.
    pub confidence: Option<f64>,
    /// Answers of which it was told what they were worth, default outputs included.
    pub judged: u64,
    /// Of those, what they have earned on average, where one that was no prediction has earned
    /// nothing: with a loss of 0 or 1, the share that was right and in time.
    pub effective_accuracy: Option<f64>,
    /// By how much the best model would have earned more in all judged answers, by the mean rewards
    /// that were seen. Negative when the policy does better than any single model.
    pub regret: Option<f64>,
    /// What the policy would have done; of an apprentice alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apprentice: Option<Apprentice>,
    pub feedback: Feedback,
    /// The linked models, in their order.
    pub arms: Vec<Arm>,
}

/// What a policy would have done that learns beside a baseline, whose output is answered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Apprentice {
    /// Judged answers of which it is known what the policy's choice said.
    pub judged: u64,
    /// The share of those in which it said what the baseline said.
    pub agreement: Option<f64>,
    /// What it would have earned on average.
    pub earned: Option<f64>,
}

/// What became of what clients told about answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Feedback {
    /// Updates that were learned from.
    pub learned: u64,
    /// Those, as a share of the decisions.
    pub share: Option<f64>,
    /// Updates for decisions whose time was over.
    pub late: u64,
    /// Updates for decisions of which it had been told before.
    pub duplicate: u64,
    /// Updates for queries that were no decisions.
    pub unknown: u64,
    /// Decisions that were withdrawn.
    pub withdrawn: u64,
    /// Decisions of which nothing was told in time.
    pub expired: u64,
    /// Inputs that models were asked again, since it was told what was right.
    pub evaluated: u64,
    /// Updates that changed nothing, since they did not fit or no model could be asked.
    pub unusable: u64,
    /// ns from an answer to the update that was learned from.
    pub join_delay: Histogram,
}

/// A linked model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// As an index into [`crate::Stats::models`].
    pub model: usize,
    /// Whether it may be chosen: an operator can take it out.
    pub enabled: bool,
    /// With which probability it was chosen when it was last; where several are combined, what it
    /// counted for.
    pub weight: f64,
    /// Queries that asked it.
    pub asked: u64,
    /// Those, as a share of the decisions.
    pub share: Option<f64>,
    /// Its outputs that came before the answer.
    pub came: u64,
    /// Queries that were answered before its output came.
    pub stragglers: u64,
    /// Queries that did not ask it, since it would have been late.
    pub predicted_late: u64,
    /// Combined answers with which it agreed.
    pub agreed: u64,
    /// Those, as a share of all combined answers.
    pub agreement: Option<f64>,
    /// Rewards that were learned of it.
    pub learned: u64,
    /// `null` when none was.
    pub reward: Option<Reward>,
}

/// What a model has earned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reward {
    /// The mean of 1 less the loss.
    pub mean: f64,
    /// Its 95 % interval: the normal approximation, that is 1.96 standard errors of the mean on
    /// either side, within 0 and 1. `null` of a single reward. It takes rewards as independent and
    /// all alike: of a model that has begun to fail, it is that of a time that is over.
    pub interval: Option<(f64, f64)>,
}
