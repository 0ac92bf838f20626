//! Cutter from outside: real processes, real sockets, real clients; a module for each side of it.
//!
//! One program, so that it is linked once, and so that tests which wait do so beside others. What a
//! test changes or measures of a process is another process's: those that look at their own
//! (`changes`, `allocations`) are programs of their own, and so are those of what measures others
//! (`bench`, `suite`), which wants to be disturbed by as few as can be.

#![allow(clippy::unwrap_used, reason = "a test fails here")]

mod admin;
mod api;
mod cases;
mod chaos;
mod clients;
mod demo;
mod drain;
mod evaluate;
mod failure;
mod hedging;
mod hostile;
mod library;
mod limits;
mod metrics;
mod operator;
mod overload;
mod policy_example;
mod predict;
mod readme;
mod sdk;
mod selection;
mod startup;
mod warm;
