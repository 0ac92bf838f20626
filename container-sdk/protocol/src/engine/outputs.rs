//! What the engine shows of a batch that came back: its results, item by item.
//!
//! Owner: the engine thread. The bytes lie in a private buffer of the engine's end, which belongs
//! to one completion at a time. An output that is needed for longer than that is *kept*: it then
//! owns the buffer together with all others that are kept of it, and the next completion is copied
//! into a new one. Nothing is copied for that, but for outputs that fit into the handle itself.

use std::sync::Arc;

use crate::entry::{INLINE_BYTES, ITEM_OK, ItemEntry, Ticket};

/// The private copy of a batch's outputs, as words.
pub(super) type OutputWords = Box<[u64]>;

/// What a look at the completions came to.
#[derive(Debug)]
pub enum Polled<'a> {
    /// Nothing came.
    Nothing,
    /// The outputs of a batch are being copied. The next look goes on.
    Copying,
    Completed(Completed<'a>),
}

impl<'a> Polled<'a> {
    /// The batch that came back, if one did and is copied.
    pub fn completed(self) -> Option<Completed<'a>> {
        match self {
            Self::Completed(completed) => Some(completed),
            Self::Nothing | Self::Copying => None,
        }
    }
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

/// The result of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    Output(OutputBytes<'a>),
    Failed(&'a [u8]),
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
        OutputBytes { bytes: &self.outputs[start..start + bytes], buffer: self.buffer }
    }
}

/// The output of one item, as long as its completion is looked at.
#[derive(Clone, Copy, Debug)]
pub struct OutputBytes<'a> {
    bytes: &'a [u8],
    buffer: Option<&'a Arc<OutputWords>>,
}

impl<'a> OutputBytes<'a> {
    /// An output that lies somewhere else; [`OutputBytes::keep`] copies it.
    pub fn borrowed(bytes: &'a [u8]) -> Self {
        Self { bytes, buffer: None }
    }

    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The output for as long as the caller wants it.
    pub fn keep(&self) -> KeptOutput {
        let bytes = self.bytes.len();
        if bytes <= INLINE_BYTES {
            let mut inline = [0; INLINE_BYTES];
            inline[..bytes].copy_from_slice(self.bytes);
            return KeptOutput(Kept::Inline { inline, bytes });
        }
        let Some(buffer) = self.buffer else {
            return KeptOutput(Kept::Copied(self.bytes.into()));
        };
        let base = bytemuck::cast_slice::<u64, u8>(buffer).as_ptr().addr();
        let start = self.bytes.as_ptr().addr() - base;
        KeptOutput(Kept::Shared { buffer: Arc::clone(buffer), start, bytes })
    }
}

impl PartialEq for OutputBytes<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for OutputBytes<'_> {}

/// An output that outlives its completion.
#[derive(Clone, Debug)]
pub struct KeptOutput(Kept);

#[derive(Clone, Debug)]
enum Kept {
    Inline { inline: [u8; INLINE_BYTES], bytes: usize },
    Copied(Arc<[u8]>),
    Shared { buffer: Arc<OutputWords>, start: usize, bytes: usize },
}

impl KeptOutput {
    pub fn bytes(&self) -> &[u8] {
        match &self.0 {
            Kept::Inline { inline, bytes } => &inline[..*bytes],
            Kept::Copied(bytes) => bytes,
            Kept::Shared { buffer, start, bytes } => {
                &bytemuck::cast_slice::<u64, u8>(buffer)[*start..start + bytes]
            }
        }
    }

    /// Whether both keep the same memory.
    pub fn shares_buffer(&self, other: &KeptOutput) -> bool {
        match (&self.0, &other.0) {
            (Kept::Shared { buffer, .. }, Kept::Shared { buffer: other, .. }) => {
                Arc::ptr_eq(buffer, other)
            }
            _ => false,
        }
    }

    /// The memory that stays because of this output: that of its whole batch, when it is shared
    /// with the other outputs of it.
    pub fn held_bytes(&self) -> usize {
        match &self.0 {
            Kept::Inline { .. } => 0,
            Kept::Copied(bytes) => bytes.len(),
            Kept::Shared { buffer, .. } => size_of_val::<[u64]>(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_borrowed_output_is_copied_when_it_is_kept() {
        for bytes in [0, 1, INLINE_BYTES, INLINE_BYTES + 1, 1000] {
            let place: Vec<u8> = (0..bytes).map(|byte| byte.to_le_bytes()[0]).collect();
            let kept = OutputBytes::borrowed(&place).keep();
            assert_eq!(kept.bytes(), place);
            assert_eq!(kept.held_bytes(), if bytes > INLINE_BYTES { bytes } else { 0 });
        }
    }
}
