//! Requests that must be understood, and how.

use super::*;
use crate::limits::DECODED_BODY_KEPT_BYTES;

/// The only request of a stream, which must be whole.
fn only_request(stream: impl AsRef<[u8]>) -> Outcome {
    let mut outcomes = outcomes_of([stream.as_ref()]);
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
    outcomes.remove(0)
}

/// Method, path and query of a request line.
fn target_of(line: &str) -> (Method, String, String) {
    match only_request(format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n")) {
        Outcome::Request { method, path, query, .. } => (method, path, query),
        other => panic!("{line}: {other:?}"),
    }
}

fn body_of(stream: impl AsRef<[u8]>) -> Vec<u8> {
    match only_request(stream) {
        Outcome::Request { body, .. } => body,
        other => panic!("{other:?}"),
    }
}

/// Whether the connection is kept after a request with these lines.
fn keeps(lines: &str) -> bool {
    match only_request(format!("{lines}\r\n\r\n")) {
        Outcome::Request { keep_alive, .. } => keep_alive,
        other => panic!("{lines}: {other:?}"),
    }
}

#[test]
fn targets_are_split_into_path_and_query() {
    use Method::{Get, Head, Options, Other, Post};
    for (line, method, path, query) in [
        ("GET /", Get, "/", ""),
        ("HEAD /metrics", Head, "/metrics", ""),
        ("POST /digits/predict?a=b?c", Post, "/digits/predict", "a=b?c"),
        ("GET /?", Get, "/", ""),
        ("GET //a/../%2e", Get, "//a/../%2e", ""),
        ("OPTIONS *", Options, "*", ""),
        ("OPTIONS /a", Options, "/a", ""),
        ("PATCH /a", Other, "/a", ""),
        ("get /a", Other, "/a", ""),
        ("!#$%&'*+-.^_`|~ /a", Other, "/a", ""),
        ("GET http://h/a?b", Get, "/a", "b"),
        ("GET HTTP://h:80/", Get, "/", ""),
        ("GET http://h", Get, "/", ""),
        ("GET https://[::1]:8080?b", Get, "/", "b"),
    ] {
        assert_eq!(target_of(line), (method, path.to_owned(), query.to_owned()), "{line}");
    }
}

