//! What goes wrong: deadlines that pass, containers that hang, die or are taken away.

use super::replica::{Incarnation, QueryRef};
use super::{Reason, Scheduler, Sink, is_live};
use crate::limits::{CRASHES_MAX, FAILURE_REPORT_PERIOD_NS, FAILURE_TEXT_BYTES_MAX};

/// How an incarnation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// It died, hung or broke the protocol. What it was doing may be the cause.
    Crash,
    /// It was asked to end. What it left undone is innocent.
    Stopped,
}

/// A failure of a model, in its own words, for its operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureReport {
    pub model: usize,
    pub replica: usize,
    /// Cut off after [`FAILURE_TEXT_BYTES_MAX`]. It may be empty, and it may hold any bytes.
    pub text: Box<[u8]>,
}

/// What is to be told of a model's failures.
#[derive(Debug)]
pub struct FailureNews {
    replica: usize,
    text: Vec<u8>,
    /// It stands in the list of models with news.
    listed: bool,
    /// Nothing is told before.
    quiet_until_ns: u64,
}

impl FailureNews {
    pub fn new() -> Self {
        let text = Vec::with_capacity(FAILURE_TEXT_BYTES_MAX);
        Self { replica: 0, text, listed: false, quiet_until_ns: 0 }
    }
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
        self.models[model].soonest = None;
        life.batches.sort_unstable_by_key(|batch| batch.order);
        for batch in life.batches.iter_mut().filter(|batch| batch.in_flight) {
            batch.queries.retain(|query| {
                self.applications[query.application as usize].queries.take_back(query.row)
            });
            match death {
                Death::Crash => self.crashed(now_ns, model, &batch.queries, sink),
                Death::Stopped => self.taken_away(now_ns, model, &batch.queries, sink),
            }
        }
        self.replicas[replica].tables = Some(life.into_tables());
    }

    /// The last failure of a model that is due to be told: at most one in each
    /// [`FAILURE_REPORT_PERIOD_NS`] for each model, the first of several.
    pub fn take_failure_report(&mut self) -> Option<FailureReport> {
        let model = self.failure_news.pop()?;
        let news = &mut self.models[model].failure_news;
        news.listed = false;
        Some(FailureReport { model, replica: news.replica, text: news.text.as_slice().into() })
    }

    /// A batch or an item failed with these words.
    pub(super) fn note_failure(&mut self, now_ns: u64, replica: usize, text: &[u8]) {
        let model = self.replicas[replica].model;
        let news = &mut self.models[model].failure_news;
        if news.listed || now_ns < news.quiet_until_ns {
            return;
        }
        news.replica = replica;
        news.text.clear();
        news.text.extend_from_slice(&text[..text.len().min(FAILURE_TEXT_BYTES_MAX)]);
        news.listed = true;
        news.quiet_until_ns = now_ns.saturating_add(FAILURE_REPORT_PERIOD_NS);
        self.failure_news.push(model);
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
            if is_live(&self.applications, &head.value) {
                self.answer_default(now_ns, head.value.query, reason, &[], sink);
            }
        }
        while let Some(query) = self.take_apart(model) {
            self.answer_default(now_ns, query, reason, &[], sink);
        }
    }

    fn answer_due(&mut self, now_ns: u64, application: usize, sink: &mut impl Sink) {
        let Some(model) = self.applications[application].model else { return };
        while let Some((row, query)) = self.applications[application].queries.earliest() {
            if query.deadline_ns > now_ns {
                break;
            }
            let query = QueryRef { application: super::narrow(application), row };
            let (reason, detail) = self.why_late(model, query);
            self.answer_default(now_ns, query, reason, detail, sink);
        }
    }

    /// These were in flight when their container died: each goes out once more, alone.
    fn crashed(&mut self, now_ns: u64, model: usize, queries: &[QueryRef], sink: &mut impl Sink) {
        for query in queries {
            let known = &mut self.applications[query.application as usize].queries;
            if known.count_crash(query.row) >= CRASHES_MAX {
                let detail = b"the model's container died each time it was given this input";
                self.answer_default(now_ns, *query, Reason::ModelError, detail, sink);
            } else {
                self.stats.models[model].redispatches.increment();
                self.suspect(model, *query);
            }
        }
    }

    /// These were in flight when their container was taken away: they wait again where they waited
    /// before.
    fn taken_away(
        &mut self,
        now_ns: u64,
        model: usize,
        queries: &[QueryRef],
        sink: &mut impl Sink,
    ) {
        self.stats.models[model].redispatches.add(queries.len() as u64);
        let Some(first) = queries.first() else { return };
        let first = *self.applications[first.application as usize].queries.get(first.row);
        if first.crashes > 0 {
            queries.iter().for_each(|query| self.suspect(model, *query));
        } else if first.failures > 0 {
            self.retry(model, queries, None);
        } else {
            for query in queries {
                let deadline_ns = self.deadline_ns(*query);
                if let Err(reason) = self.enqueue(model, *query, deadline_ns) {
                    self.answer_default(now_ns, *query, reason, &[], sink);
                }
            }
        }
    }
}
