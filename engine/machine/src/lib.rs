//! What the engine and the tools need of the machine under them: io_uring, cores, the clock.
//!
//! [`uring`] is the only io_uring of the workspace and holds all of its `unsafe`; what it offers is
//! safe. [`affinity`] pins threads and reads back where they are. [`clock`] tells the time.
//! [`memory`] keeps large allocations from holding a thread up. Nothing here knows of queries,
//! applications or HTTP.

#![deny(unsafe_code)]

pub mod affinity;
pub mod clock;
pub mod limits;
#[expect(unsafe_code, reason = "the allocator's parameter, and pages given back")]
pub mod memory;
#[expect(unsafe_code, reason = "the io_uring module")]
pub mod uring;
