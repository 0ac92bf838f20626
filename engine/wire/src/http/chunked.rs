//! Decodes a chunked body (RFC 9112 section 7.1), strictly, from pieces cut anywhere.
//!
//! Owner: the engine thread, one decoder in each connection's reader.
//!
//! Data moves in runs; everything around the data goes byte by byte through one small machine, so
//! that a cut between any two bytes changes nothing:
//!
//! ```text
//!   Size ─┬─▶ Extension ─┐                 size > 0: Data ─▶ DataCr ─▶ DataLf ─▶ Size
//!         └───────────────┴─ CR ─▶ SizeLf ─┤
//!                                          size = 0: TrailerStart ─┬─ CR ─▶ EndLf ─▶ Done
//!                      TrailerName ─':'─▶ TrailerValue ─ CR ─▶ TrailerLf ─▶ TrailerStart
//! ```
//!
//! A chunk size is a claim: memory grows with the bytes that arrive, to twice of them at most and
//! never beyond the body's limit, and a claim beyond that limit is refused before its data.

use super::error::HttpError;
use super::extension::Extension;
use super::head::is_token_byte;
use crate::limits::{
    CHUNK_EXTENSION_BYTES_MAX, CHUNK_EXTENSIONS_BYTES_MAX, CHUNK_SIZE_DIGITS_MAX,
    TRAILERS_BYTES_MAX,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Size { digits: u8 },
    Extension(Extension),
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

/// The place in a chunked body.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkDecoder {
    at: At,
    /// The size being read, then the bytes of data still to come.
    size: u64,
    extension_bytes: usize,
    extensions_bytes: usize,
    trailers_bytes: usize,
    body_bytes_max: usize,
}

impl ChunkDecoder {
    pub(super) fn new(body_bytes_max: usize) -> ChunkDecoder {
        ChunkDecoder {
            at: At::Size { digits: 0 },
            size: 0,
            extension_bytes: 0,
            extensions_bytes: 0,
            trailers_bytes: 0,
            body_bytes_max,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// Appends the data in `bytes` to `body`. Returns how many bytes were used: all of them, unless
    /// the body ended.
    pub(super) fn decode(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> Result<usize, HttpError> {
        let mut used = 0;
        while used < bytes.len() && self.at != At::Done {
            let rest = &bytes[used..];
            if self.at == At::Data {
                let run =
                    usize::try_from(self.size).map_or(rest.len(), |left| left.min(rest.len()));
                append(body, &rest[..run], self.body_bytes_max);
                used += run;
                self.size -= run as u64;
                if self.size == 0 {
                    self.at = At::DataCr;
                }
            } else {
                self.at = self.step(rest[0], body.len())?;
                used += 1;
            }
        }
        Ok(used)
    }

    fn step(&mut self, byte: u8, body_len: usize) -> Result<At, HttpError> {
        match self.at {
            At::Size { digits } => self.size_step(byte, digits, body_len),
            At::Extension(extension) => self.extension_step(byte, extension),
            At::SizeLf => match (expect(b'\n', byte, At::SizeLf)?, self.size) {
                (_, 0) => Ok(At::TrailerStart),
                _ => Ok(At::Data),
            },
            At::DataCr => expect(b'\r', byte, At::DataLf),
            At::DataLf => expect(b'\n', byte, At::Size { digits: 0 }),
            At::TrailerStart | At::TrailerName | At::TrailerValue | At::TrailerLf | At::EndLf => {
                self.trailer_step(byte)
            }
            At::Data | At::Done => unreachable!("decode handles data and stops when done"),
        }
    }

    fn size_step(&mut self, byte: u8, digits: u8, body_len: usize) -> Result<At, HttpError> {
        if let Some(digit) = char::from(byte).to_digit(16) {
            if digits == CHUNK_SIZE_DIGITS_MAX {
                return Err(HttpError::ChunkSizeTooLong);
            }
            // Sixteen digits fill 64 bits and cannot overflow them.
            self.size = self.size << 4 | u64::from(digit);
            return Ok(At::Size { digits: digits + 1 });
        }
        if digits == 0 || !matches!(byte, b';' | b' ' | b'\t' | b'\r') {
            return Err(HttpError::ChunkSize { byte });
        }
        let room = self.body_bytes_max.saturating_sub(body_len);
        if usize::try_from(self.size).map_or(true, |size| size > room) {
            return Err(HttpError::BodyTooLarge { bytes_max: self.body_bytes_max });
        }
        if byte == b'\r' {
            return Ok(At::SizeLf);
        }
        self.extension_bytes = 0;
        self.extension_step(byte, Extension::Semicolon)
    }

    fn extension_step(&mut self, byte: u8, extension: Extension) -> Result<At, HttpError> {
        match extension.step(byte)? {
            None => Ok(At::SizeLf),
            Some(next) => {
                self.count_extension_byte()?;
                Ok(At::Extension(next))
            }
        }
    }

    fn count_extension_byte(&mut self) -> Result<(), HttpError> {
        self.extension_bytes += 1;
        self.extensions_bytes += 1;
        let fits = self.extension_bytes <= CHUNK_EXTENSION_BYTES_MAX
            && self.extensions_bytes <= CHUNK_EXTENSIONS_BYTES_MAX;
        if fits { Ok(()) } else { Err(HttpError::ChunkExtensionTooLong) }
    }

    /// Trailers are read as header fields are, and thrown away.
    fn trailer_step(&mut self, byte: u8) -> Result<At, HttpError> {
        self.trailers_bytes += 1;
        if self.trailers_bytes > TRAILERS_BYTES_MAX {
            return Err(HttpError::TrailersTooLarge);
        }
        match (self.at, byte) {
            (At::TrailerStart, b'\r') => Ok(At::EndLf),
            (At::TrailerName, b':') => Ok(At::TrailerValue),
            (At::TrailerStart | At::TrailerName, _) if is_token_byte(byte) => Ok(At::TrailerName),
            (At::TrailerValue, b'\r') => Ok(At::TrailerLf),
            (At::TrailerValue, b'\t' | 0x20..=0x7e | 0x80..=0xff) => Ok(At::TrailerValue),
            (At::TrailerLf, b'\n') => Ok(At::TrailerStart),
            (At::EndLf, b'\n') => Ok(At::Done),
            _ => Err(HttpError::Trailer { byte }),
        }
    }
}

/// Appends to a body that may have `bytes_max` bytes, and has room for these.
fn append(body: &mut Vec<u8>, data: &[u8], bytes_max: usize) {
    let needed = body.len() + data.len();
    debug_assert!(needed <= bytes_max, "a chunk's size is judged before its data");
    if needed > body.capacity() {
        let capacity = needed.max(body.capacity().saturating_mul(2)).min(bytes_max);
        body.reserve_exact(capacity.max(needed) - body.len());
    }
    body.extend_from_slice(data);
}

fn expect(wanted: u8, byte: u8, next: At) -> Result<At, HttpError> {
    if byte == wanted { Ok(next) } else { Err(HttpError::ChunkEnd { byte }) }
}
