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
//! - Each byte of a head is scanned once, a head is parsed once, its route is found once, however
//!   many pieces a request arrives in; and not at all when the head is like the last one and
//!   nothing has changed since.
//! - A request is given out with the route that would be found for it now.
//! - Cutting the stream elsewhere changes which calls say `NeedMore` and whether `Continue100` is
//!   still needed; never the requests or the error.

use super::chunked::ChunkDecoder;
use super::error::HttpError;
use super::head::{Facts, Framing, Head, parse_head};
use super::scan::HeadScanner;
use super::template::Template;
use crate::limits::{DECODED_BODY_KEPT_BYTES, LEADING_EMPTY_LINES_MAX};

/// The whole interim answer to an expectation. It goes out behind the answers still owed.
pub const CONTINUE_100: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Who knows where requests go. That may change while connections are kept.
pub trait Routes {
    /// Where a request goes, as a reader remembers it from its head to its end, and beside the head
    /// for the next one that is like it.
    type Route: Copy;

    /// Where a request for this path goes.
    fn find(&self, path: &str) -> Self::Route;

    /// Whether [`Routes::find`] would still say what it said then, of any path.
    fn is_current(&self, route: Self::Route) -> bool;

    /// The largest body of a request that goes there.
    fn body_bytes_max(&self, route: Self::Route) -> usize;
}

