//! Large buffers: kept for the next that is wanted, and given up where freeing may take its time.
//!
//! A page that is touched for the first time costs microseconds, and a large body has thousands; to
//! free them costs as much again. So a buffer that is done is kept for a while: who sends one large
//! body sends another. What is kept is bounded in bytes, and nothing is kept that nobody has wanted
//! for [`SPARE_BUFFER_NS`]. What is not kept is garbage, which another thread frees; small buffers
//! are freed on the spot.

use crate::limits::{GARBAGE_BYTES_MIN, SPARE_BUFFER_BYTES_MAX, SPARE_BUFFER_NS};

#[derive(Debug, Default)]
pub struct Buffers {
    /// Empty ones, the one that was given first in front.
    spare: Vec<Spare>,
    spare_bytes: usize,
    garbage: Vec<Vec<u8>>,
    now_ns: u64,
}

#[derive(Debug)]
struct Spare {
    buffer: Vec<u8>,
    since_ns: u64,
}

impl Buffers {
    /// An empty buffer of at least this capacity, and of less than twice of it if it is large.
    pub fn take(&mut self, bytes: usize) -> Vec<u8> {
        let fits =
            |spare: &Spare| (bytes..bytes.saturating_mul(2)).contains(&spare.buffer.capacity());
        match self.spare.iter().position(fits) {
            Some(place) => {
                let Spare { buffer, .. } = self.spare.remove(place);
                self.spare_bytes -= buffer.capacity();
                buffer
            }
            None => Vec::with_capacity(bytes),
        }
    }

    /// A buffer that nobody needs any more.
    pub fn give(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() < GARBAGE_BYTES_MIN {
            return;
        }
        if self.spare_bytes + buffer.capacity() > SPARE_BUFFER_BYTES_MAX {
            return self.garbage.push(buffer);
        }
        buffer.clear();
        self.spare_bytes += buffer.capacity();
        self.spare.push(Spare { buffer, since_ns: self.now_ns });
    }

    /// Time goes on: buffers that nobody wanted for long are given up.
    #[inline]
    pub fn age(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
        while self.due_ns().is_some_and(|due_ns| due_ns <= now_ns) {
            let Spare { buffer, .. } = self.spare.remove(0);
            self.spare_bytes -= buffer.capacity();
            self.garbage.push(buffer);
        }
    }

    /// When the next one is to be given up.
    #[inline]
    pub fn due_ns(&self) -> Option<u64> {
        self.spare.first().map(|spare| spare.since_ns + SPARE_BUFFER_NS)
    }

    /// A large buffer to be freed by another thread.
    #[inline]
    pub fn take_garbage(&mut self) -> Option<Vec<u8>> {
        self.garbage.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: usize = GARBAGE_BYTES_MIN;

    #[test]
    fn a_large_buffer_is_used_again_for_what_it_fits() {
        let mut buffers = Buffers::default();
        let mut buffer = buffers.take(3 * LARGE);
        buffer.push(1);
        let at = buffer.as_ptr();
        buffers.give(buffer);
        let (smaller, larger) = (buffers.take(LARGE), buffers.take(4 * LARGE));
        assert_ne!(smaller.as_ptr(), at, "it is three times too large");
        assert_ne!(larger.as_ptr(), at, "it is too small");
        let again = buffers.take(2 * LARGE);
        assert_eq!((again.as_ptr(), again.len()), (at, 0));
        assert!(buffers.take_garbage().is_none());
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_nobody_wants_goes() {
        let mut buffers = Buffers::default();
        buffers.age(5);
        buffers.give(Vec::with_capacity(LARGE - 1));
        assert_eq!(buffers.due_ns(), None, "a small one is not kept");
        buffers.give(Vec::with_capacity(SPARE_BUFFER_BYTES_MAX));
        assert!(buffers.take_garbage().is_none());
        buffers.give(Vec::with_capacity(LARGE));
        assert_eq!(buffers.take_garbage().map(|buffer| buffer.capacity()), Some(LARGE));

        let due_ns = 5 + SPARE_BUFFER_NS;
        assert_eq!(buffers.due_ns(), Some(due_ns));
        buffers.age(due_ns - 1);
        assert!(buffers.take_garbage().is_none());
        buffers.age(due_ns);
        assert!(buffers.take_garbage().is_some());
        assert_eq!((buffers.due_ns(), buffers.spare_bytes), (None, 0));
    }
}
