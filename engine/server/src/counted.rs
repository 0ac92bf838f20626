//! Everything that is counted, at hand for readers on other threads.

use std::sync::Arc;

use cutter_core::stats::{ApplicationStats, EngineStats, ModelStats};

/// The counts of what there is: the engine thread goes on counting in them. Taken again, it has
/// what came meanwhile, and not what went.
#[derive(Clone, Debug)]
pub struct Counted {
    pub engine: Arc<EngineStats>,
    /// In the order in which the registry has them; those of a configuration in its order.
    pub applications: Vec<Arc<ApplicationStats>>,
    /// The same.
    pub models: Vec<Arc<ModelStats>>,
}
