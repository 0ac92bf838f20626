//! A batch: rows to read in place, outputs to write in place.

use std::ptr::NonNull;

use cutter_protocol::container::{ContainerEnd, ContainerError};
use cutter_tensor::{ElementType, TensorSpec};

use crate::element::Element;

/// Why a prediction failed. Any text becomes one: `Err("no such class".into())`.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    #[error("{0}")]
    Model(String),
    #[error("item {item} of a batch of {count}")]
    NoSuchItem { item: usize, count: usize },
    #[error("{bytes} bytes are not a slice of elements of {element_bytes} bytes")]
    Element { bytes: usize, element_bytes: usize },
    #[error("the {which} is of type {found}, not {asked}")]
    Type { which: &'static str, found: ElementType, asked: &'static str },
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
    pub fn row(&self, item: usize) -> Result<&[u8], BatchError> {
        self.check(item)?;
        Ok(self.end.rows().get(item))
    }

    /// The type of one input, as its application sends it.
    pub fn input_spec(&self, item: usize) -> Result<TensorSpec, BatchError> {
        self.check(item)?;
        Ok(self.end.rows().input(item))
    }

    /// One input as elements, when they are of that type. Rows are aligned to 64 bytes.
    pub fn row_as<T: Element>(&self, item: usize) -> Result<&[T], BatchError> {
        check_type::<T>("input", self.input_spec(item)?.element)?;
        elements(self.row(item)?)
    }

    /// All inputs as one matrix, when they lie so; nearly always.
    pub fn dense(&self) -> Option<Dense<'_>> {
        let (bytes, stride) = self.end.rows().dense()?;
        Some(Dense { bytes, stride })
    }

    /// Copies all rows one after another to `into`, each to the start of its own `stride` bytes;
    /// what a shorter row leaves of them is zeroed.
    pub fn gather(&self, into: &mut [u8], stride: usize) -> Result<(), BatchError> {
        let rows = self.end.rows();
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

    /// The area for all outputs: item `i` starts at `i * output_stride`. It is cleared when it is
    /// first asked for; from then on all outputs of a shape count as written.
    pub fn outputs(&mut self) -> &mut [u8] {
        self.end.parts().1
    }

    /// Bytes from the output of one item to that of the next. Exact outputs have no gaps.
    pub fn output_stride(&self) -> usize {
        self.end.geometry().output_stride()
    }

    /// The place for the output of one item, cleared. An output of a shape counts as written from
    /// then on.
    pub fn output(&mut self, item: usize) -> Result<&mut [u8], BatchError> {
        let index = self.check(item)?;
        Ok(self.end.output(index)?)
    }

    /// The place for the output of one item, as elements, when they are of that type.
    pub fn output_as<T: Element>(&mut self, item: usize) -> Result<&mut [T], BatchError> {
        check_type::<T>("output", self.output_spec().element)?;
        let place = self.output(item)?;
        let error = element_error::<T>(place);
        bytemuck::try_cast_slice_mut(place).map_err(|_| error)
    }

    /// The address of [`Batch::outputs`], for a layer that hands addresses on: no reference to the
    /// outputs is made again while the batch is in hand, unless it is asked for here.
    pub fn outputs_address(&mut self) -> NonNull<u8> {
        self.end.outputs_address()
    }

    /// The address of [`Batch::output`], as above.
    pub fn output_address(&mut self, item: usize) -> Result<NonNull<u8>, BatchError> {
        let index = self.check(item)?;
        Ok(self.end.output_address(index)?)
    }

    /// The address of an output of `bytes` bytes that the caller writes at once, all of it: it
    /// counts as written, and is not cleared.
    pub fn claim_output(&mut self, item: usize, bytes: usize) -> Result<NonNull<u8>, BatchError> {
        let index = self.check(item)?;
        Ok(self.end.claim_output(index, bytes)?)
    }

    /// The rows alone.
    pub fn rows(&self) -> Rows<'_> {
        self.end.rows()
    }

    /// Rows and outputs together, for a kernel that reads the one while it writes the other.
    pub fn rows_and_outputs(&mut self) -> (Rows<'_>, &mut [u8]) {
        self.end.parts()
    }

    /// Writes the output of one item, whose length may differ from item to item.
    pub fn write_output(&mut self, item: usize, output: &[u8]) -> Result<(), BatchError> {
        let index = self.check(item)?;
        Ok(self.end.write_output(index, output)?)
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

    /// Gives the batch back with its outputs. Items without an output fail, and so does a batch
    /// without any; the error says how many.
    pub fn complete(mut self) -> Result<(), BatchError> {
        self.in_hand = false;
        Ok(self.end.complete()?)
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

fn elements<T: Element>(bytes: &[u8]) -> Result<&[T], BatchError> {
    bytemuck::try_cast_slice(bytes).map_err(|_| element_error::<T>(bytes))
}

/// Whether elements of one type are such values in Rust.
fn check_type<T: Element>(which: &'static str, found: ElementType) -> Result<(), BatchError> {
    let is = T::is(found);
    if is { Ok(()) } else { Err(BatchError::Type { which, found, asked: T::NAME }) }
}

fn element_error<T>(bytes: &[u8]) -> BatchError {
    BatchError::Element { bytes: bytes.len(), element_bytes: size_of::<T>() }
}
