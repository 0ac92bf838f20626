//! `POST /applications/{application}/arms/{model}`: an operator takes a model out of what an
//! application chooses from, or back in.

use serde::{Deserialize, Serialize};

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    pub enabled: bool,
}

/// How it is from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switched {
    pub application: String,
    /// As it was named: with its version, or without where no other version is linked.
    pub model: String,
    pub enabled: bool,
}
