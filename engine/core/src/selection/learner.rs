//! Who chooses among an application's models, and learns.

use std::sync::Arc;

use super::means::Means;
use crate::contexts::ContextKey;
use crate::feedback::{Loss, Reading};
use crate::policy::{Ask, Models, PerModel, Policy, PolicyError, Random, Selection, State};
use crate::stats::SelectionStats;

/// What stands for a model that has said nothing in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Substitute {
    /// Nothing: the others share its weight.
    #[default]
    Nothing,
    /// The mean of what it said before. Only for values and scores.
    Mean,
    /// What it said of this input before, if its cache has that still.
    Last,
}

/// What the policy is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Its choice is asked and answered.
    #[default]
    Online,
    /// Its choice is asked, and learned from, and the baseline is answered.
    Apprentice { baseline: u8 },
    /// The baseline is asked and answered, and nothing is learned.
    LogOnly { baseline: u8 },
}

/// What a learner is made of.
#[derive(Debug)]
pub struct LearnerPlan {
    pub policy: Box<dyn Policy>,
    /// How many models are linked.
    pub models: usize,
    pub reading: Reading,
    /// How far apart values may be that agree.
    pub tolerance: f64,
    pub substitute: Substitute,
    /// Below this confidence the default output is answered.
    pub unsure_below: f64,
    pub loss: Loss,
    /// The least and the largest reward that a client may tell.
    pub rewards: (f64, f64),
    /// Whether a model that was asked and said nothing in time has lost.
    pub default_teaches: bool,
    pub mode: Mode,
    /// The largest share of choices that each model may have.
    pub caps: PerModel,
    /// The models that may be asked.
    pub on: Models,
    /// The same seed, state and query ids give the same choices.
    pub seed: u64,
    pub stats: Arc<SelectionStats>,
}

/// A policy, its parameters for one application, and what it has learned.
#[derive(Debug)]
pub struct Learner {
    pub(super) plan: LearnerPlan,
    pub(super) stats: Arc<SelectionStats>,
    state: State,
    pub(super) means: Means,
}

/// What a query brings for the choice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asking<'a> {
    /// The context whose state is used; empty for the application's own.
    pub key: &'a [u8],
    /// What is known of the query, for policies that look at it.
    pub vector: Option<&'a [f64]>,
    /// Its client wants to know what each model said.
    pub explain: bool,
}

impl Learner {
    /// Takes all of its memory.
    ///
    /// # Panics
    /// When `models` is 0 or more than [`LINKS_MAX`](crate::limits::LINKS_MAX).
    pub fn new(plan: LearnerPlan) -> Self {
        let state = plan.policy.init(plan.models);
        let stats = Arc::clone(&plan.stats);
        let means = Means::new(plan.models);
        Self { plan, stats, state, means }
    }

    pub fn models(&self) -> usize {
        self.plan.models
    }

    pub(super) fn is_on(&self, arm: usize) -> bool {
        self.plan.on.contains(arm)
    }

    /// Takes a model out, or back in, at once.
    pub(crate) fn switch(&mut self, arm: usize, on: bool) {
        let now = self.plan.on;
        self.plan.on = if on { now.with(arm) } else { now.without(arm) };
    }

    pub(super) fn state(&self, _key: &ContextKey) -> &State {
        &self.state
    }

    /// Whom the query with this id asks, of these.
    pub(super) fn choose(
        &self,
        servable: Models,
        key: &ContextKey,
        asking: &Asking<'_>,
        query_id: u64,
    ) -> Result<Selection, PolicyError> {
        if let Mode::LogOnly { baseline } = self.plan.mode {
            let only = Models::only(baseline.into()).within(servable);
            if only.is_empty() {
                return Err(PolicyError::NothingServable);
            }
            let propensities = std::array::from_fn(|arm| f64::from(u8::from(only.contains(arm))));
            return Ok(Selection { models: only, propensities });
        }
        let servable = servable.within(Models::first(self.plan.models));
        if servable.is_empty() {
            return Err(PolicyError::NothingServable);
        }
        let ask = Ask { servable, context: asking.vector };
        let choice = self.plan.policy.choose(self.state(key), &ask)?;
        let choice = choice.capped(servable, &self.plan.caps);
        Ok(choice.draw(servable, &mut Random::of(self.plan.seed, query_id)))
    }

    /// The model that is answered, whatever the policy says.
    pub(super) fn baseline(&self) -> Option<u8> {
        match self.plan.mode {
            Mode::Online => None,
            Mode::Apprentice { baseline } | Mode::LogOnly { baseline } => Some(baseline),
        }
    }
}
