//! The body of `POST /{app}/update`: one update, or an array of them, read in pieces.
//!
//! ```text
//!  {"query_id": 7, "label": 3}                      one: its keys are those of the body's object
//!  {"updates": [{"input": X, "reward": 0.5}, …]}    several
//! ```
//!
//! An [`UpdateReader`] is to it what a [`PredictReader`](super::PredictReader) is to the body of a
//! prediction. An update is handed on when its object ends: then the reader knows nothing of it any
//! more, so that it is as small for a thousand as for one.

mod parts;

use cutter_tensor::TensorSpec;

use self::parts::{INPUT, KEYS, Parts};
use super::cursor::{Cursor, Stop};
use super::error::{JsonError, Place};
use super::input::{Input, Rows, Where};
use super::key::Key;
use super::pieces::Pieces;
use super::skip::Skip;
use super::value::Value;

pub use self::parts::{Label, Lesson, Target, Update};

/// Where updates go, and their inputs.
///
/// When the body turns out to be wrong, updates may have been handed on already. Who took them
/// forgets them.
pub trait Updates: Rows {
    /// An update. If it is about an input, that is the one committed last.
    fn push(&mut self, update: Update<'_>);
}

/// How far a body has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateProgress {
    /// The budget is used up. [`UpdateReader::read`] goes on from here.
    Paused,
    /// All updates were handed on: at least 1.
    Done {
        count: usize,
        /// Whether they came as `updates`.
        is_batch: bool,
    },
}

/// Reads one update or `{"updates": [U, …]}`; gives how many there are, and whether they came so.
/// Other keys are checked and ignored.
pub fn read_updates(
    body: &[u8],
    spec: &TensorSpec,
    batch_max: usize,
    updates: &mut impl Updates,
) -> Result<(usize, bool), JsonError> {
    match UpdateReader::new(*spec, batch_max).read(body, usize::MAX, updates)? {
        UpdateProgress::Done { count, is_batch } => Ok((count, is_batch)),
        UpdateProgress::Paused => unreachable!("no body is longer than the budget"),
    }
}

/// A body that is being read.
#[derive(Clone, Debug)]
pub struct UpdateReader {
    pub(super) pieces: Pieces,
    reading: Reading,
}

/// What is known of it.
#[derive(Clone, Debug)]
struct Reading {
    batch_max: usize,
    step: Step,
    key: Key,
    /// Whether `updates` was given.
    is_batch: bool,
    /// Whether an object of that is open.
    is_within: bool,
    /// Updates that were handed on.
    count: usize,
    /// The update that is being read.
    parts: Parts,
    /// Where the value begins that is being read.
    value_at: usize,
    input: Input,
    skip: Skip,
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
    /// The first update of a batch; there must be one.
    FirstUpdate,
    Update,
    /// A comma, or the end of the batch.
    MoreUpdates,
    Input,
    /// The rest of an input.
    InInput,
    /// The rest of a value that is looked at once it is whole.
    InValue,
    Skip,
    End,
    Done,
}

const UPDATES: &str = "updates";

impl UpdateReader {
    pub fn new(spec: TensorSpec, batch_max: usize) -> Self {
        let reading = Reading {
            batch_max,
            step: Step::Object,
            key: Key::new(),
            is_batch: false,
            is_within: false,
            count: 0,
            parts: Parts::new(0),
            value_at: 0,
            input: Input::new(spec),
            skip: Skip::new(0),
        };
        Self { pieces: Pieces::new(), reading }
    }

    /// Goes on where the last call stopped, for about `budget_bytes` of the body and never more
    /// than [`JSON_OVERSHOOT_BYTES_MAX`](crate::limits::JSON_OVERSHOOT_BYTES_MAX) beyond them. The
    /// body is the same in each call, and whole.
    ///
    /// # Panics
    /// When called again after [`UpdateProgress::Done`].
    pub fn read(
        &mut self,
        body: &[u8],
        budget_bytes: usize,
        updates: &mut impl Updates,
    ) -> Result<UpdateProgress, JsonError> {
        let Self { pieces, reading } = self;
        let steps = |cursor: &mut Cursor<'_>, pause_at| reading.steps(cursor, pause_at, updates);
        let read = pieces.read(body, budget_bytes, steps)?;
        let Reading { count, is_batch, .. } = *reading;
        Ok(read.map_or(UpdateProgress::Paused, |()| UpdateProgress::Done { count, is_batch }))
    }
}

