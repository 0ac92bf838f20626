//! What `/stats` and `/inspect` answer, as JSON. Control thread.
//!
//! The engine thread keeps plain counters and makes plain copies; only here do they get names that
//! are a contract. Fields are added, never renamed: the suite in `tools` reads them.

mod inspect;
mod stats;

pub(super) use inspect::{EngineAnswer, InspectAnswer};
pub(super) use stats::{Process, StatsAnswer};
