//! Answers out of bytes: framing, and whether an answer was what was asked for.
//!
//! ```text
//!  received slices ─▶ Framer ─▶ Reply { status, body } ─▶ judge ─▶ Verdict { outcome, correct }
//!                      │ head      one pass of httparse, or none: as the last head
//!                      │ chunked   the chunks of a body, joined
//!                      └ a whole answer in one slice is not copied
//! ```
//!
//! Owner: the sending thread, one `Framer` for each connection. Pure: bytes in, answers out,
//! however they were split on their way.
//!
//! Invariants: what a server sends is not trusted. It meets errors and limits, never a panic, and
//! no more memory is taken than bytes came.

mod chunked;
mod framer;
mod head;
mod judge;
mod tensor;

#[cfg(test)]
mod tests;

pub use framer::Framer;
pub use judge::{Check, Label, Verdict, judge};

use crate::limits::{REPLY_BYTES_MAX, REPLY_HEAD_BYTES_MAX, REPLY_HEADERS_MAX};

/// One complete answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    pub status: u16,
    /// Whether another request may follow on its connection.
    pub keep_alive: bool,
    /// Bytes of the body that are JSON, before the tensors' own (Open Inference, binary data).
    pub inference_header_length: Option<usize>,
    pub body: &'a [u8],
}

/// Why bytes are no answer. Its connection is of no more use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    #[error("the server does not speak HTTP/1: its answer begins with {found:?}; check the port")]
    NotHttp { found: String },
    #[error("the head of an answer is malformed: {why}")]
    Head { why: httparse::Error },
    #[error("the head of an answer is longer than {REPLY_HEAD_BYTES_MAX} bytes")]
    HeadTooLong,
    #[error("an answer has more than {REPLY_HEADERS_MAX} header fields")]
    TooManyFields,
    #[error("an answer is longer than {REPLY_BYTES_MAX} bytes; ask for less at once")]
    TooLong,
    #[error("{field} of an answer is {found:?}, which is no length")]
    Length { field: &'static str, found: String },
    #[error("an answer has {field} twice, so that its end is not certain")]
    Twice { field: &'static str },
    #[error("an answer has both Content-Length and Transfer-Encoding, so its end is not certain")]
    BothLengths,
    #[error("an answer comes with Transfer-Encoding {found:?}; only chunked is understood")]
    Coding { found: String },
    #[error("a chunk of an answer is malformed: {what}")]
    Chunk { what: &'static str },
    #[error("the server switched to another protocol, which nobody asked for (status 101)")]
    Switched,
    #[error("the connection was closed in the middle of an answer")]
    Cut,
}