impl Reading {
    fn steps(
        &mut self,
        cursor: &mut Cursor<'_>,
        pause_at: usize,
        updates: &mut impl Updates,
    ) -> Result<(), Stop> {
        while self.step != Step::End {
            if cursor.at() >= pause_at {
                return Err(Stop::Cut);
            }
            match self.step {
                Step::Object => self.open(cursor, "an object such as {\"query_id\": …}")?,
                Step::FirstKey if cursor.closes(b'}')? => self.close(cursor, updates)?,
                Step::FirstKey | Step::Key => {
                    self.key.begin(cursor)?;
                    self.step = Step::InKey;
                }
                Step::InKey => {
                    self.key.read(cursor)?;
                    self.step = Step::Colon;
                }
                Step::Colon => {
                    cursor.expect(b':', "':'")?;
                    self.step = Step::Value;
                }
                Step::Value => self.value(cursor)?,
                Step::MoreKeys if cursor.more(b'}', "',' or '}'")? => self.step = Step::Key,
                Step::MoreKeys => self.close(cursor, updates)?,
                Step::Batch => {
                    cursor.expect(b'[', "an array of updates")?;
                    self.step = Step::FirstUpdate;
                }
                Step::FirstUpdate if cursor.closes(b']')? => {
                    return Err(Stop::Wrong(JsonError::NoUpdates { batch_max: self.batch_max }));
                }
                Step::FirstUpdate | Step::Update => {
                    self.open(cursor, "an update, which is an object")?;
                    self.is_within = true;
                }
                Step::MoreUpdates => self.more_updates(cursor)?,
                Step::Input => self.input(cursor, updates)?,
                Step::InInput => {
                    let bytes = self.in_input(cursor, updates.row())?;
                    self.commit(bytes, updates);
                }
                Step::InValue => self.in_value(cursor)?,
                Step::Skip => {
                    self.skip.read(cursor)?;
                    self.step = Step::MoreKeys;
                }
                Step::End | Step::Done => unreachable!("a body is read once"),
            }
        }
        cursor.expect_end()?;
        self.step = Step::Done;
        Ok(())
    }

    fn open(&mut self, cursor: &mut Cursor<'_>, expected: &'static str) -> Result<(), Stop> {
        cursor.expect(b'{', expected)?;
        self.parts = Parts::new(cursor.at() - 1);
        self.step = Step::FirstKey;
        Ok(())
    }

    /// Behind the end of an object: of an update, unless the body's had updates within.
    fn close(&mut self, cursor: &Cursor<'_>, updates: &mut impl Updates) -> Result<(), Stop> {
        if self.is_within || !self.is_batch {
            updates.push(self.parts.finish(cursor.seen())?);
            self.count += 1;
        }
        self.step = if self.is_within { Step::MoreUpdates } else { Step::End };
        self.is_within = false;
        Ok(())
    }

    fn more_updates(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        let more = cursor.more(b']', "',' or ']'")?;
        let batch_max = self.batch_max;
        if more && self.count >= batch_max {
            return Err(Stop::Wrong(JsonError::TooManyUpdates { batch_max }));
        }
        self.step = if more { Step::Update } else { Step::MoreKeys };
        Ok(())
    }

    fn value(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        if !self.is_within && self.key.among(&[UPDATES]).is_some() {
            return self.begin_batch();
        }
        self.skip = Skip::new(self.depth());
        let Some(name) = self.key.among(&KEYS) else {
            self.step = Step::Skip;
            return Ok(());
        };
        if self.is_batch && !self.is_within {
            return Err(self.mixed());
        }
        self.parts.check_new(&self.key, name)?;
        if name == INPUT {
            self.parts.is_about_input();
            self.step = Step::Input;
            return Ok(());
        }
        cursor.skip_space();
        if cursor.is_at_cut() {
            return Err(Stop::Cut);
        }
        self.value_at = cursor.at();
        self.step = Step::InValue;
        Ok(())
    }

    fn begin_batch(&mut self) -> Result<(), Stop> {
        if self.is_batch {
            return Err(self.key.duplicate(UPDATES));
        }
        if !self.parts.is_empty() {
            return Err(self.mixed());
        }
        self.is_batch = true;
        self.step = Step::Batch;
        Ok(())
    }

    fn mixed(&self) -> Stop {
        Stop::Wrong(JsonError::MixedUpdates { position: self.key.position() })
    }

    /// Any value is read to its end, and then has to be what its key asks for.
    fn in_value(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        self.skip.read(cursor)?;
        let key = self.key.among(&KEYS).unwrap_or_default();
        self.parts.put(&Value::new(key, self.value_at, cursor)?)?;
        self.step = Step::MoreKeys;
        Ok(())
    }

    /// At the first byte of an input, or at the space before it.
    fn input(&mut self, cursor: &mut Cursor<'_>, rows: &mut impl Rows) -> Result<(), Stop> {
        self.input.begin(cursor)?;
        self.step = Step::InInput;
        let row = self.input.next_row(rows);
        let bytes = self.in_input(cursor, row)?;
        self.commit(bytes, rows);
        Ok(())
    }

    fn in_input(&mut self, cursor: &mut Cursor<'_>, row: &mut [u8]) -> Result<usize, Stop> {
        let depth = self.depth();
        let place = if self.is_within { Place::OfUpdate(self.count) } else { Place::Single };
        self.input.read(cursor, row, Where { place, depth }, &mut self.skip)
    }

    /// The row holds an input.
    fn commit(&mut self, bytes: usize, rows: &mut impl Rows) {
        rows.commit(bytes);
        self.step = Step::MoreKeys;
    }

    /// Arrays and objects that are open around a value.
    fn depth(&self) -> usize {
        if self.is_within { 3 } else { 1 }
    }
}