#[test]
fn hosts_of_every_legal_form_are_taken() {
    for host in
        ["", "a", "a.b", "127.0.0.1:1337", "[::1]", "[::1]:80", "a:", "x_y~!$&'()*+,;=", "%41b"]
    {
        let outcome = only_request(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert!(matches!(outcome, Outcome::Request { .. }), "{host}");
    }
}

#[test]
fn connections_are_kept_as_their_version_and_their_tokens_say() {
    let (new, old) = ("GET / HTTP/1.1\r\nHost: a", "GET / HTTP/1.0");
    assert!(keeps(new));
    assert!(keeps(&format!("{new}\r\nConnection: keep-alive, x")));
    assert!(!keeps(&format!("{new}\r\nConnection: close")));
    assert!(!keeps(&format!("{new}\r\nConnection: x ,\tCLOSE")));
    assert!(!keeps(&format!("{new}\r\nConnection: ,, close ,")));
    assert!(keeps(&format!("{new}\r\nConnection: ,")));
    assert!(!keeps(&format!("{new}\r\nConnection: keep-alive\r\nConnection: close")));
    assert!(keeps(&format!("{new}\r\nConnection: closed")));
    assert!(!keeps(old));
    assert!(keeps(&format!("{old}\r\nConnection: Keep-Alive")));
    assert!(!keeps(&format!("{old}\r\nConnection: close, keep-alive")));
}

#[test]
fn header_fields_are_found_by_name_and_without_their_space() {
    let stream =
        "GET / HTTP/1.1\r\nhoSt:\ta\t \r\nEmpty:\r\nX-Y: 1: 2 \r\nX-y: 3\r\nL: \u{e9}\r\n\r\n";
    let mut reader = RequestReader::new();
    let Step::Request { head, .. } = reader.read(stream.as_bytes(), &BodiesTo(0)) else {
        panic!("a whole request was not read");
    };
    assert_eq!(head.header("HOST"), Some(&b"a"[..]));
    assert_eq!(head.header("empty"), Some(&b""[..]));
    assert_eq!(head.header("x-y"), Some(&b"1: 2"[..]));
    assert_eq!(head.header("l"), Some("\u{e9}".as_bytes()));
    assert_eq!(head.header("x"), None);
    assert_eq!(head.headers().count(), 5);
}

#[test]
fn bodies_are_framed_by_their_length_or_their_chunks() {
    let post = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    assert_eq!(body_of(post("")), b"");
    assert_eq!(body_of(post("Content-Length: 0\r\n")), b"");
    assert_eq!(body_of(post("Content-Length: 5\r\n") + "hello"), b"hello");
    assert_eq!(
        body_of(post("CONTENT-LENGTH:\t 0000000000000000000000005 \r\n") + "hello"),
        b"hello"
    );
    assert_eq!(body_of("POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi"), b"hi");
    let chunked = |body: &str| body_of(post("transfer-encoding: \tCHUNKED\t\r\n") + body);
    assert_eq!(chunked("0\r\n\r\n"), b"");
    for list in ["chunked,", ",chunked", ", chunked", " ,\t, chunked , ,"] {
        let stream = post(&format!("Transfer-Encoding: {list}\r\n")) + "2\r\nhi\r\n0\r\n\r\n";
        assert_eq!(body_of(stream), b"hi", "{list:?}");
    }
    assert_eq!(chunked("5\r\nhello\r\n6\r\n world\r\n000\r\n\r\n"), b"hello world");
    assert_eq!(chunked("00000000000000a\r\n0123456789\r\n0\r\n\r\n"), b"0123456789");
    assert_eq!(chunked("1;a;b=c;d=\"e;\\\\\\\"\"\r\nA\r\n0;z\r\nVary: *\r\nX:\r\n\r\n"), b"A");
    assert_eq!(chunked("1 ;a\t= \"b\" ; c\r\nA\r\n0 ;a\r\n\r\n"), b"A");
}

/// Whether a POST with these fields and this body says that the body is encoded.
fn is_encoded(fields: &str, body: &str) -> bool {
    match only_request(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")) {
        Outcome::Request { is_encoded, .. } => is_encoded,
        other => panic!("{fields}: {other:?}"),
    }
}

#[test]
fn a_body_with_a_content_coding_is_framed_and_said_to_be_encoded() {
    let coded = |value: &str| {
        is_encoded(&format!("Content-Encoding: {value}\r\nContent-Length: 2\r\n"), "\u{1f}x")
    };
    for value in ["gzip", "GZIP", "br, identity", ", deflate", "x"] {
        assert!(coded(value), "{value}");
    }
    for value in ["", "identity", "Identity", " , identity,"] {
        assert!(!coded(value), "{value}");
    }
    let gzip = "content-encoding: gzip\r\n";
    assert!(is_encoded(&format!("{gzip}Transfer-Encoding: chunked\r\n"), "1\r\nx\r\n0\r\n\r\n"));
    assert!(!is_encoded(gzip, ""));
    assert!(!is_encoded(&format!("{gzip}Content-Length: 0\r\n"), ""));
}

#[test]
fn an_encoded_body_does_not_spoil_the_request_behind_it() {
    let stream = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\n\
                  Content-Length: 3\r\n\r\n\0\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n";
    let outcomes = outcomes_of([stream.as_bytes()]);
    assert!(
        matches!(
            &outcomes[..],
            [
                Outcome::Request { is_encoded: true, .. },
                Outcome::Request { is_encoded: false, path, .. },
                Outcome::Waiting(Phase::Idle)
            ] if path == "/b"
        ),
        "{outcomes:?}"
    );
}

#[test]
fn names_that_only_look_like_framing_are_not_framing() {
    let fields = "Content_Length: 5\r\nX-Content-Length: 6\r\nTransfer_Encoding: chunked\r\n";
    assert_eq!(body_of(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")), b"");
}

#[test]
fn pipelined_requests_come_out_in_order_and_nothing_after_a_close() {
    let request = |path: &str, fields: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n{fields}\r\nx")
    };
    let close = request("/c", "Connection: close\r\n");
    let stream = [request("/a", ""), request("/b", ""), close, request("/d", "")].concat();
    let paths: Vec<String> = outcomes_of([stream.as_bytes()])
        .into_iter()
        .filter_map(|outcome| match outcome {
            Outcome::Request { path, .. } => Some(path),
            _ => None,
        })
        .collect();
    assert_eq!(paths, ["/a", "/b", "/c"]);
}

#[test]
fn two_empty_lines_are_forgiven_before_each_request() {
    let stream = "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3);
    let outcomes = outcomes_of([stream.as_bytes()]);
    assert_eq!(outcomes.len(), 4, "{outcomes:?}");
    assert_eq!(outcomes[3], Outcome::Waiting(Phase::Idle));
}

/// How often a reader asks for `100 Continue` while it reads these pieces.
fn continues(pieces: &[&str]) -> usize {
    let mut reader = RequestReader::new();
    let mut kept = String::new();
    let mut asked = 0;
    for piece in pieces {
        kept.push_str(piece);
        loop {
            match reader.read(kept.as_bytes(), &BodiesTo(10)) {
                Step::Continue100 { consumed } => {
                    asked += 1;
                    kept.drain(..consumed);
                }
                Step::NeedMore { consumed, .. } => {
                    kept.drain(..consumed);
                    break;
                }
                Step::Request { .. } | Step::Bad(_) => break,
            }
        }
    }
    asked
}

#[test]
fn consent_to_a_body_is_given_once_and_only_to_who_waits_for_it() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n";
    assert_eq!(continues(&[head]), 1);
    assert_eq!(continues(&["\r\n", &head[..9], &head[9..], "h"]), 1);
    assert_eq!(continues(&[&format!("{head}h")]), 0);
    assert_eq!(continues(&[&head.replace("100-Continue", ", 100-continue ,")]), 1);
    assert_eq!(continues(&[&head.replace("100-Continue", ",")]), 0);
    assert_eq!(continues(&[&head.replace("Length: 2", "Length: 0")]), 0);
    assert_eq!(continues(&[&head.replace("Length: 2", "Length: 11")]), 0);
    assert_eq!(continues(&[&head.replace("1.1", "1.0")]), 0);
    let chunked = head.replace("Content-Length: 2", "Transfer-Encoding: chunked");
    assert_eq!(continues(&[&chunked, "1\r\n"]), 1);
}

/// A chunked request with a body of so many bytes, in one chunk.
fn chunked_request(bytes: usize) -> Vec<u8> {
    let mut stream = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    stream.extend_from_slice(&streams::encode(&vec![b'x'; bytes], bytes, "", ""));
    stream
}

const LARGE: usize = DECODED_BODY_KEPT_BYTES + 1;

#[test]
fn a_large_decoded_body_is_given_back_as_soon_as_its_request_is_finished() {
    let mut reader = RequestReader::new();
    let stream = chunked_request(LARGE);
    let first = reader.read(&stream, &BodiesTo(LARGE));
    assert!(matches!(first, Step::Request { body, .. } if body.len() == LARGE));
    assert!(reader.decoded_bytes() > LARGE);
    reader.finish_request();
    assert!(reader.decoded_bytes() < DECODED_BODY_KEPT_BYTES);
    // A reader that is not told finds out when it is asked for more, whatever comes next.
    for fields in ["", "Connection: close\r\n"] {
        let stream = String::from_utf8(stream.clone()).unwrap();
        let stream = stream.replace("Host: a\r\n", &format!("Host: a\r\n{fields}"));
        let mut reader = RequestReader::new();
        reader.read(stream.as_bytes(), &BodiesTo(LARGE));
        reader.read(b"", &BodiesTo(0));
        assert!(reader.decoded_bytes() < DECODED_BODY_KEPT_BYTES, "{fields:?}");
    }
}

#[test]
fn a_small_decoded_body_leaves_its_memory_to_the_next() {
    let mut reader = RequestReader::new();
    reader.read(&chunked_request(1000), &BodiesTo(LARGE));
    let held = reader.decoded_bytes();
    reader.finish_request();
    reader.read(&chunked_request(1000), &BodiesTo(LARGE));
    assert_eq!(reader.decoded_bytes(), held);
    reader.release();
    assert_eq!(reader.decoded_bytes(), 0);
}

#[test]
fn a_body_that_is_being_decoded_is_kept_until_it_is_released() {
    let mut reader = RequestReader::new();
    let stream = chunked_request(LARGE);
    let (first, second) = stream.split_at(LARGE);
    reader.read(first, &BodiesTo(LARGE));
    reader.finish_request();
    let whole = reader.read(second, &BodiesTo(LARGE));
    assert!(matches!(whole, Step::Request { body, .. } if body.len() == LARGE));

    let mut reader = RequestReader::new();
    reader.read(first, &BodiesTo(LARGE));
    reader.release();
    assert_eq!(reader.decoded_bytes(), 0);
    // What is left of it is no request, and must not become one.
    let after = reader.read(second, &BodiesTo(LARGE));
    assert!(matches!(after, Step::NeedMore { consumed, .. } if consumed == second.len()));
}

#[test]
fn an_error_in_a_chunked_body_gives_its_memory_back() {
    let mut reader = RequestReader::new();
    let mut stream = chunked_request(LARGE);
    let end = stream.len() - "\r\n0\r\n\r\n".len();
    stream[end] = b'!';
    assert!(matches!(reader.read(&stream, &BodiesTo(LARGE)), Step::Bad(_)));
    assert_eq!(reader.decoded_bytes(), 0);
}

#[test]
fn a_decoded_body_takes_at_most_twice_its_bytes_and_never_more_than_its_limit() {
    let bytes_max = 100_000;
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut reader = RequestReader::new();
    reader.read(head, &BodiesTo(bytes_max));
    let head_bytes = reader.decoded_bytes();
    for body_bytes in (1000..=bytes_max).step_by(1000) {
        let chunk = streams::encode(&[b'x'; 1000], 1000, "", "");
        reader.read(&chunk[..chunk.len() - "0\r\n\r\n".len()], &BodiesTo(0));
        let held = reader.decoded_bytes() - head_bytes;
        assert!((body_bytes..=(2 * body_bytes).min(bytes_max)).contains(&held), "{held}");
    }
}
