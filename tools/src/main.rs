//! The `cutter-bench` command.

#![forbid(unsafe_code)]

fn main() {}
