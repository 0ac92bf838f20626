//! Finds where a request head ends, looking at each byte once however the head arrives.
//!
//! Owner: the engine thread, one scanner in each connection's reader.
//!
//! The scanner also refuses what no head may hold (bare CR, bare LF, control bytes, a first line
//! that is no request line) and what is too long, at the first offending byte: a client that does
//! not speak HTTP hears of it at once and not after a timeout. Which error is found depends on
//! positions in the stream only, so the same bytes give the same error however they were cut.

use super::error::HttpError;
use super::line::RequestLine;
use crate::limits::{HEAD_BYTES_MAX, REQUEST_LINE_BYTES_MAX};

/// How far the current head has been looked at. Positions count from the head's first byte.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeadScanner {
    line: RequestLine,
    /// Bytes behind the request line before this position need no second look.
    scanned: usize,
    /// Where the line at `scanned` begins; 0 while that is the request line.
    line_start: usize,
}

impl HeadScanner {
    /// True until a byte of a head was seen.
    pub(super) fn is_fresh(&self) -> bool {
        self.line.looked() == 0
    }

    /// The length of the head at the start of `bytes` with its empty line, or `None` when it is not
    /// complete. A later call must pass the same bytes and then more.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, HttpError> {
        if self.line_start == 0 {
            let window = &bytes[..bytes.len().min(REQUEST_LINE_BYTES_MAX)];
            let Some(end) = self.line.look(window)? else {
                let is_full = window.len() == REQUEST_LINE_BYTES_MAX;
                return if is_full { Err(HttpError::RequestLineTooLong) } else { Ok(None) };
            };
            (self.scanned, self.line_start) = (end, end);
        }
        self.scan_fields(&bytes[..bytes.len().min(HEAD_BYTES_MAX)])
    }

    fn scan_fields(&mut self, window: &[u8]) -> Result<Option<usize>, HttpError> {
        loop {
            // A CR at the end of the window stays unscanned until its LF can be seen.
            let at = match find_control(window, self.scanned) {
                Some(at) if window[at] != b'\r' || at + 1 < window.len() => at,
                partial => {
                    self.scanned = partial.unwrap_or(window.len());
                    let is_full = window.len() == HEAD_BYTES_MAX;
                    return if is_full { Err(HttpError::HeadTooLarge) } else { Ok(None) };
                }
            };
            match window[at] {
                b'\t' => self.scanned = at + 1,
                b'\n' => return Err(HttpError::BareLineFeed { at }),
                b'\r' if window[at + 1] != b'\n' => {
                    return Err(HttpError::BareCarriageReturn { at });
                }
                b'\r' if at == self.line_start => return Ok(Some(at + 2)),
                b'\r' => {
                    self.scanned = at + 2;
                    self.line_start = at + 2;
                }
                byte => return Err(HttpError::ControlByte { byte, at }),
            }
        }
    }
}

/// The position of the first byte below 0x20 at or after `from`.
///
/// Eight bytes at a time: subtracting 0x20 from each byte borrows exactly when it is below. A
/// borrow can spoil only the lanes above the first true one, and the first is what we ask for.
pub(super) fn find_control(bytes: &[u8], from: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut at = from;
    let mut words = bytes.get(from..)?.chunks_exact(8);
    for word in words.by_ref() {
        let mut lanes = [0; 8];
        lanes.copy_from_slice(word);
        let value = u64::from_le_bytes(lanes);
        let below = value.wrapping_sub(ONES * 0x20) & !value & (ONES * 0x80);
        if below != 0 {
            return Some(at + (below.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    words.remainder().iter().position(|byte| *byte < 0x20).map(|offset| at + offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_that_were_scanned_are_not_looked_at_again() {
        let mut scanner = HeadScanner::default();
        assert_eq!(scanner.scan(b"GET / HTTP/1.1\r\nHost: a"), Ok(None));
        // Were the start looked at again, its control bytes would be found.
        let rewritten = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0b\r\n\r\nrest";
        assert_eq!(scanner.scan(rewritten), Ok(Some(28)));
    }

    #[test]
    fn a_head_may_have_exactly_its_limit_and_not_a_byte_more() {
        let mut head = b"GET / HTTP/1.1\r\nA: ".to_vec();
        head.resize(HEAD_BYTES_MAX - 4, b'x');
        head.extend_from_slice(b"\r\n\r\n");
        assert_eq!(HeadScanner::default().scan(&head), Ok(Some(HEAD_BYTES_MAX)));
        head.insert(20, b'x');
        assert_eq!(HeadScanner::default().scan(&head), Err(HttpError::HeadTooLarge));
    }

    proptest! {
        #[test]
        fn the_word_search_finds_what_a_byte_search_finds(
            bytes in proptest::collection::vec(
                prop_oneof![6 => 0x20..=0xffu8, 1 => any::<u8>()],
                0..64,
            ),
            from in 0usize..70,
        ) {
            let naive = (from..bytes.len()).find(|at| bytes[*at] < 0x20);
            prop_assert_eq!(find_control(&bytes, from), naive);
        }
    }
}
