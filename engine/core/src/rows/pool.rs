//! The memory of one application's inputs: rows that one writer fills and replicas read.
//!
//! Owner: the engine thread. A row is written between being reserved and being admitted, when no
//! replica looks at it. What the memory is does not matter here: see [`RowMemory`].
//!
//! A row holds nothing of another query beyond its input. The pool knows how far each row may be
//! filled; when an input is committed, what an earlier one left behind it is cleared, in pieces if
//! that is much. Inputs of a shape are as long as those before them, so that there is nothing to
//! do: one comparison. Inputs with lengths of their own pay for the bytes by which they are
//! shorter, and only for those. Bytes behind the longest input so far are zero from the start.

use std::fmt;

use super::RowAllocator;

/// Where rows lie: memory that is zero at first, and that nobody else writes.
pub trait RowMemory: fmt::Debug + Send {
    /// So many bytes from `at` on. Panics beyond the end.
    fn bytes_mut(&mut self, at: usize, bytes: usize) -> &mut [u8];
}

/// Rows on the heap, for whoever shares them with nobody.
#[derive(Debug)]
pub struct HeapRows(Box<[u8]>);

impl HeapRows {
    /// Memory for so many rows of `stride` bytes.
    pub fn new(rows: u32, stride: usize) -> Self {
        Self(vec![0; rows as usize * stride].into())
    }
}

impl RowMemory for HeapRows {
    fn bytes_mut(&mut self, at: usize, bytes: usize) -> &mut [u8] {
        &mut self.0[at..at + bytes]
    }
}

/// The rows of one application.
#[derive(Debug)]
pub struct Pool {
    memory: Box<dyn RowMemory>,
    free: RowAllocator,
    stride: usize,
    /// How many bytes of each row may not be zero.
    filled: Box<[u32]>,
    /// The bytes of the shortest input, where the memory has a row more.
    blank_bytes: Option<u32>,
}

impl Pool {
    /// `rows` rows of `stride` bytes each, for which `memory` has room.
    pub fn new(rows: u32, stride: usize, memory: Box<dyn RowMemory>) -> Self {
        assert!(rows > 0 && u32::try_from(stride).is_ok());
        let filled = vec![0; rows as usize].into();
        Self { memory, free: RowAllocator::new(rows), stride, filled, blank_bytes: None }
    }

    /// The same where the memory has room for one row more, and so many of its bytes, all zero, are
    /// an input.
    #[must_use]
    pub fn with_blank(mut self, bytes: u32) -> Self {
        assert!(bytes as usize <= self.stride);
        self.blank_bytes = Some(bytes);
        self
    }

    /// A row that no query gets and that nobody writes, and the bytes of its input.
    pub fn blank(&self) -> Option<(u32, u32)> {
        self.blank_bytes.map(|bytes| (self.rows(), bytes))
    }

    /// The bytes of its tables, which are beside the rows.
    pub const fn table_bytes(rows: u32) -> usize {
        RowAllocator::table_bytes(rows) + rows as usize * size_of::<u32>()
    }

    /// Takes a row for an input that is yet to be read; `None` when all are in use.
    #[inline]
    pub fn take(&mut self) -> Option<u32> {
        self.free.take()
    }

    /// Nobody needs a row any more.
    #[inline]
    pub fn give_back(&mut self, row: u32) {
        self.free.give_back(row);
    }

    pub fn in_use(&self) -> u32 {
        self.free.in_use()
    }

    /// Where the search for the next row begins.
    pub fn cursor(&self) -> u32 {
        self.free.cursor()
    }

    pub fn rows(&self) -> u32 {
        u32::try_from(self.filled.len()).expect("made of a u32 of rows")
    }

    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The first `bytes` bytes of a row, to be written.
    #[inline]
    pub fn row_mut(&mut self, row: u32, bytes: usize) -> &mut [u8] {
        assert!((row as usize) < self.filled.len() && bytes <= self.stride);
        self.memory.bytes_mut(row as usize * self.stride, bytes)
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
        self.memory.bytes_mut(row as usize * self.stride + left, filled - left).fill(0);
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

fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("within the stride, which is narrow")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRIDE: usize = 128;

    fn pool() -> Pool {
        Pool::new(4, STRIDE, Box::new(HeapRows::new(4, STRIDE)))
    }

    fn write(pool: &mut Pool, row: u32, input: &[u8]) {
        pool.row_mut(row, input.len()).copy_from_slice(input);
        assert!(pool.commit(row, input.len(), &mut STRIDE.clone()));
    }

    fn row(pool: &mut Pool, row: u32) -> Vec<u8> {
        pool.row_mut(row, STRIDE).to_vec()
    }

    #[test]
    fn its_tables_have_as_many_bytes_as_is_said_of_them() {
        // 4 rows: one word of 64, and 4 lengths.
        assert_eq!(Pool::table_bytes(4), 8 + size_of_val(&*pool().filled));
        assert_eq!(RowAllocator::table_bytes(65), 2 * 8);
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
