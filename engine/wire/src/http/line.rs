//! The request line, byte by byte: refused at the first byte that no request line can have there.
//!
//! Owner: the engine thread, within the scanner of each connection's reader.
//!
//! Whoever speaks another protocol to this port should hear of it with its first line, or before,
//! and not when the time for a head is over. The whole line is judged here but for what takes more
//! than its bytes so far: the length of its target and what the target names are the parser's.
//!
//! ```text
//!   Method ── ' ' ─▶ Target ── ' ' ─▶ Version ── CR LF ─▶ whole
//!   token bytes      /… or *          HTTP/1.0
//!                    or http://…      or HTTP/1.1
//! ```

use super::error::HttpError;
use super::head::is_token_byte;

/// What can stand before the path of a target, besides nothing.
const SCHEMES: [&[u8]; 2] = [b"http://", b"https://"];
/// Target bytes of which it is still open whether a scheme's end has come.
const SCHEME_BYTES_MAX: usize = SCHEMES[1].len();
const VERSION_BYTES: usize = b"HTTP/1.1".len();

/// The part of the line to which the next byte belongs. Positions count from the line's first byte.
#[derive(Clone, Copy, Debug, Default)]
enum Part {
    #[default]
    Method,
    Target {
        start: usize,
    },
    Version {
        start: usize,
    },
}

/// How far the current request line has been looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RequestLine {
    part: Part,
    /// Bytes before this position need no second look.
    looked: usize,
}

impl RequestLine {
    /// Bytes that were looked at.
    pub(super) fn looked(&self) -> usize {
        self.looked
    }

    /// Looks on. Returns where the line ends, behind its line feed, once that is there. A later
    /// call must pass the same bytes and then more.
    pub(super) fn look(&mut self, bytes: &[u8]) -> Result<Option<usize>, HttpError> {
        while let Some(&byte) = bytes.get(self.looked) {
            let at = self.looked;
            if byte == b'\r' {
                return self.end(at, bytes.get(at + 1).copied());
            }
            self.part = self.step(&bytes[..=at], byte)?;
            self.looked = at + 1;
        }
        Ok(None)
    }

    /// The part after `byte`, the last of `line` so far.
    fn step(&self, line: &[u8], byte: u8) -> Result<Part, HttpError> {
        let at = line.len() - 1;
        match (byte, self.part) {
            (b'\n', _) => Err(HttpError::BareLineFeed { at }),
            (b' ', Part::Method) if at > 0 => Ok(Part::Target { start: at + 1 }),
            (_, Part::Method) if is_token_byte(byte) => Ok(Part::Method),
            (_, Part::Method) if at == 0 => Err(HttpError::NotHttp { byte }),
            (0x00..=0x08 | 0x0b..=0x1f, _) => Err(HttpError::ControlByte { byte, at }),
            (_, Part::Method) => Err(HttpError::RequestLine),
            (b' ', Part::Target { start }) if at > start => Ok(Part::Version { start: at + 1 }),
            (b' ' | b'\t', Part::Target { .. }) => Err(HttpError::RequestLine),
            (_, Part::Target { start }) => check_target(&line[start..], byte).map(|()| self.part),
            (_, Part::Version { start }) => check_version(&line[start..]).map(|()| self.part),
        }
    }

    /// A carriage return at `at`, before `next`.
    fn end(&self, at: usize, next: Option<u8>) -> Result<Option<usize>, HttpError> {
        // The reader forgives an empty line, which this may still become.
        let is_whole =
            at == 0 || matches!(self.part, Part::Version { start } if at - start == VERSION_BYTES);
        match next {
            _ if !is_whole => Err(HttpError::RequestLine),
            None => Ok(None),
            Some(b'\n') if at > 0 => Ok(Some(at + 2)),
            Some(b'\n') => Err(HttpError::RequestLine),
            Some(_) => Err(HttpError::BareCarriageReturn { at }),
        }
    }
}

