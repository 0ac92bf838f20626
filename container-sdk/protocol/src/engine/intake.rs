//! Copies of what a replica wrote, made once for each completion.
//!
//! Owner: the engine thread. Outputs are copied in pieces of at most [`COPY_BYTES_MAX`], so that a
//! large one does not hold up everybody else; a batch of ordinary size is one piece. While the
//! pieces are copied the ticket stays in flight: the replica that keeps to the protocol does not
//! write there, and one that does not spoils its own outputs only.
//!
//! The buffer is small at first and grows to what completions need, not to what a container
//! declared. It is private to
//! one completion unless an output of it was kept ([`super::KeptOutput`]): then the next one gets
//! a new buffer.
//!
//! Where items have lengths of their own, only what they hold is copied, one item behind the
//! other; so a buffer is as large as a batch's outputs, whatever bound was declared.

use std::sync::Arc;

use cutter_tensor::{Extent, OutputWords};

use crate::entry::{Completion, ITEM_FAILED, ITEM_OK, ItemEntry};
use crate::layout::Geometry;
use crate::limits::{COPY_BYTES_MAX, MESSAGE_AREA_BYTES, OUTPUT_COPY_BYTES_AT_START};
use crate::violation::Violation;
use crate::words::SharedWords;

const WORD_BYTES: usize = size_of::<u64>();
const COPY_WORDS_MAX: usize = COPY_BYTES_MAX / WORD_BYTES;

/// The copies of the completion that is looked at.
#[derive(Debug)]
pub(super) struct Intake {
    pub items: Box<[u64]>,
    /// Where the output of each item starts in `outputs`, in bytes.
    pub starts: Box<[u32]>,
    pub messages: Box<[u64]>,
    pub inline: [u64; 2],
    pub outputs: Arc<OutputWords>,
    /// Words of an output slot: no completion needs more.
    slot_words: usize,
}

/// How far the outputs of a batch are copied.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copying {
    /// The first word of the batch's output slot.
    slot_word: usize,
    total_words: usize,
    done_words: usize,
    runs: Runs,
}

/// The runs of words that hold the outputs of a batch.
#[derive(Clone, Copy, Debug)]
enum Runs {
    /// All items lie as one matrix.
    One,
    /// Each item has a run, as long as its entry says. `done_words` are those of `item`.
    PerItem { items: usize, item: usize, done_words: usize },
}

impl Intake {
    pub fn new(geometry: &Geometry) -> Self {
        let slot_words = geometry.slot_bytes() / WORD_BYTES;
        let at_start = slot_words.min(OUTPUT_COPY_BYTES_AT_START / WORD_BYTES);
        Self {
            items: vec![0; geometry.item_table_words()].into(),
            starts: vec![0; geometry.items_max as usize].into(),
            messages: vec![0; MESSAGE_AREA_BYTES / WORD_BYTES].into(),
            inline: [0; 2],
            outputs: Arc::new(vec![0; at_start].into()),
            slot_words,
        }
    }

    pub fn copy_messages(&mut self, completions: &SharedWords, geometry: &Geometry, slot: u32) {
        completions.copy_out(geometry.message_area_word(slot), &mut self.messages);
    }

    /// Copies the item table of a batch and checks the copy. Says whether any item failed.
    pub fn copy_items(
        &mut self,
        completions: &SharedWords,
        geometry: &Geometry,
        completion: &Completion,
    ) -> Result<bool, Violation> {
        let items = &mut self.items[..completion.item_count as usize];
        completions.copy_out(geometry.item_table_word(completion.ticket.slot), items);
        let stride = geometry.output_stride() as u64;
        let (mut any_failed, mut needed) = (false, 0);
        for (item, word) in (0..completion.item_count).zip(items) {
            let entry: ItemEntry = bytemuck::cast(*word);
            check_item(geometry, item, &entry)?;
            any_failed |= entry.status == ITEM_FAILED;
            if entry.status == ITEM_OK {
                needed = u64::from(item) * stride + u64::from(entry.bytes_or_offset);
            }
        }
        let found = completion.output_bytes;
        if found < needed { Err(Violation::Short { found, needed }) } else { Ok(any_failed) }
    }

