//! One look at the engine thread: its pulse, its connections, and what the rooms below know.
//!
//! Made on the engine thread when the control thread asks, and read there. It walks every table
//! once and allocates, some tens of microseconds in all: the price of asking, which no query pays
//! unless somebody asks.

use cutter_core::{CoreView, Id, Replica};
use cutter_machine::clock::Clock;
use cutter_protocol::wait::WaitStrategy;

use super::EngineThread;
use super::connections::Stage;
use super::ring::Ring;
use crate::carrier::{Carrier, LinkView};

/// How everything stands. Times are instants of the monotonic clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    pub at_ns: u64,
    pub pulse: Pulse,
    pub draining: bool,
    pub ring_enters: u64,
    pub ring_overflows: u64,
    pub connections: ConnectionsView,
    pub core: CoreView,
    /// Of replicas that are up.
    pub links: Vec<(Id<Replica>, LinkView)>,
}

/// The connections, by what they are doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionsView {
    pub open: u64,
    pub lingering: u64,
    pub ending: u64,
    pub receiving: u64,
    pub sending: u64,
    /// Those that wait for a receive buffer.
    pub starved: u64,
    /// Bytes of requests that are not whole yet.
    pub held_bytes: u64,
}

/// Whether the thread goes round, and how long it was held up at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    pub wait: WaitStrategy,
    /// The last turn of which the end is known.
    pub turned_ns: u64,
    /// The most time between two turns with no sleep in between.
    pub longest_turn_ns: u64,
    pub sleeps: u64,
    /// Since when it had been asleep when this turn began, if it had been.
    pub asleep_since_ns: Option<u64>,
}

impl Pulse {
    pub fn new(wait: WaitStrategy, now_ns: u64) -> Self {
        Self { wait, turned_ns: now_ns, longest_turn_ns: 0, sleeps: 0, asleep_since_ns: None }
    }

    /// Once a turn.
    #[inline]
    pub fn turned(&mut self, now_ns: u64) {
        let since_ns = now_ns.saturating_sub(self.turned_ns);
        self.turned_ns = now_ns;
        if self.asleep_since_ns.take().is_none() && since_ns > self.longest_turn_ns {
            self.longest_turn_ns = since_ns;
        }
    }

    pub fn falls_asleep(&mut self, now_ns: u64) {
        self.sleeps += 1;
        self.asleep_since_ns = Some(now_ns);
    }
}

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

    fn view_connections(&self) -> ConnectionsView {
        let memory = self.frontend.memory();
        let mut view = ConnectionsView {
            starved: self.starved.len() as u64,
            held_bytes: memory.held as u64,
            ..ConnectionsView::default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_turn_is_remembered_and_a_sleep_is_no_turn() {
        let mut pulse = Pulse::new(WaitStrategy::Adaptive, 100);
        [110, 150, 160].into_iter().for_each(|now_ns| pulse.turned(now_ns));
        pulse.falls_asleep(170);
        assert_eq!(pulse.asleep_since_ns, Some(170));
        pulse.turned(9_000);
        let expected = Pulse {
            wait: WaitStrategy::Adaptive,
            turned_ns: 9_000,
            longest_turn_ns: 40,
            sleeps: 1,
            asleep_since_ns: None,
        };
        assert_eq!(pulse, expected);
    }
}
