//! What goes between the two threads: records behind one another, and counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::limits::LOG_CHUNK_BYTES;

/// Records that are written with one call. Its memory is used again.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Never more than it had room for at first.
    pub bytes: Vec<u8>,
    pub records: u64,
    /// The time of the first record.
    pub begun_ns: u64,
}

impl Chunk {
    pub fn new() -> Self {
        Self { bytes: Vec::with_capacity(LOG_CHUNK_BYTES), records: 0, begun_ns: 0 }
    }

    pub fn has_room_for(&self, bytes: usize) -> bool {
        self.bytes.len() + bytes <= LOG_CHUNK_BYTES
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records = 0;
    }
}

/// What is counted of the log. Both threads add, anyone reads. Each number stands for itself, so
/// that relaxed accesses are enough.
#[derive(Debug, Default)]
pub struct LogCounts {
    written: AtomicU64,
    dropped: AtomicU64,
}

impl LogCounts {
    pub(crate) fn add_written(&self, records: u64) {
        // Pairs with the load in `written`.
        self.written.fetch_add(records, Relaxed);
    }

    pub(crate) fn add_dropped(&self, records: u64) {
        // Pairs with the load in `dropped`.
        self.dropped.fetch_add(records, Relaxed);
    }

    /// Decisions and lessons that are in files.
    pub fn written(&self) -> u64 {
        // Pairs with the addition in `add_written`.
        self.written.load(Relaxed)
    }

    /// Those that are not, because the thread did not keep up, or the disk did not take them.
    pub fn dropped(&self) -> u64 {
        // Pairs with the addition in `add_dropped`.
        self.dropped.load(Relaxed)
    }
}
