//! The body of `POST /{app}/predict`: its keys, and the shapes of its inputs.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use cutter_protocol::tensor::{ElementType, Extent, TensorSpec};

use super::cursor::Cursor;
use super::error::{Excerpt, JsonError, Place, Unit};
use super::number::{self, Element, Float32, Float64, Int32, Unfit};
use super::string;

/// Where the values go. One row for each input.
///
/// When the body turns out to be wrong, rows may have been given and committed already. Who gave
/// them takes them back.
pub trait Rows {
    /// Exactly `spec.bytes_max()` bytes for the next input, which nobody else sees yet. May be a
    /// scratch place when the pool is full.
    fn next_row(&mut self) -> &mut [u8];

    /// The row given last, which is not committed yet.
    fn row(&mut self) -> &mut [u8] {
        unimplemented!()
    }

    /// The row given last holds this many bytes.
    fn commit(&mut self, bytes: usize);
}

/// What a body asks for, apart from the values of its inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body<'a> {
    /// The inputs, and so the rows committed: at least 1.
    pub count: usize,
    /// Whether they came as `input_batch`.
    pub is_batch: bool,
    /// The model version asked for.
    pub version: Option<Cow<'a, str>>,
}

/// Reads `{"input": X}` or `{"input_batch": [X, …]}`, either with an optional `"version"`, and
/// writes each X as one row. Other keys are checked and ignored.
pub fn read_predict<'a>(
    body: &'a [u8],
    spec: &TensorSpec,
    batch_max: usize,
    rows: &mut impl Rows,
) -> Result<Body<'a>, JsonError> {
    let cursor = Cursor::new(body);
    let mut reader = Reader { cursor, spec: *spec, batch_max, place: Place::Single };
    reader.body(rows)
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    spec: TensorSpec,
    batch_max: usize,
    /// The input being read, for errors.
    place: Place,
}

const INPUT: &str = "input";
const INPUT_BATCH: &str = "input_batch";
const VERSION: &str = "version";
/// What is expected of an array, in errors.
const ARRAY: &str = "an array of numbers";
const NEXT: &str = "',' or ']'";

