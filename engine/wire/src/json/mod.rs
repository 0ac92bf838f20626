//! Bodies of predictions and updates in, output tensors out: the JSON of the query path.
//!
//! Owner: the engine thread. Pure: bytes in, bytes out; no clock, no I/O.
//!
//! ```text
//!  body ─▸ body.rs, update/ ─┬▸ input.rs ─┬▸ numbers.rs ─▸ plain.rs, number.rs, literal.rs ─▸ row
//!          keys (key.rs),    │            └▸ text.rs, base64.rs ────────────────────────────▸ row
//!          inputs            ├▸ value.rs, context.rs: small values, kept as offsets
//!                            └▸ skip.rs: values, whatever they are
//!           └── pieces.rs, cursor.rs: a piece of the body, its bytes and space; error.rs: places
//!
//!  outputs ─▸ render/ ─▸ reply
//! ```
//!
//! [`PredictReader`] and [`UpdateReader`] go over the body once and write every input straight to
//! where the model will read it. There is no tree and no second copy, and nothing is taken from the
//! heap unless the client escapes characters in a version, a context or a label, or makes an error.
//!
//! **In pieces.** One large body or output must not keep the engine thread from everybody else, so
//! reading and rendering stop when a budget of bytes is used up and go on in the next call. Both
//! keep a state of some hundred bytes that borrows nothing. A piece may go beyond its budget by a
//! constant of [`limits`](crate::limits), which is enough for what is taken whole: a number that is
//! not unusually long, a word, an escape. All that can be longer can stop inside: arrays of
//! numbers, strings, base64, skipped values, keys, white space, numbers of many digits, and the
//! count of lines and columns that an error asks for. What is read, what is written, and every
//! error with its position are the same wherever the pieces end.
//!
//! Invariants:
//! - What is accepted is JSON as RFC 8259 has it, with these rules of our own on top: no key that
//!   we read twice, not both `input` and `input_batch`, no nesting beyond
//!   [`JSON_DEPTH_MAX`](crate::limits::JSON_DEPTH_MAX), no number that overflows its element type,
//!   only integer literals for `int32`, no version of more than
//!   [`NAME_BYTES_MAX`](crate::limits::NAME_BYTES_MAX) bytes, and no other value that we look at
//!   written with more than [`JSON_VALUE_BYTES_MAX`](crate::limits::JSON_VALUE_BYTES_MAX).
//! - Floats are rounded correctly, whatever the length of the literal: a value is the one that
//!   `str::parse` gives.
//! - No body can cause a panic. Work is linear in the body's length.
//! - What outputs become is said in [`render`].

#![forbid(unsafe_code)]

mod base64;
mod body;
mod context;
mod cursor;
mod error;
mod input;
mod key;
mod literal;
mod number;
mod numbers;
mod pieces;
mod plain;
pub mod render;
mod skip;
#[cfg(test)]
mod tests;
mod text;
mod update;
mod value;

pub use body::{Body, PredictReader, Progress, read_predict};
pub use context::{Context, Vector};
pub use error::{Excerpt, Found, JsonError, Place, Position, TextProblem, Unit};
pub use input::Rows;
pub use update::{
    Label, Lesson, Target, Update, UpdateProgress, UpdateReader, Updates, read_updates,
};
