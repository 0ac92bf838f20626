use proptest::prelude::*;

use super::super::ReplyError;
use super::{Framer, Told, frame, frame_into};
use crate::limits::{REPLY_BYTES_MAX, REPLY_HEAD_BYTES_MAX, REPLY_HEADERS_MAX};

fn head(fields: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n").into_bytes()
}

fn error_of(bytes: &[u8]) -> ReplyError {
    frame(false, &[bytes]).1.expect("it should be refused")
}

/// What came, and what it is.
fn good() -> Vec<(&'static str, &'static [u8], Vec<Told>)> {
    let ok = |body: &[u8]| Told::new(200, true, body);
    let last = |status, body: &[u8]| Told::new(status, false, body);
    vec![
        ("nothing", b"", vec![]),
        ("by length", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", vec![ok(b"hi")]),
        (
            "two alike, the second known",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\n\
              Content-Length: 1\r\n\r\nb",
            vec![ok(b"a"), ok(b"b")],
        ),
        (
            "a padded length, a name in capitals, no reason",
            b"HTTP/1.1 200\r\nCONTENT-LENGTH:   3  \r\n\r\nabc",
            vec![ok(b"abc")],
        ),
        (
            "chunks, an extension, a trailer, then an empty one",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n\
              00b \r\n, two world\r\n0\r\nA: b\r\nC: d\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
            vec![ok(b"hello, two world"), Told::new(204, true, b"")],
        ),
        (
            "100 and 103 first, and an error then",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
              HTTP/1.1 503 Busy\r\nContent-Length: 1\r\nConnection: x, Close\r\n\r\n!",
            vec![last(503, b"!")],
        ),
        (
            "304 has no body, whatever its length",
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n\
              HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            vec![Told::new(304, true, b""), ok(b"")],
        ),
        ("until close", b"HTTP/1.1 200 OK\r\n\r\nto the end", vec![last(200, b"to the end")]),
        ("an old server", b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", vec![last(200, b"x")]),
        (
            "an old server that goes on",
            b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx",
            vec![ok(b"x")],
        ),
        (
            "binary tensors",
            b"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: 2\r\n\
              Content-Length: 3\r\n\r\n{}\0",
            vec![Told { inference_header_length: Some(2), ..ok(b"{}\0") }],
        ),
    ]
}

#[test]
fn answers_are_the_same_however_they_were_split() {
    for (name, bytes, expected) in good() {
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                let (told, error) = frame(false, &pieces);
                assert_eq!((told, error), (expected.clone(), None), "{name}: {first}, {second}");
            }
        }
        let each: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(frame(false, &each), (expected, None), "{name}, byte by byte");
    }
}

#[test]
fn answers_to_head_requests_have_no_body() {
    let bytes = [head("Content-Length: 70\r\n"), head("Transfer-Encoding: chunked\r\n")].concat();
    let expected = vec![Told::new(200, true, b""); 2];
    assert_eq!(frame(true, &[&bytes]), (expected, None));
}

#[test]
fn a_whole_answer_in_one_slice_is_not_copied() {
    let bytes = [head("Content-Length: 2\r\n"), b"hi".to_vec()].concat();
    let mut framer = Framer::new(false);
    let mut rest = &*bytes;
    let reply = framer.next(&mut rest).unwrap().unwrap();
    assert_eq!(reply.body.as_ptr(), bytes[bytes.len() - 2..].as_ptr());
}

#[test]
fn a_framer_begins_anew_when_it_is_reset() {
    let whole = [head("Content-Length: 2\r\n"), b"hi".to_vec()].concat();
    for cut in 0..whole.len() {
        let mut framer = Framer::new(false);
        assert_eq!(framer.next(&mut &whole[..cut]), Ok(None));
        framer.reset();
        assert!(framer.is_empty());
        let mut told = Vec::new();
        frame_into(&mut framer, &[&whole], &mut told).unwrap();
        assert_eq!(told, [Told::new(200, true, b"hi")]);
    }
}

