//! Requests that must be understood, and how.

use super::*;

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
    let Step::Request { head, .. } = reader.read(stream.as_bytes(), |_, _| 0) else {
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
    assert_eq!(chunked("5\r\nhello\r\n6\r\n world\r\n000\r\n\r\n"), b"hello world");
    assert_eq!(chunked("00000000000000a\r\n0123456789\r\n0\r\n\r\n"), b"0123456789");
    assert_eq!(chunked("1;a;b=c;d=\"e;\\\\\\\"\"\r\nA\r\n0;z\r\nVary: *\r\nX:\r\n\r\n"), b"A");
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
        while let Step::Continue100 { consumed } = reader.read(kept.as_bytes(), |_, _| 10) {
            asked += 1;
            kept.drain(..consumed);
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
    assert_eq!(continues(&[&head.replace("Length: 2", "Length: 0")]), 0);
    assert_eq!(continues(&[&head.replace("Length: 2", "Length: 11")]), 0);
    assert_eq!(continues(&[&head.replace("1.1", "1.0")]), 0);
    let chunked = head.replace("Content-Length: 2", "Transfer-Encoding: chunked");
    assert_eq!(continues(&[&chunked, "1\r\n"]), 1);
}

#[test]
fn a_large_decoded_body_is_given_back_before_the_next_head() {
    let large = crate::limits::DECODED_BODY_KEPT_BYTES + 1;
    let mut stream = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    stream.extend_from_slice(&streams::encode(&vec![b'x'; large], large, "", ""));
    let mut reader = RequestReader::new();
    let first = reader.read(&stream, |_, _| large);
    assert!(matches!(first, Step::Request { body, .. } if body.len() == large));
    assert!(reader.decoded_bytes() > large);
    reader.read(b"", |_, _| 0);
    assert!(reader.decoded_bytes() < large);
}
