//! Both ends of the protocol in one process, and peers that keep to nothing; a module for each side
//! of it. What counts a process's descriptors, or starts itself anew, is a program of its own.

#![allow(clippy::unwrap_used, reason = "the helpers of these tests fail as tests do")]

#[path = "../support/mod.rs"]
mod support;

mod changes;
mod copying;
mod handshake;
mod hostile;
mod incarnation;
mod kick;
mod unwritten;
mod violations;