#[test]
fn a_connection_closed_in_the_middle_of_an_answer_cuts_it() {
    let length = [head("Content-Length: 2\r\n"), b"h".to_vec()].concat();
    let chunks = [head("Transfer-Encoding: chunked\r\n"), b"1\r\na\r\n0\r\n".to_vec()].concat();
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
    for bytes in [&length[..], &chunks, interim, b"H", &length[..20]] {
        assert_eq!(error_of(bytes), ReplyError::Cut, "{}", bytes.escape_ascii());
    }
}

#[test]
fn what_is_no_answer_is_refused_with_what_was_found() {
    let cases: &[(&[u8], &str)] = &[
        (
            b"SSH-2.0-x\r\n",
            "the server does not speak HTTP/1: its answer begins with \"SSH-2.0-x\\r\\n\"; check \
             the port",
        ),
        (b"HTTP/1.2 200 OK\r\n\r\n", "the head of an answer is malformed: invalid HTTP version"),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", "the head of an answer is malformed: invalid response status"),
        (
            b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n",
            "the head of an answer is malformed: invalid header name",
        ),
        (
            b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            "the head of an answer is malformed: invalid header name",
        ),
        (
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "the server switched to another protocol, which nobody asked for (status 101)",
        ),
    ];
    for (bytes, expected) in cases {
        assert_eq!(error_of(bytes).to_string(), *expected);
    }
}

#[test]
fn an_answer_whose_end_is_not_certain_is_refused() {
    let error = |fields: &str| error_of(&head(fields));
    for found in ["", "-1", "+1", "1,1", "0x1", "1 1", "99999999999999999999"] {
        let expected = ReplyError::Length { field: "Content-Length", found: found.to_owned() };
        assert_eq!(error(&format!("Content-Length: {found}\r\n")), expected);
    }
    let twice = "Content-Length: 1\r\ncontent-length: 1\r\n";
    assert_eq!(error(twice), ReplyError::Twice { field: "Content-Length" });
    let both = "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(error(both), ReplyError::BothLengths);
    let twice = "Transfer-Encoding: chunked\r\n".repeat(2);
    assert_eq!(error(&twice), ReplyError::Twice { field: "Transfer-Encoding" });
    for found in ["gzip", "gzip, chunked", "chunked, chunked", "identity"] {
        let expected = ReplyError::Coding { found: found.to_owned() };
        assert_eq!(error(&format!("Transfer-Encoding: {found}\r\n")), expected);
    }
    let old = b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(error_of(old), ReplyError::Coding { found: "chunked".to_owned() });
    assert!(matches!(
        error("Inference-Header-Content-Length: x\r\n"),
        ReplyError::Length { field: "Inference-Header-Content-Length", .. }
    ));
}

#[test]
fn malformed_chunks_are_refused() {
    let begin = head("Transfer-Encoding: chunked\r\n");
    let what = |body: &[u8]| error_of(&[&begin, body].concat());
    let line_end = "a line of it does not end with CR LF";
    let cases: [(&[u8], &str); 10] = [
        (b"\r\n", "it has no size"),
        (b";a\r\n", "it has no size"),
        (b"-1\r\n", "it has no size"),
        (b"1g\r\n", "its size is not hexadecimal"),
        (b"1\na", "its size is not hexadecimal"),
        (b"1;a\nb", "its extension has a control byte"),
        (b"1\r\naa", "its data is longer than its size"),
        (b"1\r\na\r\r", "its data is longer than its size"),
        (b"1\r\r", line_end),
        (b"0\r\nA: b\n", line_end),
    ];
    for (body, expected) in cases {
        assert_eq!(what(body), ReplyError::Chunk { what: expected }, "{}", body.escape_ascii());
    }
    let long = [b"1;", &*b"a".repeat(5_000)].concat();
    let too_long = ReplyError::Chunk { what: "the line of its size is too long" };
    assert_eq!(what(&long), too_long);
    assert_eq!(what(&b"0".repeat(5_000)), too_long);
    let trailers = [b"0\r\n", &*b"A: b\r\n".repeat(REPLY_HEAD_BYTES_MAX / 6 + 2)].concat();
    assert_eq!(what(&trailers), ReplyError::HeadTooLong);
    assert_eq!(what(b"4000001\r\n"), ReplyError::TooLong);
    assert_eq!(what(b"ffffffffffffffffffff\r\n"), ReplyError::TooLong);
}

