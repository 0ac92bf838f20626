//! The scheduler: which query goes where, when, and what it is answered.
//!
//! Owner: the engine thread. Pure: time is passed in, nothing is read or sent here, and the only
//! thing that comes out is what the caller asks for (the next batch of a replica) or what goes to
//! the [`Sink`] (answers). The same logic runs under the real rings and in tests.
//!
//! ```text
//!   reserve ▸ (the caller reads the input into the row) ▸ admit ▸ queue ▸ next_batch ▸ sent
//!        ▸ complete ▸ answer                                  tick ▸ answer at the deadline
//! ```
//!
//! Invariants:
//! - A query that is admitted is answered exactly once, at its deadline at the latest (as soon as
//!   [`Scheduler::tick`] is called then); unless its client goes before, then it is not answered.
//! - A row is free again when its query is closed and no batch has it.
//! - A query that was in flight when its container died is sent once more, alone; if it dies again
//!   the query is answered with an error, so it costs two lives at most.
//! - A query whose batch failed is sent again, each time in half as large a batch, and only one
//!   that failed alone is answered with the text of a failure.
//!
//! [`rows`] free rows · [`queries`] the open queries of an application · [`replica`] what is in
//! flight · [`dispatch`] forming batches · [`apart`] what is sent again after a crash or a failure
//! · [`failure`] death, hangs, deadlines · [`inspect`] one look at everything.

mod apart;
mod dispatch;
mod failure;
mod inspect;
mod plan;
mod queries;
mod replica;
mod rows;
#[cfg(test)]
mod tests;

use std::num::NonZeroU32;
use std::sync::Arc;

use cutter_tensor::{Item, OutputBytes, TensorSpec};

use crate::batching::{
    Aimd, BatchLimit, DeadlineQueue, FailureShare, ServiceEstimate, service_objective_ns,
};
use crate::limits::{OVERHEAD_GAIN_SHIFT, QUEUE_ROOM_PER_ROW};
use crate::stats::{EngineStats, Reason};

pub use dispatch::{BatchPlan, BatchResults};
pub use failure::{Death, FailureReport, Kill};
pub use inspect::{
    ApplicationView, BatchView, LifeView, ModelView, QueryView, ReplicaView, SchedulerView,
};
pub use plan::{ApplicationPlan, Availability, ModelPlan, PolicyPlan};
pub use queries::ReplyTo;
pub use replica::QueryRef;

use apart::Apart;
use failure::FailureNews;
use queries::{NewQuery, Place, Queries, Query};
use replica::{Replica, Tables, Waiting};

/// Takes the answers.
pub trait Sink {
    fn answer(&mut self, answer: &Answer<'_>);
}

/// The answer to one query.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    pub application: usize,
    pub query_id: u64,
    pub reply_to: ReplyTo,
    /// When the query came, by when it was due, and when this was decided. The caller gives the
    /// first and the last back with [`Scheduler::handed_over`].
    pub arrived_ns: u64,
    pub deadline_ns: u64,
    pub answered_ns: u64,
    pub outcome: Outcome<'a>,
}

/// What a query is answered with.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// The model's output, in bytes of the given type.
    Prediction { output: OutputBytes<'a>, spec: &'a TensorSpec },
    /// The application's default output, and why. `detail` may be empty.
    Default { reason: Reason, detail: &'a [u8] },
}

#[derive(Debug)]
struct Application {
    slo_ns: u64,
    model: Option<usize>,
    /// Its pool's place in the pool table of its model's replicas.
    pool: u32,
    queries: Queries,
}

#[derive(Debug)]
struct Model {
    /// The rows of its applications: no more queries can be open.
    rows: usize,
    queue: DeadlineQueue<Waiting>,
    /// How many in the queue are not dead.
    open_in_queue: usize,
    apart: Apart,
    /// When a batch formed at this time by any replica would be done, and that time.
    soonest: Option<(u64, u64)>,
    failure_news: FailureNews,
    replicas: std::ops::Range<usize>,
    availability: Availability,
    tightest_slo_ns: u64,
    depth: u32,
    batch_timeout_ns: u64,
    /// What parsing and replying take of a query's time, smoothed.
    parse_ns: u64,
    reply_ns: u64,
}

