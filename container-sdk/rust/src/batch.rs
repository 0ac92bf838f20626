//! A batch: rows to read in place, outputs to write in place.

use bytemuck::Pod;
use cutter_protocol::container::ContainerEnd;
use cutter_protocol::handshake::ContainerError;
use cutter_protocol::tensor::TensorSpec;

/// Why a prediction failed. Any text becomes one: `Err("no such class".into())`.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    #[error("{0}")]
    Model(String),
    #[error("item {item} of a batch of {count}")]
    NoSuchItem { item: usize, count: usize },
    #[error("{bytes} bytes are not a slice of elements of {element_bytes} bytes")]
    Element { bytes: usize, element_bytes: usize },
    #[error("{found} bytes for {count} rows of {stride} bytes each")]
    GatherRoom { found: usize, count: usize, stride: usize },
    #[error(transparent)]
    Container(#[from] ContainerError),
}

impl From<&str> for BatchError {
    fn from(text: &str) -> Self {
        Self::Model(text.to_owned())
    }
}

impl From<String> for BatchError {
    fn from(text: String) -> Self {
        Self::Model(text)
    }
}

/// All rows of a batch as one strided matrix in shared memory.
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a> {
    /// From the first byte of the first row to the last byte of the last.
    pub bytes: &'a [u8],
    /// Bytes from the start of one row to the start of the next: a multiple of 64.
    pub stride: usize,
}

/// The batch in hand.
#[derive(Debug)]
pub struct Batch<'a> {
    end: &'a mut ContainerEnd,
    in_hand: bool,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(end: &'a mut ContainerEnd) -> Self {
        Self { end, in_hand: true }
    }

    /// The number of items: at least one.
    #[expect(clippy::len_without_is_empty, reason = "a batch is never empty")]
    pub fn len(&self) -> usize {
        self.end.item_count() as usize
    }

    /// When the first query of the batch is due: nanoseconds on `CLOCK_MONOTONIC`.
    pub fn deadline_ns(&self) -> u64 {
        self.end.deadline_ns()
    }

    /// What the container promised to give for each item.
    pub fn output_spec(&self) -> TensorSpec {
        self.end.geometry().output
    }

    /// The bytes of one input, in shared memory.
    pub fn row(&mut self, item: usize) -> Result<&[u8], BatchError> {
        self.check(item)?;
        Ok(self.end.parts().0.get(item))
    }

    /// One input as elements. Rows are aligned to 64 bytes.
    pub fn row_as<T: Pod>(&mut self, item: usize) -> Result<&[T], BatchError> {
        elements(self.row(item)?)
    }

    /// All inputs as one matrix, when they lie so; nearly always.
    pub fn dense(&mut self) -> Option<Dense<'_>> {
        let (bytes, stride) = self.end.parts().0.dense()?;
        Some(Dense { bytes, stride })
    }

    /// Copies all rows one after another to `into`, each to the start of its own `stride` bytes;
    /// what a shorter row leaves of them is zeroed.
    pub fn gather(&mut self, into: &mut [u8], stride: usize) -> Result<(), BatchError> {
        let rows = self.end.parts().0;
        let count = rows.len();
        let room = BatchError::GatherRoom { found: into.len(), count, stride };
        if stride.checked_mul(count).is_none_or(|bytes| bytes > into.len()) {
            return Err(room);
        }
        for item in 0..count {
            let row = rows.get(item);
            let place = &mut into[item * stride..][..stride];
            if row.len() > stride {
                return Err(room);
            }
            place[..row.len()].copy_from_slice(row);
            place[row.len()..].fill(0);
        }
        Ok(())
    }

    /// The area for all outputs: item `i` starts at `i * output_stride`.
    pub fn outputs(&mut self) -> &mut [u8] {
        self.end.parts().1
    }

    /// Bytes from the output of one item to that of the next. Exact outputs have no gaps.
    pub fn output_stride(&self) -> usize {
        self.end.geometry().output_stride()
    }

    /// The place for the output of one item.
    pub fn output(&mut self, item: usize) -> Result<&mut [u8], BatchError> {
        self.check(item)?;
        let stride = self.output_stride();
        Ok(&mut self.end.parts().1[item * stride..][..stride])
    }

    /// The place for the output of one item, as elements.
    pub fn output_as<T: Pod>(&mut self, item: usize) -> Result<&mut [T], BatchError> {
        let place = self.output(item)?;
        let error = element_error::<T>(place);
        bytemuck::try_cast_slice_mut(place).map_err(|_| error)
    }

    /// Rows and outputs together, for a kernel that reads the one while it writes the other.
    pub fn rows_and_outputs(&mut self) -> (Rows<'_>, &mut [u8]) {
        self.end.parts()
    }

    /// Writes the output of one item, whose length may differ from item to item.
    pub fn write_output(&mut self, item: usize, output: &[u8]) -> Result<(), BatchError> {
        self.set_output_bytes(item, output.len())?;
        self.output(item)?[..output.len()].copy_from_slice(output);
        Ok(())
    }

    /// Says how many bytes of an item's place its output has taken.
    pub fn set_output_bytes(&mut self, item: usize, bytes: usize) -> Result<(), BatchError> {
        let index = self.check(item)?;
        Ok(self.end.set_output_bytes(index, bytes)?)
    }

    /// Fails one item; the others go on. Its client reads the message.
    pub fn fail_item(&mut self, item: usize, message: &str) -> Result<(), BatchError> {
        let index = self.check(item)?;
        Ok(self.end.fail_item(index, message)?)
    }

    /// Gives the batch back with its outputs.
    pub fn complete(mut self) {
        self.in_hand = false;
        self.end.complete();
    }

    /// Fails the whole batch. The clients read the message; the container lives on.
    pub fn fail(mut self, message: &str) {
        self.in_hand = false;
        self.end.fail(message);
    }

    /// Leaves the batch in hand, to be had again by [`crate::Container::in_hand`].
    pub fn keep(mut self) {
        self.in_hand = false;
    }

    fn check(&self, item: usize) -> Result<u32, BatchError> {
        let count = self.len();
        let index = u32::try_from(item).ok().filter(|_| item < count);
        index.ok_or(BatchError::NoSuchItem { item, count })
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if self.in_hand {
            self.end.fail("the model gave the batch up");
        }
    }
}

pub use cutter_protocol::container::Rows;

fn elements<T: Pod>(bytes: &[u8]) -> Result<&[T], BatchError> {
    bytemuck::try_cast_slice(bytes).map_err(|_| element_error::<T>(bytes))
}

fn element_error<T>(bytes: &[u8]) -> BatchError {
    BatchError::Element { bytes: bytes.len(), element_bytes: size_of::<T>() }
}
