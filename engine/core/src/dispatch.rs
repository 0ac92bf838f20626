//! Forming batches and taking them back.

use cutter_tensor::{Item, RowRef, TensorSpec};

use crate::answer::Sink;
use crate::apart::Formed;
use crate::call::{CallRef, Place};
use crate::deadlines::NEVER_NS;
use crate::ids::{ModelId, ReplicaId};
use crate::model::Model;
use crate::replica::{Replica, Source, row_count};
use crate::stats::Reason;
use crate::{Core, is_live, live};

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

/// When a batch formed now would be done, as predicted: by one replica, and by the fastest.
#[derive(Clone, Copy, Debug)]
struct Done {
    here_ns: u64,
    anywhere_ns: u64,
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
        let Replica { model, is_draining, incarnation, .. } = &mut *self.replicas[replica];
        let model = &self.models[*model];
        if *is_draining || (model.waiting() == 0 && !model.has_late()) {
            return None;
        }
        let life = incarnation.as_mut().filter(|life| life.has_free_ticket())?;
        life.forming.begin();
        let queue_first = life.apart_was_last && model.open_in_queue > 0;
        if self.is_benched(now_ns, replica) {
            return None;
        }
        let mut apart = Formed::No;
        if !queue_first {
            apart = self.form_apart(now_ns, replica, sink);
        }
        if apart == Formed::No && !self.fill(now_ns, replica, sink) && queue_first {
            apart = self.form_apart(now_ns, replica, sink);
        }
        if apart == Formed::NotYet {
            return None;
        }
        let life = self.replicas[replica].incarnation.as_mut()?;
        life.apart_was_last = apart == Formed::Yes;
        if apart == Formed::Yes {
            life.forming.source = Source::Apart;
        } else if life.forming.calls.is_empty() {
            self.form_hedge(now_ns, replica);
        }
        let calls = &self.replicas[replica].incarnation.as_ref()?.forming.calls;
        rows.clear();
        rows.extend(calls.iter().map(|call| {
            let queries = &self.applications[call.application].queries;
            let pool = queries.call(call.row, call.link).pool;
            RowRef { pool, row: call.row, bytes: queries.get(call.row).bytes }
        }));
        let first = *calls.first()?;
        Some(BatchPlan { deadline_ns: self.due_ns(first) })
    }

    /// The batch just formed is in flight under a ticket with this slot.
    pub fn sent(&mut self, now_ns: u64, replica: ReplicaId, slot: u32) {
        let state = &mut *self.replicas[replica];
        let life = state.incarnation.as_mut().expect("a batch was formed for it");
        let Model { stats, batch_timeout_ns, hedge, .. } = &mut *self.models[state.model];
        stats.batch_size.record(life.forming.calls.len() as u64);
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
        let state = &mut *self.replicas[replica];
        let model = &mut *self.models[state.model];
        let life = state.incarnation.as_mut().expect("a batch was in flight there");
        let began_ns = life.end_batch(slot as usize, seen_ns);
        let batch = &mut life.batches[slot as usize];
        let dispatched_ns = batch.dispatched_ns;
        let mut calls = std::mem::take(&mut batch.calls);
        let (cut_off, source, output) = (batch.cut_off, batch.source, life.output);
        let service_ns = seen_ns.saturating_sub(began_ns);
        let count = row_count(&calls);
        let (model_id, hedges) = (state.model, model.hedge.is_some());
        let failed = matches!(results, BatchResults::Failed(_));
        state.observe(failed, now_ns);
        // One that failed says nothing about how long a batch takes.
        if !failed {
            if hedges && let Some(learnt_ns) = state.estimate.learnt(count) {
                state.lateness.observe(service_ns, learnt_ns);
            }
            state.limit.set_objective_ns(model.objective_ns());
            state.limit.observe(count, cut_off, service_ns);
            state.estimate.observe(count, service_ns, now_ns);
        }
        state.stats.batches.increment();
        state.stats.rows.add(u64::from(count));
        state.stats.service_ns.add(service_ns);
        model.soonest = None;
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

    /// Fills the forming batch from the queue, earliest deadline first, up to the limit.
    ///
    /// A call that no replica would answer in time fails instead. One that only another replica
    /// would is left to that one. There is one exception: when nothing that waits could be
    /// in time, a replica that has nothing to do takes what is not late yet, for the estimates may
    /// be wrong and only a batch can tell. Says whether there is a batch now.
    fn fill(&mut self, now_ns: u64, replica: ReplicaId, sink: &mut impl Sink) -> bool {
        let state = &self.replicas[replica];
        let (model, limit) = (state.model, state.rows_max());
        let Some(life) = &state.incarnation else { return false };
        let in_flight = life.in_flight;
        let (applications, queue) = (&self.applications, &mut self.models[model].room.queue);
        queue.drop_dead(|waiting| is_live(applications, waiting));
        let done = self.done(now_ns, model, replica, in_flight);
        while let Some(call) = self.take_in_time(replica, limit, done) {
            let (reason, detail) = self.why_late(call);
            self.models[model].stats.expired.increment();
            self.fail_call(now_ns, call, reason, detail, sink);
        }
        let more_waits = self.models[model].open_in_queue > 0;
        let Some(life) = &mut self.replicas[replica].incarnation else { return false };
        let taken = row_count(&life.forming.calls);
        life.forming.cut_off = taken == limit && more_waits;
        taken > 0
    }

    /// Moves calls from the queue into the forming batch, until it is full or the next one is to be
    /// left to another replica. Stops at one that would be late everywhere, and gives that: it is
    /// to fail.
    fn take_in_time(&mut self, replica: ReplicaId, limit: u32, done: Done) -> Option<CallRef> {
        let state = &mut *self.replicas[replica];
        let model = &mut *self.models[state.model];
        let calls = &mut state.incarnation.as_mut()?.forming.calls;
        while calls.len() < limit as usize {
            let head = model.room.queue.peek()?;
            let call = head.value.call;
            if let Some(queries) = live(&mut self.applications, &head.value) {
                if done.anywhere_ns > head.deadline_ns {
                    return Some(call);
                }
                if done.here_ns > head.deadline_ns {
                    return None;
                }
                let left = queries.put(call.row, call.link, Place::Batch);
                model.moved(left, Place::Batch);
                calls.push(call);
            }
            model.room.queue.pop();
        }
        None
    }

    /// When a batch formed now would be done. The other replicas are only asked when it matters:
    /// when something would be late here. They are asked once in a turn; what is sent meanwhile can
    /// only make them later, so that a query is left waiting rather than answered too early.
    fn done(&mut self, now_ns: u64, model: ModelId, replica: ReplicaId, in_flight: u32) -> Done {
        let state = &self.models[model];
        let waiting = u32::try_from(state.open_in_queue).unwrap_or(u32::MAX);
        let here_ns = self.done_ns(now_ns, replica, waiting);
        if state.room.queue.deadline_ns().is_none_or(|head_ns| here_ns <= head_ns) {
            return Done { here_ns, anywhere_ns: here_ns };
        }
        let known = state.soonest.filter(|(at_ns, _)| *at_ns == now_ns);
        let soonest_ns = known.map_or_else(
            || {
                let replicas = self.replicas_of(model).iter();
                let done_ns = replicas.map(|other| self.done_ns(now_ns, *other, waiting));
                done_ns.fold(u64::MAX, u64::min)
            },
            |(_, soonest_ns)| soonest_ns,
        );
        self.models[model].soonest = Some((now_ns, soonest_ns));
        let anywhere_ns = here_ns.min(soonest_ns);
        let applications = &self.applications;
        let queue = &self.models[model].room.queue;
        let latest_ns = queue.latest_deadline_ns(|waiting| is_live(applications, waiting));
        let hopeless = latest_ns.is_none_or(|latest_ns| latest_ns < anywhere_ns);
        if in_flight == 0 && hopeless {
            return Done { here_ns: now_ns, anywhere_ns: now_ns };
        }
        Done { here_ns, anywhere_ns }
    }

    /// When the next batch of a replica would be done, as predicted, if it has so many rows of
    /// `waiting` as may go together; never, if the replica is not up.
    pub(crate) fn done_ns(&self, now_ns: u64, replica: ReplicaId, waiting: u32) -> u64 {
        let state = &self.replicas[replica];
        let Some(life) = state.incarnation.as_ref().filter(|_| !state.is_draining) else {
            return u64::MAX;
        };
        let rows = state.rows_max().min(waiting);
        let busy_ns = life.busy_ns(&state.estimate, now_ns);
        let service_ns = state.estimate.predict(rows, now_ns);
        now_ns.saturating_add(busy_ns).saturating_add(service_ns)
    }
}
