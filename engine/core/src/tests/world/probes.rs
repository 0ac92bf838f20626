//! How a world's replicas are warmed up: its side of `warming.rs`, with checks of its own.

use super::World;
use super::control::BLANK_BYTES;
use crate::ids::ReplicaId;
use crate::tests::fleet::{BROKEN_MESSAGE, Input, Outputs, Ticket, output_of};
use crate::{BatchResults, Warmed};

impl World {
    /// Whether the batch that was just formed is a probe: of rows that no query gets.
    pub(super) fn is_probe(&self) -> bool {
        let blank = |pool| self.control.blank_row(pool as usize);
        self.rows.iter().any(|row| row.row == blank(row.pool))
    }

    pub(super) fn send_probe(&mut self, replica: usize, id: ReplicaId) {
        let probed = self.rows.len();
        assert!(self.rows.iter().all(|row| *row == self.rows[0]), "a query goes with a probe");
        assert_eq!(self.rows[0].bytes, BLANK_BYTES);
        let planned = self.core.replicas[id].rows_planned;
        let machine = &mut self.machines[replica];
        assert!(machine.warming && machine.tickets.is_empty() && !machine.is_retiring);
        assert!(probed <= planned.min(machine.plan.items_max) as usize, "{probed} rows");
        let slot = machine.take(Vec::new(), probed);
        self.core.sent(self.now_ns, id, slot);
        self.probes.push(probed);
        self.begin(replica);
    }

    /// A probe is done.
    pub(super) fn probed(&mut self, replica: usize, id: ReplicaId, ticket: &Ticket) {
        let machine = &self.machines[replica];
        let input = machine.plan.warms_up.expect("it may be warmed up");
        let message = match input {
            _ if machine.broken => Some(BROKEN_MESSAGE),
            Input::FailsBatch => Some(&b"no zeros"[..]),
            _ => None,
        };
        let items = || vec![(input, output_of(usize::MAX >> 16, machine.model)); ticket.probed];
        let results = match message {
            Some(message) => BatchResults::Failed(message),
            None => BatchResults::Items(Outputs(items())),
        };
        let (now_ns, sink) = (self.now_ns, &mut self.oracle);
        self.core.complete(now_ns, now_ns, id, ticket.slot, &results, sink);
        self.begin(replica);
    }

    /// Takes the news of warm-ups that are over.
    pub(super) fn hear_warmed(&mut self) {
        while let Some(warmed) = self.core.take_warmed() {
            let Warmed { replica, .. } = warmed;
            let is_meant = |machine: &&mut super::Machine| machine.id == Some(replica);
            let machine = self.machines.iter_mut().find(is_meant).expect("one that is there");
            assert!(machine.up, "it was lost, and is told of all the same");
            assert!(std::mem::take(&mut machine.warming), "told twice");
            self.warmed.push(warmed);
        }
    }

    /// What the core believes of who is warmed up is so.
    pub(super) fn check_warming(&self) {
        for machine in &self.machines {
            let Some(id) = machine.id else { continue };
            assert_eq!(self.core.is_warming(id), machine.warming);
        }
        for (id, model) in self.core.models.iter() {
            let replicas = self.core.replicas_of(id).iter();
            let warming = replicas.filter(|replica| self.core.is_warming(**replica)).count();
            assert_eq!(model.warming as usize, warming);
        }
    }
}
