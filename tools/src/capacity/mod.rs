//! Capacity: the highest rate at which a quantile of the latency keeps an SLO.

use serde::{Deserialize, Serialize};

/// What a search found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CapacityResult {
    pub target: String,
}
