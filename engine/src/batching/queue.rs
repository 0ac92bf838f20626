//! A model's waiting queries, earliest deadline first.
//!
//! Owner: the engine thread. Nearly all queries of one application arrive in the order of their
//! deadlines (arrival + the same SLO), so they are kept in a ring where a push and a pop touch one
//! entry each. Only a query with an earlier deadline than the ring's last goes to a binary heap:
//! one of an application with a tighter SLO, or one that comes back from a replica that died. The
//! latter counts as arriving anew among equal deadlines.
//!
//! ```text
//!            push in order ▸ [ ring: sorted by construction ] ─┐
//!                                                              ├ pop: the earlier head
//!  push with an earlier one ▸ [ heap: sorted on the way out ] ─┘
//! ```
//!
//! Invariants: the ring is sorted by (deadline, arrival); ring and heap together hold at most
//! `capacity` entries, and each has room for that many, so nothing allocates after [`new`].
//! There is no removal from the middle: whoever answers a waiting query marks it on its side and
//! drops it when it is popped. Such an entry counts against the capacity until then.
//!
//! [`new`]: DeadlineQueue::new

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use thiserror::Error;

/// What waits in a [`DeadlineQueue`], and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued<T> {
    /// The instant, monotonic, at which it must have been answered.
    pub deadline_ns: u64,
    /// What the user of the queue put in.
    pub value: T,
}

/// The queue holds as much as it may. The value is given back, to be answered as overloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the queue holds {capacity} queries, which is its limit; \
     the model is slower than the load: add replicas, or send less"
)]
pub struct Full<T> {
    /// What could not be queued.
    pub value: T,
    /// The queue's bound.
    pub capacity: usize,
}

/// A bounded queue in the order of deadlines; equal deadlines in the order of arrival.
#[derive(Clone, Debug)]
pub struct DeadlineQueue<T: Copy> {
    ring: VecDeque<Entry<T>>,
    heap: BinaryHeap<Entry<T>>,
    capacity: usize,
    next_arrival: u64,
}

impl<T: Copy> DeadlineQueue<T> {
    /// Takes all the memory that the queue will ever need: twice `capacity` entries.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            ring: VecDeque::with_capacity(capacity),
            heap: BinaryHeap::with_capacity(capacity),
            capacity,
            next_arrival: 0,
        }
    }

    /// Queues `value` until `deadline_ns`.
    ///
    /// # Errors
    /// [`Full`], with the value, when the queue is at its capacity.
    #[inline]
    pub fn push(&mut self, deadline_ns: u64, value: T) -> Result<(), Full<T>> {
        if self.len() >= self.capacity {
            return Err(Full { value, capacity: self.capacity });
        }
        let entry = Entry { deadline_ns, arrival: self.next_arrival, value };
        self.next_arrival += 1;
        match self.ring.back() {
            Some(last) if deadline_ns < last.deadline_ns => self.heap.push(entry),
            _ => self.ring.push_back(entry),
        }
        Ok(())
    }

    /// The entry with the earliest deadline, which stays where it is.
    #[inline]
    #[must_use]
    pub fn peek(&self) -> Option<Queued<T>> {
        let head = if self.heap_is_first() { self.heap.peek() } else { self.ring.front() };
        head.map(Entry::queued)
    }

    /// Takes out the entry with the earliest deadline.
    #[inline]
    pub fn pop(&mut self) -> Option<Queued<T>> {
        let head = if self.heap_is_first() { self.heap.pop() } else { self.ring.pop_front() };
        head.as_ref().map(Entry::queued)
    }

    /// The earliest deadline, or `None` when nothing waits.
    #[inline]
    #[must_use]
    pub fn deadline_ns(&self) -> Option<u64> {
        self.peek().map(|head| head.deadline_ns)
    }

    /// The latest deadline, or `None` when nothing waits. It is the ring's last: what went to the
    /// heap was earlier, and leaves before it.
    #[inline]
    #[must_use]
    pub fn latest_deadline_ns(&self) -> Option<u64> {
        self.ring.back().map(|last| last.deadline_ns)
    }

    /// How many entries wait, those included that their user has answered already.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring.len() + self.heap.len()
    }

    /// Whether nothing waits.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty() && self.heap.is_empty()
    }

    /// The most entries that may wait.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Of equal deadlines the ring's arrived first. For when an entry went to the heap, the ring's
    /// last was later than it; and as long as such a one is in the ring, nothing earlier than it
    /// can be added there. It leaves only after the heap's entry.
    #[inline]
    fn heap_is_first(&self) -> bool {
        match (self.heap.peek(), self.ring.front()) {
            (Some(heap), Some(ring)) => heap.deadline_ns < ring.deadline_ns,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }
}

/// An entry of the ring or the heap. Its order is that of the heap, whose greatest comes first: so
/// the greater entry is the one with the earlier key.
#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    deadline_ns: u64,
    arrival: u64,
    value: T,
}

