//! The one answer that everybody gets.

use crate::Options;

/// The bytes of an answer. `is_last` says that the connection is closed after it.
pub fn bytes(options: &Options, is_last: bool) -> Vec<u8> {
    let Options { status, body, .. } = options;
    let reason = if *status == 200 { "OK" } else { "Other" };
    let close = if is_last { "Connection: close\r\n" } else { "" };
    let head = format!("HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\n{close}");
    let framed = if options.chunked {
        // Two chunks, so that whoever reads them has to join something.
        let middle = body.floor_char_boundary(body.len() / 2);
        let chunks = [&body[..middle], &body[middle..]].map(|part| match part.len() {
            0 => String::new(),
            bytes => format!("{bytes:x}\r\n{part}\r\n"),
        });
        format!("Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunks.concat())
    } else {
        format!("Content-Length: {}\r\n\r\n{body}", body.len())
    };
    (head + &framed).into_bytes()
}
