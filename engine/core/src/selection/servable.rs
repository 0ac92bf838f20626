//! Which models can answer a query in time.
//!
//! As predicted, a call that is queued now is done when the batches before it are: whole ones of
//! those that wait already, shared by the replicas, and then its own. Model-Switching (Zhang et
//! al., HotCloud 2020) chooses among models by such predictions; here they only take away from
//! what the policy may choose.

use crate::Core;
use crate::ids::{ApplicationId, ModelId};
use crate::model::Availability;
use crate::policy::Models;

impl Core {
    /// The linked models, of those that are on, that are ready and would answer before
    /// `due_ns` (a prediction is never longer than the loosest SLO, so that is late). If
    /// none would, those that are ready: the predictions may be wrong. If none is, those that are
    /// being started.
    pub(super) fn servable(&self, now_ns: u64, application: ApplicationId, due_ns: u64) -> Models {
        let state = &self.applications[application];
        let learner = state.selector.as_ref().and_then(|selector| selector.learner.as_ref());
        let Some(learner) = learner else { return Models::NONE };
        let links = (0..).zip(&state.links.models);
        let (mut in_time, mut ready, mut expected) = (Models::NONE, Models::NONE, Models::NONE);
        for (arm, link) in links.filter(|(arm, _)| learner.is_on(*arm)) {
            match self.answers_at(now_ns, link.model) {
                Some(done_ns) if done_ns < due_ns => in_time = in_time.with(arm),
                Some(_) => ready = ready.with(arm),
                None if self.models[link.model].availability == Availability::Expected => {
                    expected = expected.with(arm);
                }
                None => {}
            }
        }
        if !in_time.is_empty() {
            ready.iter().for_each(|arm| learner.plan.stats.arms[arm].predicted_late.increment());
            return in_time;
        }
        if ready.is_empty() { expected } else { ready }
    }

    /// When a call to a model that is queued now would be done, as predicted; `None` while no
    /// replica is up.
    fn answers_at(&self, now_ns: u64, model: ModelId) -> Option<u64> {
        let state = &self.models[model];
        let queued = u32::try_from(state.waiting()).unwrap_or(u32::MAX - 1) + 1;
        let mut rows_at_once = 0_u32;
        let mut soonest = None;
        for replica in &state.replicas {
            let done_ns = self.done_ns(now_ns, *replica, queued);
            if done_ns != u64::MAX {
                let rows = self.replicas[*replica].rows_max().max(1);
                rows_at_once = rows_at_once.saturating_add(rows);
                if soonest.is_none_or(|(sooner_ns, _)| done_ns < sooner_ns) {
                    soonest = Some((done_ns, *replica));
                }
            }
        }
        let (done_ns, replica) = soonest?;
        let rounds = u64::from((queued - 1) / rows_at_once);
        let replica = &self.replicas[replica];
        let round_ns = replica.healed_ns(replica.rows_max(), now_ns);
        Some(done_ns.saturating_add(rounds.saturating_mul(round_ns)))
    }
}
