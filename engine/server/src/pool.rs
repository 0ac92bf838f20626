//! The memory of one application's inputs: rows that the engine writes and replicas read.
//!
//! Owner: the engine thread. Which rows are free is the scheduler's business; a row is written
//! between being reserved and being admitted, when no replica looks at it.
//!
//! A row holds nothing of another query beyond its input. The pool knows how far each row may be
//! filled; when an input is committed, what an earlier one left behind it is cleared, in pieces if
//! that is much. Inputs of a shape are as long as those before them, so that there is nothing to
//! do: one comparison. Inputs with lengths of their own pay for the bytes by which they are
//! shorter, and only for those. Bytes behind the longest input so far are zero from the start.

use std::os::fd::{AsFd, BorrowedFd};

use cutter_protocol::segment::{Segment, SegmentError, Writer};

/// An input pool.
#[derive(Debug)]
pub struct InputPool {
    segment: Segment,
    stride: usize,
    rows: u32,
    /// How many bytes of each row may not be zero.
    filled: Box<[u32]>,
}

impl InputPool {
    /// Takes `rows` rows of `stride` bytes each, a multiple of 64.
    pub fn create(rows: u32, stride: usize) -> Result<Self, SegmentError> {
        Self::create_in_part(rows, stride, rows)
    }

    /// Takes the first `rows_at_start` of its rows; the others take their memory when they are
    /// first written, page by page.
    pub fn create_in_part(
        rows: u32,
        stride: usize,
        rows_at_start: u32,
    ) -> Result<Self, SegmentError> {
        assert!(stride.is_multiple_of(cutter_protocol::limits::ROW_ALIGN_BYTES));
        assert!(rows_at_start > 0 && rows_at_start <= rows && u32::try_from(stride).is_ok());
        let bytes = |rows: u32| rows as usize * stride;
        let (all, at_start) = (bytes(rows), bytes(rows_at_start));
        let segment = Segment::create_in_part(c"cutter-inputs", all, at_start, Writer::Maker)?;
        Ok(Self { segment, stride, rows, filled: vec![0; rows as usize].into() })
    }

    pub fn rows(&self) -> u32 {
        self.rows
    }

    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The first `bytes` bytes of a row, to be written.
    #[inline]
    pub fn row_mut(&mut self, row: u32, bytes: usize) -> &mut [u8] {
        assert!(row < self.rows && bytes <= self.stride);
        self.segment.bytes_mut(row as usize * self.stride, bytes)
    }

    /// A row holds an input of `bytes` bytes, all that was written to it: what stands behind is
    /// cleared, as much of it as the budget of bytes allows, which shrinks by that. Says whether
    /// that was all; if not, this is to be called again, and no replica may look at the row until
    /// it was.
    #[inline]
    pub fn commit(&mut self, row: u32, bytes: usize, budget_bytes: &mut usize) -> bool {
        assert!(bytes <= self.stride);
        let filled = self.filled[row as usize] as usize;
        if filled <= bytes {
            self.filled[row as usize] = narrow(bytes);
            return true;
        }
        let left = bytes.max(filled.saturating_sub(*budget_bytes));
        self.segment.bytes_mut(row as usize * self.stride + left, filled - left).fill(0);
        self.filled[row as usize] = narrow(left);
        *budget_bytes -= filled - left;
        left == bytes
    }

    /// A row of which at most the first `bytes` bytes were written holds no input after all.
    #[inline]
    pub fn discard(&mut self, row: u32, bytes: usize) {
        let filled = &mut self.filled[row as usize];
        *filled = (*filled).max(narrow(bytes.min(self.stride)));
    }
}

impl AsFd for InputPool {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.segment.as_fd()
    }
}

fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("within the stride, which is narrow")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRIDE: usize = 128;

    fn pool() -> InputPool {
        InputPool::create(4, STRIDE).expect("memory for four rows")
    }

    fn write(pool: &mut InputPool, row: u32, input: &[u8]) {
        pool.row_mut(row, input.len()).copy_from_slice(input);
        assert!(pool.commit(row, input.len(), &mut STRIDE.clone()));
    }

    fn row(pool: &mut InputPool, row: u32) -> Vec<u8> {
        pool.row_mut(row, STRIDE).to_vec()
    }

    #[test]
    fn a_row_shows_nothing_of_an_earlier_input_behind_its_own() {
        let mut pool = pool();
        write(&mut pool, 1, &[0xAA; STRIDE]);
        for input in [&b"ab"[..], b"a longer one", b"", b"x"] {
            write(&mut pool, 1, input);
            let found = row(&mut pool, 1);
            assert_eq!(found[..input.len()], *input);
            assert!(found[input.len()..].iter().all(|byte| *byte == 0), "{found:?}");
        }
    }

    #[test]
    fn much_is_cleared_in_pieces() {
        let mut pool = pool();
        pool.row_mut(3, STRIDE).fill(0xAA);
        let mut budget_bytes = 0;
        assert!(pool.commit(3, STRIDE, &mut budget_bytes), "there is nothing to clear");
        budget_bytes = 50;
        assert!(!pool.commit(3, 20, &mut budget_bytes));
        assert_eq!(budget_bytes, 0);
        assert!(!pool.commit(3, 20, &mut budget_bytes));
        budget_bytes = 60;
        assert!(pool.commit(3, 20, &mut budget_bytes));
        assert_eq!(budget_bytes, 2);
        let (input, behind) = pool.row_mut(3, STRIDE).split_at(20);
        assert!(input.iter().all(|byte| *byte == 0xAA) && behind.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn rows_are_cleared_each_for_itself() {
        let mut pool = pool();
        (0..4).for_each(|row| write(&mut pool, row, &[0xAA; STRIDE]));
        write(&mut pool, 2, b"ab");
        assert_eq!(row(&mut pool, 1), [0xAA; STRIDE]);
        assert_eq!(row(&mut pool, 3), [0xAA; STRIDE]);
    }

    #[test]
    fn what_a_discarded_input_left_is_cleared_by_the_next() {
        let mut pool = pool();
        write(&mut pool, 0, b"short");
        pool.row_mut(0, 100).fill(0xBB);
        pool.discard(0, 100);
        pool.discard(0, 3);
        write(&mut pool, 0, b"ab");
        let mut due = [0; STRIDE];
        due[..2].copy_from_slice(b"ab");
        assert_eq!(row(&mut pool, 0), due);
        // More than a row is a row.
        pool.discard(0, usize::MAX);
        pool.row_mut(0, STRIDE).fill(0xCC);
        write(&mut pool, 0, b"");
        assert_eq!(row(&mut pool, 0), [0; STRIDE]);
    }
}
