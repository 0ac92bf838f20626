//! A replica that keeps to nothing: it has its own writable mappings of what a replica writes, and
//! computes the places in them by itself, from the picture in `layout`.

use std::os::fd::AsFd;
use std::sync::atomic::AtomicU64;

use cutter_protocol::engine::{EngineEnd, PoolChange};
use cutter_protocol::entry::{
    Completion, FLAG_UNIFORM, ITEM_FAILED, ITEM_OK, ItemEntry, STATUS_OK, Ticket,
};
use cutter_protocol::layout::Geometry;
use cutter_protocol::segment::Segment;
use cutter_tensor::TensorSpec;

/// Tickets and items of the incarnations that a replica of this kind is set upon.
pub const DEPTH: u32 = 2;
pub const ITEMS_MAX: u32 = 16;

const WORD: usize = 8;
const ENTRY: usize = 64;
/// Where the completion ring starts.
const RING: usize = 128;
const MESSAGE_AREA: usize = 4096;

#[derive(Debug)]
pub struct Peer {
    pub geometry: Geometry,
    /// Completions published so far.
    pub position: u64,
    completions: Segment,
    outputs: Segment,
}

impl Peer {
    pub fn of(engine: &EngineEnd) -> Self {
        let geometry = *engine.geometry();
        let [_, completions, outputs, _] = engine.descriptors();
        let open = |fd: std::os::fd::BorrowedFd<'_>, bytes| {
            let fd = fd.as_fd().try_clone_to_owned().expect("a descriptor is free");
            // SAFETY: what a replica of this kind writes is what the engine is to bear; the tests
            // keep to one writer, or write words.
            let segment = unsafe { Segment::open_writable(fd, bytes) };
            segment.expect("a replica maps these writable")
        };
        Self {
            completions: open(completions, geometry.completions_bytes()),
            outputs: open(outputs, geometry.outputs_bytes()),
            position: 0,
            geometry,
        }
    }

    /// Words of the completions segment.
    pub fn words(&self) -> usize {
        self.completions.bytes() / WORD
    }

    pub fn ring_words(&self) -> std::ops::Range<usize> {
        RING / WORD..(RING + self.ring_entries() * ENTRY) / WORD
    }

    pub fn item_table_words(&self) -> std::ops::Range<usize> {
        self.item_entry(0, 0) / WORD..self.message(0) / WORD
    }

    pub fn set_word(&mut self, word: usize, value: u64) {
        self.completions.bytes_mut(word * WORD, WORD).copy_from_slice(&value.to_le_bytes());
    }

    pub fn set_item(&mut self, slot: u32, item: u32, entry: ItemEntry) {
        let place = self.item_entry(slot, item);
        let bytes = bytemuck::bytes_of(&entry);
        self.completions.bytes_mut(place, bytes.len()).copy_from_slice(bytes);
    }

    pub fn item(&mut self, slot: u32, item: u32) -> ItemEntry {
        let place = self.item_entry(slot, item);
        bytemuck::pod_read_unaligned(self.completions.bytes_mut(place, WORD))
    }

    /// The item table of a slot, to be written while the engine reads it.
    pub fn item_table(&mut self, slot: u32) -> &[AtomicU64] {
        let (place, items) = (self.item_entry(slot, 0), self.geometry.items_max as usize);
        let table = self.completions.bytes_mut(place, items * WORD);
        // SAFETY: whole words on multiples of 8, borrowed like the bytes that they replace; other
        // mappings of the same memory access them as atomics too.
        unsafe { std::slice::from_raw_parts(table.as_mut_ptr().cast(), items) }
    }

    /// All that a replica can write, to be written while the engine reads it: the completions and
    /// the outputs.
    pub fn all_words(&mut self) -> [&[AtomicU64]; 2] {
        fn atomics(segment: &mut Segment) -> &[AtomicU64] {
            let bytes = segment.bytes_mut(0, segment.bytes());
            // SAFETY: whole words of a page-aligned mapping, borrowed like the bytes that they
            // replace; other mappings of the same memory access them as atomics too.
            unsafe { std::slice::from_raw_parts(bytes.as_mut_ptr().cast(), bytes.len() / WORD) }
        }
        [atomics(&mut self.completions), atomics(&mut self.outputs)]
    }

    /// The first word of the ring's entry for the completion after `taken` others.
    pub fn entry_word(&self, taken: u64) -> usize {
        self.ring_entry(taken) / WORD
    }

    /// The entry of the ring in which the completion after `taken` others belongs.
    pub fn entry(&mut self, taken: u64) -> Completion {
        let place = self.ring_entry(taken);
        bytemuck::pod_read_unaligned(self.completions.bytes_mut(place, ENTRY))
    }

    /// The area for the messages of a slot, which for changes of the pools is the depth.
    pub fn messages(&mut self, slot: u32) -> &mut [u8] {
        let place = self.message(slot);
        self.completions.bytes_mut(place, MESSAGE_AREA)
    }

    /// The output slot of a ticket.
    pub fn outputs(&mut self, slot: u32) -> &mut [u8] {
        let bytes = self.geometry.slot_bytes();
        self.outputs.bytes_mut(bytes * slot as usize, bytes)
    }

    /// What a replica says of a batch whose items all have the exact output.
    pub fn uniform(&self, ticket: Ticket, item_count: u32) -> Completion {
        Completion { flags: FLAG_UNIFORM, ..self.by_table(ticket, item_count) }
    }

    /// What a replica says of a batch whose items are told by the item table.
    pub fn by_table(&self, ticket: Ticket, item_count: u32) -> Completion {
        Completion {
            stamp: 0,
            ticket,
            status: STATUS_OK,
            flags: 0,
            item_count,
            output_bytes: u64::from(item_count) * self.geometry.output_stride() as u64,
            inline: [0; 2],
            message_bytes: 0,
            reserved: 0,
            reserved_word: 0,
        }
    }

    /// What a replica says of a change of the pools that it has made.
    pub fn changed(&self, ticket: Ticket) -> Completion {
        Completion { output_bytes: 0, ..self.by_table(ticket, 0) }
    }

    /// Publishes at the next place of the ring, whatever the stamp in `completion` says.
    pub fn publish(&mut self, completion: Completion) {
        let stamp = self.position + 1;
        self.publish_stamped(Completion { stamp, ..completion });
    }

    /// Publishes at the next place of the ring.
    pub fn publish_stamped(&mut self, completion: Completion) {
        let place = self.ring_entry(self.position);
        let bytes = bytemuck::bytes_of(&completion);
        self.completions.bytes_mut(place, ENTRY).copy_from_slice(bytes);
        self.position += 1;
    }

    /// Entries of the completion ring.
    pub fn ring_entries(&self) -> usize {
        (self.geometry.depth as usize + 2).next_power_of_two()
    }

    fn ring_entry(&self, position: u64) -> usize {
        let entry = position % self.ring_entries() as u64;
        RING + ENTRY * usize::try_from(entry).expect("a small remainder")
    }

    fn item_entry(&self, slot: u32, item: u32) -> usize {
        let table = (self.geometry.items_max as usize * WORD).next_multiple_of(RING);
        let tables = RING + self.ring_entries() * ENTRY;
        tables + table * slot as usize + WORD * item as usize
    }

    fn message(&self, slot: u32) -> usize {
        self.item_entry(self.geometry.depth, 0) + MESSAGE_AREA * slot as usize
    }
}

