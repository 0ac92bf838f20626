//! Forming batches and taking them back.

use cutter_tensor::{Item, TensorSpec};

use super::apart::Formed;
use super::queries::Place;
use super::replica::{QueryRef, row_count};
use super::{ItemResults, Outcome, RowRef, Scheduler, Sink, is_live, row_ref};
use crate::stats::Reason;

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

/// When a batch formed now would be done, as predicted: by one replica, and by the fastest.
#[derive(Clone, Copy, Debug)]
struct Done {
    here_ns: u64,
    anywhere_ns: u64,
}

impl Scheduler {
    /// Tickets in flight at a replica; `None` when it is not up.
    pub fn in_flight(&self, replica: usize) -> Option<u32> {
        self.replicas[replica].incarnation.as_ref().map(|life| life.in_flight)
    }

    /// Forms the next batch of a replica, if there is one to send, and puts its rows into `rows`.
    /// The caller submits it and calls [`Scheduler::sent`].
    ///
    /// What waits apart and what waits in the queue take turns. Queries that could not be in time
    /// are answered here.
    pub fn next_batch(
        &mut self,
        now_ns: u64,
        replica: usize,
        rows: &mut Vec<RowRef>,
        sink: &mut impl Sink,
    ) -> Option<BatchPlan> {
        let model = self.replicas[replica].model;
        if !self.has_waiting(model) {
            return None;
        }
        let life = self.replicas[replica].incarnation.as_mut().filter(|l| l.has_free_ticket())?;
        life.forming.queries.clear();
        life.forming.cut_off = false;
        let queue_first = life.apart_was_last && self.models[model].open_in_queue > 0;
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
        let forming = &life.forming.queries;
        rows.clear();
        rows.extend(forming.iter().map(|query| row_ref(&self.applications, *query)));
        let first = *forming.first()?;
        let queries = &self.applications[first.application as usize].queries;
        Some(BatchPlan { deadline_ns: queries.get(first.row).deadline_ns })
    }

    /// The batch just formed is in flight under a ticket with this slot.
    pub fn sent(&mut self, now_ns: u64, replica: usize, slot: u32) {
        let state = &mut self.replicas[replica];
        let life = state.incarnation.as_mut().expect("a batch was formed for it");
        let stats = &self.stats.models[state.model];
        stats.batch_size.record(life.forming.queries.len() as u64);
        for query in &life.forming.queries {
            let query = self.applications[query.application as usize].queries.get(query.row);
            stats.queue.record(now_ns.saturating_sub(query.admitted_ns));
        }
        life.launch(slot as usize, now_ns);
    }

    /// A batch came back: its completion was first seen at `seen_ns`, which ends its service time,
    /// and its outputs have been copied by now. Its open queries are answered.
    pub fn complete<I: ItemResults>(
        &mut self,
        seen_ns: u64,
        now_ns: u64,
        replica: usize,
        slot: u32,
        results: &BatchResults<'_, I>,
        sink: &mut impl Sink,
    ) {
        let state = &mut self.replicas[replica];
        let model = state.model;
        let life = state.incarnation.as_mut().expect("a batch was in flight there");
        let began_ns = life.land(slot as usize, seen_ns);
        let batch = &mut life.batches[slot as usize];
        let dispatched_ns = batch.dispatched_ns;
        let mut queries = std::mem::take(&mut batch.queries);
        let cut_off = batch.cut_off;
        let output = life.output;
        let service_ns = seen_ns.saturating_sub(began_ns);
        let count = row_count(&queries);
        let failed = matches!(results, BatchResults::Failed(_));
        state.observe(failed, now_ns);
        // One that failed says nothing about how long a batch takes.
        if !failed {
            state.limit.set_objective_ns(self.models[model].objective_ns());
            state.limit.observe(count, cut_off, service_ns);
            state.estimate.observe(count, service_ns, now_ns);
        }
        self.models[model].soonest = None;
        let stats = &self.stats.models[model];
        stats.batch_wait.record_many(began_ns.saturating_sub(dispatched_ns), count);
        stats.service.record_many(service_ns, count);
        let by_replica = self.replica_stats(replica);
        by_replica.batches.increment();
        by_replica.rows.add(u64::from(count));
        by_replica.service_ns.add(service_ns);
        match results {
            BatchResults::Failed(message) => {
                queries.retain(|query| {
                    self.applications[query.application as usize].queries.take_back(query.row)
                });
                self.batch_failed(now_ns, replica, count, &queries, message, sink);
            }
            BatchResults::Items(items) => {
                self.answer_items(now_ns, replica, &queries, items, &output, sink);
            }
        }
        // The list goes back to its batch, so that steady state allocates nothing.
        if let Some(life) = &mut self.replicas[replica].incarnation {
            life.batches[slot as usize].queries = queries;
            life.batches[slot as usize].queries.clear();
        }
    }

