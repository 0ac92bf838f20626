//! The chunks of a body, joined (RFC 9112, section 7.1).
//!
//! ```text
//!  5;name=value CRLF  hello CRLF  0 CRLF  Trailer: x CRLF  CRLF
//!  └ Size, Extension  └ Data      └ Size  └ Trailer        └ Done
//! ```

use super::ReplyError;
use crate::limits::{REPLY_BYTES_MAX, REPLY_HEAD_BYTES_MAX};

/// Bytes of the line before a chunk, its extensions included.
const LINE_BYTES_MAX: usize = 4_096;

/// Where in a chunked body the reader is.
#[derive(Clone, Copy, Debug)]
pub struct Chunked {
    part: Part,
    /// Of the line before a chunk, or of all trailers.
    line_bytes: usize,
    /// Of the whole answer so far, head and all: what a limit counts.
    wire_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Size {
        size: usize,
        has_digit: bool,
    },
    Extension {
        size: usize,
    },
    SizeEnd {
        size: usize,
    },
    Data {
        left: usize,
    },
    DataReturn,
    DataEnd,
    /// At the start of a line: a trailer, or the end.
    Trailers,
    Trailer,
    TrailerEnd,
    LastEnd,
    Done,
}

const SIZE: Part = Part::Size { size: 0, has_digit: false };

impl Chunked {
    /// A body begins, after a head of this many bytes.
    pub fn new(head_bytes: usize) -> Self {
        Self { part: SIZE, line_bytes: 0, wire_bytes: head_bytes }
    }

    /// Takes what belongs to the body from the front of `bytes`, and adds its data to `body`.
    /// Whether that was all.
    pub fn take(&mut self, bytes: &mut &[u8], body: &mut Vec<u8>) -> Result<bool, ReplyError> {
        while self.part != Part::Done {
            let Some((&first, rest)) = bytes.split_first() else { return Ok(false) };
            let taken = match self.part {
                Part::Data { left } => left.min(bytes.len()),
                _ => 1,
            };
            self.wire_bytes += taken;
            if self.wire_bytes > REPLY_BYTES_MAX {
                return Err(ReplyError::TooLong);
            }
            if let Part::Data { left } = self.part {
                body.extend_from_slice(&bytes[..taken]);
                *bytes = &bytes[taken..];
                let left = left - taken;
                self.part = if left == 0 { Part::DataReturn } else { Part::Data { left } };
            } else {
                *bytes = rest;
                self.part = self.after(first)?;
            }
        }
        Ok(true)
    }

    /// The part that follows when `byte` is next.
    fn after(&mut self, byte: u8) -> Result<Part, ReplyError> {
        let malformed = |what| Err(ReplyError::Chunk { what });
        self.line_bytes += 1;
        Ok(match (self.part, byte) {
            (Part::Size { size, .. }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.check_line()?;
                Part::Size { size: add_digit(size, byte)?, has_digit: true }
            }
            (Part::Size { has_digit: false, .. }, _) => return malformed("it has no size"),
            (Part::Size { size, .. }, b';' | b' ' | b'\t') => Part::Extension { size },
            (Part::Size { size, .. } | Part::Extension { size }, b'\r') => Part::SizeEnd { size },
            (Part::Size { .. }, _) => return malformed("its size is not hexadecimal"),
            (Part::Extension { .. }, 0..=8 | 10..=31 | 127) => {
                return malformed("its extension has a control byte");
            }
            (Part::Extension { size }, _) => {
                self.check_line()?;
                Part::Extension { size }
            }
            (Part::SizeEnd { size: 0 }, b'\n') => {
                self.line_bytes = 0;
                Part::Trailers
            }
            (Part::SizeEnd { size }, b'\n') => Part::Data { left: size },
            (Part::DataReturn, b'\r') => Part::DataEnd,
            (Part::DataEnd, b'\n') => {
                self.line_bytes = 0;
                SIZE
            }
            (Part::DataReturn | Part::DataEnd, _) => {
                return malformed("its data is longer than its size");
            }
            (Part::Trailers, b'\r') => Part::LastEnd,
            (Part::LastEnd, b'\n') => Part::Done,
            (Part::Trailer, b'\r') => Part::TrailerEnd,
            (Part::TrailerEnd, b'\n') => Part::Trailers,
            (Part::Trailers | Part::Trailer, 32..=126 | 128.. | b'\t') => {
                if self.line_bytes > REPLY_HEAD_BYTES_MAX {
                    return Err(ReplyError::HeadTooLong);
                }
                Part::Trailer
            }
            _ => return malformed("a line of it does not end with CR LF"),
        })
    }

    fn check_line(&self) -> Result<(), ReplyError> {
        if self.line_bytes > LINE_BYTES_MAX {
            Err(ReplyError::Chunk { what: "the line of its size is too long" })
        } else {
            Ok(())
        }
    }
}

fn add_digit(size: usize, digit: u8) -> Result<usize, ReplyError> {
    let digit = char::from(digit).to_digit(16).expect("only hexadecimal digits come here");
    let size = size * 16 + digit as usize;
    // Refused here, long before it could overflow.
    if size > REPLY_BYTES_MAX { Err(ReplyError::TooLong) } else { Ok(size) }
}
