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

use crate::answer::Sink;
use crate::call::{CallRef, Place, Waiting};
use crate::ids::{ModelId, ReplicaId};
use crate::limits::RETRIES_MAX;
use crate::replica::row_count;
use crate::stats::Reason;
use crate::{Core, is_live};

const NOT_IN_TIME: &[u8] = b"the batch in which this input was has failed, and there was no time \
    left to try it again";
const NOT_TRIED: &[u8] = b"the batch in which this input was has failed, as most batches of this \
    model do now";
const FAILING: &[u8] =
    b"most batches of this model fail now, and there was no time to try this input";

/// Those of one model.
#[derive(Debug)]
pub(crate) struct Apart {
    suspects: VecDeque<Waiting>,
    retries: VecDeque<Retry>,
    /// How many of them are not dead.
    pub open_suspects: usize,
    pub open_retries: usize,
    /// The replica that takes suspects.
    quarantine: Option<ReplicaId>,
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
    failed_at: Option<ReplicaId>,
}

/// Whether a batch was formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Formed {
    Yes,
    No,
    /// The replica is to finish what it has first.
    NotYet,
}

impl Apart {
    /// Room for `rows` that live, and as many that are dead.
    pub fn new(rows: usize) -> Self {
        let room = Self::room(rows);
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

    /// The bytes of that room.
    pub const fn table_bytes(rows: usize) -> usize {
        Self::room(rows) * (size_of::<Waiting>() + size_of::<Retry>())
    }

    const fn room(rows: usize) -> usize {
        2 * rows
    }

    pub fn open(&self) -> usize {
        self.open_suspects + self.open_retries
    }

    /// Takes over what waits in another that has less room.
    pub fn take_over(&mut self, other: &mut Self) {
        self.suspects.extend(other.suspects.drain(..));
        self.retries.extend(other.retries.drain(..));
        (self.open_suspects, self.open_retries) = (other.open_suspects, other.open_retries);
        (self.quarantine, self.next_group) = (other.quarantine, other.next_group);
    }
}

impl Core {
    /// Forms a batch of what waits apart.
    pub(crate) fn form_apart(
        &mut self,
        now_ns: u64,
        replica: ReplicaId,
        sink: &mut impl Sink,
    ) -> Formed {
        if self.models[self.replicas[replica].model].room.apart.open() == 0 {
            return Formed::No;
        }
        match self.form_suspect(replica) {
            Formed::No if self.form_retry(now_ns, replica, sink) => Formed::Yes,
            formed => formed,
        }
    }

    /// What was in flight when a container died waits to go out alone.
    pub(crate) fn wait_as_suspect(&mut self, call: CallRef) {
        let waiting = self.waiting(call);
        self.move_to(call, Place::Suspects);
        let model = self.call(call).model;
        let (applications, apart) = (&self.applications, &mut self.models[model].room.apart);
        if apart.suspects.len() >= apart.room {
            apart.suspects.retain(|suspect| is_live(applications, suspect));
        }
        apart.suspects.push_back(waiting);
    }

    /// What may go out together again does so before all that waits already.
    pub(crate) fn retry(
        &mut self,
        model: ModelId,
        calls: &[CallRef],
        failed_at: Option<ReplicaId>,
    ) {
        let (applications, apart) = (&self.applications, &mut self.models[model].room.apart);
        if apart.retries.len() + calls.len() > apart.room {
            apart.retries.retain(|retry| is_live(applications, &retry.waiting));
        }
        let group = apart.next_group;
        apart.next_group += 1;
        for call in calls.iter().rev() {
            let waiting = self.waiting(*call);
            self.move_to(*call, Place::Retries);
            let retry = Retry { waiting, group, failed_at };
            self.models[model].room.apart.retries.push_front(retry);
        }
    }

    /// A batch of `size` failed as a whole. `calls` are those of it for which somebody waits.
    pub(crate) fn batch_failed(
        &mut self,
        now_ns: u64,
        replica: ReplicaId,
        size: u32,
        calls: &[CallRef],
        message: &[u8],
        sink: &mut impl Sink,
    ) {
        let model = self.replicas[replica].model;
        self.models[model].stats.batches_failed.increment();
        self.note_failure(now_ns, replica, message);
        for call in calls {
            let known = self.call_mut(*call);
            known.failures = known.failures.saturating_add(1);
        }
        match calls {
            [call] if size == 1 => self.failed_alone(now_ns, replica, *call, message, sink),
            _ if self.is_failing(model) => {
                for call in calls {
                    self.fail_call(now_ns, *call, Reason::ModelError, NOT_TRIED, sink);
                }
            }
            _ => {
                let (first, second) = calls.split_at(calls.len().div_ceil(2));
                for half in [second, first] {
                    self.send_half_again(model, half, replica);
                }
            }
        }
    }

