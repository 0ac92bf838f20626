//! What is logged, and its bytes.
//!
//! ```text
//!  kind 1, application   id · epoch · texts: name, policy, version, parameters · models: texts
//!  kind 2, decision      application · query · arrived · answered · servable · asked · confidence
//!                        · context · propensities · said, of each linked model · answer
//!                        · vector; files of version 1 have none
//!  kind 4, evaluation    as a decision
//!  kind 3, lesson        application · query · told · loss of the answer · loss of each model
//! ```
//!
//! Little-endian. Times and ids are u64, sets of models u32 with a bit for each; a text has its
//! length before it, and so has a list; what may be unknown has a byte before it that says whether
//! it is known. What a model said is a byte for its kind, and a word.

use cutter_core::feedback::{Decided, Learned, Said};
use cutter_core::ids::ApplicationId;
use cutter_core::limits::{CONTEXT_NUMBERS_MAX, LINKS_MAX};
use cutter_core::policy::Models;

use crate::limits::{LOG_CONTEXT_BYTES_MAX, LOG_TEXT_BYTES_MAX};

const APPLICATION: u8 = 1;
const DECISION: u8 = 2;
const LESSON: u8 = 3;
const EVALUATION: u8 = 4;

/// The longest list: of what is known of models, or of a query.
const COUNT_MAX: usize =
    if LINKS_MAX > CONTEXT_NUMBERS_MAX { LINKS_MAX } else { CONTEXT_NUMBERS_MAX };

/// What is the same for all decisions of an application, until it is told anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogHeader {
    pub name: String,
    /// What the linked models are called, in their order.
    pub models: Vec<String>,
    pub policy: String,
    pub policy_version: String,
    /// As a reader of the log can give them to the same policy again: `eta=0.1 floor=0.01`.
    pub parameters: String,
    /// Which run of the server it was.
    pub epoch: u64,
}

/// A record as it is read.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// Holds for the records behind it.
    Application(ApplicationId, LogHeader),
    Decision(Decision),
    Lesson(Lesson),
}

/// [`Decided`], as it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub application: ApplicationId,
    pub is_evaluation: bool,
    pub query_id: u64,
    pub arrived_ns: u64,
    pub answered_ns: u64,
    pub context: Box<[u8]>,
    pub servable: Models,
    pub asked: Models,
    pub propensities: Box<[f64]>,
    pub said: Box<[Said]>,
    pub answer: Said,
    pub confidence: Option<f64>,
    pub vector: Box<[f64]>,
}

/// [`Learned`], as it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    pub application: ApplicationId,
    pub query_id: u64,
    pub told_ns: u64,
    pub losses: Box<[Option<f64>]>,
    pub answer_loss: Option<f64>,
}

/// The application whose header a payload is.
pub(super) fn application_of_header(payload: &[u8]) -> Option<ApplicationId> {
    let (APPLICATION, mut rest) = payload.split_first().map(|(kind, rest)| (*kind, Bytes(rest)))?
    else {
        return None;
    };
    rest.word().map(ApplicationId::from_bits)
}

pub(super) fn write_header(id: ApplicationId, header: &LogHeader, out: &mut Vec<u8>) {
    out.push(APPLICATION);
    put_word(out, id.to_bits());
    put_word(out, header.epoch);
    for text in [&header.name, &header.policy, &header.policy_version, &header.parameters] {
        put_text(out, text);
    }
    put_count(out, header.models.len());
    header.models.iter().for_each(|model| put_text(out, model));
}

/// At most [`LOG_RECORD_BYTES_MAX`](crate::limits::LOG_RECORD_BYTES_MAX), if the context is not too
/// long.
pub(super) fn write_decided(decided: &Decided<'_>, out: &mut Vec<u8>) {
    out.push(if decided.is_evaluation { EVALUATION } else { DECISION });
    put_word(out, decided.application.to_bits());
    put_word(out, decided.query_id);
    put_word(out, decided.arrived_ns);
    put_word(out, decided.answered_ns);
    put_models(out, decided.servable);
    put_models(out, decided.asked);
    put_known(out, decided.confidence);
    put_bytes(out, decided.context);
    put_count(out, decided.propensities.len());
    decided.propensities.iter().for_each(|propensity| put_word(out, propensity.to_bits()));
    put_count(out, decided.said.len());
    decided.said.iter().for_each(|said| put_said(out, *said));
    put_said(out, decided.answer);
    put_count(out, decided.vector.len());
    decided.vector.iter().for_each(|number| put_word(out, number.to_bits()));
}

/// As [`write_decided`].
pub(super) fn write_learned(learned: &Learned<'_>, out: &mut Vec<u8>) {
    out.push(LESSON);
    put_word(out, learned.application.to_bits());
    put_word(out, learned.query_id);
    put_word(out, learned.told_ns);
    put_known(out, learned.answer_loss);
    put_count(out, learned.losses.len());
    learned.losses.iter().for_each(|loss| put_known(out, *loss));
}

