//! The client of an engine's admin port: what it has counted, and how it stands.
//!
//! ```text
//!   client   GET /stats, GET /inspect; what they say is in `cutter-admin-api`
//!   window   what happened between two answers of /stats
//!   arms     what is shown of the models that a policy chooses from
//!   sampler  a thread that asks again and again, for the engine's part of a load's result
//! ```
//!
//! The engine counts from its start and keeps no windows; whoever reads computes them. So any
//! number of readers see the same, and none costs the engine more than a copy of its counters.

pub(crate) mod arms;
mod client;
mod sampler;
#[cfg(test)]
pub(crate) mod testing;
mod window;
pub(crate) mod words;

pub use client::{AdminClient, AdminError};
pub use sampler::Sampler;
#[cfg(feature = "terminal")]
pub(crate) use sampler::poll_until;
pub use window::{ApplicationWindow, CallsPerQuery, ModelWindow, ReplicaWindow, Window};

/// Where the admin port of a server with the default configuration is.
pub const ADMIN_DEFAULT: &str = "127.0.0.1:1338";
