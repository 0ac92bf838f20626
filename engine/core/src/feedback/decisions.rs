//! The decisions of one application that wait for feedback, in a ring of fixed room.
//!
//! Owner: the engine thread. Pure, and each operation takes a few steps and no memory, however many
//! decisions there are. Whoever asks takes first what has waited long enough
//! ([`Decisions::take_expired`]): a decision waits as long as nobody has taken it.
//!
//! ```text
//!  place        0      1      2      3      4         a record for each, side by side in arrays:
//!            [ ▢ e9 ][ ▢ fb ][ ■ b4 ][ ■ c0 ][ ▢ d7 ]    ids, times, context, answer, ending
//!               ▲               ▲                        propensities  × models
//!         recorded last    the oldest                    what was said × models
//!
//!  by id ─▸ place        by input ─▸ the latest with it ⇄ older ⇄ older, all of which wait
//! ```
//!
//! The list of an input is that of its latest decision, whether it waits or not, and of those older
//! ones that still wait. So the latest that waits is always the first or the second of it, and if
//! none waits, the first tells what became of the latest.
//!
//! An input is known by a keyed hash of 128 bits, which no client can aim at. Two different inputs
//! are taken for the same with a chance of 2⁻¹²⁸ each time that they meet: with a million decisions
//! that wait and a million updates in each second, once in 10¹⁹ years. Then a lesson goes to a
//! decision that it was not meant for; no answer is ever made of it.
//!
//! Query ids rise from a first one on, and belong to all applications of a server: not every id
//! that was given out was a decision of this one. One that is not in the ring and not above those
//! that have left it counts as late, any other as unknown.

mod index;
#[cfg(test)]
mod tests;

use self::index::Index;
use super::said::Said;
use crate::contexts::ContextKey;
use crate::policy::Models;

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision<'a> {
    pub query_id: u64,
    /// A keyed hash of the bytes of its input.
    pub input: u128,
    pub arrived_ns: u64,
    pub answered_ns: u64,
    /// The key of the context that the query named; empty for the application itself. At most
    /// [`CONTEXT_KEY_BYTES_MAX`](crate::limits::CONTEXT_KEY_BYTES_MAX) bytes.
    pub context: &'a [u8],
    /// The linked models that could have been asked, and those that were.
    pub servable: Models,
    pub asked: Models,
    /// With which probability each linked model was asked.
    pub propensities: &'a [f64],
    /// What each linked model said.
    pub said: &'a [Said],
    /// What was answered; nothing where it was the default output.
    pub answer: Said,
    /// What was known of the query: as many numbers as the policy looks at, or none.
    pub vector: &'a [f64],
}

/// How a decision has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Learned,
    Withdrawn,
    /// Its time was over.
    Expired,
}

/// What is learned of a decision of which nothing was told in time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Unrewarded {
    /// Nothing.
    #[default]
    LeaveOut,
    /// This loss.
    DefaultLoss(f64),
}

/// A decision that is in the ring. It is one until the next decision is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecisionPlace(u32);

/// What there is to an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A decision that waits for it.
    Waiting(DecisionPlace),
    /// It was told before what it was worth.
    Duplicate,
    /// It waits no more.
    Late,
    Withdrawn,
    Unknown,
}

/// The ring.
#[derive(Debug)]
pub struct Decisions {
    records: Box<[Record]>,
    /// A row of `models` for each place, as `said`.
    propensities: Box<[f64]>,
    said: Box<[Said]>,
    models: usize,
    /// The same of `numbers`.
    vectors: Box<[f64]>,
    numbers: usize,
    by_id: Index,
    by_input: Index,
    /// How long a decision waits.
    wait_ns: u64,
    /// The first id that was given out.
    first_id: u64,
    /// The largest id of those that have left the ring.
    left_id: Option<u64>,
    /// Decisions recorded, each of which is at the place of its number.
    recorded: u64,
    /// Those of a lower number wait no more.
    looked_at: u64,
    waiting: usize,
}

/// What is kept of a decision besides the rows for its models.
#[derive(Clone, Copy, Debug)]
struct Record {
    query_id: u64,
    input: u128,
    arrived_ns: u64,
    answered_ns: u64,
    key: ContextKey,
    servable: Models,
    asked: Models,
    answer: Said,
    vector_numbers: u8,
    /// `None`: it waits.
    ending: Option<Ending>,
    /// Neighbours in the list of its input.
    newer: Option<u32>,
    older: Option<u32>,
}

