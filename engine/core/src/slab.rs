//! Tables of fixed room whose entries come and go, named by [`Id`]s.
//!
//! All memory is taken when the table is made. Free places are used again oldest first, so that a
//! generation lasts as long as it can; a place whose generations are used up is not used again.
//!
//! ```text
//!   place      0        1        2        3
//!            [ T, g4 ][ –, g1 ][ T, g0 ][ –, g2 ]      free: 3 ▸ 1
//! ```
//!
//! `T` may be another thing than the ids name: two threads that keep different things of the same
//! applications name them by the same ids. Then one of them gives the ids out ([`Slab::insert`]),
//! and the others follow it ([`Slab::put`]).

use std::collections::VecDeque;
use std::ops::{Index, IndexMut};

use crate::ids::Id;

/// A table of `T`s, named by `Id<K>`.
#[derive(Debug)]
pub struct Slab<T, K = T> {
    places: Box<[Place<T>]>,
    free: VecDeque<u32>,
    /// The ids' kind.
    kind: std::marker::PhantomData<fn() -> K>,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    entry: Option<T>,
}

impl<T, K> Slab<T, K> {
    /// An empty table with room for so many.
    ///
    /// # Panics
    /// When `room` does not fit in 32 bits.
    pub fn new(room: usize) -> Self {
        let room = u32::try_from(room).expect("a room of 32 bits");
        let place = |_| Place { generation: 0, entry: None };
        Self {
            places: (0..room).map(place).collect(),
            free: (0..room).collect(),
            kind: std::marker::PhantomData,
        }
    }

    /// The bytes of a table with room for so many.
    pub const fn table_bytes(room: usize) -> usize {
        room * (size_of::<Place<T>>() + size_of::<u32>())
    }

    /// Takes an entry in; gives it back when there is no room.
    pub fn insert(&mut self, entry: T) -> Result<Id<K>, T> {
        let Some(place) = self.free.pop_front() else { return Err(entry) };
        let state = &mut self.places[place as usize];
        state.entry = Some(entry);
        Ok(Id::new(place, state.generation))
    }

    /// Takes an entry in under an id that another table gave out.
    ///
    /// # Panics
    /// When its place is taken, or beyond the room: the two tables are not in step.
    pub fn put(&mut self, id: Id<K>, entry: T) {
        let state = &mut self.places[id.place()];
        assert!(state.entry.is_none(), "place {} is taken", id.place());
        let generation = id.to_bits() >> u32::BITS;
        state.generation = u32::try_from(generation).expect("the upper half");
        state.entry = Some(entry);
        self.free.retain(|place| *place as usize != id.place());
    }

    /// Takes an entry out.
    pub fn remove(&mut self, id: Id<K>) -> Option<T> {
        self.get(id)?;
        let state = &mut self.places[id.place()];
        let entry = state.entry.take();
        if let Some(next) = state.generation.checked_add(1) {
            state.generation = next;
            self.free.push_back(u32::try_from(id.place()).expect("within the room"));
        }
        entry
    }

    #[inline]
    pub fn get(&self, id: Id<K>) -> Option<&T> {
        let state = self.places.get(id.place())?;
        state.entry.as_ref().filter(|_| Id::<K>::new(place_of(id), state.generation) == id)
    }

    #[inline]
    pub fn get_mut(&mut self, id: Id<K>) -> Option<&mut T> {
        let state = self.places.get_mut(id.place())?;
        if Id::<K>::new(place_of(id), state.generation) != id {
            return None;
        }
        state.entry.as_mut()
    }

    /// The id of whoever is at a place.
    pub fn id_at(&self, place: usize) -> Option<Id<K>> {
        let state = self.places.get(place)?;
        state.entry.as_ref()?;
        Some(Id::new(u32::try_from(place).ok()?, state.generation))
    }

