//! What can be wrong with a configuration, where it is wrong, and how that is said.
//!
//! A message names the place, what was found, and what was expected:
//! `cutter.toml:12:10: unknown model "sofmax" (application "digits"); expected one of: softmax`.

use std::error::Error;
use std::fmt;

use cutter_tensor::{SpecError, TensorSpec};

use super::suggest;

/// A position in the text. Both count from 1; a column is a character, not a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// One thing that makes the configuration unusable.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigError {
    pub file: String,
    /// `None` when the file as a whole is at fault.
    pub place: Option<Place>,
    pub problem: Problem,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_file_and_place(f, &self.file, self.place)?;
        write!(f, "{}", self.problem)
    }
}

impl Error for ConfigError {}

/// All that is wrong, in the order of the file; one line each. Never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    pub(super) fn new(errors: Vec<ConfigError>) -> Self {
        assert!(!errors.is_empty());
        Self(errors)
    }

    pub(super) fn one(file: &str, problem: Problem) -> Self {
        Self(vec![ConfigError { file: file.to_owned(), place: None, problem }])
    }

    pub fn as_slice(&self) -> &[ConfigError] {
        &self.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_lines(f, &self.0)
    }
}

impl Error for ConfigErrors {}

/// Something that the server can live with and its owner should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub file: String,
    pub place: Place,
    pub notice: Notice,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_file_and_place(f, &self.file, Some(self.place))?;
        write!(f, "warning: {}", self.notice)
    }
}

fn write_file_and_place(
    f: &mut fmt::Formatter<'_>,
    file: &str,
    place: Option<Place>,
) -> fmt::Result {
    match place {
        Some(Place { line, column }) => write!(f, "{file}:{line}:{column}: "),
        None => write!(f, "{file}: "),
    }
}

fn write_lines(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        let separator = if index == 0 { "" } else { "\n" };
        write!(f, "{separator}{item}")?;
    }
    Ok(())
}

/// What is wrong. `of` says whose key it is: `application "digits"`. Texts that the file's author
/// wrote are shortened and printed with escapes, so that a message is always one short line.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Problem {
    #[error("cannot be read: {reason}")]
    Unreadable { reason: String },
    #[error("is larger than {max} bytes; a configuration is expected to be small")]
    FileTooLarge { max: u64 },
    #[error("not UTF-8 from here on; expected a text file in UTF-8")]
    NotUtf8,
    #[error("not valid TOML: {reason}")]
    Syntax { reason: String },
    #[error("found {found}; expected {expected}")]
    WrongType { found: String, expected: String },
    #[error("unknown key {key:?}; expected {expected}")]
    UnknownKey { key: String, expected: OneOf },
    #[error("{of} has no `{key}`; expected {expected}")]
    Missing { key: &'static str, of: String, expected: String },
    #[error("`{key}` of {of} is {found}; expected {min} to {max}")]
    OutOfRange { key: &'static str, of: String, found: i128, min: u64, max: u64 },
    #[error("`{key}` of {of} is {found:?}; expected a number from {min} to {max}")]
    NumberOutOfRange { key: String, of: String, found: f64, min: f64, max: f64 },
    #[error("`{key}` of {of} is {found:?}; expected {expected}")]
    UnknownWord { key: &'static str, of: String, found: String, expected: OneOf },
    #[error("`{key}` of {of} is {found:?}; expected {expected}")]
    BadText { key: &'static str, of: String, found: String, expected: String },
    #[error("`{key}` of {of} has {found} items; expected {min} to {max}")]
    BadCount { key: &'static str, of: String, found: usize, min: usize, max: usize },
    #[error("found {found} {what}; this version serves at most {max}")]
    TooMany { what: &'static str, found: usize, max: usize },
    #[error("`{key}` of {of} has {found} bytes; expected at most {max}")]
    TooLong { key: &'static str, of: String, found: usize, max: usize },
    #[error("`{key}` of {of} holds a zero byte at {at}; neither a path nor an argument may")]
    ZeroByte { key: &'static str, of: String, at: usize },
    #[error("an application cannot be called {found:?}: the server uses that name itself")]
    ReservedName { found: String },
    #[error(
        "a second application is called {found:?}, as on line {first_line}; names must be unique"
    )]
    DuplicateName { found: String, first_line: usize },
    #[error(
        "a second model {model:?} has version {version:?}, as on line {first_line}; expected \
         another `name` or another `version`"
    )]
    DuplicateVersion { model: String, version: String, first_line: usize },
    #[error("address {found:?} is taken already on line {first_line}; expected each address once")]
    DuplicateAddress { found: String, first_line: usize },
    #[error(
        "address {found:?} is what `{key}` is by default; expected another address here or a \
         `{key}` of its own"
    )]
    DefaultAddress { key: &'static str, found: String },
    #[error(
        "`{key}` of [server] is {found:?}, which as an absolute path has {bytes} bytes; a Unix \
         socket's path has at most {max}: choose a shorter folder"
    )]
    SocketPathTooLong { key: &'static str, found: String, bytes: usize, max: usize },
    #[error("unknown model {found:?} ({of}); expected {expected}")]
    UnknownModel { found: String, of: String, expected: OneOf },
    #[error("model {model:?} has no version {found:?} ({of}); expected {expected}")]
    UnknownVersion { model: String, of: String, found: String, expected: OneOf },
    #[error(
        "model {model:?} has several versions ({of}); write which, as `name:version`; expected \
         {expected}"
    )]
    SeveralVersions { model: String, of: String, expected: OneOf },
    #[error("{of} names model {found:?} a second time; expected each version of a model once")]
    DuplicateLink { found: String, of: String },
    #[error(
        "model {model:?} would get {second} from {of}, but gets {first} from application \
         {first_application:?} (line {first_line}); a container takes one kind of input: give \
         each kind a [[model]] of its own"
    )]
    InputsDiffer {
        model: String,
        of: String,
        second: TensorSpec,
        first: TensorSpec,
        first_application: String,
        first_line: usize,
    },
    #[error(
        "{of} has both `shape` and `max_bytes`; expected `shape` for inputs of one size or \
         `max_bytes` for inputs of any size up to a bound"
    )]
    ShapeAndBound { of: String },
    #[error("{of} has a `shape`, but strings have no shape; expected `max_bytes`")]
    ShapeOfStrings { of: String },
    #[error(
        "{of} has neither `shape` nor `max_bytes`; expected one of them, such as `shape = [784]`"
    )]
    NoExtent { of: String },
    #[error("`shape` of {of} is {shape:?}, which makes {why}")]
    InputTooLarge { of: String, shape: Vec<u32>, why: SpecError },
    #[error("`max_bytes` of {of} is {found}; expected a multiple of {element}, an element's bytes")]
    PartOfElement { of: String, found: u32, element: usize },
    #[error(
        "`rows` of {of} is {found}, which with rows of {stride} bytes makes a pool of {bytes} \
         bytes; expected at most {rows_max} rows ({max} bytes)"
    )]
    PoolTooLarge { of: String, found: u32, stride: usize, bytes: u64, rows_max: u64, max: u64 },
    #[error(
        "{of} has no `command` and [server] has no `socket`, so no container could ever serve it; \
         expected a `command` that starts it or a `socket` where it connects"
    )]
    NoWayIn { of: String },
    #[error(
        "{of} is not deterministic, so an output that is kept is not what it would say; expected \
         no `cache`, or `deterministic = true`"
    )]
    CacheOfRandom { of: String },
    #[error("{of} has no model to choose from; expected at least one in `models`")]
    NothingToChoose { of: String },
    #[error("{of} is {policy:?}, which takes no `{key}`; it takes {expected}")]
    NotTaken { key: &'static str, of: String, policy: String, expected: String },
    #[error("`{key}` of {of} is only for {only_for}; leave it out, or set that")]
    Misplaced { key: &'static str, of: String, only_for: &'static str },
    #[error("{of} cannot be made: {reason}")]
    PolicyRefused { of: String, reason: String },
    #[error(
        "`weights` of {of} has {found} items; expected {expected}: one for each of `models`, in \
         their order"
    )]
    WeightsOfOthers { of: String, found: usize, expected: usize },
    #[error("`{key}` of {of} names {found:?}; expected {expected}")]
    UnlinkedModel { key: &'static str, of: String, found: String, expected: OneOf },
    #[error("`{key}` of {of} names model {found:?} a second time; expected each once")]
    NamedTwice { key: &'static str, of: String, found: String },
    #[error(
        "`caps` of {of} leave {left} of all choices to the models that are not off, and every \
         query asks one; expected 1 at least"
    )]
    CapsTooLow { of: String, left: f64 },
    #[error("`off` of {of} names every model; expected one at least that may be asked")]
    AllOff { of: String },
    #[error("`baseline` of {of} is {model:?}, which is `off`; expected a model that is asked")]
    BaselineOff { of: String, model: String },
    #[error(
        "`reward_range` of {of} is from {low} to {high}; expected the worst reward first, and a \
         better one behind it"
    )]
    RewardsReversed { of: String, low: f64, high: f64 },
}

