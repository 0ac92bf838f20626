//! What is counted of all that there is.

use std::sync::Arc;

use cutter_core::stats::{EngineStats, SelectionStats};

use super::{ApplicationEntry, Registry};
use crate::config::{self, Mode};
use crate::counted::{Counted, CountedSelection};
use crate::store::StoreThread;

impl ApplicationEntry {
    /// The policy and what is counted of it, while there are models that it chooses among.
    pub fn chooser(&self) -> Option<(&config::Policy, &Arc<SelectionStats>)> {
        let policy = self.settings.policy.as_ref().filter(|_| !self.links.is_empty());
        policy.zip(self.selection.as_ref())
    }
}

impl Registry {
    /// What is counted of all that there is.
    pub fn counted(&self, engine: &Arc<EngineStats>) -> Counted {
        let models = || self.models.iter().map(|(_, entry)| entry);
        let cache = |cache: &Arc<_>, stats: &Arc<_>| (Arc::clone(stats), Arc::clone(cache));
        let applications = || self.applications.iter().map(|(_, entry)| entry);
        Counted {
            engine: Arc::clone(engine),
            applications: applications().map(|entry| Arc::clone(&entry.stats)).collect(),
            models: models().map(|entry| Arc::clone(&entry.stats)).collect(),
            selections: applications().filter_map(|entry| self.selection(entry)).collect(),
            caches: models()
                .filter_map(|entry| entry.cache.as_ref().map(|it| cache(it, &entry.stats)))
                .collect(),
            store: self.run.store.as_ref().map(StoreThread::counts).cloned(),
            decision_log: self.run.decision_log.clone(),
        }
    }

    fn selection(&self, entry: &ApplicationEntry) -> Option<CountedSelection> {
        let (policy, stats) = entry.chooser()?;
        let models = entry.links.iter().map(|model| Arc::clone(&self.models[*model].stats));
        Some(CountedSelection {
            application: Arc::clone(&entry.stats),
            models: models.collect(),
            off: entry.arms_off,
            is_apprentice: matches!(policy.learning.mode, Mode::Apprentice { .. }),
            stats: Arc::clone(stats),
        })
    }
}
