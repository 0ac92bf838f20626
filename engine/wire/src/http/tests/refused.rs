//! Every limit and every bad input, each with its status and a part of its text.

use super::streams::TABLE;
use super::*;
use crate::limits::{
    CHUNK_EXTENSION_BYTES_MAX, CHUNK_EXTENSIONS_BYTES_MAX, HEAD_BYTES_MAX, HEADERS_MAX,
    REQUEST_LINE_BYTES_MAX, TARGET_BYTES_MAX, TRAILERS_BYTES_MAX,
};

/// Each stream must come to nothing but this error, and stay there.
fn assert_refused(stream: impl AsRef<[u8]>, status: u16, fragment: &str) {
    let stream = stream.as_ref();
    let shown = String::from_utf8_lossy(&stream[..stream.len().min(200)]);
    let outcomes = outcomes_of([stream]);
    let [Outcome::Bad(error)] = &outcomes[..] else {
        panic!("{shown:?} should be refused and came to {outcomes:?}");
    };
    assert_eq!(error.status().code(), status, "{shown:?}: {error}");
    assert!(error.to_string().contains(fragment), "{shown:?}: {error}");
}

fn assert_all_refused(cases: &[(&str, u16, &str)]) {
    for (stream, status, fragment) in cases {
        assert_refused(stream, *status, fragment);
    }
}

/// A POST with these header lines, complete but for a body.
fn post(fields: &str) -> String {
    format!("POST /p HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

/// A chunked POST with these bytes for a body.
fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked\r\n") + body
}

#[test]
fn a_bad_request_line_is_refused() {
    assert_all_refused(&[
        ("\x16\x03\x01\x02\0\x01\0", 400, "0x16 would be TLS"),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "byte 0x20"),
        ("\tGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "byte 0x09"),
        ("\0", 400, "byte 0x00"),
        ("{\"input\":[1]}", 400, "byte 0x7b"),
        ("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "more than 2 empty lines"),
        ("GET /\r\n\r\n", 400, "request line"),
        ("GET / \r\n\r\n", 400, "request line"),
        ("GET\r\n\r\n", 400, "request line"),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "single spaces"),
        ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400, "single spaces"),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, "request line"),
        ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request line"),
        ("GET / a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request line"),
        ("Extra lineGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request target"),
        ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request line"),
        ("SSH-2.0-x\r\n", 400, "request line"),
        ("EHLO there\r\n", 400, "request target"),
        ("GET /\rx HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request line"),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", 400, "request line"),
        ("GET / HTTPS/1.1\r\nHost: a\r\n\r\n", 400, "request line"),
        ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400, "request line"),
        ("GET / HTTP/11\r\nHost: a\r\n\r\n", 400, "request line"),
        ("GET / HTTP/+1.1\r\nHost: a\r\n\r\n", 400, "request line"),
        ("GET / ICE/1.0\r\nHost: a\r\n\r\n", 400, "request line"),
    ]);
}

#[test]
fn a_version_that_is_not_spoken_is_named() {
    assert_all_refused(&[
        ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505, "version 0.9"),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505, "version 1.2"),
        ("GET / HTTP/9.9\r\nHost: a\r\n\r\n", 505, "use HTTP/1.1"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "version 2.0"),
    ]);
}

#[test]
fn a_bad_target_is_refused() {
    for target in [
        "p",
        "*",
        "a:80",
        "/a#b",
        "http:/a",
        "http://",
        "http:///p",
        "http://u@a/p",
        "ftp://a/p",
        "http://a:b/",
        "http://[::1/p",
        "http://a b/",
        "/caf\u{e9}",
        "/\u{7f}",
        "http://:80/",
    ] {
        let stream = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_refused(stream, 400, "request");
    }
    assert_refused(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400, "percent-encode");
    assert_refused("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 400, "target");
}

#[test]
fn a_target_and_a_request_line_have_their_limits() {
    let get = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(bytes - 1));
    assert_refused(get(TARGET_BYTES_MAX + 1), 414, "has 4097 bytes, the limit is 4096");
    assert_refused(get(REQUEST_LINE_BYTES_MAX), 414, "4096");
    assert_refused("G".repeat(REQUEST_LINE_BYTES_MAX), 414, "request line is longer than 4160");
    assert!(matches!(
        &outcomes_of([get(TARGET_BYTES_MAX).as_bytes()])[..],
        [Outcome::Request { path, .. }, Outcome::Waiting(_)] if path.len() == TARGET_BYTES_MAX
    ));
}

