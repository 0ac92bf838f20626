//! The cache as its callers see it. `calls` who leads, joins, and is told · `memory` what is kept,
//! and how much that takes · `pays` when it is off · `oracle` all at random, beside a map.

mod calls;
mod memory;
mod oracle;
mod pays;

use cutter_tensor::ElementType;

use super::arena::Grain;
use super::*;
use crate::limits::{CACHE_BYTES_MIN, CACHE_PAYS_PARTS, CACHE_STREAMED_BYTES_MIN};

/// An SLO: the deadline of whoever asks at 0.
const DUE_NS: u64 = 1_000_000;
const OUTPUT: TensorSpec = TensorSpec::at_most(ElementType::Float32, 1 << 20);

fn plan(bytes_max: usize, input_bytes: usize) -> CachePlan {
    let (ttl_ns, pays_parts) = (None, CACHE_PAYS_PARTS);
    CachePlan { bytes_max, input_bytes, ttl_ns, pays_parts, seed: 7, stats: Arc::default() }
}

/// A cache of 1 MiB for small inputs.
fn cache() -> Cache<u32> {
    Cache::new(plan(1 << 20, 64))
}

/// Asks, and answers at once if nobody else does. Says whether it was there.
fn ask(cache: &mut Cache<u32>, input: &[u8]) -> bool {
    let found = cache.request(0, input, 0, DUE_NS);
    let is_hit = matches!(found, Found::Hit(_));
    if let Found::Miss(id) = found {
        assert!(cache.fill(0, id, &output(input), &OUTPUT));
    }
    is_hit
}

/// What the model says to an input: other bytes, and as many for each input.
fn output(input: &[u8]) -> [u8; 8] {
    let sum = input.iter().fold(1_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte));
    sum.to_le_bytes()
}

fn lead(cache: &mut Cache<u32>, input: &[u8]) -> EntryId {
    lead_until(cache, input, DUE_NS)
}

fn lead_until(cache: &mut Cache<u32>, input: &[u8], deadline_ns: u64) -> EntryId {
    let Found::Miss(id) = cache.request(0, input, u32::MAX, deadline_ns) else {
        panic!("nobody asked for it before")
    };
    id
}

/// That the parts of a cache agree with each other, and nothing is lost.
fn assert_sound<W: Copy>(cache: &Cache<W>) {
    let records = cache.arena.records();
    let find = |at: At| records.iter().find(|record| record.at == at).map(|record| record.owner);
    for (id, entry) in cache.entries.iter() {
        let place = narrow(id.place());
        assert_eq!(find(entry.input_at), Some(place));
        let output = (entry.state == State::Filled).then_some(place);
        assert_eq!(find(entry.output_at), output);
        let input = cache.arena.get(entry.input_at);
        let found = (entry.state != State::Spent).then_some(id);
        assert_eq!(cache.find(entry.hash, input), found, "one entry for an input");
        assert!(entry.state != State::Spent || !entry.waiters.is_empty());
    }
    assert_eq!(cache.entries.len(), cache.entries_used);
    assert_eq!(cache.index.taken(), cache.entries.iter().filter(is_listed).count());
}

fn is_listed((_, entry): &(EntryId, &Entry)) -> bool {
    entry.state != State::Spent
}
