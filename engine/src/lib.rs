//! Cutter: a prediction server for one machine.
//!
//! Applications ask for predictions over HTTP; model processes make them; between the two, every
//! input is written once, into shared memory, where the model reads it.
//!
//! # The way of a query
//! [`net`] receives ▸ [`frontend`] frames, over [`http`] ▸ [`clipper`] reads the question, over
//! [`json`], into a row of [`pool`] ▸ [`scheduler`] queues it and forms batches, over [`batching`]
//! ▸ [`replicas`] carries them over the rings ▸ [`scheduler`] answers ▸ [`clipper`] renders ▸
//! [`frontend`] orders ▸ [`net`] sends.
//!
//! # Beside the way
//! [`config`] what is to be served · [`server`] the threads · [`control`] supervision, admin REST ·
//! [`messages`] between the two threads · [`stats`] what is counted · [`log`] lines that nobody
//! waits for · [`cutter_machine`] the ring ·
//! [`demo`], [`check`] two of the commands.
//!
//! `scheduler`, `batching`, `frontend`, `http`, `json`, `clipper` and `config` are pure: time,
//! bytes and randomness are passed in.

#![deny(unsafe_code)]

pub mod batching;
pub mod check;
pub mod clipper;
pub mod clock;
pub mod config;
pub mod control;
pub mod demo;
pub mod frontend;
pub mod http;
pub mod json;
pub mod limits;
pub mod log;
pub mod messages;
pub mod net;
pub mod pool;
pub mod printable;
pub mod replicas;
pub mod scheduler;
pub mod server;
pub mod stats;
