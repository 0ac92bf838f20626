//! Forming batches and taking them back.

use cutter_protocol::engine::{Item, RowRef};

use super::replica::{QueryRef, row_count};
use super::{ItemResults, Outcome, Scheduler, Sink, row_ref};
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
    /// Queries that could not be in time are answered here.
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
        let busy = life.in_flight > 0;
        if let Some(suspect) = self.next_suspect(model) {
            // It must not share its fate with others: only a replica with nothing to do takes it.
            if busy {
                self.models[model].suspects.push_front(suspect);
                return None;
            }
            let life = self.replicas[replica].incarnation.as_mut()?;
            life.alone = true;
            life.forming.queries.push(suspect);
            life.forming.cut_off = false;
        } else {
            self.fill(now_ns, replica, sink);
        }
        let forming = &self.replicas[replica].incarnation.as_ref()?.forming.queries;
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

    /// A batch came back. Its open queries are answered.
    pub fn complete<I: ItemResults>(
        &mut self,
        now_ns: u64,
        replica: usize,
        slot: u32,
        results: &BatchResults<'_, I>,
        sink: &mut impl Sink,
    ) {
        let state = &mut self.replicas[replica];
        let model = state.model;
        let life = state.incarnation.as_mut().expect("a batch was in flight there");
        let began_ns = life.land(slot as usize, now_ns);
        let batch = &mut life.batches[slot as usize];
        let dispatched_ns = batch.dispatched_ns;
        let queries = std::mem::take(&mut batch.queries);
        let cut_off = batch.cut_off;
        let output = life.output;
        let service_ns = now_ns.saturating_sub(began_ns);
        let count = row_count(&queries);
        state.limit.set_objective_ns(self.models[model].objective_ns());
        state.limit.observe(count, cut_off, service_ns);
        state.estimate.observe(count, service_ns, now_ns);
        let stats = &self.stats.models[model];
        stats.batch_wait.record_many(began_ns.saturating_sub(dispatched_ns), count);
        stats.service.record_many(service_ns, count);
        let by_replica = self.replica_stats(replica);
        by_replica.batches.increment();
        by_replica.rows.add(u64::from(count));
        by_replica.service_ns.add(service_ns);
        for (index, query) in queries.iter().enumerate() {
            if self.applications[query.application as usize].queries.is_open(query.row) {
                match results {
                    BatchResults::Failed(message) => {
                        self.answer_default(now_ns, *query, Reason::ModelError, message, sink);
                    }
                    BatchResults::Items(items) => match items.get(index) {
                        Item::Output(bytes) => {
                            let outcome = Outcome::Prediction { output: bytes, spec: &output };
                            let application = query.application as usize;
                            self.stats.applications[application].predictions.increment();
                            self.answer(now_ns, *query, outcome, sink);
                        }
                        Item::Failed(message) => {
                            self.answer_default(now_ns, *query, Reason::ModelError, message, sink);
                        }
                    },
                }
            }
            self.applications[query.application as usize].queries.let_go(query.row);
        }
        // The list goes back to its batch, so that steady state allocates nothing.
        if let Some(life) = &mut self.replicas[replica].incarnation {
            life.batches[slot as usize].queries = queries;
            life.batches[slot as usize].queries.clear();
        }
    }

    /// The next suspect that still waits for an answer.
    fn next_suspect(&mut self, model: usize) -> Option<QueryRef> {
        while let Some(suspect) = self.models[model].suspects.pop_front() {
            let queries = &mut self.applications[suspect.application as usize].queries;
            if queries.is_open(suspect.row) {
                return Some(suspect);
            }
            queries.let_go(suspect.row);
        }
        None
    }

    /// Fills the forming batch from the queue, earliest deadline first, up to the limit.
    ///
    /// A query that no replica would answer in time is answered instead. One that only another
    /// replica would is left to that one. There is one exception: when nothing that waits could be
    /// in time, a replica that has nothing to do takes what is not late yet, for the estimates may
    /// be wrong and only a batch can tell.
    fn fill(&mut self, now_ns: u64, replica: usize, sink: &mut impl Sink) {
        let state = &self.replicas[replica];
        let model = state.model;
        let Some(life) = &state.incarnation else { return };
        let limit = state.limit.limit().min(life.items_max);
        let Done { here_ns, anywhere_ns } = self.done(now_ns, model, replica, life.in_flight);
        let mut taken = 0;
        while taken < limit {
            let Some(head) = self.models[model].queue.peek() else { break };
            let query = head.value;
            let queries = &mut self.applications[query.application as usize].queries;
            if !queries.is_open(query.row) {
                queries.let_go(query.row);
            } else if anywhere_ns > head.deadline_ns {
                self.stats.models[model].expired.increment();
                self.answer_default(now_ns, query, Reason::Late, &[], sink);
                self.applications[query.application as usize].queries.let_go(query.row);
            } else if here_ns > head.deadline_ns {
                break;
            } else {
                taken += 1;
                if let Some(life) = &mut self.replicas[replica].incarnation {
                    life.forming.queries.push(query);
                }
            }
            self.models[model].queue.pop();
        }
        let cut_off = taken == limit && !self.models[model].queue.is_empty();
        if let Some(life) = &mut self.replicas[replica].incarnation {
            life.forming.cut_off = cut_off;
        }
    }

    /// When a batch formed now would be done. The other replicas are only asked when it matters:
    /// when something would be late here.
    fn done(&self, now_ns: u64, model: usize, replica: usize, in_flight: u32) -> Done {
        let queue = &self.models[model].queue;
        let here_ns = self.done_ns(now_ns, replica);
        if queue.deadline_ns().is_none_or(|head_ns| here_ns <= head_ns) {
            return Done { here_ns, anywhere_ns: here_ns };
        }
        let replicas = self.replicas_of(model).map(|other| self.done_ns(now_ns, other));
        let anywhere_ns = replicas.fold(here_ns, u64::min);
        let hopeless = queue.latest_deadline_ns().is_none_or(|latest_ns| latest_ns < anywhere_ns);
        if in_flight == 0 && hopeless {
            return Done { here_ns: now_ns, anywhere_ns: now_ns };
        }
        Done { here_ns, anywhere_ns }
    }

    /// When the next batch of a replica would be done, as predicted; never, if it is not up.
    fn done_ns(&self, now_ns: u64, replica: usize) -> u64 {
        let state = &self.replicas[replica];
        let Some(life) = &state.incarnation else { return u64::MAX };
        let waiting = u32::try_from(self.models[state.model].queue.len()).unwrap_or(u32::MAX);
        let rows = state.limit.limit().min(life.items_max).min(waiting);
        let busy_ns = life.busy_ns(&state.estimate, now_ns);
        let service_ns = state.estimate.predict(rows, now_ns);
        now_ns.saturating_add(busy_ns).saturating_add(service_ns)
    }
}