/// The scheduler.
#[derive(Debug)]
pub struct Scheduler {
    applications: Box<[Application]>,
    models: Box<[Model]>,
    replicas: Box<[Replica]>,
    next_query_id: u64,
    kills: Vec<Kill>,
    /// Models whose failures are to be told.
    failure_news: Vec<usize>,
    stats: Arc<EngineStats>,
}

impl Scheduler {
    /// Takes all memory that steady state needs.
    pub fn new(
        applications: &[ApplicationPlan],
        models: &[ModelPlan],
        stats: Arc<EngineStats>,
    ) -> Self {
        let mut first_replica = 0;
        let mut replicas = Vec::new();
        let models: Box<[Model]> = models
            .iter()
            .enumerate()
            .map(|(index, plan)| {
                let linked = applications.iter().filter(|plan| plan.model == Some(index));
                let model = Model::new(plan, linked, first_replica);
                replicas.extend((0..plan.replicas as usize).map(|ordinal| {
                    let linked = applications.iter().filter(|plan| plan.model == Some(index));
                    Replica::new(index, ordinal, plan, &model, linked)
                }));
                first_replica = model.replicas.end;
                model
            })
            .collect();
        let pool_of = |index: usize, plan: &ApplicationPlan| {
            let before = &applications[..index];
            let pools = before.iter().filter(|other| other.model == plan.model).count();
            u32::try_from(pools).expect("bounded by POOLS_MAX")
        };
        let applications = applications
            .iter()
            .enumerate()
            .map(|(index, plan)| Application {
                slo_ns: plan.slo_ns,
                model: plan.model,
                pool: pool_of(index, plan),
                queries: Queries::new(plan.rows),
            })
            .collect();
        Self {
            applications,
            models,
            replicas: replicas.into(),
            next_query_id: 1,
            kills: Vec::new(),
            failure_news: Vec::new(),
            stats,
        }
    }

    /// Takes a row for an input of `application`; `None` when its pool is full.
    #[inline]
    pub fn reserve(&mut self, application: usize) -> Option<u32> {
        self.applications[application].queries.reserve()
    }

    /// Gives back a reserved row whose input turned out to be bad.
    pub fn cancel(&mut self, application: usize, row: u32) {
        self.applications[application].queries.cancel(row);
    }

    /// Admits a query whose input stands in a reserved row. It may be answered at once.
    pub fn admit(&mut self, now_ns: u64, input: &Admission, sink: &mut impl Sink) {
        let Admission { application, row, bytes, arrived_ns, reply_to } = *input;
        let id = self.next_query_id();
        let stats = &self.stats.applications[application];
        stats.queries.increment();
        stats.parse.record(now_ns.saturating_sub(arrived_ns));
        let state = &mut self.applications[application];
        let deadline_ns = arrived_ns.saturating_add(state.slo_ns);
        let admitted_ns = now_ns;
        state
            .queries
            .open(row, NewQuery { id, reply_to, arrived_ns, admitted_ns, deadline_ns, bytes });
        let query = QueryRef { application: narrow(application), row };
        let refused = match state.model {
            None => Some(Reason::NoModel),
            Some(model) => {
                let parse_ns = now_ns.saturating_sub(arrived_ns);
                self.models[model].parse_ns = smoothed(self.models[model].parse_ns, parse_ns);
                self.enqueue(model, query, deadline_ns).err()
            }
        };
        if let Some(reason) = refused {
            self.answer_default(now_ns, query, reason, &[], sink);
        }
    }

    /// Answers an input for which there is no row: it never becomes a query in the queue.
    pub fn refuse(
        &mut self,
        application: usize,
        reply_to: ReplyTo,
        arrived_ns: u64,
        now_ns: u64,
        sink: &mut impl Sink,
    ) {
        let query_id = self.next_query_id();
        let stats = &self.stats.applications[application];
        stats.queries.increment();
        stats.defaults(Reason::Overloaded).increment();
        let outcome = Outcome::Default { reason: Reason::Overloaded, detail: &[] };
        let deadline_ns = arrived_ns.saturating_add(self.applications[application].slo_ns);
        sink.answer(&Answer {
            application,
            query_id,
            reply_to,
            arrived_ns,
            deadline_ns,
            answered_ns: now_ns,
            outcome,
        });
    }

