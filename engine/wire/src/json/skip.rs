//! Values that nobody asked for: they are checked and skipped, in pieces, however deep and long.

use super::cursor::{Cursor, Stop};
use super::error::{JsonError, Position};
use super::literal::LongLiteral;
use super::number::{self, Element, Float64};
use super::text;
use crate::limits::JSON_DEPTH_MAX;

/// A value that is being skipped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Skip {
    next: Next,
    /// Arrays and objects that are open, those around the value included.
    depth: usize,
    /// Those around the value.
    outside: usize,
    /// Bit `d` tells whether what was opened as number `d` is an object, else it is an array.
    objects: u128,
    literal: LongLiteral,
    /// Whether numbers that no double holds are wrong.
    only_doubles: bool,
}

/// What is to be read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Value,
    /// The first entry of an array or object, or its end.
    First,
    Key,
    /// The rest of a key.
    InKey,
    Colon,
    /// The rest of a string.
    InText,
    /// The rest of a long number.
    Long,
    /// What follows a value.
    More,
}

const _: () = assert!(JSON_DEPTH_MAX < u128::BITS as usize);

impl Skip {
    /// A value around which so many arrays and objects are open.
    pub(super) fn new(outside: usize) -> Self {
        Self {
            next: Next::Value,
            depth: outside,
            outside,
            objects: 0,
            literal: LongLiteral::new(0),
            only_doubles: false,
        }
    }

    /// A text of its own, whose numbers are doubles.
    pub(super) fn only_doubles() -> Self {
        Self { only_doubles: true, ..Self::new(0) }
    }

    /// Steps over the value, or over as much of it as the piece has.
    pub(super) fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        loop {
            match self.next {
                Next::Value => self.value(cursor)?,
                Next::First if cursor.closes(self.closing())? => self.close(),
                Next::First => self.next = self.entry(),
                Next::Key => {
                    cursor.expect_quote("a key in quotes")?;
                    self.next = Next::InKey;
                }
                Next::InKey => {
                    text::read(cursor, |_| ())?;
                    self.next = Next::Colon;
                }
                Next::Colon => {
                    cursor.expect(b':', "':'")?;
                    self.next = Next::Value;
                }
                Next::InText => {
                    text::read(cursor, |_| ())?;
                    self.next = Next::More;
                }
                Next::Long => {
                    self.literal.read(cursor)?;
                    self.check_range(cursor)?;
                    self.next = Next::More;
                }
                Next::More if self.depth == self.outside => return Ok(()),
                Next::More if cursor.more(self.closing(), self.expected())? => {
                    self.next = self.entry();
                }
                Next::More => self.close(),
            }
        }
    }

    fn value(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        cursor.skip_space();
        self.next = Next::More;
        let read = match cursor.peek() {
            Some(open @ (b'{' | b'[')) => self.open(open == b'{', cursor),
            Some(b'"') => {
                cursor.advance(1);
                self.next = Next::InText;
                Ok(())
            }
            Some(b't') => cursor.expect_word("true"),
            Some(b'f') => cursor.expect_word("false"),
            Some(b'n') => cursor.expect_word("null"),
            Some(b'-' | b'0'..=b'9') => self.number(cursor),
            _ => Err(cursor.syntax("a value")),
        };
        if read.is_err() {
            self.next = Next::Value;
        }
        read
    }

    fn number(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        let mut ahead = *cursor;
        let literal = number::scan(&mut ahead);
        if ahead.is_at_cut() {
            if !cursor.is_long_since(cursor.at()) {
                return Err(Stop::Cut);
            }
            self.literal = LongLiteral::new(cursor.at());
            self.next = Next::Long;
            return Ok(());
        }
        if let Some(expected) = literal.expected {
            return Err(ahead.syntax(expected));
        }
        if self.only_doubles && Float64::quick(&literal).is_none() {
            self.literal = LongLiteral::new(cursor.at());
            self.literal.read(cursor)?;
            return self.check_range(cursor);
        }
        *cursor = ahead;
        Ok(())
    }

    /// The cursor stands behind the number.
    fn check_range(&self, cursor: &Cursor<'_>) -> Result<(), Stop> {
        if self.only_doubles && self.literal.element::<8, Float64>(cursor.seen()).is_err() {
            let mut start = *cursor;
            start.move_to(self.literal.start);
            return Err(start.syntax("a number that a double can hold"));
        }
        Ok(())
    }

    /// Steps over the opening byte, unless this is too deep.
    fn open(&mut self, is_object: bool, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        if self.depth >= JSON_DEPTH_MAX {
            let position = Position::unlocated(cursor.at());
            return Err(Stop::Wrong(JsonError::TooDeep { position }));
        }
        cursor.advance(1);
        self.depth += 1;
        self.objects &= !(1 << self.depth);
        self.objects |= u128::from(is_object) << self.depth;
        self.next = Next::First;
        Ok(())
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.next = Next::More;
    }

    fn is_in_object(&self) -> bool {
        self.objects >> self.depth & 1 == 1
    }

    fn entry(&self) -> Next {
        if self.is_in_object() { Next::Key } else { Next::Value }
    }

    fn closing(&self) -> u8 {
        if self.is_in_object() { b'}' } else { b']' }
    }

    fn expected(&self) -> &'static str {
        if self.is_in_object() { "',' or '}'" } else { "',' or ']'" }
    }
}
