use super::*;

/// Memory and inputs that are written past the processor's caches.
const STREAMED: (usize, usize) = (CACHE_STREAMED_BYTES_MIN, 3136);

/// Asks for inputs that all differ, each of so many bytes, as if each of them paid.
fn ask_unique(cache: &mut Cache<u32>, numbers: std::ops::Range<u64>, bytes: usize) {
    let mut input = vec![0; bytes];
    for number in numbers {
        input[bytes - 8..].copy_from_slice(&number.to_le_bytes());
        cache.worth = Worth::new(cache.entries.room(), CACHE_PAYS_PARTS);
        let bypassed = cache.stats.bypassed.get();
        assert!(!ask(cache, &input), "no input comes twice");
        // About one in ten million finds all slots taken in which it may be.
        let is_kept = cache.stats.bypassed.get() == bypassed;
        assert!(is_kept || !cache.index.has_room(tag(cache.hash_of(&input))));
    }
}

fn ask_many_unique(requests: u64) {
    for (bytes_max, bytes) in [(CACHE_BYTES_MIN, 64), (1 << 20, 16), (1 << 20, 3136), STREAMED] {
        let mut cache = Cache::new(plan(bytes_max, bytes));
        let (before, nodes) = (cache.bytes(), cache.waiters.free());
        ask_unique(&mut cache, 0..requests, bytes);
        assert_sound(&cache);
        assert_eq!((cache.bytes(), cache.waiters.free()), (before, nodes));
        let CacheStats { misses, bypassed, evicted, .. } = &*cache.stats;
        assert_eq!(misses.get() + bypassed.get(), requests);
        assert_eq!(misses.get() - evicted.get(), cache.entries_used as u64);
        assert!(bypassed.get() <= requests / 1_000_000, "{} bypassed", bypassed.get());
    }
}

#[test]
fn memory_is_flat_over_many_inputs_that_all_differ() {
    ask_many_unique(100_000);
}

#[test]
#[ignore = "takes minutes without optimisation"]
fn memory_is_flat_over_ten_million_inputs_that_all_differ() {
    ask_many_unique(10_000_000);
}

#[test]
fn it_takes_no_more_than_it_may_and_counts_all_that_it_takes() {
    for (bytes_max, input_bytes) in
        [(CACHE_BYTES_MIN, 0), (1 << 20, 64), (10_000_019, 3136), STREAMED]
    {
        let cache: Cache<(u64, u32)> = Cache::new(plan(bytes_max, input_bytes));
        let Cache { arena, index, entries, waiters, .. } = &cache;
        let waiters = Waiters::<(u64, u32)>::table_bytes(waiters.free());
        let tables = Slab::<Entry, OfEntry>::table_bytes(entries.room()) + waiters;
        let index_bytes = Index::table_bytes(entries.room());
        assert_eq!(index.slots_bytes(), index_bytes);
        let all = size_of_val(&cache) + arena.bytes() + tables + index_bytes;
        assert_eq!(cache.bytes(), all);
        assert_eq!(cache.stats.bytes.get(), all as u64);
        assert!((bytes_max - 63..=bytes_max).contains(&all), "{all} of {bytes_max}");
    }
}

#[test]
fn nearly_all_memory_is_used_by_inputs_of_the_size_that_was_expected() {
    for (bytes_max, bytes) in [(1 << 20, 64), (1 << 20, 3136), STREAMED] {
        let mut cache = Cache::new(plan(bytes_max, bytes));
        ask_unique(&mut cache, 0..10_000, bytes);
        assert!(cache.entries_used * 100 >= cache.entries.room() * 99);
        let used: usize = cache.arena.records().iter().map(|record| record.bytes).sum();
        assert!(used * 10 >= cache.arena.bytes() * 6, "{used} of {}", cache.arena.bytes());
    }
}

#[test]
fn what_is_asked_for_again_stays_and_what_is_not_makes_room() {
    let mut cache = Cache::new(plan(CACHE_BYTES_MIN, 64));
    ask(&mut cache, b"asked for again");
    ask(&mut cache, b"asked for once");
    for round in 0..50 {
        ask_unique(&mut cache, round * 100..round * 100 + 100, 64);
        assert!(ask(&mut cache, b"asked for again"), "round {round}");
    }
    assert!(!ask(&mut cache, b"asked for once"));
}

#[test]
fn a_pending_entry_is_never_evicted() {
    let mut cache = Cache::new(plan(CACHE_BYTES_MIN, 64));
    let id = lead(&mut cache, b"pending");
    ask_unique(&mut cache, 0..1_000, 64);
    assert!(cache.stats.evicted.get() > 0);
    assert_eq!(cache.request(0, b"pending", 1, DUE_NS), Found::Joined);
    assert!(cache.fill(0, id, b"out", &OUTPUT));
    ask_unique(&mut cache, 1_000..2_000, 64);
    assert_eq!(cache.next_waiter(id), Some(1), "nor one of whom somebody is to be told");
    assert_sound(&cache);
}

#[test]
fn while_all_is_pending_others_are_bypassed_and_afterwards_not() {
    for bytes in [8, 2_000] {
        let mut cache = Cache::new(plan(CACHE_BYTES_MIN, 64));
        let input = |number: usize| vec![u8::try_from(number % 251).unwrap(); bytes + number];
        let lead = |number| match cache.request(0, &input(number), 0, DUE_NS) {
            Found::Miss(id) => Some(id),
            _ => None,
        };
        let led: Vec<EntryId> = (0..1_000).map_while(lead).collect();
        assert!(led.len() > 10 && led.len() < 1_000);
        assert_eq!(cache.request(0, &input(led.len()), 0, DUE_NS), Found::Bypassed);
        assert_eq!(cache.stats.evicted.get(), 0);
        assert_sound(&cache);
        assert!(led.iter().all(|id| cache.give_up(*id).is_none()));
        assert_eq!(cache.entries_used, 0);
        assert!(!ask(&mut cache, b"another") && ask(&mut cache, b"another"));
    }
}

#[test]
fn an_input_that_is_too_large_is_not_kept() {
    let mut cache = cache();
    let limit = cache.arena.bytes() / 8 - 8;
    let large = vec![1; limit / 8 * 8 + 1];
    assert_eq!(cache.request(0, &large, 0, DUE_NS), Found::Bypassed);
    assert_eq!((cache.stats.too_large.get(), cache.entries_used), (1, 0));
    assert!(matches!(cache.request(0, &large[1..], 0, DUE_NS), Found::Miss(_)));
}

#[test]
fn an_entry_is_found_though_all_hashes_are_the_same() {
    let mut cache = Cache::with_hash(plan(1 << 20, 64), |_, _| u128::MAX);
    let inputs: Vec<[u8; 2]> = (0..60).map(|number| [number, 1]).collect();
    assert!(inputs.iter().all(|input| !ask(&mut cache, input)));
    for input in &inputs {
        assert_eq!(cache.fetch(0, input), Some((&output(input)[..], &OUTPUT)));
    }
}
