//! The prediction cache of one model version: from an input's bytes to the output that it had.
//!
//! Owner: the engine thread. Pure: time is passed in. Made by the control thread with all of its
//! memory, moved with its model, freed with it; so a new version starts with an empty one. It sits
//! below selection: a policy that changes its mind loses nothing.
//!
//! ```text
//!            ┌ Hit: the output                                           ┌ next_waiter …
//!   request ─┼ Joined: wait for the leader                ┌ fill ────────┴ hits from now on
//!            ├ Miss: lead, that is: have it evaluated ─┬──┤
//!            └ Bypassed: have it evaluated, tell none  │  └ give_up ▸ the next waiter leads
//!                                                      └ pending: identical requests join
//! ```
//!
//! Whoever leads must [`fill`](Cache::fill) or [`give_up`](Cache::give_up) in the end, whatever
//! becomes of the query.
//!
//! ```text
//!   hash ▸ index ▸ entry ┬─▸ input  ┐ records in the arena, in the order in which they were
//!                        └─▸ output ┘ written or spared
//! ```
//!
//! Eviction is CLOCK without a hand: the arena is a queue, and its oldest record is dropped, or
//! moved to the other end if its entry was asked for since it was last there. That is the same
//! order, it needs no lists, and both inputs and outputs lie in one piece.
//!
//! Invariants:
//! - An output is given only for an input that is equal byte by byte. The hash is a filter.
//! - Each input has one entry at most that can be found.
//! - An entry that is pending, or whose waiters are not all popped, is not evicted.
//! - Each waiter is popped once. A handle that outlived its entry does nothing.
//! - All memory is within what the plan allows, and nothing is taken or freed after the beginning.
//!   One request drops what it needs and spares a bounded number of bytes.
//!
//! # Rooms
//! `entry` what is known of an input · `arena` inputs and outputs · `eviction` how room is made ·
//! `index` from hashes to entries · `waiters` who joined · `worth` whether it pays · `plan` how
//! memory is divided · `stats` what is counted.

mod arena;
mod entry;
mod eviction;
mod index;
mod plan;
mod stats;
#[cfg(test)]
mod tests;
mod waiters;
mod worth;

use std::sync::Arc;

use cutter_tensor::TensorSpec;
use twox_hash::XxHash3_128;

use crate::slab::Slab;

pub use entry::{EntryId, OfEntry};
pub use plan::CachePlan;
pub use stats::CacheStats;

use arena::{Arena, At};
use entry::{Entry, State};
use index::Index;
use plan::Division;
use waiters::{List, Waiters};
use worth::Worth;

/// A keyed hash of an input.
pub type Hash = fn(&[u8], u64) -> u128;

/// What a request finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The [`output`](Cache::output) of this entry.
    Hit(EntryId),
    /// An identical call is under way: the waiter is told of its output.
    Joined,
    /// Nothing: the caller has it evaluated, for itself and for those who join.
    Miss(EntryId),
    /// Nothing, and nobody will be told: the caller has it evaluated for itself.
    Bypassed,
}

/// The prediction cache of one model version. `W` names a call that waits, and `N` is what its
/// owner notes of an entry, for as long as that is there.
#[derive(Debug)]
pub struct Cache<W, N = ()> {
    arena: Arena,
    index: Index,
    entries: Slab<Entry<N>, OfEntry>,
    entries_used: usize,
    waiters: Waiters<W>,
    worth: Worth,
    /// The type of outputs; with each other one an era begins, and entries of earlier ones are not
    /// good any more.
    spec: Option<TensorSpec>,
    era: u32,
    ttl_ns: u64,
    hash: Hash,
    seed: u64,
    bytes: usize,
    stats: Arc<CacheStats>,
}

impl<W: Copy, N: Default> Cache<W, N> {
    /// An empty one. Takes all of its memory.
    ///
    /// # Panics
    /// When the memory is not within the limits.
    pub fn new(plan: CachePlan) -> Self {
        Self::with_hash(plan, |input, seed| XxHash3_128::oneshot_with_seed(seed, input))
    }

    /// One whose inputs are told apart by another hash: to see what becomes of collisions.
    ///
    /// # Panics
    /// When the memory is not within the limits.
    pub fn with_hash(plan: CachePlan, hash: Hash) -> Self {
        let waiter_bytes = Waiters::<W>::table_bytes(1);
        let entry_bytes = Slab::<Entry<N>, OfEntry>::table_bytes(1) + Index::table_bytes(1);
        let division = plan.divide(size_of::<Self>(), waiter_bytes, entry_bytes);
        let Division { waiters, entries, arena_bytes, grain } = division;
        let arena = Arena::new(arena_bytes, grain);
        let tables_bytes = waiters * waiter_bytes + entries * entry_bytes;
        let bytes = size_of::<Self>() + tables_bytes + arena.bytes();
        plan.stats.bytes.set(bytes as u64);
        Self {
            arena,
            index: Index::new(entries),
            entries: Slab::new(entries),
            entries_used: 0,
            waiters: Waiters::new(waiters),
            worth: Worth::new(entries, plan.pays_parts),
            spec: None,
            era: 0,
            ttl_ns: plan.ttl_ns.unwrap_or(u64::MAX),
            hash,
            seed: plan.seed,
            bytes,
            stats: plan.stats,
        }
    }

