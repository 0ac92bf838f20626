//! Who waits for the outputs of which calls: lists in one table of fixed room, first come first.
//!
//! ```text
//!   node     0        1        2        3
//!          [ w ──]──────────▸[ w ──]▸ –        the list of an entry: first 0, last 2
//!                   [ w ──]▸ –                 that of another: first 1, last 1
//!                                     [ ── ]   free
//! ```
//!
//! Invariant: each node is in one list or is free.

const NONE: u32 = u32::MAX;

/// The waiters of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct List {
    first: u32,
    last: u32,
}

impl List {
    pub const EMPTY: Self = Self { first: NONE, last: NONE };

    pub fn is_empty(self) -> bool {
        self.first == NONE
    }
}

#[derive(Clone, Copy, Debug)]
struct Node<W> {
    deadline_ns: u64,
    next: u32,
    waiter: W,
}

/// The waiters of all entries.
#[derive(Debug)]
pub(super) struct Waiters<W> {
    /// Grows up to the room that was taken for it, and stays.
    nodes: Vec<Node<W>>,
    room: usize,
    free: u32,
}

impl<W: Copy> Waiters<W> {
    /// An empty table with room for so many.
    pub fn new(room: usize) -> Self {
        Self { nodes: Vec::with_capacity(room), room, free: NONE }
    }

    /// The bytes of a table with room for so many.
    pub const fn table_bytes(room: usize) -> usize {
        room * size_of::<Node<W>>()
    }

    /// Puts a waiter at the end of a list; `None` when there is no room.
    pub fn push(&mut self, list: &mut List, waiter: W, deadline_ns: u64) -> Option<()> {
        let at = self.take(Node { deadline_ns, next: NONE, waiter })?;
        if list.is_empty() {
            list.first = at;
        } else {
            self.nodes[list.last as usize].next = at;
        }
        list.last = at;
        Some(())
    }

    /// Takes the first waiter out of a list, with its deadline.
    pub fn pop(&mut self, list: &mut List) -> Option<(W, u64)> {
        let at = list.first;
        let free = self.free;
        let node = self.nodes.get_mut(at as usize)?;
        let Node { deadline_ns, next, waiter } = *node;
        node.next = free;
        self.free = at;
        list.first = next;
        Some((waiter, deadline_ns))
    }

    #[cfg(test)]
    pub fn room(&self) -> usize {
        self.room
    }

    /// How many nodes are in no list.
    #[cfg(test)]
    pub fn free(&self) -> usize {
        let next = |at: &u32| self.nodes.get(*at as usize).map(|node| node.next);
        let free = std::iter::successors(Some(self.free), next).filter(|at| *at != NONE).count();
        free + self.room - self.nodes.len()
    }

    fn take(&mut self, node: Node<W>) -> Option<u32> {
        if let Some(place) = self.nodes.get_mut(self.free as usize) {
            let at = self.free;
            self.free = place.next;
            *place = node;
            return Some(at);
        }
        if self.nodes.len() == self.room {
            return None;
        }
        self.nodes.push(node);
        u32::try_from(self.nodes.len() - 1).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn its_table_has_as_many_bytes_as_is_said_of_it_and_never_grows() {
        let mut waiters = Waiters::new(3);
        let bytes = |waiters: &Waiters<u64>| waiters.nodes.capacity() * size_of::<Node<u64>>();
        assert_eq!(Waiters::<u64>::table_bytes(3), bytes(&waiters));
        let mut list = List::EMPTY;
        let pushed = [1, 2, 3, 4].map(|waiter| waiters.push(&mut list, waiter, 0).is_some());
        assert_eq!(pushed, [true, true, true, false]);
        assert_eq!(Waiters::<u64>::table_bytes(3), bytes(&waiters));
    }

    proptest! {
        #[test]
        fn each_list_is_a_queue(
            steps in prop::collection::vec((any::<bool>(), 0_usize..3), 0..200),
        ) {
            let mut waiters = Waiters::new(8);
            let mut lists = [List::EMPTY; 3];
            let mut queues = [const { std::collections::VecDeque::new() }; 3];
            for (number, (pushes, which)) in (0_u64..).zip(steps) {
                let (list, queue) = (&mut lists[which], &mut queues[which]);
                if pushes {
                    let pushed = waiters.push(list, number, number + 1);
                    queue.extend(pushed.map(|()| (number, number + 1)));
                } else {
                    prop_assert_eq!(waiters.pop(list), queue.pop_front());
                }
                let are_empty = queues.each_ref().map(|of| of.is_empty());
            prop_assert_eq!(lists.map(List::is_empty), are_empty);
                let waiting: usize = queues.iter().map(|of| of.len()).sum();
                prop_assert_eq!(waiters.free(), 8 - waiting);
            }
        }
    }
}
