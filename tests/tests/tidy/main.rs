//! House rules that no other tool watches, over every file that git knows.
//!
//! ```text
//!   style     how things are written       arrows    which room may name which
//!   sources   the files                    circles   files that name each other
//!   words     Rust, as words and names     public    what is public for nobody
//!   crates    the crates and their modules
//! ```

#![allow(clippy::unwrap_used, reason = "a test fails here")]

mod arrows;
mod circles;
mod crates;
mod public;
mod sources;
mod style;
mod words;
