//! One application: what it promises, whom it asks, its rows and its queries.
//!
//! Made by the control thread with all of its memory, moved into the core by a change, and given
//! back when it is removed. It knows no name: who shows it to people does.

use std::sync::Arc;

use crate::ids::ModelId;
use crate::lead::Lead;
use crate::limits::LINKS_MAX;
use crate::query::Queries;
use crate::rows::Pool;
use crate::selection::{Learner, Selector};
use crate::stats::ApplicationStats;

/// A model version that an application asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub model: ModelId,
    /// The place of the application's pool in the pool table of the model's replicas.
    pub pool: u32,
}

/// Which of the linked models a query asks, and what is answered of what they say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// The first linked model is asked.
    #[default]
    First,
    /// All are asked. The answer is the output of the first of them, in their order, that gives
    /// one: as soon as it is known which that is, or at the deadline of what is there.
    All,
}

/// The models that an application asks, in the order of its preference.
#[derive(Debug, Default)]
pub struct Links {
    pub models: Vec<Link>,
    /// Of an application without a policy.
    pub asked: Asked,
    /// Who chooses among them: of one that has a policy, and has models.
    pub learner: Option<Box<Learner>>,
}

impl Links {
    /// One model, or none.
    pub fn of(link: Option<Link>) -> Self {
        Self { models: link.into_iter().collect(), ..Self::default() }
    }

    /// Those on whose batches the time of a reply is taken into account: all that a policy may
    /// choose, and else the first.
    #[inline]
    pub(crate) fn asked_by_most(&self, has_policy: bool) -> &[Link] {
        let most = if has_policy { self.models.len() } else { 1.min(self.models.len()) };
        &self.models[..most]
    }

    /// Those that a query asks.
    #[inline]
    pub(crate) fn selected(&self) -> &[Link] {
        let most = match self.asked {
            Asked::First => 1,
            Asked::All => self.models.len(),
        };
        &self.models[..most.min(self.models.len())]
    }
}

/// What an application is made of.
#[derive(Debug)]
pub struct ApplicationPlan {
    /// Within this time of its arrival a query is answered.
    pub slo_ns: u64,
    pub pool: Pool,
    /// The most models that a query can ask: bounds what may be linked later.
    pub links_max: usize,
    /// A policy chooses among them.
    pub has_policy: bool,
    pub stats: Arc<ApplicationStats>,
}

/// An application.
#[derive(Debug)]
pub struct Application {
    pub(crate) slo_ns: u64,
    pub(crate) lead: Lead,
    pub(crate) pool: Pool,
    pub(crate) queries: Queries,
    pub(crate) links: Box<Links>,
    /// Of one that has a policy.
    pub(crate) selector: Option<Box<Selector>>,
    pub(crate) stats: Arc<ApplicationStats>,
    /// No query is admitted any more.
    pub(crate) is_draining: bool,
}

impl Application {
    /// Takes all memory that it will ever need. It is linked to nothing yet.
    ///
    /// # Panics
    /// When `links_max` is 0 or more than [`LINKS_MAX`].
    pub fn new(plan: ApplicationPlan) -> Self {
        let ApplicationPlan { slo_ns, pool, links_max, has_policy, stats } = plan;
        assert!((1..=LINKS_MAX).contains(&links_max));
        let rows = pool.rows();
        stats.rows.set(u64::from(rows));
        Self {
            slo_ns,
            lead: Lead::new(slo_ns),
            pool,
            queries: Queries::new(rows, width(links_max, has_policy)),
            links: Box::default(),
            selector: has_policy
                .then(|| Box::new(Selector::new(rows, width(links_max, has_policy)))),
            stats,
            is_draining: false,
        }
    }

    /// The bytes of the tables of one with so many rows, whose queries can ask so many models.
    pub const fn table_bytes(rows: u32, links_max: usize, has_policy: bool) -> usize {
        let width = width(links_max, has_policy);
        let decided = if has_policy { Selector::table_bytes(rows, width) } else { 0 };
        Queries::table_bytes(rows, width) + Pool::table_bytes(rows) + decided
    }

    /// Whether nothing of it is under way: no query open, no row in use.
    pub(crate) fn is_idle(&self) -> bool {
        self.queries.open_count() == 0 && self.pool.in_use() == 0
    }
}

/// How many calls a query has room for. With more than one there is room for outputs that wait,
/// which a policy's answers may do even where one model is asked.
const fn width(links_max: usize, has_policy: bool) -> usize {
    if has_policy && links_max < 2 { 2 } else { links_max }
}
