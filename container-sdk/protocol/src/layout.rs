//! Where things lie in the three segments of an incarnation.
//!
//! ```text
//! control (engine writes)        completions (replica writes)     outputs (replica writes)
//!   0    engine-asleep flag        0    replica-asleep flag         0     slot of ticket 0
//!   128  kick word                 128  completion ring             slot  slot of ticket 1
//!   256  submission ring           …    item tables, one a ticket   …
//!   …    row tables, one a ticket  …    message areas, one a ticket, and one for changes
//! ```
//!
//! Engine and container compute the layout from the same [`Geometry`], which the engine sends in
//! the handshake: no offset is ever read from shared memory.

use cutter_tensor::{Extent, SpecError, TensorSpec};

use crate::entry::{ItemEntry, RowEntry};
use crate::limits::{
    BATCH_ITEMS_MAX, CONTROL_WORD_BYTES, DEPTH_MAX, MESSAGE_AREA_BYTES, OUTPUT_SLOT_BYTES_MAX,
    REPLICA_MEMORY_BYTES_MAX, ROW_ALIGN_BYTES,
};
use crate::ring::{ENTRY_WORDS, capacity_for};

const WORD_BYTES: usize = size_of::<u64>();
const ENTRY_BYTES: usize = ENTRY_WORDS * WORD_BYTES;

/// What the sizes of an incarnation's segments follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Tickets that can be in flight.
    pub depth: u32,
    /// Items of one batch at most.
    pub items_max: u32,
    /// What the container gives back for each item.
    pub output: TensorSpec,
}

/// Why a replica cannot have what its container declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    #[error("{depth} batches in flight; there are 1 to {DEPTH_MAX}")]
    Depth { depth: u32 },
    #[error("batches of no item")]
    NoItems,
    #[error("its output type cannot be used: {0}")]
    Output(#[from] SpecError),
    #[error(
        "one output of type {output} takes {bytes} bytes of memory, with {depth} batches in \
         flight; a replica can have {REPLICA_MEMORY_BYTES_MAX}"
    )]
    Memory { output: TensorSpec, bytes: usize, depth: u32 },
}

impl Geometry {
    /// The largest batch that `wanted`, the output slot and the memory of a replica allow.
    pub fn fit(depth: u32, wanted: u32, output: TensorSpec) -> Result<Geometry, GeometryError> {
        if !(1..=DEPTH_MAX).contains(&depth) {
            return Err(GeometryError::Depth { depth });
        }
        if wanted == 0 {
            return Err(GeometryError::NoItems);
        }
        output.check()?;
        let by_slot = OUTPUT_SLOT_BYTES_MAX / output_stride(&output);
        let by_slot = u32::try_from(by_slot).unwrap_or(u32::MAX);
        let of = |items_max| Geometry { depth, items_max, output };
        let fits = |items_max| of(items_max).memory_bytes() <= REPLICA_MEMORY_BYTES_MAX;
        if !fits(1) {
            let bytes = of(1).memory_bytes();
            return Err(GeometryError::Memory { output, bytes, depth });
        }
        let (mut fitting, mut beyond) = (1, wanted.min(BATCH_ITEMS_MAX).min(by_slot) + 1);
        while beyond - fitting > 1 {
            let middle = fitting.midpoint(beyond);
            if fits(middle) { fitting = middle } else { beyond = middle }
        }
        Ok(of(fitting))
    }

    /// All memory that a replica of this geometry can take in the engine's name: its segments,
    /// which are reserved when it comes up, and the private copy of the results of a batch, which
    /// grows with what batches hold.
    pub fn memory_bytes(&self) -> usize {
        let starts = self.items_max as usize * size_of::<u32>();
        let tables = self.item_table_words() * WORD_BYTES + starts + MESSAGE_AREA_BYTES;
        self.bytes() + tables + self.slot_bytes()
    }

    /// Whether every output has the same shape.
    pub fn is_exact(&self) -> bool {
        matches!(self.output.extent, Extent::Exact(_))
    }

    /// Entries of either ring: every ticket, the stop, and a change of the pools.
    pub fn ring_capacity(&self) -> u32 {
        capacity_for(self.depth + 2)
    }

    /// Distance between the outputs of two items.
    pub fn output_stride(&self) -> usize {
        output_stride(&self.output)
    }

    /// Bytes of one ticket's output slot.
    pub fn slot_bytes(&self) -> usize {
        (self.output_stride() * self.items_max as usize).next_multiple_of(ROW_ALIGN_BYTES)
    }

    pub fn outputs_bytes(&self) -> usize {
        (self.slot_bytes() * self.depth as usize).max(ROW_ALIGN_BYTES)
    }

    pub fn control_bytes(&self) -> usize {
        self.row_table_word(self.depth) * WORD_BYTES
    }

    pub fn completions_bytes(&self) -> usize {
        self.message_area_word(self.depth + 1) * WORD_BYTES
    }

    /// The shared memory of one incarnation.
    pub fn bytes(&self) -> usize {
        self.control_bytes() + self.completions_bytes() + self.outputs_bytes()
    }

    pub(crate) fn ring_words(&self) -> usize {
        self.ring_capacity() as usize * ENTRY_WORDS
    }

    pub(crate) fn row_table_words(&self) -> usize {
        aligned(self.items_max as usize * size_of::<RowEntry>()) / WORD_BYTES
    }

    pub(crate) fn item_table_words(&self) -> usize {
        aligned(self.items_max as usize * size_of::<ItemEntry>()) / WORD_BYTES
    }

