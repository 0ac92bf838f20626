//! A query of an application with a policy: whom it asks.

use super::learner::Asking;
use super::selector::Open;
use crate::Core;
use crate::application::{Application, Link, Links};
use crate::call::Call;
use crate::feedback::Vector;
use crate::ids::ApplicationId;
use crate::policy::{Models, PolicyError};
use crate::query::Queries;
use crate::smoothed;
use crate::stats::{Reason, millionths};

/// Why a query gets the default output instead, and for people.
type Refusal = (Reason, &'static [u8]);

const NO_CHOICE: &[u8] = b"the policy could not choose a model for this query";

impl Core {
    /// Asks whom the policy chooses, for a query that was just opened.
    pub(crate) fn choose(
        &mut self,
        now_ns: u64,
        (application, row): (ApplicationId, u32),
        parse_ns: u64,
        asking: &Asking<'_>,
    ) -> Result<(), Refusal> {
        let due_ns = self.applications[application].queries.get(row).due_ns;
        let servable = self.servable(now_ns, application, due_ns);
        let Application { selector, queries, links, .. } = &mut *self.applications[application];
        let Some(selector) = selector else { return Err((Reason::NoModel, &[])) };
        selector.begin_undecided(row);
        let Some(learner) = &mut selector.learner else { return Err((Reason::NoModel, &[])) };
        let key = learner.key_of(asking.key);
        let vector = Vector::new(asking.vector.unwrap_or_default()).unwrap_or(Vector::NONE);
        let chosen = learner.choose(servable, &key, vector.numbers(), queries.get(row).id);
        let mut chosen = chosen.map_err(|error| match error {
            PolicyError::NothingServable => (Reason::NotReady, &[][..]),
            _ => (Reason::ModelError, NO_CHOICE),
        })?;
        let mut open = Open::of(servable, chosen.models, key);
        (open.explain, open.vector) = (asking.explain, vector);
        // Even if it cannot answer now: nobody else is to.
        open.baseline = learner.plan.mode.baseline();
        if let Some(baseline) = open.baseline {
            open.asked = open.asked.with(baseline);
        }
        learner.plan.stats.decisions.increment();
        for arm in open.asked.iter() {
            learner.plan.stats.arms[arm].asked.increment();
            learner.plan.stats.arms[arm].weight.set(millionths(chosen.propensities[arm]));
            let model = &mut self.models[links.models[arm].model];
            model.parse_ns = smoothed(model.parse_ns, parse_ns);
        }
        // Whatever the policy made of it, it was certain to be asked.
        open.baseline.into_iter().for_each(|baseline| chosen.propensities[baseline] = 1.0);
        ask_all(queries, links, row, open.asked, now_ns);
        selector.begin(row, open, &chosen.propensities);
        Ok(())
    }
}

/// A call to each of these models.
pub(super) fn ask_all(
    queries: &mut Queries,
    links: &Links,
    row: u32,
    asked: Models,
    admitted_ns: u64,
) {
    for arm in asked.iter() {
        let Link { model, pool } = links.models[arm];
        let arm = u8::try_from(arm).expect("at most LINKS_MAX");
        let is_pending = true;
        queries.ask(row, Call { model, pool, arm, admitted_ns, is_pending, ..Call::VACANT });
    }
}