#[test]
fn an_answer_beyond_a_limit_is_refused_and_one_at_the_limit_is_not() {
    let fields = |count| "A: b\r\n".repeat(count) + "Content-Length: 0\r\n";
    assert_eq!(frame(false, &[&head(&fields(REPLY_HEADERS_MAX - 1))]).1, None);
    assert_eq!(error_of(&head(&fields(REPLY_HEADERS_MAX))), ReplyError::TooManyFields);

    let empty = head("Content-Length: 0\r\nA: \r\n").len();
    let long = |bytes| head(&format!("Content-Length: 0\r\nA: {}\r\n", "b".repeat(bytes - empty)));
    let (at, beyond) = (long(REPLY_HEAD_BYTES_MAX), long(REPLY_HEAD_BYTES_MAX + 1));
    for split in [0, 1, 100, REPLY_HEAD_BYTES_MAX - 1] {
        assert_eq!(frame(false, &[&at[..split], &at[split..]]).1, None);
        let error = frame(false, &[&beyond[..split], &beyond[split..]]).1;
        assert_eq!(error, Some(ReplyError::HeadTooLong));
    }
    let endless = [b"HTTP/1.1 200 OK\r\nA: ", &*b"b".repeat(REPLY_HEAD_BYTES_MAX)].concat();
    assert_eq!(error_of(&endless), ReplyError::HeadTooLong);

    let interim = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(REPLY_HEAD_BYTES_MAX / 25 + 1);
    assert_eq!(error_of(&interim), ReplyError::HeadTooLong);
    let too_long = head(&format!("Content-Length: {REPLY_BYTES_MAX}\r\n"));
    assert_eq!(error_of(&too_long), ReplyError::TooLong);
}

#[test]
fn bodies_without_a_stated_length_are_held_to_the_limit() {
    let piece = vec![b'x'; 1 << 20];
    let begin = head("");
    let pieces: Vec<&[u8]> = std::iter::once(&*begin)
        .chain(std::iter::repeat_n(&*piece, REPLY_BYTES_MAX / piece.len()))
        .collect();
    assert_eq!(frame(false, &pieces).1, Some(ReplyError::TooLong));
    assert_eq!(frame(false, &pieces[..pieces.len() - 1]).1, None);

    let begin = head("Transfer-Encoding: chunked\r\n");
    let chunk = [b"100000\r\n", &*piece, b"\r\n"].concat();
    let chunks = std::iter::repeat_n(&*chunk, REPLY_BYTES_MAX / piece.len());
    let pieces: Vec<&[u8]> = std::iter::once(&*begin).chain(chunks).collect();
    assert_eq!(frame(false, &pieces).1, Some(ReplyError::TooLong));
}

/// Bytes that look like answers more often than chance would have it.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: [&[u8]; 13] = [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 404 No\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 204 \r\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"\r\n",
        b"\n",
        b"abc",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"1;x\r\n",
    ];
    let word = proptest::sample::select(&WORDS[..]);
    let piece = prop_oneof![
        8 => word.prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..5),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn hostile_bytes_mean_the_same_however_they_are_split(
        bytes in hostile(),
        mut splits in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
        is_to_head: bool,
    ) {
        splits.sort_by_key(|split| split.index(bytes.len() + 1));
        let mut pieces = Vec::new();
        let mut from = 0;
        for split in splits {
            let to = split.index(bytes.len() + 1);
            pieces.push(&bytes[from..to]);
            from = to;
        }
        pieces.push(&bytes[from..]);
        let whole = frame(is_to_head, &[&bytes]);
        let split = frame(is_to_head, &pieces);
        // What an error quotes depends on what had come; its kind does not.
        let kind = |error: &Option<ReplyError>| error.as_ref().map(std::mem::discriminant);
        prop_assert_eq!(kind(&whole.1), kind(&split.1));
        prop_assert_eq!(whole.0, split.0);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        frame(false, &[&bytes]);
        frame(false, &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &bytes]);
        frame(false, &[b"HTTP/1.1 200 OK\r\n", &bytes]);
    }
}