#[test]
fn line_ends_other_than_cr_lf_are_refused() {
    assert_all_refused(&[
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "line feed without"),
        ("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "carriage return without"),
        ("GET / HTTP/1.1\nHost: a\n\n", 400, "line feed without a carriage return at byte 14"),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", 400, "line feed"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", 400, "line feed"),
        ("GET / HTTP/1.1\rHost: a\r\n\r\n", 400, "carriage return without"),
        ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400, "carriage return"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\rX: b\r\n\r\n", 400, "carriage return"),
        ("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400, "carriage return"),
        ("GET / HTTP/1.1\r\nx:\nTransfer-Encoding: chunked\r\n\r\n", 400, "line feed"),
    ]);
}

#[test]
fn control_bytes_are_refused_where_they_stand() {
    assert_all_refused(&[
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 400, "byte 0x00 in the head at byte 28"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: te\x07", 400, "0x07"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \x0b\r\n\r\n", 400, "0x0b"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[0m\r\n\r\n", 400, "0x1b"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: b\x7f\r\n\r\n", 400, "header line 2 has a byte"),
        ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "0x00"),
    ]);
}

#[test]
fn a_bad_header_line_is_refused() {
    assert_all_refused(&[
        (&post("X : b\r\n"), 400, "header line 2 has white space before its colon"),
        (&post("Content-Length\t: 1\r\n"), 400, "white space before its colon"),
        (&post("X: b\r\n c\r\n"), 400, "header line 3 begins with white space"),
        (&post("X: b\r\n\tc\r\n"), 400, "begins with white space"),
        (&post("X: b\r\n \r\n"), 400, "begins with white space"),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "header line 1 begins with white space"),
        (&post("X\r\n"), 400, "header line 2 is not `name: value`"),
        (&post(": b\r\n"), 400, "is not `name: value`"),
        (&post("X[]: b\r\n"), 400, "is not `name: value`"),
        (&post("X@Y: b\r\n"), 400, "is not `name: value`"),
        (&post("X\u{e9}: b\r\n"), 400, "is not `name: value`"),
    ]);
}

#[test]
fn a_head_has_its_limits() {
    let field = "X: y\r\n";
    assert_refused(post(&field.repeat(HEADERS_MAX)), 431, "more than 64 header fields");
    let long = format!("X: {}\r\n", "y".repeat(HEAD_BYTES_MAX));
    assert_refused(post(&long), 431, "larger than 16384 bytes");
    // Said as soon as the limit is reached, not when the head ends.
    assert_refused(&post(&long)[..HEAD_BYTES_MAX], 431, "larger than 16384 bytes");
    assert!(matches!(
        &outcomes_of([post(&field.repeat(HEADERS_MAX - 1)).as_bytes()])[..],
        [Outcome::Request { headers, .. }, Outcome::Waiting(_)] if headers.len() == HEADERS_MAX
    ));
}

#[test]
fn host_must_be_there_once_and_make_sense() {
    assert_all_refused(&[
        ("GET / HTTP/1.1\r\n\r\n", 400, "needs a Host"),
        ("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 400, "needs a Host"),
        ("GET http://a/ HTTP/1.1\r\n\r\n", 400, "needs a Host"),
        (&post("Host: a\r\n"), 400, "several Host"),
        (&post("host: b\r\n"), 400, "several Host"),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400, "several Host"),
    ]);
    for host in [
        "a b", "a,b:1:2", "a/b", "u@a", "a:b", "a:123456", ":80", "[::1", "[]", "[g]", "[::1]x",
        "a?", "a%2", "a%zz", "<a>", "a\"", "\u{e9}", "a#", "a\\b",
    ] {
        let stream = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_refused(stream, 400, "Host header field is not");
    }
}

