//! Asking from within the engine's own process, without a socket: the end of any other thread. The
//! engine thread's end is [`direct`](crate::port::direct).

use std::sync::mpsc::Receiver;

use cutter_core::ids::ApplicationId;
use cutter_core::stats::Reason;
use cutter_machine::clock::monotonic_ns;
use cutter_tensor::TensorSpec;

use crate::limits::QUESTIONS_MAX;
use crate::messages::{EngineMailbox, ToEngine};
use crate::port::direct::{Answered, Question};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    #[error("{0}")]
    NoApplication(String),
    #[error("the application is removed; ask another")]
    Removed,
    #[error("the input has {found} bytes, but the application takes {spec}")]
    Input { found: usize, spec: TensorSpec },
    #[error("{QUESTIONS_MAX} questions are under way already; ask again when one is answered")]
    Full,
    #[error("the server has ended, or is about to")]
    Ended,
}

/// The answer to a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reply<'a> {
    /// The model's output: bytes of this type, in the machine's own order.
    Prediction { output: &'a [u8], spec: TensorSpec },
    /// The application's default output as it stands in its configuration, and why; `detail` is
    /// what the model said of its failure, if it is one.
    Default { output: &'a str, reason: Reason, detail: &'a str },
}

/// Asks one application. It has one query under way at a time; whoever wants more has several.
#[derive(Debug)]
pub struct Asker {
    engine: EngineMailbox,
    input: TensorSpec,
    default_output: String,
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
    ) -> Self {
        let (question, back) = Question::new(application);
        Self { engine, input, default_output, question: Some(question), back }
    }

    /// Asks for the prediction for one input: the bytes of its tensor, in the machine's own order.
    /// Returns when the query is answered, at its deadline at the latest.
    ///
    /// # Errors
    /// The input is not of the application's type, the application is gone, there are too many
    /// questions, or the server has ended.
    pub fn ask(&mut self, input: &[u8]) -> Result<Reply<'_>, AskError> {
        if !self.input.admits_bytes(input.len()) {
            return Err(AskError::Input { found: input.len(), spec: self.input });
        }
        let mut question = self.question.take().ok_or(AskError::Ended)?;
        question.put(input, monotonic_ns());
        self.engine.send(ToEngine::Ask(question));
        // An engine thread that ends drops what it has.
        let question = self.back.recv().map_err(|_| AskError::Ended)?;
        let (outcome, output) = self.question.insert(question).answered();
        match outcome {
            Answered::Prediction(spec) => Ok(Reply::Prediction { output, spec }),
            Answered::Default(reason) => {
                let detail = std::str::from_utf8(output).unwrap_or_default();
                Ok(Reply::Default { output: &self.default_output, reason, detail })
            }
            Answered::Removed => Err(AskError::Removed),
            Answered::Full => Err(AskError::Full),
            Answered::Ended => Err(AskError::Ended),
        }
    }
}
