//! A place in the body, and what is common to all readers: bytes, space, punctuation, and values
//! that nobody asked for, which are checked and skipped.

use crate::limits::JSON_DEPTH_MAX;

use super::error::{Found, JsonError, Position};
use super::{number, string};

/// Reads forward over a body. It never stands beyond the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0 }
    }

    /// The offset of the next byte.
    #[inline]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The bytes between two offsets.
    pub(super) fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        self.body.get(start..end).unwrap_or_default()
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    /// The next `N` bytes; none when fewer are left.
    #[inline(always)]
    pub(super) fn peek_chunk<const N: usize>(&self) -> Option<&'a [u8; N]> {
        self.body.get(self.at..)?.first_chunk()
    }

    /// Steps over bytes that were looked at before.
    #[inline]
    pub(super) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
        debug_assert!(self.at <= self.body.len());
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

    #[inline]
    pub(super) fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Skips space, then steps over this byte or says that it was expected.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), JsonError> {
        self.skip_space();
        if self.take(byte) { Ok(()) } else { Err(self.syntax(expected)) }
    }

    /// After an entry of an array or object: true at a comma, false at the closing byte.
    #[inline]
    pub(super) fn more(&mut self, close: u8, expected: &'static str) -> Result<bool, JsonError> {
        self.skip_space();
        if self.take(b',') {
            Ok(true)
        } else if self.take(close) {
            Ok(false)
        } else {
            Err(self.syntax(expected))
        }
    }

    /// Nothing but space may be left.
    pub(super) fn expect_end(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        if self.peek().is_none() { Ok(()) } else { Err(self.syntax("the end of the body")) }
    }

    /// Checks any value and steps over it; `depth` arrays and objects are open around it.
    pub(super) fn skip_value(&mut self, depth: usize) -> Result<(), JsonError> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.skip_object(depth + 1),
            Some(b'[') => self.skip_array(depth + 1),
            Some(b'"') => string::scan(self)?.check(),
            Some(b't') => self.skip_word(b"true", "true"),
            Some(b'f') => self.skip_word(b"false", "false"),
            Some(b'n') => self.skip_word(b"null", "null"),
            Some(b'-' | b'0'..=b'9') => match number::scan(self).expected {
                None => Ok(()),
                Some(expected) => Err(self.syntax(expected)),
            },
            _ => Err(self.syntax("a value")),
        }
    }

    /// The error for what stands here. By value, since a cursor whose address is taken cannot live
    /// in registers.
    #[cold]
    pub(super) fn syntax(self, expected: &'static str) -> JsonError {
        let found = self.peek().map_or(Found::End, Found::Byte);
        JsonError::Syntax { position: self.position(self.at), found, expected }
    }

    #[cold]
    pub(super) fn position(self, offset: usize) -> Position {
        Position::of(self.body, offset)
    }

    fn skip_object(&mut self, depth: usize) -> Result<(), JsonError> {
        self.open(depth)?;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.syntax("a key in quotes"));
            }
            string::scan(self)?.check()?;
            self.expect(b':', "':'")?;
            self.skip_value(depth)?;
            if !self.more(b'}', "',' or '}'")? {
                return Ok(());
            }
        }
    }

    fn skip_array(&mut self, depth: usize) -> Result<(), JsonError> {
        self.open(depth)?;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.skip_value(depth)?;
            if !self.more(b']', "',' or ']'")? {
                return Ok(());
            }
        }
    }

    /// Steps over the opening byte and the space after it, unless this is too deep.
    fn open(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth > JSON_DEPTH_MAX {
            return Err(JsonError::TooDeep { position: self.position(self.at) });
        }
        self.advance(1);
        self.skip_space();
        Ok(())
    }

    fn skip_word(&mut self, word: &[u8], expected: &'static str) -> Result<(), JsonError> {
        if self.body[self.at..].starts_with(word) {
            self.advance(word.len());
            Ok(())
        } else {
            Err(self.syntax(expected))
        }
    }
}
