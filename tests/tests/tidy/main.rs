//! House rules that no other tool watches, over every file that git knows.
//!
//! ```text
//!   style     how things are written       arrows    which room may name which
//!   sources   the files                    words     Rust, as words and names
//!   crates    the crates and their modules
//! ```

#![allow(clippy::unwrap_used, reason = "a test fails here")]

mod arrows;
mod crates;
mod sources;
mod style;
mod words;