    /// Plans the copying of a batch whose items lie as one matrix and are all there.
    pub fn plan_matrix(geometry: &Geometry, slot: u32, items: usize) -> Copying {
        let total_words = (items * geometry.output_stride()).div_ceil(WORD_BYTES);
        Copying { slot_word: geometry.slot_word(slot), total_words, done_words: 0, runs: Runs::One }
    }

    /// Plans the copying of a batch by its checked item table, and says where each item's output
    /// will start.
    pub fn plan_table(&mut self, geometry: &Geometry, slot: u32, items: usize) -> Copying {
        let stride = geometry.output_stride();
        if matches!(geometry.output.extent, Extent::Exact(_)) {
            for (item, start) in self.starts[..items].iter_mut().enumerate() {
                *start = narrow(item * stride);
            }
            return Self::plan_matrix(geometry, slot, items);
        }
        let mut total_words = 0;
        for (start, word) in self.starts.iter_mut().zip(&self.items[..items]) {
            *start = narrow(total_words * WORD_BYTES);
            total_words += output_words(*word);
        }
        let runs = Runs::PerItem { items, item: 0, done_words: 0 };
        Copying { slot_word: geometry.slot_word(slot), total_words, done_words: 0, runs }
    }

    /// Copies on, at most [`COPY_BYTES_MAX`]. Says whether all is copied.
    pub fn copy_outputs(
        &mut self,
        outputs: &SharedWords,
        geometry: &Geometry,
        copying: &mut Copying,
    ) -> bool {
        let buffer = room(&mut self.outputs, copying.total_words, self.slot_words);
        let Runs::PerItem { items, item, done_words } = &mut copying.runs else {
            let done = copying.done_words;
            let words = (copying.total_words - done).min(COPY_WORDS_MAX);
            outputs.copy_out(copying.slot_word + done, &mut buffer[done..done + words]);
            copying.done_words += words;
            return copying.done_words == copying.total_words;
        };
        let stride_words = geometry.output_stride() / WORD_BYTES;
        let mut left_words = COPY_WORDS_MAX;
        while *item < *items {
            let item_words = output_words(self.items[*item]);
            let words = (item_words - *done_words).min(left_words);
            let from = copying.slot_word + *item * stride_words + *done_words;
            let place = &mut buffer[copying.done_words..copying.done_words + words];
            outputs.copy_out(from, place);
            left_words -= words;
            copying.done_words += words;
            *done_words += words;
            if *done_words < item_words {
                return false;
            }
            (*item, *done_words) = (*item + 1, 0);
        }
        true
    }
}

/// The buffer, with room for `words`, and this completion's alone. It becomes another one only at
/// the first piece: while pieces are copied, nobody can keep an output.
fn room(buffer: &mut Arc<OutputWords>, words: usize, slot_words: usize) -> &mut [u64] {
    if buffer.len() < words || Arc::strong_count(buffer) > 1 {
        let words = words.next_power_of_two().min(slot_words);
        *buffer = Arc::new(vec![0; words].into());
    }
    Arc::get_mut(buffer).expect("nobody keeps an output of it")
}

/// The words that the output of an item fills, by its checked entry.
fn output_words(entry: u64) -> usize {
    let entry: ItemEntry = bytemuck::cast(entry);
    if entry.status == ITEM_OK { (entry.bytes_or_offset as usize).div_ceil(WORD_BYTES) } else { 0 }
}

fn check_item(geometry: &Geometry, item: u32, entry: &ItemEntry) -> Result<(), Violation> {
    let ItemEntry { status, message_bytes, bytes_or_offset: bytes } = *entry;
    let fits = match status {
        ITEM_OK => message_bytes == 0 && geometry.output.admits_bytes(bytes as usize),
        ITEM_FAILED => {
            let end = (bytes as usize).checked_add(usize::from(message_bytes));
            end.is_some_and(|end| end <= MESSAGE_AREA_BYTES)
        }
        _ => false,
    };
    fits.then_some(()).ok_or(Violation::Item { item, status, bytes, message_bytes })
}

fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("within an output slot")
}
