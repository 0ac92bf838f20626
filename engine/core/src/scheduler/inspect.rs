//! One look at everything that the scheduler knows, for whoever debugs a stall.
//!
//! Plain copies, made on the engine thread when it is asked and read elsewhere. Making them
//! allocates and walks every table once, so it is not for the way of a query. Times are instants of
//! the monotonic clock.

use super::replica::{Batch, Incarnation, QueryRef};
use super::{Application, Availability, Model, Replica, Scheduler, is_live};

/// Everything, by the indexes of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchedulerView {
    pub applications: Vec<ApplicationView>,
    pub models: Vec<ModelView>,
    pub replicas: Vec<ReplicaView>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationView {
    pub model: Option<usize>,
    pub rows: u32,
    pub rows_in_use: u32,
    /// Where the search for the next row begins.
    pub next_row: u32,
    /// The open query that is due first.
    pub first_due: Option<QueryView>,
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
    pub model: usize,
    pub ordinal: usize,
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
    pub application: u32,
    pub row: u32,
    pub arrived_ns: u64,
    pub deadline_ns: u64,
    /// Answered already, or its client has gone.
    pub is_answered: bool,
}

impl Scheduler {
    /// One look at everything.
    pub fn view(&self) -> SchedulerView {
        let applications = self.applications.iter().enumerate();
        let models = self.models.iter();
        SchedulerView {
            applications: applications
                .map(|(index, app)| self.view_application(index, app))
                .collect(),
            models: models.map(|model| self.view_model(model)).collect(),
            replicas: self.replicas.iter().map(|replica| self.view_replica(replica)).collect(),
        }
    }

    fn view_application(&self, index: usize, state: &Application) -> ApplicationView {
        let first = state.queries.earliest();
        let first = first.map(|(row, _)| QueryRef { application: super::narrow(index), row });
        ApplicationView {
            model: state.model,
            rows: state.queries.rows(),
            rows_in_use: state.queries.rows_in_use(),
            next_row: state.queries.next_row(),
            first_due: first.map(|query| self.view_query(query)),
        }
    }

    fn view_model(&self, state: &Model) -> ModelView {
        let head = state.queue.first_live(|waiting| is_live(&self.applications, waiting));
        ModelView {
            availability: state.availability,
            queued: state.open_in_queue,
            queue_capacity: state.rows,
            suspects: state.apart.open_suspects,
            retries: state.apart.open_retries,
            head: head.map(|head| self.view_query(head.value.query)),
            objective_ns: state.objective_ns(),
            overhead_ns: state.parse_ns + state.reply_ns,
            batch_timeout_ns: state.batch_timeout_ns,
        }
    }

    fn view_replica(&self, state: &Replica) -> ReplicaView {
        let timeout_ns = self.models[state.model].batch_timeout_ns;
        ReplicaView {
            model: state.model,
            ordinal: state.ordinal,
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
            items: batch.queries.len(),
            dispatched_ns: batch.dispatched_ns,
            deadline_ns: self.first_deadline_ns(batch),
            hangs_ns: hangs_ns.filter(|_| place == 0),
        };
        LifeView {
            items_max: life.items_max,
            last_completion_ns: life.last_completion_ns,
            alone: life.alone,
            batches: in_flight.iter().enumerate().map(view).collect(),
        }
    }

    fn first_deadline_ns(&self, batch: &Batch) -> Option<u64> {
        let queries = batch.queries.iter().map(|query| self.view_query(*query));
        queries.filter(|query| !query.is_answered).map(|query| query.deadline_ns).min()
    }

    fn view_query(&self, query: QueryRef) -> QueryView {
        let queries = &self.applications[query.application as usize].queries;
        let known = queries.get(query.row);
        QueryView {
            id: known.id,
            application: query.application,
            row: query.row,
            arrived_ns: known.arrived_ns,
            deadline_ns: known.deadline_ns,
            is_answered: !queries.is_open(query.row),
        }
    }
}
