//! Everything that can be wrong with a request's bytes, each with its status and its advice.
//!
//! After any of these the connection closes: a reader that has lost its place in a stream must not
//! guess where the next request begins. Positions count from the first byte of the head.
//!
//! A request that is framed well and asks for something wrong is none of these: it is answered by
//! whoever reads it, and its connection goes on.

use super::status::Status;
use crate::limits::{
    BODY_GRACE_NS, BODY_RATE_BYTES_PER_S, CHUNK_EXTENSION_BYTES_MAX, CHUNK_EXTENSIONS_BYTES_MAX,
    CHUNK_SIZE_DIGITS_MAX, HEAD_BYTES_MAX, HEAD_TIME_NS, HEADERS_MAX, INPUT_BATCH_MAX,
    LEADING_EMPTY_LINES_MAX, REQUEST_LINE_BYTES_MAX, TARGET_BYTES_MAX, TRAILERS_BYTES_MAX,
};

/// Declares the errors under their statuses: name, fields and text. The texts are written into JSON
/// as they are, so they hold neither quotes nor backslashes.
macro_rules! errors {
    ($($status:ident {
        $($name:ident $({ $($field:ident: $type:ty),+ })? = $text:literal $(, $value:expr)*;)+
    })+) => {
        /// Why a request was refused before anyone looked at what it asks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        pub enum HttpError {
            $($(
                #[error($text $(, $value)*)]
                $name $({ $($field: $type),+ })?,
            )+)+
        }

        impl HttpError {
            pub const fn status(&self) -> Status {
                match self {
                    $($(Self::$name { .. } => Status::$status,)+)+
                }
            }

            /// One of each.
            #[cfg(test)]
            pub(super) const ALL: &[HttpError] =
                &[$($(Self::$name $({ $($field: 2),+ })?,)+)+];
        }
    };
}

errors! {
    BadRequest {
        NotHttp { byte: u8 } =
            "the request begins with byte {byte:#04x}, which cannot begin an HTTP method; this \
             port speaks plain HTTP/1.1 (0x16 would be TLS)";
        EmptyLines =
            "more than {LEADING_EMPTY_LINES_MAX} empty lines before a request line; send none \
             between requests";
        BareLineFeed { at: usize } =
            "a line feed without a carriage return at byte {at}; end each line with CR LF";
        BareCarriageReturn { at: usize } =
            "a carriage return without a line feed at byte {at}; end each line with CR LF";
        ControlByte { byte: u8, at: usize } =
            "control byte {byte:#04x} in the head at byte {at}; leave it out or encode it";
        RequestLine =
            "the request line is not `METHOD target HTTP/1.1` with single spaces; correct it \
             and send it again";
        Target =
            "the request target must be a path that begins with `/`, or an http:// URL, in \
             visible ASCII and without a fragment; percent-encode other bytes";
        HeaderName { line: usize } =
            "header line {line} is not `name: value`; correct the field name";
        SpaceBeforeColon { line: usize } =
            "header line {line} has white space before its colon; remove it";
        FoldedHeader { line: usize } =
            "header line {line} begins with white space (folded lines are obsolete); use one \
             line";
        HeaderValue { line: usize } =
            "header line {line} has a byte that no field value may hold; encode it";
        HostMissing = "HTTP/1.1 needs a Host header field; send one";
        HostRepeated = "several Host header fields; send exactly one";
        HostInvalid = "the Host header field is not `name` or `name:port`; correct it";
        ContentLengthInvalid =
            "Content-Length is not a plain decimal number below 2^64; send digits only";
        ContentLengthRepeated = "several Content-Length header fields; send exactly one";
        LengthAndEncoding =
            "both Transfer-Encoding and Content-Length; a body has one length, send one of them";
        EncodingOnHttp10 =
            "Transfer-Encoding in an HTTP/1.0 request; send Content-Length or use HTTP/1.1";
        ChunkSize { byte: u8 } =
            "a chunk size is not hexadecimal digits (found byte {byte:#04x}); correct the \
             chunking";
        ChunkSizeTooLong =
            "a chunk size has more than {CHUNK_SIZE_DIGITS_MAX} digits; send fewer zeros";
        ChunkExtensionTooLong =
            "chunk extensions are longer than {CHUNK_EXTENSION_BYTES_MAX} bytes in a chunk or \
             {CHUNK_EXTENSIONS_BYTES_MAX} in a body; leave them out";
        ChunkExtension { byte: u8 } =
            "a chunk extension has byte {byte:#04x} where it cannot be; it is `;name` or \
             `;name=value`, leave it out";
        ChunkEnd { byte: u8 } =
            "a chunk line or its data does not end in CR LF (found byte {byte:#04x}); correct \
             it";
        Trailer { byte: u8 } =
            "a trailer field is not `name: value` (found byte {byte:#04x}); leave trailers out";
    }
    RequestTimeout {
        HeadTooSlow =
            "the request head did not arrive within {} s of its first byte; send it at once",
            HEAD_TIME_NS / 1_000_000_000;
        BodyTooSlow =
            "the body fell more than {} s behind {BODY_RATE_BYTES_PER_S} bytes per second; send \
             faster",
            BODY_GRACE_NS / 1_000_000_000;
    }
    ContentTooLarge {
        BodyTooLarge { bytes_max: usize } =
            "the body is larger than {bytes_max} bytes, the most that this path takes (for an \
             application, {INPUT_BATCH_MAX} inputs and their white space); send fewer inputs at \
             once";
    }
    UriTooLong {
        TargetTooLong { bytes: usize } =
            "the request target has {bytes} bytes, the limit is {TARGET_BYTES_MAX}; shorten it";
        RequestLineTooLong =
            "the request line is longer than {REQUEST_LINE_BYTES_MAX} bytes (the target may \
             have {TARGET_BYTES_MAX}); shorten it";
    }
    ExpectationFailed {
        ExpectationUnsupported =
            "the only expectation met here is `100-continue`; leave the Expect header field out";
    }
    HeaderFieldsTooLarge {
        HeadTooLarge =
            "the request head is larger than {HEAD_BYTES_MAX} bytes; send fewer or shorter \
             header fields";
        TooManyHeaders = "more than {HEADERS_MAX} header fields; send fewer";
        TrailersTooLarge =
            "the trailers are longer than {TRAILERS_BYTES_MAX} bytes; leave them out";
    }
    NotImplemented {
        EncodingUnsupported =
            "the only transfer encoding here is one `chunked`; send that, or Content-Length";
    }
    VersionNotSupported {
        Version { major: u8, minor: u8 } =
            "HTTP version {major}.{minor} is not spoken here; use HTTP/1.1 or HTTP/1.0";
    }
}
