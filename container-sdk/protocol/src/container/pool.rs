//! The rows of applications, as a container maps them, and those of the batch in hand.
//!
//! Owner: the container's one predicting thread. See the module comment of `container` for the
//! promise of the engine that lets a model see its rows as slices.

use cutter_tensor::TensorSpec;

use super::to_u32;
use crate::entry::RowEntry;
use crate::segment::Segment;

/// An application's rows, as a container maps them.
#[derive(Debug)]
pub(crate) struct Pool {
    pub stride: u32,
    pub input: TensorSpec,
    segment: Segment,
}

impl Pool {
    pub fn new(stride: u32, input: TensorSpec, segment: Segment) -> Self {
        Self { stride, input, segment }
    }

    fn slice(&self, first: u32, bytes: usize) -> &[u8] {
        let address = self.segment.address(first as usize * self.stride as usize, bytes);
        // SAFETY: mapped, as `address` asserts, while `self` lives; not written while the batch is
        // in flight, by the promise in the module comment.
        unsafe { std::slice::from_raw_parts(address.as_ptr(), bytes) }
    }
}

/// The rows of the batch in hand.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    pub(super) pools: &'a [Pool],
    pub(super) dense: Option<RowEntry>,
    pub(super) table: &'a [RowEntry],
    pub(super) count: usize,
}

impl<'a> Rows<'a> {
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bytes of row `index`. Panics beyond the batch.
    pub fn get(&self, index: usize) -> &'a [u8] {
        assert!(index < self.count, "row {index} of a batch of {}", self.count);
        let entry = match self.dense {
            Some(first) => RowEntry { row: first.row + to_u32(index), ..first },
            None => self.table[index],
        };
        self.pools[entry.pool as usize].slice(entry.row, entry.bytes as usize)
    }

    /// The type of row `index`, as its application sends it. Panics beyond the batch.
    pub fn input(&self, index: usize) -> TensorSpec {
        assert!(index < self.count, "row {index} of a batch of {}", self.count);
        let pool = self.dense.map_or_else(|| self.table[index].pool, |first| first.pool);
        self.pools[pool as usize].input
    }

    /// All rows as one matrix, when they lie so: its bytes from the first row to the end of the
    /// last, and the distance between two rows.
    pub fn dense(&self) -> Option<(&'a [u8], usize)> {
        let first = self.dense?;
        let pool = &self.pools[first.pool as usize];
        let stride = pool.stride as usize;
        let bytes = stride * (self.count - 1) + first.bytes as usize;
        Some((pool.slice(first.row, bytes), stride))
    }
}