    pub(crate) fn row_table_word(&self, slot: u32) -> usize {
        SUBMISSION_RING_WORD + self.ring_words() + self.row_table_words() * slot as usize
    }

    pub(crate) fn item_table_word(&self, slot: u32) -> usize {
        COMPLETION_RING_WORD + self.ring_words() + self.item_table_words() * slot as usize
    }

    /// That of slot `depth` is for the change of the pools.
    pub(crate) fn message_area_word(&self, slot: u32) -> usize {
        self.item_table_word(self.depth) + MESSAGE_AREA_BYTES / WORD_BYTES * slot as usize
    }

    pub(crate) fn slot_word(&self, slot: u32) -> usize {
        self.slot_bytes() * slot as usize / WORD_BYTES
    }
}

pub(crate) const ENGINE_ASLEEP_WORD: usize = 0;
pub(crate) const KICK_WORD: usize = CONTROL_WORD_BYTES / WORD_BYTES;
pub(crate) const SUBMISSION_RING_WORD: usize = 2 * CONTROL_WORD_BYTES / WORD_BYTES;
pub(crate) const REPLICA_ASLEEP_WORD: usize = 0;
pub(crate) const COMPLETION_RING_WORD: usize = CONTROL_WORD_BYTES / WORD_BYTES;

/// Exact outputs lie as one matrix without gaps; others on multiples of 8.
fn output_stride(output: &TensorSpec) -> usize {
    match output.extent {
        Extent::Exact(_) => output.bytes_max(),
        Extent::AtMost { bytes } => (bytes as usize).next_multiple_of(WORD_BYTES),
    }
}

fn aligned(bytes: usize) -> usize {
    bytes.next_multiple_of(CONTROL_WORD_BYTES)
}

const _: () = assert!(ENTRY_BYTES == 64);
const _: () = assert!(size_of::<RowEntry>().is_multiple_of(WORD_BYTES));
const _: () = assert!(size_of::<ItemEntry>() == WORD_BYTES);
const _: () = assert!(MESSAGE_AREA_BYTES.is_multiple_of(CONTROL_WORD_BYTES));

#[cfg(test)]
mod tests {
    use super::*;
    use cutter_tensor::{ElementType, Shape};

    #[test]
    fn parts_do_not_overlap_and_fill_the_segments() {
        let output = TensorSpec::exact(ElementType::Float32, Shape::new(&[10]).unwrap());
        let geometry = Geometry::fit(2, 100, output).unwrap();
        assert_eq!(geometry.ring_capacity(), 4);
        assert_eq!(geometry.row_table_word(0), 32 + 4 * 8);
        assert_eq!(geometry.row_table_word(1) - geometry.row_table_word(0), 1664 / 8);
        assert_eq!(geometry.control_bytes(), 256 + 256 + 2 * 1664);
        assert_eq!(geometry.completions_bytes(), 128 + 256 + 2 * 896 + 3 * 4096);
        assert_eq!(geometry.output_stride(), 40);
        assert_eq!(geometry.slot_bytes(), 4032);
        assert_eq!(geometry.outputs_bytes(), 8064);
    }

    #[test]
    fn the_output_slot_bounds_the_batch() {
        let output = TensorSpec::at_most(ElementType::Bytes, 16 << 20);
        assert_eq!(Geometry::fit(2, 1000, output).unwrap().items_max, 4);
    }

    #[test]
    fn impossible_geometries_are_refused() {
        let output = TensorSpec::at_most(ElementType::Bytes, 65 << 20);
        let too_large = GeometryError::Output(SpecError::Bytes { bytes: 65 << 20 });
        assert_eq!(Geometry::fit(2, 1, output), Err(too_large));
        let output = TensorSpec::exact(ElementType::Int32, Shape::SCALAR);
        for depth in [0, DEPTH_MAX + 1] {
            assert_eq!(Geometry::fit(depth, 1, output), Err(GeometryError::Depth { depth }));
        }
        assert_eq!(Geometry::fit(1, 0, output), Err(GeometryError::NoItems));
    }

    #[test]
    fn the_memory_of_a_replica_bounds_the_batch_and_the_item() {
        let output = TensorSpec::at_most(ElementType::Bytes, 1 << 20);
        let geometry = Geometry::fit(DEPTH_MAX, 64, output).unwrap();
        assert!(geometry.items_max < 64);
        assert!(geometry.memory_bytes() <= REPLICA_MEMORY_BYTES_MAX);
        let one_more = Geometry { items_max: geometry.items_max + 1, ..geometry };
        assert!(one_more.memory_bytes() > REPLICA_MEMORY_BYTES_MAX);
        let output = TensorSpec::at_most(ElementType::Bytes, 64 << 20);
        assert_eq!(Geometry::fit(2, 9, output).unwrap().items_max, 1);
        let refused = Geometry::fit(DEPTH_MAX, 9, output).unwrap_err().to_string();
        let starts = "one output of type bytes of at most 67108864 bytes takes 6040";
        assert!(refused.starts_with(starts), "{refused}");
        assert!(refused.ends_with("a replica can have 268435456"), "{refused}");
    }

    #[test]
    fn a_grant_that_is_fitted_again_stays_what_it_is() {
        for bytes in [1, 8, 1000, 100_000, 1 << 20, 20 << 20] {
            for depth in 1..=DEPTH_MAX {
                let output = TensorSpec::at_most(ElementType::Bytes, bytes);
                let geometry = Geometry::fit(depth, u32::MAX, output).unwrap();
                assert_eq!(Geometry::fit(depth, geometry.items_max, output), Ok(geometry));
            }
        }
    }
}