    /// All memory that it has taken.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// To be called before another thread has it, if it was used by this one.
    pub fn settle(&self) {
        self.arena.settle();
    }

    /// Brings the gauges up to date; they are not worth a store for every request.
    pub fn publish_gauges(&self) {
        self.stats.entries.set(self.entries_used as u64);
        self.stats.is_off.set(u64::from(self.worth.is_off()));
    }

    /// Somebody wants the output of an input by a deadline. The waiter is kept only if it
    /// [`Joined`](Found::Joined), which it does not if it is due before the call under way: that
    /// one may come too late for it.
    #[inline]
    pub fn request(&mut self, now_ns: u64, input: &[u8], waiter: W, deadline_ns: u64) -> Found {
        let found = self.find_or_lead(now_ns, input, waiter, deadline_ns);
        match found {
            Found::Hit(id) => self.count_hit(id),
            Found::Joined => {
                self.worth.save();
                self.stats.joined.increment();
            }
            Found::Miss(_) => self.stats.misses.increment(),
            Found::Bypassed => self.stats.bypassed.increment(),
        }
        found
    }

    /// The output of an input, if it is there. Nobody waits for it, and it is not counted.
    pub fn fetch(&self, now_ns: u64, input: &[u8]) -> Option<(&[u8], &TensorSpec)> {
        self.entry_of(now_ns, input).map(|id| self.output(id))
    }

    /// The entry of an input whose output is there. Nothing is counted. Whoever knows it can
    /// [`request_known`](Self::request_known) that input, and need not have it searched again.
    pub fn entry_of(&self, now_ns: u64, input: &[u8]) -> Option<EntryId> {
        let id = self.find(self.hash_of(input), input)?;
        self.is_fresh(now_ns, &self.entries[id]).then_some(id)
    }

    /// Whether a request for the input of an entry would be a hit. An entry has one input as long
    /// as it is there.
    #[inline]
    pub fn is_known(&self, now_ns: u64, id: EntryId) -> bool {
        let entry = self.entries.get(id);
        self.worth.is_on() && entry.is_some_and(|entry| self.is_fresh(now_ns, entry))
    }

    /// A [`request`](Self::request) for the input of an entry that [is known](Self::is_known):
    /// counted as that is, and answered by the same output.
    ///
    /// # Panics
    /// When it is not known.
    #[inline]
    pub fn request_known(&mut self, now_ns: u64, id: EntryId) -> (&[u8], &TensorSpec) {
        assert!(
            self.is_known(now_ns, id),
            "whoever requests what is known has asked whether it is"
        );
        self.worth.request();
        self.count_hit(id);
        self.output(id)
    }

    /// The output of an entry that is filled, which was found just now.
    pub fn output(&self, id: EntryId) -> (&[u8], &TensorSpec) {
        let spec = self.spec.as_ref().expect("what is filled has a type");
        (self.arena.get(self.entries[id].output_at), spec)
    }

    /// What is noted of an entry that was found just now.
    pub fn note_mut(&mut self, id: EntryId) -> &mut N {
        &mut self.entries[id].note
    }

    /// The output that was awaited is there. It is kept if it can be; either way those who joined
    /// are to be popped now, with [`next_waiter`](Self::next_waiter). Says whether anything was
    /// awaited under this handle.
    pub fn fill(&mut self, now_ns: u64, id: EntryId, output: &[u8], spec: &TensorSpec) -> bool {
        if !self.is_pending(id) {
            return false;
        }
        if self.spec.as_ref() != Some(spec) {
            self.spec = Some(*spec);
            self.era = self.era.wrapping_add(1);
        }
        if self.has_room_for_output(output.len()) {
            let output_at = self.arena.push(narrow(id.place()), output);
            let entry = &mut self.entries[id];
            entry.output_at = output_at;
            entry.until_ns = now_ns.saturating_add(self.ttl_ns);
            entry.era = self.era;
            entry.state = State::Filled;
        } else {
            self.unlink(id);
            self.entries[id].state = State::Spent;
            self.remove_if_spent(id);
        }
        true
    }

    /// One who joined a call whose output has come, to be told of it. `None` when all are.
    pub fn next_waiter(&mut self, id: EntryId) -> Option<W> {
        let entry = self.entries.get_mut(id)?;
        if entry.state == State::Pending {
            return None;
        }
        let (waiter, _) = self.waiters.pop(&mut entry.waiters)?;
        self.remove_if_spent(id);
        Some(waiter)
    }

