//! The body of `POST /{app}/predict`: its keys and its inputs, read in pieces.
//!
//! A [`PredictReader`] is what is known of a body between two pieces: an offset, what is to be read
//! next, and the little that the rooms for numbers, text and skipped values keep. Each step below
//! either moves on, or leaves the cursor where it can be taken again when the piece ends.

use std::borrow::Cow;

use cutter_tensor::{ElementType, TensorSpec};

use super::cursor::{Cursor, Stop};
use super::error::{JsonError, Locator, Place, Position, Unit};
use super::numbers::{Asked, Numbers};
use super::skip::Skip;
use super::{base64, text};
use crate::limits::{NAME_BYTES_MAX, TIMEOUT_US_MAX};

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

/// What a body asks for, apart from the values of its inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body<'a> {
    /// The inputs, and so the rows committed: at least 1.
    pub count: usize,
    /// Whether they came as `input_batch`.
    pub is_batch: bool,
    /// The model version asked for.
    pub version: Option<Cow<'a, str>>,
    /// How long the answer may take, in microseconds.
    pub timeout_us: Option<u32>,
}

/// How far a body has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The budget is used up. [`PredictReader::read`] goes on from here.
    Paused,
    Done(Body<'a>),
}

/// Reads `{"input": X}` or `{"input_batch": [X, …]}`, either with an optional `"version"` and
/// `"timeout_us"`, and writes each X as one row. Other keys are checked and ignored.
pub fn read_predict<'a>(
    body: &'a [u8],
    spec: &TensorSpec,
    batch_max: usize,
    rows: &mut impl Rows,
) -> Result<Body<'a>, JsonError> {
    match PredictReader::new(*spec, batch_max).read(body, usize::MAX, rows)? {
        Progress::Done(body) => Ok(body),
        Progress::Paused => unreachable!("no body is longer than the budget"),
    }
}

/// A body that is being read.
#[derive(Clone, Debug)]
pub struct PredictReader {
    spec: TensorSpec,
    batch_max: usize,
    /// Where the next piece begins.
    pub(super) at: usize,
    step: Step,
    key: Key,
    inputs: Option<Inputs>,
    version: Option<Version>,
    timeout_us: Option<u32>,
    /// Where the string begins that is being read, behind its quote.
    text_at: usize,
    /// Bytes of what it means, as far as it was read.
    text_bytes: usize,
    base64: base64::Decoder,
    numbers: Numbers,
    skip: Skip,
    failure: Option<Box<Locator>>,
}

/// What is to be read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Object,
    /// The first key, or the end of the object.
    FirstKey,
    Key,
    /// The rest of a key.
    InKey,
    Colon,
    Value,
    /// A comma, or the end of the object.
    MoreKeys,
    Batch,
    /// The first input of a batch; there must be one.
    FirstInput,
    Input,
    Numbers,
    /// The rest of a string that is an input.
    InText,
    /// The rest of base64.
    InBase64,
    /// A comma, or the end of the batch.
    MoreInputs,
    /// The rest of a version.
    InVersion,
    /// The rest of a timeout.
    InTimeout,
    Skip,
    End,
    Done,
}

const INPUT: &str = "input";
const INPUT_BATCH: &str = "input_batch";
const VERSION: &str = "version";
const TIMEOUT_US: &str = "timeout_us";

/// Enough of a key to know it.
#[derive(Clone, Copy, Debug)]
struct Key {
    at: usize,
    text: [u8; INPUT_BATCH.len()],
    bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Inputs {
    count: usize,
    is_batch: bool,
}

/// Where the version stands in the body.
#[derive(Clone, Copy, Debug)]
struct Version {
    start: usize,
    end: usize,
}

impl PredictReader {
    pub fn new(spec: TensorSpec, batch_max: usize) -> Self {
        Self {
            spec,
            batch_max,
            at: 0,
            step: Step::Object,
            key: Key { at: 0, text: [0; INPUT_BATCH.len()], bytes: 0 },
            inputs: None,
            version: None,
            timeout_us: None,
            text_at: 0,
            text_bytes: 0,
            base64: base64::Decoder::default(),
            numbers: Numbers::new(),
            skip: Skip::new(0),
            failure: None,
        }
    }

