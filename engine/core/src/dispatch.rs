//! Forming batches and taking them back.

use cutter_tensor::{Item, RowRef, TensorSpec};

use crate::Core;
use crate::answer::Sink;
use crate::apart::Formed;
use crate::batching::Cost;
use crate::call::CallRef;
use crate::deadlines::NEVER_NS;
use crate::ids::ReplicaId;
use crate::model::Model;
use crate::replica::{Replica, Source, row_count};
use crate::stats::Reason;
use crate::timing::When;

/// A batch to submit now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchPlan {
    /// When its first query is due.
    pub deadline_ns: u64,
}

/// The results of a whole batch.
#[derive(Debug)]
pub enum BatchResults<'a, I> {
    /// The batch failed with this message.
    Failed(&'a [u8]),
    Items(I),
}

/// What the items of a batch came to, by index.
pub trait ItemResults {
    fn get(&self, item: usize) -> Item<'_>;
}

impl Core {
    /// Tickets in flight at a replica; `None` when it is not up.
    pub fn in_flight(&self, replica: ReplicaId) -> Option<u32> {
        self.replicas[replica].incarnation.as_ref().map(|life| life.in_flight)
    }

    /// Forms the next batch of a replica, if there is one to send, and puts its rows into `rows`.
    /// The caller submits it and calls [`Core::sent`].
    ///
    /// What waits apart and what waits in the queue take turns; when there is nothing of either,
    /// the calls of a late replica may go to this one too. Queries that could not be in time are
    /// answered here.
    pub fn next_batch(
        &mut self,
        now_ns: u64,
        replica: ReplicaId,
        rows: &mut Vec<RowRef>,
        sink: &mut impl Sink,
    ) -> Option<BatchPlan> {
        self.settle(now_ns, sink);
        if let Some(plan) = self.next_lone(now_ns, replica, rows) {
            return Some(plan);
        }
        if self.is_warming(replica) {
            return self.next_probe(now_ns, replica, rows);
        }
        let Replica { model, is_draining, incarnation, .. } = &mut *self.replicas[replica];
        let model = &self.models[*model];
        if *is_draining || (model.waiting() == 0 && !model.has_late()) {
            return None;
        }
        incarnation.as_ref().filter(|life| life.has_free_ticket())?;
        if self.is_benched(now_ns, replica) {
            return None;
        }
        if let Some(at_ns) = self.core_is_taken(now_ns, replica) {
            self.form_at(replica, at_ns);
            return None;
        }
        self.form(now_ns, replica, sink);
        let size = self.size_of_forming(replica);
        let life = self.replicas[replica].incarnation.as_mut()?;
        life.has_declined = life.forming.calls.is_empty();
        life.forming.size = size;
        let calls = &life.forming.calls;
        rows.clear();
        rows.extend(calls.iter().map(|call| {
            let queries = &self.applications[call.application].queries;
            let pool = queries.call(call.row, call.link).pool;
            RowRef { pool, row: call.row, bytes: queries.get(call.row).bytes }
        }));
        let first = *calls.first()?;
        Some(BatchPlan { deadline_ns: self.due_ns(first) })
    }

    /// Forms a batch, if it is time: of what waits apart, of the queue, or of the calls of another.
    fn form(&mut self, now_ns: u64, replica: ReplicaId, sink: &mut impl Sink) {
        let state = &mut *self.replicas[replica];
        let Some(life) = &mut state.incarnation else { return };
        life.forming.begin();
        let queue_first = life.apart_was_last && self.models[state.model].open_in_queue > 0;
        let why = match self.when(now_ns, replica) {
            When::Now(why) => why,
            When::At(at_ns) => return self.form_at(replica, at_ns),
        };
        let mut apart = Formed::No;
        if !queue_first {
            apart = self.form_apart(now_ns, replica, sink);
        }
        if apart == Formed::No && !self.fill(now_ns, replica, why, sink) && queue_first {
            apart = self.form_apart(now_ns, replica, sink);
        }
        if apart == Formed::NotYet {
            return;
        }
        let Some(life) = &mut self.replicas[replica].incarnation else { return };
        life.apart_was_last = apart == Formed::Yes;
        if apart == Formed::Yes {
            life.forming.source = Source::Apart;
        } else if life.forming.calls.is_empty() {
            self.form_hedge(now_ns, replica);
        }
    }

    /// The size of the batch that was formed.
    fn size_of_forming(&self, replica: ReplicaId) -> u32 {
        let state = &self.replicas[replica];
        let Some(life) = &state.incarnation else { return 0 };
        let calls = &life.forming.calls;
        let rows = row_count(calls);
        if state.cost == Cost::Rows || rows == 0 {
            return rows;
        }
        let sizes = calls.iter().map(|call| self.query(*call).bytes.max(1));
        sizes.fold(0, u32::saturating_add)
    }

