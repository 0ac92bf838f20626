//! One input of a body, written straight into its row: numbers, a string or base64.

use cutter_tensor::{ElementType, TensorSpec};

use super::cursor::{Cursor, Stop};
use super::error::{JsonError, Place, Position, Unit};
use super::numbers::{Asked, Numbers};
use super::skip::Skip;
use super::{base64, text};

/// Where the values go. One row for each input.
///
/// When the body turns out to be wrong, rows may have been given and committed already. Who gave
/// them takes them back.
pub trait Rows {
    /// Exactly `spec.bytes_max()` bytes for the next input, which nobody else sees yet. May be a
    /// scratch place when the pool is full.
    fn next_row(&mut self) -> &mut [u8];

    /// The row given last, which is not committed yet. What was written to a scratch place may be
    /// lost between two pieces of a body: nothing is read back.
    fn row(&mut self) -> &mut [u8];

    /// The row given last holds this many bytes.
    fn commit(&mut self, bytes: usize);
}

/// Which input of the body it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Where {
    pub(super) place: Place,
    /// Arrays and objects that are open around it.
    pub(super) depth: usize,
}

/// An input that is being read.
#[derive(Clone, Debug)]
pub(super) struct Input {
    spec: TensorSpec,
    /// Where its string begins, behind the quote.
    text_at: usize,
    /// Bytes of what the string means, as far as it was read.
    text_bytes: usize,
    base64: base64::Decoder,
    numbers: Numbers,
}

impl Input {
    pub(super) fn new(spec: TensorSpec) -> Self {
        Self {
            spec,
            text_at: 0,
            text_bytes: 0,
            base64: base64::Decoder::default(),
            numbers: Numbers::new(),
        }
    }

    /// At the first byte of an input, or at the space before it.
    #[inline]
    pub(super) fn begin(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        match self.spec.element {
            ElementType::Int32 | ElementType::Float32 | ElementType::Float64 => {
                self.numbers.restart();
                return Ok(());
            }
            ElementType::String => cursor.expect_quote("a string")?,
            ElementType::Bytes => {
                cursor.expect_quote("a string of base64")?;
                self.base64 = base64::Decoder::default();
            }
        }
        self.text_at = cursor.at();
        self.text_bytes = 0;
        Ok(())
    }

    /// A row for it.
    #[inline]
    pub(super) fn next_row<'r>(&self, rows: &'r mut impl Rows) -> &'r mut [u8] {
        let row = rows.next_row();
        assert_eq!(row.len(), self.spec.bytes_max(), "a row has room for exactly one input");
        row
    }

    /// Reads the input, or as much of it as the piece has, into its row; gives the bytes that it
    /// takes there. `surplus` is for what is beyond the shape.
    #[inline]
    pub(super) fn read(
        &mut self,
        cursor: &mut Cursor<'_>,
        row: &mut [u8],
        Where { place, depth }: Where,
        surplus: &mut Skip,
    ) -> Result<usize, Stop> {
        let asked = Asked { spec: &self.spec, place, depth };
        match self.spec.element {
            ElementType::Int32 | ElementType::Float32 | ElementType::Float64 => {
                self.numbers.read(cursor, row, &asked, surplus)
            }
            ElementType::String => text_into(cursor, row, &mut self.text_bytes, &asked),
            ElementType::Bytes => {
                base64_into(cursor, row, (self.text_at, &mut self.base64), &asked)
            }
        }
    }
}

/// A string, unescaped into the row.
fn text_into(
    cursor: &mut Cursor<'_>,
    row: &mut [u8],
    bytes: &mut usize,
    asked: &Asked<'_>,
) -> Result<usize, Stop> {
    text::read(cursor, |piece| {
        let place = row.get_mut(*bytes..).unwrap_or_default();
        if let Some(place) = place.get_mut(..piece.len()) {
            place.copy_from_slice(piece.as_bytes());
        }
        *bytes += piece.len();
    })?;
    asked.check_length(*bytes, *bytes, Unit::Bytes)?;
    Ok(*bytes)
}

/// A string of base64, which begins at `at`, decoded into the row.
fn base64_into(
    cursor: &mut Cursor<'_>,
    row: &mut [u8],
    (at, decoder): (usize, &mut base64::Decoder),
    asked: &Asked<'_>,
) -> Result<usize, Stop> {
    text::read(cursor, |piece| decoder.push(piece, row))?;
    let length = decoder.length();
    if let Some(bytes) = length {
        asked.check_length(bytes, bytes, Unit::Bytes)?;
    }
    length.filter(|_| decoder.finish(row)).ok_or_else(|| {
        let position = Position::unlocated(at);
        Stop::Wrong(JsonError::Base64 { position, place: asked.place })
    })
}
