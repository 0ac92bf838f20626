//! How room is made: CLOCK over a queue of records.
//!
//! ```text
//!   tail ▸ [ in a ][ out a ][ in b ][ ──── ][ in c ] … ◂ head
//!            │        │        │        │ of an entry that is gone: dropped
//!            │        │        └ asked for since it was last here: moved to the head
//!            │        └ its input was moved before: so is it
//!            └ not asked for: the entry is evicted, and its output is dropped next
//! ```
//!
//! A hit pays for one move at most, so the cost of eviction is constant in the long run; a bound on
//! what is moved at once makes it so each time, but for what one record drives out.

use crate::cache::Cache;
use crate::cache::arena::{At, Oldest};
use crate::cache::entry::EntryId;
use crate::limits::CACHE_SPARED_BYTES_MAX;

impl<W: Copy, N: Default> Cache<W, N> {
    /// Drops what is oldest until so many entries are free and a record of so many bytes fits. What
    /// was used again is spared, up to a limit; what is held stays. Says whether there is room.
    pub(super) fn make_room(&mut self, entries: usize, bytes: usize) -> bool {
        let mut spared_bytes = 0;
        while self.entries_used + entries > self.entries.room() || !self.arena.has_room(bytes) {
            let Some(oldest) = self.arena.oldest() else { return false };
            let may_spare = spared_bytes < CACHE_SPARED_BYTES_MAX;
            let owner = self.owner(oldest);
            if may_spare && owner.is_some_and(|id| self.is_spared(id, oldest.at)) {
                self.spare(oldest);
                spared_bytes += oldest.bytes;
                continue;
            }
            if let Some(id) = owner {
                if self.entries[id].is_held() {
                    return false;
                }
                self.stats.evicted.increment();
                self.remove(id);
            }
            self.arena.drop_oldest();
        }
        true
    }

    /// The entry of a record, unless it is gone, or has another record in its place.
    fn owner(&self, record: Oldest) -> Option<EntryId> {
        let id = self.entries.id_at(record.owner as usize)?;
        let entry = &self.entries[id];
        [entry.input_at, entry.output_at].contains(&record.at).then_some(id)
    }

    /// Whether a record is not to be dropped now. An output is dropped behind its input.
    fn is_spared(&self, id: EntryId, at: At) -> bool {
        let entry = &self.entries[id];
        at == entry.output_at || entry.is_used || entry.is_held()
    }

    fn spare(&mut self, oldest: Oldest) {
        let to = self.arena.move_oldest();
        let Some(id) = self.entries.id_at(oldest.owner as usize) else { return };
        let entry = &mut self.entries[id];
        if oldest.at == entry.output_at {
            entry.output_at = to;
        } else {
            entry.input_at = to;
            entry.is_used = false;
        }
    }
}