#[test]
fn a_content_length_is_one_plain_number() {
    for length in [
        "",
        "+5",
        "-5",
        "-123456789123456789123456789",
        "5 5",
        "5,5",
        "5, 5",
        "0x5",
        "5a",
        "abc",
        "5.0",
        "1e3",
        "\u{662}",
        "18446744073709551616",
        "99999999999999999999999",
        "1_000",
        "5;",
    ] {
        let stream = post(&format!("Content-Length: {length}\r\n"));
        assert_refused(stream, 400, "Content-Length is not a plain decimal number");
    }
    assert_all_refused(&[
        (&post("Content-Length: 5\r\nContent-Length: 6\r\n"), 400, "several Content-Length"),
        (&post("Content-Length: 5\r\ncontent-length: 5\r\n"), 400, "several Content-Length"),
    ]);
}

#[test]
fn a_body_has_one_framing() {
    let http_1_0 = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n";
    assert_all_refused(&[
        (&post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400, "one length"),
        (&post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400, "one length"),
        (&post("Transfer-Encoding: identity\r\nContent-Length: 5\r\n"), 400, "one length"),
        (&post("Transfer-Encoding:\r\nContent-Length: 5\r\n"), 400, "one length"),
        (&format!("{http_1_0}\r\n"), 400, "HTTP/1.0"),
        (&format!("{http_1_0}Content-Length: 5\r\n\r\n"), 400, "HTTP/1.0"),
        (&post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 501, "chunked"),
        (&post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"), 501, "chunked"),
    ]);
    for encoding in [
        "",
        ", ,",
        "identity",
        "gzip",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "chunked,,chunked",
        ", identity",
        "xchunked",
        "chunkedx",
        "chunked;q=1",
        "\"chunked\"",
        "chunk\u{e9}d",
        "x chunked",
    ] {
        let stream = post(&format!("Transfer-Encoding: {encoding}\r\n"));
        assert_refused(stream, 501, "transfer encoding");
    }
}

#[test]
fn an_expectation_that_is_not_met_is_said_so() {
    for expectation in ["200-ok", "100-continue, x", "100"] {
        let stream = post(&format!("Expect: {expectation}\r\nContent-Length: 1\r\n"));
        assert_refused(stream, 417, "leave the Expect header field out");
    }
}

#[test]
fn a_body_beyond_the_limit_is_refused_before_it_is_sent() {
    let expecting = "Content-Length: 1001\r\nExpect: 100-continue\r\n";
    let full_chunk = format!("3e8\r\n{}\r\n", "x".repeat(BODY_BYTES_MAX));
    assert_all_refused(&[
        (&post("Content-Length: 1001\r\n"), 413, "larger than 1000 bytes"),
        (&post("Content-Length: 18446744073709551615\r\n"), 413, "larger than 1000 bytes"),
        (&post(expecting), 413, "larger than 1000 bytes"),
        (&chunked("3e9\r\n"), 413, "larger than 1000 bytes"),
        (&chunked("ffffffffffffffff\r"), 413, "larger than 1000 bytes"),
        (&chunked(&format!("{full_chunk}1\r\n")), 413, "larger than 1000 bytes"),
    ]);
}

#[test]
fn bad_chunking_is_refused() {
    for size in
        ["", "\r\n", "+5", "-5", "0x5", "5_0", " 5", "\t5", "g", "5,", "5=", "\u{665}", ";a"]
    {
        assert_refused(chunked(&format!("{size}\r\nhello\r\n0\r\n\r\n")), 400, "chunk size");
    }
    assert_all_refused(&[
        (&chunked("00000000000000005\r\n"), 400, "more than 16 digits"),
        (&chunked("5\nhello\r\n0\r\n\r\n"), 400, "byte 0x0a"),
        (&chunked("5\r\rhello\r\n0\r\n\r\n"), 400, "does not end in CR LF"),
        (&chunked("5\rhello\r\n0\r\n\r\n"), 400, "does not end in CR LF"),
        (&chunked("5\r\nhello\n0\r\n\r\n"), 400, "found byte 0x0a"),
        (&chunked("5\r\nhello0\r\n\r\n"), 400, "does not end in CR LF"),
        (&chunked("4\r\nhello\r\n0\r\n\r\n"), 400, "found byte 0x6f"),
        (&chunked("6\r\nhello\r\n0\r\n\r\n"), 400, "found byte 0x0a"),
        (&chunked("5\r\nhello\rx0\r\n\r\n"), 400, "found byte 0x78"),
        (&chunked("5 \r\n"), 400, "extension has byte 0x0d"),
        (&chunked("5\t\r\n"), 400, "extension has byte 0x0d"),
        (&chunked("5 a\r\n"), 400, "extension has byte 0x61"),
        (&chunked("5;\r\n"), 400, "extension has byte 0x0d"),
        (&chunked("5;a=\r\n"), 400, "extension has byte 0x0d"),
        (&chunked("5;a=b c\r\n"), 400, "extension has byte 0x63"),
        (&chunked("5;a=\"b\"c\r\n"), 400, "extension has byte 0x63"),
        (&chunked("0;\r\n\r\n"), 400, "extension has byte 0x0d"),
        (&chunked("5;a\nhello"), 400, "extension has byte 0x0a"),
        (&chunked("5;a=\"\r\n"), 400, "extension has byte 0x0d"),
        (&chunked("5;a=\"\\\"\r\n"), 400, "extension has byte 0x0d"),
        (&chunked("5;a\0"), 400, "extension has byte 0x00"),
        (&chunked("0\r\n\n"), 400, "trailer"),
        (&chunked("0\r\n\rx"), 400, "trailer"),
        (&chunked("0\r\nX : y\r\n\r\n"), 400, "found byte 0x20"),
        (&chunked("0\r\n X: y\r\n\r\n"), 400, "found byte 0x20"),
        (&chunked("0\r\nX: y\r\n z\r\n\r\n"), 400, "found byte 0x20"),
        (&chunked("0\r\nX: y\n\r\n"), 400, "found byte 0x0a"),
        (&chunked("0\r\nX\r\n\r\n"), 400, "found byte 0x0d"),
        (&chunked("0\r\n: y\r\n\r\n"), 400, "found byte 0x3a"),
        (&chunked("0\r\nX: \x7f\r\n\r\n"), 400, "found byte 0x7f"),
    ]);
}

#[test]
fn padding_around_chunks_has_its_limits() {
    let extension = |bytes: usize| format!(";{}", "x".repeat(bytes - 1));
    let one = |bytes: usize| chunked(&format!("1{}\r\nx\r\n", extension(bytes)));
    assert_refused(one(CHUNK_EXTENSION_BYTES_MAX + 1), 400, "256 bytes in a chunk");
    let padded = format!("1{}\r\nx\r\n", extension(CHUNK_EXTENSION_BYTES_MAX));
    let chunks = CHUNK_EXTENSIONS_BYTES_MAX / CHUNK_EXTENSION_BYTES_MAX;
    assert_refused(chunked(&padded.repeat(chunks + 1)), 400, "16384 in a body");
    assert_eq!(
        outcomes_of([chunked(&padded.repeat(chunks)).as_bytes()]),
        [Outcome::Waiting(Phase::Body)]
    );

    let trailers = |bytes: usize| chunked(&format!("0\r\nX:{}\r\n\r\n", "y".repeat(bytes - 6)));
    assert_refused(trailers(TRAILERS_BYTES_MAX + 1), 431, "trailers are longer than 4096 bytes");
    let whole = trailers(TRAILERS_BYTES_MAX);
    assert!(matches!(&outcomes_of([whole.as_bytes()])[..], [Outcome::Request { .. }, _]));
}

#[test]
fn after_an_error_nothing_more_is_read() {
    let good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let errors: Vec<(&str, HttpError)> = TABLE
        .iter()
        .filter_map(|stream| match outcomes_of([stream.as_bytes()]).pop() {
            Some(Outcome::Bad(error)) => Some((*stream, error)),
            _ => None,
        })
        .collect();
    assert!(errors.len() > 10, "most table streams are bad ones");
    for (stream, error) in errors {
        let mut reader = RequestReader::new();
        let mut rest = stream.as_bytes();
        while let Step::NeedMore { consumed, .. }
        | Step::Continue100 { consumed }
        | Step::Request { consumed, .. } = reader.read(rest, &BodiesTo(BODY_BYTES_MAX))
        {
            rest = &rest[consumed..];
        }
        let again = reader.read(good.as_bytes(), &BodiesTo(BODY_BYTES_MAX));
        assert!(matches!(again, Step::Bad(same) if same == error), "{stream:?}: {again:?}");
    }
}