    /// Goes on where the last call stopped, for about `budget_bytes` of the body and never more
    /// than [`JSON_OVERSHOOT_BYTES_MAX`](crate::limits::JSON_OVERSHOOT_BYTES_MAX) beyond them. The
    /// body is the same in each call, and whole.
    ///
    /// # Panics
    /// When called again after [`Progress::Done`].
    pub fn read<'a>(
        &mut self,
        body: &'a [u8],
        budget_bytes: usize,
        rows: &mut impl Rows,
    ) -> Result<Progress<'a>, JsonError> {
        let budget_bytes = budget_bytes.max(1);
        let mut left_bytes = budget_bytes;
        if self.failure.is_none() {
            let mut cursor = Cursor::new(body, self.at, budget_bytes);
            let pause_at = self.at.saturating_add(budget_bytes);
            let read = self.steps(&mut cursor, pause_at, rows);
            left_bytes -= (cursor.at() - self.at).min(budget_bytes);
            self.at = cursor.at();
            match read {
                Ok(inputs) => return Ok(Progress::Done(self.body(body, inputs))),
                Err(Stop::Cut) => return Ok(Progress::Paused),
                Err(Stop::Wrong(error)) => self.failure = Some(Box::new(Locator::new(error))),
            }
        }
        let located = self.failure.as_mut().and_then(|failure| failure.locate(body, left_bytes));
        located.map_or(Ok(Progress::Paused), Err)
    }

    fn steps(
        &mut self,
        cursor: &mut Cursor<'_>,
        pause_at: usize,
        rows: &mut impl Rows,
    ) -> Result<Inputs, Stop> {
        if self.step == Step::Object {
            self.begin_as_usual(cursor);
        }
        while self.step != Step::End {
            if cursor.at() >= pause_at {
                return Err(Stop::Cut);
            }
            match self.step {
                Step::Object => {
                    cursor.expect(b'{', "an object such as {\"input\": …}")?;
                    self.step = Step::FirstKey;
                }
                Step::FirstKey if cursor.closes(b'}')? => self.step = Step::End,
                Step::FirstKey | Step::Key => self.key(cursor)?,
                Step::InKey => {
                    text::read(cursor, |piece| self.key.push(piece))?;
                    self.step = Step::Colon;
                }
                Step::Colon => {
                    cursor.expect(b':', "':'")?;
                    self.step = Step::Value;
                }
                Step::Value => self.value(cursor)?,
                Step::MoreKeys => {
                    let more = cursor.more(b'}', "',' or '}'")?;
                    self.step = if more { Step::Key } else { Step::End };
                }
                Step::Batch => {
                    cursor.expect(b'[', "an array of inputs")?;
                    self.step = Step::FirstInput;
                }
                Step::FirstInput if cursor.closes(b']')? => {
                    return Err(Stop::Wrong(JsonError::EmptyBatch { batch_max: self.batch_max }));
                }
                Step::FirstInput | Step::Input => self.input(cursor, rows)?,
                Step::Numbers => {
                    let bytes = self.numbers(cursor, rows.row())?;
                    self.commit(bytes, rows);
                }
                Step::InText => self.text(cursor, rows)?,
                Step::InBase64 => self.base64(cursor, rows)?,
                Step::MoreInputs => self.more_inputs(cursor)?,
                Step::InVersion => self.version(cursor)?,
                Step::InTimeout => self.timeout(cursor)?,
                Step::Skip => {
                    self.skip.read(cursor)?;
                    self.step = Step::MoreKeys;
                }
                Step::End | Step::Done => unreachable!("a body is read once"),
            }
        }
        cursor.expect_end()?;
        self.step = Step::Done;
        self.inputs.ok_or(Stop::Wrong(JsonError::NoInput))
    }

    /// Nearly all bodies begin with the very same bytes: then the first key is known at a look.
    fn begin_as_usual(&mut self, cursor: &mut Cursor<'_>) {
        let is_batch = if cursor.take_all(b"{\"input\":") {
            false
        } else if cursor.take_all(b"{\"input_batch\":") {
            true
        } else {
            return;
        };
        self.inputs = Some(Inputs { count: 0, is_batch });
        self.step = if is_batch { Step::Batch } else { Step::Input };
    }

    fn key(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        cursor.expect_quote("a key in quotes")?;
        self.key.at = cursor.at() - 1;
        self.key.bytes = 0;
        self.step = Step::InKey;
        Ok(())
    }

    fn value(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        match self.key.name() {
            Some(INPUT) => self.begin_inputs(false),
            Some(INPUT_BATCH) => self.begin_inputs(true),
            Some(VERSION) if self.version.is_some() => Err(self.duplicate(VERSION)),
            Some(VERSION) => {
                cursor.expect_quote("a version in quotes")?;
                self.begin_text(cursor, Step::InVersion);
                Ok(())
            }
            Some(TIMEOUT_US) if self.timeout_us.is_some() => Err(self.duplicate(TIMEOUT_US)),
            Some(TIMEOUT_US) => {
                cursor.skip_space();
                self.begin_text(cursor, Step::InTimeout);
                self.skip = Skip::new(1);
                Ok(())
            }
            _ => {
                self.skip = Skip::new(1);
                self.step = Step::Skip;
                Ok(())
            }
        }
    }

    fn begin_inputs(&mut self, is_batch: bool) -> Result<(), Stop> {
        match self.inputs {
            None => {
                self.inputs = Some(Inputs { count: 0, is_batch });
                self.step = if is_batch { Step::Batch } else { Step::Input };
                Ok(())
            }
            Some(before) if before.is_batch != is_batch => {
                let position = Position::unlocated(self.key.at);
                Err(Stop::Wrong(JsonError::BothInputs { position }))
            }
            Some(_) => Err(self.duplicate(if is_batch { INPUT_BATCH } else { INPUT })),
        }
    }

    fn duplicate(&self, key: &'static str) -> Stop {
        Stop::Wrong(JsonError::Duplicate { position: Position::unlocated(self.key.at), key })
    }

    /// At the first byte of an input, or at the space before it.
    fn input(&mut self, cursor: &mut Cursor<'_>, rows: &mut impl Rows) -> Result<(), Stop> {
        match self.spec.element {
            ElementType::Int32 | ElementType::Float32 | ElementType::Float64 => {
                self.numbers.restart();
                self.step = Step::Numbers;
            }
            ElementType::String => {
                cursor.expect_quote("a string")?;
                self.begin_text(cursor, Step::InText);
            }
            ElementType::Bytes => {
                cursor.expect_quote("a string of base64")?;
                self.base64 = base64::Decoder::default();
                self.begin_text(cursor, Step::InBase64);
            }
        }
        let row = rows.next_row();
        assert_eq!(row.len(), self.spec.bytes_max(), "a row has room for exactly one input");
        if self.step == Step::Numbers {
            let bytes = self.numbers(cursor, row)?;
            self.commit(bytes, rows);
        }
        Ok(())
    }

    /// Behind the opening quote of a string.
    fn begin_text(&mut self, cursor: &Cursor<'_>, step: Step) {
        self.text_at = cursor.at();
        self.text_bytes = 0;
        self.step = step;
    }

    fn numbers(&mut self, cursor: &mut Cursor<'_>, row: &mut [u8]) -> Result<usize, Stop> {
        let asked = asked(&self.spec, self.inputs);
        self.numbers.read(cursor, row, &asked, &mut self.skip)
    }

    /// A string, unescaped into the row.
    fn text(&mut self, cursor: &mut Cursor<'_>, rows: &mut impl Rows) -> Result<(), Stop> {
        let row = rows.row();
        let bytes = &mut self.text_bytes;
        text::read(cursor, |piece| {
            let place = row.get_mut(*bytes..).unwrap_or_default();
            if let Some(place) = place.get_mut(..piece.len()) {
                place.copy_from_slice(piece.as_bytes());
            }
            *bytes += piece.len();
        })?;
        let bytes = self.text_bytes;
        asked(&self.spec, self.inputs).check_length(bytes, bytes, Unit::Bytes)?;
        self.commit(bytes, rows);
        Ok(())
    }

    /// A string of base64, decoded into the row.
    fn base64(&mut self, cursor: &mut Cursor<'_>, rows: &mut impl Rows) -> Result<(), Stop> {
        let row = rows.row();
        text::read(cursor, |piece| self.base64.push(piece, row))?;
        let asked = asked(&self.spec, self.inputs);
        let length = self.base64.length();
        if let Some(bytes) = length {
            asked.check_length(bytes, bytes, Unit::Bytes)?;
        }
        let length = length.filter(|_| self.base64.finish(row));
        let bytes = length.ok_or_else(|| {
            let position = Position::unlocated(self.text_at);
            Stop::Wrong(JsonError::Base64 { position, place: asked.place })
        })?;
        self.commit(bytes, rows);
        Ok(())
    }

    /// The row holds an input.
    fn commit(&mut self, bytes: usize, rows: &mut impl Rows) {
        rows.commit(bytes);
        self.step = Step::MoreKeys;
        if let Some(inputs) = &mut self.inputs {
            inputs.count += 1;
            if inputs.is_batch {
                self.step = Step::MoreInputs;
            }
        }
    }

    fn more_inputs(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        let more = cursor.more(b']', "',' or ']'")?;
        let batch_max = self.batch_max;
        if more && self.inputs.is_some_and(|inputs| inputs.count >= batch_max) {
            return Err(Stop::Wrong(JsonError::BatchTooLong { batch_max }));
        }
        self.step = if more { Step::Input } else { Step::MoreKeys };
        Ok(())
    }

    fn version(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        text::read(cursor, |piece| self.text_bytes += piece.len())?;
        if self.text_bytes > NAME_BYTES_MAX {
            let (position, found) = (Position::unlocated(self.text_at), self.text_bytes);
            return Err(Stop::Wrong(JsonError::VersionTooLong { position, found }));
        }
        self.version = Some(Version { start: self.text_at, end: cursor.at() - 1 });
        self.step = Step::MoreKeys;
        Ok(())
    }

    /// Any value is read to its end, and then has to be a whole number.
    fn timeout(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        self.skip.read(cursor)?;
        let written = cursor.slice(self.text_at, cursor.at()).trim_ascii();
        let is_whole = !written.is_empty() && written.iter().all(u8::is_ascii_digit);
        let value = str::from_utf8(written).ok().filter(|_| is_whole);
        let value = value.and_then(|digits| digits.parse().ok());
        let value = value.filter(|timeout_us| (1..=TIMEOUT_US_MAX).contains(timeout_us));
        if value.is_none() {
            let position = Position::unlocated(self.text_at);
            return Err(Stop::Wrong(JsonError::Timeout { position }));
        }
        self.timeout_us = value;
        self.step = Step::MoreKeys;
        Ok(())
    }

    fn body<'a>(&self, body: &'a [u8], inputs: Inputs) -> Body<'a> {
        let Inputs { count, is_batch } = inputs;
        let version = self.version.map(|version| version.text(body));
        Body { count, is_batch, version, timeout_us: self.timeout_us }
    }
}

