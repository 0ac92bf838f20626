//! The life of a query: which model it is asked, in which batch, and what it is answered.
//!
//! Owner: the engine thread. Pure: time is passed in, nothing is read or sent here, and the only
//! things that come out are what the caller asks for (the next batch of a replica) and what goes to
//! the [`Sink`] (answers). It knows no sockets, no clocks and no names. The same logic runs under
//! the real rings, in benches without a network, and in simulated worlds.
//!
//! ```text
//!   reserve ▸ (the port writes the input into the row) ▸ admit ─┬─ call ▸ model's queue ─┐
//!                                                               └─ call ▸ model's queue ─┤
//!   answer ◂─ combine ◂─ complete ◂─ (the replica predicts) ◂─ sent ◂─ next_batch ◂──────┘
//!      ▲
//!      └── tick: when it is due, of what is there
//! ```
//!
//! Invariants:
//! - A query that is admitted is answered exactly once, when it is due at the latest (as soon as
//!   [`Core::tick`] is called then); unless its client goes before, then it is not answered. It is
//!   due before its deadline by what handing an answer over takes (`lead`).
//! - A row is free again when its query is closed and no batch has any of its calls.
//! - A call that was in flight when its container died is sent once more, alone; if it dies again
//!   the call fails, so a query costs a model two lives at most.
//! - A call whose replica is late may be in a second batch, at another replica; the first output is
//!   its, and it is cared for only when neither brings one.
//! - A call whose batch failed is sent again, each time in half as large a batch, and only one that
//!   failed alone is told the text of a failure.
//! - Nothing here takes memory in steady state: what comes and goes is made and freed elsewhere
//!   ([`Change`], [`Retired`]).
//!
//! # Rooms
//! [`ids`], [`slab`] how things are named · [`Application`], [`Model`], [`Replica`] what comes and
//! goes, by `change` · `admission` a query comes · `known` one whose prediction is known ·
//! `lone`, `timing`, `sharing`, `fill`, `dispatch` batches are formed and come back · `apart` what
//! is sent again after a crash or a failure · `hedge`, `hedging` what is sent twice · `failure`
//! death, hangs, deadlines · `warm_up`, `warming` probes before queries · `answer` combination,
//! answers · `deadlines` what is due · `lead` how long before its deadline · [`rows`] where inputs
//! lie · [`batching`] queues, limits, estimates · [`policy`] whom to ask, what is made of it ·
//! [`contexts`] with whose state · [`stats`] what is counted · `view` one look at everything.

#![forbid(unsafe_code)]

mod admission;
mod answer;
mod apart;
mod application;
pub mod batching;
pub mod cache;
mod cached;
mod call;
mod change;
pub mod contexts;
mod deadlines;
mod dispatch;
mod failure;
pub mod feedback;
mod fill;
mod hedge;
mod hedging;
pub mod ids;
mod known;
mod lead;
pub mod limits;
mod lone;
mod model;
pub mod policy;
mod query;
mod replica;
pub mod rows;
pub mod selection;
mod sharing;
pub mod slab;
pub mod stats;
#[cfg(test)]
mod tests;
mod timing;
mod view;
mod warm_up;
mod warming;

use cutter_tensor::TensorSpec;

use crate::ids::{ApplicationId, ModelId, OfApplication, OfModel, OfReplica, ReplicaId};

pub use admission::{Admission, HandedOver};
pub use answer::{Answer, Outcome, Sink};
pub use application::{Application, ApplicationPlan, Asked, Link, Links};
pub use batching::{Cost, Forming};
pub use change::{Change, Changed, NewRoom, Retired};
pub use dispatch::{BatchPlan, BatchResults, ItemResults};
pub use failure::{Death, FailureReport, Kill};
pub use hedge::HedgePlan;
pub use ids::Id;
pub use known::Known;
pub use model::{Availability, Model, ModelPlan, Room};
pub use query::ReplyTo;
pub use replica::{LimitPlan, Replica, ReplicaPlan};
pub use view::{
    ApplicationView, BatchView, CoreView, LearnerView, LifeView, ModelView, QueryView, ReplicaView,
};
pub use warming::Warmed;

use call::{Back, Call, CallRef, LeftOver, Place, Waiting};
use change::Drain;
use deadlines::{Deadlines, NEVER_NS};
use limits::{APPLICATIONS_MAX, DRAINS_MAX, LEFT_OVER_RESERVED, MODELS_MAX, REPLICAS_TOTAL_MAX};
use query::Query;
use selection::Scratch;
use slab::Slab;
use stats::Reason;

/// The owners of deadlines: applications and replicas.
const OWNERS_MAX: usize = APPLICATIONS_MAX + REPLICAS_TOTAL_MAX as usize;