    /// A call comes back with a batch of this size that failed. Says whether it is to be cared for
    /// with others of that batch.
    pub(crate) fn is_stranded_by_failure(&mut self, call: CallRef, size: u32) -> bool {
        let back = self.take_back(call);
        if !back.is_stranded() {
            // If its copy fails alone too, then two replicas say that it is guilty.
            self.call_mut(call).failed_alone |= back.is_awaited && size == 1;
            return false;
        }
        let model = self.call(call).model;
        if self.call(call).crashes == 0 || size == 1 {
            return true;
        }
        // The other batch that had it died: it is a suspect, and goes with nobody.
        self.models[model].stats.redispatches.increment();
        self.wait_as_suspect(call);
        false
    }

    /// Why a call that waits cannot bring its output in time.
    pub(crate) fn why_late(&self, call: CallRef) -> (Reason, &'static [u8]) {
        let known = self.call(call);
        let replicas = self.replicas_of(known.model);
        if known.failures > 0 {
            (Reason::ModelError, NOT_IN_TIME)
        } else if !replicas.iter().any(|replica| self.is_up(*replica)) {
            (Reason::NotReady, &[])
        } else if self.is_failing(known.model) {
            (Reason::ModelError, FAILING)
        } else {
            (Reason::Late, &[])
        }
    }

    /// Gives all that waits apart, one after another.
    pub(crate) fn take_apart(&mut self, model: ModelId) -> Option<CallRef> {
        if let Some(suspect) = self.next_suspect(model) {
            self.models[model].room.apart.suspects.pop_front();
            return Some(suspect);
        }
        let retry = self.next_retry(model)?;
        self.models[model].room.apart.retries.pop_front();
        Some(retry.waiting.call)
    }

    /// A replica that has failed several times in a row takes nothing for a while, and one that is
    /// failing one batch at a time, as long as another one can do the work.
    pub(crate) fn is_benched(&self, now_ns: u64, replica: ReplicaId) -> bool {
        let state = &self.replicas[replica];
        let busy = state.incarnation.as_ref().is_some_and(|life| life.in_flight > 0);
        let held_back = now_ns < state.pause_until_ns || (busy && state.failures.is_failing());
        held_back && self.has_better(now_ns, replica)
    }

    /// Whether another replica of the same model can do the work.
    fn has_better(&self, now_ns: u64, replica: ReplicaId) -> bool {
        let others = self.replicas_of(self.replicas[replica].model);
        others.iter().any(|other| *other != replica && self.is_well(now_ns, *other))
    }

    pub(crate) fn is_well(&self, now_ns: u64, replica: ReplicaId) -> bool {
        let state = &self.replicas[replica];
        let is_served = state.serving().is_some() && !state.is_draining;
        is_served && !state.failures.is_failing() && now_ns >= state.pause_until_ns
    }

    /// Whether every replica that is up fails most of its batches.
    fn is_failing(&self, model: ModelId) -> bool {
        let mut up = self.replicas_of(model).iter().filter(|replica| self.is_up(**replica));
        up.all(|replica| self.replicas[*replica].failures.is_failing())
    }

    fn form_suspect(&mut self, replica: ReplicaId) -> Formed {
        let model = self.replicas[replica].model;
        if self.models[model].room.apart.open_suspects == 0 || !self.may_quarantine(model, replica)
        {
            return Formed::No;
        }
        self.models[model].room.apart.quarantine = Some(replica);
        let Some(life) = &self.replicas[replica].incarnation else { return Formed::No };
        if life.in_flight > 0 {
            return Formed::NotYet;
        }
        let suspect = self.next_suspect(model).expect("one of them is open");
        self.models[model].room.apart.suspects.pop_front();
        self.move_to(suspect, Place::Batch);
        let Some(life) = &mut self.replicas[replica].incarnation else { return Formed::No };
        life.alone = true;
        life.forming.calls.push(suspect);
        Formed::Yes
    }