    /// The batch just formed is in flight under a ticket with this slot.
    pub fn sent(&mut self, now_ns: u64, replica: ReplicaId, slot: u32) {
        if self.is_warming(replica) {
            return self.sent_probe(now_ns, replica, slot);
        }
        let state = &mut *self.replicas[replica];
        let life = state.incarnation.as_mut().expect("a batch was formed for it");
        let model = &mut *self.models[state.model];
        model.last_sent_ns = now_ns;
        let Model { stats, batch_timeout_ns, hedge, .. } = model;
        stats.batch_size.record(life.forming.calls.len() as u64);
        stats.formed(life.forming.why).increment();
        // A call that is sent to a second replica has waited before, for the first.
        if life.forming.source != Source::Hedge {
            for call in &life.forming.calls {
                let call = self.applications[call.application].queries.call(call.row, call.link);
                stats.queue.record(now_ns.saturating_sub(call.admitted_ns));
            }
            if let Some(hedge) = hedge {
                hedge.earn(row_count(&life.forming.calls));
            }
        }
        life.begin_batch(slot as usize, now_ns);
        // Of several, the first was told when it was the only one.
        if life.in_flight == 1 {
            let hangs_ns = life.hangs_ns(*batch_timeout_ns);
            let late_ns = if hedge.is_some() { state.late_ns() } else { None };
            let due_ns = hangs_ns.into_iter().chain(late_ns).min().unwrap_or(NEVER_NS);
            self.deadlines.lower(Self::owner_of_replica(replica), due_ns);
        }
    }

    /// A batch came back: its completion was first seen at `seen_ns`, which ends its service time,
    /// and its outputs have been copied by now. Its open queries are answered.
    pub fn complete<I: ItemResults>(
        &mut self,
        seen_ns: u64,
        now_ns: u64,
        replica: ReplicaId,
        slot: u32,
        results: &BatchResults<'_, I>,
        sink: &mut impl Sink,
    ) {
        if self.is_warming(replica) {
            return self.complete_probe((seen_ns, now_ns), replica, slot, results);
        }
        let state = &mut *self.replicas[replica];
        let model = &mut *self.models[state.model];
        let life = state.incarnation.as_mut().expect("a batch was in flight there");
        let began_ns = life.end_batch(slot as usize, seen_ns);
        let batch = &mut life.batches[slot as usize];
        let dispatched_ns = batch.dispatched_ns;
        let mut calls = std::mem::take(&mut batch.calls);
        let (cut_off, source, output) = (batch.cut_off, batch.source, life.output);
        let size = batch.size;
        let service_ns = seen_ns.saturating_sub(began_ns);
        let count = row_count(&calls);
        let (model_id, hedges) = (state.model, model.hedge.is_some());
        let failed = matches!(results, BatchResults::Failed(_));
        state.observe(failed, now_ns);
        // One that failed says nothing about how long a batch takes.
        if !failed {
            if hedges && let Some(learnt_ns) = state.estimate.learnt(size) {
                state.lateness.observe(service_ns, learnt_ns);
            }
            let lesson = state.estimate.observe(size, service_ns, now_ns);
            if lesson.is_stall {
                model.stats.stalls.increment();
            }
            state.limit.set_objective(model.objective());
            state.limit.observe(size, cut_off && !lesson.is_stall, lesson.usual_ns);
            state.stats.service_sums.add(count, service_ns);
        }
        state.stats.batches.increment();
        state.stats.rows.add(u64::from(count));
        state.stats.service_ns.add(service_ns);
        model.stats.batch_wait.record_many(began_ns.saturating_sub(dispatched_ns), count);
        model.stats.service.record_many(service_ns, count);
        if hedges {
            self.watch_next(replica);
        }
        match results {
            BatchResults::Failed(message) => {
                calls.retain(|call| self.is_stranded_by_failure(*call, count));
                self.batch_failed(now_ns, replica, count, &calls, message, sink);
            }
            BatchResults::Items(items) => {
                if source == Source::Hedge {
                    self.count_won(model_id, &calls, items);
                }
                self.give_items(now_ns, replica, &calls, items, &output, sink);
            }
        }
        self.settle(now_ns, sink);
        // The list goes back to its batch, so that steady state allocates nothing.
        if let Some(life) = &mut self.replicas[replica].incarnation {
            life.batches[slot as usize].calls = calls;
            life.batches[slot as usize].calls.clear();
        }
    }

    /// Gives each call of a batch what its item came to.
    fn give_items<I: ItemResults>(
        &mut self,
        now_ns: u64,
        replica: ReplicaId,
        calls: &[CallRef],
        items: &I,
        output: &TensorSpec,
        sink: &mut impl Sink,
    ) {
        for (index, call) in calls.iter().enumerate() {
            let item = items.get(index);
            if let Item::Output(bytes) = item
                && let Some(entry) = self.take_entry(*call)
            {
                self.share_output(now_ns, entry, bytes, output, sink);
            }
            let back = self.take_back(*call);
            match item {
                // What is known of the call is there until the row is taken again.
                Item::Output(_) if self.call(*call).is_heard => {}
                Item::Output(bytes) => {
                    if back.has_copy {
                        self.call_mut(*call).is_heard = true;
                    }
                    if back.is_awaited {
                        self.give_output(now_ns, *call, bytes, output, sink);
                    } else {
                        self.hear_late(*call, bytes, output);
                    }
                }
                Item::Failed(_) if !back.is_stranded() => {}
                Item::Failed(message) => {
                    let model = self.replicas[replica].model;
                    self.models[model].stats.items_failed.increment();
                    self.note_failure(now_ns, replica, message);
                    self.fail_call(now_ns, *call, Reason::ModelError, message, sink);
                }
            }
        }
    }
}
