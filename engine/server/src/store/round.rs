//! States that are written together.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

use cutter_core::contexts::ContextKey;

use crate::limits::{STORE_ROUND_BYTES_MAX, STORE_ROUND_NS, STORE_ROUND_STATES_MAX};

/// States that are to be written: of each the last.
#[derive(Debug, Default)]
pub(super) struct Round {
    states: HashMap<(u128, ContextKey), Vec<u8>>,
    bytes: usize,
    /// When it is to be written.
    due: Option<Instant>,
}

impl Round {
    /// Adds a state. Gives back the buffer of the one that it comes after.
    pub fn add(&mut self, series: u128, key: ContextKey, bytes: Vec<u8>) -> Option<Vec<u8>> {
        self.due.get_or_insert_with(|| Instant::now() + Duration::from_nanos(STORE_ROUND_NS));
        self.bytes += bytes.len();
        let before = match self.states.entry((series, key)) {
            Entry::Occupied(mut entry) => Some(entry.insert(bytes)),
            Entry::Vacant(entry) => {
                entry.insert(bytes);
                None
            }
        };
        self.bytes -= before.as_ref().map_or(0, Vec::len);
        before
    }

    pub fn get(&self, series: u128, key: &ContextKey) -> Option<&[u8]> {
        self.states.get(&(series, *key)).map(Vec::as_slice)
    }

    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// It is to have no more states before it is written.
    pub fn is_full(&self) -> bool {
        self.states.len() >= STORE_ROUND_STATES_MAX || self.bytes >= STORE_ROUND_BYTES_MAX
    }

    /// How long it may still wait; for ever, if it is empty.
    pub fn patience(&self) -> Option<Duration> {
        self.due.map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// It could not be written, and waits for the next try.
    pub fn put_off(&mut self, by: Duration) {
        self.due = Some(Instant::now() + by);
    }

    pub fn states(&mut self) -> impl Iterator<Item = (u128, &ContextKey, &mut [u8])> {
        self.states.iter_mut().map(|((series, key), bytes)| (*series, key, &mut **bytes))
    }

    /// It is written: gives the buffers back.
    pub fn written(&mut self) -> impl Iterator<Item = Vec<u8>> {
        (self.bytes, self.due) = (0, None);
        self.states.drain().map(|(_, bytes)| bytes)
    }
}
