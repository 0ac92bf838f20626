//! Who has been waiting for its client the longest: for when there is no place left.
//!
//! A connection on which it is the client's turn stands in one of two lists, in the order in which
//! the turns began: those that are idle, and those that have sent a part of a request. When places
//! run out, the first of the idle ones goes, and if there is none, the first of the others. Bytes
//! that drip in do not move a connection back: only a whole request does, and its answer.
//!
//! The lists are threaded through one table, so that nothing is searched and nothing allocated.

const NONE: u32 = u32::MAX;

/// Which list a connection stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is ours: answers are owed, or bytes are being read.
    Ours,
    /// The client's, and nothing of a request is here.
    Idle,
    /// The client's, and a part of a request is here.
    Partial,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    turn: Turn,
    previous: u32,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
}

const EMPTY: List = List { first: NONE, last: NONE };

/// The two lists.
#[derive(Debug)]
pub struct Waiting {
    entries: Box<[Entry]>,
    idle: List,
    partial: List,
}

impl Waiting {
    pub fn new(places: usize) -> Self {
        let entry = Entry { turn: Turn::Ours, previous: NONE, next: NONE };
        Self { entries: vec![entry; places].into(), idle: EMPTY, partial: EMPTY }
    }

    /// Whose turn it is on a connection now. One that stays in its list keeps its place.
    #[inline]
    pub fn set(&mut self, connection: usize, turn: Turn) {
        if self.entries[connection].turn == turn {
            return;
        }
        self.remove(connection);
        self.entries[connection].turn = turn;
        if turn != Turn::Ours {
            self.append(connection);
        }
    }

    /// Whose turn it is on a connection.
    pub fn turn(&self, connection: usize) -> Turn {
        self.entries[connection].turn
    }

    /// The connection that has kept us waiting the longest, an idle one if there is any.
    pub fn longest(&self) -> Option<usize> {
        let first = if self.idle.first == NONE { self.partial.first } else { self.idle.first };
        (first != NONE).then_some(first as usize)
    }

    fn list(&mut self, turn: Turn) -> &mut List {
        if turn == Turn::Partial { &mut self.partial } else { &mut self.idle }
    }

    fn append(&mut self, connection: usize) {
        let number = u32::try_from(connection).expect("bounded by CONNECTIONS_MAX");
        let list = self.list(self.entries[connection].turn);
        let last = std::mem::replace(&mut list.last, number);
        if last == NONE {
            list.first = number;
        } else {
            self.entries[last as usize].next = number;
        }
        self.entries[connection].previous = last;
        self.entries[connection].next = NONE;
    }

    fn remove(&mut self, connection: usize) {
        let Entry { turn, previous, next } = self.entries[connection];
        if turn == Turn::Ours {
            return;
        }
        if previous == NONE {
            self.list(turn).first = next;
        } else {
            self.entries[previous as usize].next = next;
        }
        if next == NONE {
            self.list(turn).last = previous;
        } else {
            self.entries[next as usize].previous = previous;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_idle_one_that_has_waited_longest_goes_first() {
        let mut waiting = Waiting::new(4);
        assert_eq!(waiting.longest(), None);
        waiting.set(3, Turn::Partial);
        waiting.set(1, Turn::Idle);
        waiting.set(2, Turn::Idle);
        assert_eq!(waiting.longest(), Some(1));
        waiting.set(1, Turn::Ours);
        assert_eq!(waiting.longest(), Some(2));
        waiting.set(2, Turn::Partial);
        assert_eq!(waiting.longest(), Some(3), "of those with a part of a request the first");
    }

    proptest! {
        /// Against two plain lists.
        #[test]
        fn agrees_with_plain_lists(steps in prop::collection::vec((0usize..6, 0u8..3), 0..200)) {
            let mut waiting = Waiting::new(6);
            let (mut idle, mut partial) = (Vec::new(), Vec::new());
            for (connection, turn) in steps {
                let turn = [Turn::Ours, Turn::Idle, Turn::Partial][usize::from(turn)];
                waiting.set(connection, turn);
                for (list, kind) in [(&mut idle, Turn::Idle), (&mut partial, Turn::Partial)] {
                    if turn != kind {
                        list.retain(|other| *other != connection);
                    } else if !list.contains(&connection) {
                        list.push(connection);
                    }
                }
                let expected = idle.first().or(partial.first()).copied();
                prop_assert_eq!(waiting.longest(), expected);
            }
        }
    }
}
