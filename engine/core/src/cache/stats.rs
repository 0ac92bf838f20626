//! What is counted of one cache.

use crate::stats::{Counter, Gauge};

/// Written by the engine thread, read by any.
///
/// Each request is one of `hits`, `joined`, `misses` and `bypassed`.
#[derive(Debug, Default)]
pub struct CacheStats {
    /// Requests answered from the cache.
    pub hits: Counter,
    /// Requests that wait for the output of an identical call under way.
    pub joined: Counter,
    /// Requests that are evaluated for whoever asks the same.
    pub misses: Counter,
    /// Requests that are evaluated for themselves: the cache was off, had no room for them, or the
    /// identical call under way may come too late for them.
    pub bypassed: Counter,
    /// Entries that were dropped for others, and outputs for which there was no room.
    pub evicted: Counter,
    /// Entries that were too old when they were asked for, or of a type that the model no longer
    /// has.
    pub expired: Counter,
    /// Inputs and outputs that were not kept because of their size.
    pub too_large: Counter,
    /// Entries that there are.
    pub entries: Gauge,
    /// All memory that the cache has taken.
    pub bytes: Gauge,
    /// 1 while it is off because it does not pay, else 0.
    pub is_off: Gauge,
}
