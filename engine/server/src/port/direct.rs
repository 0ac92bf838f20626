//! Queries of the program in whose process the engine runs, without a socket.
//!
//! ```text
//!   Asker::ask ─ question ─▶ inbox ▸ Questions ▸ row, core ▸ answer into the question ─▶ asker
//! ```
//!
//! What was right goes the same way, and is answered at once.
//!
//! A question travels to the engine thread and back in a box that is made once, with the room for
//! the answer and for what each model said, so that asking takes no memory after the first large
//! one. The input is copied into its row at once: inputs of many megabytes hold up the others
//! meanwhile, unlike those that come over HTTP.
//!
//! Owner: the engine thread. Pure: it knows neither sockets nor clocks.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use cutter_core::contexts::ContextKey;
use cutter_core::feedback::{Decided, Learned, Lesson, Vector};
use cutter_core::ids::ApplicationId;
use cutter_core::selection::{Asking, Ensemble, Member, Target, Update, Updated};
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

/// What is asked, or told.
#[derive(Clone, Copy, Debug)]
pub enum Matter {
    /// The prediction for the input, within this time or the application's objective; told is what
    /// each model said, if it is to be explained.
    Prediction { timeout_ns: Option<u64>, explain: bool },
    /// What the policy is to learn of a query, which has this id.
    OfQuery(u64, Lesson),
    /// What it is to learn of the input.
    OfInput(Lesson),
}

/// For whom it is asked or told, as a policy tells them apart: see [`Asking`].
#[derive(Clone, Copy, Debug)]
pub struct Context {
    pub key: ContextKey,
    pub vector: Vector,
}

/// A query, or feedback, on its way to the engine thread, and its answer on the way back.
#[derive(Debug)]
pub struct Question {
    application: ApplicationId,
    matter: Matter,
    context: Context,
    input: Vec<u8>,
    arrived_ns: u64,
    outcome: Answered,
    query_id: u64,
    confidence: Option<f64>,
    /// The output, or what is said of a default, and behind that what each model said.
    bytes: Vec<u8>,
    answer_bytes: usize,
    members: Vec<MemberTold>,
    back: SyncSender<Box<Question>>,
}

/// What one model said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemberTold {
    /// Its place among those that the application lists.
    pub place: usize,
    /// Its part in the answer.
    pub weight: f64,
    /// When its output came, in ns after the query; `None` if it did not in time.
    pub after_ns: Option<u64>,
    /// The type of its output, and how many bytes that has.
    pub output: Option<(TensorSpec, usize)>,
}

