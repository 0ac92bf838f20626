//! What is known of one update: what it is about, what it teaches, and of whom.

use std::borrow::Cow;

use super::super::context::{CONTEXT, Context, ContextAt, UID};
use super::super::cursor::Stop;
use super::super::error::{JsonError, Position};
use super::super::key::Key;
use super::super::value::{Span, Value};
use crate::limits::QUERY_ID_MAX;

pub(super) const INPUT: &str = "input";
const QUERY_ID: &str = "query_id";
const LABEL: &str = "label";
const REWARD: &str = "reward";
const WITHDRAWN: &str = "withdrawn";
/// The keys of an update.
pub(super) const KEYS: [&str; 7] = [INPUT, QUERY_ID, LABEL, REWARD, WITHDRAWN, UID, CONTEXT];

/// What a client says of an answer that it was given.
#[derive(Clone, Debug, PartialEq)]
pub struct Update<'a> {
    pub target: Target,
    pub lesson: Lesson<'a>,
    pub context: Context<'a>,
}

/// Which answer it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The one with this id.
    QueryId(u64),
    /// One to the input that was committed last.
    Input,
}

/// What is to be learned.
#[derive(Clone, Debug, PartialEq)]
pub enum Lesson<'a> {
    /// What would have been right.
    Label(Label<'a>),
    /// What the answer earned; a finite number.
    Reward(f64),
    /// Nothing: the answer was never shown.
    Withdrawn,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Label<'a> {
    /// A finite number, and how it is written.
    Number {
        value: f64,
        written: &'a [u8],
    },
    Text(Cow<'a, str>),
}

/// An update that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    /// Where its object begins.
    pub(super) at: usize,
    target: Option<Target>,
    lesson: Option<LessonAt>,
    context: Option<ContextAt>,
}

#[derive(Clone, Copy, Debug)]
enum LessonAt {
    Number(f64, Span),
    Text(Span),
    Reward(f64),
    Withdrawn,
}

impl Parts {
    /// Of an object that begins here.
    pub(super) fn new(at: usize) -> Self {
        Self { at, target: None, lesson: None, context: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.target.is_none() && self.lesson.is_none() && self.context.is_none()
    }

    /// Whether a key may be given, after those that were.
    pub(super) fn check_new(&self, key: &Key, name: &'static str) -> Result<(), Stop> {
        let position = key.position();
        let (before, several) = match name {
            UID | CONTEXT => {
                return self.context.map_or(Ok(()), |given| Err(given.given_again(key, name)));
            }
            INPUT | QUERY_ID => (self.target.map(Target::key), JsonError::BothTargets { position }),
            _ => (self.lesson.map(LessonAt::key), JsonError::SeveralLessons { position }),
        };
        match before {
            None => Ok(()),
            Some(before) if before == name => Err(key.duplicate(name)),
            Some(_) => Err(Stop::Wrong(several)),
        }
    }

    /// It is about the input that follows.
    pub(super) fn is_about_input(&mut self) {
        self.target = Some(Target::Input);
    }

    /// A value that is not an input.
    pub(super) fn put(&mut self, value: &Value<'_>) -> Result<(), Stop> {
        match value.key {
            QUERY_ID => self.target = Some(Target::QueryId(query_id(value)?)),
            LABEL if value.is_string() => {
                self.lesson = Some(LessonAt::Text(value.within_quotes()));
            }
            LABEL if !value.is_number() => return Err(value.unfit("a number or a string")),
            LABEL => self.lesson = Some(LessonAt::Number(value.double()?, value.span)),
            REWARD if !value.is_number() => return Err(value.unfit("a number")),
            REWARD => self.lesson = Some(LessonAt::Reward(value.double()?)),
            WITHDRAWN if value.written != b"true" => {
                return Err(value.unfit("true; leave it out of what is not withdrawn"));
            }
            WITHDRAWN => self.lesson = Some(LessonAt::Withdrawn),
            _ => self.context = Some(ContextAt::read(value)?),
        }
        Ok(())
    }

    /// Its object was read to the end.
    pub(super) fn finish<'a>(&self, body: &'a [u8]) -> Result<Update<'a>, Stop> {
        let position = Position::unlocated(self.at);
        let target = self.target.ok_or(Stop::Wrong(JsonError::NoTarget { position }))?;
        let lesson = self.lesson.ok_or(Stop::Wrong(JsonError::NoLesson { position }))?;
        let context = self.context.map_or(Context::None, |context| context.context(body));
        Ok(Update { target, lesson: lesson.lesson(body), context })
    }
}

impl Target {
    fn key(self) -> &'static str {
        match self {
            Self::QueryId(_) => QUERY_ID,
            Self::Input => INPUT,
        }
    }
}

impl LessonAt {
    fn key(self) -> &'static str {
        match self {
            Self::Number(..) | Self::Text(_) => LABEL,
            Self::Reward(_) => REWARD,
            Self::Withdrawn => WITHDRAWN,
        }
    }

    fn lesson(self, body: &[u8]) -> Lesson<'_> {
        match self {
            Self::Number(value, span) => {
                Lesson::Label(Label::Number { value, written: span.written(body) })
            }
            Self::Text(span) => Lesson::Label(Label::Text(span.text(body))),
            Self::Reward(reward) => Lesson::Reward(reward),
            Self::Withdrawn => Lesson::Withdrawn,
        }
    }
}

fn query_id(value: &Value<'_>) -> Result<u64, Stop> {
    let position = Position::unlocated(value.span.start);
    let id = value.whole().filter(|id| *id <= QUERY_ID_MAX);
    id.ok_or(Stop::Wrong(JsonError::QueryId { position }))
}
