//! What waits apart from the queue, because something went wrong with it: the suspects of a crash,
//! and those whose batch failed.
//!
//! ```text
//!   container died ▸ suspects ▸ each alone, on a replica that has nothing else to do
//!   batch failed   ▸ retries  ▸ in halves ▸ … ▸ the guilty one alone
//! ```
//!
//! *Suspects.* One replica of a model at a time takes them; the others go on with batches. A
//! replica that is to take one first finishes what it has.
//!
//! *Retries.* A batch that fails says nothing of its items, so each half of it is tried by itself,
//! the first half first, until a query fails alone: that is the guilty one, and only it gets the
//! text of the failure. Where another replica is up, it is tried there, once even alone: a replica
//! that is broken cannot make a query guilty while others work. So a query is sent again
//! [`RETRIES_MAX`] times at most. One that could not be in time any more, as predicted, is
//! answered. And when all replicas of a model fail most of their batches ([`FailureShare`]),
//! nothing is taken apart any more: what fails then is answered at once.
//!
//! *The queue.* After something from here, a replica takes a batch from the queue if there is one,
//! so that a query of death now and then does not keep a model in single batches.
//!
//! [`FailureShare`]: crate::batching::FailureShare

use std::collections::VecDeque;

use super::queries::Place;
use super::replica::{QueryRef, Waiting, row_count};
use super::{Reason, Scheduler, Sink, is_live};
use crate::limits::RETRIES_MAX;

const NOT_IN_TIME: &[u8] = b"the batch in which this input was has failed, and there was no time \
    left to try it again";
const NOT_TRIED: &[u8] = b"the batch in which this input was has failed, as most batches of this \
    model do now";
const FAILING: &[u8] =
    b"most batches of this model fail now, and there was no time to try this input";

/// Those of one model.
#[derive(Debug)]
pub struct Apart {
    suspects: VecDeque<Waiting>,
    retries: VecDeque<Retry>,
    /// How many of them are not dead.
    pub open_suspects: usize,
    pub open_retries: usize,
    /// The replica that takes suspects.
    quarantine: Option<usize>,
    next_group: u64,
    room: usize,
}

/// A query whose batch failed.
#[derive(Clone, Copy, Debug)]
struct Retry {
    waiting: Waiting,
    /// Those that may go together stand together and have the same number.
    group: u64,
    /// Where the batch failed; nowhere if it was only taken away.
    failed_at: Option<usize>,
}

/// Whether a batch was formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formed {
    Yes,
    No,
    /// The replica is to finish what it has first.
    NotYet,
}

impl Apart {
    /// Room for `rows` that live, and as many that are dead.
    pub fn new(rows: usize) -> Self {
        let room = 2 * rows;
        Self {
            suspects: VecDeque::with_capacity(room),
            retries: VecDeque::with_capacity(room),
            open_suspects: 0,
            open_retries: 0,
            quarantine: None,
            next_group: 0,
            room,
        }
    }

    pub fn open(&self) -> usize {
        self.open_suspects + self.open_retries
    }
}

impl Scheduler {
    /// Forms a batch of what waits apart.
    pub(super) fn form_apart(
        &mut self,
        now_ns: u64,
        replica: usize,
        sink: &mut impl Sink,
    ) -> Formed {
        match self.form_suspect(replica) {
            Formed::No if self.form_retry(now_ns, replica, sink) => Formed::Yes,
            formed => formed,
        }
    }

    /// What was in flight when a container died waits to go out alone.
    pub(super) fn suspect(&mut self, model: usize, query: QueryRef) {
        let waiting = self.waiting(query);
        self.move_to(query, Place::Suspects);
        let (applications, apart) = (&self.applications, &mut self.models[model].apart);
        if apart.suspects.len() >= apart.room {
            apart.suspects.retain(|suspect| is_live(applications, suspect));
        }
        apart.suspects.push_back(waiting);
    }

    /// What may go out together again does so before all that waits already.
    pub(super) fn retry(&mut self, model: usize, queries: &[QueryRef], failed_at: Option<usize>) {
        let (applications, apart) = (&self.applications, &mut self.models[model].apart);
        if apart.retries.len() + queries.len() > apart.room {
            apart.retries.retain(|retry| is_live(applications, &retry.waiting));
        }
        let group = apart.next_group;
        apart.next_group += 1;
        for query in queries.iter().rev() {
            let waiting = self.waiting(*query);
            self.move_to(*query, Place::Retries);
            let retry = Retry { waiting, group, failed_at };
            self.models[model].apart.retries.push_front(retry);
        }
    }

