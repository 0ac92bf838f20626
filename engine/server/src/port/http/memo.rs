//! Bodies that were read a moment ago, and the rows that they came to.
//!
//! Reading a row of numbers takes most of the time of a query whose prediction is known. So an
//! application that asks a model whose outputs are kept also knows the bodies that were read: the
//! same bytes come to the same row, which is copied then. It is a [`Cache`] of its own, from bodies
//! to rows: compared byte by byte, so that no two bodies are taken for each other; within its
//! memory; and off while too few bodies come again. Beside a row stands what the core knew of it
//! when it was asked last: the short way to the prediction (see [`Core::known`]).
//!
//! Owner: the engine thread. Made by the control thread with the endpoint of its application, and
//! gone with it: so what a body means is the same as long as it is known.
//!
//! Only bodies that are one input and nothing else are known.

use std::sync::Arc;

use cutter_core::Known;
use cutter_core::cache::{Cache, CachePlan, EntryId, Found};
use cutter_tensor::TensorSpec;

use crate::limits::{MEMO_BYTES, MEMO_BYTES_PER_ROW_BYTE, MEMO_PAYS_PARTS};

/// Nobody waits for a body to be read: that is done at once.
type Nobody = ();

/// The bodies that are known of one application.
#[derive(Debug)]
pub struct Memo {
    cache: Cache<Nobody, Option<Known>>,
    input: TensorSpec,
}

/// What is known of a body.
#[derive(Clone, Copy, Debug)]
pub(super) enum Recalled {
    /// Its [`row`](Memo::row).
    Row(EntryId),
    /// Nothing. If its row is to be known, this is what to [`learn`](Memo::learn) it under, or to
    /// [`forget`](Memo::forget).
    Nothing(Option<EntryId>),
}

impl Memo {
    /// For bodies with such an input. Takes all of its memory; a seed keys its hash.
    pub fn new(input: &TensorSpec, seed: u64) -> Self {
        Self { cache: Cache::new(plan(input, seed)), input: *input }
    }

    /// What is known of a body. If it is nothing, it is to be learned or forgotten next.
    pub(super) fn recall(&mut self, body: &[u8]) -> Recalled {
        match self.cache.request(0, body, (), u64::MAX) {
            Found::Hit { entry, .. } => Recalled::Row(entry),
            Found::Miss(entry) => Recalled::Nothing(Some(entry)),
            Found::Joined | Found::Bypassed => Recalled::Nothing(None),
        }
    }

    /// The row of a body that was recalled just now.
    pub(super) fn row(&self, entry: EntryId) -> &[u8] {
        self.cache.output(entry).0
    }

    /// What the core knew of that row when it was asked last.
    pub(super) fn known_mut(&mut self, entry: EntryId) -> &mut Option<Known> {
        self.cache.note_mut(entry)
    }

    /// The body came to this row.
    pub(super) fn learn(&mut self, entry: EntryId, row: &[u8]) {
        self.cache.fill(0, entry, row, &self.input);
    }

    /// The body came to more than a row, or to nothing.
    pub(super) fn forget(&mut self, entry: EntryId) {
        self.cache.give_up(entry);
    }
}

fn plan(input: &TensorSpec, seed: u64) -> CachePlan {
    CachePlan {
        bytes_max: MEMO_BYTES,
        input_bytes: input.bytes_max() * MEMO_BYTES_PER_ROW_BYTE,
        ttl_ns: None,
        pays_parts: MEMO_PAYS_PARTS,
        seed,
        stats: Arc::default(),
    }
}

#[cfg(test)]
impl Memo {
    /// One whose hash is the same for all bodies, and what is counted of it.
    pub fn colliding(input: &TensorSpec) -> (Self, Arc<cutter_core::cache::CacheStats>) {
        let plan = plan(input, 0);
        let stats = Arc::clone(&plan.stats);
        (Self { cache: Cache::with_hash(plan, |_, _| 0), input: *input }, stats)
    }
}
