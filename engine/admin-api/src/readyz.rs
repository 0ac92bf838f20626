//! `/readyz`: which models and replicas are ready, and why others are not.

use serde::{Deserialize, Serialize};

/// Everything is as it is meant to be.
pub const READY: &str = "ready";
/// Queries are answered, though something is not as it was meant to be.
pub const DEGRADED: &str = "degraded";
/// A model has no replica that is up, or the engine thread has ended.
pub const NOT_READY: &str = "not_ready";
/// The server is ending.
pub const DRAINING: &str = "draining";

/// The answer of `/readyz`. The HTTP status is 200 when [`Readiness::is_ready`], and else 503.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// [`READY`], [`DEGRADED`], [`NOT_READY`] or [`DRAINING`].
    pub status: String,
    /// Why it is not [`READY`], for people. Left out when there is nothing to say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// In the order of the configuration.
    pub models: Vec<Model>,
    /// Their queries get the default output. Left out when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications_without_model: Vec<String>,
}

/// A model version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    pub name: String,
    pub version: String,
    /// Whether at least one of its replicas is up.
    #[serde(default)]
    pub ready: bool,
    /// What the model said of the last batch that failed. Left out when none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    pub replicas: Vec<Replica>,
}

/// The place of one container of a model version, and who is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// Its number among the replicas of its model, from 0.
    pub replica: usize,
    /// `starting`, `loading`, `warming`, `up`, `backing_off`, `not_connected` or `ended`.
    pub state: String,
    /// How long it has been in that state, in ms.
    pub for_ms: u64,
    /// Left out while there is no process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Lives so far; the first is 1.
    pub incarnation: u64,
    /// Lives after the first.
    pub restarts: u64,
    /// When it is started again, in ms from now. Only while it is `backing_off`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
    /// Why the last life ended, or did not begin. It stays when the next one is up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Why it does not run on the core that the configuration gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_pinned: Option<String>,
}

impl Readiness {
    /// Whether queries to every model are answered with predictions.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.status.as_str(), READY | DEGRADED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_degraded_is_ready_and_who_drains_is_not() {
        let is_ready = |status: &str| {
            let json = format!(r#"{{ "status": "{status}", "models": [] }}"#);
            serde_json::from_str::<Readiness>(&json).unwrap().is_ready()
        };
        assert_eq!(
            [READY, DEGRADED, NOT_READY, DRAINING].map(is_ready),
            [true, true, false, false]
        );
        assert!(!is_ready("a word of a later server"));
    }
}
