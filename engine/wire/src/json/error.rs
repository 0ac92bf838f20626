//! What can be wrong with a body. The text of an error is what the client reads as `cause`.

use std::fmt;

use cutter_tensor::{ElementType, TensorSpec};

use crate::limits::{
    CONTEXT_KEY_BYTES_MAX, CONTEXT_NUMBERS_MAX, JSON_DEPTH_MAX, JSON_EXCERPT_CHARS_MAX,
    JSON_VALUE_BYTES_MAX, NAME_BYTES_MAX, QUERY_ID_MAX, TIMEOUT_US_MAX,
};

/// Why a body was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    #[error("{position}: found {found}, expected {expected}")]
    Syntax { position: Position, found: Found, expected: &'static str },
    #[error("{position}: arrays and objects are nested deeper than {JSON_DEPTH_MAX}")]
    TooDeep { position: Position },
    #[error("{position}: {problem}")]
    Text { position: Position, problem: TextProblem },
    #[error(
        "{position}: {place} is not base64; use the alphabet A-Z a-z 0-9 + / and pad with = to a \
         multiple of 4 characters"
    )]
    Base64 { position: Position, place: Place },
    #[error("{position}: element {index} of {place} is {literal}, which {element} cannot hold")]
    OutOfRange {
        position: Position,
        place: Place,
        index: usize,
        literal: Excerpt,
        element: ElementType,
    },
    #[error(
        "{position}: element {index} of {place} is {literal}, which is not written as an integer; \
         this application takes {spec}"
    )]
    NotInteger {
        position: Position,
        place: Place,
        index: usize,
        literal: Excerpt,
        spec: TensorSpec,
    },
    #[error("{place} has {found} {unit}; this application takes {spec}")]
    Length { place: Place, found: usize, unit: Unit, spec: TensorSpec },
    #[error(
        "{position}: an array of dimension {dimension} of {place} has {found} entries instead of \
         {wanted}; this application takes {spec}"
    )]
    Dimension {
        position: Position,
        place: Place,
        /// Counted from 1, the outermost.
        dimension: usize,
        found: usize,
        wanted: u32,
        spec: TensorSpec,
    },
    #[error("{position}: \"{key}\" is given twice")]
    Duplicate { position: Position, key: &'static str },
    #[error(
        "{position}: \"version\" has {found} bytes; no model version has more than \
         {NAME_BYTES_MAX}"
    )]
    VersionTooLong { position: Position, found: usize },
    #[error(
        "{position}: \"timeout_us\" is no whole number of microseconds from 1 to {TIMEOUT_US_MAX}"
    )]
    Timeout { position: Position },
    #[error("{position}: \"{key}\" has to be {expected}")]
    Unfit { position: Position, key: &'static str, expected: &'static str },
    #[error(
        "{position}: \"{key}\" is written with {found} bytes; no more than {JSON_VALUE_BYTES_MAX} \
         are read"
    )]
    ValueTooLong { position: Position, key: &'static str, found: usize },
    #[error("{position}: \"{key}\" has {literal}, which is more than a double can hold")]
    TooLarge { position: Position, key: &'static str, literal: Excerpt },
    #[error(
        "{position}: the key of a context in \"{key}\" has {found} bytes; it may have \
         {CONTEXT_KEY_BYTES_MAX}"
    )]
    ContextKeyTooLong { position: Position, key: &'static str, found: usize },
    #[error(
        "{position}: the vector in \"context\" has {found} numbers; it takes 1 to \
         {CONTEXT_NUMBERS_MAX}"
    )]
    ContextNumbers { position: Position, found: usize },
    #[error("{position}: both \"uid\" and \"context\" are given; send one of them")]
    BothContexts { position: Position },
    #[error("{position}: \"query_id\" has to be a whole number from 0 to {QUERY_ID_MAX}")]
    QueryId { position: Position },
    #[error("{position}: both \"query_id\" and \"input\" are given; send one of them")]
    BothTargets { position: Position },
    #[error("{position}: the update has neither \"query_id\" nor \"input\"; it needs one of them")]
    NoTarget { position: Position },
    #[error(
        "{position}: the update has more than one of \"label\", \"reward\" and \"withdrawn\"; \
         send one of them"
    )]
    SeveralLessons { position: Position },
    #[error(
        "{position}: the update has neither \"label\" nor \"reward\" nor \"withdrawn\": true; it \
         needs one of them"
    )]
    NoLesson { position: Position },
    #[error(
        "{position}: \"updates\" and the keys of a single update are both given; send one of them"
    )]
    MixedUpdates { position: Position },
    #[error("\"updates\" is empty; it takes 1 to {batch_max} updates")]
    NoUpdates { batch_max: usize },
    #[error("\"updates\" has more than {batch_max} updates, the most that one body may carry")]
    TooManyUpdates { batch_max: usize },
    #[error("{position}: both \"input\" and \"input_batch\" are given; send one of them")]
    BothInputs { position: Position },
    #[error("the body has neither \"input\" nor \"input_batch\"; it needs one of them")]
    NoInput,
    #[error("\"input_batch\" is empty; it takes 1 to {batch_max} inputs")]
    EmptyBatch { batch_max: usize },
    #[error("\"input_batch\" has more than {batch_max} inputs, the most that one body may carry")]
    BatchTooLong { batch_max: usize },
}