impl Decisions {
    /// For so many decisions, each with a number for each of so many models and so many that are
    /// known of its query, that wait for so long. Ids are given out from the first one on.
    pub fn new(
        places: usize,
        (models, numbers): (usize, usize),
        wait_ns: u64,
        first_id: u64,
    ) -> Self {
        assert!(places > 0 && u32::try_from(places).is_ok_and(|places| places < u32::MAX));
        Self {
            records: vec![Record::NONE; places].into(),
            propensities: vec![0.0; places * models].into(),
            said: vec![Said::Nothing; places * models].into(),
            models,
            vectors: vec![0.0; places * numbers].into(),
            numbers,
            by_id: Index::new(places),
            by_input: Index::new(places),
            wait_ns,
            first_id,
            left_id: None,
            recorded: 0,
            looked_at: 0,
            waiting: 0,
        }
    }

    /// The bytes of such a ring.
    pub const fn table_bytes(places: usize, (models, numbers): (usize, usize)) -> usize {
        let of_models = models * (size_of::<f64>() + size_of::<Said>());
        let row_bytes = of_models + numbers * size_of::<f64>();
        places * (size_of::<Record>() + row_bytes) + 2 * Index::table_bytes(places)
    }

    /// Takes a decision in, in the place of the oldest if there is no other. That one, if it still
    /// waits, has expired with this and is handed to `expired`.
    pub fn record(&mut self, decision: &Decision<'_>, expired: impl FnOnce(&Decision<'_>)) {
        let place = self.place_of(self.recorded);
        if self.recorded >= self.records.len() as u64 {
            if self.records[index(place)].ending.is_none() {
                self.finish(DecisionPlace(place), Ending::Expired);
                expired(&self.decision(DecisionPlace(place)));
            }
            self.forget(place);
        }
        self.records[index(place)] = Record::of(decision);
        let row = self.row(place);
        self.propensities[row.clone()].copy_from_slice(decision.propensities);
        self.said[row].copy_from_slice(decision.said);
        let vector = index(place) * self.numbers;
        self.vectors[vector..vector + decision.vector.len()].copy_from_slice(decision.vector);
        self.by_id.put(spread(decision.query_id), place);
        self.list(place);
        self.recorded += 1;
        self.waiting += 1;
        self.looked_at = self.looked_at.max(self.oldest());
    }

    /// The next decision that has waited for as long as one waits. It has expired with this.
    ///
    /// Each decision is looked at once in its life, in the order in which they were recorded.
    pub fn take_expired(&mut self, now_ns: u64) -> Option<Decision<'_>> {
        while self.next_due_ns().is_some_and(|due_ns| due_ns <= now_ns) {
            let place = self.place_of(self.looked_at);
            self.looked_at += 1;
            if self.records[index(place)].ending.is_none() {
                self.finish(DecisionPlace(place), Ending::Expired);
                return Some(self.decision(DecisionPlace(place)));
            }
        }
        None
    }

    /// When the next decision is to be looked at, which may have ended before.
    pub fn next_due_ns(&self) -> Option<u64> {
        let is_there = self.looked_at < self.recorded;
        let record = &self.records[index(self.place_of(self.looked_at))];
        is_there.then(|| record.answered_ns.saturating_add(self.wait_ns))
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The decision with an id.
    pub fn find_by_id(&self, query_id: u64) -> Found {
        match self.place_by_id(query_id) {
            Some(place) => self.found(place),
            None => {
                let has_left = self.left_id.is_some_and(|left_id| query_id <= left_id);
                if has_left && query_id >= self.first_id { Found::Late } else { Found::Unknown }
            }
        }
    }

    /// The latest decision for an input that still waits; if none does, what became of the latest.
    pub fn find_by_input(&self, input: u128) -> Found {
        let Some(latest) = self.latest(input) else { return Found::Unknown };
        let older = self.records[index(latest)].older;
        match (self.found(latest), older) {
            (Found::Waiting(place), _) => Found::Waiting(place),
            (_, Some(older)) => self.found(older),
            (ended, None) => ended,
        }
    }

    /// A decision that is in the ring.
    pub fn decision(&self, place: DecisionPlace) -> Decision<'_> {
        let record = &self.records[index(place.0)];
        let row = self.row(place.0);
        Decision {
            query_id: record.query_id,
            input: record.input,
            arrived_ns: record.arrived_ns,
            answered_ns: record.answered_ns,
            context: record.key.bytes(),
            servable: record.servable,
            asked: record.asked,
            propensities: &self.propensities[row.clone()],
            said: &self.said[row],
            answer: record.answer,
            vector: self.vector(place, record),
        }
    }

    /// A model has said something after the answer. It counts, and this is true, if the decision
    /// still waits.
    pub fn note_said(&mut self, query_id: u64, model: usize, said: Said) -> bool {
        let Found::Waiting(place) = self.find_by_id(query_id) else { return false };
        let row = self.row(place.0);
        self.said[row][model] = said;
        true
    }

    /// A decision waits no more.
    ///
    /// # Panics
    /// When it did not wait.
    pub fn finish(&mut self, place: DecisionPlace, ending: Ending) {
        let record = &mut self.records[index(place.0)];
        assert_eq!(record.ending, None, "a decision ends once");
        record.ending = Some(ending);
        self.waiting -= 1;
        // The latest of its input stays the first of the list.
        if record.newer.is_some() {
            self.unlink(place.0);
        }
    }

    fn found(&self, place: u32) -> Found {
        match self.records[index(place)].ending {
            None => Found::Waiting(DecisionPlace(place)),
            Some(Ending::Learned) => Found::Duplicate,
            Some(Ending::Withdrawn) => Found::Withdrawn,
            Some(Ending::Expired) => Found::Late,
        }
    }

    /// A decision that has ended leaves the ring.
    fn forget(&mut self, place: u32) {
        let Record { query_id, input, newer, older, .. } = self.records[index(place)];
        debug_assert_eq!(older, None, "all older ones have left the ring");
        self.left_id = self.left_id.max(Some(query_id));
        self.by_id.remove(spread(query_id), place);
        if newer.is_none() {
            self.by_input.remove(low(input), place);
        }
    }

    /// Puts a new decision before the others of its input.
    fn list(&mut self, place: u32) {
        let input = self.records[index(place)].input;
        let Some(before) = self.latest(input) else {
            return self.by_input.put(low(input), place);
        };
        self.by_input.replace(low(input), before, place);
        self.records[index(place)].older = Some(before);
        self.records[index(before)].newer = Some(place);
        if self.records[index(before)].ending.is_some() {
            self.unlink(before);
        }
    }

    /// Takes a decision that is not the first out of the list of its input.
    fn unlink(&mut self, place: u32) {
        let Record { newer, older, .. } = self.records[index(place)];
        if let Some(newer) = newer {
            self.records[index(newer)].older = older;
        }
        if let Some(older) = older {
            self.records[index(older)].newer = newer;
        }
        self.records[index(place)].older = None;
    }

    fn place_by_id(&self, query_id: u64) -> Option<u32> {
        let is_it = |place| self.records[index(place)].query_id == query_id;
        self.by_id.find(spread(query_id), is_it)
    }

    fn latest(&self, input: u128) -> Option<u32> {
        self.by_input.find(low(input), |place| self.records[index(place)].input == input)
    }

    /// The number of the oldest decision in the ring.
    fn oldest(&self) -> u64 {
        self.recorded.saturating_sub(self.records.len() as u64)
    }

    #[expect(clippy::cast_possible_truncation, reason = "a place has 32 bits")]
    fn place_of(&self, number: u64) -> u32 {
        (number % self.records.len() as u64) as u32
    }

    fn vector(&self, place: DecisionPlace, record: &Record) -> &[f64] {
        let first = index(place.0) * self.numbers;
        &self.vectors[first..first + usize::from(record.vector_numbers)]
    }

    fn row(&self, place: u32) -> std::ops::Range<usize> {
        let start = index(place) * self.models;
        start..start + self.models
    }
}

impl Record {
    /// Of a place that was never used.
    const NONE: Self = Self {
        query_id: 0,
        input: 0,
        arrived_ns: 0,
        answered_ns: 0,
        key: ContextKey::APPLICATION,
        servable: Models::NONE,
        asked: Models::NONE,
        answer: Said::Nothing,
        vector_numbers: 0,
        ending: None,
        newer: None,
        older: None,
    };

    fn of(decision: &Decision<'_>) -> Self {
        Self {
            query_id: decision.query_id,
            input: decision.input,
            arrived_ns: decision.arrived_ns,
            answered_ns: decision.answered_ns,
            key: ContextKey::new(decision.context).expect("it is one that was read"),
            servable: decision.servable,
            asked: decision.asked,
            answer: decision.answer,
            vector_numbers: u8::try_from(decision.vector.len()).expect("a few"),
            ..Self::NONE
        }
    }
}

/// Ids that follow each other go to slots far apart: the multiplier is 2⁶⁴ over the golden ratio.
fn spread(query_id: u64) -> u64 {
    query_id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
}

#[expect(clippy::cast_possible_truncation, reason = "half of it is meant")]
fn low(input: u128) -> u64 {
    input as u64
}

fn index(place: u32) -> usize {
    place as usize
}
