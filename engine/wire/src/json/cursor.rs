//! A place in the body, and what is common to all readers: bytes, space and punctuation.
//!
//! A cursor sees the body only up to where the piece being read ends. What it finds missing there
//! is no error: it is a [`Stop::Cut`], and whoever reads stands then where the next piece begins.
//! So the end of a piece costs nothing until it is reached: it is the end of the slice.

use super::error::{Found, JsonError, Position};
use crate::limits::JSON_OVERSHOOT_BYTES_MAX;

/// Reads forward over a piece of the body. It never stands beyond the piece's end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    /// The body up to the end of the piece.
    seen: &'a [u8],
    at: usize,
    /// Whether the body goes on behind the piece.
    is_cut: bool,
}

/// Why a reader does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The piece ends here.
    Cut,
    /// The body is wrong. The position in the error is not located yet.
    Wrong(JsonError),
}

impl<'a> Cursor<'a> {
    /// At byte `at` of the body. About `budget_bytes` may be read, and never more than
    /// [`JSON_OVERSHOOT_BYTES_MAX`] beyond them.
    pub(super) fn new(body: &'a [u8], at: usize, budget_bytes: usize) -> Self {
        let end = at.saturating_add(budget_bytes).saturating_add(JSON_OVERSHOOT_BYTES_MAX);
        let seen = body.get(..end).unwrap_or(body);
        assert!(at <= seen.len(), "a body is whole, and the same in each call");
        Self { seen, at, is_cut: seen.len() < body.len() }
    }

    /// The offset of the next byte.
    #[inline]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The bytes between two offsets.
    pub(super) fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        self.seen.get(start..end).unwrap_or_default()
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.seen.get(self.at).copied()
    }

    /// The next `N` bytes; none when fewer are left.
    #[inline(always)]
    pub(super) fn peek_chunk<const N: usize>(&self) -> Option<&'a [u8; N]> {
        self.seen.get(self.at..)?.first_chunk()
    }

    /// The body up to the end of this piece.
    pub(super) fn seen(&self) -> &'a [u8] {
        self.seen
    }

    /// All bytes that are left of the piece.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.seen.get(self.at..).unwrap_or_default()
    }

    /// Steps over bytes that were looked at before.
    #[inline]
    pub(super) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
        debug_assert!(self.at <= self.seen.len());
    }

    /// Steps to a place where this cursor, or a copy of it, stood before.
    #[inline]
    pub(super) fn move_to(&mut self, at: usize) {
        self.at = at;
        debug_assert!(self.at <= self.seen.len());
    }

    /// Here, in the piece for itself.
    pub(super) fn of_piece(&self) -> Self {
        Self { is_cut: false, ..*self }
    }

    /// Whether the piece ends here, and the body does not.
    #[inline]
    pub(super) fn is_at_cut(&self) -> bool {
        self.is_cut_at(self.at)
    }

    /// Whether the piece ends at this offset, and the body does not.
    pub(super) fn is_cut_at(&self, at: usize) -> bool {
        self.is_cut && at == self.seen.len()
    }

    /// Whether the body goes on behind this piece, of which fewer than so many bytes are left.
    pub(super) fn is_cut_within(&self, bytes: usize) -> bool {
        self.is_cut && self.seen.len() - self.at < bytes
    }

    /// Whether what began at `start` does not fit a piece's overshoot. The next piece may not have
    /// more of it either, so it is to be read byte by byte.
    pub(super) fn is_long_since(&self, start: usize) -> bool {
        self.seen.len() - start > JSON_OVERSHOOT_BYTES_MAX
    }

    /// Steps over the next byte if it is this one.
    #[inline(always)]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        if self.peek() == Some(byte) {
            self.at += 1;
            return true;
        }
        false
    }

    /// Steps over the next bytes if they are these.
    #[inline]
    pub(super) fn take_all(&mut self, bytes: &[u8]) -> bool {
        let is_there = self.rest().starts_with(bytes);
        if is_there {
            self.at += bytes.len();
        }
        is_there
    }

    #[inline]
    pub(super) fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Skips space, then steps over this byte or says that it was expected.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), Stop> {
        self.skip_space();
        if self.take(byte) { Ok(()) } else { Err(self.syntax(expected)) }
    }

    /// After the opening byte of an array or object: whether it is closed at once.
    pub(super) fn closes(&mut self, close: u8) -> Result<bool, Stop> {
        self.skip_space();
        if self.is_at_cut() { Err(Stop::Cut) } else { Ok(self.take(close)) }
    }

    /// After an entry of an array or object: true at a comma, false at the closing byte.
    #[inline]
    pub(super) fn more(&mut self, close: u8, expected: &'static str) -> Result<bool, Stop> {
        self.skip_space();
        if self.take(b',') {
            Ok(true)
        } else if self.take(close) {
            Ok(false)
        } else {
            Err(self.syntax(expected))
        }
    }

    /// Steps over the opening quote of a string.
    pub(super) fn expect_quote(&mut self, expected: &'static str) -> Result<(), Stop> {
        self.expect(b'"', expected)
    }

    /// Steps over a word, such as `null`.
    pub(super) fn expect_word(&mut self, word: &'static str) -> Result<(), Stop> {
        let rest = self.rest();
        if rest.starts_with(word.as_bytes()) {
            self.advance(word.len());
            return Ok(());
        }
        if self.is_cut_within(word.len()) && word.as_bytes().starts_with(rest) {
            return Err(Stop::Cut);
        }
        Err(self.syntax(word))
    }

    /// Nothing but space may be left.
    pub(super) fn expect_end(&mut self) -> Result<(), Stop> {
        self.skip_space();
        if self.peek().is_none() && !self.is_cut {
            return Ok(());
        }
        Err(self.syntax("the end of the body"))
    }

    /// What stands here is wrong, unless it only is not there yet. By value, since a cursor whose
    /// address is taken cannot live in registers.
    #[cold]
    pub(super) fn syntax(self, expected: &'static str) -> Stop {
        if self.is_at_cut() {
            return Stop::Cut;
        }
        let found = self.peek().map_or(Found::End, Found::Byte);
        let position = Position::unlocated(self.at);
        Stop::Wrong(JsonError::Syntax { position, found, expected })
    }
}
