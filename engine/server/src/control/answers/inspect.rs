//! How everything stands on the engine thread, for whoever debugs a stall.
//!
//! Indexes become names, and instants become ages and times to go (negative once they are past),
//! since a reader has no clock to compare them with.

use cutter_admin_api::inspect::{
    Application, Connections, Engine, Life, Model, Query, Replica, Rings, Ticket,
};
use cutter_core::{
    ApplicationView, Availability, BatchView, Id, LifeView, ModelView, QueryView, ReplicaView,
};
use cutter_protocol::entry;

use crate::carrier::LinkView;
use crate::config::Config;
use crate::reactor::{ConnectionsView, Inspection};

/// What the engine thread says in the answer of `/inspect`.
pub(in super::super) fn engine(inspection: &Inspection, config: &Config) -> Engine {
    let names = Names { config, now_ns: inspection.at_ns };
    let (pulse, core) = (&inspection.pulse, &inspection.core);
    let applications = core.applications.iter().enumerate();
    let models = core.models.iter().enumerate();
    let link_of = |id: &Id<cutter_core::Replica>| {
        let mut links = inspection.links.iter();
        links.find(|(replica, _)| replica == id).map(|(_, link)| link)
    };
    let replicas = core.replicas.iter().map(|(id, view)| (view, link_of(id)));
    Engine {
        last_turn_ago_ns: names.ago_ns(pulse.turned_ns),
        longest_turn_ns: pulse.longest_turn_ns,
        wait: pulse.wait.name().to_owned(),
        sleeps: pulse.sleeps,
        asleep_for_ns: pulse.asleep_since_ns.map(|since_ns| names.ago_ns(since_ns)),
        draining: inspection.draining,
        ring_enters: inspection.ring_enters,
        ring_overflows: inspection.ring_overflows,
        connections: connections(inspection.connections),
        applications: applications
            .map(|(index, (_, view))| names.application(index, view))
            .collect(),
        models: models.map(|(index, (_, view))| names.model(index, view)).collect(),
        replicas: replicas.map(|(view, link)| names.replica(view, link)).collect(),
    }
}

fn connections(view: ConnectionsView) -> Connections {
    Connections {
        open: view.open,
        lingering: view.lingering,
        ending: view.ending,
        receiving: view.receiving,
        sending: view.sending,
        starved: view.starved,
        held_bytes: view.held_bytes,
    }
}

/// Turns indexes into names, and instants into times from now.
#[derive(Clone, Copy, Debug)]
struct Names<'a> {
    config: &'a Config,
    now_ns: u64,
}

impl Names<'_> {
    fn application(self, index: usize, view: &ApplicationView) -> Application {
        let config = &self.config.applications[index];
        Application {
            name: config.name.clone(),
            slo_ns: config.slo_ns,
            model: view.links.first().map(|link| link.model.place()),
            rows: view.rows,
            rows_in_use: view.rows_in_use,
            next_row: view.next_row,
            first_due: view.first_due.map(|query| self.query(query)),
        }
    }

    fn model(self, index: usize, view: &ModelView) -> Model {
        let config = &self.config.models[index];
        let availability = match view.availability {
            Availability::Expected => "expected",
            Availability::Down => "down",
        };
        Model {
            model: config.name.clone(),
            version: config.version.clone(),
            availability: availability.to_owned(),
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

    fn query(self, view: QueryView) -> Query {
        Query {
            query_id: view.id,
            application: self.config.applications[view.application.place()].name.clone(),
            row: view.row,
            age_ns: self.ago_ns(view.arrived_ns),
            due_in_ns: self.in_ns(view.deadline_ns),
            answered: view.is_answered,
        }
    }

    fn replica(self, view: &ReplicaView, link: Option<&LinkView>) -> Replica {
        let config = &self.config.models[view.model.place()];
        let pair = view.life.as_ref().zip(link);
        Replica {
            model: config.name.clone(),
            version: config.version.clone(),
            replica: view.ordinal as usize,
            batch_limit: view.batch_limit,
            life: pair.map(|(life, link)| self.life(life, link)),
        }
    }

    fn life(self, life: &LifeView, link: &LinkView) -> Life {
        let end = &link.end;
        let in_flight = life.batches.iter().filter_map(|batch| {
            let mut tickets = end.tickets.iter();
            let (ticket, _) = tickets.find(|(ticket, _)| ticket.slot as usize == batch.slot)?;
            Some(self.ticket(*ticket, batch))
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

    fn ticket(self, ticket: entry::Ticket, batch: &BatchView) -> Ticket {
        Ticket {
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
