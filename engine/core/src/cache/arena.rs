//! Records of any length, one behind another around a ring of memory, the oldest at the tail.
//!
//! ```text
//!            tail                                head
//!   ┌────────┬─────────────┬──────────┬──────────┬────────┬─────┐
//!   │ free   │ owner n ▒▒▒ │ owner n ▒│ owner n ▒│ free   │ gap │
//!   └────────┴─────────────┴──────────┴──────────┴────────┴─────┘
//!              the oldest                           where the next goes
//! ```
//!
//! A record is its owner, its length, and its bytes in one piece. Large ones in much memory are
//! whole lines of a processor's caches, and are written past those: when they are looked at again,
//! no cache holds them any more. Nothing is taken out of the middle: the oldest is dropped, or it
//! is moved to the head and is the youngest then. So there is nothing that could fall to pieces;
//! memory that is not used lies between head and tail, and in one gap at most, where a record would
//! not fit before the end.
//!
//! Invariants: what is used is the records and the gap. The tail never stands at a gap. A record
//! can be moved however full the ring is: its own place is free for it.

use cutter_lines::{LINE_BYTES, Lines};

use crate::limits::CACHE_RECORD_PARTS;

/// What stands before the bytes of a record.
const MARK_BYTES: usize = 8;
/// Records begin at multiples of this.
const UNIT_BYTES: usize = 8;

/// What records are whole numbers of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grain {
    Word,
    /// They are written past the processor's caches.
    Line,
}

impl Grain {
    /// What a record of so many bytes takes.
    pub const fn record_bytes(self, bytes: usize) -> usize {
        let grain_bytes = match self {
            Self::Word => UNIT_BYTES,
            Self::Line => LINE_BYTES,
        };
        (MARK_BYTES + bytes).next_multiple_of(grain_bytes)
    }
}

/// Where a record is, in units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At(u32);

impl At {
    /// No record.
    pub const NOWHERE: Self = Self(u32::MAX);

    fn of(byte: usize) -> Self {
        Self(narrow(byte / UNIT_BYTES))
    }

    const fn byte(self) -> usize {
        self.0 as usize * UNIT_BYTES
    }
}

/// The record that was there first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Oldest {
    pub at: At,
    pub owner: u32,
    /// All that it takes.
    pub bytes: usize,
}

/// The memory of all inputs and outputs.
#[derive(Debug)]
pub(super) struct Arena {
    memory: Lines,
    grain: Grain,
    head: usize,
    tail: usize,
    used: usize,
    /// Where the gap begins. It is known here, since reading what stands there would wait for
    /// memory that is brought anyway when the record before is written over.
    gap: Option<usize>,
}

impl Arena {
    /// With no more than so many bytes.
    pub fn new(bytes_max: usize, grain: Grain) -> Self {
        let memory = Lines::new(bytes_max / LINE_BYTES, u8::MAX);
        Self { memory, grain, head: 0, tail: 0, used: 0, gap: None }
    }

    /// Its bytes.
    pub fn bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// Whether so many bytes are kept at all: one record must not drive out most others.
    #[inline]
    pub fn admits(&self, bytes: usize) -> bool {
        let most_bytes = self.bytes() / CACHE_RECORD_PARTS;
        bytes <= self.bytes() && self.grain.record_bytes(bytes) <= most_bytes
    }

