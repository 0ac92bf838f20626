//! How the engine thread is looked at, when the control thread asks.
//!
//! It walks every table once and allocates, some tens of microseconds in all: the price of asking,
//! which no query pays unless somebody asks.

use cutter_admin_api::inspect::Connections;
use cutter_machine::clock::Clock;

use super::EngineThread;
use super::connections::Stage;
use super::ring::Ring;
use crate::carrier::Carrier;
use crate::inspection::Inspection;

impl<R: Ring, C: Carrier, K: Clock> EngineThread<R, C, K> {
    pub(super) fn inspect(&self, now_ns: u64) -> Inspection {
        let counters = self.ring.counters();
        Inspection {
            at_ns: now_ns,
            pulse: self.pulse,
            draining: self.drain.is_some(),
            ring_enters: counters.enters,
            ring_overflows: counters.overflows,
            connections: self.view_connections(),
            core: self.core.view(),
            links: self.carrier.view(),
        }
    }

    fn view_connections(&self) -> Connections {
        let memory = self.frontend.memory();
        let mut view = Connections {
            starved: self.starved.len() as u64,
            held_bytes: memory.held as u64,
            ..Connections::default()
        };
        for socket in self.connections.sockets() {
            match socket.stage {
                Stage::Open => view.open += 1,
                Stage::Lingering { .. } => view.lingering += 1,
                Stage::Ending => view.ending += 1,
            }
            view.receiving += u64::from(socket.receiving);
            view.sending += u64::from(socket.sending);
        }
        view
    }
}