    /// Tells that the answers to so many queries of one request have been handed to the kernel: to
    /// be called once for each response that goes out. The times are those of its [`Answer`]s, the
    /// last of them, and now.
    ///
    /// Only here is known how long a query took: rendering and the way to the kernel are part of
    /// it, and so an answer that was in time when it was decided may be late all the same. The
    /// batch objective leaves room for what replying costs.
    #[inline]
    pub fn handed_over(
        &mut self,
        application: usize,
        queries: u32,
        arrived_ns: u64,
        answered_ns: u64,
        now_ns: u64,
    ) {
        let state = &self.applications[application];
        let stats = &self.stats.applications[application];
        let reply_ns = now_ns.saturating_sub(answered_ns);
        let end_to_end_ns = now_ns.saturating_sub(arrived_ns);
        stats.reply.record_many(reply_ns, queries);
        stats.end_to_end.record_many(end_to_end_ns, queries);
        if end_to_end_ns > state.slo_ns {
            stats.late.add(u64::from(queries));
        }
        if let Some(model) = state.model {
            self.models[model].reply_ns = smoothed(self.models[model].reply_ns, reply_ns);
        }
    }

    /// The client of an open query has gone: the query is closed without an answer. It is not sent
    /// any more, and its row is free as soon as no batch has it.
    pub fn abandon(&mut self, application: usize, row: u32) {
        self.close(QueryRef { application: narrow(application), row });
        self.stats.applications[application].cancelled.increment();
    }

    /// An incarnation of a replica is ready.
    pub fn replica_up(
        &mut self,
        now_ns: u64,
        replica: usize,
        output: TensorSpec,
        depth: u32,
        items_max: u32,
    ) {
        let state = &mut self.replicas[replica];
        state.begin(output, depth, items_max, now_ns);
        self.models[state.model].soonest = None;
        self.models[state.model].availability = Availability::Expected;
        self.replica_stats(replica).up.set(1);
    }

    /// Says whether queries of a model have anything to wait for; if not, they are answered.
    pub fn set_availability(
        &mut self,
        now_ns: u64,
        model: usize,
        availability: Availability,
        sink: &mut impl Sink,
    ) {
        let any_up = self.models[model].replicas.clone().any(|replica| self.is_up(replica));
        let down = availability == Availability::Down && !any_up;
        self.models[model].availability =
            if down { Availability::Down } else { Availability::Expected };
        if down {
            self.answer_waiting(now_ns, model, Reason::NotReady, sink);
        }
    }

    /// Answers every open query: the server cannot wait any longer.
    pub fn answer_all(&mut self, now_ns: u64, reason: Reason, sink: &mut impl Sink) {
        for application in 0..self.applications.len() {
            while let Some((row, _)) = self.applications[application].queries.earliest() {
                let query = QueryRef { application: narrow(application), row };
                self.answer_default(now_ns, query, reason, &[], sink);
            }
        }
    }

    /// Whether every query is answered.
    pub fn is_idle(&self) -> bool {
        self.applications.iter().all(|state| state.queries.earliest().is_none())
    }

    /// A kill that is due, for the caller to carry out.
    pub fn take_kill(&mut self) -> Option<Kill> {
        self.kills.pop()
    }

    /// The number of models.
    pub fn models(&self) -> usize {
        self.models.len()
    }

    /// Whether queries of a model wait for a replica.
    #[inline]
    pub fn has_waiting(&self, model: usize) -> bool {
        self.models[model].waiting() > 0
    }

    /// Replicas of a model, as indexes.
    pub fn replicas_of(&self, model: usize) -> std::ops::Range<usize> {
        self.models[model].replicas.clone()
    }

    /// The most batches that a replica of a model holds.
    pub fn depth(&self, model: usize) -> u32 {
        self.models[model].depth
    }

