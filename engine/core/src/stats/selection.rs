//! What is counted of an application's choices among its models, and of what it learns.

use super::counter::{Counter, Gauge};
use super::feedback::FeedbackStats;

/// One is so many of the parts in which shares, losses and probabilities are counted.
pub const MILLIONTHS: f64 = 1e6;

/// What is counted of one linked model, an *arm*.
#[derive(Debug, Default)]
pub struct ArmStats {
    /// Queries that asked it.
    pub asked: Counter,
    /// Outputs of it that came in time to count.
    pub came: Counter,
    /// Queries that were answered before its output was there.
    pub stragglers: Counter,
    /// Queries for which it was not asked since it would have been late, as predicted.
    pub predicted_late: Counter,
    /// Answers of several models with which it agreed.
    pub agreed: Counter,
    /// Losses of it that were learned.
    pub learned: Counter,
    /// Their sum, and the sum of their squares, in millionths.
    pub losses: Counter,
    pub squared_losses: Counter,
    /// With which probability it was asked last, or what it counted for, in millionths.
    pub weight: Gauge,
}

/// What is counted of an application that has a policy.
#[derive(Debug)]
pub struct SelectionStats {
    pub arms: Box<[ArmStats]>,
    /// Decisions made.
    pub decisions: Counter,
    /// Answers of several models, and the sum of their confidence in millionths.
    pub combined: Counter,
    pub confidence: Counter,
    /// Answers whose feedback came, defaults included, and the sum of what they earned, in
    /// millionths: 1 for one that was right and in time.
    pub judged: Counter,
    pub earned: Counter,
    /// Of these, what the policy beside a baseline would have earned, and how often it said what
    /// the baseline said.
    pub beside_judged: Counter,
    pub beside_earned: Counter,
    pub beside_agreed: Counter,
    pub feedback: FeedbackStats,
}

impl SelectionStats {
    /// Of so many linked models. Nothing is counted yet.
    pub fn new(arms: usize) -> Self {
        Self {
            arms: (0..arms).map(|_| ArmStats::default()).collect(),
            decisions: Counter::new(),
            combined: Counter::new(),
            confidence: Counter::new(),
            judged: Counter::new(),
            earned: Counter::new(),
            beside_judged: Counter::new(),
            beside_earned: Counter::new(),
            beside_agreed: Counter::new(),
            feedback: FeedbackStats::default(),
        }
    }
}

/// A share as it is counted.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and shares are from 0 to 1"
)]
pub(crate) fn millionths(share: f64) -> u64 {
    (share * MILLIONTHS).round() as u64
}
