//! The SDK for C, from its header to models that were built against it and run.

#![allow(clippy::unwrap_used, reason = "a test fails here")]

#[path = "../support/mod.rs"]
mod support;

mod header;
mod installed;
mod watched;