    /// A batch of `size` failed as a whole. `queries` are those of it that are open still.
    pub(super) fn batch_failed(
        &mut self,
        now_ns: u64,
        replica: usize,
        size: u32,
        queries: &[QueryRef],
        message: &[u8],
        sink: &mut impl Sink,
    ) {
        let model = self.replicas[replica].model;
        self.stats.models[model].batches_failed.increment();
        self.note_failure(now_ns, replica, message);
        for query in queries {
            self.applications[query.application as usize].queries.count_failure(query.row);
        }
        match queries {
            [query] if size == 1 => self.failed_alone(now_ns, replica, *query, message, sink),
            _ if self.is_failing(model) => {
                for query in queries {
                    self.answer_default(now_ns, *query, Reason::ModelError, NOT_TRIED, sink);
                }
            }
            _ => {
                let (first, second) = queries.split_at(queries.len().div_ceil(2));
                for half in [second, first] {
                    self.send_half_again(model, half, replica);
                }
            }
        }
    }

    /// Why a query that waits cannot be answered in time.
    pub(super) fn why_late(&self, model: usize, query: QueryRef) -> (Reason, &'static [u8]) {
        let failures =
            self.applications[query.application as usize].queries.get(query.row).failures;
        let mut up = self.replicas_of(model).filter(|replica| self.is_up(*replica)).peekable();
        if failures > 0 {
            (Reason::ModelError, NOT_IN_TIME)
        } else if up.peek().is_none() {
            (Reason::NotReady, &[])
        } else if self.is_failing(model) {
            (Reason::ModelError, FAILING)
        } else {
            (Reason::Late, &[])
        }
    }

    /// Gives all that waits apart, to be answered.
    pub(super) fn take_apart(&mut self, model: usize) -> Option<QueryRef> {
        if let Some(suspect) = self.next_suspect(model) {
            self.models[model].apart.suspects.pop_front();
            return Some(suspect);
        }
        let retry = self.next_retry(model)?;
        self.models[model].apart.retries.pop_front();
        Some(retry.waiting.query)
    }

    /// A replica that has failed several times in a row takes nothing for a while, and one that is
    /// failing one batch at a time, as long as another one can do the work.
    pub(super) fn is_benched(&self, now_ns: u64, replica: usize) -> bool {
        let state = &self.replicas[replica];
        let busy = state.incarnation.as_ref().is_some_and(|life| life.in_flight > 0);
        let held_back = now_ns < state.pause_until_ns || (busy && state.failures.is_failing());
        held_back && self.has_better(now_ns, replica)
    }

    /// Whether another replica of the same model can do the work.
    fn has_better(&self, now_ns: u64, replica: usize) -> bool {
        let mut others = self.replicas_of(self.replicas[replica].model);
        others.any(|other| other != replica && self.is_well(now_ns, other))
    }

    fn is_well(&self, now_ns: u64, replica: usize) -> bool {
        let state = &self.replicas[replica];
        self.is_up(replica) && !state.failures.is_failing() && now_ns >= state.pause_until_ns
    }

    /// Whether every replica that is up fails most of its batches.
    fn is_failing(&self, model: usize) -> bool {
        let mut up = self.replicas_of(model).filter(|replica| self.is_up(*replica));
        up.all(|replica| self.replicas[replica].failures.is_failing())
    }

    fn form_suspect(&mut self, replica: usize) -> Formed {
        let model = self.replicas[replica].model;
        if self.models[model].apart.open_suspects == 0 || !self.may_quarantine(model, replica) {
            return Formed::No;
        }
        self.models[model].apart.quarantine = Some(replica);
        let Some(life) = &self.replicas[replica].incarnation else { return Formed::No };
        if life.in_flight > 0 {
            return Formed::NotYet;
        }
        let suspect = self.next_suspect(model).expect("one of them is open");
        self.models[model].apart.suspects.pop_front();
        self.move_to(suspect, Place::Batch);
        let Some(life) = &mut self.replicas[replica].incarnation else { return Formed::No };
        life.alone = true;
        life.forming.queries.push(suspect);
        Formed::Yes
    }

