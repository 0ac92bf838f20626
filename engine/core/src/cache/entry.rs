//! What is known of one input: where it and its output lie, and who waits for that.
//!
//! ```text
//!            fill                       evicted, expired
//!   Pending ──────▸ Filled ──────────────────────────────────▸ gone
//!      │  └───────▸ Spent ──── the last waiter is popped ──────▸ gone
//!      └──────────────────── give_up, and nobody has joined ───▸ gone
//! ```

use crate::cache::arena::At;
use crate::cache::waiters::List;
use crate::ids::Id;

/// Names an entry whose output is awaited.
pub type EntryId = Id<OfEntry>;

/// Of an entry's id: see [`ids`](crate::ids).
#[derive(Debug)]
pub enum OfEntry {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The output is awaited.
    Pending,
    /// The output is there.
    Filled,
    /// The output was not kept, and waiters are to be popped. Nobody finds the entry any more.
    Spent,
}

#[derive(Debug)]
pub(super) struct Entry<N = ()> {
    pub hash: [u64; 2],
    /// Pending: the deadline of its leader. Filled: when it is too old.
    pub until_ns: u64,
    pub input_at: At,
    pub output_at: At,
    pub waiters: List,
    /// Of the type of its output.
    pub era: u32,
    pub state: State,
    /// Asked for again since its input was last written or spared.
    pub is_used: bool,
    /// What the cache's owner notes of it.
    pub note: N,
}

impl<N> Entry<N> {
    /// Whether it is not to be evicted: somebody is to be told of it.
    pub fn is_held(&self) -> bool {
        self.state != State::Filled || !self.waiters.is_empty()
    }
}