/// Everything that the engine thread decides with.
#[derive(Debug)]
pub struct Core {
    applications: Applications,
    models: Slab<Box<Model>, OfModel>,
    /// Those that are there, so that nobody looks at all places.
    model_list: Vec<ModelId>,
    replicas: Slab<Box<Replica>, OfReplica>,
    deadlines: Deadlines,
    next_query_id: u64,
    kills: Vec<Kill>,
    /// A batch that was put off may be formed now.
    is_form_due: bool,
    /// Models whose failures are to be told.
    failure_news: Vec<ModelId>,
    /// What is to be told when it has nothing under way any more.
    drains: Vec<Drain>,
    /// Bytes of outputs that wait for others.
    kept_bytes: usize,
    scratch: Scratch,
    /// Entries of caches whose leaders have ended.
    left_over: Vec<LeftOver>,
    /// Warm-ups that are over and not told yet.
    warmed: Vec<Warmed>,
}

impl Default for Core {
    fn default() -> Self {
        Self::new()
    }
}

impl Core {
    /// Without applications, models and replicas. Takes the memory of its tables.
    pub fn new() -> Self {
        Self::starting_at(1)
    }

    /// The same where queries have ids from this one on: of ids that rise faster with time than
    /// queries come, none is given twice, whatever ends in between.
    pub fn starting_at(first_query_id: u64) -> Self {
        let replicas = REPLICAS_TOTAL_MAX as usize;
        Self {
            applications: Slab::new(APPLICATIONS_MAX),
            models: Slab::new(MODELS_MAX),
            model_list: Vec::with_capacity(MODELS_MAX),
            replicas: Slab::new(replicas),
            deadlines: Deadlines::new(OWNERS_MAX),
            next_query_id: first_query_id,
            kills: Vec::with_capacity(replicas),
            is_form_due: false,
            failure_news: Vec::with_capacity(MODELS_MAX),
            drains: Vec::with_capacity(DRAINS_MAX),
            kept_bytes: 0,
            scratch: Scratch::default(),
            left_over: Vec::with_capacity(LEFT_OVER_RESERVED),
            warmed: Vec::with_capacity(replicas),
        }
    }

    /// The bytes of these tables. What is added later brings its own.
    pub const fn table_bytes() -> usize {
        let replicas = REPLICAS_TOTAL_MAX as usize;
        Slab::<Box<Application>, Application>::table_bytes(APPLICATIONS_MAX)
            + Slab::<Box<Model>, Model>::table_bytes(MODELS_MAX)
            + Slab::<Box<Replica>, Replica>::table_bytes(replicas)
            + Deadlines::table_bytes(OWNERS_MAX)
            + MODELS_MAX * 2 * size_of::<ModelId>()
            + replicas * (size_of::<Kill>() + size_of::<Warmed>())
            + LEFT_OVER_RESERVED * size_of::<LeftOver>()
            + DRAINS_MAX * size_of::<Drain>()
    }

    /// An incarnation of a replica is ready.
    pub fn replica_up(
        &mut self,
        now_ns: u64,
        replica: ReplicaId,
        output: TensorSpec,
        depth: u32,
        items_max: u32,
    ) {
        let state = &mut self.replicas[replica];
        state.begin(output, depth, items_max, now_ns);
        state.stats.up.set(1);
        let model = &mut self.models[state.model];
        model.live_replicas += 1;
        state.limit.set_objective(model.objective());
        model.availability = Availability::Expected;
    }

    /// Says whether calls of a model have anything to wait for; if not, they fail.
    pub fn set_availability(
        &mut self,
        now_ns: u64,
        model: ModelId,
        availability: Availability,
        sink: &mut impl Sink,
    ) {
        let mut replicas = self.models[model].replicas.iter();
        let any_up = replicas.any(|replica| self.is_up(*replica));
        let down = availability == Availability::Down && !any_up;
        self.models[model].availability =
            if down { Availability::Down } else { Availability::Expected };
        if down {
            self.fail_waiting(now_ns, model, Reason::NotReady, sink);
            self.settle(now_ns, sink);
        }
    }

    /// Answers every open query: the server cannot wait any longer.
    pub fn answer_all(&mut self, now_ns: u64, reason: Reason, sink: &mut impl Sink) {
        for place in 0..self.applications.room() {
            let Some(application) = self.applications.id_at(place) else { continue };
            for row in 0..self.applications[application].pool.rows() {
                if self.applications[application].queries.get(row).is_open {
                    self.answer_default(now_ns, application, row, reason, &[], sink);
                }
            }
        }
        self.settle(now_ns, sink);
    }

    /// Whether every query is answered.
    pub fn is_idle(&self) -> bool {
        self.applications.iter().all(|(_, state)| state.queries.open_count() == 0)
    }

    /// A kill that is due, for the caller to carry out.
    pub fn take_kill(&mut self) -> Option<Kill> {
        self.kills.pop()
    }

    /// The models that are there.
    #[inline]
    pub fn models(&self) -> &[ModelId] {
        &self.model_list
    }

    /// Whether a model has something to be sent: calls that wait for a replica, or may go to a
    /// second one, or a probe.
    #[inline]
    pub fn has_waiting(&self, model: ModelId) -> bool {
        let state = &self.models[model];
        let has_calls = state.waiting() > 0 || state.has_late() || !self.left_over.is_empty();
        has_calls || self.has_probe_due(model)
    }

