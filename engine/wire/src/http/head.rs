//! What a request head means: method, target, framing. One meaning, or an error.
//!
//! Owner: the engine thread.
//!
//! `httparse` reads the grammar with every leniency off. The scanner has already refused bare line
//! ends, control bytes and what is no request line. The framing rules are ours, because that is
//! where two parsers in a row come to differ: which header decides the length, what a second one
//! means, what is unknown.

use std::mem::MaybeUninit;

use super::error::HttpError;
use super::method::Method;
use super::span::Span;
use super::target::{is_host, parse_target};
use crate::limits::HEADERS_MAX;

/// How the end of the body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// This many bytes follow the head. No length at all is a body of none.
    Length(u64),
    /// Chunks follow.
    Chunked,
}

/// A request head that passed every rule, pointing into the bytes that it was read from.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    pub method: Method,
    /// The target's path, as sent: not percent-decoded ([`decode_path_segment`] does that). `*` for
    /// `OPTIONS *`.
    ///
    /// [`decode_path_segment`]: super::decode_path_segment
    pub path: &'a str,
    /// What follows the first `?`, or nothing.
    pub query: &'a str,
    pub framing: Framing,
    /// The client may send another request on this connection after the answer to this one.
    pub keep_alive: bool,
    /// The request is HTTP/1.0: keeping the connection must be said in the answer.
    pub http_1_0: bool,
    /// The client asked for `100 Continue`, whether or not it was still needed.
    pub expect_continue: bool,
    /// The body has a content coding such as gzip, which nobody here can read. It is framed all the
    /// same.
    pub is_encoded: bool,
    bytes: &'a [u8],
}

impl<'a> Head<'a> {
    /// All header fields in the order sent, without the white space around values.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        // Every line feed of an accepted head follows a carriage return.
        self.bytes.split(|byte| *byte == b'\n').skip(1).filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((&line[..colon], line[colon + 1..].trim_ascii()))
        })
    }

    /// The value of the first header field of this name, in any case.
    ///
    /// It looks through the whole head: for the unusual request, not for every one.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        let wanted = name.as_bytes();
        self.headers().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
    }
}

/// What was learned from a head, by position: it holds for any copy of the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// Bytes of the head with its empty line.
    pub head_bytes: usize,
    pub method: Method,
    pub path: Span,
    pub query: Span,
    pub framing: Framing,
    /// The digits of Content-Length; empty when there is none.
    pub length_digits: Span,
    pub keep_alive: bool,
    pub http_1_0: bool,
    pub expect_continue: bool,
    /// A content coding is named, whether or not there is a body.
    pub names_coding: bool,
}

impl Facts {
    /// The head again, from `bytes` that begin with it.
    pub(super) fn head<'a>(&self, bytes: &'a [u8]) -> Head<'a> {
        let bytes = &bytes[..self.head_bytes];
        Head {
            method: self.method,
            path: self.path(bytes),
            query: ascii(self.query.of(bytes)),
            framing: self.framing,
            keep_alive: self.keep_alive,
            http_1_0: self.http_1_0,
            expect_continue: self.expect_continue,
            // No body is in no coding. Decided here, since a template knows this head with another
            // length.
            is_encoded: self.names_coding && self.framing != Framing::Length(0),
            bytes,
        }
    }

    pub(super) fn path<'a>(&self, bytes: &'a [u8]) -> &'a str {
        ascii(self.path.of(bytes))
    }
}

fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("parse_target lets only visible ASCII through")
}

/// Reads `head`, which ends with its first empty line, by the full rules.
pub(super) fn parse_head(head: &[u8]) -> Result<Facts, HttpError> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(head, &mut headers) {
        Ok(httparse::Status::Complete(bytes)) if bytes == head.len() => {}
        Ok(_) => return Err(HttpError::RequestLine),
        Err(error) => return Err(explain(head, error)),
    }
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Err(HttpError::RequestLine);
    };
    let target_at = method.len() + 1;
    let method = Method::of(method);
    let (path, query) = parse_target(target.as_bytes(), target_at, method)?;
    let mut fields = Fields::default();
    for header in request.headers.iter() {
        fields.take(header, head)?;
    }
    let http_1_0 = version == 0;
    let (framing, length_digits) = fields.framing(http_1_0)?;
    Ok(Facts {
        head_bytes: head.len(),
        method,
        path,
        query,
        framing,
        length_digits,
        keep_alive: !fields.close && (!http_1_0 || fields.keep_alive),
        http_1_0,
        // RFC 9110 10.1.1: a 1.0 client cannot read an interim answer.
        expect_continue: fields.expect_continue && !http_1_0,
        names_coding: fields.names_coding,
    })
}

