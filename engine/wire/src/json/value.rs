//! Small values, which are read to their end first and looked at then: keys and vectors of
//! contexts, labels, rewards, ids, flags.
//!
//! Where such a value stands is all that is remembered of it between two pieces. It is looked at
//! once to see whether it is right, and once more when the body is whole and it is handed out. So
//! that neither look takes long, one that is written at length is refused.

use std::borrow::Cow;

use super::cursor::{Cursor, Stop};
use super::error::{Excerpt, JsonError, Position};
use super::number::{self, Element, Float64};
use super::{literal, text};
use crate::limits::JSON_VALUE_BYTES_MAX;

/// Where something stands in the body. Of a string: what is between its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    pub(super) fn written(self, body: &[u8]) -> &[u8] {
        body.get(self.start..self.end).unwrap_or_default()
    }

    /// What the string means. Copies only if there are escapes.
    pub(super) fn text(self, body: &[u8]) -> Cow<'_, str> {
        let written = self.written(body);
        if !written.contains(&b'\\') {
            return Cow::Borrowed(str::from_utf8(written).unwrap_or_default());
        }
        let mut text = String::with_capacity(written.len());
        let mut cursor = Cursor::new(body, self.start, usize::MAX);
        let read = text::read(&mut cursor, |piece| text.push_str(piece));
        debug_assert_eq!(read, Ok(()), "it was read before");
        Cow::Owned(text)
    }
}

/// A value that was read to its end, and the key that it stands behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    pub(super) key: &'static str,
    pub(super) span: Span,
    pub(super) written: &'a [u8],
}

impl<'a> Value<'a> {
    /// What stands behind `key` from `start` up to the cursor.
    pub(super) fn new(key: &'static str, start: usize, cursor: &Cursor<'a>) -> Result<Self, Stop> {
        let span = Span { start, end: cursor.at() };
        let written = cursor.slice(start, cursor.at());
        if written.len() > JSON_VALUE_BYTES_MAX {
            let (position, found) = (Position::unlocated(start), written.len());
            return Err(Stop::Wrong(JsonError::ValueTooLong { position, key, found }));
        }
        Ok(Self { key, span, written })
    }

    pub(super) fn is_string(&self) -> bool {
        self.written.first() == Some(&b'"')
    }

    pub(super) fn is_array(&self) -> bool {
        self.written.first() == Some(&b'[')
    }

    pub(super) fn is_number(&self) -> bool {
        begins_number(self.written)
    }

    /// Whether it is a number without a point and without an exponent.
    pub(super) fn is_integer(&self) -> bool {
        self.is_number() && !self.written.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
    }

    /// Of a string: where that is which stands between its quotes.
    pub(super) fn within_quotes(&self) -> Span {
        Span { start: self.span.start + 1, end: self.span.end - 1 }
    }

    /// Of a string: the bytes of what it means.
    pub(super) fn text_bytes(&self) -> usize {
        let mut bytes = 0;
        let mut cursor = Cursor::new(self.written, 1, usize::MAX);
        let read = text::read(&mut cursor, |piece| bytes += piece.len());
        debug_assert_eq!(read, Ok(()), "it was read before");
        bytes
    }

    /// A whole number that is written in digits alone.
    pub(super) fn whole(&self) -> Option<u64> {
        let is_whole = self.written.iter().all(u8::is_ascii_digit);
        str::from_utf8(self.written).ok().filter(|_| is_whole)?.parse().ok()
    }

    pub(super) fn flag(&self) -> Result<bool, Stop> {
        match self.written {
            b"true" => Ok(true),
            b"false" => Ok(false),
            _ => Err(self.unfit("true or false")),
        }
    }

    /// Of a number: the double next to it.
    pub(super) fn double(&self) -> Result<f64, Stop> {
        self.double_at(0, self.written)
    }

    /// Of an array that has nothing but numbers: each of them.
    pub(super) fn doubles(&self) -> impl Iterator<Item = Result<f64, Stop>> {
        entries(self.written).map(|(at, entry)| {
            if begins_number(entry) {
                self.double_at(at, entry)
            } else {
                Err(self.unfit_at(at, "numbers alone in an array"))
            }
        })
    }

    /// It is not what it has to be.
    pub(super) fn unfit(&self, expected: &'static str) -> Stop {
        self.unfit_at(0, expected)
    }

    fn double_at(&self, at: usize, written: &[u8]) -> Result<f64, Stop> {
        double(written).ok_or_else(|| {
            let position = Position::unlocated(self.span.start + at);
            let (key, literal) = (self.key, Excerpt::of(written));
            Stop::Wrong(JsonError::TooLarge { position, key, literal })
        })
    }

    #[cold]
    fn unfit_at(&self, at: usize, expected: &'static str) -> Stop {
        let (position, key) = (Position::unlocated(self.span.start + at), self.key);
        Stop::Wrong(JsonError::Unfit { position, key, expected })
    }
}

/// The double next to a well-formed number, if that is finite.
pub(super) fn double(written: &[u8]) -> Option<f64> {
    let literal = number::scan(&mut Cursor::new(written, 0, usize::MAX));
    let slow = || literal::element::<8, Float64>(written).ok();
    Float64::quick(&literal).or_else(slow).map(f64::from_ne_bytes)
}

/// The entries of a well-formed array, and where each stands in it, up to the first one that has
/// commas itself: that one is cut.
pub(super) fn entries(array: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let inner = array.get(1..array.len().saturating_sub(1)).unwrap_or_default();
    let mut next_at = 1;
    let entries = inner.split(|byte| *byte == b',').map(move |entry| {
        let at = next_at + entry.len() - entry.trim_ascii_start().len();
        next_at += entry.len() + 1;
        (at, entry.trim_ascii())
    });
    // An empty array has an empty entry.
    entries.filter(|(_, entry)| !entry.is_empty())
}

fn begins_number(written: &[u8]) -> bool {
    matches!(written.first(), Some(b'-' | b'0'..=b'9'))
}
