//! What goes wrong: deadlines that pass, containers that hang, die or are taken away.

use super::replica::{Incarnation, QueryRef};
use super::{Reason, Scheduler, Sink};
use crate::limits::CRASHES_MAX;

/// How an incarnation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// It died, hung or broke the protocol. What it was doing may be the cause.
    Crash,
    /// It was asked to end. What it left undone is innocent.
    Stopped,
}

/// An incarnation to be killed, since a batch of it hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    pub replica: usize,
    pub running_ns: u64,
}

impl Scheduler {
    /// Answers what is due, and finds batches that hang.
    pub fn tick(&mut self, now_ns: u64, sink: &mut impl Sink) {
        for application in 0..self.applications.len() {
            self.answer_due(now_ns, application, sink);
        }
        for replica in 0..self.replicas.len() {
            let timeout_ns = self.models[self.replicas[replica].model].batch_timeout_ns;
            let life = self.replicas[replica].incarnation.as_ref();
            let since_ns = life.and_then(Incarnation::running_since_ns);
            let running_ns = since_ns.map_or(0, |since_ns| now_ns.saturating_sub(since_ns));
            if running_ns > timeout_ns {
                self.kills.push(Kill { replica, running_ns });
            }
        }
    }

    /// When [`Scheduler::tick`] has something to do.
    pub fn next_tick_ns(&self) -> Option<u64> {
        let due = self.applications.iter().filter_map(|state| {
            let (_, query) = state.queries.earliest()?;
            Some(query.deadline_ns)
        });
        let hangs = self.replicas.iter().filter_map(|replica| {
            let since_ns = replica.incarnation.as_ref()?.running_since_ns()?;
            let timeout_ns = self.models[replica.model].batch_timeout_ns;
            Some(since_ns.saturating_add(timeout_ns).saturating_add(1))
        });
        due.chain(hangs).min()
    }

    /// An incarnation is gone. What it had in flight goes elsewhere, at most once more and alone
    /// after a crash.
    pub fn replica_lost(
        &mut self,
        now_ns: u64,
        replica: usize,
        death: Death,
        sink: &mut impl Sink,
    ) {
        let Some(mut life) = self.replicas[replica].incarnation.take() else { return };
        self.replica_stats(replica).up.set(0);
        let model = self.replicas[replica].model;
        life.batches.sort_unstable_by_key(|batch| batch.order);
        for batch in life.batches.iter().filter(|batch| batch.in_flight) {
            for query in &batch.queries {
                self.send_again(now_ns, model, *query, death, sink);
            }
        }
    }

    /// Answers every query of a model that waits for a replica.
    pub(super) fn answer_waiting(
        &mut self,
        now_ns: u64,
        model: usize,
        reason: Reason,
        sink: &mut impl Sink,
    ) {
        while let Some(head) = self.models[model].queue.pop() {
            self.settle(now_ns, head.value, reason, sink);
        }
        while let Some(suspect) = self.models[model].suspects.pop_front() {
            self.settle(now_ns, suspect, reason, sink);
        }
    }

    fn answer_due(&mut self, now_ns: u64, application: usize, sink: &mut impl Sink) {
        let Some(model) = self.applications[application].model else { return };
        let mut any = false;
        while let Some((row, query)) = self.applications[application].queries.earliest() {
            if query.deadline_ns > now_ns {
                break;
            }
            any = true;
            let any_up = self.replicas_of(model).any(|replica| self.is_up(replica));
            let reason = if any_up { Reason::Late } else { Reason::NotReady };
            let query = QueryRef { application: super::narrow(application), row };
            self.answer_default(now_ns, query, reason, &[], sink);
        }
        if any {
            self.drop_answered(model);
        }
    }

    /// Drops answered queries, so that their rows become free. In the queue they are at the head.
    fn drop_answered(&mut self, model: usize) {
        self.models[model].suspects.retain(|suspect| {
            let queries = &mut self.applications[suspect.application as usize].queries;
            let open = queries.is_open(suspect.row);
            if !open {
                queries.let_go(suspect.row);
            }
            open
        });
        while let Some(head) = self.models[model].queue.peek() {
            let query = head.value;
            let queries = &mut self.applications[query.application as usize].queries;
            if queries.is_open(query.row) {
                break;
            }
            queries.let_go(query.row);
            self.models[model].queue.pop();
        }
    }

    /// A query that was in flight at an incarnation that is gone.
    fn send_again(
        &mut self,
        now_ns: u64,
        model: usize,
        query: QueryRef,
        death: Death,
        sink: &mut impl Sink,
    ) {
        let queries = &mut self.applications[query.application as usize].queries;
        if !queries.is_open(query.row) {
            queries.let_go(query.row);
            return;
        }
        let deadline_ns = queries.get(query.row).deadline_ns;
        let crashes = match death {
            Death::Crash => queries.count_crash(query.row),
            Death::Stopped => queries.get(query.row).crashes,
        };
        if crashes >= CRASHES_MAX {
            let detail = b"the model's container died each time it was given this input";
            self.answer_default(now_ns, query, Reason::ModelError, detail, sink);
            self.applications[query.application as usize].queries.let_go(query.row);
            return;
        }
        self.stats.models[model].redispatches.increment();
        // The hold of the batch becomes the hold of the queue.
        if crashes > 0 {
            self.models[model].suspects.push_back(query);
        } else if self.models[model].queue.push(deadline_ns, query).is_err() {
            self.settle(now_ns, query, Reason::Overloaded, sink);
        }
    }

    /// Answers a query that is still open, and lets the hold of a queue go.
    fn settle(&mut self, now_ns: u64, query: QueryRef, reason: Reason, sink: &mut impl Sink) {
        if self.applications[query.application as usize].queries.is_open(query.row) {
            self.answer_default(now_ns, query, reason, &[], sink);
        }
        self.applications[query.application as usize].queries.let_go(query.row);
    }
}
