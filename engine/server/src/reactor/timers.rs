//! When to look at which connection: one heap for all clocks of all connections.
//!
//! A connection's deadline mostly moves away, with each request and each answer. So the heap is not
//! told of that: it wakes us at the earlier time, and whoever looks then sets the later one. Only a
//! deadline that comes nearer is a new entry.
//!
//! Invariant: for each connection `wake_ns` is its earliest entry in the heap, and never later than
//! its deadline. It outlives the connection: its next tenant has it, and is looked at once too
//! often. So there are no more entries for a connection than kinds of clocks of different lengths.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

const NEVER_NS: u64 = u64::MAX;

/// See the module text.
#[derive(Debug)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(u64, u32)>>,
    wake_ns: Box<[u64]>,
}

impl Timers {
    pub fn new(places: usize) -> Self {
        Self { heap: BinaryHeap::with_capacity(places), wake_ns: vec![NEVER_NS; places].into() }
    }

    /// A connection is to be looked at no later than this.
    #[inline]
    pub fn set(&mut self, connection: usize, deadline_ns: Option<u64>) {
        let deadline_ns = deadline_ns.unwrap_or(NEVER_NS);
        if deadline_ns < self.wake_ns[connection] {
            self.wake_ns[connection] = deadline_ns;
            let number = u32::try_from(connection).expect("bounded by CONNECTIONS_MAX");
            self.heap.push(Reverse((deadline_ns, number)));
        }
    }

    /// A connection to be looked at now. Its deadline is to be set again.
    pub fn pop_due(&mut self, now_ns: u64) -> Option<usize> {
        while let Some(Reverse((wake_ns, number))) = self.heap.peek().copied() {
            if wake_ns > now_ns {
                return None;
            }
            self.heap.pop();
            let connection = number as usize;
            if self.wake_ns[connection] == wake_ns {
                self.wake_ns[connection] = NEVER_NS;
                return Some(connection);
            }
        }
        None
    }

    /// When [`Timers::pop_due`] may have something.
    #[inline]
    pub fn next_ns(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((wake_ns, _))| *wake_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_deadline_that_moves_away_costs_nothing() {
        let mut timers = Timers::new(1);
        (0..1000).for_each(|later| timers.set(0, Some(100 + later)));
        assert_eq!(timers.heap.len(), 1);
        assert_eq!((timers.pop_due(99), timers.pop_due(100)), (None, Some(0)));
        assert_eq!((timers.pop_due(u64::MAX), timers.next_ns()), (None, None));
    }

    proptest! {
        /// Whoever's deadline has passed is looked at, and once for each time it was set.
        #[test]
        fn no_deadline_is_missed(
            steps in prop::collection::vec((0usize..5, 1u64..50, 0u64..20), 0..200),
        ) {
            let mut timers = Timers::new(5);
            let mut deadlines = [NEVER_NS; 5];
            let mut now_ns = 0;
            for (connection, ahead_ns, passes_ns) in steps {
                deadlines[connection] = now_ns + ahead_ns;
                timers.set(connection, Some(deadlines[connection]));
                now_ns += passes_ns;
                let mut looked = Vec::new();
                while let Some(connection) = timers.pop_due(now_ns) {
                    prop_assert!(!looked.contains(&connection));
                    looked.push(connection);
                    if deadlines[connection] <= now_ns {
                        deadlines[connection] = NEVER_NS;
                    }
                }
                for connection in looked {
                    timers.set(connection, Some(deadlines[connection]));
                }
                prop_assert!(deadlines.iter().all(|deadline_ns| *deadline_ns > now_ns));
                prop_assert!(timers.heap.len() <= 5 * 50, "bounded by the kinds of deadlines");
            }
        }
    }
}
