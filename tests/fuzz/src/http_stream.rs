//! A connection's bytes, cut anywhere, through the HTTP reader.
//!
//! ```text
//!  input: a byte, the number of cuts · two bytes for each, where it is · the stream
//! ```
//!
//! Oracle: what comes out (requests, then an error or what is waited for) is the same for the whole
//! stream, for the stream cut as said, byte by byte, and read by a reader that is new for each
//! request and so knows no template. Each goes where its path says, and that is asked once at most.
//! What is kept stays within bounds. A request that was accepted means the same when it is written
//! anew with a `Content-Length`.

use std::cell::{Cell, RefCell};

use cutter_wire::http::{Framing, Head, HttpError, Method, Phase, RequestReader, Routes, Step};
use cutter_wire::limits::{DECODED_BODY_KEPT_BYTES, HEAD_BYTES_MAX};

use crate::Source;

/// What a body may have, whatever the path.
const BODY_BYTES_MAX: usize = 1000;
/// Of one input.
const CUTS_MAX: u8 = 8;
/// What one reader may hold for chunked requests: a head and a body, and the room that a growing
/// vector takes beyond what it needs; or what it keeps from the last one.
const KEPT_BYTES_MAX: usize = 2 * (HEAD_BYTES_MAX + BODY_BYTES_MAX) + DECODED_BODY_KEPT_BYTES;

/// The room that the head of a chunked request may have.
const HEAD_KEPT_BYTES: usize = 2 * HEAD_BYTES_MAX;

/// What a stream came to, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Request(Request),
    Bad(HttpError),
    /// All bytes are used up and the connection is open.
    Waiting(Phase),
    /// The last request asked to close; what follows is not read.
    Closed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Request {
    method: Method,
    path: String,
    query: String,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    framing: Framing,
    keep_alive: bool,
    http_1_0: bool,
    expect_continue: bool,
    is_encoded: bool,
    body: Vec<u8>,
}

/// Routes that are the numbers of the paths that were asked for.
#[derive(Default)]
struct Paths {
    asked: RefCell<Vec<String>>,
    /// Since the last request.
    lookups: Cell<usize>,
}

impl Routes for Paths {
    type Route = usize;

    fn find(&self, path: &str) -> usize {
        self.lookups.set(self.lookups.get() + 1);
        let mut asked = self.asked.borrow_mut();
        asked.push(path.to_owned());
        asked.len() - 1
    }

    fn is_current(&self, _: usize) -> bool {
        true
    }

    fn body_bytes_max(&self, _: usize) -> usize {
        BODY_BYTES_MAX
    }
}

impl Request {
    fn new(head: &Head<'_>, body: &[u8]) -> Self {
        Self {
            method: head.method,
            path: head.path.to_owned(),
            query: head.query.to_owned(),
            headers: head.headers().map(|(name, value)| (name.into(), value.into())).collect(),
            framing: head.framing,
            keep_alive: head.keep_alive,
            http_1_0: head.http_1_0,
            expect_continue: head.expect_continue,
            is_encoded: head.is_encoded,
            body: body.to_vec(),
        }
    }
}

pub fn http_stream(data: &[u8]) {
    let mut source = Source::new(data);
    let cuts: Vec<u16> = (0..source.below(CUTS_MAX + 1)).map(|_| source.u16()).collect();
    let stream = source.rest();
    let whole = outcomes([stream], false);
    let mut ends: Vec<usize> =
        cuts.iter().map(|cut| usize::from(*cut) % (stream.len() + 1)).collect();
    ends.extend([0, stream.len()]);
    ends.sort_unstable();
    let pieces = ends.windows(2).map(|ends| &stream[ends[0]..ends[1]]);
    assert_eq!(outcomes(pieces, false), whole, "cut at {ends:?}");
    assert_eq!(outcomes(stream.chunks(1), false), whole, "byte by byte");
    assert_eq!(outcomes([stream], true), whole, "without a template");
    for outcome in &whole {
        if let Outcome::Request(request) = outcome {
            check_request(request);
        }
    }
}

