//! The body of `POST /{app}/predict`: its keys and its inputs, read in pieces.
//!
//! A [`PredictReader`] is what is known of a body between two pieces: an offset, what is to be read
//! next, and the little that the rooms for inputs and skipped values keep. Each step below either
//! moves on, or leaves the cursor where it can be taken again when the piece ends.

use std::borrow::Cow;

use cutter_tensor::TensorSpec;

use super::context::{CONTEXT, Context, ContextAt, UID};
use super::cursor::{Cursor, Stop};
use super::error::{JsonError, Place, Position};
use super::input::{Input, Rows, Where};
use super::key::Key;
use super::pieces::Pieces;
use super::skip::Skip;
use super::text;
use super::value::{Span, Value};
use crate::limits::{NAME_BYTES_MAX, TIMEOUT_US_MAX};

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
    /// For whom it is.
    pub context: Context<'a>,
    /// Whether the answer is to tell what each model said.
    pub explain: bool,
}

impl Body<'_> {
    /// Whether it is one input and nothing else that means anything.
    pub fn is_bare(&self) -> bool {
        let Self { is_batch, version, timeout_us, context, explain, .. } = self;
        let brings_nothing = version.is_none() && timeout_us.is_none() && !explain;
        !is_batch && brings_nothing && matches!(context, Context::None)
    }
}

/// How far a body has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The budget is used up. [`PredictReader::read`] goes on from here.
    Paused,
    Done(Body<'a>),
}

/// Reads `{"input": X}` or `{"input_batch": [X, …]}`, either with an optional `"version"`,
/// `"timeout_us"`, `"explain"` and `"uid"` or `"context"`, and writes each X as one row. Other keys
/// are checked and ignored.
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
    pub(super) pieces: Pieces,
    predict: Predict,
}

/// What is known of it.
#[derive(Clone, Debug)]
struct Predict {
    batch_max: usize,
    step: Step,
    key: Key,
    inputs: Option<Inputs>,
    version: Option<Span>,
    timeout_us: Option<u32>,
    context: Option<ContextAt>,
    explain: Option<bool>,
    /// Where the value begins that is being read; of a version, behind its quote.
    value_at: usize,
    /// Bytes of what the version means, as far as it was read.
    text_bytes: usize,
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
    /// The first input of a batch; there must be one.
    FirstInput,
    Input,
    /// The rest of an input.
    InInput,
    /// A comma, or the end of the batch.
    MoreInputs,
    /// The rest of a version.
    InVersion,
    /// The rest of a value that is looked at once it is whole.
    InValue,
    Skip,
    End,
    Done,
}

const INPUT: &str = "input";
const INPUT_BATCH: &str = "input_batch";
const VERSION: &str = "version";
const TIMEOUT_US: &str = "timeout_us";
const EXPLAIN: &str = "explain";
const KEYS: [&str; 7] = [INPUT, INPUT_BATCH, VERSION, TIMEOUT_US, UID, CONTEXT, EXPLAIN];

#[derive(Clone, Copy, Debug)]
struct Inputs {
    count: usize,
    is_batch: bool,
}

impl PredictReader {
    pub fn new(spec: TensorSpec, batch_max: usize) -> Self {
        let predict = Predict {
            batch_max,
            step: Step::Object,
            key: Key::new(),
            inputs: None,
            version: None,
            timeout_us: None,
            context: None,
            explain: None,
            value_at: 0,
            text_bytes: 0,
            input: Input::new(spec),
            skip: Skip::new(0),
        };
        Self { pieces: Pieces::new(), predict }
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
        let Self { pieces, predict } = self;
        let steps = |cursor: &mut Cursor<'a>, pause_at| predict.steps(cursor, pause_at, rows);
        let inputs = pieces.read(body, budget_bytes, steps)?;
        Ok(inputs.map_or(Progress::Paused, |inputs| Progress::Done(predict.body(body, inputs))))
    }
}

impl Predict {
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
                Step::InInput => {
                    let bytes = self.in_input(cursor, rows.row())?;
                    self.commit(bytes, rows);
                }
                Step::MoreInputs => self.more_inputs(cursor)?,
                Step::InVersion => self.version(cursor)?,
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

