//! The rows of applications, as a container maps them, and those of the batch in hand.
//!
//! Owner: the container's one predicting thread. See the module comment of `container` for the
//! promise of the engine that lets a model see its rows as slices.

use std::os::fd::OwnedFd;

use cutter_tensor::TensorSpec;

use super::{ContainerError, granted_spec, to_u32};
use crate::entry::RowEntry;
use crate::limits::POOLS_MAX;
use crate::segment::Segment;
use crate::wire::WirePool;

/// An application's rows, as a container maps them.
#[derive(Debug)]
pub(crate) struct Pool {
    stride: u32,
    input: TensorSpec,
    segment: Segment,
}

impl Pool {
    /// Maps a pool by the engine's words about it.
    pub fn open(wire: &WirePool, segment: OwnedFd) -> Result<Pool, ContainerError> {
        let input = granted_spec("input", &wire.input)?;
        let bytes = wire.rows as usize * wire.stride as usize;
        let segment = Segment::open(segment, bytes)?;
        Ok(Pool { stride: wire.stride, input, segment })
    }

    fn slice(&self, first: u32, bytes: usize) -> &[u8] {
        let address = self.segment.address(first as usize * self.stride as usize, bytes);
        // SAFETY: mapped, as `address` asserts, while `self` lives; not written while the batch is
        // in flight, by the promise in the module comment.
        unsafe { std::slice::from_raw_parts(address.as_ptr(), bytes) }
    }
}

/// The pools that are mapped, by the index by which batches name them.
#[derive(Debug, Default)]
pub(crate) struct Pools(Box<[Option<Pool>; POOLS_MAX]>);

impl Pools {
    /// Whether there is such a place, and no pool in it.
    pub fn is_free(&self, index: u32) -> bool {
        self.0.get(index as usize).is_some_and(Option::is_none)
    }

    /// Panics where there is no such place.
    pub fn put(&mut self, index: u32, pool: Pool) {
        self.0[index as usize] = Some(pool);
    }

    /// Takes a pool out; dropped, it is unmapped.
    pub fn take(&mut self, index: u32) -> Option<Pool> {
        self.0.get_mut(index as usize)?.take()
    }

    /// Whether a batch may have rows of this pool.
    #[inline]
    pub fn check(&self, index: u32) -> Result<(), ContainerError> {
        let is_mapped = self.0.get(index as usize).is_some_and(Option::is_some);
        if is_mapped { Ok(()) } else { Err(ContainerError::UnmappedPool { pool: index }) }
    }

    /// A pool of the batch in hand.
    fn get(&self, index: u32) -> &Pool {
        self.0[index as usize].as_ref().expect("checked when the batch was taken")
    }
}

/// The rows of the batch in hand.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    pub(super) pools: &'a Pools,
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
        self.pools.get(entry.pool).slice(entry.row, entry.bytes as usize)
    }

    /// The type of row `index`, as its application sends it. Panics beyond the batch.
    pub fn input(&self, index: usize) -> TensorSpec {
        assert!(index < self.count, "row {index} of a batch of {}", self.count);
        let pool = self.dense.map_or_else(|| self.table[index].pool, |first| first.pool);
        self.pools.get(pool).input
    }

    /// All rows as one matrix, when they lie so: its bytes from the first row to the end of the
    /// last, and the distance between two rows.
    pub fn dense(&self) -> Option<(&'a [u8], usize)> {
        let first = self.dense?;
        let pool = self.pools.get(first.pool);
        let stride = pool.stride as usize;
        let bytes = stride * (self.count - 1) + first.bytes as usize;
        Some((pool.slice(first.row, bytes), stride))
    }
}
