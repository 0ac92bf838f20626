//! HTTP/1.1 without I/O: bytes in, requests out; answers into a buffer; time passed in.
//!
//! Owner: the engine thread. Nothing here reads a socket or a clock, takes a lock, or allocates
//! once a connection's own buffers have grown to what its requests need.
//!
//! ```text
//!  received bytes ─▶ RequestReader ─▶ Request { head, route, body }: slices, in place
//!                      │   │
//!                      │   ├ template  the head is like the last one but for Content-Length: done,
//!                      │   │           and its route is known
//!                      │   ├ scan      where does the head end? Each byte is looked at once
//!                      │   ├ line      can this still become a request line?
//!                      │   ├ head      httparse, then our framing rules: one meaning or an error
//!                      │   └ chunked   chunked bodies into the reader's own buffer
//!                      └ HttpError ─▶ its own status and text; the connection ends
//!  received bytes, time ─▶ Pace ─▶ deadline: 408, or a silent close when idle
//!  answer ─▶ ResponseWriter ─▶ head and body in one buffer, for one send
//! ```
//!
//! Invariants:
//! - What comes out depends on the bytes, never on how the network cut them.
//! - A message has one length or it is refused: framing that two parsers could read differently is
//!   an error (RFC 9112 sections 6 and 11).
//! - After an error nothing more is read from that connection: we never resynchronise. Only what
//!   breaks the framing is such an error: what a well-framed request asks for is judged by others,
//!   and its connection goes on.

mod chunked;
mod date;
mod error;
mod extension;
mod head;
mod line;
mod method;
mod request;
mod response;
mod scan;
mod span;
mod status;
mod target;
mod template;
mod timing;

#[cfg(test)]
mod tests;

pub use date::{DATE_BYTES, http_date};
pub use error::HttpError;
pub use head::{Framing, Head};
pub use method::Method;
pub use request::{CONTINUE_100, Phase, RequestReader, Routes, Step};
pub use response::{
    Connection, ContentType, ResponseHead, ResponseWriter, write_head, write_http_error,
};
pub use status::Status;
pub use target::{BadEscape, decode_path_segment};
pub use timing::{Pace, Verdict};