    /// Brings the gauges up to date; they are not worth a store for every query.
    pub fn publish_gauges(&self) {
        for (state, stats) in self.applications.iter().zip(&self.stats.applications) {
            stats.rows_in_use.set(u64::from(state.queries.rows_in_use()));
        }
        for (state, stats) in self.models.iter().zip(&self.stats.models) {
            stats.queued.set(state.waiting() as u64);
        }
        for (index, replica) in self.replicas.iter().enumerate() {
            let stats = self.replica_stats(index);
            stats.batch_limit.set(u64::from(replica.limit.limit()));
            let in_flight = replica.incarnation.as_ref().map_or(0, |life| life.in_flight);
            stats.in_flight.set(u64::from(in_flight));
            stats.failing.set(u64::from(replica.failures.is_failing()));
        }
    }

    fn next_query_id(&mut self) -> u64 {
        let id = self.next_query_id;
        self.next_query_id += 1;
        id
    }

    fn is_up(&self, replica: usize) -> bool {
        self.replicas[replica].incarnation.is_some()
    }

    fn replica_stats(&self, replica: usize) -> &crate::stats::ReplicaStats {
        let Replica { model, ordinal, .. } = self.replicas[replica];
        &self.stats.models[model].replicas[ordinal]
    }

    fn enqueue(&mut self, model: usize, query: QueryRef, deadline_ns: u64) -> Result<(), Reason> {
        let waiting = self.waiting(query);
        let (applications, state) = (&self.applications, &mut self.models[model]);
        if state.availability == Availability::Down {
            return Err(Reason::NotReady);
        }
        let pushed = state.queue.push(deadline_ns, waiting, |other| is_live(applications, other));
        pushed.map_err(|_| Reason::Overloaded)?;
        self.move_to(query, Place::Queue);
        Ok(())
    }

    /// An entry for an open query, in the queue or apart.
    fn waiting(&self, query: QueryRef) -> Waiting {
        let id = self.applications[query.application as usize].queries.get(query.row).id;
        Waiting { query, id }
    }

    fn deadline_ns(&self, query: QueryRef) -> u64 {
        self.applications[query.application as usize].queries.get(query.row).deadline_ns
    }

    /// An open query goes to another place. The entry there is the caller's matter.
    fn move_to(&mut self, query: QueryRef, place: Place) {
        let state = &mut self.applications[query.application as usize];
        let left = state.queries.put(query.row, place);
        if let Some(model) = state.model {
            self.models[model].moved(left, place);
        }
    }

    /// Closes an open query. If it waits, its entry is dead from now on.
    fn close(&mut self, query: QueryRef) -> Query {
        let state = &mut self.applications[query.application as usize];
        let closed = state.queries.close(query.row);
        if let Some(model) = state.model {
            self.models[model].moved(closed.place, Place::Nowhere);
        }
        closed
    }

    /// Closes a query and answers it with the default output.
    fn answer_default(
        &mut self,
        now_ns: u64,
        query: QueryRef,
        reason: Reason,
        detail: &[u8],
        sink: &mut impl Sink,
    ) {
        let application = query.application as usize;
        self.stats.applications[application].defaults(reason).increment();
        self.answer(now_ns, query, Outcome::Default { reason, detail }, sink);
    }

    fn answer(&mut self, now_ns: u64, query: QueryRef, outcome: Outcome<'_>, sink: &mut impl Sink) {
        let application = query.application as usize;
        let closed = self.close(query);
        sink.answer(&Answer {
            application,
            query_id: closed.id,
            reply_to: closed.reply_to,
            arrived_ns: closed.arrived_ns,
            deadline_ns: closed.deadline_ns,
            answered_ns: now_ns,
            outcome,
        });
    }
}

/// A row that a batch holds, as its replica is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowRef {
    /// The pool's place in the pool table of the replica.
    pub pool: u32,
    pub row: u32,
    /// Bytes of the input in the row.
    pub bytes: u32,
}

/// A query to admit.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    pub application: usize,
    pub row: u32,
    /// Bytes of the input in the row.
    pub bytes: u32,
    /// When the last byte of the request was received.
    pub arrived_ns: u64,
    pub reply_to: ReplyTo,
}

