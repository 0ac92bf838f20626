//! The bytes of an output, as long as its batch is looked at, and for as long as they are needed.
//!
//! Outputs of a batch lie in one private buffer, which its owner uses for the next batch. An output
//! that is needed for longer is *kept*: it then owns the buffer together with all others that are
//! kept of it, and the owner takes a new one. Nothing is copied for that, but for outputs that fit
//! into the handle itself.

use std::ops::Range;
use std::sync::Arc;

use crate::limits::KEPT_INLINE_BYTES;

/// The private copy of a batch's outputs, as words.
pub type OutputWords = Box<[u64]>;

/// The result of one item of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    Output(OutputBytes<'a>),
    /// What the model says of its failure.
    Failed(&'a [u8]),
}

/// The output of one item, as long as its batch is looked at.
#[derive(Clone, Copy, Debug)]
pub struct OutputBytes<'a> {
    bytes: &'a [u8],
    /// The buffer in which `bytes` lie, if it can be kept.
    buffer: Option<&'a Arc<OutputWords>>,
}

impl<'a> OutputBytes<'a> {
    /// An output that lies somewhere else; [`OutputBytes::keep`] copies it.
    pub fn borrowed(bytes: &'a [u8]) -> Self {
        Self { bytes, buffer: None }
    }

    /// A part of a buffer. Panics beyond its end.
    #[inline]
    pub fn within(buffer: &'a Arc<OutputWords>, range: Range<usize>) -> Self {
        Self { bytes: &bytemuck::cast_slice::<u64, u8>(buffer)[range], buffer: Some(buffer) }
    }

    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The output for as long as the caller wants it.
    pub fn keep(&self) -> KeptOutput {
        let bytes = self.bytes.len();
        if bytes <= KEPT_INLINE_BYTES {
            let mut inline = [0; KEPT_INLINE_BYTES];
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
    Inline { inline: [u8; KEPT_INLINE_BYTES], bytes: usize },
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

    /// The same as an output that can be kept once more, without a copy.
    pub fn output(&self) -> OutputBytes<'_> {
        match &self.0 {
            Kept::Shared { buffer, start, bytes } => {
                OutputBytes::within(buffer, *start..start + bytes)
            }
            Kept::Inline { .. } | Kept::Copied(_) => OutputBytes::borrowed(self.bytes()),
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
        for bytes in [0, 1, KEPT_INLINE_BYTES, KEPT_INLINE_BYTES + 1, 1000] {
            let place: Vec<u8> = (0..bytes).map(|byte| byte.to_le_bytes()[0]).collect();
            let kept = OutputBytes::borrowed(&place).keep();
            assert_eq!(kept.bytes(), place);
            assert_eq!(kept.held_bytes(), if bytes > KEPT_INLINE_BYTES { bytes } else { 0 });
        }
    }
}
