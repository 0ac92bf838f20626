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
//! There is no removal from the middle. An entry whose query has been answered, or whose client has
//! gone, is *dead*: the user of the queue knows that, and says so when it is asked. Dead entries
//! are dropped when they come to an end of the queue ([`drop_dead`]), and all at once when the room
//! is used up ([`push`]). With room for twice as many as can live, that happens at most once in so
//! many pushes as can live: it costs a push a few steps, on average.
//!
//! Invariants: the ring is sorted by (deadline, arrival); what is in the heap was pushed with a
//! deadline before one that was pushed earlier; ring and heap together hold at most `room` entries,
//! and each has memory for that many, so nothing allocates after [`new`].
//!
//! [`new`]: DeadlineQueue::new
//! [`push`]: DeadlineQueue::push
//! [`drop_dead`]: DeadlineQueue::drop_dead

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
    "the queue holds {room} queries, which is its limit; \
     the model is slower than the load: add replicas, or send less"
)]
pub struct Full<T> {
    /// What could not be queued.
    pub value: T,
    /// The queue's bound.
    pub room: usize,
}

/// A bounded queue in the order of deadlines; equal deadlines in the order of arrival.
#[derive(Clone, Debug)]
pub struct DeadlineQueue<T: Copy> {
    ring: VecDeque<Entry<T>>,
    heap: BinaryHeap<Entry<T>>,
    room: usize,
    next_arrival: u64,
    /// No entry has a later deadline. One has this, unless it was dropped as dead.
    bound_ns: u64,
}

impl<T: Copy> DeadlineQueue<T> {
    /// Takes all the memory that the queue will ever need: twice `room` entries. `room` is twice
    /// what can live at once, so that the dead need not be looked for often.
    #[must_use]
    pub fn new(room: usize) -> Self {
        Self {
            ring: VecDeque::with_capacity(room),
            heap: BinaryHeap::with_capacity(room),
            room,
            next_arrival: 0,
            bound_ns: 0,
        }
    }

    /// The bytes of that memory.
    pub const fn table_bytes(room: usize) -> usize {
        2 * room * size_of::<Entry<T>>()
    }

    /// Queues `value` until `deadline_ns`. The dead make room for it if there is none.
    ///
    /// # Errors
    /// [`Full`], with the value, when as many live as there is room for.
    #[inline]
    pub fn push(
        &mut self,
        deadline_ns: u64,
        value: T,
        is_live: impl Fn(&T) -> bool,
    ) -> Result<(), Full<T>> {
        if self.len() >= self.room {
            self.purge(is_live);
            if self.len() >= self.room {
                return Err(Full { value, room: self.room });
            }
        }
        if self.ring.is_empty() {
            // Its memory is used from the start again: a short queue stays in the cache.
            self.ring.clear();
        }
        let entry = Entry { deadline_ns, arrival: self.next_arrival, value };
        self.next_arrival += 1;
        if self.is_empty() || deadline_ns >= self.bound_ns {
            self.bound_ns = deadline_ns;
            self.ring.push_back(entry);
        } else {
            self.heap.push(entry);
        }
        Ok(())
    }

    /// Drops the dead that stand before the ring's first that lives: of those that came in order,
    /// all that were due before.
    #[inline]
    pub fn drop_first_dead(&mut self, is_live: impl Fn(&T) -> bool) {
        while self.ring.front().is_some_and(|entry| !is_live(&entry.value)) {
            self.ring.pop_front();
        }
    }

    /// Drops the dead at both ends: what is first and what is last afterwards lives.
    #[inline]
    pub fn drop_dead(&mut self, is_live: impl Fn(&T) -> bool) {
        self.drop_first_dead(&is_live);
        while self.ring.back().is_some_and(|entry| !is_live(&entry.value)) {
            self.ring.pop_back();
        }
        while self.heap.peek().is_some_and(|entry| !is_live(&entry.value)) {
            self.heap.pop();
        }
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

    /// The latest deadline, or `None` when nothing waits; to be asked after
    /// [`DeadlineQueue::drop_dead`]. It is the ring's last: what went to the heap was earlier. Only
    /// when the latest of all was dropped as dead, the heap has to be looked through.
    #[inline]
    #[must_use]
    pub fn latest_deadline_ns(&self, is_live: impl Fn(&T) -> bool) -> Option<u64> {
        let last = self.ring.back().map(|last| last.deadline_ns);
        if last == Some(self.bound_ns) {
            return last;
        }
        let heap = self.heap.iter().filter(|entry| is_live(&entry.value));
        heap.map(|entry| entry.deadline_ns).chain(last).max()
    }

    /// The first entry that lives, wherever it is: for a report, since it looks at all of them.
    #[must_use]
    pub fn first_live(&self, is_live: impl Fn(&T) -> bool) -> Option<Queued<T>> {
        let entries = self.ring.iter().chain(&self.heap);
        entries.filter(|entry| is_live(&entry.value)).max().map(Entry::queued)
    }

    /// Takes over what waits in another queue, whose room is no larger, in its order.
    pub fn take_over(&mut self, other: &mut Self) {
        assert!(self.is_empty() && self.room >= other.room);
        while let Some(Queued { deadline_ns, value }) = other.pop() {
            let arrival = self.next_arrival;
            self.next_arrival += 1;
            self.bound_ns = deadline_ns;
            self.ring.push_back(Entry { deadline_ns, arrival, value });
        }
    }

    /// How many entries there are, the dead included.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring.len() + self.heap.len()
    }

