//! `/healthz`: whether the server is alive. The HTTP status says the same: 200, or else 503.

use serde::{Deserialize, Serialize};

/// The answer of `/healthz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`, or what has ended.
    pub status: String,
}
