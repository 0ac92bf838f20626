//! Bodies that were read a moment ago, and the rows that they came to.
//!
//! Reading a row of numbers takes most of the time of a query whose prediction is known. So an
//! application that asks a model whose outputs are kept also knows the bodies that were read: the
//! same bytes come to the same row, which is copied then. It is a [`Cache`] of its own, from bodies
//! to rows: compared byte by byte, so that no two bodies are taken for each other; within its
//! memory; and off while too few bodies come again. Its hash is a cheaper one (`sums`): bodies that
//! collide can be made on purpose, but each costs no more than a few comparisons, and is read then
//! as if it were new. Beside a row stands what the core knew of it when it was asked last: the
//! short way to the prediction (see [`Core::known`]).
//!
//! Owner: the engine thread. Made by the control thread with the endpoint of its application, and
//! gone with it: so what a body means is the same as long as it is known.
//!
//! Only bodies that are one input and nothing else are known.

use std::sync::Arc;

use cutter_core::Known;
use cutter_core::cache::{Cache, CachePlan, EntryId, Found};
use cutter_tensor::TensorSpec;
use twox_hash::XxHash3_128;

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
        Self { cache: Cache::with_hash(plan(input, seed), sums), input: *input }
    }

    /// What is known of a body. If it is nothing, it is to be learned or forgotten next.
    pub(super) fn recall(&mut self, body: &[u8]) -> Recalled {
        match self.cache.request(0, body, (), u64::MAX) {
            Found::Hit(entry) => Recalled::Row(entry),
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

/// Sums of the words of a body, and sums of these sums, in which it matters which word is where (J.
/// G. Fletcher, "An arithmetic checksum for serial transmissions", 1982); then hashed.
fn sums(body: &[u8], seed: u64) -> u128 {
    /// Side by side, for vector registers.
    const LANES: usize = 8;
    const BLOCK_BYTES: usize = LANES * size_of::<u64>();
    let (blocks, rest) = body.as_chunks::<BLOCK_BYTES>();
    let (mut words, mut sums) = ([0_u64; LANES], [0_u64; LANES]);
    for block in blocks {
        for (lane, word) in block.as_chunks().0.iter().enumerate() {
            words[lane] = words[lane].wrapping_add(u64::from_le_bytes(*word));
            sums[lane] = sums[lane].wrapping_add(words[lane]);
        }
    }
    let mut last = [0; 4 * BLOCK_BYTES];
    let length = [body.len() as u64];
    let places = last.as_chunks_mut().0.iter_mut();
    for (place, word) in places.zip(words.iter().chain(&sums).chain(&length)) {
        *place = word.to_le_bytes();
    }
    last[3 * BLOCK_BYTES..][..rest.len()].copy_from_slice(rest);
    XxHash3_128::oneshot_with_seed(seed, &last)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bodies_that_differ_in_a_byte_a_swap_or_a_length_have_other_hashes(
            body in prop::collection::vec(any::<u8>(), 2..400),
            at in any::<prop::sample::Index>(),
            to in any::<prop::sample::Index>(),
            change in 1_u8..,
        ) {
            let hash = sums(&body, 1);
            let (at, to) = (at.index(body.len()), to.index(body.len()));
            let mut changed = body.clone();
            changed[at] ^= change;
            prop_assert_ne!(sums(&changed, 1), hash);
            let mut swapped = body.clone();
            swapped.swap(at, to);
            prop_assert_eq!(sums(&swapped, 1) == hash, swapped == body);
            prop_assert_ne!(sums(&body[..body.len() - 1], 1), hash);
            prop_assert_ne!(sums(&body, 2), hash);
        }
    }
}