pub fn ends(output: TensorSpec) -> (EngineEnd, Peer) {
    let geometry = Geometry::fit(DEPTH, ITEMS_MAX, output).expect("well within the limits");
    let engine = EngineEnd::create(geometry).expect("memory for a small incarnation");
    let peer = Peer::of(&engine);
    (engine, peer)
}

pub fn submit(engine: &mut EngineEnd, items: u32) -> Ticket {
    let rows: Vec<_> = (0..items).map(|row| super::row_ref(0, row, 8)).collect();
    engine.submit(&rows, 0).0
}

/// Asks for a change of the pools. Gives its ticket.
pub fn change(engine: &mut EngineEnd, change: PoolChange) -> Ticket {
    match change {
        PoolChange::Map { pool } => engine.map_pool(pool),
        PoolChange::Unmap { pool } => engine.unmap_pool(pool),
    };
    let (ticket, under_way) = engine.view().change.expect("asked for above");
    assert_eq!(under_way, change);
    ticket
}

pub fn ok(bytes: u32) -> ItemEntry {
    ItemEntry { status: ITEM_OK, message_bytes: 0, bytes_or_offset: bytes }
}

pub fn failed(offset: u32, message_bytes: u16) -> ItemEntry {
    ItemEntry { status: ITEM_FAILED, message_bytes, bytes_or_offset: offset }
}