/// The header fields that decide about framing and connection.
#[derive(Default)]
struct Fields {
    host: bool,
    length: Option<(u64, Span)>,
    /// Whether the only transfer encoding is `chunked`.
    encoding_is_chunked: Option<bool>,
    close: bool,
    keep_alive: bool,
    expect_continue: bool,
    names_coding: bool,
}

impl Fields {
    fn take(&mut self, header: &httparse::Header<'_>, head: &[u8]) -> Result<(), HttpError> {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let value = header.value;
        // Most fields are told apart by their length alone.
        match header.name.len() {
            4 if is("host") => {
                if self.host {
                    return Err(HttpError::HostRepeated);
                }
                if !is_host(value) {
                    return Err(HttpError::HostInvalid);
                }
                self.host = true;
            }
            6 if is("expect") => {
                for expectation in elements(value) {
                    if !expectation.eq_ignore_ascii_case(b"100-continue") {
                        return Err(HttpError::ExpectationUnsupported);
                    }
                    self.expect_continue = true;
                }
            }
            10 if is("connection") => {
                for token in elements(value) {
                    self.close |= token.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            14 if is("content-length") => {
                if self.length.is_some() {
                    return Err(HttpError::ContentLengthRepeated);
                }
                let length = parse_length(value).ok_or(HttpError::ContentLengthInvalid)?;
                // `value` lies in `head`, so the distance of their addresses is its position.
                let start = value.as_ptr().addr() - head.as_ptr().addr();
                self.length = Some((length, Span::new(start, start + value.len())));
            }
            16 if is("content-encoding") => {
                let is_coding = |coding: &[u8]| !coding.eq_ignore_ascii_case(b"identity");
                self.names_coding |= elements(value).any(is_coding);
            }
            17 if is("transfer-encoding") => {
                // A second field is refused, though it would be the same list: whoever looks at one
                // of them only would see another end of the body.
                let first = self.encoding_is_chunked.is_none();
                let mut codings = elements(value);
                let is_chunked =
                    codings.next().is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
                self.encoding_is_chunked = Some(first && is_chunked && codings.next().is_none());
            }
            _ => {}
        }
        Ok(())
    }

    fn framing(&self, http_1_0: bool) -> Result<(Framing, Span), HttpError> {
        if !self.host && !http_1_0 {
            return Err(HttpError::HostMissing);
        }
        match (self.encoding_is_chunked, self.length) {
            (Some(_), _) if http_1_0 => Err(HttpError::EncodingOnHttp10),
            (Some(_), Some(_)) => Err(HttpError::LengthAndEncoding),
            (Some(false), None) => Err(HttpError::EncodingUnsupported),
            (Some(true), None) => Ok((Framing::Chunked, Span::default())),
            (None, Some((length, digits))) => Ok((Framing::Length(length), digits)),
            (None, None) => Ok((Framing::Length(0), Span::default())),
        }
    }
}

/// The elements of a list. Empty ones count for nothing (RFC 9110 5.6.1.2).
fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// 1*DIGIT that fits 64 bits. Not `str::parse`, which would take a plus sign.
pub(super) fn parse_length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |length, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    })
}

/// RFC 9110 5.6.2: what names and methods are made of.
pub(super) const fn is_token_byte(byte: u8) -> bool {
    matches!(byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*'
        | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}

/// Says what `httparse` refused in words that help to find it.
fn explain(head: &[u8], error: httparse::Error) -> HttpError {
    let lines =
        || head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    match error {
        httparse::Error::TooManyHeaders => HttpError::TooManyHeaders,
        httparse::Error::HeaderName => lines()
            .enumerate()
            .skip(1)
            .find_map(|(line, text)| name_fault(line, text))
            .unwrap_or(HttpError::HeaderName { line: 0 }),
        httparse::Error::HeaderValue => {
            let is_bad = |byte: &u8| *byte == 0x7f || (*byte < 0x20 && *byte != b'\t');
            let line = lines().position(|text| text.iter().any(is_bad)).unwrap_or(0);
            HttpError::HeaderValue { line }
        }
        _ => HttpError::RequestLine,
    }
}

fn name_fault(line: usize, text: &[u8]) -> Option<HttpError> {
    let name = text.split(|byte| *byte == b':').next().unwrap_or_default();
    match (text.first(), name.last()) {
        (None, _) => None,
        (Some(b' ' | b'\t'), _) => Some(HttpError::FoldedHeader { line }),
        (_, Some(b' ' | b'\t')) => Some(HttpError::SpaceBeforeColon { line }),
        (_, None) => Some(HttpError::HeaderName { line }),
        _ => (!name.iter().all(|byte| is_token_byte(*byte)) || name.len() == text.len())
            .then_some(HttpError::HeaderName { line }),
    }
}
