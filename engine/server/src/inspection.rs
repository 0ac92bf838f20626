//! One look at the engine thread, as it shows itself to the control thread: its pulse, its
//! connections, and what the rooms below know.

use cutter_admin_api::inspect::Connections;
use cutter_core::CoreView;
use cutter_core::ids::ReplicaId;
use cutter_protocol::wait::WaitStrategy;

use crate::carrier::LinkView;

/// How everything stands. Times are instants of the monotonic clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    pub at_ns: u64,
    pub pulse: Pulse,
    pub draining: bool,
    pub ring_enters: u64,
    pub ring_overflows: u64,
    pub connections: Connections,
    pub core: CoreView,
    /// Of replicas that are up.
    pub links: Vec<(ReplicaId, LinkView)>,
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
