//! From a hash to the entries that may have it: a table of fixed room, probed slot by slot.
//!
//! ```text
//!   slot     0        1        2        3        4        5
//!          [      ] [ t p ] [ t p ] [ t p ] [      ] [ t p ]      t: 32 bits of the hash
//!                      ▲ home of all three                        p: the place of the entry
//! ```
//!
//! Invariants: between a tag and its home every slot is taken, so that an empty one ends a search.
//! No tag is [`CACHE_PROBES_MAX`] slots from its home or further. What is removed leaves nothing
//! behind: those behind it move up, and a table that was used for long is as fast as a new one.

use crate::limits::{CACHE_PROBES_MAX, CACHE_SLOTS_PER_ENTRY};

const EMPTY: Slot = Slot { tag: 0, place: u32::MAX };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    tag: u32,
    place: u32,
}

/// Which entries have which tag.
#[derive(Debug)]
pub(super) struct Index {
    slots: Box<[Slot]>,
}

impl Index {
    /// For so many entries.
    pub fn new(entries: usize) -> Self {
        Self { slots: vec![EMPTY; entries * CACHE_SLOTS_PER_ENTRY].into() }
    }

    /// The bytes of its table.
    pub const fn table_bytes(entries: usize) -> usize {
        entries * CACHE_SLOTS_PER_ENTRY * size_of::<Slot>()
    }

    /// The entry with this tag of which `is_it` says so.
    #[inline]
    pub fn find(&self, tag: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let taken = self.run(tag).map(|at| self.slots[at]).take_while(|slot| *slot != EMPTY);
        let mut alike = taken.filter(|slot| slot.tag == tag);
        alike.find(|slot| is_it(slot.place)).map(|slot| slot.place)
    }

    /// Whether another entry with this tag can be taken in.
    #[inline]
    pub fn has_room(&self, tag: u32) -> bool {
        self.free(tag).is_some()
    }

    /// Takes an entry in.
    ///
    /// # Panics
    /// When there is no room for its tag.
    pub fn insert(&mut self, tag: u32, place: u32) {
        let at = self.free(tag).expect("whoever inserts has asked for room");
        self.slots[at] = Slot { tag, place };
    }

    /// Takes an entry out.
    ///
    /// # Panics
    /// When it is not there.
    pub fn remove(&mut self, tag: u32, place: u32) {
        let is_it = |at: &usize| self.slots[*at] == Slot { tag, place };
        let mut hole = self.run(tag).find(is_it).expect("what is removed was inserted");
        let mut at = self.next(hole);
        while self.slots[at] != EMPTY {
            // Whoever is further from its home than from the hole may stand in the hole.
            if self.distance(self.home(self.slots[at].tag), at) >= self.distance(hole, at) {
                self.slots[hole] = self.slots[at];
                hole = at;
            }
            at = self.next(at);
        }
        self.slots[hole] = EMPTY;
    }

    #[cfg(test)]
    pub fn slots_bytes(&self) -> usize {
        size_of_val(&*self.slots)
    }

    /// How many entries there are.
    #[cfg(test)]
    pub fn taken(&self) -> usize {
        self.slots.iter().filter(|slot| **slot != EMPTY).count()
    }

    fn free(&self, tag: u32) -> Option<usize> {
        self.run(tag).find(|at| self.slots[*at] == EMPTY)
    }

    /// The slots in which a tag may be, its home first.
    fn run(&self, tag: u32) -> impl Iterator<Item = usize> + use<> {
        let (home, slots) = (self.home(tag), self.slots.len());
        let around = move |at: usize| if at < slots { at } else { at - slots };
        (home..home + CACHE_PROBES_MAX.min(slots)).map(around)
    }

    /// The tag's part of the table is its part of all tags: that needs no power of two.
    fn home(&self, tag: u32) -> usize {
        (tag as usize * self.slots.len()) >> u32::BITS
    }

    fn next(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }

    /// Steps from one slot on to another.
    fn distance(&self, from: usize, to: usize) -> usize {
        if from <= to { to - from } else { to + self.slots.len() - from }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn its_table_has_as_many_bytes_as_is_said_of_it() {
        assert_eq!(Index::table_bytes(7), size_of_val(&*Index::new(7).slots));
    }

    #[test]
    fn no_more_entries_of_one_tag_are_taken_in_than_are_looked_at() {
        let mut index = Index::new(CACHE_PROBES_MAX);
        let places = 0..u32::try_from(CACHE_PROBES_MAX).unwrap();
        places.clone().for_each(|place| index.insert(9, place));
        assert!(!index.has_room(9));
        assert_eq!(index.find(9, |place| place == places.end - 1), Some(places.end - 1));
        index.remove(9, 0);
        assert!(index.has_room(9));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_list(
            entries in 1_usize..40,
            steps in prop::collection::vec((any::<bool>(), 0_u32..8, any::<prop::sample::Index>()),
                0..400),
        ) {
            let mut index = Index::new(entries);
            let mut list: Vec<(u32, u32)> = Vec::new();
            for (place, (inserts, tag, which)) in (0..).zip(steps) {
                // At both ends of the table, so that runs go around it.
                let tag = tag.wrapping_sub(4).wrapping_mul(1 << 24);
                if inserts && list.len() < entries && index.has_room(tag) {
                    index.insert(tag, place);
                    list.push((tag, place));
                } else if !list.is_empty() {
                    let (tag, place) = list.swap_remove(which.index(list.len()));
                    index.remove(tag, place);
                }
                for (tag, place) in &list {
                    prop_assert_eq!(index.find(*tag, |found| found == *place), Some(*place));
                }
                prop_assert_eq!(index.taken(), list.len());
                prop_assert_eq!(index.find(1 << 31, |_| true), None);
            }
        }
    }
}