    /// The leader will bring no output. The first who joined is popped and leads from now on, under
    /// the same handle; if it cannot, this is to be called again. `None` when nobody is left: then
    /// nothing is awaited any more.
    pub fn give_up(&mut self, id: EntryId) -> Option<W> {
        if !self.is_pending(id) {
            return None;
        }
        let entry = &mut self.entries[id];
        let Some((waiter, deadline_ns)) = self.waiters.pop(&mut entry.waiters) else {
            self.remove(id);
            return None;
        };
        entry.until_ns = deadline_ns;
        Some(waiter)
    }

    fn find_or_lead(&mut self, now_ns: u64, input: &[u8], waiter: W, deadline_ns: u64) -> Found {
        if !self.worth.request() {
            return Found::Bypassed;
        }
        if !self.arena.admits(input.len()) {
            self.stats.too_large.increment();
            return Found::Bypassed;
        }
        let hash = self.hash_of(input);
        let Some(id) = self.find(hash, input) else { return self.lead(hash, input, deadline_ns) };
        if self.is_pending(id) {
            return self.join(id, waiter, deadline_ns);
        }
        if self.is_fresh(now_ns, &self.entries[id]) {
            return Found::Hit(id);
        }
        if self.entries[id].is_held() {
            return Found::Bypassed;
        }
        self.stats.expired.increment();
        self.remove(id);
        self.lead(hash, input, deadline_ns)
    }

    /// A request is answered by an entry.
    #[inline]
    fn count_hit(&mut self, id: EntryId) {
        self.entries[id].is_used = true;
        self.worth.save();
        self.stats.hits.increment();
    }

    fn join(&mut self, id: EntryId, waiter: W, deadline_ns: u64) -> Found {
        let entry = &mut self.entries[id];
        if deadline_ns < entry.until_ns {
            return Found::Bypassed;
        }
        let joined = self.waiters.push(&mut entry.waiters, waiter, deadline_ns);
        entry.is_used |= joined.is_some();
        joined.map_or(Found::Bypassed, |()| Found::Joined)
    }

    fn lead(&mut self, hash: [u64; 2], input: &[u8], deadline_ns: u64) -> Found {
        if !self.index.has_room(tag(hash)) || !self.make_room(1, input.len()) {
            return Found::Bypassed;
        }
        let inserted = self.entries.insert(Entry {
            hash,
            until_ns: deadline_ns,
            input_at: At::NOWHERE,
            output_at: At::NOWHERE,
            waiters: List::EMPTY,
            era: self.era,
            state: State::Pending,
            is_used: false,
            note: N::default(),
        });
        let Ok(id) = inserted else { return Found::Bypassed };
        let place = narrow(id.place());
        self.entries[id].input_at = self.arena.push(place, input);
        self.index.insert(tag(hash), place);
        self.entries_used += 1;
        Found::Miss(id)
    }

    fn has_room_for_output(&mut self, bytes: usize) -> bool {
        if !self.arena.admits(bytes) {
            self.stats.too_large.increment();
            return false;
        }
        let has_room = self.make_room(0, bytes);
        if !has_room {
            self.stats.evicted.increment();
        }
        has_room
    }

    fn remove_if_spent(&mut self, id: EntryId) {
        let entry = &self.entries[id];
        if entry.state == State::Spent && entry.waiters.is_empty() {
            self.entries.remove(id);
            self.entries_used -= 1;
        }
    }

    /// Its records are dropped when they are the oldest.
    fn remove(&mut self, id: EntryId) {
        self.unlink(id);
        self.entries.remove(id);
        self.entries_used -= 1;
    }

    fn unlink(&mut self, id: EntryId) {
        self.index.remove(tag(self.entries[id].hash), narrow(id.place()));
    }

    fn is_pending(&self, id: EntryId) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.state == State::Pending)
    }

    fn is_fresh(&self, now_ns: u64, entry: &Entry<N>) -> bool {
        entry.state == State::Filled && entry.era == self.era && now_ns < entry.until_ns
    }

    #[inline]
    fn find(&self, hash: [u64; 2], input: &[u8]) -> Option<EntryId> {
        let place = self.index.find(tag(hash), |place| {
            let entry = self.entries.id_at(place as usize).map(|id| &self.entries[id]);
            entry.is_some_and(|entry| entry.hash == hash && self.arena.get(entry.input_at) == input)
        })?;
        self.entries.id_at(place as usize)
    }

    #[expect(clippy::cast_possible_truncation, reason = "each half is meant")]
    fn hash_of(&self, input: &[u8]) -> [u64; 2] {
        let hash = (self.hash)(input, self.seed);
        [hash as u64, (hash >> u64::BITS) as u64]
    }
}

/// The part of a hash that the index knows.
#[expect(clippy::cast_possible_truncation, reason = "a part is meant")]
fn tag(hash: [u64; 2]) -> u32 {
    hash[0] as u32
}

fn narrow(place: usize) -> u32 {
    u32::try_from(place).expect("a place has 32 bits")
}
