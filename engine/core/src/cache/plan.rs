//! What a cache is made of, and how its memory is divided.
//!
//! ```text
//!   bytes_max  ┌───────┬─────────┬─────────────────┬──────────────────────────────┐
//!              │ cache │ waiters │ entries, index  │ arena: inputs and outputs    │
//!              └───────┴─────────┴─────────────────┴──────────────────────────────┘
//! ```

use std::sync::Arc;

use crate::cache::CacheStats;
use crate::cache::arena::Grain;
use crate::limits::{
    CACHE_BYTES_MAX, CACHE_BYTES_MIN, CACHE_EXPECTED_OUTPUT_BYTES, CACHE_STREAMED_BYTES_MIN,
    CACHE_STREAMED_INPUT_BYTES_MIN, CACHE_WAITERS_MAX, CACHE_WAITERS_PARTS,
};

/// What the cache of a model version is made of.
#[derive(Debug)]
pub struct CachePlan {
    /// All memory that it may take: [`CACHE_BYTES_MIN`] to [`CACHE_BYTES_MAX`].
    pub bytes_max: usize,
    /// What an input takes as a rule. From this follows how many entries there can be: if inputs
    /// are larger, some entries are not used; if they are smaller, some memory.
    pub input_bytes: usize,
    /// How long an output is good for. Without: for ever.
    pub ttl_ns: Option<u64>,
    /// It is on while it saves one evaluation at least in so many requests.
    pub pays_parts: u32,
    /// Keys the hash: drawn at random, so that nobody outside can find inputs that collide.
    pub seed: u64,
    pub stats: Arc<CacheStats>,
}

/// How the memory of a cache is divided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Division {
    pub waiters: usize,
    pub entries: usize,
    pub arena_bytes: usize,
    pub grain: Grain,
}

impl CachePlan {
    /// Divides the memory: `fixed_bytes` are taken already, and each waiter and each entry takes so
    /// many in tables.
    ///
    /// # Panics
    /// When the memory is not within its limits.
    pub(super) fn divide(
        &self,
        fixed_bytes: usize,
        waiter_bytes: usize,
        entry_bytes: usize,
    ) -> Division {
        let is_within = (CACHE_BYTES_MIN..=CACHE_BYTES_MAX).contains(&self.bytes_max);
        assert!(is_within, "a cache of {} bytes", self.bytes_max);
        let waiters = self.bytes_max / CACHE_WAITERS_PARTS / waiter_bytes;
        let waiters = waiters.clamp(1, CACHE_WAITERS_MAX);
        let left_bytes = self.bytes_max - fixed_bytes - waiters * waiter_bytes;
        let grain = self.grain();
        let input_bytes = grain.record_bytes(self.input_bytes.min(left_bytes));
        let output_bytes = grain.record_bytes(CACHE_EXPECTED_OUTPUT_BYTES);
        let entries = (left_bytes / (entry_bytes + input_bytes + output_bytes)).max(1);
        Division { waiters, entries, arena_bytes: left_bytes - entries * entry_bytes, grain }
    }

    fn grain(&self) -> Grain {
        let is_streamed = self.bytes_max >= CACHE_STREAMED_BYTES_MIN
            && self.input_bytes >= CACHE_STREAMED_INPUT_BYTES_MIN;
        if is_streamed { Grain::Line } else { Grain::Word }
    }
}
