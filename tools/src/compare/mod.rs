//! Compare: whether one of two is slower, by interleaved runs.

use serde::{Deserialize, Serialize};

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompareResult {
    pub a: String,
    pub b: String,
}