impl Key {
    fn push(&mut self, piece: &str) {
        let end = self.bytes + piece.len();
        if let Some(place) = self.text.get_mut(self.bytes..end) {
            place.copy_from_slice(piece.as_bytes());
        }
        self.bytes = end;
    }

    /// The key, if it is one of ours.
    fn name(&self) -> Option<&'static str> {
        let text = self.text.get(..self.bytes)?;
        [INPUT, INPUT_BATCH, VERSION, TIMEOUT_US].into_iter().find(|name| name.as_bytes() == text)
    }
}

impl Version {
    /// What it means. Copies only if there are escapes.
    fn text<'a>(&self, body: &'a [u8]) -> Cow<'a, str> {
        let written = &body[self.start..self.end];
        if !written.contains(&b'\\') {
            return Cow::Borrowed(str::from_utf8(written).unwrap_or_default());
        }
        let mut text = String::with_capacity(NAME_BYTES_MAX);
        let mut cursor = Cursor::new(body, self.start, usize::MAX);
        let read = text::read(&mut cursor, |piece| text.push_str(piece));
        debug_assert_eq!(read, Ok(()), "it was read before");
        Cow::Owned(text)
    }
}

/// What errors say of the input that is being read.
fn asked(spec: &TensorSpec, inputs: Option<Inputs>) -> Asked<'_> {
    match inputs {
        Some(Inputs { count, is_batch: true }) => {
            Asked { spec, place: Place::BatchItem(count), depth: 2 }
        }
        _ => Asked { spec, place: Place::Single, depth: 1 },
    }
}
