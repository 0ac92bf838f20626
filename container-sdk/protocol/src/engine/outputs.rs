//! What the engine shows of what came back: the results of a batch, item by item; a change made.
//!
//! Owner: the engine thread. The bytes lie in a private buffer of the engine's end, which belongs
//! to one completion at a time, unless an output of it is kept: see [`OutputBytes::keep`].

use std::sync::Arc;

use cutter_tensor::{Item, OutputBytes, OutputWords};

use crate::entry::{ITEM_OK, ItemEntry, Ticket};

/// What a look at the completions came to.
#[derive(Debug)]
pub enum Polled<'a> {
    /// Nothing came.
    Nothing,
    /// The outputs of a batch are being copied. The next look goes on.
    Copying,
    Completed(Completed<'a>),
    PoolChanged(PoolChanged<'a>),
}

impl<'a> Polled<'a> {
    /// The batch that came back, if one did and is copied.
    pub fn completed(self) -> Option<Completed<'a>> {
        match self {
            Self::Completed(completed) => Some(completed),
            Self::Nothing | Self::Copying | Self::PoolChanged(_) => None,
        }
    }
}

/// One change of the pools that a replica has mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolChange {
    Map { pool: u32 },
    Unmap { pool: u32 },
}

/// A change of the pools that the replica has made, or could not make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolChanged<'a> {
    pub change: PoolChange,
    /// A failure has the reason that the replica gives. A pool whose unmapping failed may still be
    /// mapped; no container of the SDK fails at that.
    pub result: Result<(), &'a [u8]>,
}

/// A batch that came back, with copies of its results.
#[derive(Debug)]
pub struct Completed<'a> {
    pub ticket: Ticket,
    pub item_count: u32,
    pub results: Results<'a>,
}

/// The results of a batch.
#[derive(Debug)]
pub enum Results<'a> {
    /// The whole batch failed with this message.
    Failed(&'a [u8]),
    Items(Items<'a>),
}

/// The results of the items of a batch.
#[derive(Debug)]
pub struct Items<'a> {
    pub(super) entries: &'a [ItemEntry],
    /// Where the output of each item starts, where the items have entries.
    pub(super) starts: &'a [u32],
    pub(super) messages: &'a [u8],
    pub(super) outputs: &'a [u8],
    /// The buffer of `outputs`; none when they came in the completion itself.
    pub(super) buffer: Option<&'a Arc<OutputWords>>,
    /// The bytes of each output, when all are there and equal; then no item has an entry.
    pub(super) uniform_bytes: Option<usize>,
}

impl<'a> Items<'a> {
    /// The result of item `index`, which is below the batch's item count.
    #[inline]
    pub fn get(&self, index: usize) -> Item<'a> {
        if let Some(bytes) = self.uniform_bytes {
            return Item::Output(self.output(index * bytes, bytes));
        }
        let entry = self.entries[index];
        let bytes_or_offset = entry.bytes_or_offset as usize;
        if entry.status == ITEM_OK {
            return Item::Output(self.output(self.starts[index] as usize, bytes_or_offset));
        }
        let end = bytes_or_offset + usize::from(entry.message_bytes);
        Item::Failed(&self.messages[bytes_or_offset..end])
    }

    fn output(&self, start: usize, bytes: usize) -> OutputBytes<'a> {
        match self.buffer {
            Some(buffer) => OutputBytes::within(buffer, start..start + bytes),
            None => OutputBytes::borrowed(&self.outputs[start..start + bytes]),
        }
    }
}
