//! What was learned outlives the server: states go to a storage and come from it.

use super::learn::observe;
use super::learner::Learner;
use crate::Core;
use crate::contexts::{ContextKey, Series};
use crate::feedback::Losses;
use crate::ids::ApplicationId;
use crate::policy::State;

/// Where states are kept. It never makes its caller wait: what it cannot take now it is given
/// again.
pub trait Storage {
    /// Asks for a state. False: not now.
    fn load(&mut self, series: Series, key: &ContextKey) -> bool;

    /// Takes a state, as bytes. False: not now.
    fn save(&mut self, series: Series, key: &ContextKey, state: &[u8]) -> bool;

    /// The next answer: the bytes of a state, which were checked, or that there is none. False:
    /// there is no answer.
    fn answer(&mut self, take: impl FnOnce(Series, &ContextKey, Option<&[u8]>)) -> bool;
}

impl Learner {
    /// Gives all that no storage has yet: it learns nothing any more.
    pub fn leave(&mut self, mut save: impl FnMut(Series, &ContextKey, &[u8])) {
        let Some(series) = self.plan.series else { return };
        while self.contexts.counts().changed > 0 {
            self.contexts.save(u64::MAX, |key, state| {
                save(series, key, state);
                true
            });
        }
    }
}

impl Core {
    /// Takes what a storage has answered, and asks it and gives it what is due.
    pub fn exchange(&mut self, now_ns: u64, storage: &mut impl Storage) {
        let take = |series, key: &ContextKey, bytes: Option<&[u8]>, core: &mut Self| {
            if let Some(learner) = core.learner_of(series) {
                let Learner { plan, contexts, .. } = learner;
                let learn = |state: &mut State, losses: Losses| {
                    observe(&*plan.policy, state, &losses);
                };
                contexts.loaded(key, bytes, now_ns, learn);
            }
        };
        while storage.answer(|series, key, bytes| take(series, key, bytes, self)) {}
        for (_, learner) in self.learners() {
            let Learner { plan, contexts, .. } = learner;
            let Some(series) = plan.series else { continue };
            contexts.ask(|key| storage.load(series, key));
            contexts.save(now_ns, |key, state| storage.save(series, key, state));
        }
    }

    /// When there is next something for a storage: at once, at an instant, or never.
    pub fn exchange_due_ns(&self) -> Option<u64> {
        let selectors = self.applications.iter().filter_map(|(_, it)| it.selector.as_ref());
        let learners = selectors.filter_map(|selector| selector.learner.as_ref());
        let kept = learners.filter(|learner| learner.plan.series.is_some());
        kept.filter_map(|learner| learner.contexts.due_ns()).min()
    }

    fn learner_of(&mut self, series: Series) -> Option<&mut Learner> {
        let found = self.learners().find(|(_, learner)| learner.plan.series == Some(series));
        found.map(|(_, learner)| learner)
    }

    /// Those that learn, each with its application.
    pub(super) fn learners(&mut self) -> impl Iterator<Item = (ApplicationId, &mut Learner)> {
        let applications = self.applications.iter_mut();
        let selectors = applications.filter_map(|(id, it)| Some((id, it.selector.as_mut()?)));
        selectors.filter_map(|(id, selector)| Some((id, selector.learner.as_deref_mut()?)))
    }
}
