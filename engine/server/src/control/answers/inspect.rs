//! How everything stands, for whoever debugs a stall: `cutter-inspect/1`.
//!
//! Instants become ages and times to go (negative once they are past), since a reader has no clock
//! to compare them with.

use cutter_core::{
    ApplicationView, Availability, BatchView, Id, LifeView, ModelView, QueryView,
    Replica as CoreReplica, ReplicaView,
};
use cutter_protocol::entry::Ticket;
use serde::Serialize;

use super::super::board::View;
use super::stats::StatsAnswer;
use crate::carrier::LinkView;
use crate::config::Config;
use crate::reactor::Inspection;

const SCHEMA: &str = "cutter-inspect/1";

#[derive(Debug, Serialize)]
pub(in super::super) struct InspectAnswer<'a> {
    schema: &'static str,
    /// What the control thread knows: as `/readyz`.
    readiness: View<'a>,
    /// What the engine thread says, or why it says nothing.
    engine: EngineAnswer<'a>,
    /// As `/stats`.
    stats: StatsAnswer<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(in super::super) enum EngineAnswer<'a> {
    Silent(String),
    Says(Box<Engine<'a>>),
}

#[derive(Debug, Serialize)]
pub(in super::super) struct Engine<'a> {
    /// The last turn before the one that made this ended so long ago.
    last_turn_ago_ns: u64,
    longest_turn_ns: u64,
    wait: &'static str,
    sleeps: u64,
    /// How long it had been asleep when this was asked for; absent when it was awake.
    asleep_for_ns: Option<u64>,
    draining: bool,
    ring_enters: u64,
    ring_overflows: u64,
    connections: Connections,
    applications: Vec<Application<'a>>,
    models: Vec<Model<'a>>,
    replicas: Vec<Replica<'a>>,
}

#[derive(Debug, Serialize)]
struct Connections {
    open: u64,
    lingering: u64,
    ending: u64,
    receiving: u64,
    sending: u64,
    starved: u64,
    held_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Application<'a> {
    name: &'a str,
    slo_ns: u64,
    /// Index into `models`.
    model: Option<usize>,
    rows: u32,
    rows_in_use: u32,
    next_row: u32,
    first_due: Option<Query<'a>>,
}

#[derive(Debug, Serialize)]
struct Model<'a> {
    model: &'a str,
    version: &'a str,
    availability: &'static str,
    queued: usize,
    queue_capacity: usize,
    suspects: usize,
    retries: usize,
    head: Option<Query<'a>>,
    objective_ns: u64,
    overhead_ns: u64,
    batch_timeout_ns: u64,
}

#[derive(Debug, Serialize)]
struct Query<'a> {
    query_id: u64,
    application: &'a str,
    row: u32,
    age_ns: u64,
    due_in_ns: i64,
    answered: bool,
}

#[derive(Debug, Serialize)]
struct Replica<'a> {
    model: &'a str,
    version: &'a str,
    replica: u32,
    batch_limit: u32,
    /// Absent while no incarnation is up.
    life: Option<Life>,
}

#[derive(Debug, Serialize)]
struct Life {
    incarnation: u64,
    items_max: u32,
    last_completion_ago_ns: u64,
    alone: bool,
    asleep: bool,
    kicks: u64,
    stopped: bool,
    wakes_without_news: u32,
    ring: Rings,
    tickets: Vec<InFlight>,
}

/// The pair of rings: entries ever submitted, completions ever taken.
#[derive(Debug, Serialize)]
struct Rings {
    capacity: u32,
    submitted: u64,
    completed: u64,
    outstanding: u64,
    completion_waiting: bool,
}

#[derive(Debug, Serialize)]
struct InFlight {
    slot: u32,
    generation: u32,
    items: usize,
    age_ns: u64,
    /// When its first open query is due; absent when all of them are answered.
    due_in_ns: Option<i64>,
    /// When it counts as hanging; absent while it waits for the one before it.
    hangs_in_ns: Option<i64>,
}

impl<'a> InspectAnswer<'a> {
    pub(in super::super) fn new(
        readiness: View<'a>,
        engine: EngineAnswer<'a>,
        stats: StatsAnswer<'a>,
    ) -> Self {
        Self { schema: SCHEMA, readiness, engine, stats }
    }
}

