//! Which places may be given to another context, and which of them is the next.
//!
//! CLOCK: a hand goes round over what can be given away. What was used since the hand was there
//! last gets a second chance, which it may have without being moved: a use is one bit. The round is
//! a ring of links through the places that *can* be given away, and no others, so the hand never
//! steps over what is being loaded or is not saved yet; and it takes the next one in any case after
//! [`CONTEXT_CHANCES_MAX`] chances, so a step of the engine thread has a bound.
//!
//! ```text
//!   hand ▸ 3 ⇄ 8 ⇄ 1 ⇄ 5 ⇄ (3)          2, 4, 6, 7: loading, or not saved yet
//! ```

use crate::limits::CONTEXT_CHANCES_MAX;

/// For a link to nowhere.
const NOWHERE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    behind: u32,
    is_used: bool,
}

const OUT: Link = Link { before: NOWHERE, behind: NOWHERE, is_used: false };

/// The ring of what can be given away.
#[derive(Debug)]
pub(super) struct Clock {
    links: Box<[Link]>,
    hand: u32,
}

impl Clock {
    /// Without any of so many places.
    pub fn new(places: usize) -> Self {
        Self { links: vec![OUT; places].into(), hand: NOWHERE }
    }

    /// The bytes of its table.
    pub const fn table_bytes(places: usize) -> usize {
        places * size_of::<Link>()
    }

    /// A place is used.
    #[inline]
    pub fn touch(&mut self, place: u32) {
        self.links[place as usize].is_used = true;
    }

    /// A place that was not in the ring can be given away: the hand comes to it last.
    pub fn enter(&mut self, place: u32) {
        assert!(self.links[place as usize].behind == NOWHERE, "it is in the ring once");
        if self.hand == NOWHERE {
            self.hand = place;
            self.join(place, place);
            return;
        }
        let last = self.links[self.hand as usize].before;
        self.join(last, place);
        self.join(place, self.hand);
    }

    /// A place of the ring cannot be given away any more.
    pub fn leave(&mut self, place: u32) {
        let Link { before, behind, .. } = self.links[place as usize];
        assert!(behind != NOWHERE, "it is in the ring");
        self.join(before, behind);
        let link = &mut self.links[place as usize];
        (link.before, link.behind) = (NOWHERE, NOWHERE);
        if self.hand == place {
            self.hand = if behind == place { NOWHERE } else { behind };
        }
    }

    /// Takes out the place to be given away next, if there is any.
    pub fn take(&mut self) -> Option<u32> {
        if self.hand == NOWHERE {
            return None;
        }
        let mut chances = CONTEXT_CHANCES_MAX;
        while chances > 0 && self.links[self.hand as usize].is_used {
            let link = &mut self.links[self.hand as usize];
            link.is_used = false;
            self.hand = link.behind;
            chances -= 1;
        }
        let place = self.hand;
        self.leave(place);
        self.links[place as usize].is_used = false;
        Some(place)
    }

    fn join(&mut self, before: u32, behind: u32) {
        self.links[before as usize].behind = behind;
        self.links[behind as usize].before = before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(places: u32) -> Clock {
        let mut clock = Clock::new(places as usize);
        (0..places).for_each(|place| clock.enter(place));
        clock
    }

    fn all(clock: &mut Clock) -> Vec<u32> {
        std::iter::from_fn(|| clock.take()).collect()
    }

    #[test]
    fn what_was_used_is_taken_after_what_was_not() {
        let mut clock = with(5);
        [0, 3].iter().for_each(|place| clock.touch(*place));
        assert_eq!(all(&mut clock), [1, 2, 4, 0, 3]);
        assert_eq!(clock.take(), None);
    }

    #[test]
    fn what_left_is_not_taken_and_comes_back_behind_the_others() {
        let mut clock = with(4);
        [0, 2].iter().for_each(|place| clock.leave(*place));
        clock.enter(0);
        assert_eq!(all(&mut clock), [1, 3, 0]);
        clock.enter(2);
        clock.leave(2);
        assert_eq!(clock.take(), None);
    }

    #[test]
    fn one_is_taken_after_so_many_chances_even_if_all_are_used() {
        let mut clock = with(2 * CONTEXT_CHANCES_MAX);
        (0..2 * CONTEXT_CHANCES_MAX).for_each(|place| clock.touch(place));
        assert_eq!(clock.take(), Some(CONTEXT_CHANCES_MAX));
        assert!(!clock.links[CONTEXT_CHANCES_MAX as usize].is_used);
    }

    #[test]
    fn its_table_has_as_many_bytes_as_is_said_of_it() {
        assert_eq!(size_of_val(&*Clock::new(9).links), Clock::table_bytes(9));
    }
}
