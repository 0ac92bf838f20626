//! Builds what `/stats` and `/inspect` answer. Control thread.
//!
//! The engine thread keeps plain counters and makes plain copies; only here do they become what
//! `cutter-admin-api` says that the port says, with names in the place of indexes. What `/readyz`
//! answers is built by the board, which knows it.

mod histogram;
mod inspect;
mod selection;
mod stats;

pub(crate) use histogram::distribution;
pub(super) use inspect::engine;
pub(super) use stats::{Process, stats};

#[cfg(test)]
mod tests;
