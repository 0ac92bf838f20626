//! The reader of one connection: received bytes in, whole requests out.
//!
//! Owner: the engine thread, one reader for each connection. The engine owns the bytes; the reader
//! keeps only where it is in them.
//!
//! ```text
//!            ┌──────────────── whole request, keep-alive ───────────────┐
//!            ▼                                                          │
//!   ┌──── Head ──── head complete ────┬─ Length  (body stays in buf) ───┤
//!   │   scanning                      └─ Chunked (body in our Vec) ─────┤
//!   │                                                                   └─ close ─▶ Done
//!   └─ any state: error ─▶ Failed, for good
//! ```
//!
//! Invariants:
//! - Each byte of a head is scanned once, a head is parsed once, a limit is looked up once, however
//!   many pieces a request arrives in.
//! - Cutting the stream elsewhere changes which calls say `NeedMore` and whether `Continue100` is
//!   still needed; never the requests or the error.

use super::chunked::ChunkDecoder;
use super::error::HttpError;
use super::head::{Facts, Framing, Head, parse_head};
use super::method::Method;
use super::scan::HeadScanner;
use super::template::Template;
use crate::limits::{DECODED_BODY_KEPT_BYTES, LEADING_EMPTY_LINES_MAX};

/// The whole interim answer to an expectation. It goes out behind the answers still owed.
pub const CONTINUE_100: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What [`RequestReader::read`] made of the bytes.
#[derive(Debug)]
pub enum Step<'a> {
    /// Drop `consumed` bytes and call again with the rest when more has arrived. The request is
    /// known to need `wanted` bytes in the buffer, those still there included; 0 is not known.
    NeedMore { consumed: usize, wanted: usize },
    /// The client waits for [`CONTINUE_100`] before it sends its body: send it, drop `consumed`
    /// bytes and call again. At most once a request.
    Continue100 { consumed: usize },
    /// A whole request. Use it, drop `consumed` bytes and call again, also when nothing is left.
    Request { head: Head<'a>, body: &'a [u8], consumed: usize },
    /// The stream makes no sense from here on: answer, then close the connection.
    Bad(HttpError),
}

/// What the client owes us next: the clock rules of [`Pace`](super::Pace) depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing of a request has been seen.
    Idle,
    /// A head has begun.
    Head,
    /// A body is incomplete.
    Body,
}

/// The framing state of one connection.
#[derive(Debug, Default)]
pub struct RequestReader {
    state: State,
    template: Template,
    empty_lines: u8,
    /// The head of a chunked request: its bytes are dropped before its body is complete.
    chunked_head: Vec<u8>,
    /// The decoded body of a chunked request.
    chunked_body: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Head(HeadScanner),
    Length {
        facts: Facts,
        body_bytes: usize,
    },
    Chunked {
        facts: Facts,
        decoder: ChunkDecoder,
    },
    /// The last request asked to close: what follows is not ours to read.
    Done,
    Failed(HttpError),
}

impl Default for State {
    fn default() -> Self {
        Self::Head(HeadScanner::default())
    }
}

/// [`Step`] without its borrows: positions in the caller's bytes.
enum Progress {
    NeedMore { consumed: usize, wanted: usize },
    Continue100 { consumed: usize },
    InPlace { facts: Facts, start: usize, consumed: usize },
    Decoded { facts: Facts, consumed: usize },
}

impl RequestReader {
    pub fn new() -> RequestReader {
        RequestReader::default()
    }