    /// Whether there is no entry, not even a dead one.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty() && self.heap.is_empty()
    }

    /// Drops all that are dead.
    fn purge(&mut self, is_live: impl Fn(&T) -> bool) {
        self.ring.retain(|entry| is_live(&entry.value));
        self.heap.retain(|entry| is_live(&entry.value));
    }

    /// Of equal deadlines the ring's arrived first: when an entry goes to the heap, its deadline is
    /// below the bound, and while it is there nothing below the bound can be added to the ring.
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
    use std::collections::{BTreeMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    fn alive<T>(_: &T) -> bool {
        true
    }

    fn push_all(queue: &mut DeadlineQueue<u32>, entries: &[(u64, u32)]) {
        for (deadline_ns, value) in entries {
            queue.push(*deadline_ns, *value, alive).unwrap();
        }
    }

    fn drain(queue: &mut DeadlineQueue<u32>) -> Vec<(u64, u32)> {
        std::iter::from_fn(|| queue.pop()).map(|head| (head.deadline_ns, head.value)).collect()
    }

    #[test]
    fn the_latest_deadline_is_known_wherever_its_entry_is() {
        let mut queue = DeadlineQueue::new(4);
        assert_eq!(queue.latest_deadline_ns(alive), None);
        push_all(&mut queue, &[(30, 0), (10, 1), (20, 2)]);
        let latest: Vec<_> =
            (0..4).map(|_| (queue.latest_deadline_ns(alive), queue.pop()).0).collect();
        assert_eq!(latest, [Some(30), Some(30), Some(30), None]);
    }

    #[test]
    fn the_earliest_deadline_comes_first() {
        let mut queue = DeadlineQueue::new(8);
        push_all(&mut queue, &[(30, 0), (10, 1), (20, 2), (40, 3), (5, 4)]);
        assert_eq!(drain(&mut queue), [(5, 4), (10, 1), (20, 2), (30, 0), (40, 3)]);
    }

    #[test]
    fn equal_deadlines_come_in_the_order_of_arrival() {
        let mut queue = DeadlineQueue::new(8);
        push_all(&mut queue, &[(10, 0), (20, 1), (10, 2), (20, 3), (10, 4)]);
        assert_eq!(drain(&mut queue), [(10, 0), (10, 2), (10, 4), (20, 1), (20, 3)]);
    }

    #[test]
    fn equal_deadlines_keep_their_order_when_the_latest_of_all_was_dead() {
        let mut queue = DeadlineQueue::new(8);
        push_all(&mut queue, &[(10, 0), (30, 1), (20, 2)]);
        queue.drop_dead(|value| *value != 1);
        assert_eq!(queue.latest_deadline_ns(alive), Some(20));
        push_all(&mut queue, &[(20, 3)]);
        assert_eq!(drain(&mut queue), [(10, 0), (20, 2), (20, 3)]);
    }

    #[test]
    fn a_full_queue_gives_the_value_back_and_says_its_limit() {
        let mut queue = DeadlineQueue::new(2);
        push_all(&mut queue, &[(10, 0), (5, 1)]);
        let full = queue.push(1, 7, alive).unwrap_err();
        assert_eq!(full, Full { value: 7, room: 2 });
        assert!(full.to_string().contains("holds 2 queries"), "{full}");
        assert_eq!(queue.pop(), Some(Queued { deadline_ns: 5, value: 1 }));
        push_all(&mut queue, &[(1, 7)]);
        assert_eq!(drain(&mut queue), [(1, 7), (10, 0)]);
    }

    #[test]
    fn the_dead_make_room() {
        let mut queue = DeadlineQueue::new(4);
        push_all(&mut queue, &[(10, 0), (20, 1), (15, 2), (30, 3)]);
        queue.push(5, 4, |value| *value != 1 && *value != 2).unwrap();
        assert_eq!(drain(&mut queue), [(5, 4), (10, 0), (30, 3)]);
    }

    #[test]
    fn a_queue_without_room_refuses_everything() {
        assert!(DeadlineQueue::new(0).push(1, 0, alive).is_err());
    }

    #[test]
    fn an_empty_queue_has_no_head() {
        let mut queue = DeadlineQueue::<u32>::new(1);
        assert_eq!((queue.peek(), queue.pop(), queue.deadline_ns()), (None, None, None));
        assert!(queue.is_empty());
    }

    #[test]
    fn a_queue_that_was_empty_uses_its_memory_from_the_start_again() {
        let mut queue = DeadlineQueue::new(4);
        push_all(&mut queue, &[(10, 0), (20, 1), (30, 2)]);
        drain(&mut queue);
        push_all(&mut queue, &[(40, 3), (50, 4), (60, 5)]);
        assert_eq!(queue.ring.as_slices().1.len(), 0, "it goes around the end of its memory");
    }

    #[test]
    fn in_order_entries_never_reach_the_heap() {
        let mut queue = DeadlineQueue::new(64);
        (0_u32..64).for_each(|i| queue.push(u64::from(i) / 2, i, alive).unwrap());
        assert_eq!((queue.ring.len(), queue.heap.len()), (64, 0));
    }

    #[test]
    fn filling_it_in_any_order_takes_no_more_memory() {
        let mut queue = DeadlineQueue::new(100);
        let before = (queue.ring.capacity(), queue.heap.capacity());
        (0..100).for_each(|i| queue.push(u64::from(i), i, alive).unwrap());
        drain(&mut queue);
        (0..100).for_each(|i| queue.push(u64::from(100 - i), i, alive).unwrap());
        (0..100).for_each(|i| queue.push(u64::from(i), i, |value| value % 2 > 0).unwrap());
        assert_eq!((queue.ring.capacity(), queue.heap.capacity()), before);
        let entries = queue.ring.capacity() + queue.heap.capacity();
        let bytes = entries * size_of::<Entry<i32>>();
        assert_eq!(bytes, DeadlineQueue::<i32>::table_bytes(100));
    }

    proptest! {
        /// Each step pushes one entry (refused when full), lets some die, and pops some.
        #[test]
        fn it_agrees_with_a_sorted_map_of_those_that_live(
            room in 0_usize..20,
            steps in prop::collection::vec((0_u64..12, 0_usize..3, any::<u8>()), 0..200),
        ) {
            let mut queue = DeadlineQueue::new(room);
            let mut model = BTreeMap::new();
            let mut dead = HashSet::new();
            for (arrival, (deadline_ns, pops, dies)) in steps.into_iter().enumerate() {
                let is_full = model.len() >= room;
                let pushed = queue.push(deadline_ns, arrival, |value| !dead.contains(value));
                prop_assert_eq!(pushed.is_err(), is_full);
                pushed.is_ok().then(|| model.insert((deadline_ns, arrival), arrival));
                // One in four lets an entry die: which one follows from the number.
                let unlucky = usize::from(dies / 4) % model.len().max(1);
                let unlucky = model.keys().nth(unlucky).filter(|_| dies % 4 == 0).copied();
                if let Some(key) = unlucky {
                    dead.extend(model.remove(&key));
                }
                queue.drop_dead(|value| !dead.contains(value));
                let key = |((deadline_ns, _), value): (&(u64, usize), &usize)| Queued {
                    deadline_ns: *deadline_ns,
                    value: *value,
                };
                let expected = model.first_key_value().map(key);
                prop_assert_eq!(queue.deadline_ns(), expected.map(|head| head.deadline_ns));
                prop_assert_eq!(queue.peek(), expected);
                prop_assert_eq!(queue.first_live(|value| !dead.contains(value)), expected);
                let latest_ns = model.keys().next_back().map(|key| key.0);
                let found_ns = queue.latest_deadline_ns(|value| !dead.contains(value));
                prop_assert_eq!(found_ns, latest_ns);
                for _ in 0..pops {
                    queue.drop_dead(|value| !dead.contains(value));
                    let expected = model
                        .pop_first()
                        .map(|((deadline_ns, _), value)| Queued { deadline_ns, value });
                    prop_assert_eq!(queue.pop(), expected);
                }
                prop_assert!(queue.len() >= model.len() && queue.len() <= room);
            }
        }
    }
}