/// What a question came to.
#[derive(Clone, Copy, Debug)]
pub enum Answered {
    /// An output of this type.
    Prediction(TensorSpec),
    /// The default output, and why.
    Default(Reason),
    /// What became of feedback.
    Updated(Updated),
    /// There was no row for the input of which the policy was to learn.
    NoRow,
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
            matter: Matter::Prediction { timeout_ns: None, explain: false },
            context: Context { key: ContextKey::APPLICATION, vector: Vector::NONE },
            input: Vec::new(),
            arrived_ns: 0,
            outcome: Answered::Ended,
            query_id: 0,
            confidence: None,
            bytes: Vec::new(),
            answer_bytes: 0,
            members: Vec::new(),
            back: answered,
        };
        (Box::new(question), back)
    }

    pub fn application(&self) -> ApplicationId {
        self.application
    }

    /// What is asked, and when. The bytes are an input of the application's type, or none where no
    /// input is meant.
    pub fn put(&mut self, matter: Matter, context: Context, input: &[u8], arrived_ns: u64) {
        (self.matter, self.context) = (matter, context);
        self.input.clear();
        self.input.extend_from_slice(input);
        self.arrived_ns = arrived_ns;
    }

    /// What it came to, with the output, or what is said of a default.
    pub fn answered(&self) -> (Answered, &[u8]) {
        (self.outcome, &self.bytes[..self.answer_bytes])
    }

    /// The id of the query that was answered, and the share of the models that agree.
    pub fn told(&self) -> (u64, Option<f64>) {
        (self.query_id, self.confidence)
    }

    /// What each model said that was asked, if that was to be told, and the bytes of their outputs,
    /// one behind another.
    pub fn explanation(&self) -> (&[MemberTold], &[u8]) {
        (&self.members, &self.bytes[self.answer_bytes..])
    }

    fn keep(&mut self, ensemble: &Ensemble<'_>, arrived_ns: u64) {
        self.confidence = ensemble.confidence;
        for Member { arm, output, came_ns, weight } in ensemble.members {
            let output = output.map(|(output, spec)| {
                self.bytes.extend_from_slice(output.bytes());
                (*spec, output.bytes().len())
            });
            let after_ns = came_ns.map(|came_ns| came_ns.saturating_sub(arrived_ns));
            self.members.push(MemberTold { place: *arm, weight: *weight, after_ns, output });
        }
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
    /// Asks the core, or tells it. `is_taken`: the application is there and takes queries. What is
    /// decided or learned at once is told to the log.
    pub fn take(
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
        match question.matter {
            Matter::Prediction { timeout_ns, explain } => {
                self.ask(now_ns, question, (timeout_ns, explain), core, log);
            }
            Matter::OfQuery(id, lesson) => {
                self.tell(now_ns, question, (Target::Query(id), lesson), core, log);
            }
            Matter::OfInput(lesson) => match filled(&question, core) {
                Some((row, bytes)) => {
                    let target = Target::Input { row, bytes };
                    self.tell(now_ns, question, (target, lesson), core, log);
                }
                None => question.answer(Answered::NoRow),
            },
        }
    }

    fn ask(
        &mut self,
        now_ns: u64,
        question: Box<Question>,
        (timeout_ns, explain): (Option<u64>, bool),
        core: &mut Core,
        log: Option<&mut LogWriter>,
    ) {
        let Question { application, arrived_ns, context: Context { key, vector }, .. } = *question;
        let Some(place) = self.free.pop() else {
            return question.answer(Answered::Full);
        };
        let reply_to = DIRECT | place as ReplyTo;
        let row = filled(&question, core);
        let bytes = bytes_of(&question);
        let query = |row| Admission { application, row, bytes, arrived_ns, timeout_ns, reply_to };
        // It may be answered at once.
        self.open[place] = Some(question);
        let asking = Asking { key: key.bytes(), vector: vector.numbers(), explain };
        match row {
            Some((row, _)) => {
                core.admit_with(now_ns, &query(row), &asking, &mut Logged { questions: self, log });
            }
            None => core.refuse(now_ns, &query(0), self),
        }
    }

    fn tell(
        &mut self,
        now_ns: u64,
        question: Box<Question>,
        (target, lesson): (Target, Lesson),
        core: &mut Core,
        log: Option<&mut LogWriter>,
    ) {
        let (application, Context { key, vector }) = (question.application, question.context);
        let update = Update { application, target, lesson, key: key.bytes(), vector };
        let updated = core.update(now_ns, &update, &mut Logged { questions: self, log });
        question.answer(Answered::Updated(updated));
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

fn bytes_of(question: &Question) -> u32 {
    u32::try_from(question.input.len()).expect("bounded by ITEM_BYTES_MAX")
}

/// A row with the input of a question, and how many bytes that has; `None` when there is no row.
fn filled(question: &Question, core: &mut Core) -> Option<(u32, u32)> {
    let (application, bytes) = (question.application, question.input.len());
    let row = core.reserve(application)?;
    core.row_mut(application, row, bytes).copy_from_slice(&question.input);
    let mut budget_bytes = usize::MAX;
    let is_clear = core.commit(application, row, bytes, &mut budget_bytes);
    assert!(is_clear, "there is budget for any row");
    Some((row, bytes_of(question)))
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

    fn learned(&mut self, learned: &Learned<'_>) {
        if let Some(log) = &mut self.log {
            log.learned(learned);
        }
    }
}

impl Sink for Questions {
    fn answer(&mut self, answer: &Answer<'_>) {
        let Answer { application, arrived_ns, deadline_ns, due_ns, answered_ns, .. } = *answer;
        let place = usize::try_from(answer.reply_to & !DIRECT).expect("a place of the table");
        let mut question = self.open[place].take().expect("a query is answered once");
        self.free.push(place);
        (question.query_id, question.confidence) = (answer.query_id, None);
        question.bytes.clear();
        question.members.clear();
        let outcome = match answer.outcome {
            Outcome::Prediction { output, spec } => {
                question.bytes.extend_from_slice(output.bytes());
                Answered::Prediction(*spec)
            }
            Outcome::Default { reason, detail } => {
                question.bytes.extend_from_slice(detail);
                Answered::Default(reason)
            }
        };
        question.answer_bytes = question.bytes.len();
        answer.ensemble.into_iter().for_each(|ensemble| question.keep(ensemble, arrived_ns));
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
