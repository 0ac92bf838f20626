//! Asking from within the engine's own process, without a socket: the end of any other thread. The
//! engine thread's end is [`direct`](crate::port::direct).
//!
//! An application with a policy learns from what it is told of its answers:
//!
//! ```no_run
//! use cutter_core::feedback::{Lesson, Truth};
//! use cutter_server::asker::{AskError, Asker, Learning, Reply, Whom};
//!
//! fn classify(digits: &mut Asker, user: &[u8], pixels: &[u8]) -> Result<(), AskError> {
//!     let reply = digits.ask_for(Whom { key: user, vector: &[] }, pixels)?;
//!     if let Reply::Prediction { query_id, .. } = reply {
//!         let seven = Lesson::Label(Truth::number(7.0, b"7"));
//!         let learning = digits.learn(query_id, seven)?;
//!         assert_eq!(learning, Learning::Learned);
//!     }
//!     Ok(())
//! }
//! ```

use std::sync::mpsc::Receiver;

use cutter_core::contexts::ContextKey;
use cutter_core::feedback::{Lesson, Vector};
use cutter_core::ids::ApplicationId;
use cutter_core::limits::{CONTEXT_KEY_BYTES_MAX, CONTEXT_NUMBERS_MAX};
use cutter_core::stats::Reason;
use cutter_machine::clock::monotonic_ns;
use cutter_tensor::TensorSpec;

pub use cutter_core::selection::Updated as Learning;

use crate::limits::QUESTIONS_MAX;
use crate::messages::{EngineMailbox, ToEngine};
use crate::port::direct::{Answered, Context, Matter, Question};
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

/// The answer to a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reply<'a> {
    /// The model's output: bytes of this type, in the machine's own order. `confidence`: the share
    /// of the linked models that agree, where several were asked.
    Prediction { query_id: u64, output: &'a [u8], spec: TensorSpec, confidence: Option<f64> },
    /// The application's default output as it stands in its configuration, and why; `detail` is
    /// what the model said of its failure, if it is one.
    Default {
        query_id: u64,
        output: &'a str,
        reason: Reason,
        detail: &'a str,
        confidence: Option<f64>,
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
        self.ask_for(Whom::default(), input)
    }

    /// The same for somebody.
    ///
    /// # Errors
    /// Those of [`ask`](Self::ask), and what is said of whom makes no sense.
    pub fn ask_for(&mut self, whom: Whom<'_>, input: &[u8]) -> Result<Reply<'_>, AskError> {
        self.check_input(input)?;
        let context = self.context(whom)?;
        let question = send(&self.engine, &mut self.question, &self.back, |question| {
            question.put(Matter::Prediction, context, input, monotonic_ns());
        })?;
        let (query_id, confidence) = question.told();
        let (answered, output) = question.answered();
        match answered {
            Answered::Prediction(spec) => {
                Ok(Reply::Prediction { query_id, output, spec, confidence })
            }
            Answered::Default(reason) => {
                let detail = std::str::from_utf8(output).unwrap_or_default();
                let output = &self.default_output;
                Ok(Reply::Default { query_id, output, reason, detail, confidence })
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
    /// again, at low priority, and what they say is learned for whom it is.
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
        let context = self.context(whom)?;
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
        let Whom { key, vector } = whom;
        if let Some(policy) = &self.policy {
            policy.check_vector(vector)?;
        }
        let key = ContextKey::new(key).ok_or(AskError::Key { found: key.len() })?;
        let vector = Vector::new(vector).ok_or(AskError::Numbers { found: vector.len() })?;
        Ok(Context { key, vector })
    }
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