impl<'a> Reader<'a> {
    fn body(&mut self, rows: &mut impl Rows) -> Result<Body<'a>, JsonError> {
        let mut inputs: Option<(usize, bool)> = None;
        let mut version = None;
        self.cursor.expect(b'{', "an object such as {\"input\": …}")?;
        self.cursor.skip_space();
        let mut more = !self.cursor.take(b'}');
        while more {
            self.cursor.skip_space();
            let key_at = self.cursor.at();
            let key = self.string("a key in quotes")?.text()?;
            self.cursor.expect(b':', "':'")?;
            self.cursor.skip_space();
            match key.as_ref() {
                INPUT => {
                    self.check_first(inputs, false, key_at)?;
                    self.item(rows)?;
                    inputs = Some((1, false));
                }
                INPUT_BATCH => {
                    self.check_first(inputs, true, key_at)?;
                    inputs = Some((self.batch(rows)?, true));
                }
                VERSION if version.is_some() => return Err(self.duplicate(VERSION, key_at)),
                VERSION => version = Some(self.string("a version in quotes")?.text()?),
                _ => self.cursor.skip_value(1)?,
            }
            more = self.cursor.more(b'}', "',' or '}'")?;
        }
        self.cursor.expect_end()?;
        let (count, is_batch) = inputs.ok_or(JsonError::NoInput)?;
        Ok(Body { count, is_batch, version })
    }

    fn check_first(
        &self,
        inputs: Option<(usize, bool)>,
        is_batch: bool,
        key_at: usize,
    ) -> Result<(), JsonError> {
        match inputs {
            None => Ok(()),
            Some((_, before)) if before != is_batch => {
                Err(JsonError::BothInputs { position: self.cursor.position(key_at) })
            }
            Some(_) => Err(self.duplicate(if is_batch { INPUT_BATCH } else { INPUT }, key_at)),
        }
    }

    fn duplicate(&self, key: &'static str, key_at: usize) -> JsonError {
        JsonError::Duplicate { position: self.cursor.position(key_at), key }
    }

    fn string(&mut self, expected: &'static str) -> Result<string::Written<'a>, JsonError> {
        match self.cursor.peek() {
            Some(b'"') => string::scan(&mut self.cursor),
            _ => Err(self.cursor.syntax(expected)),
        }
    }

    fn batch(&mut self, rows: &mut impl Rows) -> Result<usize, JsonError> {
        let batch_max = self.batch_max;
        self.cursor.expect(b'[', "an array of inputs")?;
        self.cursor.skip_space();
        if self.cursor.take(b']') {
            return Err(JsonError::EmptyBatch { batch_max });
        }
        for item in 0..batch_max {
            self.place = Place::BatchItem(item);
            self.cursor.skip_space();
            self.item(rows)?;
            if !self.cursor.more(b']', NEXT)? {
                return Ok(item + 1);
            }
        }
        Err(JsonError::BatchTooLong { batch_max })
    }

    /// One input, into one row. The cursor stands at its first byte.
    fn item(&mut self, rows: &mut impl Rows) -> Result<(), JsonError> {
        let row = rows.next_row();
        assert_eq!(row.len(), self.spec.bytes_max(), "a row has room for exactly one input");
        let bytes = match self.spec.element {
            ElementType::Int32 => self.numbers::<4, Int32>(row)?,
            ElementType::Float32 => self.numbers::<4, Float32>(row)?,
            ElementType::Float64 => self.numbers::<8, Float64>(row)?,
            ElementType::String => self.text(row)?,
            ElementType::Bytes => self.base64(row)?,
        };
        rows.commit(bytes);
        Ok(())
    }

    /// A string, unescaped into the row.
    fn text(&mut self, row: &mut [u8]) -> Result<usize, JsonError> {
        let written = self.string("a string")?;
        let mut bytes = 0;
        written.unescape(|piece| {
            let place = row.get_mut(bytes..).unwrap_or_default();
            if let Some(place) = place.get_mut(..piece.len()) {
                place.copy_from_slice(piece.as_bytes());
            }
            bytes += piece.len();
        })?;
        self.check_length(bytes, bytes, Unit::Bytes)?;
        Ok(bytes)
    }

    /// A string of base64, decoded into the row.
    fn base64(&mut self, row: &mut [u8]) -> Result<usize, JsonError> {
        let written = self.string("a string of base64")?;
        let text = written.text()?;
        let padding = text.bytes().rev().take(2).take_while(|byte| *byte == b'=').count();
        let bytes = (text.len() / 4 * 3).saturating_sub(padding);
        // Text of another length is no base64, which the decoder finds; the row need not fit then.
        if text.len().is_multiple_of(4) {
            self.check_length(bytes, bytes, Unit::Bytes)?;
        }
        BASE64.decode_slice(text.as_bytes(), row).map_err(|_| JsonError::Base64 {
            position: self.cursor.position(written.at()),
            place: self.place,
        })
    }

    /// Numbers in any of the forms that the shape allows.
    fn numbers<const N: usize, E: Element<N>>(
        &mut self,
        row: &mut [u8],
    ) -> Result<usize, JsonError> {
        let (cells, _) = row.as_chunks_mut::<N>();
        let mut unit = Unit::NumbersOf { bytes: N };
        if let Extent::Exact(shape) = self.spec.extent {
            unit = Unit::Numbers;
            if shape.dims().is_empty() && self.cursor.peek() != Some(b'[') {
                let mut cursor = self.cursor;
                cells[0] = self.number::<N, E>(&mut cursor, 0)?;
                self.cursor = cursor;
                return Ok(N);
            }
            if shape.dims().len() >= 2 && self.is_nested() {
                self.nested::<N, E>(shape.dims(), 0, cells)?;
                return Ok(size_of_val(cells));
            }
        }
        let count = self.flat::<N, E>(cells, 0)?;
        self.check_length(count * N, count, unit)?;
        Ok(count * N)
    }

    /// Whether the array that begins here holds arrays.
    fn is_nested(&self) -> bool {
        let mut ahead = self.cursor;
        let is_array = ahead.take(b'[');
        ahead.skip_space();
        is_array && ahead.peek() == Some(b'[')
    }

    /// Arrays in arrays, as deep as there are dimensions. `cells` are those of `dims` alone, the
    /// first of them is element `first` of the input.
    fn nested<const N: usize, E: Element<N>>(
        &mut self,
        dims: &[u32],
        first: usize,
        cells: &mut [[u8; N]],
    ) -> Result<(), JsonError> {
        let Some((&wanted, inner)) = dims.split_first() else { return Ok(()) };
        let start = self.cursor.at();
        let mut found = 0;
        if inner.is_empty() {
            found = self.flat::<N, E>(cells, first)?;
        } else {
            let size: usize = inner.iter().map(|dim| *dim as usize).product();
            self.cursor.expect(b'[', ARRAY)?;
            self.cursor.skip_space();
            let mut more = !self.cursor.take(b']');
            while more {
                self.cursor.skip_space();
                if found < wanted as usize {
                    let cells = &mut cells[found * size..(found + 1) * size];
                    self.nested::<N, E>(inner, first + found * size, cells)?;
                } else {
                    // Too many. They are only counted.
                    self.cursor.skip_value(dims.len())?;
                }
                found += 1;
                more = self.cursor.more(b']', NEXT)?;
            }
        }
        if found == wanted as usize { Ok(()) } else { Err(self.dimension(dims, found, start)) }
    }

    /// An array of numbers. Those beyond the cells are checked and counted, and go nowhere.
    fn flat<const N: usize, E: Element<N>>(
        &mut self,
        cells: &mut [[u8; N]],
        first: usize,
    ) -> Result<usize, JsonError> {
        // In a local, the cursor lives in registers.
        let mut cursor = self.cursor;
        cursor.expect(b'[', ARRAY)?;
        cursor.skip_space();
        let mut count = 0;
        let mut more = !cursor.take(b']');
        while more {
            cursor.skip_space();
            let element = self.number::<N, E>(&mut cursor, first + count)?;
            if let Some(cell) = cells.get_mut(count) {
                *cell = element;
            }
            count += 1;
            more = cursor.more(b']', NEXT)?;
        }
        self.cursor = cursor;
        Ok(count)
    }

    /// Element `index` of the input.
    #[inline(always)]
    fn number<const N: usize, E: Element<N>>(
        &self,
        cursor: &mut Cursor<'a>,
        index: usize,
    ) -> Result<[u8; N], JsonError> {
        let start = cursor.at();
        let literal = number::scan(cursor);
        if let Some(expected) = literal.expected {
            return Err(cursor.syntax(expected));
        }
        match E::quick(&literal) {
            Some(element) => Ok(element),
            None => self.slow_number::<N, E>(start, cursor.at(), index),
        }
    }

    #[cold]
    fn slow_number<const N: usize, E: Element<N>>(
        &self,
        start: usize,
        end: usize,
        index: usize,
    ) -> Result<[u8; N], JsonError> {
        // A number is ASCII.
        let text = str::from_utf8(self.cursor.slice(start, end)).unwrap_or_default();
        E::slow(text).map_err(|unfit| {
            let position = self.cursor.position(start);
            let (place, spec, literal) = (self.place, self.spec, Excerpt::of(text));
            match unfit {
                Unfit::NotInteger => {
                    JsonError::NotInteger { position, place, index, literal, spec }
                }
                Unfit::OutOfRange => {
                    let element = spec.element;
                    JsonError::OutOfRange { position, place, index, literal, element }
                }
            }
        })
    }

    fn check_length(&self, bytes: usize, found: usize, unit: Unit) -> Result<(), JsonError> {
        if self.spec.admits_bytes(bytes) {
            return Ok(());
        }
        Err(JsonError::Length { place: self.place, found, unit, spec: self.spec })
    }

    #[cold]
    fn dimension(&self, dims: &[u32], found: usize, start: usize) -> JsonError {
        let Extent::Exact(shape) = self.spec.extent else {
            unreachable!("only an exact shape has dimensions")
        };
        JsonError::Dimension {
            position: self.cursor.position(start),
            place: self.place,
            dimension: shape.dims().len() - dims.len() + 1,
            found,
            wanted: dims[0],
            spec: self.spec,
        }
    }
}