/// What the owner of the file should know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Notice {
    #[error("there is no [[application]]; every query will be answered with 404")]
    NoApplication,
    #[error("{of} has no model; every query will be answered with its default output")]
    NoModel { of: String },
    #[error("{of} is not linked to any application; it will get no queries")]
    NotLinked { of: String },
    #[error("the command of {of} is {program:?}, which is not an executable file now")]
    CommandNotFound { of: String, program: String },
    #[error("`{key}` of {of} has no effect: without a `command` its containers start by hand")]
    NoEffect { key: &'static str, of: String },
    #[error("`{key}` of {of} has no effect: without `cpus` nobody knows who shares a core")]
    NoCpus { key: &'static str, of: String },
    #[error("core {cpu} of {of} is the engine's core too; both will be slower")]
    EngineCore { of: String, cpu: usize },
    #[error("`max` of the batches of {of} is {max}, but {application} has only {rows} rows")]
    BatchLargerThanPool { of: String, max: u32, application: String, rows: u32 },
    #[error("{of} has one model, {model:?}: there is nothing to choose and nothing to combine")]
    OneModel { of: String, model: String },
    #[error("`hedge_share` of {of} has no effect: `hedge` is not true")]
    NotHedged { of: String },
}

/// The most names that one message lists.
const NAMES_SHOWN_MAX: usize = 16;

/// The names that would have been right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOf {
    pub names: Vec<String>,
    /// The one that was probably meant; only where there is a choice.
    pub near: Option<String>,
}

impl OneOf {
    pub(super) fn new(found: &str, names: &[&str]) -> Self {
        let near = if names.len() > 1 { suggest::nearest(found, names) } else { None };
        Self {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            near: near.map(str::to_owned),
        }
    }
}

impl fmt::Display for OneOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.names.is_empty() {
            return f.write_str("the name of a [[model]], but there is none");
        }
        let shown = self.names.len().min(NAMES_SHOWN_MAX);
        f.write_str("one of: ")?;
        for (index, name) in self.names[..shown].iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}", name.escape_debug())?;
        }
        if shown < self.names.len() {
            write!(f, " and {} more", self.names.len() - shown)?;
        }
        match &self.near {
            Some(near) => write!(f, "; did you mean {near:?}?"),
            None => Ok(()),
        }
    }
}