    /// The replicas of a model.
    pub fn replicas_of(&self, model: ModelId) -> &[ReplicaId] {
        &self.models[model].replicas
    }

    /// The model of a replica.
    pub fn model_of(&self, replica: ReplicaId) -> Option<ModelId> {
        self.replicas.get(replica).map(|state| state.model)
    }

    /// The most batches that a replica of a model holds.
    pub fn depth(&self, model: ModelId) -> u32 {
        self.models[model].depth
    }

    /// A replica has broken the protocol in a way of this kind.
    pub fn count_violation(&self, replica: ReplicaId, kind: usize) {
        self.models[self.replicas[replica].model].stats.violations(kind).increment();
    }

    /// What is counted of an application.
    pub fn stats_of(&self, application: ApplicationId) -> Option<&stats::ApplicationStats> {
        self.applications.get(application).map(|state| &*state.stats)
    }

    /// Brings the gauges up to date; they are not worth a store for every query.
    pub fn publish_gauges(&self) {
        for (_, state) in self.applications.iter() {
            state.stats.rows_in_use.set(u64::from(state.pool.in_use()));
        }
        for (_, state) in self.models.iter() {
            state.stats.queued.set(state.waiting() as u64);
            state.cache.iter().for_each(|cache| cache.publish_gauges());
        }
        for (_, state) in self.replicas.iter() {
            state.stats.batch_limit.set(u64::from(state.limit.limit()));
            state.stats.in_flight.set(u64::from(state.in_flight()));
            state.stats.failing.set(u64::from(state.failures.is_failing()));
        }
    }

    fn next_query_id(&mut self) -> u64 {
        let id = self.next_query_id;
        self.next_query_id += 1;
        id
    }

    /// Whether it takes queries.
    fn is_up(&self, replica: ReplicaId) -> bool {
        self.replicas[replica].serving().is_some()
    }

    fn query(&self, call: CallRef) -> &Query {
        self.applications[call.application].queries.get(call.row)
    }

    fn call(&self, call: CallRef) -> &Call {
        self.applications[call.application].queries.call(call.row, call.link)
    }

    fn call_mut(&mut self, call: CallRef) -> &mut Call {
        self.applications[call.application].queries.call_mut(call.row, call.link)
    }

    fn due_ns(&self, call: CallRef) -> u64 {
        self.query(call).due_ns
    }

    /// How long before its deadline a call is due.
    fn lead_ns(&self, call: CallRef) -> u64 {
        let query = self.query(call);
        query.deadline_ns - query.due_ns
    }

    /// An entry for an open call, in the queue or apart.
    fn waiting(&self, call: CallRef) -> Waiting {
        Waiting { call, query_id: self.query(call).id }
    }

    /// A call of an open query goes to another place. The entry there is the caller's matter.
    fn move_to(&mut self, call: CallRef, place: Place) {
        let queries = &mut self.applications[call.application].queries;
        let model = queries.call(call.row, call.link).model;
        let left = queries.put(call.row, call.link, place);
        self.models[model].moved(left, place, queries.get(call.row).bytes);
    }

    /// The batch with a call is no longer in flight.
    fn take_back(&mut self, call: CallRef) -> Back {
        let Application { queries, pool, .. } = &mut *self.applications[call.application];
        let led = queries.call(call.row, call.link);
        let entry = led.entry.map(|entry| (led.model, entry));
        let back = queries.take_back(call.row, call.link, pool);
        if !back.is_awaited && !back.has_copy {
            self.leave_over(entry);
        }
        back
    }

    /// The owners of deadlines, by number: applications, then replicas.
    fn owner_of_application(application: ApplicationId) -> usize {
        application.place()
    }

    fn owner_of_replica(replica: ReplicaId) -> usize {
        APPLICATIONS_MAX + replica.place()
    }

    /// Sets when an application is to be looked at next.
    fn set_application_deadline(&mut self, application: ApplicationId) {
        let first = self.applications[application].queries.first_due();
        let due_ns = first.map_or(NEVER_NS, |(_, due_ns)| due_ns);
        self.deadlines.set(Self::owner_of_application(application), due_ns);
    }
}

type Applications = Slab<Box<Application>, OfApplication>;

/// Whether an entry is one of a call that may still bring something.
#[inline]
fn is_live(applications: &Applications, waiting: &Waiting) -> bool {
    let Waiting { call, query_id } = *waiting;
    let state = applications.get(call.application);
    state.is_some_and(|state| state.queries.is_waiting(call.row, call.link, query_id))
}

/// Moves what is known a little towards what was seen. The step is rounded up: what does not change
/// any more is reached in the end, however little it is.
fn smoothed(known_ns: u64, seen_ns: u64) -> u64 {
    let step_ns = known_ns.abs_diff(seen_ns).div_ceil(1 << limits::OVERHEAD_GAIN_SHIFT);
    if seen_ns < known_ns { known_ns - step_ns } else { known_ns + step_ns }
}
