//! Where in a ring of fixed room an entry is, by a hash: open addressing in one array.
//!
//! ```text
//!   slot      0       1       2       3       4       5       6       7
//!          [     ][ h9 p2 ][ h1 p0 ][     ][     ][ h5 p3 ][     ][     ]
//!                     ▲ its own slot is 1, as that of the next one is: it moves on by one
//! ```
//!
//! Each slot has half of the hash, by which nearly all others are told apart without a look at the
//! entry. At most half of the slots are taken, so a search looks at two or three of them, and at
//! [`DECISION_PROBES_MAX`] at the very most: an entry for which there is no slot that near is not
//! found by this index. Removing one closes the gap that it leaves, so nothing ever has to be
//! cleaned up.

use crate::limits::DECISION_PROBES_MAX;

/// Slots for each place.
const SLOTS_PER_PLACE: usize = 2;
/// The place of a slot that is free.
const FREE: u32 = u32::MAX;

/// Places by hash.
#[derive(Debug)]
pub(super) struct Index {
    /// A power of two of them.
    slots: Box<[Slot]>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    place: u32,
}

impl Index {
    /// For so many places.
    pub(super) fn new(places: usize) -> Self {
        Self { slots: vec![Slot { hash: 0, place: FREE }; Self::slots_of(places)].into() }
    }

    pub(super) const fn table_bytes(places: usize) -> usize {
        Self::slots_of(places) * size_of::<Slot>()
    }

    const fn slots_of(places: usize) -> usize {
        (SLOTS_PER_PLACE * places).next_power_of_two()
    }

    /// The place of an entry with this hash which is the one that is looked for.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let hash = half(hash);
        let probed = self.probes(hash).map(|at| self.slots[at]);
        let mut taken = probed.take_while(|slot| slot.place != FREE);
        taken.find(|slot| slot.hash == hash && is_it(slot.place)).map(|slot| slot.place)
    }

    /// An entry is at this place now.
    pub(super) fn put(&mut self, hash: u64, place: u32) {
        let hash = half(hash);
        let free = self.probes(hash).find(|at| self.slots[*at].place == FREE);
        if let Some(at) = free {
            self.slots[at] = Slot { hash, place };
        }
    }

    /// The entry at `from` gives way to one with the same hash at `to`.
    pub(super) fn replace(&mut self, hash: u64, from: u32, to: u32) {
        if let Some(at) = self.slot_of(hash, from) {
            self.slots[at].place = to;
        }
    }

    /// The entry at this place is gone. Those behind it that are not where they belong move up.
    pub(super) fn remove(&mut self, hash: u64, place: u32) {
        let Some(mut gap) = self.slot_of(hash, place) else { return };
        let mut at = gap;
        loop {
            at = self.behind(at);
            let slot = self.slots[at];
            if slot.place == FREE {
                break;
            }
            let way = at.wrapping_sub(self.home(slot.hash)) & self.mask();
            if way >= at.wrapping_sub(gap) & self.mask() {
                self.slots[gap] = slot;
                gap = at;
            }
        }
        self.slots[gap].place = FREE;
    }

    fn slot_of(&self, hash: u64, place: u32) -> Option<usize> {
        self.probes(half(hash)).find(|at| self.slots[*at].place == place)
    }

    /// The slots where an entry may be, in the order in which they are looked at.
    fn probes(&self, hash: u32) -> impl Iterator<Item = usize> {
        let (home, mask) = (self.home(hash), self.mask());
        (0..self.slots.len().min(DECISION_PROBES_MAX)).map(move |way| (home + way) & mask)
    }

    fn home(&self, hash: u32) -> usize {
        hash as usize & self.mask()
    }

    fn behind(&self, at: usize) -> usize {
        (at + 1) & self.mask()
    }

    fn mask(&self) -> usize {
        self.slots.len() - 1
    }
}

#[expect(clippy::cast_possible_truncation, reason = "half of it is meant")]
fn half(hash: u64) -> u32 {
    hash as u32
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_takes_two_slots_of_8_bytes_for_each_place() {
        let index = Index::new(8);
        assert_eq!(Index::table_bytes(8), 8 * 2 * 8);
        assert_eq!(Index::table_bytes(8), size_of_val(&*index.slots));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_map(
            steps in prop::collection::vec((0_u32..3, 0_u32..16, 0_u64..12), 0..200),
        ) {
            let mut index = Index::new(16);
            let mut map = HashMap::new();
            for (kind, place, hash) in steps {
                match (kind, map.get(&place).copied()) {
                    (0, Some(hash)) => {
                        index.remove(hash, place);
                        map.remove(&place);
                    }
                    (1, Some(hash)) => {
                        let to = (0..16).find(|to| !map.contains_key(to)).unwrap_or(place);
                        index.replace(hash, place, to);
                        map.remove(&place);
                        map.insert(to, hash);
                    }
                    (_, None) => {
                        index.put(hash, place);
                        map.insert(place, hash);
                    }
                    _ => (),
                }
                for place in 0..16 {
                    for hash in 0..12 {
                        let found = index.find(hash, |found| found == place);
                        let is_there = map.get(&place) == Some(&hash);
                        prop_assert_eq!(found, is_there.then_some(place));
                    }
                }
            }
        }
    }
}