impl<'a> EngineAnswer<'a> {
    pub(in super::super) fn new(inspection: &Inspection, config: &'a Config) -> Self {
        let names = Names { config, now_ns: inspection.at_ns };
        let (pulse, core) = (&inspection.pulse, &inspection.core);
        let applications = core.applications.iter().enumerate();
        let models = core.models.iter().enumerate();
        let link_of = |id: &Id<CoreReplica>| {
            let mut links = inspection.links.iter();
            links.find(|(replica, _)| replica == id).map(|(_, link)| link)
        };
        let replicas = core.replicas.iter().map(|(id, view)| (view, link_of(id)));
        Self::Says(Box::new(Engine {
            last_turn_ago_ns: names.ago_ns(pulse.turned_ns),
            longest_turn_ns: pulse.longest_turn_ns,
            wait: pulse.wait.name(),
            sleeps: pulse.sleeps,
            asleep_for_ns: pulse.asleep_since_ns.map(|since_ns| names.ago_ns(since_ns)),
            draining: inspection.draining,
            ring_enters: inspection.ring_enters,
            ring_overflows: inspection.ring_overflows,
            connections: Connections::of(inspection),
            applications: applications
                .map(|(index, (_, view))| names.application(index, view))
                .collect(),
            models: models.map(|(index, (_, view))| names.model(index, view)).collect(),
            replicas: replicas.map(|(view, link)| names.replica(view, link)).collect(),
        }))
    }
}

impl Connections {
    fn of(inspection: &Inspection) -> Self {
        let view = inspection.connections;
        Self {
            open: view.open,
            lingering: view.lingering,
            ending: view.ending,
            receiving: view.receiving,
            sending: view.sending,
            starved: view.starved,
            held_bytes: view.held_bytes,
        }
    }
}

/// Turns indexes into names, and instants into times from now.
#[derive(Clone, Copy, Debug)]
struct Names<'a> {
    config: &'a Config,
    now_ns: u64,
}

impl<'a> Names<'a> {
    fn application(self, index: usize, view: &ApplicationView) -> Application<'a> {
        let config = &self.config.applications[index];
        Application {
            name: &config.name,
            slo_ns: config.slo_ns,
            model: view.links.first().map(|link| link.model.place()),
            rows: view.rows,
            rows_in_use: view.rows_in_use,
            next_row: view.next_row,
            first_due: view.first_due.map(|query| self.query(query)),
        }
    }

    fn model(self, index: usize, view: &ModelView) -> Model<'a> {
        let config = &self.config.models[index];
        Model {
            model: &config.name,
            version: &config.version,
            availability: match view.availability {
                Availability::Expected => "expected",
                Availability::Down => "down",
            },
            queued: view.queued,
            queue_capacity: view.queue_capacity,
            suspects: view.suspects,
            retries: view.retries,
            head: view.head.map(|query| self.query(query)),
            objective_ns: view.objective_ns,
            overhead_ns: view.overhead_ns,
            batch_timeout_ns: view.batch_timeout_ns,
        }
    }

    fn query(self, view: QueryView) -> Query<'a> {
        Query {
            query_id: view.id,
            application: &self.config.applications[view.application.place()].name,
            row: view.row,
            age_ns: self.ago_ns(view.arrived_ns),
            due_in_ns: self.in_ns(view.deadline_ns),
            answered: view.is_answered,
        }
    }

    fn replica(self, view: &ReplicaView, link: Option<&LinkView>) -> Replica<'a> {
        let config = &self.config.models[view.model.place()];
        let pair = view.life.as_ref().zip(link);
        Replica {
            model: &config.name,
            version: &config.version,
            replica: view.ordinal,
            batch_limit: view.batch_limit,
            life: pair.map(|(life, link)| self.life(life, link)),
        }
    }

    fn life(self, life: &LifeView, link: &LinkView) -> Life {
        let end = &link.end;
        let in_flight = life.batches.iter().filter_map(|batch| {
            let mut tickets = end.tickets.iter();
            let (ticket, _) = tickets.find(|(ticket, _)| ticket.slot as usize == batch.slot)?;
            Some(self.in_flight(*ticket, batch))
        });
        Life {
            incarnation: link.incarnation,
            items_max: life.items_max,
            last_completion_ago_ns: self.ago_ns(life.last_completion_ns),
            alone: life.alone,
            asleep: end.replica_asleep,
            kicks: end.kicks,
            stopped: end.stopped,
            wakes_without_news: link.wakes_without_news,
            ring: Rings {
                capacity: end.ring_capacity,
                submitted: end.submitted,
                completed: end.completed,
                outstanding: end.submitted.saturating_sub(end.completed),
                completion_waiting: end.has_news,
            },
            tickets: in_flight.collect(),
        }
    }

    fn in_flight(self, ticket: Ticket, batch: &BatchView) -> InFlight {
        InFlight {
            slot: ticket.slot,
            generation: ticket.generation,
            items: batch.items,
            age_ns: self.ago_ns(batch.dispatched_ns),
            due_in_ns: batch.deadline_ns.map(|due_ns| self.in_ns(due_ns)),
            hangs_in_ns: batch.hangs_ns.map(|hangs_ns| self.in_ns(hangs_ns)),
        }
    }

    fn ago_ns(self, then_ns: u64) -> u64 {
        self.now_ns.saturating_sub(then_ns)
    }

    /// Negative for what is past.
    fn in_ns(self, then_ns: u64) -> i64 {
        then_ns.wrapping_sub(self.now_ns).cast_signed()
    }
}
