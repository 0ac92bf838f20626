//! The families of what is kept: outputs in caches, what was learned in the store, decisions in the
//! log. Nothing where there is none.

use std::fmt;
use std::sync::Arc;

use cutter_core::cache::CacheStats;
use cutter_core::stats::{Counter, Gauge, ModelStats};

use super::{Families, by_model};
use crate::counted::Counted;
use crate::decision_log::LogCounts;
use crate::store::StoreCounts;

pub(super) fn encode(families: &mut Families<'_>, counted: &Counted) -> fmt::Result {
    if !counted.caches.is_empty() {
        encode_cache_counts(families, &counted.caches)?;
        encode_cache_gauges(families, &counted.caches)?;
    }
    counted.store.iter().try_for_each(|store| encode_store(families, store))?;
    counted.decision_log.iter().try_for_each(|log| encode_log(families, log))
}

/// Of a model that has one.
type Cached = (Arc<ModelStats>, Arc<CacheStats>);

fn encode_cache_counts(families: &mut Families<'_>, caches: &[Cached]) -> fmt::Result {
    let per_cache = |pick: fn(&CacheStats) -> &Counter| {
        caches.iter().map(move |(model, cache)| (by_model(model), pick(cache)))
    };
    families.counters(
        "cutter_cache_requests",
        "Calls of a model that has a cache, by what they found there.",
        None,
        caches.iter().flat_map(|(model, cache)| {
            let [name, version] = by_model(model);
            [
                ("hit", &cache.hits),
                ("joined", &cache.joined),
                ("missed", &cache.misses),
                ("bypassed", &cache.bypassed),
            ]
            .map(|(found, counter)| ([name, version, ("found", found)], counter))
        }),
    )?;
    families.counters(
        "cutter_cache_evicted",
        "Outputs that gave their place in the cache to others, or found none.",
        None,
        per_cache(|cache| &cache.evicted),
    )?;
    families.counters(
        "cutter_cache_expired",
        "Outputs that were too old when they were asked for.",
        None,
        per_cache(|cache| &cache.expired),
    )?;
    families.counters(
        "cutter_cache_too_large",
        "Inputs and outputs that are too large for the cache.",
        None,
        per_cache(|cache| &cache.too_large),
    )
}

fn encode_cache_gauges(families: &mut Families<'_>, caches: &[Cached]) -> fmt::Result {
    let per_cache = |pick: fn(&CacheStats) -> &Gauge| {
        caches.iter().map(move |(model, cache)| (by_model(model), pick(cache)))
    };
    families.gauges(
        "cutter_cache_entries",
        "Outputs that the cache has or awaits.",
        per_cache(|cache| &cache.entries),
    )?;
    families.gauges(
        "cutter_cache_bytes",
        "Memory that the cache has taken.",
        per_cache(|cache| &cache.bytes),
    )?;
    families.gauges(
        "cutter_cache_off",
        "1 while the cache is off since it does not pay, else 0.",
        per_cache(|cache| &cache.is_off),
    )
}

fn encode_store(families: &mut Families<'_>, store: &StoreCounts) -> fmt::Result {
    families.counter("cutter_store_saved", "States of policies written.", None, &store.saved)?;
    families.counter(
        "cutter_store_answered",
        "States of policies asked for and answered.",
        None,
        &store.answered,
    )?;
    families.counter(
        "cutter_store_failures",
        "Writes and reads of the store that failed, and were tried again.",
        None,
        &store.failures,
    )?;
    families.counter(
        "cutter_store_unusable",
        "States that could not be used: damaged, or of another version of the policy.",
        None,
        &store.unusable,
    )
}

fn encode_log(families: &mut Families<'_>, log: &LogCounts) -> fmt::Result {
    families.count(
        "cutter_decision_log_records_written",
        "Decisions and lessons that are in the log.",
        log.written(),
    )?;
    families.count(
        "cutter_decision_log_records_dropped",
        "Decisions and lessons that the log did not take in time.",
        log.dropped(),
    )
}