fn put_word(out: &mut Vec<u8>, word: u64) {
    out.extend_from_slice(&word.to_le_bytes());
}

fn put_models(out: &mut Vec<u8>, models: Models) {
    let bits: u32 = models.iter().map(|model| 1 << model).sum();
    out.extend_from_slice(&bits.to_le_bytes());
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    assert!(count <= COUNT_MAX, "{count} models or numbers");
    out.push(u8::try_from(count).expect("COUNT_MAX is below 256"));
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).expect("who appends has looked at the length");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes);
}

/// As much of it as is logged of a text.
fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, &text.as_bytes()[..text.floor_char_boundary(LOG_TEXT_BYTES_MAX)]);
}

fn put_known(out: &mut Vec<u8>, value: Option<f64>) {
    out.push(u8::from(value.is_some()));
    put_word(out, value.unwrap_or_default().to_bits());
}

fn put_said(out: &mut Vec<u8>, said: Said) {
    let (kind, word) = match said {
        Said::Nothing => (0, 0),
        Said::Class(class) => (1, class.cast_unsigned()),
        Said::Text(class) => (2, class),
        Said::Value(value) => (3, value.to_bits()),
    };
    out.push(kind);
    put_word(out, word);
}

impl Record {
    /// `None` where bytes are not those of a record: no more and no fewer.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let (kind, rest) = payload.split_first()?;
        let mut bytes = Bytes(rest);
        let record = match *kind {
            APPLICATION => bytes.header()?,
            DECISION | EVALUATION => Self::Decision(bytes.decision(*kind == EVALUATION)?),
            LESSON => Self::Lesson(bytes.lesson()?),
            _ => return None,
        };
        bytes.0.is_empty().then_some(record)
    }
}

/// What is not read yet of a payload.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn header(&mut self) -> Option<Record> {
        let id = ApplicationId::from_bits(self.word()?);
        let epoch = self.word()?;
        let [name, policy, policy_version, parameters] =
            [self.text()?, self.text()?, self.text()?, self.text()?];
        let models = (0..self.count()?).map(|_| self.text()).collect::<Option<_>>()?;
        let header = LogHeader { name, models, policy, policy_version, parameters, epoch };
        Some(Record::Application(id, header))
    }

    fn decision(&mut self, is_evaluation: bool) -> Option<Decision> {
        Some(Decision {
            application: ApplicationId::from_bits(self.word()?),
            is_evaluation,
            query_id: self.word()?,
            arrived_ns: self.word()?,
            answered_ns: self.word()?,
            servable: self.models()?,
            asked: self.models()?,
            confidence: self.known()?,
            context: self.bytes(LOG_CONTEXT_BYTES_MAX)?,
            propensities: {
                let count = self.count()?;
                (0..count).map(|_| self.word().map(f64::from_bits)).collect::<Option<_>>()?
            },
            said: {
                let count = self.count()?;
                (0..count).map(|_| self.said()).collect::<Option<_>>()?
            },
            answer: self.said()?,
            vector: {
                let count = if self.0.is_empty() { 0 } else { self.count()? };
                (0..count).map(|_| self.word().map(f64::from_bits)).collect::<Option<_>>()?
            },
        })
    }

    fn lesson(&mut self) -> Option<Lesson> {
        Some(Lesson {
            application: ApplicationId::from_bits(self.word()?),
            query_id: self.word()?,
            told_ns: self.word()?,
            answer_loss: self.known()?,
            losses: {
                let count = self.count()?;
                (0..count).map(|_| self.known()).collect::<Option<_>>()?
            },
        })
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn word(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn models(&mut self) -> Option<Models> {
        let bits = self.take().map(u32::from_le_bytes)?;
        Some((0..LINKS_MAX).filter(|model| bits >> model & 1 == 1).collect())
    }

    fn count(&mut self) -> Option<usize> {
        let [count] = self.take()?;
        (usize::from(count) <= COUNT_MAX).then_some(usize::from(count))
    }

    fn bytes(&mut self, most: usize) -> Option<Box<[u8]>> {
        let length = usize::from(self.take().map(u16::from_le_bytes)?);
        let (taken, rest) = self.0.split_at_checked(length).filter(|_| length <= most)?;
        self.0 = rest;
        Some(taken.into())
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes(LOG_TEXT_BYTES_MAX)?.into_vec()).ok()
    }

    fn known(&mut self) -> Option<Option<f64>> {
        let ([is_known], word) = (self.take()?, self.word()?);
        match is_known {
            0 => Some(None),
            1 => Some(Some(f64::from_bits(word))),
            _ => None,
        }
    }

    fn said(&mut self) -> Option<Said> {
        let ([kind], word) = (self.take()?, self.word()?);
        match kind {
            0 => Some(Said::Nothing),
            1 => Some(Said::Class(word.cast_signed())),
            2 => Some(Said::Text(word)),
            3 => Some(Said::Value(f64::from_bits(word))),
            _ => None,
        }
    }
}
