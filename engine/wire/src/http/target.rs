//! Request targets and the Host field: RFC 9112 section 3.2, as far as a server without proxies
//! needs it.

use std::borrow::Cow;

use super::error::HttpError;
use super::method::Method;
use super::span::Span;
use crate::limits::TARGET_BYTES_MAX;

/// Path and query of a target that begins at byte `at` of its head.
///
/// Taken: `/path?query`, `http://host/path?query` (as sent to a proxy; RFC 9112 3.2.2 wants servers
/// to understand it), and `*` for OPTIONS.
pub(super) fn parse_target(
    target: &[u8],
    at: usize,
    method: Method,
) -> Result<(Span, Span), HttpError> {
    if target.len() > TARGET_BYTES_MAX {
        return Err(HttpError::TargetTooLong { bytes: target.len() });
    }
    if !target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#') {
        return Err(HttpError::Target);
    }
    let path_start = match target {
        [b'/', ..] => 0,
        b"*" if method == Method::Options => 0,
        _ => absolute_path_start(target).ok_or(HttpError::Target)?,
    };
    let question = target[path_start..].iter().position(|byte| *byte == b'?');
    let path_end = question.map_or(target.len(), |offset| path_start + offset);
    let query_start = question.map_or(target.len(), |offset| path_start + offset + 1);
    let query = Span::new(at + query_start, at + target.len());
    if path_end > path_start {
        return Ok((Span::new(at + path_start, at + path_end), query));
    }
    // The path of `http://host` is `/`. The last slash before the authority stands in for it.
    let slash = target.iter().position(|byte| *byte == b'/').ok_or(HttpError::Target)? + 1;
    Ok((Span::new(at + slash, at + slash + 1), query))
}

/// Where the path (or its absence) begins in `http://authority…`.
fn absolute_path_start(target: &[u8]) -> Option<usize> {
    let has_scheme = |scheme: &[u8]| {
        target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let scheme = [&b"http://"[..], &b"https://"[..]].into_iter().find(|name| has_scheme(name))?;
    let rest = &target[scheme.len()..];
    let authority_bytes =
        rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let authority = &rest[..authority_bytes];
    (!authority.is_empty() && is_host(authority)).then_some(scheme.len() + authority_bytes)
}

/// A `%` without two hexadecimal digits behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadEscape;

/// One segment of a path, percent-decoded once (RFC 3986 2.1). A segment is what stands between
/// slashes *before* decoding, so that an encoded slash is a byte of a name and not a separator.
pub fn decode_path_segment(segment: &str) -> Result<Cow<'_, [u8]>, BadEscape> {
    if !segment.contains('%') {
        return Ok(Cow::Borrowed(segment.as_bytes()));
    }
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    loop {
        rest = match *rest {
            [] => break,
            [b'%', high, low, ..] => {
                let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(BadEscape);
                let value = digit(high)? << 4 | digit(low)?;
                decoded.push(u8::try_from(value).expect("two hexadecimal digits are a byte"));
                &rest[3..]
            }
            [b'%', ..] => return Err(BadEscape),
            [byte, ..] => {
                decoded.push(byte);
                &rest[1..]
            }
        };
    }
    Ok(Cow::Owned(decoded))
}

/// `uri-host [ ":" port ]` (RFC 9110 7.2). Empty is allowed: RFC 9112 3.2 asks it of clients whose
/// URL has no authority, and over a Unix socket some have none.
pub(super) fn is_host(value: &[u8]) -> bool {
    if value.is_empty() {
        return true;
    }
    let (is_name, rest) = match value.strip_prefix(b"[") {
        Some(literal) => {
            let end = literal.iter().position(|byte| *byte == b']').unwrap_or(literal.len());
            let address = &literal[..end];
            let is_address = !address.is_empty()
                && address.iter().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte));
            (is_address && end < literal.len(), literal.get(end + 1..).unwrap_or_default())
        }
        None => {
            let end = value.iter().position(|byte| *byte == b':').unwrap_or(value.len());
            (is_registered_name(&value[..end]), &value[end..])
        }
    };
    is_name && is_port(rest)
}

fn is_registered_name(name: &[u8]) -> bool {
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.'
                    | b'_'
                    | b'~'
                    | b'!'
                    | b'$'
                    | b'&'
                    | b'\''
                    | b'('
                    | b')'
                    | b'*'
                    | b'+'
                    | b','
                    | b';'
                    | b'='
            )
    };
    let mut rest = name;
    loop {
        rest = match rest {
            [] => return !name.is_empty(),
            [b'%', high, low, rest @ ..] if is_hex(*high) && is_hex(*low) => rest,
            [byte, rest @ ..] if plain(*byte) => rest,
            _ => return false,
        };
    }
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

/// Nothing, or a colon and at most five digits.
fn is_port(rest: &[u8]) -> bool {
    match rest {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}
