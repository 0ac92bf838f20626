//! Cutter as a library: everything that waits.
//!
//! # The way of a query
//! [`reactor`] receives ▸ [`port`] frames and reads, over `cutter_wire`, into a row of [`pool`] ▸
//! `cutter_core` queues it and forms batches ▸ [`carrier`] carries them over the rings ▸
//! `cutter_core` answers ▸ [`port`] renders and orders ▸ [`reactor`] sends.
//!
//! # Beside the way
//! [`config`] what is to be served · [`policies`] a program's own · [`server`] the threads ·
//! [`control`] supervision, changes, admin REST · [`counted`] what is counted ·
//! [`messages`] between the two threads · [`asker`] queries from within the process ·
//! [`store`] what was learned, on disk · [`decision_log`] what was decided, in files.

#![deny(unsafe_code)]

pub mod asker;
pub mod carrier;
pub mod config;
pub mod control;
pub mod counted;
pub mod decision_log;
pub mod engine;
pub mod inspection;
pub mod limits;
pub mod messages;
pub mod pool;
pub mod port;
pub mod printable;
pub mod reactor;
pub mod server;
pub mod store;

pub use config::policies;
