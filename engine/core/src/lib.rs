//! The life of a query, from the row that it takes to its answer.
#![forbid(unsafe_code)]

pub mod batching;
pub mod limits;
pub mod scheduler;
pub mod stats;
