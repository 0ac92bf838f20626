//! Typed, generational ids: how things that come and go are named in signatures.
//!
//! An id is a place in a [`Slab`](crate::slab::Slab) and the generation of its tenant there. A
//! place is used again; a generation is not, so that an id which outlived its thing names nothing.
//! The type parameter keeps the id of an application from being taken for that of a model.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// Names an application.
pub type ApplicationId = Id<OfApplication>;
/// Names a model version.
pub type ModelId = Id<OfModel>;
/// Names a replica.
pub type ReplicaId = Id<OfReplica>;

/// Of an application's id. Nothing is made of it: it tells the ids apart, and lets them be named
/// without what they are of.
#[derive(Debug)]
pub enum OfApplication {}
/// The same of a model's.
#[derive(Debug)]
pub enum OfModel {}
/// The same of a replica's.
#[derive(Debug)]
pub enum OfReplica {}

/// Names one `T` of a slab.
///
/// ```
/// use cutter_core::slab::Slab;
///
/// let mut words: Slab<&str> = Slab::new(1);
/// let first = words.insert("first").unwrap();
/// assert_eq!(words.remove(first), Some("first"));
/// let second = words.insert("second").unwrap();
/// assert_eq!(second.place(), first.place());
/// assert_eq!((words.get(first), words.get(second)), (None, Some(&"second")));
/// ```
pub struct Id<T> {
    place: u32,
    generation: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    pub(crate) const fn new(place: u32, generation: u32) -> Self {
        Self { place, generation, of: PhantomData }
    }

    /// Where it is: below the room of its slab.
    pub const fn place(self) -> usize {
        self.place as usize
    }

    /// Both parts in one word, for what carries words only.
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << u32::BITS | self.place as u64
    }

    /// The id of which these are the bits.
    #[expect(clippy::cast_possible_truncation, reason = "each half is meant")]
    pub const fn from_bits(bits: u64) -> Self {
        Self::new(bits as u32, (bits >> u32::BITS) as u32)
    }
}

// By hand, since a derive would ask the same of `T`.
impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.to_bits() == other.to_bits()
    }
}

impl<T> Eq for Id<T> {}

impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.place, self.generation).cmp(&(other.place, other.generation))
    }
}

impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.to_bits().hash(state);
    }
}

impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.place, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_being_a_word() {
        for (place, generation) in [(0, 0), (7, 0), (0, 9), (u32::MAX, u32::MAX - 1)] {
            let id: Id<u8> = Id::new(place, generation);
            assert_eq!(Id::from_bits(id.to_bits()), id);
        }
    }
}