/// Plays the engine: keeps what was not consumed, reads until there is nothing more to be had.
fn outcomes<'p>(pieces: impl IntoIterator<Item = &'p [u8]>, anew: bool) -> Vec<Outcome> {
    let mut reader = RequestReader::new();
    let mut kept = Vec::new();
    let mut outcomes = Vec::new();
    let paths = Paths::default();
    let mut continues = 0;
    for piece in pieces {
        kept.extend_from_slice(piece);
        loop {
            let consumed = match reader.read(&kept, &paths) {
                Step::NeedMore { consumed, wanted } => {
                    kept.drain(..consumed);
                    check_kept(&reader, kept.len(), wanted);
                    break;
                }
                Step::Continue100 { consumed } => {
                    continues += 1;
                    consumed
                }
                Step::Request { head, route, body, consumed } => {
                    let request = Request::new(&head, body);
                    let is_last = !request.keep_alive;
                    reader.finish_request();
                    assert!(reader.decoded_bytes() <= HEAD_KEPT_BYTES + DECODED_BODY_KEPT_BYTES);
                    assert_eq!(paths.asked.borrow()[route], request.path);
                    assert!(paths.lookups.take() <= 1 && continues <= 1, "{request:?}");
                    continues = 0;
                    outcomes.push(Outcome::Request(request));
                    if is_last {
                        outcomes.push(Outcome::Closed);
                        assert_closed(&mut reader, &kept[consumed..], &paths);
                        return outcomes;
                    }
                    if anew {
                        reader = RequestReader::new();
                    }
                    consumed
                }
                Step::Bad(error) => {
                    check_error(error);
                    assert_eq!(reader.decoded_bytes(), 0, "memory is kept behind {error:?}");
                    outcomes.push(Outcome::Bad(error));
                    return outcomes;
                }
            };
            kept.drain(..consumed);
        }
    }
    outcomes.push(Outcome::Waiting(reader.phase()));
    outcomes
}

fn check_kept(reader: &RequestReader<usize>, unread_bytes: usize, wanted: usize) {
    let kept_bytes = reader.decoded_bytes();
    assert!(unread_bytes <= HEAD_BYTES_MAX + BODY_BYTES_MAX, "{unread_bytes} bytes are unread");
    assert!(wanted <= HEAD_BYTES_MAX + BODY_BYTES_MAX, "{wanted} bytes are wanted");
    assert!(wanted == 0 || wanted > unread_bytes, "{wanted} are wanted, {unread_bytes} are there");
    assert!(kept_bytes <= KEPT_BYTES_MAX, "{kept_bytes} bytes are kept");
}

/// After the last request everything is swallowed.
fn assert_closed(reader: &mut RequestReader<usize>, rest: &[u8], paths: &Paths) {
    let step = reader.read(rest, paths);
    assert_eq!(paths.lookups.get(), 0, "a head after the last request");
    let swallowed = matches!(step, Step::NeedMore { consumed, .. } if consumed == rest.len());
    assert!(swallowed, "{step:?} after the last request");
}

fn check_error(error: HttpError) {
    let status = error.status().code();
    assert!((400..=599).contains(&status), "{error:?} is answered with {status}");
    assert!(!error.to_string().is_empty());
}

fn check_request(request: &Request) {
    assert!(request.body.len() <= BODY_BYTES_MAX);
    if let Framing::Length(bytes) = request.framing {
        assert_eq!(request.body.len() as u64, bytes);
    }
    let anew = with_length(request);
    let stream = write(&anew);
    let read = outcomes([&stream[..]], false);
    let text = String::from_utf8_lossy(&stream);
    assert_eq!(read.first(), Some(&Outcome::Request(anew)), "{text:?}");
}

/// The same request with its body's length in its head, however it came.
fn with_length(request: &Request) -> Request {
    let length = request.body.len();
    let mut anew = request.clone();
    anew.framing = Framing::Length(length as u64);
    anew.is_encoded &= length > 0;
    for (name, value) in &mut anew.headers {
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            *name = b"Content-Length".to_vec();
            *value = length.to_string().into_bytes();
        }
    }
    anew
}

fn write(request: &Request) -> Vec<u8> {
    let method = match request.method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Options => "OPTIONS",
        Method::Other => "X",
    };
    let mark = if request.query.is_empty() { "" } else { "?" };
    let version = if request.http_1_0 { "1.0" } else { "1.1" };
    let Request { path, query, .. } = request;
    let mut stream = format!("{method} {path}{mark}{query} HTTP/{version}\r\n").into_bytes();
    for (name, value) in &request.headers {
        stream.extend_from_slice(&[&name[..], b":", value, b"\r\n"].concat());
    }
    stream.extend_from_slice(b"\r\n");
    stream.extend_from_slice(&request.body);
    stream
}
