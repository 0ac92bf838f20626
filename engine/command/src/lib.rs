//! The `cutter` command, apart from the reading of its arguments: what people run.
//!
//! [`check`] a configuration, every limit and every sum · [`demo`] a server, a model and a load in
//! one · [`evaluate`] policies from a decision log · [`log`] lines that nobody waits for.

#![forbid(unsafe_code)]

pub mod check;
pub mod demo;
pub mod evaluate;
pub mod limits;
pub mod log;
