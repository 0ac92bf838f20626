//! The shared memory of one application's inputs: the engine writes, replicas read.
//!
//! Made by the control thread. The mapping goes to the core with its application, the descriptor
//! stays with control, which hands it to containers.

use std::os::fd::{AsFd, OwnedFd};

use cutter_core::rows::{Pool, RowMemory};
use cutter_protocol::segment::{Segment, SegmentError, Writer};

/// Rows in a sealed segment.
#[derive(Debug)]
struct SharedRows(Segment);

impl RowMemory for SharedRows {
    #[inline]
    fn bytes_mut(&mut self, at: usize, bytes: usize) -> &mut [u8] {
        self.0.bytes_mut(at, bytes)
    }
}

/// Rows of a pool beside those of queries: the blank one, which is behind them.
pub const BLANK_ROWS: u32 = 1;

/// Takes `rows` rows of `stride` bytes each, a multiple of 64: the first `rows_at_start` of them
/// now, the others, and the blank one behind them, when they are first used, page by page. Gives
/// the pool, and the descriptor of its memory.
pub fn create(
    rows: u32,
    stride: usize,
    rows_at_start: u32,
) -> Result<(Pool, OwnedFd), SegmentError> {
    assert!(stride.is_multiple_of(cutter_protocol::limits::ROW_ALIGN_BYTES));
    assert!(rows_at_start > 0 && rows_at_start <= rows);
    let bytes = |rows: u32| rows as usize * stride;
    let (all, at_start) = (bytes(rows + BLANK_ROWS), bytes(rows_at_start));
    let segment = Segment::create_in_part(c"cutter-inputs", all, at_start, Writer::Maker)?;
    let descriptor = segment.as_fd().try_clone_to_owned().map_err(|source| SegmentError::Step {
        step: "share the descriptor of",
        bytes: all,
        source,
    })?;
    Ok((Pool::new(rows, stride, Box::new(SharedRows(segment))), descriptor))
}
