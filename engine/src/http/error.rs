//! Everything that can be wrong with a request's bytes, each with its status and its advice.
//!
//! After any of these the connection closes: a reader that has lost its place in a stream must not
//! guess where the next request begins. Positions count from the first byte of the head.

use super::status::Status;
use crate::limits::{
    BODY_GRACE_NS, BODY_RATE_BYTES_PER_S, CHUNK_EXTENSION_BYTES_MAX, CHUNK_EXTENSIONS_BYTES_MAX,
    CHUNK_SIZE_DIGITS_MAX, HEAD_BYTES_MAX, HEAD_TIME_NS, HEADERS_MAX, LEADING_EMPTY_LINES_MAX,
    REQUEST_LINE_BYTES_MAX, TARGET_BYTES_MAX, TRAILERS_BYTES_MAX,
};

/// Why a request was refused before anyone looked at what it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    #[error(
        "the request begins with byte {byte:#04x}, which cannot begin an HTTP method; this port \
         speaks plain HTTP/1.1 (0x16 would be TLS)"
    )]
    NotHttp { byte: u8 },
    #[error(
        "more than {LEADING_EMPTY_LINES_MAX} empty lines before a request line; send none between \
         requests"
    )]
    EmptyLines,
    #[error("a line feed without a carriage return at byte {at}; end each line with CR LF")]
    BareLineFeed { at: usize },
    #[error("a carriage return without a line feed at byte {at}; end each line with CR LF")]
    BareCarriageReturn { at: usize },
    #[error("control byte {byte:#04x} in the head at byte {at}; leave it out or encode it")]
    ControlByte { byte: u8, at: usize },
    #[error(
        "the request line is not `METHOD target HTTP/1.1` with single spaces; correct it and send \
         it again"
    )]
    RequestLine,
    #[error("HTTP version {major}.{minor} is not spoken here; use HTTP/1.1 or HTTP/1.0")]
    Version { major: u8, minor: u8 },
    #[error(
        "the request target must be a path that begins with `/`, or an http:// URL, in visible \
         ASCII and without a fragment; percent-encode other bytes"
    )]
    Target,
    #[error("the request target has {bytes} bytes, the limit is {TARGET_BYTES_MAX}; shorten it")]
    TargetTooLong { bytes: usize },
    #[error(
        "the request line is longer than {REQUEST_LINE_BYTES_MAX} bytes (the target may have \
         {TARGET_BYTES_MAX}); shorten it"
    )]
    RequestLineTooLong,
    #[error(
        "the request head is larger than {HEAD_BYTES_MAX} bytes; send fewer or shorter header \
         fields"
    )]
    HeadTooLarge,
    #[error("more than {HEADERS_MAX} header fields; send fewer")]
    TooManyHeaders,
    #[error("header line {line} is not `name: value`; correct the field name")]
    HeaderName { line: usize },
    #[error("header line {line} has white space before its colon; remove it")]
    SpaceBeforeColon { line: usize },
    #[error("header line {line} begins with white space (folded lines are obsolete); use one line")]
    FoldedHeader { line: usize },
    #[error("header line {line} has a byte that no field value may hold; encode it")]
    HeaderValue { line: usize },
    #[error("HTTP/1.1 needs a Host header field; send one")]
    HostMissing,
    #[error("several Host header fields; send exactly one")]
    HostRepeated,
    #[error("the Host header field is not `name` or `name:port`; correct it")]
    HostInvalid,
    #[error("Content-Length is not a plain decimal number below 2^64; send digits only")]
    ContentLengthInvalid,
    #[error("several Content-Length header fields; send exactly one")]
    ContentLengthRepeated,
    #[error("both Transfer-Encoding and Content-Length; a body has one length, send one of them")]
    LengthAndEncoding,
    #[error("Transfer-Encoding in an HTTP/1.0 request; send Content-Length or use HTTP/1.1")]
    EncodingOnHttp10,
    #[error("the only transfer encoding here is one `chunked`; send that, or Content-Length")]
    EncodingUnsupported,
    #[error("the only expectation met here is `100-continue`; leave the Expect header field out")]
    ExpectationUnsupported,
    #[error(
        "the body is larger than {bytes_max} bytes, the limit for this path; send less at once"
    )]
    BodyTooLarge { bytes_max: usize },
    #[error(
        "a chunk size is not hexadecimal digits (found byte {byte:#04x}); correct the chunking"
    )]
    ChunkSize { byte: u8 },
    #[error("a chunk size has more than {CHUNK_SIZE_DIGITS_MAX} digits; send fewer zeros")]
    ChunkSizeTooLong,
    #[error(
        "chunk extensions are longer than {CHUNK_EXTENSION_BYTES_MAX} bytes in a chunk or \
         {CHUNK_EXTENSIONS_BYTES_MAX} in a body; leave them out"
    )]
    ChunkExtensionTooLong,
    #[error("a chunk extension has byte {byte:#04x} where it cannot be; leave the extension out")]
    ChunkExtension { byte: u8 },
    #[error("a chunk line or its data does not end in CR LF (found byte {byte:#04x}); correct it")]
    ChunkEnd { byte: u8 },
    #[error("a trailer field is not `name: value` (found byte {byte:#04x}); leave trailers out")]
    Trailer { byte: u8 },
    #[error("the trailers are longer than {TRAILERS_BYTES_MAX} bytes; leave them out")]
    TrailersTooLarge,
    #[error(
        "the request head did not arrive within {} s of its first byte; send it at once",
        HEAD_TIME_NS / 1_000_000_000
    )]
    HeadTooSlow,
    #[error(
        "the body fell more than {} s behind {BODY_RATE_BYTES_PER_S} bytes per second; send faster",
        BODY_GRACE_NS / 1_000_000_000
    )]
    BodyTooSlow,
}

impl HttpError {
    pub const fn status(&self) -> Status {
        match self {
            Self::Version { .. } => Status::VersionNotSupported,
            Self::TargetTooLong { .. } | Self::RequestLineTooLong => Status::UriTooLong,
            Self::HeadTooLarge | Self::TooManyHeaders | Self::TrailersTooLarge => {
                Status::HeaderFieldsTooLarge
            }
            Self::EncodingUnsupported => Status::NotImplemented,
            Self::ExpectationUnsupported => Status::ExpectationFailed,
            Self::BodyTooLarge { .. } => Status::ContentTooLarge,
            Self::HeadTooSlow | Self::BodyTooSlow => Status::RequestTimeout,
            Self::NotHttp { .. }
            | Self::EmptyLines
            | Self::BareLineFeed { .. }
            | Self::BareCarriageReturn { .. }
            | Self::ControlByte { .. }
            | Self::RequestLine
            | Self::Target
            | Self::HeaderName { .. }
            | Self::SpaceBeforeColon { .. }
            | Self::FoldedHeader { .. }
            | Self::HeaderValue { .. }
            | Self::HostMissing
            | Self::HostRepeated
            | Self::HostInvalid
            | Self::ContentLengthInvalid
            | Self::ContentLengthRepeated
            | Self::LengthAndEncoding
            | Self::EncodingOnHttp10
            | Self::ChunkSize { .. }
            | Self::ChunkSizeTooLong
            | Self::ChunkExtensionTooLong
            | Self::ChunkExtension { .. }
            | Self::ChunkEnd { .. }
            | Self::Trailer { .. } => Status::BadRequest,
        }
    }
}
