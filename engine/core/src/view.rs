//! One look at everything that the core knows, for whoever debugs a stall.
//!
//! Plain copies, made on the engine thread when it is asked and read elsewhere. Making them
//! allocates and walks every table once, so it is not for the way of a query. Times are instants of
//! the monotonic clock.

use crate::application::{Application, Asked, Link};
use crate::contexts::ContextCounts;
use crate::ids::{ApplicationId, ModelId, ReplicaId};
use crate::model::{Availability, Model};
use crate::replica::{Batch, Incarnation, Replica};
use crate::selection::Learner;
use crate::{Core, is_live};

/// Everything, in the order of the ids' places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreView {
    pub applications: Vec<(ApplicationId, ApplicationView)>,
    pub models: Vec<(ModelId, ModelView)>,
    pub replicas: Vec<(ReplicaId, ReplicaView)>,
    /// Bytes of outputs that wait for others of the same query.
    pub kept_bytes: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationView {
    /// The models that it asks, in order.
    pub links: Vec<Link>,
    pub asked: Asked,
    pub is_draining: bool,
    pub rows: u32,
    pub rows_in_use: u32,
    /// Where the search for the next row begins.
    pub next_row: u32,
    /// The open query that is due first.
    pub first_due: Option<QueryView>,
    /// Of one with a policy, while models are linked.
    pub learner: Option<LearnerView>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnerView {
    pub contexts: ContextCounts,
    /// Decisions that wait for feedback.
    pub decisions_waiting: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelView {
    pub availability: Availability,
    pub queued: usize,
    pub queue_capacity: usize,
    /// Queries that were in flight when a container died, and wait to go out alone.
    pub suspects: usize,
    /// Queries whose batch failed, and that wait to go out in smaller ones.
    pub retries: usize,
    /// The head of the queue, which is due first.
    pub head: Option<QueryView>,
    pub objective_ns: u64,
    /// What parsing and replying take, smoothed.
    pub overhead_ns: u64,
    pub batch_timeout_ns: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaView {
    pub model: ModelId,
    pub ordinal: u32,
    pub is_draining: bool,
    pub batch_limit: u32,
    /// Absent while no incarnation is up.
    pub life: Option<LifeView>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifeView {
    pub items_max: u32,
    pub last_completion_ns: u64,
    /// A suspect is in flight.
    pub alone: bool,
    /// It is warmed up, and takes no queries yet.
    pub warming: bool,
    /// Those in flight, the one that runs first.
    pub batches: Vec<BatchView>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchView {
    /// The slot of its ticket.
    pub slot: usize,
    pub items: usize,
    pub dispatched_ns: u64,
    /// When its first open query is due; absent when all are answered.
    pub deadline_ns: Option<u64>,
    /// When it counts as hanging. Absent while it waits for the one before it.
    pub hangs_ns: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryView {
    pub id: u64,
    pub application: ApplicationId,
    pub row: u32,
    pub arrived_ns: u64,
    pub deadline_ns: u64,
    /// Answered already, or its client has gone.
    pub is_answered: bool,
}

impl Core {
    /// One look at everything.
    pub fn view(&self) -> CoreView {
        let applications = self.applications.iter();
        let models = self.models.iter();
        let replicas = self.replicas.iter();
        CoreView {
            applications: applications
                .map(|(id, state)| (id, self.view_application(id, state)))
                .collect(),
            models: models.map(|(id, state)| (id, self.view_model(state))).collect(),
            replicas: replicas.map(|(id, state)| (id, self.view_replica(state))).collect(),
            kept_bytes: self.kept_bytes,
        }
    }

    fn view_application(&self, id: ApplicationId, state: &Application) -> ApplicationView {
        let first_due = state.queries.find_due();
        let selector = state.selector.as_ref();
        let learner = selector.and_then(|selector| selector.learner.as_deref());
        ApplicationView {
            links: state.links.models.clone(),
            asked: state.links.asked,
            is_draining: state.is_draining,
            rows: state.pool.rows(),
            rows_in_use: state.pool.in_use(),
            next_row: state.pool.cursor(),
            first_due: first_due.map(|row| self.view_query(id, row)),
            learner: learner.map(view_learner),
        }
    }

    fn view_model(&self, state: &Model) -> ModelView {
        let head = state.room.queue.first_live(|waiting| is_live(&self.applications, waiting));
        let head = head.map(|head| head.value.call);
        ModelView {
            availability: state.availability,
            queued: state.open_in_queue,
            queue_capacity: state.room.rows,
            suspects: state.room.apart.open_suspects,
            retries: state.room.apart.open_retries,
            head: head.map(|call| self.view_query(call.application, call.row)),
            objective_ns: state.objective().usual_ns,
            overhead_ns: state.parse_ns + state.reply_ns,
            batch_timeout_ns: state.batch_timeout_ns,
        }
    }

    fn view_replica(&self, state: &Replica) -> ReplicaView {
        let timeout_ns = self.models[state.model].batch_timeout_ns;
        ReplicaView {
            model: state.model,
            ordinal: state.ordinal,
            is_draining: state.is_draining,
            batch_limit: state.limit.limit(),
            life: state.incarnation.as_ref().map(|life| self.view_life(life, timeout_ns)),
        }
    }

    fn view_life(&self, life: &Incarnation, timeout_ns: u64) -> LifeView {
        let in_flight = life.batches.iter().enumerate().filter(|(_, batch)| batch.in_flight);
        let mut in_flight: Vec<(usize, &Batch)> = in_flight.collect();
        in_flight.sort_unstable_by_key(|(_, batch)| batch.order);
        let hangs_ns = life.running_since_ns().map(|since_ns| since_ns.saturating_add(timeout_ns));
        let view = |(place, (slot, batch)): (usize, &(usize, &Batch))| BatchView {
            slot: *slot,
            items: life.rows_of(batch) as usize,
            dispatched_ns: batch.dispatched_ns,
            deadline_ns: self.first_deadline_ns(batch),
            hangs_ns: hangs_ns.filter(|_| place == 0),
        };
        LifeView {
            items_max: life.items_max,
            last_completion_ns: life.last_completion_ns,
            alone: life.alone,
            warming: life.warm_up.is_some(),
            batches: in_flight.iter().enumerate().map(view).collect(),
        }
    }

    fn first_deadline_ns(&self, batch: &Batch) -> Option<u64> {
        let queries = batch.calls.iter().map(|call| self.query(*call));
        queries.filter(|query| query.is_open).map(|query| query.deadline_ns).min()
    }

    fn view_query(&self, application: ApplicationId, row: u32) -> QueryView {
        let known = self.applications[application].queries.get(row);
        QueryView {
            id: known.id,
            application,
            row,
            arrived_ns: known.arrived_ns,
            deadline_ns: known.deadline_ns,
            is_answered: !known.is_open,
        }
    }
}

fn view_learner(learner: &Learner) -> LearnerView {
    LearnerView {
        contexts: learner.context_counts(),
        decisions_waiting: learner.decisions_waiting(),
    }
}