/// What [`RequestReader::read`] made of the bytes.
#[derive(Debug)]
pub enum Step<'a, R> {
    /// Drop `consumed` bytes and call again with the rest when more has arrived. The request is
    /// known to need `wanted` bytes in the buffer, those still there included; 0 is not known.
    NeedMore { consumed: usize, wanted: usize },
    /// The client waits for [`CONTINUE_100`] before it sends its body: send it, drop `consumed`
    /// bytes and call again. At most once a request.
    Continue100 { consumed: usize },
    /// A whole request. Use it, drop `consumed` bytes and call again, also when nothing is left.
    Request { head: Head<'a>, route: R, body: &'a [u8], consumed: usize },
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
#[derive(Debug)]
pub struct RequestReader<R> {
    state: State<R>,
    template: Template<R>,
    empty_lines: u8,
    /// The head of a chunked request: its bytes are dropped before its body is complete.
    chunked_head: Vec<u8>,
    /// The decoded body of a chunked request.
    chunked_body: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum State<R> {
    Head(HeadScanner),
    Length {
        known: Known<R>,
        body_bytes: usize,
    },
    Chunked {
        known: Known<R>,
        decoder: ChunkDecoder,
    },
    /// The last request asked to close: what follows is not ours to read.
    Done,
    Failed(HttpError),
}

/// What is known of a request from the end of its head to its own.
#[derive(Clone, Copy, Debug)]
struct Known<R> {
    facts: Facts,
    route: R,
}

/// [`Step`] without its borrows: positions in the caller's bytes.
enum Progress<R> {
    NeedMore { consumed: usize, wanted: usize },
    Continue100 { consumed: usize },
    InPlace { known: Known<R>, start: usize, consumed: usize },
    Decoded { known: Known<R>, consumed: usize },
}

impl<R> Default for RequestReader<R> {
    fn default() -> Self {
        Self {
            state: State::Head(HeadScanner::default()),
            template: Template::default(),
            empty_lines: 0,
            chunked_head: Vec::new(),
            chunked_body: Vec::new(),
        }
    }
}

impl<R: Copy> RequestReader<R> {
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads on. `buf` holds the connection's bytes from the first that was not consumed.
    ///
    /// `routes` is asked where a request goes when its head is complete, so that a body that is too
    /// large there is refused before it is sent. It is not asked again for the same request, nor
    /// for a next one with a head like it, unless something has changed.
    ///
    /// Call until `NeedMore`: the pipelined requests of one buffer come out one by one.
    pub fn read<'a>(&'a mut self, buf: &'a [u8], routes: &impl Routes<Route = R>) -> Step<'a, R> {
        self.finish_request();
        let progress = match self.state {
            State::Head(scanner) => self.read_head(buf, scanner, routes),
            State::Length { known, body_bytes } => Ok(self.read_length(buf, 0, known, body_bytes)),
            State::Chunked { known, decoder } => self.read_chunks(buf, 0, known, decoder),
            State::Done => Ok(Progress::NeedMore { consumed: buf.len(), wanted: 0 }),
            State::Failed(error) => Err(error),
        };
        match progress {
            Ok(Progress::NeedMore { consumed, wanted }) => Step::NeedMore { consumed, wanted },
            Ok(Progress::Continue100 { consumed }) => Step::Continue100 { consumed },
            Ok(Progress::InPlace { known: Known { facts, route }, start, consumed }) => {
                let request = &buf[start..consumed];
                let (head, body) = (facts.head(request), &request[facts.head_bytes..]);
                let route = current(routes, route, head.path);
                Step::Request { head, route, body, consumed }
            }
            Ok(Progress::Decoded { known: Known { facts, route }, consumed }) => {
                let head = facts.head(&self.chunked_head);
                let route = current(routes, route, head.path);
                Step::Request { head, route, body: &self.chunked_body, consumed }
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

    fn read_head(
        &mut self,
        buf: &[u8],
        mut scanner: HeadScanner,
        routes: &impl Routes<Route = R>,
    ) -> Result<Progress<R>, HttpError> {
        let start = if scanner.is_fresh() { self.skip_empty_lines(buf)? } else { 0 };
        let bytes = &buf[start..];
        let recognised = if scanner.is_fresh() { self.template.recognise(bytes) } else { None };
        let known = match recognised {
            Some((facts, route)) => {
                let route = current(routes, route, facts.path(bytes));
                self.template.set_route(route);
                Known { facts, route }
            }
            None => {
                let head_bytes = scanner.scan(bytes)?;
                self.state = State::Head(scanner);
                let Some(head_bytes) = head_bytes else {
                    return Ok(Progress::NeedMore { consumed: start, wanted: 0 });
                };
                let head = &bytes[..head_bytes];
                let facts = parse_head(head)?;
                let route = routes.find(facts.path(head));
                self.template.remember(head, &facts, route);
                Known { facts, route }
            }
        };
        self.begin_body(buf, start, known, routes)
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
        known: Known<R>,
        routes: &impl Routes<Route = R>,
    ) -> Result<Progress<R>, HttpError> {
        let Known { facts, route } = known;
        let bytes = &buf[start..];
        let bytes_max = match facts.framing {
            Framing::Length(0) => 0,
            _ => routes.body_bytes_max(route),
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
                    self.state = State::Length { known, body_bytes };
                    return Ok(Progress::Continue100 { consumed: start });
                }
                Ok(self.read_length(buf, start, known, body_bytes))
            }
            Framing::Chunked => {
                self.chunked_head.clear();
                self.chunked_head.extend_from_slice(&bytes[..facts.head_bytes]);
                self.chunked_body.clear();
                let decoder = ChunkDecoder::new(bytes_max);
                let consumed = start + facts.head_bytes;
                if continue_100 {
                    self.state = State::Chunked { known, decoder };
                    return Ok(Progress::Continue100 { consumed });
                }
                self.read_chunks(buf, consumed, known, decoder)
            }
        }
    }

    /// `buf[start..]` begins with the head, whose body stays where it is.
    fn read_length(
        &mut self,
        buf: &[u8],
        start: usize,
        known: Known<R>,
        body_bytes: usize,
    ) -> Progress<R> {
        let wanted = known.facts.head_bytes.saturating_add(body_bytes);
        if buf.len() - start < wanted {
            self.state = State::Length { known, body_bytes };
            return Progress::NeedMore { consumed: start, wanted };
        }
        self.end_request(&known.facts);
        Progress::InPlace { known, start, consumed: start + wanted }
    }

    /// `buf[start..]` is the part of a chunked body that was not decoded yet.
    fn read_chunks(
        &mut self,
        buf: &[u8],
        start: usize,
        known: Known<R>,
        mut decoder: ChunkDecoder,
    ) -> Result<Progress<R>, HttpError> {
        let consumed = start + decoder.decode(&buf[start..], &mut self.chunked_body)?;
        if !decoder.is_done() {
            self.state = State::Chunked { known, decoder };
            return Ok(Progress::NeedMore { consumed, wanted: 0 });
        }
        self.end_request(&known.facts);
        Ok(Progress::Decoded { known, consumed })
    }

    fn end_request(&mut self, facts: &Facts) {
        self.empty_lines = 0;
        let next = State::Head(HeadScanner::default());
        self.state = if facts.keep_alive { next } else { State::Done };
    }
}

/// The route that would be found for a path now, of which an earlier one is known.
fn current<D: Routes>(routes: &D, known: D::Route, path: &str) -> D::Route {
    if routes.is_current(known) { known } else { routes.find(path) }
}