/// Whether a target can begin so. `byte` is its last.
fn check_target(target: &[u8], byte: u8) -> Result<(), HttpError> {
    let is_begin = |scheme: &[u8]| {
        let known = target.len().min(scheme.len());
        target[..known].eq_ignore_ascii_case(&scheme[..known])
    };
    let can_begin = match target {
        [b'/', ..] | [b'*'] => true,
        _ if target.len() > SCHEME_BYTES_MAX => true,
        _ => SCHEMES.into_iter().any(is_begin),
    };
    if can_begin && byte.is_ascii_graphic() && byte != b'#' {
        Ok(())
    } else {
        Err(HttpError::Target)
    }
}

/// Whether a version that is spoken here can begin so.
fn check_version(version: &[u8]) -> Result<(), HttpError> {
    const NAME: &[u8] = b"HTTP/";
    match *version {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1'] => Ok(()),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(HttpError::Version { major: major - b'0', minor: minor - b'0' })
        }
        [b'H', b'T', b'T', b'P', b'/', major] if major.is_ascii_digit() => Ok(()),
        [b'H', b'T', b'T', b'P', b'/', major, b'.'] if major.is_ascii_digit() => Ok(()),
        _ if NAME.starts_with(version) => Ok(()),
        _ => Err(HttpError::RequestLine),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error that a line comes to, and how many of its bytes it took.
    fn refused(line: &str) -> (HttpError, usize) {
        let error = |end: usize| RequestLine::default().look(&line.as_bytes()[..end]).err();
        let found = (1..=line.len()).find_map(|end| Some((error(end)?, end)));
        found.unwrap_or_else(|| panic!("{line:?} was not refused"))
    }

    #[test]
    fn a_line_is_refused_at_the_first_byte_that_makes_it_impossible() {
        let (line, target) = (HttpError::RequestLine, HttpError::Target);
        let bare = |at| HttpError::BareLineFeed { at };
        for (text, error, bytes) in [
            ("\u{16}\u{3}\u{1}", HttpError::NotHttp { byte: 0x16 }, 1),
            ("SSH-2.0-x\r\n", line, 10),
            ("SSH-2.0-OpenSSH_9.6 Debian-3\r\n", target, 21),
            ("EHLO there\r\n", target, 6),
            ("QUIT\r\n", line, 5),
            ("*3\r\n$3\r\nSET\r\n", line, 3),
            ("GET\r\n", line, 4),
            ("GET /\r\n", line, 6),
            ("GET / \r\n", line, 7),
            ("GET /\n", bare(5), 6),
            ("GET  / HTTP/1.1\r\n", line, 5),
            ("GET /  HTTP/1.1\r\n", line, 7),
            ("GET *x HTTP/1.1\r\n", target, 6),
            ("GET example HTTP/1.1\r\n", target, 5),
            ("GET httq://a HTTP/1.1\r\n", target, 8),
            ("GET https:/a HTTP/1.1\r\n", target, 12),
            ("GET /#x HTTP/1.1\r\n", target, 6),
            ("OPTIONS rtsp://a RTSP/1.0\r\n", target, 9),
            ("INVITE sip:a SIP/2.0\r\n", target, 8),
            ("GET / ICY/1.0\r\n", line, 7),
            ("GET / HTTP/x\r\n", line, 12),
            ("GET / HTTP/1.1x\r\n", line, 15),
            ("GET / HTTP/2.0\r\n", HttpError::Version { major: 2, minor: 0 }, 14),
        ] {
            assert_eq!(refused(text), (error, bytes), "{text:?}");
        }
    }

    #[test]
    fn a_line_that_can_be_right_is_looked_at_to_its_end() {
        for line in [
            "GET / HTTP/1.1\r\n",
            "OPTIONS * HTTP/1.0\r\n",
            "POST HTTPS://a/b?c HTTP/1.1\r\n",
            "!#$%&'*+-.^_`|~ http://a HTTP/1.1\r\n",
        ] {
            let mut look = RequestLine::default();
            for end in 0..line.len() {
                assert_eq!(look.look(&line.as_bytes()[..end]), Ok(None), "{line:?} to {end}");
            }
            assert_eq!(look.look(line.as_bytes()), Ok(Some(line.len())), "{line:?}");
        }
    }
}
