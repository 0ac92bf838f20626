//! Where in a table of places a key is: a hash table that takes its memory once.
//!
//! Open addressing with linear probing, and twice as many slots as places at least, so that a probe
//! ends after two or three slots. What is removed leaves no mark: those behind it that are not in
//! their home slot move up.
//!
//! ```text
//!   hash & mask ▸ [ 7, h ][ 2, h ][ –– ][ 4, h ]      a place and 32 bits of its key's hash
//! ```
//!
//! Keys are in the places, which are the caller's: it says which place has the key that it looks
//! for. The hash is keyed, so that no client can choose keys that meet in one slot.

/// In a slot without a place.
const NO_PLACE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Slot {
    place: u32,
    hash: u32,
}

const VACANT: Slot = Slot { place: NO_PLACE, hash: 0 };

/// Places by the hashes of their keys.
#[derive(Debug)]
pub(super) struct Index {
    slots: Box<[Slot]>,
    mask: usize,
}

impl Index {
    /// For so many places.
    pub fn new(places: usize) -> Self {
        let slots = slots(places);
        Self { slots: vec![VACANT; slots].into(), mask: slots - 1 }
    }

    /// The bytes of its table.
    pub const fn table_bytes(places: usize) -> usize {
        slots(places) * size_of::<Slot>()
    }

    /// The place with this hash of which the caller says that it is the one.
    #[inline]
    pub fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = self.home(hash);
        loop {
            let slot = self.slots[at];
            if slot.place == NO_PLACE {
                return None;
            }
            if slot.hash == hash && is_it(slot.place) {
                return Some(slot.place);
            }
            at = self.next(at);
        }
    }

    /// Enters a place whose key is not there.
    pub fn insert(&mut self, hash: u32, place: u32) {
        let mut at = self.home(hash);
        while self.slots[at].place != NO_PLACE {
            at = self.next(at);
        }
        self.slots[at] = Slot { place, hash };
    }

    /// Takes a place out that is there.
    pub fn remove(&mut self, hash: u32, place: u32) {
        let mut hole = self.home(hash);
        while self.slots[hole].place != place {
            assert!(self.slots[hole].place != NO_PLACE, "what is removed is there");
            hole = self.next(hole);
        }
        let mut at = self.next(hole);
        while self.slots[at].place != NO_PLACE {
            // One whose way from home leads over the hole would not be found behind it.
            let way = at.wrapping_sub(self.home(self.slots[at].hash)) & self.mask;
            if way >= at.wrapping_sub(hole) & self.mask {
                self.slots[hole] = self.slots[at];
                hole = at;
            }
            at = self.next(at);
        }
        self.slots[hole] = VACANT;
    }

    fn home(&self, hash: u32) -> usize {
        hash as usize & self.mask
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) & self.mask
    }
}

/// How many slots there are for so many places.
const fn slots(places: usize) -> usize {
    (2 * places).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_agrees_with_a_map_however_many_hashes_meet(
            steps in prop::collection::vec((0_u32..8, 0_u32..12), 0..200),
        ) {
            let mut index = Index::new(8);
            let mut model = HashMap::new();
            for (place, hash) in steps {
                let left = model.remove(&place);
                if let Some(hash) = left {
                    index.remove(hash, place);
                } else {
                    index.insert(hash, place);
                    model.insert(place, hash);
                }
                for (place, hash) in (0..8).flat_map(|place| (0..12).map(move |h| (place, h))) {
                    let found = index.find(hash, |found| found == place);
                    let expected = (model.get(&place) == Some(&hash)).then_some(place);
                    prop_assert_eq!(found, expected);
                }
            }
        }
    }

    #[test]
    fn its_table_has_as_many_bytes_as_is_said_of_it() {
        for places in [1, 7, 8, 1000] {
            let table = Index::new(places).slots;
            assert_eq!(size_of_val(&*table), Index::table_bytes(places));
            assert!(table.len() > places);
        }
    }
}
