//! Prediction bodies in, output tensors out: the JSON of the query path.
//!
//! Owner: the engine thread. Pure: bytes in, bytes out; no clock, no I/O, no state between calls.
//!
//! ```text
//!  body ─▸ body.rs ──▸ number.rs ─▸ row in shared memory        outputs ─▸ render.rs ─▸ reply
//!          keys, shapes └▸ string.rs ─▸ row, version
//!               └────────── cursor.rs: bytes, space, skipped values, positions of errors
//! ```
//!
//! [`read_predict`] goes over the body once and writes every value straight to where the model will
//! read it. There is no tree and no second copy, and nothing is taken from the heap unless the
//! client escapes characters in a key, a version or base64 text, or makes an error.
//!
//! Invariants:
//! - What is accepted is JSON as RFC 8259 has it, with these rules of our own on top: no key that
//!   we read twice, not both `input` and `input_batch`, no nesting beyond
//!   [`JSON_DEPTH_MAX`](crate::limits::JSON_DEPTH_MAX), no number that overflows its element type,
//!   and only integer literals for `int32`.
//! - Floats are rounded correctly: a value is the one that `str::parse` gives for its literal.
//! - No body can cause a panic. Work is linear in the body's length.

#![forbid(unsafe_code)]

mod body;
mod cursor;
mod error;
mod number;
pub mod render;
mod string;
#[cfg(test)]
mod tests;

pub use body::{Body, Rows, read_predict};
pub use error::{Excerpt, Found, JsonError, Place, Position, TextProblem, Unit};

/// shim
#[derive(Debug)]
pub struct PredictReader(cutter_protocol::tensor::TensorSpec, usize);
#[derive(Debug)]
pub enum Progress<'a> {
    Paused,
    Done(Body<'a>),
}
impl PredictReader {
    pub fn new(spec: cutter_protocol::tensor::TensorSpec, batch_max: usize) -> Self {
        Self(spec, batch_max)
    }
    pub fn read<'a>(
        &mut self,
        body: &'a [u8],
        _budget_bytes: usize,
        rows: &mut impl Rows,
    ) -> Result<Progress<'a>, JsonError> {
        read_predict(body, &self.0, self.1, rows).map(Progress::Done)
    }
}
