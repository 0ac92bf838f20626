//! Asking from within the engine's own process, without a socket: the end of any other thread. The
//! engine thread's end is [`direct`](crate::port::direct).
//!
//! An application with a policy learns from what it is told of its answers:
//!
//! ```no_run
//! use cutter_core::feedback::{Lesson, Truth};
//! use cutter_server::asker::{AskError, Asker, Learning, Query, Reply, Whom};
//!
//! fn classify(digits: &mut Asker, user: &[u8], pixels: &[u8]) -> Result<(), AskError> {
//!     let whom = Whom { key: user, vector: &[] };
//!     let reply = digits.ask_with(&Query { whom, ..Query::of(pixels) })?;
//!     if let Reply::Prediction { query_id, .. } = reply {
//!         let seven = Lesson::Label(Truth::number(7.0, b"7"));
//!         let learning = digits.learn(query_id, seven)?;
//!         assert_eq!(learning, Learning::Learned);
//!     }
//!     Ok(())
//! }
//! ```

use std::sync::mpsc::Receiver;
use std::time::Duration;

use cutter_core::contexts::ContextKey;
use cutter_core::feedback::{Lesson, Vector};
use cutter_core::ids::ApplicationId;
use cutter_core::limits::{CONTEXT_KEY_BYTES_MAX, CONTEXT_NUMBERS_MAX};
use cutter_core::stats::Reason;
use cutter_machine::clock::monotonic_ns;
use cutter_tensor::TensorSpec;
use cutter_wire::limits::TIMEOUT_US_MAX;

pub use cutter_core::selection::Updated as Learning;

use crate::limits::QUESTIONS_MAX;
use crate::messages::{EngineMailbox, ToEngine};
use crate::port::direct::{Answered, Context, Matter, MemberTold, Question};
use crate::port::{PolicyView, VectorError};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AskError {
    #[error("{0}")]
    NoApplication(String),
    #[error("the application is removed; ask another")]
    Removed,
    #[error("the input has {found} bytes, but the application takes {spec}")]
    Input { found: usize, spec: TensorSpec },
    #[error("the key of a context has {found} bytes, and may have {CONTEXT_KEY_BYTES_MAX}")]
    Key { found: usize },
    #[error("a context of {found} numbers; it may have {CONTEXT_NUMBERS_MAX}")]
    Numbers { found: usize },
    #[error(transparent)]
    Vector(#[from] VectorError),
    #[error("{0:?} to answer in; give from 1 us to {TIMEOUT_US_MAX} us")]
    Timeout(Duration),
    #[error("every row of the input pool is taken; tell it again")]
    NoRow,
    #[error("{QUESTIONS_MAX} questions are under way already; ask again when one is answered")]
    Full,
    #[error("the server has ended, or is about to")]
    Ended,
}

/// For whom it is asked, where the policy tells them apart; an application without a policy does
/// not look at it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Whom<'a> {
    /// The context whose own state chooses and learns; empty for the application's.
    pub key: &'a [u8],
    /// For a policy that looks at them: numbers from -1 to 1.
    pub vector: &'a [f64],
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The bytes of a tensor of the application's type, in the machine's own order.
    pub input: &'a [u8],
    pub whom: Whom<'a>,
    /// By when it is answered, from now; the application's objective, if nothing is said.
    pub timeout: Option<Duration>,
    /// Whether to tell what each model said: see [`Explanation`].
    pub explain: bool,
}

impl<'a> Query<'a> {
    /// The prediction for an input, and nothing else.
    #[must_use]
    pub fn of(input: &'a [u8]) -> Self {
        Self { input, whom: Whom::default(), timeout: None, explain: false }
    }
}

/// What each model said that was asked; nothing of an application without a policy, or if it was
/// not asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Explanation<'a> {
    members: &'a [MemberTold],
    outputs: &'a [u8],
}

