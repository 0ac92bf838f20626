//! For whom a prediction is, or of whom a lesson: a key, or numbers that describe them.

use std::borrow::Cow;

use super::cursor::Stop;
use super::error::{JsonError, Position};
use super::key::Key;
use super::value::{Span, Value, double, entries};
use crate::limits::{CONTEXT_KEY_BYTES_MAX, CONTEXT_NUMBERS_MAX};

/// Clipper's key for a context.
pub(super) const UID: &str = "uid";
pub(super) const CONTEXT: &str = "context";

/// The context that a body names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Context<'a> {
    /// None, or the empty key.
    None,
    /// At most [`CONTEXT_KEY_BYTES_MAX`] bytes. A whole number is its own text.
    Key(Cow<'a, str>),
    Vector(Vector<'a>),
}

/// 1 to [`CONTEXT_NUMBERS_MAX`] finite numbers, as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vector<'a> {
    written: &'a [u8],
}

/// Where the context stands in the body.
#[derive(Clone, Copy, Debug)]
pub(super) struct ContextAt {
    /// What it was given as.
    key: &'static str,
    span: Span,
    is_vector: bool,
}

impl Vector<'_> {
    pub fn numbers(&self) -> impl Iterator<Item = f64> {
        entries(self.written).filter_map(|(_, entry)| double(entry))
    }
}

impl ContextAt {
    /// Checks what stands behind `uid` or `context`.
    pub(super) fn read(value: &Value<'_>) -> Result<Self, Stop> {
        let key = value.key;
        let of = |span| Ok(Self { key, span, is_vector: false });
        if value.is_string() {
            check_key(value, value.text_bytes())?;
            return of(value.within_quotes());
        }
        if value.is_integer() {
            check_key(value, value.written.len())?;
            return of(value.span);
        }
        if key == UID {
            return Err(value.unfit("a string or a whole number"));
        }
        if !value.is_array() {
            return Err(value.unfit("a string, a whole number or an array of numbers"));
        }
        check_vector(value)?;
        Ok(Self { key, span: value.span, is_vector: true })
    }

    /// It is given once more, as `name`.
    pub(super) fn given_again(&self, key: &Key, name: &'static str) -> Stop {
        if self.key == name {
            return key.duplicate(name);
        }
        Stop::Wrong(JsonError::BothContexts { position: key.position() })
    }

    pub(super) fn context(self, body: &[u8]) -> Context<'_> {
        if self.is_vector {
            return Context::Vector(Vector { written: self.span.written(body) });
        }
        let text = self.span.text(body);
        if text.is_empty() { Context::None } else { Context::Key(text) }
    }
}

fn check_key(value: &Value<'_>, found: usize) -> Result<(), Stop> {
    if found <= CONTEXT_KEY_BYTES_MAX {
        return Ok(());
    }
    let (position, key) = (Position::unlocated(value.span.start), value.key);
    Err(Stop::Wrong(JsonError::ContextKeyTooLong { position, key, found }))
}

fn check_vector(value: &Value<'_>) -> Result<(), Stop> {
    let found = value.doubles().try_fold(0, |count, number| number.map(|_| count + 1))?;
    if (1..=CONTEXT_NUMBERS_MAX).contains(&found) {
        return Ok(());
    }
    let position = Position::unlocated(value.span.start);
    Err(Stop::Wrong(JsonError::ContextNumbers { position, found }))
}