    fn value(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        let key = self.key.among(&KEYS);
        match key {
            Some(INPUT) => return self.begin_inputs(false),
            Some(INPUT_BATCH) => return self.begin_inputs(true),
            Some(VERSION) => return self.begin_version(cursor),
            Some(name) => {
                self.check_new(name)?;
                cursor.skip_space();
                if cursor.is_at_cut() {
                    return Err(Stop::Cut);
                }
                self.value_at = cursor.at();
                self.step = Step::InValue;
            }
            None => self.step = Step::Skip,
        }
        self.skip = Skip::new(1);
        Ok(())
    }

    /// Whether a key other than that of an input comes for the first time.
    fn check_new(&self, name: &'static str) -> Result<(), Stop> {
        let is_given = match name {
            VERSION => self.version.is_some(),
            TIMEOUT_US => self.timeout_us.is_some(),
            EXPLAIN => self.explain.is_some(),
            _ => {
                let given = self.context.as_ref();
                return given.map_or(Ok(()), |given| Err(given.given_again(&self.key, name)));
            }
        };
        if is_given { Err(self.key.duplicate(name)) } else { Ok(()) }
    }

    fn begin_version(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        self.check_new(VERSION)?;
        cursor.expect_quote("a version in quotes")?;
        self.value_at = cursor.at();
        self.text_bytes = 0;
        self.step = Step::InVersion;
        Ok(())
    }

    fn begin_inputs(&mut self, is_batch: bool) -> Result<(), Stop> {
        match self.inputs {
            None => {
                self.inputs = Some(Inputs { count: 0, is_batch });
                self.step = if is_batch { Step::Batch } else { Step::Input };
                Ok(())
            }
            Some(before) if before.is_batch != is_batch => {
                let position = self.key.position();
                Err(Stop::Wrong(JsonError::BothInputs { position }))
            }
            Some(_) => Err(self.key.duplicate(if is_batch { INPUT_BATCH } else { INPUT })),
        }
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
        let at = match self.inputs {
            Some(Inputs { count, is_batch: true }) => {
                Where { place: Place::BatchItem(count), depth: 2 }
            }
            _ => Where { place: Place::Single, depth: 1 },
        };
        self.input.read(cursor, row, at, &mut self.skip)
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
            let (position, found) = (Position::unlocated(self.value_at), self.text_bytes);
            return Err(Stop::Wrong(JsonError::VersionTooLong { position, found }));
        }
        self.version = Some(Span { start: self.value_at, end: cursor.at() - 1 });
        self.step = Step::MoreKeys;
        Ok(())
    }

    /// Any value is read to its end, and then has to be what its key asks for.
    fn in_value(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        self.skip.read(cursor)?;
        let key = self.key.among(&KEYS).unwrap_or_default();
        let value = Value::new(key, self.value_at, cursor)?;
        match key {
            TIMEOUT_US => self.timeout_us = Some(timeout_us(&value)?),
            EXPLAIN => self.explain = Some(value.flag()?),
            _ => self.context = Some(ContextAt::read(&value)?),
        }
        self.step = Step::MoreKeys;
        Ok(())
    }

    fn body<'a>(&self, body: &'a [u8], inputs: Inputs) -> Body<'a> {
        let Inputs { count, is_batch } = inputs;
        Body {
            count,
            is_batch,
            version: self.version.map(|version| version.text(body)),
            timeout_us: self.timeout_us,
            context: self.context.map_or(Context::None, |context| context.context(body)),
            explain: self.explain.unwrap_or_default(),
        }
    }
}

fn timeout_us(value: &Value<'_>) -> Result<u32, Stop> {
    let timeout_us = value.whole().and_then(|value| u32::try_from(value).ok());
    timeout_us.filter(|timeout_us| (1..=TIMEOUT_US_MAX).contains(timeout_us)).ok_or_else(|| {
        let position = Position::unlocated(value.span.start);
        Stop::Wrong(JsonError::Timeout { position })
    })
}
