//! What the admin port says, written down once: the server builds these types and writes them as
//! JSON, and whoever reads the port reads them back. No owner thread: plain data, and pure.
//!
//! ```text
//!   GET /healthz    health     whether the server is alive
//!   GET /readyz     readyz     which models and replicas are ready, and why others are not
//!   GET /stats      stats      everything that is counted since the start, with distributions
//!   GET /inspect    inspect    how everything stands at this moment, with the two before
//!   POST /applications/{application}/arms/{model}
//!                   arms       takes a model out of what a policy chooses from, or back in
//!   POST /models/{model}/batch
//!                   batching   how batches of a model are formed
//! ```
//!
//! Names of fields are a contract. Fields are added, never renamed, and not taken away under the
//! same `schema`. So a reader ignores fields that it does not know, and a field that an older
//! server does not send has a default. Words such as the state of a replica are strings, so that
//! a new one does not break an old reader.
//!
//! The engine counts from its start and keeps no windows: what happened in a stretch of time is the
//! difference of two answers.
//!
//! ```
//! use cutter_admin_api::Stats;
//!
//! # fn ask(half_seconds: u64) -> String {
//! #     let golden = include_str!("../tests/golden/stats.json");
//! #     let mut stats: Stats = serde_json::from_str(golden).unwrap();
//! #     let end_to_end = &mut stats.applications[0].end_to_end;
//! #     end_to_end.buckets[0].1 += 100 * half_seconds;
//! #     end_to_end.count += 100 * half_seconds;
//! #     serde_json::to_string(&stats).unwrap()
//! # }
//! # fn main() -> Result<(), serde_json::Error> {
//! // Two answers of GET /stats, one some time after the other.
//! let earlier: Stats = serde_json::from_str(&ask(1))?;
//! let later: Stats = serde_json::from_str(&ask(2))?;
//! assert!(!later.is_of_another_start(&earlier));
//! for (was, is) in earlier.applications.iter().zip(&later.applications) {
//!     if let Some(p99_ns) = is.end_to_end.since(&was.end_to_end).quantile(0.99) {
//!         println!("{}: p99 {p99_ns} ns", is.name);
//! #       assert_eq!((is.name.as_str(), p99_ns), ("digits", 3));
//!     }
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod arms;
pub mod batching;
pub mod health;
pub mod histogram;
pub mod inspect;
pub mod readyz;
pub mod selection;
pub mod stats;

pub use health::Health;
pub use histogram::Histogram;
pub use inspect::Inspection;
pub use readyz::Readiness;
pub use selection::Selection;
pub use stats::Stats;