impl Model {
    fn new<'a>(
        plan: &ModelPlan,
        linked: impl Iterator<Item = &'a ApplicationPlan>,
        first_replica: usize,
    ) -> Self {
        let (mut rows, mut tightest_slo_ns) = (0, u64::MAX);
        for application in linked {
            rows += application.rows as usize;
            tightest_slo_ns = tightest_slo_ns.min(application.slo_ns);
        }
        Self {
            rows,
            // Every open query has a row, so the queue cannot overflow before the pools.
            queue: DeadlineQueue::new(QUEUE_ROOM_PER_ROW * rows.max(1)),
            open_in_queue: 0,
            apart: Apart::new(rows),
            soonest: None,
            failure_news: FailureNews::new(),
            replicas: first_replica..first_replica + plan.replicas as usize,
            availability: Availability::Expected,
            tightest_slo_ns,
            depth: plan.depth,
            batch_timeout_ns: plan.batch_timeout_ns,
            parse_ns: 0,
            reply_ns: 0,
        }
    }

    /// Open queries that are in no batch.
    fn waiting(&self) -> usize {
        self.open_in_queue + self.apart.open()
    }

    /// An open query went from one place to another, or was closed.
    fn moved(&mut self, from: Place, to: Place) {
        if let Some(open) = self.open_in(from) {
            *open -= 1;
        }
        if let Some(open) = self.open_in(to) {
            *open += 1;
        }
    }

    fn open_in(&mut self, place: Place) -> Option<&mut usize> {
        match place {
            Place::Queue => Some(&mut self.open_in_queue),
            Place::Suspects => Some(&mut self.apart.open_suspects),
            Place::Retries => Some(&mut self.apart.open_retries),
            Place::Nowhere | Place::Batch => None,
        }
    }

    /// What a batch's service time may be.
    fn objective_ns(&self) -> u64 {
        let batches = NonZeroU32::new(self.depth).unwrap_or(NonZeroU32::MIN);
        service_objective_ns(self.tightest_slo_ns, self.parse_ns + self.reply_ns, batches)
    }
}

impl Replica {
    fn new<'a>(
        model: usize,
        ordinal: usize,
        plan: &ModelPlan,
        state: &Model,
        linked: impl Iterator<Item = &'a ApplicationPlan>,
    ) -> Self {
        let horizon_ns = linked.map(|plan| plan.slo_ns).max().unwrap_or(1);
        let limit = match plan.policy {
            PolicyPlan::Aimd { max } => BatchLimit::Aimd(Aimd::new(max, state.objective_ns())),
            PolicyPlan::Fixed { max } => BatchLimit::Fixed { max },
        };
        let estimate = ServiceEstimate::new(horizon_ns);
        let (PolicyPlan::Aimd { max } | PolicyPlan::Fixed { max }) = plan.policy;
        Self {
            model,
            ordinal,
            limit,
            estimate,
            failures: FailureShare::default(),
            failures_in_a_row: 0,
            pause_until_ns: 0,
            incarnation: None,
            tables: Some(Tables::new(plan.depth, max)),
        }
    }
}

/// Moves what is known a little towards what was seen. The step is rounded up: what does not change
/// any more is reached in the end, however little it is.
fn smoothed(known_ns: u64, seen_ns: u64) -> u64 {
    let step_ns = known_ns.abs_diff(seen_ns).div_ceil(1 << OVERHEAD_GAIN_SHIFT);
    if seen_ns < known_ns { known_ns - step_ns } else { known_ns + step_ns }
}

fn narrow(index: usize) -> u32 {
    u32::try_from(index).expect("few applications")
}

/// Whether an entry is one of a query that is open still.
fn is_live(applications: &[Application], waiting: &Waiting) -> bool {
    let queries = &applications[waiting.query.application as usize].queries;
    queries.is_waiting(waiting.query.row, waiting.id)
}

fn row_ref(applications: &[Application], query: QueryRef) -> RowRef {
    let application = &applications[query.application as usize];
    let bytes = application.queries.get(query.row).bytes;
    RowRef { pool: application.pool, row: query.row, bytes }
}

/// What the items of a batch came to, by index.
pub trait ItemResults {
    fn get(&self, item: usize) -> Item<'_>;
}