    /// One replica at a time takes suspects. One that has nothing to do may take the place of one
    /// that has yet to finish something else.
    fn may_quarantine(&self, model: usize, replica: usize) -> bool {
        let Some(holder) = self.models[model].apart.quarantine else { return true };
        let Some(held) = &self.replicas[holder].incarnation else { return true };
        let idle = self.replicas[replica].incarnation.as_ref().is_some_and(|l| l.in_flight == 0);
        holder == replica || (!held.alone && idle)
    }

    fn form_retry(&mut self, now_ns: u64, replica: usize, sink: &mut impl Sink) -> bool {
        let state = &self.replicas[replica];
        let (model, rows_max) = (state.model, state.rows_max());
        while let Some(front) = self.next_retry(model) {
            if front.failed_at == Some(replica) && self.has_better(now_ns, replica) {
                return false;
            }
            let Some(life) = &mut self.replicas[replica].incarnation else { return false };
            let mut queries = std::mem::take(&mut life.forming.queries);
            while let Some(next) = self.next_retry(model) {
                if next.group != front.group || queries.len() == rows_max as usize {
                    break;
                }
                self.models[model].apart.retries.pop_front();
                self.move_to(next.waiting.query, Place::Batch);
                queries.push(next.waiting.query);
            }
            let done_ns = self.done_ns(now_ns, replica, row_count(&queries));
            // Those of a group stand in the order of their deadlines.
            let late = queries.partition_point(|query| self.deadline_ns(*query) < done_ns);
            for query in queries.drain(..late) {
                self.applications[query.application as usize].queries.take_back(query.row);
                self.answer_default(now_ns, query, Reason::ModelError, NOT_IN_TIME, sink);
            }
            let formed = !queries.is_empty();
            if let Some(life) = &mut self.replicas[replica].incarnation {
                life.forming.queries = queries;
            }
            if formed {
                return true;
            }
        }
        false
    }

    /// A query that fails alone is guilty, unless its replica is the only one that says so.
    fn failed_alone(
        &mut self,
        now_ns: u64,
        replica: usize,
        query: QueryRef,
        message: &[u8],
        sink: &mut impl Sink,
    ) {
        let model = self.replicas[replica].model;
        let queries = &mut self.applications[query.application as usize].queries;
        let first_time = queries.mark_failed_alone(query.row);
        let known = *queries.get(query.row);
        let in_time = |other| self.done_ns(now_ns, other, 1) <= known.deadline_ns;
        let mut others = self.replicas_of(model).filter(|other| *other != replica);
        let elsewhere = first_time
            && known.crashes == 0
            && others.any(|other| self.is_well(now_ns, other) && in_time(other));
        if elsewhere {
            self.send_half_again(model, &[query], replica);
        } else {
            self.stats.models[model].items_failed.increment();
            self.answer_default(now_ns, query, Reason::ModelError, message, sink);
        }
    }

    fn send_half_again(&mut self, model: usize, queries: &[QueryRef], replica: usize) {
        for query in queries {
            let known = self.applications[query.application as usize].queries.get(query.row);
            assert!(u32::from(known.failures) <= RETRIES_MAX, "each time in half as large a batch");
        }
        self.stats.models[model].redispatches.add(queries.len() as u64);
        self.retry(model, queries, Some(replica));
    }

    /// The next suspect that is open, which stays where it is. The dead before it are dropped.
    fn next_suspect(&mut self, model: usize) -> Option<QueryRef> {
        let suspects = &mut self.models[model].apart.suspects;
        while suspects.front().is_some_and(|suspect| !is_live(&self.applications, suspect)) {
            suspects.pop_front();
        }
        suspects.front().map(|suspect| suspect.query)
    }

    /// The next of those whose batch failed, in the same way.
    fn next_retry(&mut self, model: usize) -> Option<Retry> {
        let retries = &mut self.models[model].apart.retries;
        while retries.front().is_some_and(|retry| !is_live(&self.applications, &retry.waiting)) {
            retries.pop_front();
        }
        retries.front().copied()
    }
}
