//! Queries of the program in whose process the engine runs, without a socket.
//!
//! ```text
//!   Asker::ask ─ question ─▶ inbox ▸ Questions ▸ row, core ▸ answer into the question ─▶ asker
//! ```
//!
//! A question travels to the engine thread and back in a box that is made once, with the room for
//! the answer, so that asking takes no memory after the first large output. The input is copied
//! into its row at once: inputs of many megabytes hold up the others meanwhile, unlike those that
//! come over HTTP.
//!
//! Owner: the engine thread. Pure: it knows neither sockets nor clocks.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use cutter_core::feedback::Decided;
use cutter_core::ids::ApplicationId;
use cutter_core::stats::Reason;
use cutter_core::{Admission, Answer, Core, HandedOver, Outcome, ReplyTo, Sink};
use cutter_tensor::TensorSpec;

use crate::decision_log::LogWriter;
use crate::limits::QUESTIONS_MAX;

/// Marks the queries of this port; the rest is the place of the question.
const DIRECT: ReplyTo = 1 << 63;

/// Whether a query came by this port.
#[inline]
pub fn is_direct(reply_to: ReplyTo) -> bool {
    reply_to & DIRECT != 0
}

/// A query on its way to the engine thread, and its answer on the way back.
#[derive(Debug)]
pub struct Question {
    application: ApplicationId,
    input: Vec<u8>,
    arrived_ns: u64,
    outcome: Answered,
    /// The output, or what is said of a default.
    output: Vec<u8>,
    back: SyncSender<Box<Question>>,
}

/// What a question came to.
#[derive(Clone, Copy, Debug)]
pub enum Answered {
    /// An output of this type.
    Prediction(TensorSpec),
    /// The default output, and why.
    Default(Reason),
    /// The application is gone, or is going.
    Removed,
    /// Too many questions are under way.
    Full,
    /// The server is ending.
    Ended,
}

impl Question {
    /// A question for an application, and where it comes back to, again and again.
    pub fn new(application: ApplicationId) -> (Box<Self>, Receiver<Box<Self>>) {
        let (answered, back) = sync_channel(1);
        let question = Self {
            application,
            input: Vec::new(),
            arrived_ns: 0,
            outcome: Answered::Ended,
            output: Vec::new(),
            back: answered,
        };
        (Box::new(question), back)
    }

    pub fn application(&self) -> ApplicationId {
        self.application
    }

    /// What is asked, and when. The bytes are an input of the application's type.
    pub fn put(&mut self, input: &[u8], arrived_ns: u64) {
        self.input.clear();
        self.input.extend_from_slice(input);
        self.arrived_ns = arrived_ns;
    }

    /// What it came to, with the output, or what is said of a default.
    pub fn answered(&self) -> (Answered, &[u8]) {
        (self.outcome, &self.output)
    }

    fn answer(mut self: Box<Self>, outcome: Answered) {
        self.outcome = outcome;
        let back = self.back.clone();
        // It has room for one, and there is one. Whoever asked may be gone.
        let _ = back.try_send(self);
    }
}

/// The questions that are under way.
#[derive(Debug)]
pub struct Questions {
    /// By their places, which queries carry.
    open: Box<[Option<Box<Question>>]>,
    free: Vec<usize>,
    /// Answers that have been handed over and are not counted yet.
    replied: Vec<HandedOver>,
}

impl Default for Questions {
    fn default() -> Self {
        Self {
            open: (0..QUESTIONS_MAX).map(|_| None).collect(),
            free: (0..QUESTIONS_MAX).collect(),
            replied: Vec::with_capacity(QUESTIONS_MAX),
        }
    }
}

impl Questions {
    /// Asks the core. `is_taken`: the application is there and takes queries. What is decided at
    /// once is told to the log.
    pub fn ask(
        &mut self,
        now_ns: u64,
        question: Box<Question>,
        is_taken: bool,
        core: &mut Core,
        log: Option<&mut LogWriter>,
    ) {
        if !is_taken {
            return question.answer(Answered::Removed);
        }
        let (application, arrived_ns) = (question.application, question.arrived_ns);
        let Some(place) = self.free.pop() else {
            return question.answer(Answered::Full);
        };
        let reply_to = DIRECT | place as ReplyTo;
        let bytes = question.input.len();
        let query = |row| Admission {
            application,
            row,
            bytes: u32::try_from(bytes).expect("bounded by ITEM_BYTES_MAX"),
            arrived_ns,
            timeout_ns: None,
            reply_to,
        };
        let row = core.reserve(application);
        if let Some(row) = row {
            core.row_mut(application, row, bytes).copy_from_slice(&question.input);
            let mut budget_bytes = usize::MAX;
            let is_clear = core.commit(application, row, bytes, &mut budget_bytes);
            assert!(is_clear, "there is budget for any row");
        }
        // It may be answered at once.
        self.open[place] = Some(question);
        match row {
            Some(row) => core.admit(now_ns, &query(row), &mut Logged { questions: self, log }),
            None => core.refuse(now_ns, &query(0), self),
        }
    }

    /// Nothing is asked any more.
    pub fn refuse(question: Box<Question>) {
        question.answer(Answered::Ended);
    }

    /// The answers handed over since the last call.
    pub fn take_replied(&mut self) -> impl Iterator<Item = HandedOver> {
        self.replied.drain(..)
    }
}

/// The answers to questions, and the log.
struct Logged<'a> {
    questions: &'a mut Questions,
    log: Option<&'a mut LogWriter>,
}

impl Sink for Logged<'_> {
    fn answer(&mut self, answer: &Answer<'_>) {
        self.questions.answer(answer);
    }

    fn decided(&mut self, decided: &Decided<'_>) {
        if let Some(log) = &mut self.log {
            log.decided(decided);
        }
    }
}

impl Sink for Questions {
    fn answer(&mut self, answer: &Answer<'_>) {
        let Answer { application, arrived_ns, deadline_ns, due_ns, answered_ns, .. } = *answer;
        let place = usize::try_from(answer.reply_to & !DIRECT).expect("a place of the table");
        let mut question = self.open[place].take().expect("a query is answered once");
        self.free.push(place);
        question.output.clear();
        let outcome = match answer.outcome {
            Outcome::Prediction { output, spec } => {
                question.output.extend_from_slice(output.bytes());
                Answered::Prediction(*spec)
            }
            Outcome::Default { reason, detail } => {
                question.output.extend_from_slice(detail);
                Answered::Default(reason)
            }
        };
        question.answer(outcome);
        let queries = 1;
        self.replied.push(HandedOver {
            application,
            queries,
            arrived_ns,
            deadline_ns,
            due_ns,
            answered_ns,
        });
    }
}
