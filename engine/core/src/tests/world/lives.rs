//! The incarnations of a world's replicas: how they come, what their batches take, and how they are
//! lost.

use cutter_tensor::{ElementType, TensorSpec};

use super::{Event, World};
use crate::tests::fleet::Input;
use crate::{Availability, Death};

impl World {
    pub(super) fn up(&mut self, replica: usize) {
        let machine = &mut self.machines[replica];
        let Some(id) = machine.id.filter(|_| !machine.up) else { return };
        machine.begin_life();
        let (depth, items_max) = (machine.depth, machine.plan.items_max);
        let output = TensorSpec::at_most(ElementType::Bytes, 8);
        let warms_up = machine.warming;
        self.core.replica_up(self.now_ns, id, output, depth, items_max);
        if warms_up {
            self.core.warm_up(id);
        }
    }

    /// An incarnation ends, and control does what it does then: a restart, or no hope any more.
    pub(super) fn lose(&mut self, replica: usize, death: Death) {
        let machine = &mut self.machines[replica];
        let Some(id) = machine.id.filter(|_| machine.up) else { return };
        let (model, restart_ns) = (machine.model, machine.plan.restart_ns);
        let held = machine.end_life();
        for ticket in &held {
            self.oracle.lost(replica, model, &ticket.queries, death);
        }
        self.core.replica_lost(self.now_ns, id, death, &mut self.oracle);
        for ticket in &held {
            self.oracle.check_lives(model, &ticket.queries);
        }
        if let Some(restart_ns) = restart_ns {
            self.schedule(self.now_ns + restart_ns, Event::Up { replica });
        }
        let mut siblings = self.machines.iter().filter(|machine| machine.model == model);
        if !siblings.any(|machine| machine.expected && machine.id.is_some()) {
            let (sink, model) = (&mut self.oracle, self.control.model_id(model));
            if let Some(model) = model {
                self.core.set_availability(self.now_ns, model, Availability::Down, sink);
            }
        }
    }

    /// What an input does to a model: a bad one is bad for the first model that it is given to.
    pub(super) fn input_at(&self, number: usize, model: usize) -> Input {
        let query = &self.oracle.queries[number];
        if query.calls[0].model == model { query.input } else { Input::Good }
    }

    /// The machine begins with the first of its tickets.
    pub(super) fn begin(&mut self, replica: usize) {
        let machine = &self.machines[replica];
        let Some(ticket) = machine.tickets.front() else { return };
        let probe = machine.plan.warms_up.filter(|_| ticket.probed > 0);
        let has = |input| {
            let mut queries = ticket.queries.iter();
            probe == Some(input) || queries.any(|n| self.input_at(*n, machine.model) == input)
        };
        let (life, kills, hangs) = (machine.life, has(Input::Kills), has(Input::Hangs));
        let service_ns = self.service_ns(replica);
        if kills {
            self.schedule(self.now_ns + service_ns / 2, Event::Killed { replica, life });
        } else if !hangs {
            self.schedule(self.now_ns + service_ns, Event::Done { replica, life });
        }
    }

    /// What the batch at the front of a machine takes.
    fn service_ns(&mut self, replica: usize) -> u64 {
        let Some(ticket) = self.machines[replica].tickets.front() else { return 0 };
        let bytes = ticket.queries.iter().map(|number| {
            let application = self.oracle.queries[*number].application;
            u64::from(self.control.input_bytes(application))
        });
        let (items, bytes) = (ticket.items(), bytes.sum());
        self.machines[replica].service_ns(items, bytes)
    }
}