/// What one model said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Said<'a> {
    /// The model's place in the application's list, from 0.
    pub place: usize,
    /// Its part in the answer, from 0 to 1.
    pub weight: f64,
    /// How long after the query its output came; `None` if it did not in time.
    pub after: Option<Duration>,
    /// Its output, and of which type that is.
    pub output: Option<(&'a [u8], TensorSpec)>,
}

impl<'a> Explanation<'a> {
    /// Of each model that was asked.
    pub fn iter(&self) -> impl Iterator<Item = Said<'a>> + use<'a> {
        let mut outputs = self.outputs;
        self.members.iter().map(move |member| {
            let output = member.output.and_then(|(spec, bytes)| {
                let output = outputs.split_off(..bytes)?;
                Some((output, spec))
            });
            let after = member.after_ns.map(Duration::from_nanos);
            Said { place: member.place, weight: member.weight, after, output }
        })
    }
}

/// The answer to a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reply<'a> {
    /// The model's output: bytes of this type, in the machine's own order. `confidence`: the share
    /// of the linked models that agree, where several were asked.
    Prediction {
        query_id: u64,
        output: &'a [u8],
        spec: TensorSpec,
        confidence: Option<f64>,
        explanation: Explanation<'a>,
    },
    /// The application's default output as it stands in its configuration, and why; `detail` is
    /// what the model said of its failure, if it is one.
    Default {
        query_id: u64,
        output: &'a str,
        reason: Reason,
        detail: &'a str,
        confidence: Option<f64>,
        explanation: Explanation<'a>,
    },
}

/// Asks one application. It has one query under way at a time; whoever wants more has several.
#[derive(Debug)]
pub struct Asker {
    engine: EngineMailbox,
    input: TensorSpec,
    default_output: String,
    policy: Option<PolicyView>,
    /// `None` when the engine thread has ended with it.
    question: Option<Box<Question>>,
    back: Receiver<Box<Question>>,
}

impl Asker {
    pub(crate) fn new(
        engine: EngineMailbox,
        application: ApplicationId,
        input: TensorSpec,
        default_output: String,
        policy: Option<PolicyView>,
    ) -> Self {
        let (question, back) = Question::new(application);
        Self { engine, input, default_output, policy, question: Some(question), back }
    }

