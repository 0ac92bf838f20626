//! A query of an application with a policy: whom it asks.

use super::learner::Asking;
use super::selector::Open;
use crate::Core;
use crate::application::Application;
use crate::call::Call;
use crate::contexts::ContextKey;
use crate::ids::ApplicationId;
use crate::policy::PolicyError;
use crate::smoothed;
use crate::stats::Reason;

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
        let deadline_ns = self.applications[application].queries.get(row).deadline_ns;
        let servable = self.servable(now_ns, application, deadline_ns);
        let Application { selector, queries, links, .. } = &mut *self.applications[application];
        let Some(selector) = selector else { return Err((Reason::NoModel, &[])) };
        let Some(learner) = &selector.learner else { return Err((Reason::NoModel, &[])) };
        let key = ContextKey::new(asking.key).unwrap_or(ContextKey::NONE);
        let chosen = learner.choose(servable, &key, asking, queries.get(row).id);
        let chosen = chosen.map_err(|error| match error {
            PolicyError::NothingServable => (Reason::NotReady, &[][..]),
            _ => (Reason::ModelError, NO_CHOICE),
        })?;
        let mut open = Open::of(servable, &chosen, key);
        open.explain = asking.explain;
        // One that is down can be answered by nobody else.
        open.baseline = learner.baseline();
        if let Some(baseline) = open.baseline {
            open.asked = open.asked.with(baseline.into());
        }
        learner.stats.decisions.increment();
        for arm in open.asked.iter() {
            learner.stats.arms[arm].asked.increment();
            let link = links.models[arm];
            let model = &mut self.models[link.model];
            model.parse_ns = smoothed(model.parse_ns, parse_ns);
            let arm = u8::try_from(arm).expect("at most LINKS_MAX");
            let (admitted_ns, is_pending) = (now_ns, true);
            let (model, pool) = (link.model, link.pool);
            queries.ask(row, Call { model, pool, arm, admitted_ns, is_pending, ..Call::VACANT });
        }
        selector.begin(row, open, &chosen.propensities);
        Ok(())
    }
}