impl<T: Copy> Entry<T> {
    fn queued(&self) -> Queued<T> {
        Queued { deadline_ns: self.deadline_ns, value: self.value }
    }
}

impl<T> Entry<T> {
    fn key(&self) -> (u64, u64) {
        (self.deadline_ns, self.arrival)
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn drain(queue: &mut DeadlineQueue<u32>) -> Vec<(u64, u32)> {
        std::iter::from_fn(|| queue.pop()).map(|head| (head.deadline_ns, head.value)).collect()
    }

    #[test]
    fn the_latest_deadline_is_known_wherever_its_entry_is() {
        let mut queue = DeadlineQueue::new(4);
        assert_eq!(queue.latest_deadline_ns(), None);
        [30, 10, 20].into_iter().for_each(|deadline_ns| queue.push(deadline_ns, ()).unwrap());
        let latest: Vec<_> = (0..4).map(|_| (queue.latest_deadline_ns(), queue.pop()).0).collect();
        assert_eq!(latest, [Some(30), Some(30), Some(30), None]);
    }

    #[test]
    fn the_earliest_deadline_comes_first() {
        let mut queue = DeadlineQueue::new(8);
        [(30, 0), (10, 1), (20, 2), (40, 3), (5, 4)]
            .into_iter()
            .for_each(|(deadline_ns, value)| queue.push(deadline_ns, value).unwrap());
        assert_eq!(drain(&mut queue), [(5, 4), (10, 1), (20, 2), (30, 0), (40, 3)]);
    }

    #[test]
    fn equal_deadlines_come_in_the_order_of_arrival() {
        let mut queue = DeadlineQueue::new(8);
        [(10, 0), (20, 1), (10, 2), (20, 3), (10, 4)]
            .into_iter()
            .for_each(|(deadline_ns, value)| queue.push(deadline_ns, value).unwrap());
        assert_eq!(drain(&mut queue), [(10, 0), (10, 2), (10, 4), (20, 1), (20, 3)]);
    }

    #[test]
    fn a_full_queue_gives_the_value_back_and_says_its_limit() {
        let mut queue = DeadlineQueue::new(2);
        queue.push(10, 0).unwrap();
        queue.push(5, 1).unwrap();
        let full = queue.push(1, 7).unwrap_err();
        assert_eq!(full, Full { value: 7, capacity: 2 });
        assert!(full.to_string().contains("holds 2 queries"), "{full}");
        assert_eq!(queue.pop(), Some(Queued { deadline_ns: 5, value: 1 }));
        queue.push(1, 7).unwrap();
        assert_eq!(drain(&mut queue), [(1, 7), (10, 0)]);
    }

    #[test]
    fn a_queue_without_room_refuses_everything() {
        assert!(DeadlineQueue::new(0).push(1, 0).is_err());
    }

    #[test]
    fn an_empty_queue_has_no_head() {
        let mut queue = DeadlineQueue::<u32>::new(1);
        assert_eq!((queue.peek(), queue.pop(), queue.deadline_ns()), (None, None, None));
        assert_eq!((queue.is_empty(), queue.capacity()), (true, 1));
    }

    #[test]
    fn in_order_entries_never_reach_the_heap() {
        let mut queue = DeadlineQueue::new(64);
        (0_u32..64).for_each(|i| queue.push(u64::from(i) / 2, i).unwrap());
        assert_eq!((queue.ring.len(), queue.heap.len()), (64, 0));
    }

    #[test]
    fn filling_it_in_any_order_takes_no_more_memory() {
        let mut queue = DeadlineQueue::new(100);
        let before = (queue.ring.capacity(), queue.heap.capacity());
        (0..100).for_each(|i| queue.push(u64::from(i), i).unwrap());
        drain(&mut queue);
        (0..100).for_each(|i| queue.push(u64::from(100 - i), i).unwrap());
        assert_eq!((queue.ring.capacity(), queue.heap.capacity()), before);
    }

    proptest! {
        /// Each step pushes one entry (refused when full) and then pops some.
        #[test]
        fn it_agrees_with_a_sorted_map(
            capacity in 0_usize..20,
            steps in prop::collection::vec((0_u64..12, 0_usize..3), 0..200),
        ) {
            let mut queue = DeadlineQueue::new(capacity);
            let mut model = BTreeMap::new();
            for (arrival, (deadline_ns, pops)) in steps.into_iter().enumerate() {
                let room = model.len() < capacity;
                prop_assert_eq!(queue.push(deadline_ns, arrival).is_ok(), room);
                room.then(|| model.insert((deadline_ns, arrival), arrival));
                for _ in 0..pops {
                    let expected = model
                        .pop_first()
                        .map(|((deadline_ns, _), value)| Queued { deadline_ns, value });
                    prop_assert_eq!(queue.deadline_ns(), expected.map(|head| head.deadline_ns));
                    prop_assert_eq!(queue.peek(), expected);
                    prop_assert_eq!(queue.pop(), expected);
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(queue.is_empty(), model.is_empty());
            }
        }
    }
}
