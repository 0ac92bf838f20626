//! Which rows of an input pool are free: next fit around the pool.
//!
//! Rows are given out in arrival order, so that the rows of a batch nearly always lie one after
//! another. A row still in use is skipped. Pure: the memory is elsewhere.

/// The free rows of one pool.
#[derive(Debug)]
pub struct RowAllocator {
    /// One bit a row, set while it is in use.
    used: Box<[u64]>,
    rows: u32,
    in_use: u32,
    cursor: u32,
}

impl RowAllocator {
    pub fn new(rows: u32) -> Self {
        assert!(rows > 0);
        let used = vec![0; Self::words(rows)].into();
        Self { used, rows, in_use: 0, cursor: 0 }
    }

    /// The bytes of its table.
    pub const fn table_bytes(rows: u32) -> usize {
        Self::words(rows) * size_of::<u64>()
    }

    const fn words(rows: u32) -> usize {
        rows.div_ceil(u64::BITS) as usize
    }

    pub fn in_use(&self) -> u32 {
        self.in_use
    }

    /// Where the search for the next row begins.
    pub fn cursor(&self) -> u32 {
        self.cursor
    }

    /// The next free row at or after the cursor, around the pool; `None` when all are in use.
    pub fn take(&mut self) -> Option<u32> {
        if self.in_use == self.rows {
            return None;
        }
        let row = self.next_free();
        self.used[word(row)] |= bit(row);
        self.in_use += 1;
        self.cursor = if row + 1 == self.rows { 0 } else { row + 1 };
        Some(row)
    }

    pub fn give_back(&mut self, row: u32) {
        assert!(self.used[word(row)] & bit(row) != 0, "row {row} is not in use");
        self.used[word(row)] &= !bit(row);
        self.in_use -= 1;
    }

    /// At least one row is free.
    fn next_free(&self) -> u32 {
        let mut row = self.cursor;
        loop {
            let free = !self.used[word(row)] >> (row % u64::BITS);
            // Bits beyond the last row are never set; they are no rows all the same.
            let found = row + free.trailing_zeros();
            if free != 0 && found < self.rows {
                return found;
            }
            let next_word = (row / u64::BITS + 1) * u64::BITS;
            row = if next_word < self.rows { next_word } else { 0 };
        }
    }
}

fn word(row: u32) -> usize {
    (row / u64::BITS) as usize
}

fn bit(row: u32) -> u64 {
    1 << (row % u64::BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows_come_in_order_around_the_pool() {
        let mut rows = RowAllocator::new(3);
        assert_eq!([rows.take(), rows.take()], [Some(0), Some(1)]);
        rows.give_back(0);
        assert_eq!([rows.take(), rows.take(), rows.take()], [Some(2), Some(0), None]);
    }

    #[test]
    fn a_row_in_use_is_skipped() {
        let mut rows = RowAllocator::new(130);
        (0..130).for_each(|row| assert_eq!(rows.take(), Some(row)));
        rows.give_back(129);
        rows.give_back(64);
        assert_eq!([rows.take(), rows.take(), rows.take()], [Some(64), Some(129), None]);
    }

    proptest! {
        #[test]
        fn agrees_with_a_set_of_rows(
            capacity in 1u32..200,
            steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..600),
        ) {
            let mut rows = RowAllocator::new(capacity);
            let mut taken = Vec::new();
            let mut cursor = 0;
            for (take, which) in steps {
                if take {
                    let around = (0..capacity).map(|step| (cursor + step) % capacity);
                    let expected = around.into_iter().find(|row| !taken.contains(row));
                    prop_assert_eq!(rows.take(), expected);
                    taken.extend(expected);
                    cursor = expected.map_or(cursor, |row| (row + 1) % capacity);
                } else if !taken.is_empty() {
                    rows.give_back(taken.swap_remove(which.index(taken.len())));
                }
                prop_assert_eq!(rows.in_use() as usize, taken.len());
            }
        }
    }
}
