//! The head of an answer: its status, and where its body ends (RFC 9112, section 6.3).

use std::mem::MaybeUninit;

use super::ReplyError;
use crate::limits::REPLY_HEADERS_MAX;

const START: &[u8] = b"HTTP/1.";
/// Bytes of what came that an error quotes.
const QUOTED_BYTES_MAX: usize = 40;

/// What a head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    pub keep_alive: bool,
    pub inference_header_length: Option<usize>,
    pub framing: Framing,
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

/// Refuses early what cannot become a head, so that nobody waits for the end of it.
pub fn check_start(bytes: &[u8]) -> Result<(), ReplyError> {
    let is_start = START.iter().zip(bytes).all(|(expected, found)| expected == found);
    if is_start { Ok(()) } else { Err(ReplyError::NotHttp { found: quote(bytes) }) }
}

/// The length of the head that `bytes` begins with, its empty line included. The first `searched`
/// bytes are known to hold no end.
pub fn find_end(bytes: &[u8], searched: usize) -> Option<usize> {
    // The end is a line feed, perhaps a carriage return, and a line feed: look at those two again.
    let mut at = searched.saturating_sub(2);
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == b'\n') {
        at += found + 1;
        match bytes[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// Reads the head that `bytes` begins with, and finds its length. `is_to_head` says that it answers
/// a HEAD request.
pub fn read(bytes: &[u8], is_to_head: bool) -> Result<(Head, usize), ReplyError> {
    let mut fields = [const { MaybeUninit::uninit() }; REPLY_HEADERS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let head_bytes =
        match config.parse_response_with_uninit_headers(&mut response, bytes, &mut fields) {
            Ok(httparse::Status::Complete(bytes)) => bytes,
            Ok(httparse::Status::Partial) => {
                return Err(ReplyError::Head { why: httparse::Error::NewLine });
            }
            Err(httparse::Error::TooManyHeaders) => return Err(ReplyError::TooManyFields),
            Err(why) => return Err(ReplyError::Head { why }),
        };
    let (status, minor) = (response.code.unwrap_or_default(), response.version.unwrap_or_default());
    let fields = Fields::of(response.headers, minor)?;
    let framing = match (fields.is_chunked, fields.length) {
        // These have no body, whatever their fields say (RFC 9112, section 6.3, rule 1).
        _ if is_to_head || matches!(status, 100..=199 | 204 | 304) => Framing::Length(0),
        (true, Some(_)) => return Err(ReplyError::BothLengths),
        (true, None) => Framing::Chunked,
        (false, Some(length)) => Framing::Length(length),
        (false, None) => Framing::UntilClose,
    };
    let keep_alive = fields.keep_alive && framing != Framing::UntilClose;
    let inference_header_length = fields.inference_header_length;
    Ok((Head { status, keep_alive, inference_header_length, framing }, head_bytes))
}

/// The few fields that matter.
struct Fields {
    length: Option<usize>,
    is_chunked: bool,
    keep_alive: bool,
    inference_header_length: Option<usize>,
}

impl Fields {
    fn of(headers: &[httparse::Header<'_>], minor: u8) -> Result<Self, ReplyError> {
        let keep_alive = minor == 1;
        let mut fields =
            Self { length: None, is_chunked: false, keep_alive, inference_header_length: None };
        for header in headers {
            // Names of other lengths are most; they cost one comparison.
            match header.name.len() {
                10 if header.name.eq_ignore_ascii_case("Connection") => {
                    fields.keep_alive = keeps_alive(header.value, fields.keep_alive);
                }
                14 if header.name.eq_ignore_ascii_case("Content-Length") => {
                    set_length(&mut fields.length, "Content-Length", header.value)?;
                }
                17 if header.name.eq_ignore_ascii_case("Transfer-Encoding") => {
                    if fields.is_chunked {
                        return Err(ReplyError::Twice { field: "Transfer-Encoding" });
                    }
                    // HTTP/1.0 has no codings: what its server means is anybody's guess.
                    if minor == 0 || !header.value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                        return Err(ReplyError::Coding { found: quote(header.value) });
                    }
                    fields.is_chunked = true;
                }
                31 if header.name.eq_ignore_ascii_case(INFERENCE_LENGTH) => {
                    let length = &mut fields.inference_header_length;
                    set_length(length, INFERENCE_LENGTH, header.value)?;
                }
                _ => {}
            }
        }
        Ok(fields)
    }
}

const INFERENCE_LENGTH: &str = "Inference-Header-Content-Length";
const _: () = assert!(INFERENCE_LENGTH.len() == 31);

fn keeps_alive(value: &[u8], otherwise: bool) -> bool {
    let mut options = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let has = |name: &'static [u8]| move |option: &[u8]| option.eq_ignore_ascii_case(name);
    if options.clone().any(has(b"close")) {
        return false;
    }
    otherwise || options.any(has(b"keep-alive"))
}

fn set_length(
    length: &mut Option<usize>,
    field: &'static str,
    value: &[u8],
) -> Result<(), ReplyError> {
    if length.is_some() {
        return Err(ReplyError::Twice { field });
    }
    let digits = value.trim_ascii();
    // Digits alone: `parse` would take a plus sign.
    let text = std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let no_length = || ReplyError::Length { field, found: quote(value) };
    *length = Some(text.and_then(|text| text.parse().ok()).ok_or_else(no_length)?);
    Ok(())
}

fn quote(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(QUOTED_BYTES_MAX)]).into_owned()
}
