//! Everything that is counted, at hand for readers on other threads.

use std::sync::Arc;

use cutter_core::cache::CacheStats;
use cutter_core::policy::Models;
use cutter_core::stats::{ApplicationStats, EngineStats, ModelStats, SelectionStats};

use crate::decision_log::LogCounts;
use crate::store::StoreCounts;

/// The counts of what there is: the engine thread goes on counting in them. Taken again, it has
/// what came meanwhile, and not what went.
#[derive(Clone, Debug)]
pub struct Counted {
    pub engine: Arc<EngineStats>,
    /// In the order in which the registry has them; those of a configuration in its order.
    pub applications: Vec<Arc<ApplicationStats>>,
    /// The same.
    pub models: Vec<Arc<ModelStats>>,
    /// Of applications with a policy that is linked to models.
    pub selections: Vec<CountedSelection>,
    /// Of models that have one.
    pub caches: Vec<(Arc<ModelStats>, Arc<CacheStats>)>,
    pub store: Option<Arc<StoreCounts>>,
    pub decision_log: Option<Arc<LogCounts>>,
}

/// What is counted of an application's choices among its models, the *arms*.
#[derive(Clone, Debug)]
pub struct CountedSelection {
    pub application: Arc<ApplicationStats>,
    /// In the order of the arms.
    pub models: Vec<Arc<ModelStats>>,
    /// Those that may not be chosen.
    pub off: Models,
    pub is_apprentice: bool,
    pub stats: Arc<SelectionStats>,
}
