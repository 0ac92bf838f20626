//! How everything stands on the engine thread, for whoever debugs a stall.
//!
//! Ids become names, and instants become ages and times to go (negative once they are past),
//! since a reader has no clock to compare them with.

use cutter_admin_api::inspect::{
    Application, Engine, Life, Model, Policy, Query, Replica, Rings, Ticket,
};
use cutter_core::ids::{ApplicationId, ModelId, ReplicaId};
use cutter_core::{
    ApplicationView, Availability, BatchView, CoreView, LearnerView, LifeView, Link, ModelView,
    QueryView, ReplicaView,
};
use cutter_protocol::entry;

use super::super::registry::Registry;
use crate::carrier::LinkView;
use crate::inspection::Inspection;

/// What the engine thread says in the answer of `/inspect`.
pub(in super::super) fn engine(inspection: &Inspection, registry: &Registry) -> Engine {
    let (pulse, core) = (&inspection.pulse, &inspection.core);
    let names = Names { registry, core, now_ns: inspection.at_ns };
    let applications = core.applications.iter();
    let models = core.models.iter();
    let link_of = |id: &ReplicaId| {
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
        connections: inspection.connections,
        applications: applications.map(|(id, view)| names.application(*id, view)).collect(),
        models: models.map(|(id, view)| names.model(*id, view)).collect(),
        replicas: replicas.map(|(view, link)| names.replica(view, link)).collect(),
    }
}

/// Turns ids into names, and instants into times from now. What went while the engine thread
/// answered has none any more.
#[derive(Clone, Copy, Debug)]
struct Names<'a> {
    registry: &'a Registry,
    core: &'a CoreView,
    now_ns: u64,
}

impl Names<'_> {
    fn name_of(self, id: ApplicationId) -> String {
        let entry = self.registry.applications.get(id);
        entry.map(|entry| entry.settings.name.clone()).unwrap_or_default()
    }

    fn label_of(self, id: ModelId) -> (String, String) {
        let entry = self.registry.models.get(id);
        let settings = entry.map(|entry| &entry.settings);
        let label = settings.map(|model| (model.name.clone(), model.version.clone()));
        label.unwrap_or_default()
    }

    fn application(self, id: ApplicationId, view: &ApplicationView) -> Application {
        let model = view.links.first();
        let place = |link: &Link| self.core.models.iter().position(|(id, _)| *id == link.model);
        Application {
            name: self.name_of(id),
            slo_ns: self.registry.applications.get(id).map_or(0, |entry| entry.settings.slo_ns),
            model: model.and_then(place),
            rows: view.rows,
            rows_in_use: view.rows_in_use,
            next_row: view.next_row,
            first_due: view.first_due.map(|query| self.query(query)),
            policy: view.learner.and_then(|learner| self.policy(id, learner)),
        }
    }

    fn policy(self, id: ApplicationId, view: LearnerView) -> Option<Policy> {
        let policy = self.registry.applications.get(id)?.settings.policy.as_ref()?;
        let LearnerView { contexts, decisions_waiting } = view;
        Some(Policy {
            name: policy.name.clone(),
            mode: policy.learning.mode.name().to_owned(),
            contexts_held: contexts.held,
            contexts_loading: contexts.loading,
            contexts_changed: contexts.changed,
            lessons_lost: contexts.lessons_lost,
            contexts_forgotten: contexts.forgotten,
            decisions_waiting,
        })
    }

    fn model(self, id: ModelId, view: &ModelView) -> Model {
        let (model, version) = self.label_of(id);
        let availability = match view.availability {
            Availability::Expected => "expected",
            Availability::Down => "down",
        };
        Model {
            model,
            version,
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
            application: self.name_of(view.application),
            row: view.row,
            age_ns: self.ago_ns(view.arrived_ns),
            due_in_ns: self.in_ns(view.deadline_ns),
            answered: view.is_answered,
        }
    }

    fn replica(self, view: &ReplicaView, link: Option<&LinkView>) -> Replica {
        let (model, version) = self.label_of(view.model);
        let pair = view.life.as_ref().zip(link);
        Replica {
            model,
            version,
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
            warming: life.warming,
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
