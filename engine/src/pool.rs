//! The memory of one application's inputs: rows that the engine writes and replicas read.
//!
//! Owner: the engine thread. Which rows are free is the scheduler's business; a row is written
//! between being reserved and being admitted, when no replica looks at it.

use std::os::fd::{AsFd, BorrowedFd};

use cutter_protocol::segment::{Segment, SegmentError, Writer};

/// An input pool.
#[derive(Debug)]
pub struct InputPool {
    segment: Segment,
    stride: usize,
    rows: u32,
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
        assert!(rows_at_start > 0 && rows_at_start <= rows);
        let bytes = |rows: u32| rows as usize * stride;
        let (all, at_start) = (bytes(rows), bytes(rows_at_start));
        let segment = Segment::create_in_part(c"cutter-inputs", all, at_start, Writer::Maker)?;
        Ok(Self { segment, stride, rows })
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
}

impl AsFd for InputPool {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.segment.as_fd()
    }
}
