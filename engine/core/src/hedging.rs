//! Hedging: a call whose replica is late is sent to a second one too, and the first output is its.
//!
//! (J. Dean and L. A. Barroso, "The tail at scale", CACM 2013.) A replica is *late* while its
//! running batch has run for longer than its own history makes likely ([`Lateness`]); so is then
//! what waits behind that batch. Its calls may go to another replica, which is well and has nothing
//! to do, if by its prediction they would be in time there.
//!
//! ```text
//!   replica 0   ███████████████████████░░░░░░░░░░░░░░░ …     late from here: ░
//!   replica 1   █████ ▸ idle           [ the same calls ] ▸ answered
//! ```
//!
//! It costs little and cannot run away: calls that may be sent twice are earned ([`Hedge`]), and
//! what waits goes before what is sent twice.
//!
//! Invariants:
//! - A call is sent twice once at most: never a suspect, nor one that failed, for it might do to
//!   the second replica what it did to the first.
//! - Both batches hold its row. The first output is the call's, the second changes nothing. One
//!   that ends without leaves the call to the other; only the last is cared for, as if there had
//!   been no other.
//!
//! [`Lateness`]: crate::batching::Lateness

use cutter_tensor::Item;

use crate::Core;
use crate::call::{CallRef, Place};
use crate::dispatch::ItemResults;
use crate::hedge::Hedge;
use crate::ids::{ModelId, ReplicaId};
use crate::replica::{Source, row_count};

impl Core {
    /// Whether any replica is late while its model hedges: a second one may take a batch now.
    pub fn has_late(&self) -> bool {
        self.model_list.iter().any(|model| self.models[*model].has_late())
    }

    /// Notes a replica whose running batch is late. If that is yet to come, says when.
    pub(crate) fn look_for_late(&mut self, now_ns: u64, replica: ReplicaId) -> Option<u64> {
        let state = &self.replicas[replica];
        let hedge = self.models[state.model].hedge.as_mut()?;
        if hedge.is_late(replica) {
            return None;
        }
        let late_ns = state.late_ns()?;
        if late_ns > now_ns {
            return Some(late_ns);
        }
        hedge.begin_late(replica);
        None
    }

    /// The batch that ran at a replica is over. Sets when the next one, if there is one, is late.
    pub(crate) fn watch_next(&mut self, replica: ReplicaId) {
        self.is_late_no_more(replica);
        if let Some(late_ns) = self.replicas[replica].late_ns() {
            self.deadlines.lower(Self::owner_of_replica(replica), late_ns);
        }
    }

    /// No batch that ran at a replica runs there any more.
    pub(crate) fn is_late_no_more(&mut self, replica: ReplicaId) {
        if let Some(hedge) = &mut self.models[self.replicas[replica].model].hedge {
            hedge.end_late(replica);
        }
    }

    /// Forms a batch of calls that a late replica has, for one that has nothing to do.
    pub(crate) fn form_hedge(&mut self, now_ns: u64, replica: ReplicaId) {
        let model = self.replicas[replica].model;
        if !self.models[model].has_late() || !self.is_free(now_ns, replica) {
            return;
        }
        let mut place = 0;
        while let Some(late) = self.late_at(model, place) {
            while let Some(slot) = self.next_to_copy(now_ns, late, replica) {
                if self.copy(now_ns, late, slot, replica) {
                    return;
                }
            }
            place += 1;
        }
    }

    /// Counts the calls of a hedge, which is coming back, whose first output is in it.
    pub(crate) fn count_won<I: ItemResults>(&self, model: ModelId, calls: &[CallRef], items: &I) {
        let is_won = |(item, call): &(usize, &CallRef)| {
            let is_awaited = self.query(**call).is_open && self.call(**call).is_pending;
            is_awaited && matches!(items.get(*item), Item::Output(_))
        };
        let won = calls.iter().enumerate().filter(is_won).count();
        self.models[model].stats.hedges_won.add(won as u64);
    }

    /// Whether a replica is well and has nothing to do.
    fn is_free(&self, now_ns: u64, replica: ReplicaId) -> bool {
        self.in_flight(replica) == Some(0) && self.is_well(now_ns, replica)
    }

    /// When so many rows would be done by a replica that is free. What it has learned counts
    /// however long ago that was: nothing has to be tried here.
    fn copied_ns(&self, now_ns: u64, replica: ReplicaId, rows: u32) -> u64 {
        let state = &self.replicas[replica];
        let learnt_ns = state.estimate.learnt(state.size_of(state.rows_max().min(rows)));
        now_ns.saturating_add(learnt_ns.unwrap_or(0))
    }

    fn late_at(&self, model: ModelId, place: usize) -> Option<ReplicaId> {
        let hedge = self.models[model].hedge.as_ref()?;
        hedge.late_at(place).filter(|_| hedge.affords() > 0)
    }

    /// The first batch of a late replica that another one would have done in time, or its last
    /// calls, which are due last.
    fn next_to_copy(&self, now_ns: u64, late: ReplicaId, replica: ReplicaId) -> Option<usize> {
        let life = self.replicas[late].incarnation.as_ref()?;
        let helps = |calls: &[CallRef]| {
            let done_ns = self.copied_ns(now_ns, replica, row_count(calls));
            calls.last().is_some_and(|last| done_ns <= self.due_ns(*last))
        };
        let batches = life.batches.iter().enumerate().filter(|(_, batch)| batch.in_flight);
        let to_copy = batches.filter(|(_, batch)| {
            batch.source == Source::Queue && !batch.is_copied && helps(&batch.calls)
        });
        to_copy.min_by_key(|(_, batch)| batch.order).map(|(slot, _)| slot)
    }

    /// Moves copies of the calls of a late batch into the forming batch of another replica: those
    /// that somebody waits for, would be in time there, and are there once. Says whether there are
    /// any.
    fn copy(&mut self, now_ns: u64, late: ReplicaId, slot: usize, replica: ReplicaId) -> bool {
        let model = self.replicas[late].model;
        let affords = self.models[model].hedge.as_deref().map_or(0, Hedge::affords);
        let most = self.replicas[replica].rows_max().min(affords);
        let Some(life) = &mut self.replicas[late].incarnation else { return false };
        let held = std::mem::take(&mut life.batches[slot].calls);
        let Some(life) = &mut self.replicas[replica].incarnation else { return false };
        let mut calls = std::mem::take(&mut life.forming.calls);
        let done_ns = self.copied_ns(now_ns, replica, row_count(&held).min(most));
        for call in &held {
            if calls.len() == most as usize {
                break;
            }
            let query = self.query(*call);
            let is_in_time = query.is_open && done_ns <= query.due_ns;
            let known = self.call(*call);
            if is_in_time && known.is_pending && !known.is_hedged {
                self.call_mut(*call).is_hedged = true;
                self.move_to(*call, Place::Batch);
                calls.push(*call);
            }
        }
        let count = row_count(&calls);
        if let Some(life) = &mut self.replicas[replica].incarnation {
            (life.forming.calls, life.forming.source) = (calls, Source::Hedge);
        }
        if let Some(life) = &mut self.replicas[late].incarnation {
            life.batches[slot].calls = held;
            life.batches[slot].is_copied = count < most;
        }
        let state = &mut self.models[model];
        state.hedge.iter_mut().for_each(|hedge| hedge.spend(count));
        state.stats.hedged.add(u64::from(count));
        count > 0
    }
}