    /// Answers each query of a batch with what its item came to.
    fn answer_items<I: ItemResults>(
        &mut self,
        now_ns: u64,
        replica: usize,
        queries: &[QueryRef],
        items: &I,
        output: &TensorSpec,
        sink: &mut impl Sink,
    ) {
        for (index, query) in queries.iter().enumerate() {
            if !self.applications[query.application as usize].queries.take_back(query.row) {
                continue;
            }
            match items.get(index) {
                Item::Output(bytes) => {
                    let outcome = Outcome::Prediction { output: bytes, spec: output };
                    let application = query.application as usize;
                    self.stats.applications[application].predictions.increment();
                    self.answer(now_ns, *query, outcome, sink);
                }
                Item::Failed(message) => {
                    let model = self.replicas[replica].model;
                    self.stats.models[model].items_failed.increment();
                    self.note_failure(now_ns, replica, message);
                    self.answer_default(now_ns, *query, Reason::ModelError, message, sink);
                }
            }
        }
    }

    /// Fills the forming batch from the queue, earliest deadline first, up to the limit.
    ///
    /// A query that no replica would answer in time is answered instead. One that only another
    /// replica would is left to that one. There is one exception: when nothing that waits could be
    /// in time, a replica that has nothing to do takes what is not late yet, for the estimates may
    /// be wrong and only a batch can tell.
    /// Says whether there is a batch now.
    fn fill(&mut self, now_ns: u64, replica: usize, sink: &mut impl Sink) -> bool {
        let state = &self.replicas[replica];
        let (model, limit) = (state.model, state.rows_max());
        let Some(life) = &state.incarnation else { return false };
        let in_flight = life.in_flight;
        let (applications, queue) = (&self.applications, &mut self.models[model].queue);
        queue.drop_dead(|waiting| is_live(applications, waiting));
        let Done { here_ns, anywhere_ns } = self.done(now_ns, model, replica, in_flight);
        let mut taken = 0;
        while taken < limit {
            let Some(head) = self.models[model].queue.peek() else { break };
            let query = head.value.query;
            if is_live(&self.applications, &head.value) {
                if anywhere_ns > head.deadline_ns {
                    let (reason, detail) = self.why_late(model, query);
                    self.stats.models[model].expired.increment();
                    self.answer_default(now_ns, query, reason, detail, sink);
                } else if here_ns > head.deadline_ns {
                    break;
                } else {
                    taken += 1;
                    self.move_to(query, Place::Batch);
                    if let Some(life) = &mut self.replicas[replica].incarnation {
                        life.forming.queries.push(query);
                    }
                }
            }
            self.models[model].queue.pop();
        }
        let cut_off = taken == limit && self.models[model].open_in_queue > 0;
        if let Some(life) = &mut self.replicas[replica].incarnation {
            life.forming.cut_off = cut_off;
        }
        taken > 0
    }

    /// When a batch formed now would be done. The other replicas are only asked when it matters:
    /// when something would be late here. They are asked once in a turn; what is sent meanwhile can
    /// only make them later, so that a query is left waiting rather than answered too early.
    fn done(&mut self, now_ns: u64, model: usize, replica: usize, in_flight: u32) -> Done {
        let state = &self.models[model];
        let waiting = u32::try_from(state.open_in_queue).unwrap_or(u32::MAX);
        let here_ns = self.done_ns(now_ns, replica, waiting);
        if state.queue.deadline_ns().is_none_or(|head_ns| here_ns <= head_ns) {
            return Done { here_ns, anywhere_ns: here_ns };
        }
        let known = state.soonest.filter(|(at_ns, _)| *at_ns == now_ns);
        let soonest_ns = known.map_or_else(
            || {
                let replicas = self.replicas_of(model);
                replicas.map(|other| self.done_ns(now_ns, other, waiting)).fold(u64::MAX, u64::min)
            },
            |(_, soonest_ns)| soonest_ns,
        );
        self.models[model].soonest = Some((now_ns, soonest_ns));
        let anywhere_ns = here_ns.min(soonest_ns);
        let applications = &self.applications;
        let latest_ns =
            self.models[model].queue.latest_deadline_ns(|waiting| is_live(applications, waiting));
        let hopeless = latest_ns.is_none_or(|latest_ns| latest_ns < anywhere_ns);
        if in_flight == 0 && hopeless {
            return Done { here_ns: now_ns, anywhere_ns: now_ns };
        }
        Done { here_ns, anywhere_ns }
    }

    /// When the next batch of a replica would be done, as predicted, if it has so many rows of
    /// `waiting` as may go together; never, if the replica is not up.
    pub(super) fn done_ns(&self, now_ns: u64, replica: usize, waiting: u32) -> u64 {
        let state = &self.replicas[replica];
        let Some(life) = &state.incarnation else { return u64::MAX };
        let rows = state.rows_max().min(waiting);
        let busy_ns = life.busy_ns(&state.estimate, now_ns);
        let service_ns = state.estimate.predict(rows, now_ns);
        now_ns.saturating_add(busy_ns).saturating_add(service_ns)
    }
}
