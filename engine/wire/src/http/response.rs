//! Writes answers: status line, header fields and body in one buffer, for one send.
//!
//! Owner: the engine thread.
//!
//! A body is rendered straight behind its head, so nobody knows its length when the head is
//! written. The length field is therefore ten bytes wide and filled in at the end, its digits to
//! the right and spaces before them: the optional white space before a field's value is any number
//! of spaces (RFC 9112 section 5), and every parser must skip it. Leading zeros would be legal too,
//! but a reader that guesses the base of a number (C's `strtol` with base 0) takes them for octal.

use super::date::DATE_BYTES;
use super::error::HttpError;
use super::head::Head;
use super::status::Status;

/// What the bytes of a body are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    Json,
    Text,
}

impl ContentType {
    const fn line(self) -> &'static str {
        match self {
            Self::Json => "Content-Type: application/json\r\n",
            Self::Text => "Content-Type: text/plain; charset=utf-8\r\n",
        }
    }
}

/// What becomes of the connection after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// It stays, as is usual in HTTP/1.1: nothing is said.
    Keep,
    /// It stays, and the client must be told, since in HTTP/1.0 that is unusual.
    KeepSaid,
    Close,
}

impl Connection {
    /// What the request asked for.
    pub const fn after(head: &Head<'_>) -> Connection {
        match (head.keep_alive, head.http_1_0) {
            (true, false) => Self::Keep,
            (true, true) => Self::KeepSaid,
            (false, _) => Self::Close,
        }
    }

    const fn line(self) -> &'static str {
        match self {
            Self::Keep => "",
            Self::KeepSaid => "Connection: keep-alive\r\n",
            Self::Close => "Connection: close\r\n",
        }
    }
}

/// Everything about an answer but its body.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    pub status: Status,
    pub content_type: ContentType,
    /// From [`http_date`](super::http_date); the caller keeps it and renews it every second.
    pub date: &'a [u8; DATE_BYTES],
    pub connection: Connection,
    /// The methods that the target has, as `GET, HEAD`: with a 405, or the answer to OPTIONS.
    pub allow: Option<&'a str>,
    /// The content codings that a body may have: with a 415.
    pub accept_encoding: Option<&'a str>,
    /// The request was HEAD: say how long the body is and leave it out.
    pub omit_body: bool,
}

impl<'a> ResponseHead<'a> {
    /// An answer in JSON with nothing unusual about it.
    pub const fn json(
        status: Status,
        date: &'a [u8; DATE_BYTES],
        connection: Connection,
    ) -> ResponseHead<'a> {
        ResponseHead {
            status,
            content_type: ContentType::Json,
            date,
            connection,
            allow: None,
            accept_encoding: None,
            omit_body: false,
        }
    }
}

const LENGTH_NAME: &[u8] = b"Content-Length: ";
const LENGTH_DIGITS: usize = 10;
const LENGTH_BLANK: &[u8] = b"         0\r\n\r\n";

const _: () = assert!(LENGTH_BLANK.len() == LENGTH_DIGITS + 4);

/// An answer being written at the end of a buffer, possibly behind others.
///
/// Append the body through [`body`](Self::body). Dropping the writer completes the answer, so that
/// no path can send a length that is not the body's. Of a status without content no body is sent,
/// whatever was appended.
#[derive(Debug)]
pub struct ResponseWriter<'a> {
    out: &'a mut Vec<u8>,
    body_start: usize,
    has_length: bool,
    omit_body: bool,
}

/// Appends the head of an answer whose body has so many bytes, and is appended behind it.
pub fn write_head(out: &mut Vec<u8>, head: &ResponseHead<'_>, body_bytes: usize) {
    let writer = ResponseWriter::begin(out, head);
    writer.end_with(body_bytes);
}

impl<'a> ResponseWriter<'a> {
    pub fn begin(out: &'a mut Vec<u8>, head: &ResponseHead<'_>) -> ResponseWriter<'a> {
        out.extend_from_slice(head.status.line().as_bytes());
        out.extend_from_slice(b"Date: ");
        out.extend_from_slice(head.date);
        out.extend_from_slice(b"\r\n");
        let has_content = head.status.has_content();
        if has_content {
            out.extend_from_slice(head.content_type.line().as_bytes());
        }
        out.extend_from_slice(head.connection.line().as_bytes());
        if let Some(methods) = head.allow {
            write_field(out, b"Allow: ", methods);
        }
        if let Some(codings) = head.accept_encoding {
            write_field(out, b"Accept-Encoding: ", codings);
        }
        if has_content {
            out.extend_from_slice(LENGTH_NAME);
            out.extend_from_slice(LENGTH_BLANK);
        } else {
            out.extend_from_slice(b"\r\n");
        }
        let body_start = out.len();
        let omit_body = head.omit_body || !has_content;
        ResponseWriter { out, body_start, has_length: has_content, omit_body }
    }

    /// The buffer to append the body to. What is there already must stay.
    pub fn body(&mut self) -> &mut Vec<u8> {
        self.out
    }

    /// Completes the answer. The same as dropping the writer, but it reads better.
    pub fn finish(self) {}

    /// Leaves the body to the caller, who knows its length.
    fn end_with(self, body_bytes: usize) {
        let mut writer = std::mem::ManuallyDrop::new(self);
        writer.fill_length(body_bytes);
    }

    fn fill_length(&mut self, body_bytes: usize) {
        let mut left = body_bytes;
        let field_end = self.body_start - b"\r\n\r\n".len();
        let field = &mut self.out[field_end - LENGTH_DIGITS..field_end];
        for place in field.iter_mut().rev() {
            *place = b'0' + u8::try_from(left % 10).expect("a digit");
            left /= 10;
            if left == 0 {
                break;
            }
        }
        assert!(left == 0, "a body of more than ten digits of bytes");
    }
}

impl Drop for ResponseWriter<'_> {
    fn drop(&mut self) {
        assert!(self.out.len() >= self.body_start, "a body writer took bytes that are not its own");
        if self.has_length {
            self.fill_length(self.out.len() - self.body_start);
        }
        if self.omit_body {
            self.out.truncate(self.body_start);
        }
    }
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &str) {
    out.extend_from_slice(name);
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The whole answer to a request that could not be read. The connection closes behind it.
pub fn write_http_error(out: &mut Vec<u8>, error: &HttpError, date: &[u8; DATE_BYTES]) {
    use std::io::Write;
    let head = ResponseHead::json(error.status(), date, Connection::Close);
    let mut writer = ResponseWriter::begin(out, &head);
    // The texts are ours and hold neither quotes nor backslashes (a test looks at each of them).
    write!(writer.body(), r#"{{"error":"HTTP error","cause":"{error}"}}"#)
        .expect("writing to a Vec cannot fail");
    writer.finish();
}