    /// Whether there is room for a record now.
    #[inline]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.place_for(self.grain.record_bytes(bytes)).is_some()
    }

    /// Puts a record at the head.
    ///
    /// # Panics
    /// When there is no room.
    pub fn push(&mut self, owner: u32, bytes: &[u8]) -> At {
        let at = self.take(self.grain.record_bytes(bytes.len()));
        let mark = u64::from(narrow(bytes.len())) << u32::BITS | u64::from(owner);
        match self.grain {
            Grain::Word => {
                let record = self.memory.get_mut(at..at + MARK_BYTES + bytes.len());
                record[..MARK_BYTES].copy_from_slice(&mark.to_le_bytes());
                record[MARK_BYTES..].copy_from_slice(bytes);
            }
            Grain::Line => self.memory.stream(at, mark.to_le_bytes(), bytes),
        }
        At::of(at)
    }

    /// The bytes of a record.
    #[inline]
    pub fn get(&self, at: At) -> &[u8] {
        let (_, bytes) = self.read_mark(at.byte());
        let from = at.byte() + MARK_BYTES;
        self.memory.get(from..from + bytes)
    }

    /// The record at the tail.
    pub fn oldest(&self) -> Option<Oldest> {
        if self.used == 0 {
            return None;
        }
        let (owner, bytes) = self.read_mark(self.tail);
        let bytes = self.grain.record_bytes(bytes);
        Some(Oldest { at: At::of(self.tail), owner, bytes })
    }

    /// Frees the record at the tail.
    pub fn drop_oldest(&mut self) {
        let Some(oldest) = self.oldest() else { return };
        self.used -= oldest.bytes;
        self.tail = self.around(self.tail + oldest.bytes);
        if self.gap == Some(self.tail) {
            self.used -= self.bytes() - self.tail;
            (self.tail, self.gap) = (0, None);
        }
        if self.grain == Grain::Line {
            // Its mark is read when it is dropped in its turn, and no cache holds it.
            self.memory.expect(self.tail);
        }
    }

    /// Before another thread has it.
    pub fn settle(&self) {
        self.memory.settle();
    }

    /// Moves the record at the tail to the head.
    ///
    /// # Panics
    /// When there is none.
    pub fn move_oldest(&mut self) -> At {
        let oldest = self.oldest().expect("a record to move");
        let from = self.tail;
        self.drop_oldest();
        let to = self.take(oldest.bytes);
        self.memory.copy_within(from..from + oldest.bytes, to);
        At::of(to)
    }

    /// Where a record that takes so many bytes goes.
    fn place_for(&self, bytes: usize) -> Option<usize> {
        if self.used == 0 {
            return (bytes <= self.bytes()).then_some(0);
        }
        if self.head <= self.tail {
            return (self.head + bytes <= self.tail).then_some(self.head);
        }
        if self.head + bytes <= self.bytes() {
            return Some(self.head);
        }
        (bytes <= self.tail).then_some(0)
    }

    fn take(&mut self, bytes: usize) -> usize {
        let at = self.place_for(bytes).expect("room was made for it");
        if self.used == 0 {
            (self.head, self.tail) = (0, 0);
        }
        if at != self.head {
            self.gap = Some(self.head);
            self.used += self.bytes() - self.head;
        }
        self.used += bytes;
        self.head = self.around(at + bytes);
        at
    }

    /// All records, the oldest first; that they and the gap are all that is used is asserted.
    #[cfg(test)]
    pub fn records(&self) -> Vec<Oldest> {
        let (mut records, mut at, mut left) = (Vec::new(), self.tail, self.used);
        while left > 0 {
            let is_gap = self.gap == Some(at);
            let bytes = if is_gap {
                self.bytes() - at
            } else {
                let (owner, bytes) = self.read_mark(at);
                let bytes = self.grain.record_bytes(bytes);
                let record = Oldest { at: At::of(at), owner, bytes };
                records.push(record);
                record.bytes
            };
            left = left.checked_sub(bytes).expect("no more than what is used");
            at = self.around(at + bytes);
        }
        assert!(self.used == 0 || at == self.head, "records end at the head");
        records
    }

    fn around(&self, byte: usize) -> usize {
        if byte == self.bytes() { 0 } else { byte }
    }

    #[expect(clippy::cast_possible_truncation, reason = "each half is meant")]
    fn read_mark(&self, at: usize) -> (u32, usize) {
        let mark = self.memory.get(at..at + MARK_BYTES).as_array().expect("a mark has a length");
        let mark = u64::from_le_bytes(*mark);
        (mark as u32, (mark >> u32::BITS) as usize)
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).expect("a place and a record have 32 bits: see the limits")
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn payload(owner: u32, bytes: usize) -> Vec<u8> {
        let first = usize::from(owner.to_le_bytes()[0]);
        (0..=u8::MAX).cycle().skip(first).take(bytes).collect()
    }

    fn owners(arena: &Arena) -> Vec<u32> {
        arena.records().iter().map(|record| record.owner).collect()
    }

    #[test]
    fn its_bytes_are_whole_lines_and_no_more_than_it_was_given() {
        let arena = Arena::new(831, Grain::Word);
        assert_eq!(arena.bytes(), 768);
        assert_eq!([0, 1, 8, 9].map(|bytes| Grain::Word.record_bytes(bytes)), [8, 16, 16, 24]);
        assert_eq!([88, 89, usize::MAX].map(|bytes| arena.admits(bytes)), [true, false, false]);
        assert_eq!([0, 56, 57].map(|bytes| Grain::Line.record_bytes(bytes)), [64, 64, 128]);
    }

    #[test]
    fn the_oldest_moves_to_the_head_even_if_all_is_used() {
        let mut arena = Arena::new(64, Grain::Word);
        let at: Vec<At> = (0..4).map(|owner| arena.push(owner, &payload(owner, 5))).collect();
        assert!(!arena.has_room(0));
        assert_eq!(arena.move_oldest(), at[0], "its own place is the only one");
        assert_eq!((owners(&arena), arena.used), (vec![1, 2, 3, 0], 64));
        (0..).zip(at).for_each(|(owner, at)| assert_eq!(arena.get(at), payload(owner, 5)));
    }

    #[test]
    fn a_record_is_never_cut_by_the_end_and_the_gap_before_it_comes_back() {
        let mut arena = Arena::new(64, Grain::Word);
        arena.push(0, &payload(0, 16));
        arena.push(1, &payload(1, 16));
        arena.drop_oldest();
        let at = arena.push(2, &payload(2, 10));
        assert_eq!((at.byte(), arena.used), (0, 64), "16 bytes before the end are a gap");
        arena.drop_oldest();
        assert_eq!((owners(&arena), arena.used, arena.tail), (vec![2], 24, 0));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_queue_of_records(
            lines in 1_usize..12,
            grain in prop::sample::select(vec![Grain::Word, Grain::Line]),
            steps in prop::collection::vec((0_u8..4, 0_usize..150), 0..400),
        ) {
            let mut arena = Arena::new(lines * LINE_BYTES, grain);
            let mut queue: VecDeque<(At, u32, usize)> = VecDeque::new();
            for (owner, (step, bytes)) in (0..).zip(steps) {
                if step < 2 && arena.has_room(bytes) {
                    queue.push_back((arena.push(owner, &payload(owner, bytes)), owner, bytes));
                } else if step == 2 {
                    arena.drop_oldest();
                    queue.pop_front();
                } else if let Some((_, owner, bytes)) = queue.pop_front() {
                    queue.push_back((arena.move_oldest(), owner, bytes));
                }
                for (at, owner, bytes) in &queue {
                    prop_assert_eq!(arena.get(*at), payload(*owner, *bytes));
                }
                let records = queue.iter().map(|(at, owner, bytes)| {
                    Oldest { at: *at, owner: *owner, bytes: grain.record_bytes(*bytes) }
                });
                prop_assert_eq!(arena.records(), records.collect::<Vec<_>>());
                prop_assert_eq!(arena.oldest(), arena.records().first().copied());
                prop_assert!(arena.used <= arena.bytes());
            }
        }
    }
}
