//! The tail-latency suite: what `cutter-bench` is made of, for the benches, the tests and the demo
//! to use as well.
//!
//! ```text
//!  bodies ─▶ requests ┐                               ┌▶ stats ▸ quantiles with intervals
//!  arrivals ─▶ times ─┴▶ load ▸ reply ─▶ Recording ───┴▶ result ▸ JSON, .hgrm, .hlog
//!             (one pinned thread, one ring)              report ▸ one page of HTML and SVG
//!
//!  capacity, compare   many loads, and a decision     floor   what the machine can do
//!  top, inspect        a running engine, over its admin port (admin)
//!  goodput             what there is to be had, and what policies of batching make of it
//! ```
//!
//! # Rules
//! - Latency counts from when a request *should* have been sent, so that a server that stalls
//!   cannot hide it (coordinated omission). Nothing that was due is left out: time-outs and errors
//!   are the slowest requests of their run.
//! - The generator times itself, and says so when it was too slow to be believed.
//! - No quantile is printed that the number of samples cannot support.
//! - `arrivals`, `bodies`, `reply`, `stats`, `result`, `report`, `goodput`, and the decisions of
//!   `capacity` and `compare` are pure: time, bytes and randomness are passed in.

#![forbid(unsafe_code)]

pub mod admin;
pub mod arrivals;
pub mod bodies;
pub mod capacity;
pub mod compare;
pub mod digits;
pub mod environment;
pub mod floor;
pub mod goodput;
pub mod inspect;
pub mod limits;
pub mod load;
pub mod printing;
pub mod random;
pub mod reply;
pub mod report;
pub mod result;
pub mod stats;
pub mod target;
pub mod text;
#[cfg(feature = "terminal")]
pub mod top;
