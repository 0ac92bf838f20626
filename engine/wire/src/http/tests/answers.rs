//! What is written, byte for byte.

use super::*;

const DATE: [u8; DATE_BYTES] = *b"Sun, 06 Nov 1994 08:49:37 GMT";

fn ok() -> ResponseHead<'static> {
    ResponseHead::json(Status::Ok, &DATE, Connection::Keep)
}

fn answer(head: &ResponseHead<'_>, body: &str) -> String {
    let mut out = b"before".to_vec();
    let mut writer = ResponseWriter::begin(&mut out, head);
    writer.body().extend_from_slice(body.as_bytes());
    writer.finish();
    String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
}

#[test]
fn an_answer_is_head_and_body_in_one_buffer_behind_what_was_there() {
    assert_eq!(
        answer(&ok(), r#"{"output":1}"#),
        "HTTP/1.1 200 OK\r\n\
         Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         Content-Type: application/json\r\n\
         Content-Length:         12\r\n\
         \r\n\
         {\"output\":1}"
    );
}

#[test]
fn lengths_of_every_width_are_filled_in() {
    for bytes in [0, 1, 9, 10, 99, 100, 65_536, 1_000_000] {
        let text = answer(&ok(), &"x".repeat(bytes));
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let field = head.rsplit_once("Content-Length: ").unwrap().1;
        assert_eq!(field.len(), 10);
        assert_eq!(field.trim_start().parse(), Ok(bytes));
        assert_eq!(body.len(), bytes);
    }
}

#[test]
fn the_answer_to_a_head_request_has_the_length_and_not_the_body() {
    let text = answer(&ResponseHead { omit_body: true, ..ok() }, "hello");
    assert!(text.ends_with("Content-Length:          5\r\n\r\n"), "{text}");
}

#[test]
fn an_answer_without_content_has_neither_length_nor_type_nor_body() {
    let head = ResponseHead { status: Status::NoContent, allow: Some("POST"), ..ok() };
    assert_eq!(
        answer(&head, "what nobody may see"),
        "HTTP/1.1 204 No Content\r\n\
         Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         Allow: POST\r\n\
         \r\n"
    );
}

#[test]
fn an_answer_that_is_dropped_half_way_still_has_its_own_length() {
    let mut out = Vec::new();
    ResponseWriter::begin(&mut out, &ok()).body().extend_from_slice(b"abc");
    assert!(String::from_utf8(out).unwrap().ends_with("         3\r\n\r\nabc"));
}

#[test]
fn connection_and_what_is_possible_are_said_when_they_must_be() {
    let refused =
        ResponseHead { status: Status::MethodNotAllowed, allow: Some("GET, HEAD"), ..ok() };
    assert!(answer(&refused, "").starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
    assert!(answer(&refused, "").contains("\r\nAllow: GET, HEAD\r\n"));
    let encoded = ResponseHead {
        status: Status::UnsupportedMediaType,
        accept_encoding: Some("identity"),
        ..ok()
    };
    assert!(answer(&encoded, "").contains("\r\nAccept-Encoding: identity\r\n"));
    let close = ResponseHead { connection: Connection::Close, ..ok() };
    assert!(answer(&close, "").contains("\r\nConnection: close\r\n"));
    let kept = ResponseHead { connection: Connection::KeepSaid, ..ok() };
    assert!(answer(&kept, "").contains("\r\nConnection: keep-alive\r\n"));
    assert!(!answer(&ok(), "").contains("Connection"));
}

/// What an answer says of the connection, for a request with these lines.
fn connection_after(lines: &str) -> Connection {
    let stream = format!("{lines}\r\n\r\n");
    let mut reader = RequestReader::new();
    match reader.read(stream.as_bytes(), &BodiesTo(0)) {
        Step::Request { head, .. } => Connection::after(&head),
        other => panic!("{lines}: {other:?}"),
    }
}

#[test]
fn an_answer_does_with_the_connection_what_the_request_asked() {
    assert_eq!(connection_after("GET / HTTP/1.1\r\nHost: a"), Connection::Keep);
    let close = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close";
    assert_eq!(connection_after(close), Connection::Close);
    assert_eq!(connection_after("GET / HTTP/1.0"), Connection::Close);
    let kept = "GET / HTTP/1.0\r\nConnection: keep-alive";
    assert_eq!(connection_after(kept), Connection::KeepSaid);
}

#[test]
fn status_lines_carry_their_own_codes() {
    for status in Status::ALL {
        let line = status.line();
        assert!(line.starts_with(&format!("HTTP/1.1 {} ", status.code())), "{line}");
        assert!(line.ends_with("\r\n") && line.len() > "HTTP/1.1 200 \r\n".len(), "{line}");
    }
}

#[test]
fn an_error_is_answered_in_json_and_closes_the_connection() {
    let mut out = Vec::new();
    write_http_error(&mut out, &HttpError::BodyTooLarge { bytes_max: 1000 }, &DATE);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "HTTP/1.1 413 Content Too Large\r\n\
         Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         Content-Type: application/json\r\n\
         Connection: close\r\n\
         Content-Length:        181\r\n\
         \r\n\
         {\"error\":\"HTTP error\",\"cause\":\"the body is larger than 1000 bytes, the most that \
         this path takes (for an application, 1024 inputs and their white space); send fewer \
         inputs at once\"}"
    );
}

#[test]
fn no_error_text_needs_escaping_in_json() {
    for error in HttpError::ALL {
        let text = error.to_string();
        let is_plain = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
        assert!(text.bytes().all(is_plain), "{text}");
        assert!(text.contains("; "), "no advice: {text}");
    }
}
