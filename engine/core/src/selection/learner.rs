//! Who chooses among an application's models, and learns.

use std::sync::Arc;

use twox_hash::XxHash3_128;

use super::means::Means;
use crate::contexts::{ContextCounts, ContextKey, Contexts, ContextsPlan, Series};
use crate::feedback::{Decisions, Loss, Losses, Reading, Unrewarded, Vector};
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
    /// How many models are linked, and how many numbers of a query the policy looks at.
    pub models: usize,
    pub numbers: usize,
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
    /// How many contexts have their states in memory; 0: all have the application's.
    pub contexts: u32,
    /// Where what is learned outlives the server, if it does.
    pub series: Option<Series>,
    /// Keys the hashes of inputs and contexts: drawn at random, so that nobody outside can find
    /// some that collide.
    pub hash_seed: u64,
    /// How many decisions can wait for feedback, how long each does, and what is learned of one
    /// that gets none.
    pub window: usize,
    pub feedback_wait_ns: u64,
    pub unrewarded: Unrewarded,
    /// The first query id that this server gives out.
    pub first_query_id: u64,
    pub stats: Arc<SelectionStats>,
}

/// A policy, its parameters for one application, and what it has learned.
#[derive(Debug)]
pub struct Learner {
    pub(super) plan: LearnerPlan,
    pub(super) contexts: Contexts<Losses>,
    pub(super) decisions: Decisions,
    pub(super) means: Means,
}

/// By what the memory of a learner is sized: see [`LearnerPlan`].
#[derive(Clone, Copy, Debug)]
pub struct LearnerSize {
    pub numbers: usize,
    pub contexts: u32,
    pub window: usize,
    pub has_store: bool,
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
    /// When `models` is 0 or more than [`LINKS_MAX`](crate::limits::LINKS_MAX), or the numbers of
    /// contexts and decisions are not within their limits.
    pub fn new(plan: LearnerPlan) -> Self {
        let contexts = Contexts::new(Self::contexts_plan(&plan));
        let LearnerPlan { window, models, numbers, feedback_wait_ns, first_query_id, .. } = plan;
        Self {
            contexts,
            decisions: Decisions::new(window, (models, numbers), feedback_wait_ns, first_query_id),
            means: Means::new(models),
            plan,
        }
    }

    /// The bytes of the tables of one that begins with this state.
    pub fn table_bytes(initial: State, size: &LearnerSize) -> usize {
        let LearnerSize { numbers, contexts, window, has_store } = *size;
        let models = initial.models();
        let plan = ContextsPlan { held: contexts.max(1), initial, seed: 0, has_store };
        Contexts::<Losses>::table_bytes(&plan) + Decisions::table_bytes(window, (models, numbers))
    }

    fn contexts_plan(plan: &LearnerPlan) -> ContextsPlan {
        ContextsPlan {
            held: plan.contexts.max(1),
            initial: plan.policy.init(plan.models),
            seed: plan.hash_seed,
            has_store: plan.series.is_some(),
        }
    }

    pub fn models(&self) -> usize {
        self.plan.models
    }

    /// What is counted of its contexts.
    pub(crate) fn context_counts(&self) -> ContextCounts {
        self.contexts.counts()
    }

    /// Decisions of which somebody may still tell what they were worth.
    pub(crate) fn decisions_waiting(&self) -> usize {
        self.decisions.waiting()
    }

    pub(super) fn is_on(&self, arm: usize) -> bool {
        self.plan.on.contains(arm)
    }

    /// Takes a model out, or back in, at once.
    pub(crate) fn switch(&mut self, arm: usize, on: bool) {
        let now = self.plan.on;
        self.plan.on = if on { now.with(arm) } else { now.without(arm) };
    }

    /// The context that a query names, if contexts are told apart.
    pub(super) fn key_of(&self, key: &[u8]) -> ContextKey {
        let key = ContextKey::new(key).filter(|_| self.plan.contexts > 0);
        key.unwrap_or(ContextKey::APPLICATION)
    }

    /// What the policy looks at, if it is as much as it should be.
    pub(super) fn vector_of<'a>(&self, vector: &'a Vector) -> &'a [f64] {
        let numbers = vector.numbers().filter(|numbers| numbers.len() == self.plan.numbers);
        numbers.unwrap_or_default()
    }

    /// Whether the policy can look at an input of which this is known. One that only watches does
    /// not look.
    pub(super) fn admits(&mut self, vector: &Vector) -> bool {
        if matches!(self.plan.mode, Mode::LogOnly { .. }) {
            return true;
        }
        let (_, state) = self.contexts.state(&ContextKey::APPLICATION);
        let servable = Models::first(self.plan.models);
        self.plan.policy.choose(state, &Ask { servable, context: vector.numbers() }).is_ok()
    }

    /// Whom the query with this id asks, of these.
    pub(super) fn choose(
        &mut self,
        servable: Models,
        key: &ContextKey,
        vector: Option<&[f64]>,
        query_id: u64,
    ) -> Result<Selection, PolicyError> {
        if let Mode::LogOnly { baseline } = self.plan.mode {
            let only = Models::only(baseline.into()).within(servable);
            if only.is_empty() {
                return Err(PolicyError::NothingServable);
            }
            return Ok(Selection { models: only, propensities: only.certain() });
        }
        let servable = servable.within(Models::first(self.plan.models));
        if servable.is_empty() {
            return Err(PolicyError::NothingServable);
        }
        let (_, state) = self.contexts.state(key);
        let choice = self.plan.policy.choose(state, &Ask { servable, context: vector })?;
        let choice = choice.capped(servable, &self.plan.caps);
        Ok(choice.draw(servable, &mut Random::of(self.plan.seed, query_id)))
    }
}

impl LearnerPlan {
    /// By what decisions of the same input are found.
    pub(super) fn hash_of(&self, input: &[u8]) -> u128 {
        XxHash3_128::oneshot_with_seed(self.hash_seed, input)
    }
}
