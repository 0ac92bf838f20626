//! What is counted of the feedback to one application.

use super::{Counter, Histogram};

/// What is counted of the feedback to one application.
#[derive(Debug)]
pub struct FeedbackStats {
    /// Updates that a policy has learned from.
    pub learned: Counter,
    /// Updates for decisions whose time was over.
    pub late: Counter,
    /// Updates for decisions that were learned from, or withdrawn, before.
    pub duplicate: Counter,
    /// Updates for queries that there never were, or that were no decisions.
    pub unknown: Counter,
    /// Decisions that were withdrawn.
    pub withdrawn: Counter,
    /// Decisions of which nothing was told in time.
    pub expired: Counter,
    /// Inputs that models were asked again since somebody said what was right.
    pub evaluated: Counter,
    /// Updates that changed nothing: labels and rewards that do not fit, or no model to ask.
    pub unusable: Counter,
    /// From the answer to the update that was learned.
    pub join_delay: Histogram,
}

impl Default for FeedbackStats {
    fn default() -> Self {
        Self {
            learned: Counter::new(),
            late: Counter::new(),
            duplicate: Counter::new(),
            unknown: Counter::new(),
            withdrawn: Counter::new(),
            expired: Counter::new(),
            evaluated: Counter::new(),
            unusable: Counter::new(),
            join_delay: Histogram::of_times(),
        }
    }
}