impl JsonError {
    /// The position that the error names, if it names one.
    pub(super) fn position_mut(&mut self) -> Option<&mut Position> {
        match self {
            Self::Syntax { position, .. }
            | Self::TooDeep { position }
            | Self::Text { position, .. }
            | Self::Base64 { position, .. }
            | Self::OutOfRange { position, .. }
            | Self::NotInteger { position, .. }
            | Self::Dimension { position, .. }
            | Self::Duplicate { position, .. }
            | Self::VersionTooLong { position, .. }
            | Self::Timeout { position }
            | Self::Unfit { position, .. }
            | Self::ValueTooLong { position, .. }
            | Self::TooLarge { position, .. }
            | Self::ContextKeyTooLong { position, .. }
            | Self::ContextNumbers { position, .. }
            | Self::BothContexts { position }
            | Self::QueryId { position }
            | Self::BothTargets { position }
            | Self::NoTarget { position }
            | Self::SeveralLessons { position }
            | Self::NoLesson { position }
            | Self::MixedUpdates { position }
            | Self::BothInputs { position } => Some(position),
            Self::Length { .. }
            | Self::NoInput
            | Self::NoUpdates { .. }
            | Self::TooManyUpdates { .. }
            | Self::EmptyBatch { .. }
            | Self::BatchTooLong { .. } => None,
        }
    }
}

/// Where in the body: both count from 1, and columns count characters, not bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    /// The place of the byte at `offset`, of which line and column are not known yet: line 0, and
    /// the offset for a column. [`Locator`] makes a position of it before anybody sees it.
    pub(super) fn unlocated(offset: usize) -> Self {
        Self { line: 0, column: offset }
    }
}

/// An error on its way to the client: lines and columns before it are counted, in pieces.
///
/// Only errors pay for this second look at the body.
#[derive(Clone, Debug)]
pub(super) struct Locator {
    error: JsonError,
    /// Of the bytes before `at`.
    counted: Position,
    at: usize,
}

impl Locator {
    pub(super) fn new(error: JsonError) -> Self {
        Self { error, counted: Position { line: 1, column: 1 }, at: 0 }
    }

    /// Looks at up to so many bytes of the body; the error once it is located.
    pub(super) fn locate(&mut self, body: &[u8], budget_bytes: usize) -> Option<JsonError> {
        let Some(position) = self.error.position_mut() else { return Some(self.error.clone()) };
        let offset = position.column.min(body.len());
        let end = self.at.saturating_add(budget_bytes).min(offset);
        self.counted = self.counted.behind(&body[self.at..end]);
        self.at = end;
        if end < offset {
            return None;
        }
        *position = self.counted;
        Some(self.error.clone())
    }
}

impl Position {
    /// The position of what stands behind these bytes, which stand here.
    fn behind(self, bytes: &[u8]) -> Self {
        let line_start = bytes.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        // The bytes 10xxxxxx continue a character of UTF-8.
        let starts = |byte: &&u8| **byte & 0xC0 != 0x80;
        let characters = bytes[line_start.unwrap_or(0)..].iter().filter(starts).count();
        let column = if line_start.is_some() { 1 } else { self.column };
        Self { line: self.line + lines, column: column + characters }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// What stood where something else was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    End,
    Byte(u8),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("the end of the body"),
            Self::Byte(byte @ b' '..=b'~') => write!(f, "'{}'", char::from(*byte)),
            Self::Byte(byte) => write!(f, "byte 0x{byte:02X}"),
        }
    }
}

/// Which input of the body: `input`, `input_batch[3]`, or `updates[3].input`, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Single,
    BatchItem(usize),
    OfUpdate(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single => f.write_str("input"),
            Self::BatchItem(item) => write!(f, "input_batch[{item}]"),
            Self::OfUpdate(update) => write!(f, "updates[{update}].input"),
        }
    }
}

/// What a length counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Numbers,
    /// Numbers where the bound is one on bytes.
    NumbersOf {
        bytes: usize,
    },
    Bytes,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbers => f.write_str("numbers"),
            Self::NumbersOf { bytes } => write!(f, "numbers of {bytes} bytes"),
            Self::Bytes => f.write_str("bytes"),
        }
    }
}

/// What is wrong inside a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextProblem {
    #[error("control character 0x{0:02X} in a string; write it as an escape, \\u{0:04x}")]
    Control(u8),
    #[error("an escape that JSON does not have; it has \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX")]
    Escape,
    #[error("half of a surrogate pair; characters beyond \\uffff are written as two \\uXXXX")]
    LoneSurrogate,
    #[error("the string is not UTF-8")]
    NotUtf8,
}

/// The beginning of a literal of the client, enough to recognise it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    pub(super) fn of(literal: &[u8]) -> Self {
        // A number is ASCII, so nothing is cut in two; and no more of it is looked at than needed.
        let beginning = literal.get(..=JSON_EXCERPT_CHARS_MAX).unwrap_or(literal);
        let literal = str::from_utf8(beginning).unwrap_or_default();
        match literal.char_indices().nth(JSON_EXCERPT_CHARS_MAX) {
            Some((cut, _)) => Self(format!("{}…", &literal[..cut])),
            None => Self(literal.to_owned()),
        }
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
