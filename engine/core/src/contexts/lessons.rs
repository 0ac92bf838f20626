//! Lessons that wait for the states that they are about, in the order in which they came.
//!
//! ```text
//!   a context's chain: first ▸ [ lesson, next ] ▸ [ lesson, next ] ◂ last        free ▸ [ ] ▸ [ ]
//! ```

/// For a link to nowhere.
const NOWHERE: u32 = u32::MAX;

/// The lessons of one context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    first: u32,
    last: u32,
}

impl Chain {
    pub const EMPTY: Self = Self { first: NOWHERE, last: NOWHERE };
}

#[derive(Debug)]
struct Slot<L> {
    lesson: Option<L>,
    next: u32,
}

/// Room for the lessons of all contexts of an application.
#[derive(Debug)]
pub(super) struct Lessons<L> {
    slots: Box<[Slot<L>]>,
    free: u32,
}

impl<L: Copy> Lessons<L> {
    /// Room for so many.
    pub fn new(room: u32) -> Self {
        let next = |at: u32| if at + 1 < room { at + 1 } else { NOWHERE };
        Self {
            slots: (0..room).map(|at| Slot { lesson: None, next: next(at) }).collect(),
            free: if room > 0 { 0 } else { NOWHERE },
        }
    }

    /// The bytes of its table.
    pub const fn table_bytes(room: u32) -> usize {
        room as usize * size_of::<Slot<L>>()
    }

    /// Adds a lesson to a chain. Says whether there was room.
    #[must_use]
    pub fn push(&mut self, chain: &mut Chain, lesson: L) -> bool {
        let at = self.free;
        let Some(slot) = self.slots.get_mut(at as usize) else { return false };
        self.free = slot.next;
        *slot = Slot { lesson: Some(lesson), next: NOWHERE };
        if let Some(last) = self.slots.get_mut(chain.last as usize) {
            last.next = at;
        } else {
            chain.first = at;
        }
        chain.last = at;
        true
    }

    /// Takes the first lesson of a chain.
    pub fn pop(&mut self, chain: &mut Chain) -> Option<L> {
        let at = chain.first;
        let slot = self.slots.get_mut(at as usize)?;
        let lesson = slot.lesson.take();
        chain.first = slot.next;
        slot.next = self.free;
        self.free = at;
        if chain.first == NOWHERE {
            *chain = Chain::EMPTY;
        }
        lesson
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_chain_is_a_queue_and_all_share_the_room(
            steps in prop::collection::vec((any::<bool>(), 0_usize..3), 0..100),
        ) {
            let mut lessons = Lessons::new(5);
            let mut chains = [Chain::EMPTY; 3];
            let mut model: [VecDeque<usize>; 3] = Default::default();
            for (number, (pushes, of)) in steps.into_iter().enumerate() {
                if pushes {
                    let has_room = model.iter().map(VecDeque::len).sum::<usize>() < 5;
                    prop_assert_eq!(lessons.push(&mut chains[of], number), has_room);
                    model[of].extend(has_room.then_some(number));
                } else {
                    prop_assert_eq!(lessons.pop(&mut chains[of]), model[of].pop_front());
                }
                prop_assert_eq!(chains[of] == Chain::EMPTY, model[of].is_empty());
            }
        }
    }

    #[test]
    fn its_table_has_as_many_bytes_as_is_said_of_it() {
        assert_eq!(size_of_val(&*Lessons::<[u8; 24]>::new(9).slots), {
            Lessons::<[u8; 24]>::table_bytes(9)
        });
        assert!(!Lessons::new(0).push(&mut { Chain::EMPTY }, 1));
    }
}
