//! The single-producer, single-consumer ring of 64-byte entries.
//!
//! ```text
//!   entry   0        1        2        3        0 …
//!         ┌────────┬────────┬────────┬────────┐
//!         │ stamp  │ stamp  │        │        │   word 0: position + 1, written last
//!         │ 7 words│ 7 words│        │        │   words 1–7: the message
//!         └────────┴────────┴────────┴────────┘
//! ```
//!
//! An entry carries its own stamp, so one cache line moves for each message. Position, mask and
//! capacity are private to each end and never read back from shared memory. There is no "full":
//! the capacity exceeds the number of messages that can be outstanding, and whoever uses the ring
//! counts those (see `engine`), so the producer never reads what the consumer writes.
//!
//! At its cursor the consumer accepts two stamps: the one that it expects, and the one that the
//! previous lap left behind (zero in the first lap). Anything else was not written by this
//! protocol, and the peer is to be given up.

use crate::words::Words;

/// Words of one entry: a cache line.
pub const ENTRY_WORDS: usize = 8;

/// An entry as the peer wrote it, copied once. Word 0 is the stamp.
pub type Entry = [u64; ENTRY_WORDS];

/// The stamp at the cursor is neither the expected one nor the previous lap's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenStamp {
    pub found: u64,
    pub expected: u64,
}

/// The smallest capacity that can hold `outstanding` messages.
pub const fn capacity_for(outstanding: u32) -> u32 {
    outstanding.next_power_of_two()
}

/// The end that writes.
#[derive(Debug)]
pub struct Producer<W> {
    words: W,
    mask: u64,
    position: u64,
}

impl<W: Words> Producer<W> {
    /// `words` holds `capacity` entries; `capacity` is a power of two.
    pub fn new(words: W, capacity: u32) -> Self {
        assert!(capacity.is_power_of_two());
        Self { words, mask: u64::from(capacity) - 1, position: 0 }
    }

    /// How many entries were published.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Publishes words 1–7 of `entry`. The caller knows that an entry is free.
    #[inline]
    pub fn publish(&mut self, entry: &Entry) {
        let base = base_word(self.position, self.mask);
        for (offset, word) in entry.iter().enumerate().skip(1) {
            self.words.store_relaxed(base + offset, *word);
        }
        self.position += 1;
        // Pairs with: the acquire load in `Consumer::take`.
        self.words.store_release(base, self.position);
    }
}

/// The end that reads.
#[derive(Debug)]
pub struct Consumer<W> {
    words: W,
    mask: u64,
    position: u64,
}

impl<W: Words> Consumer<W> {
    /// `words` holds `capacity` entries; `capacity` is a power of two.
    pub fn new(words: W, capacity: u32) -> Self {
        assert!(capacity.is_power_of_two());
        Self { words, mask: u64::from(capacity) - 1, position: 0 }
    }

    /// How many entries were taken.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether something other than the previous lap's stamp stands at the cursor.
    #[inline]
    pub fn has_news(&self) -> bool {
        let base = base_word(self.position, self.mask);
        self.words.load_relaxed(base) != self.previous_stamp()
    }

    /// Takes the next entry, copied once, if it is there.
    #[inline]
    pub fn take(&mut self) -> Result<Option<Entry>, BrokenStamp> {
        let base = base_word(self.position, self.mask);
        let expected = self.position + 1;
        // Pairs with: the release store in `Producer::publish`.
        let found = self.words.load_acquire(base);
        if found != expected {
            return if found == self.previous_stamp() {
                Ok(None)
            } else {
                Err(BrokenStamp { found, expected })
            };
        }
        let mut entry = [found; ENTRY_WORDS];
        for (offset, word) in entry.iter_mut().enumerate().skip(1) {
            *word = self.words.load_relaxed(base + offset);
        }
        self.position = expected;
        Ok(Some(entry))
    }

    fn previous_stamp(&self) -> u64 {
        (self.position + 1).saturating_sub(self.mask + 1)
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "masked by a u32 capacity")]
fn base_word(position: u64, mask: u64) -> usize {
    (position & mask) as usize * ENTRY_WORDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::HeapWords;

    fn entry(value: u64) -> Entry {
        [0, value, value + 1, value + 2, value + 3, value + 4, value + 5, value + 6]
    }

    fn ring(capacity: u32) -> (HeapWords, Producer<HeapWords>, Consumer<HeapWords>) {
        let words = HeapWords::new(capacity as usize * ENTRY_WORDS);
        let producer = Producer::new(words.clone(), capacity);
        let consumer = Consumer::new(words.clone(), capacity);
        (words, producer, consumer)
    }

    #[test]
    fn entries_come_out_in_order_over_many_laps() {
        let (_, mut producer, mut consumer) = ring(4);
        for value in 0..1000 {
            assert_eq!(consumer.take(), Ok(None));
            assert!(!consumer.has_news());
            producer.publish(&entry(value));
            assert!(consumer.has_news());
            let taken = consumer.take().unwrap().unwrap();
            assert_eq!(taken[1..], entry(value)[1..]);
            assert_eq!(taken[0], value + 1);
        }
    }

    #[test]
    fn a_full_ring_is_read_whole() {
        let (_, mut producer, mut consumer) = ring(4);
        (0..4).for_each(|value| producer.publish(&entry(value)));
        for value in 0..4 {
            assert_eq!(consumer.take().unwrap().unwrap()[1], value);
        }
        assert_eq!(consumer.take(), Ok(None));
    }

    #[test]
    fn a_stamp_of_neither_lap_is_broken() {
        let (words, mut producer, mut consumer) = ring(2);
        words.store_relaxed(0, 77);
        assert_eq!(consumer.take(), Err(BrokenStamp { found: 77, expected: 1 }));
        words.store_relaxed(0, 0);
        producer.publish(&entry(0));
        producer.publish(&entry(1));
        consumer.take().unwrap().unwrap();
        consumer.take().unwrap().unwrap();
        words.store_relaxed(0, 2);
        assert_eq!(consumer.take(), Err(BrokenStamp { found: 2, expected: 3 }));
        words.store_relaxed(0, 1);
        assert_eq!(consumer.take(), Ok(None));
    }

    #[test]
    fn capacity_is_the_next_power_of_two() {
        assert_eq!([1, 2, 3, 9].map(capacity_for), [1, 2, 4, 16]);
    }
}
