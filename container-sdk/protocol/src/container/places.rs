//! Which places for outputs a model was handed, and what it said of them.
//!
//! Owner: the container's one predicting thread. An output slot is used again by every batch, so
//! what a model does not write there is the output of somebody else's query. Two rules keep it
//! from being given back as an answer:
//!
//! - A place is cleared when the model is handed its address, once in a batch. An output that the
//!   SDK copies there itself needs no clearing.
//! - An item of which the model was neither handed the place nor said anything is *unwritten*, and
//!   so is one of its own length of which no length was said. It fails ([`Places::unwritten`]).
//!
//! So a model that forgets an item gives an error or zeros, never another's bytes. Clearing costs
//! one pass over what the outputs of the batch fill at most. Of a large place for outputs with
//! lengths of their own, only the first [`PLACE_CLEAR_BYTES`] are cleared, and what an earlier
//! output filled: beyond that there is only what a model wrote and did not declare.

use crate::entry::{ITEM_FAILED, ITEM_OK, ItemEntry};
use crate::layout::Geometry;
use crate::limits::PLACE_CLEAR_BYTES;
use crate::segment::Segment;

/// The status of an item of which nothing was said. It never leaves this process.
const ITEM_UNSAID: u16 = u16::MAX;

/// What happened to the place of an item in the batch in hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Nothing: it holds what an earlier batch left.
    #[default]
    Stale,
    /// The SDK wrote an output there, and knows how long it is.
    Written,
    /// It was cleared, for the model has or may have its address.
    Cleared,
}

/// The places of the batch in hand.
#[derive(Debug)]
pub(super) struct Places {
    geometry: Geometry,
    places: Box<[Place]>,
    entries: Box<[ItemEntry]>,
    /// Bytes of earlier outputs that still stand in each place of each slot; none where places are
    /// always cleared whole.
    filled: Box<[u32]>,
    slot: u32,
    count: usize,
    all_lent: bool,
    /// Items whose entry says something.
    said: usize,
    any_failed: bool,
}

impl Places {
    pub fn new(geometry: &Geometry) -> Self {
        let items = geometry.items_max as usize;
        let in_part = !geometry.is_exact() && geometry.output_stride() > PLACE_CLEAR_BYTES;
        let filled = if in_part { items * geometry.depth as usize } else { 0 };
        Self {
            geometry: *geometry,
            places: vec![Place::Stale; items].into(),
            entries: vec![ItemEntry::default(); items].into(),
            filled: vec![0; filled].into(),
            slot: 0,
            count: 0,
            all_lent: false,
            said: 0,
            any_failed: false,
        }
    }

    /// A batch comes into hand.
    pub fn begin(&mut self, slot: u32, count: usize) {
        (self.slot, self.count, self.said) = (slot, count, 0);
        (self.all_lent, self.any_failed) = (false, false);
        self.places[..count].fill(Place::Stale);
        let unsaid = ItemEntry { status: ITEM_UNSAID, message_bytes: 0, bytes_or_offset: 0 };
        self.entries[..count].fill(unsaid);
    }

    /// The model gets the address of all places.
    pub fn lend_all(&mut self, outputs: &mut Segment) {
        if self.all_lent {
            return;
        }
        if self.geometry.is_exact() && self.said == 0 {
            let bytes = self.count * self.geometry.output_stride();
            outputs.clear(self.offset(0), bytes);
        } else {
            (0..self.count).for_each(|item| self.clear(item, outputs));
        }
        self.all_lent = true;
    }

    /// The model gets the address of one place.
    pub fn lend(&mut self, item: usize, outputs: &mut Segment) {
        self.clear(item, outputs);
        if let Some(bytes) = self.geometry.output.bytes_exact()
            && self.entries[item].status == ITEM_UNSAID
        {
            self.say(item, ITEM_OK, bytes, 0);
        }
    }

    /// The output in a place has this many bytes, which the type admits.
    pub fn set_bytes(&mut self, item: usize, bytes: usize, outputs: &mut Segment) {
        self.clear(item, outputs);
        self.fill(item, bytes);
        self.say(item, ITEM_OK, bytes, 0);
    }

    /// The SDK has copied an output of this many bytes to its place.
    pub fn wrote(&mut self, item: usize, bytes: usize) {
        if self.places[item] == Place::Stale {
            self.places[item] = Place::Written;
        }
        self.fill(item, bytes);
        self.say(item, ITEM_OK, bytes, 0);
    }

    pub fn fail(&mut self, item: usize, message_start: usize, message_bytes: u16) {
        self.any_failed = true;
        self.say(item, ITEM_FAILED, message_start, message_bytes);
    }

    /// How many items would be given back without an output.
    pub fn unwritten(&self) -> usize {
        let all_are_written = self.all_lent && self.geometry.is_exact();
        if all_are_written { 0 } else { self.count - self.said }
    }

    /// Whether the model had the place of an item that is unwritten; `None` for other items.
    pub fn is_unwritten(&self, item: usize) -> Option<bool> {
        let has_place = self.all_lent || self.places[item] == Place::Cleared;
        let is_written =
            self.entries[item].status != ITEM_UNSAID || (has_place && self.geometry.is_exact());
        if is_written { None } else { Some(has_place) }
    }

    /// Whether every item has an output of the exact size.
    pub fn is_uniform(&self) -> bool {
        self.geometry.is_exact() && !self.any_failed
    }

    /// How an item ended, when none is unwritten.
    pub fn entry(&self, item: usize) -> ItemEntry {
        let entry = self.entries[item];
        if entry.status != ITEM_UNSAID {
            return entry;
        }
        let bytes_or_offset = narrow(self.geometry.output.bytes_max());
        ItemEntry { status: ITEM_OK, message_bytes: 0, bytes_or_offset }
    }

    /// Clears the place of an item, unless that was done for this batch.
    fn clear(&mut self, item: usize, outputs: &mut Segment) {
        if self.all_lent || self.places[item] == Place::Cleared {
            return;
        }
        let stride = self.geometry.output_stride();
        // What the SDK wrote in this batch stays.
        let keep = if self.places[item] == Place::Written {
            self.entries[item].bytes_or_offset as usize
        } else {
            0
        };
        let index = self.slot as usize * self.places.len() + item;
        let filled = self.filled.get_mut(index);
        let end = filled
            .as_ref()
            .map_or(stride, |filled| PLACE_CLEAR_BYTES.max(**filled as usize).min(stride));
        if let Some(filled) = filled {
            *filled = narrow(keep);
        }
        if keep < end {
            outputs.clear(self.offset(item) + keep, end - keep);
        }
        self.places[item] = Place::Cleared;
    }

    fn fill(&mut self, item: usize, bytes: usize) {
        let index = self.slot as usize * self.places.len() + item;
        if let Some(filled) = self.filled.get_mut(index) {
            *filled = (*filled).max(narrow(bytes));
        }
    }

    fn say(&mut self, item: usize, status: u16, bytes_or_offset: usize, message_bytes: u16) {
        self.said += usize::from(self.entries[item].status == ITEM_UNSAID);
        let bytes_or_offset = narrow(bytes_or_offset);
        self.entries[item] = ItemEntry { status, message_bytes, bytes_or_offset };
    }

    /// Where the place of an item starts in the outputs.
    pub fn offset(&self, item: usize) -> usize {
        let slot = self.geometry.slot_bytes() * self.slot as usize;
        slot + self.geometry.output_stride() * item
    }
}

fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("within an output slot")
}
