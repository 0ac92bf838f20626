//! Keys of an object, as far as it takes to know them.

use super::cursor::{Cursor, Stop};
use super::error::{JsonError, Position};
use super::text;

/// No key of ours is longer.
const KEY_BYTES_MAX: usize = 11;

/// A key that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    at: usize,
    text: [u8; KEY_BYTES_MAX],
    bytes: usize,
}

impl Key {
    pub(super) fn new() -> Self {
        Self { at: 0, text: [0; KEY_BYTES_MAX], bytes: 0 }
    }

    /// Steps over the opening quote of a key.
    pub(super) fn begin(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        cursor.expect_quote("a key in quotes")?;
        self.at = cursor.at() - 1;
        self.bytes = 0;
        Ok(())
    }

    /// Steps over the rest of it, or over as much as the piece has.
    pub(super) fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        text::read(cursor, |piece| self.push(piece))
    }

    /// The key, if it is one of these, none of which is longer than [`KEY_BYTES_MAX`].
    pub(super) fn among(&self, names: &[&'static str]) -> Option<&'static str> {
        let text = self.text.get(..self.bytes)?;
        names.iter().copied().find(|name| name.as_bytes() == text)
    }

    /// Where it stands.
    pub(super) fn position(&self) -> Position {
        Position::unlocated(self.at)
    }

    /// It was there before.
    pub(super) fn duplicate(&self, key: &'static str) -> Stop {
        Stop::Wrong(JsonError::Duplicate { position: self.position(), key })
    }

    fn push(&mut self, piece: &str) {
        let end = self.bytes + piece.len();
        if let Some(place) = self.text.get_mut(self.bytes..end) {
            place.copy_from_slice(piece.as_bytes());
        }
        self.bytes = end;
    }
}