    /// One replica at a time takes suspects. One that has nothing to do may take the place of one
    /// that has yet to finish something else.
    fn may_quarantine(&self, model: ModelId, replica: ReplicaId) -> bool {
        let Some(holder) = self.models[model].room.apart.quarantine else { return true };
        let Some(state) = self.replicas.get(holder) else { return true };
        let Some(held) = state.serving() else { return true };
        if state.is_draining && !held.alone {
            return true;
        }
        let idle = self.replicas[replica].incarnation.as_ref().is_some_and(|l| l.in_flight == 0);
        holder == replica || (!held.alone && idle)
    }

    fn form_retry(&mut self, now_ns: u64, replica: ReplicaId, sink: &mut impl Sink) -> bool {
        let state = &self.replicas[replica];
        let (model, rows_max) = (state.model, state.rows_max());
        while let Some(front) = self.next_retry(model) {
            if front.failed_at == Some(replica) && self.has_better(now_ns, replica) {
                return false;
            }
            let Some(life) = &mut self.replicas[replica].incarnation else { return false };
            let mut calls = std::mem::take(&mut life.forming.calls);
            while let Some(next) = self.next_retry(model) {
                if next.group != front.group || calls.len() == rows_max as usize {
                    break;
                }
                self.models[model].room.apart.retries.pop_front();
                self.move_to(next.waiting.call, Place::Batch);
                calls.push(next.waiting.call);
            }
            let done_ns = self.done_ns(now_ns, replica, row_count(&calls));
            // Those of a group stand in the order of their deadlines.
            let late = calls.partition_point(|call| self.due_ns(*call) < done_ns);
            for call in calls.drain(..late) {
                self.take_back(call);
                self.fail_call(now_ns, call, Reason::ModelError, NOT_IN_TIME, sink);
            }
            let formed = !calls.is_empty();
            if let Some(life) = &mut self.replicas[replica].incarnation {
                life.forming.calls = calls;
            }
            if formed {
                return true;
            }
        }
        false
    }

    /// A call that fails alone is guilty, unless its replica is the only one that says so.
    fn failed_alone(
        &mut self,
        now_ns: u64,
        replica: ReplicaId,
        call: CallRef,
        message: &[u8],
        sink: &mut impl Sink,
    ) {
        let model = self.replicas[replica].model;
        let known = self.call_mut(call);
        let first_time = !std::mem::replace(&mut known.failed_alone, true);
        let never_crashed = known.crashes == 0;
        let due_ns = self.due_ns(call);
        let in_time = |other| self.done_ns(now_ns, other, 1) <= due_ns;
        let mut others = self.replicas_of(model).iter().filter(|other| **other != replica);
        let elsewhere = first_time
            && never_crashed
            && others.any(|other| self.is_well(now_ns, *other) && in_time(*other));
        if elsewhere {
            self.send_half_again(model, &[call], replica);
        } else {
            self.models[model].stats.items_failed.increment();
            self.fail_call(now_ns, call, Reason::ModelError, message, sink);
        }
    }

    fn send_half_again(&mut self, model: ModelId, calls: &[CallRef], replica: ReplicaId) {
        for call in calls {
            let failures = u32::from(self.call(*call).failures);
            assert!(failures <= RETRIES_MAX, "each time in half as large a batch");
        }
        self.models[model].stats.redispatches.add(calls.len() as u64);
        self.retry(model, calls, Some(replica));
    }

    /// The next suspect that is open, which stays where it is. The dead before it are dropped.
    fn next_suspect(&mut self, model: ModelId) -> Option<CallRef> {
        let suspects = &mut self.models[model].room.apart.suspects;
        while suspects.front().is_some_and(|suspect| !is_live(&self.applications, suspect)) {
            suspects.pop_front();
        }
        suspects.front().map(|suspect| suspect.call)
    }

    /// The next of those whose batch failed, in the same way.
    fn next_retry(&mut self, model: ModelId) -> Option<Retry> {
        let retries = &mut self.models[model].room.apart.retries;
        while retries.front().is_some_and(|retry| !is_live(&self.applications, &retry.waiting)) {
            retries.pop_front();
        }
        retries.front().copied()
    }
}
