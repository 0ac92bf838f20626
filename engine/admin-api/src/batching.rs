//! `POST /models/{model}/batch`: an operator changes how batches of a model are formed.

use serde::{Deserialize, Serialize};

/// What is wanted; what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// `aimd`, `quantile` or `fixed`.
    pub policy: Option<String>,
    /// The most queries of one batch.
    pub max: Option<u32>,
    /// How long a query waits at most for others to go with it.
    pub wait_us: Option<u32>,
    /// Whether a batch begins as late as its first query allows.
    pub defer: Option<bool>,
}

/// How it is from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batching {
    /// As it was named.
    pub model: String,
    pub policy: String,
    pub max: u32,
    pub wait_us: u64,
    pub defer: bool,
}