    /// Reads on. `buf` holds the connection's bytes from the first that was not consumed.
    ///
    /// `body_bytes_max` says how large a body this method and path may have. It is asked once for a
    /// request that has a body, when its head is complete, so that too large a body is refused
    /// before it is sent.
    ///
    /// Call until `NeedMore`: the pipelined requests of one buffer come out one by one.
    pub fn read<'a>(
        &'a mut self,
        buf: &'a [u8],
        body_bytes_max: impl FnOnce(Method, &str) -> usize,
    ) -> Step<'a> {
        self.finish_request();
        match self.advance(buf, body_bytes_max) {
            Ok(Progress::NeedMore { consumed, wanted }) => Step::NeedMore { consumed, wanted },
            Ok(Progress::Continue100 { consumed }) => Step::Continue100 { consumed },
            Ok(Progress::InPlace { facts, start, consumed }) => {
                let request = &buf[start..consumed];
                let (head, body) = (facts.head(request), &request[facts.head_bytes..]);
                Step::Request { head, body, consumed }
            }
            Ok(Progress::Decoded { facts, consumed }) => {
                let head = facts.head(&self.chunked_head);
                Step::Request { head, body: &self.chunked_body, consumed }
            }
            Err(error) => {
                self.state = State::Failed(error);
                self.release();
                Step::Bad(error)
            }
        }
    }

    /// What the client owes us next, after a `read` that said `NeedMore`.
    pub fn phase(&self) -> Phase {
        match &self.state {
            State::Head(scanner) if !scanner.is_fresh() => Phase::Head,
            State::Length { .. } | State::Chunked { .. } => Phase::Body,
            State::Head(_) | State::Done | State::Failed(_) => Phase::Idle,
        }
    }

    /// Makes the next head go through the full parser.
    #[cfg(test)]
    pub(super) fn forget_template(&mut self) {
        self.template = Template::default();
    }

    /// Bytes of memory held for chunked requests, whether anything is in it or not.
    #[inline]
    pub fn decoded_bytes(&self) -> usize {
        self.chunked_head.capacity() + self.chunked_body.capacity()
    }

    /// The decoded body of the request that was read last, for who reads it in pieces.
    pub fn take_decoded(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.chunked_body)
    }

    /// The request given out last is finished with: memory beyond what is kept for the next one is
    /// given back. To be called after each request; nothing happens in the middle of one.
    pub fn finish_request(&mut self) {
        if self.chunked_body.capacity() > DECODED_BODY_KEPT_BYTES && !self.is_decoding() {
            self.chunked_body = Vec::new();
        }
    }

    /// Gives all memory for chunked requests back. A body that is being decoded is given up, and
    /// nothing more is read from its connection.
    pub fn release(&mut self) {
        if self.is_decoding() {
            self.state = State::Done;
        }
        self.chunked_head = Vec::new();
        self.chunked_body = Vec::new();
    }

    fn is_decoding(&self) -> bool {
        matches!(self.state, State::Chunked { .. })
    }

    fn advance(
        &mut self,
        buf: &[u8],
        body_bytes_max: impl FnOnce(Method, &str) -> usize,
    ) -> Result<Progress, HttpError> {
        match self.state {
            State::Head(scanner) => self.read_head(buf, scanner, body_bytes_max),
            State::Length { facts, body_bytes } => Ok(self.read_length(buf, 0, facts, body_bytes)),
            State::Chunked { facts, decoder } => self.read_chunks(buf, 0, facts, decoder),
            State::Done => Ok(Progress::NeedMore { consumed: buf.len(), wanted: 0 }),
            State::Failed(error) => Err(error),
        }
    }

    fn read_head(
        &mut self,
        buf: &[u8],
        mut scanner: HeadScanner,
        body_bytes_max: impl FnOnce(Method, &str) -> usize,
    ) -> Result<Progress, HttpError> {
        let start = if scanner.is_fresh() { self.skip_empty_lines(buf)? } else { 0 };
        let bytes = &buf[start..];
        let recognised = if scanner.is_fresh() { self.template.recognise(bytes) } else { None };
        let facts = match recognised {
            Some(facts) => facts,
            None => {
                let head_bytes = scanner.scan(bytes)?;
                self.state = State::Head(scanner);
                let Some(head_bytes) = head_bytes else {
                    return Ok(Progress::NeedMore { consumed: start, wanted: 0 });
                };
                let head = &bytes[..head_bytes];
                let facts = parse_head(head)?;
                self.template.remember(head, &facts);
                facts
            }
        };
        self.begin_body(buf, start, facts, body_bytes_max)
    }

    /// Skips what some old clients send after a body. Half an empty line is left where it is.
    fn skip_empty_lines(&mut self, buf: &[u8]) -> Result<usize, HttpError> {
        let mut skipped = 0;
        while buf[skipped..].starts_with(b"\r\n") {
            if self.empty_lines == LEADING_EMPTY_LINES_MAX {
                return Err(HttpError::EmptyLines);
            }
            self.empty_lines += 1;
            skipped += 2;
        }
        Ok(skipped)
    }

    fn begin_body(
        &mut self,
        buf: &[u8],
        start: usize,
        facts: Facts,
        body_bytes_max: impl FnOnce(Method, &str) -> usize,
    ) -> Result<Progress, HttpError> {
        let bytes = &buf[start..];
        let bytes_max = match facts.framing {
            Framing::Length(0) => 0,
            _ => body_bytes_max(facts.method, facts.path(bytes)),
        };
        // RFC 9110 10.1.1: who has begun to send does not wait for our consent.
        let continue_100 = facts.expect_continue
            && facts.framing != Framing::Length(0)
            && bytes.len() == facts.head_bytes;
        match facts.framing {
            Framing::Length(length) => {
                let body_bytes = usize::try_from(length)
                    .ok()
                    .filter(|bytes| *bytes <= bytes_max)
                    .ok_or(HttpError::BodyTooLarge { bytes_max })?;
                if continue_100 {
                    self.state = State::Length { facts, body_bytes };
                    return Ok(Progress::Continue100 { consumed: start });
                }
                Ok(self.read_length(buf, start, facts, body_bytes))
            }
            Framing::Chunked => {
                self.chunked_head.clear();
                self.chunked_head.extend_from_slice(&bytes[..facts.head_bytes]);
                self.chunked_body.clear();
                let decoder = ChunkDecoder::new(bytes_max);
                let consumed = start + facts.head_bytes;
                if continue_100 {
                    self.state = State::Chunked { facts, decoder };
                    return Ok(Progress::Continue100 { consumed });
                }
                self.read_chunks(buf, consumed, facts, decoder)
            }
        }
    }

    /// `buf[start..]` begins with the head, whose body stays where it is.
    fn read_length(
        &mut self,
        buf: &[u8],
        start: usize,
        facts: Facts,
        body_bytes: usize,
    ) -> Progress {
        let wanted = facts.head_bytes.saturating_add(body_bytes);
        if buf.len() - start < wanted {
            self.state = State::Length { facts, body_bytes };
            return Progress::NeedMore { consumed: start, wanted };
        }
        self.end_request(&facts);
        Progress::InPlace { facts, start, consumed: start + wanted }
    }

    /// `buf[start..]` is the part of a chunked body that was not decoded yet.
    fn read_chunks(
        &mut self,
        buf: &[u8],
        start: usize,
        facts: Facts,
        mut decoder: ChunkDecoder,
    ) -> Result<Progress, HttpError> {
        let consumed = start + decoder.decode(&buf[start..], &mut self.chunked_body)?;
        if !decoder.is_done() {
            self.state = State::Chunked { facts, decoder };
            return Ok(Progress::NeedMore { consumed, wanted: 0 });
        }
        self.end_request(&facts);
        Ok(Progress::Decoded { facts, consumed })
    }

    fn end_request(&mut self, facts: &Facts) {
        self.empty_lines = 0;
        self.state = if facts.keep_alive { State::default() } else { State::Done };
    }
}