    /// Asks for the prediction for one input: the bytes of its tensor, in the machine's own order.
    /// Returns when the query is answered, at its deadline at the latest.
    ///
    /// # Errors
    /// The input is not of the application's type, the application is gone, there are too many
    /// questions, or the server has ended.
    pub fn ask(&mut self, input: &[u8]) -> Result<Reply<'_>, AskError> {
        self.ask_with(&Query::of(input))
    }

    /// The same with more that can be said: for whom, by when, and whether to explain the answer.
    ///
    /// # Errors
    /// Those of [`ask`](Self::ask), and what is said of whom or when makes no sense.
    pub fn ask_with(&mut self, query: &Query<'_>) -> Result<Reply<'_>, AskError> {
        let Query { input, whom, timeout, explain } = *query;
        self.check_input(input)?;
        let context = self.context(whom)?;
        let matter = Matter::Prediction { timeout_ns: timeout_ns(timeout)?, explain };
        let question = send(&self.engine, &mut self.question, &self.back, |question| {
            question.put(matter, context, input, monotonic_ns());
        })?;
        let (query_id, confidence) = question.told();
        let (members, outputs) = question.explanation();
        let explanation = Explanation { members, outputs };
        let (answered, output) = question.answered();
        match answered {
            Answered::Prediction(spec) => {
                Ok(Reply::Prediction { query_id, output, spec, confidence, explanation })
            }
            Answered::Default(reason) => {
                let detail = std::str::from_utf8(output).unwrap_or_default();
                let output = &self.default_output;
                Ok(Reply::Default { query_id, output, reason, detail, confidence, explanation })
            }
            other => Err(refusal(other)),
        }
    }

    /// Says what was right for a query, or what its answer was worth, or that nobody saw it.
    /// Returns what became of that: it is no error if nothing could be learned.
    ///
    /// # Errors
    /// The application is gone, or the server has ended.
    pub fn learn(&mut self, query_id: u64, lesson: Lesson) -> Result<Learning, AskError> {
        let nobody = Context { key: ContextKey::APPLICATION, vector: Vector::NONE };
        self.tell(Matter::OfQuery(query_id, lesson), nobody, &[])
    }

    /// Says what is right for an input. If no answer to it waits for that, the models are asked
    /// again, at low priority, and what they say is learned for whom it is; a policy that looks at
    /// numbers needs them then.
    ///
    /// # Errors
    /// Those of [`learn`](Self::learn), what is said of whom makes no sense, the input is not of
    /// the application's type, or there is no row for it.
    pub fn learn_input(
        &mut self,
        whom: Whom<'_>,
        input: &[u8],
        lesson: Lesson,
    ) -> Result<Learning, AskError> {
        self.check_input(input)?;
        // One without numbers is for an answer that has them.
        let context = if whom.vector.is_empty() { named(whom)? } else { self.context(whom)? };
        self.tell(Matter::OfInput(lesson), context, input)
    }

    fn tell(
        &mut self,
        matter: Matter,
        context: Context,
        input: &[u8],
    ) -> Result<Learning, AskError> {
        let question = send(&self.engine, &mut self.question, &self.back, |question| {
            question.put(matter, context, input, monotonic_ns());
        })?;
        match question.answered().0 {
            Answered::Updated(learning) => Ok(learning),
            other => Err(refusal(other)),
        }
    }

    fn check_input(&self, input: &[u8]) -> Result<(), AskError> {
        let (is_right, found) = (self.input.admits_bytes(input.len()), input.len());
        is_right.then_some(()).ok_or(AskError::Input { found, spec: self.input })
    }

    fn context(&self, whom: Whom<'_>) -> Result<Context, AskError> {
        if let Some(policy) = &self.policy {
            policy.check_vector(whom.vector)?;
        }
        named(whom)
    }
}

fn named(whom: Whom<'_>) -> Result<Context, AskError> {
    let Whom { key, vector } = whom;
    let key = ContextKey::new(key).ok_or(AskError::Key { found: key.len() })?;
    let vector = Vector::new(vector).ok_or(AskError::Numbers { found: vector.len() })?;
    Ok(Context { key, vector })
}

fn timeout_ns(timeout: Option<Duration>) -> Result<Option<u64>, AskError> {
    let Some(timeout) = timeout else { return Ok(None) };
    let longest = Duration::from_micros(TIMEOUT_US_MAX.into());
    if !(Duration::from_micros(1)..=longest).contains(&timeout) {
        return Err(AskError::Timeout(timeout));
    }
    Ok(u64::try_from(timeout.as_nanos()).ok())
}

/// Sends a question, and waits until it comes back.
fn send<'a>(
    engine: &EngineMailbox,
    place: &'a mut Option<Box<Question>>,
    back: &Receiver<Box<Question>>,
    put: impl FnOnce(&mut Question),
) -> Result<&'a Question, AskError> {
    let mut question = place.take().ok_or(AskError::Ended)?;
    put(&mut question);
    engine.send(ToEngine::Ask(question));
    // An engine thread that ends drops what it has.
    let question = back.recv().map_err(|_| AskError::Ended)?;
    Ok(place.insert(question))
}

/// Why there is neither an answer nor a word about feedback.
fn refusal(answered: Answered) -> AskError {
    match answered {
        Answered::Removed => AskError::Removed,
        Answered::Full => AskError::Full,
        Answered::NoRow => AskError::NoRow,
        Answered::Ended => AskError::Ended,
        Answered::Prediction(_) | Answered::Default(_) | Answered::Updated(_) => {
            unreachable!("it is an answer to what was asked")
        }
    }
}
