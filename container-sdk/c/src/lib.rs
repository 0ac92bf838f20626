//! The container SDK for C and C++: a thin `extern "C"` layer over the Rust SDK.
//!
//! This crate has no Rust interface. Its functions are declared, with their documentation, in
//! `include/cutter/container.h`, which cbindgen writes from the comments here: what stands above an
//! exported item is meant for a reader of C. `tests/sdk/header.rs` compares the two.
//!
//! # Rules of this crate
//! - `unsafe` is what C hands over: pointers, read where they come in, and nothing else.
//! - A pointer may be null, an index may lie beyond the batch, a number may name no type: each
//!   gives
//!   an error code and a text. A pointer to something that is gone cannot be told.
//! - No panic crosses the boundary: what can panic runs within [`status::guard`].
//! - A batch's addresses are taken once, when it comes ([`batch::View`]); the accessors only read
//!   them. So they are cheap, and what a model holds stays good until it gives the batch back.
//!
//! # Rooms
//! [`status`] codes and the text of the last error · [`model`] what a container tells of itself ·
//! [`container`] the connection and the two loops · [`batch`] rows and outputs.

// In the order of the header; the empty lines keep rustfmt from sorting them.
mod status;

mod model;

mod container;

mod batch;