    /// Every entry with its id, in the order of the places.
    pub fn iter(&self) -> impl Iterator<Item = (Id<K>, &T)> {
        (0..).zip(&self.places).filter_map(|(place, state)| {
            let entry = state.entry.as_ref()?;
            Some((Id::new(place, state.generation), entry))
        })
    }

    /// The same, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Id<K>, &mut T)> {
        (0..).zip(&mut self.places).filter_map(|(place, state)| {
            let entry = state.entry.as_mut()?;
            Some((Id::new(place, state.generation), entry))
        })
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.places.iter().filter(|state| state.entry.is_some()).count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there can be.
    pub fn room(&self) -> usize {
        self.places.len()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a place has 32 bits")]
fn place_of<K>(id: Id<K>) -> u32 {
    id.place() as u32
}

/// An entry that must be there: one of ours names it.
impl<T, K> Index<Id<K>> for Slab<T, K> {
    type Output = T;

    #[inline]
    fn index(&self, id: Id<K>) -> &T {
        self.get(id).expect("an id of ours names something")
    }
}

impl<T, K> IndexMut<Id<K>> for Slab<T, K> {
    #[inline]
    fn index_mut(&mut self, id: Id<K>) -> &mut T {
        self.get_mut(id).expect("an id of ours names something")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_table_gives_the_entry_back() {
        let mut table: Slab<u8> = Slab::new(1);
        assert!(table.insert(1).is_ok());
        assert_eq!(table.insert(2), Err(2));
        assert_eq!((table.len(), table.room()), (1, 1));
        let free_bytes = table.free.capacity() * size_of::<u32>();
        assert_eq!(Slab::<u8>::table_bytes(1), size_of_val(&*table.places) + free_bytes);
    }

    #[test]
    fn a_table_can_follow_another() {
        let mut first: Slab<&str> = Slab::new(3);
        let mut follower: Slab<u32, &str> = Slab::new(3);
        let ids = ["a", "b", "c"].map(|name| first.insert(name).unwrap());
        for (index, entry) in [(2, 2), (0, 0), (1, 1)] {
            follower.put(ids[index], entry);
        }
        assert_eq!(follower[ids[1]], 1);
        first.remove(ids[1]);
        assert_eq!(follower.remove(ids[1]), Some(1));
        let again = first.insert("d").unwrap();
        follower.put(again, 3);
        assert_eq!((follower.get(ids[1]), follower[again]), (None, 3));
        assert_eq!(follower.id_at(again.place()), Some(again));
    }

    #[test]
    #[should_panic(expected = "place 0 is taken")]
    fn two_tables_out_of_step_are_noticed() {
        let mut table: Slab<u8> = Slab::new(1);
        let id = table.insert(1).unwrap();
        table.put(id, 2);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_map_of_ids_that_never_come_back(
            room in 0_usize..6,
            steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..200),
        ) {
            let mut table: Slab<usize> = Slab::new(room);
            let (mut model, mut given) = (HashMap::new(), Vec::new());
            for (number, (inserts, which)) in steps.into_iter().enumerate() {
                if inserts {
                    let inserted = table.insert(number);
                    prop_assert_eq!(inserted.is_err(), model.len() == room);
                    if let Ok(id) = inserted {
                        prop_assert!(!given.contains(&id), "an id came back");
                        given.push(id);
                        model.insert(id, number);
                    }
                } else if !given.is_empty() {
                    let id = given[which.index(given.len())];
                    prop_assert_eq!(table.remove(id), model.remove(&id));
                }
                for id in &given {
                    prop_assert_eq!(table.get(*id), model.get(id));
                    prop_assert_eq!(table.get_mut(*id).map(|entry| *entry), model.get(id).copied());
                }
                let listed: HashMap<_, _> = table.iter().map(|(id, entry)| (id, *entry)).collect();
                prop_assert_eq!(&listed, &model);
                prop_assert_eq!(table.len(), model.len());
            }
        }
    }
}
