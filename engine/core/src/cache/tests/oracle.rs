//! Random requests, fills and give-ups beside a map that forgets nothing. What the cache finds must
//! be what the map knows; what it does not find must have been evicted.

use std::collections::{HashMap, VecDeque};

use proptest::prelude::*;

use super::*;

const TTL_NS: u64 = 40;
const SPECS: [TensorSpec; 2] = [OUTPUT, TensorSpec::at_most(ElementType::Bytes, 1 << 20)];
const SIZES: [usize; 6] = [0, 1, 9, 700, 3_000, 6_000];

/// What the hash leaves of an input, from all to nothing; the index's part at its ends as well.
const HASHES: [Hash; 4] = [
    |input, seed| XxHash3_128::oneshot_with_seed(seed, input),
    |input, seed| XxHash3_128::oneshot_with_seed(seed, input) & 3,
    |input, seed| XxHash3_128::oneshot_with_seed(seed, input) | (u128::MAX - 3),
    |_, _| 0,
];

#[derive(Debug)]
struct Call {
    id: EntryId,
    input: Vec<u8>,
    deadline_ns: u64,
    waiters: VecDeque<(u32, u64)>,
}

#[derive(Debug)]
struct Known {
    output: Vec<u8>,
    spec: TensorSpec,
    filled_ns: u64,
}

struct World {
    cache: Cache<u32>,
    now_ns: u64,
    next: u32,
    calls: Vec<Call>,
    /// Handles of calls that are over.
    stale: Vec<EntryId>,
    known: HashMap<Vec<u8>, Known>,
    /// Where inputs were found last.
    entries: HashMap<Vec<u8>, EntryId>,
    spec: TensorSpec,
}

impl World {
    fn new(bytes_max: usize, hash: Hash) -> Self {
        let plan = CachePlan { ttl_ns: Some(TTL_NS), ..plan(bytes_max, 700) };
        let cache = Cache::with_hash(plan, hash);
        let (calls, stale, known) = (Vec::new(), Vec::new(), HashMap::new());
        let entries = HashMap::new();
        Self { cache, now_ns: 0, next: 0, calls, stale, known, entries, spec: OUTPUT }
    }

    fn fresh(&self, input: &[u8]) -> Option<&Known> {
        let known = self.known.get(input)?;
        (self.now_ns < known.filled_ns + TTL_NS).then_some(known)
    }

    fn request(&mut self, input: Vec<u8>, timeout_ns: u64) {
        let deadline_ns = self.now_ns + timeout_ns;
        self.next += 1;
        let expected = self.fresh(&input).map(|known| (known.output.clone(), known.spec));
        let stats = Arc::clone(&self.cache.stats);
        let found = self.cache.request(self.now_ns, &input, self.next, deadline_ns);
        let CacheStats { evicted, too_large, .. } = &*stats;
        let is_complete = evicted.get() + too_large.get() == 0;
        let call = self.calls.iter_mut().find(|call| call.input == input);
        match (found, call) {
            (Found::Hit(entry), None) => {
                let (output, spec) = self.cache.output(entry);
                assert_eq!(Some((output.to_vec(), *spec)), expected);
                self.entries.insert(input, entry);
            }
            (Found::Joined, Some(call)) => {
                assert!(deadline_ns >= call.deadline_ns);
                call.waiters.push_back((self.next, deadline_ns));
            }
            (Found::Miss(id), None) => {
                assert!(!self.stale.contains(&id), "a handle came back");
                assert!(expected.is_none() || !is_complete, "nothing was evicted");
                let waiters = VecDeque::new();
                self.calls.push(Call { id, input: input.clone(), deadline_ns, waiters });
                // It was evicted, and is not known any more.
                self.known.remove(&input);
            }
            (Found::Bypassed, _) => {}
            (found, call) => panic!("{found:?} though {call:?}"),
        }
    }

    fn fill(&mut self, which: prop::sample::Index, bytes: usize, spec: TensorSpec) {
        if self.calls.is_empty() {
            return;
        }
        let call = self.calls.swap_remove(which.index(self.calls.len()));
        self.next += 1;
        let output: Vec<u8> = self.next.to_le_bytes().into_iter().cycle().take(bytes).collect();
        assert!(self.cache.fill(self.now_ns, call.id, &output, &spec));
        let told: Vec<u32> = std::iter::from_fn(|| self.cache.next_waiter(call.id)).collect();
        assert!(call.waiters.iter().map(|(waiter, _)| *waiter).eq(told));
        if std::mem::replace(&mut self.spec, spec) != spec {
            self.known.clear();
        }
        self.known.insert(call.input, Known { output, spec, filled_ns: self.now_ns });
        self.stale.push(call.id);
    }

    fn give_up(&mut self, which: prop::sample::Index) {
        if self.calls.is_empty() {
            return;
        }
        let at = which.index(self.calls.len());
        let call = &mut self.calls[at];
        let next = call.waiters.pop_front();
        assert_eq!(self.cache.give_up(call.id), next.map(|(waiter, _)| waiter));
        if let Some((_, deadline_ns)) = next {
            call.deadline_ns = deadline_ns;
        } else {
            self.stale.push(self.calls.swap_remove(at).id);
        }
    }

    fn fetch(&mut self, input: &[u8]) {
        let expected = self.fresh(input).map(|known| (known.output.clone(), known.spec));
        let found = self.cache.fetch(self.now_ns, input);
        if let Some((output, spec)) = found {
            assert_eq!(Some((output.to_vec(), *spec)), expected);
        } else if self.cache.stats.evicted.get() + self.cache.stats.too_large.get() == 0 {
            assert_eq!(expected, None, "nothing was evicted");
        }
    }

    /// Who remembers where an input was found is told what is known of that input, or nothing.
    fn request_known(&mut self, input: &[u8]) {
        let Some(entry) = self.entries.get(input).copied() else { return };
        if self.cache.is_known(self.now_ns, entry) {
            let expected = self.fresh(input).map(|known| (known.output.clone(), known.spec));
            self.next += 1;
            let hits = self.cache.stats.hits.get();
            let (output, spec) = self.cache.request_known(self.now_ns, entry);
            assert_eq!(Some((output.to_vec(), *spec)), expected);
            assert_eq!(self.cache.stats.hits.get(), hits + 1);
        }
    }

    fn step(&mut self, (kind, which, number, amount): Step) {
        let bytes = SIZES[amount % SIZES.len()];
        match kind {
            0..4 => self.request(input(number), amount as u64),
            4..6 => self.fill(which, bytes, SPECS[0]),
            6 => self.fill(which, bytes + amount * 200, SPECS[usize::from(number == 0)]),
            7 => self.give_up(which),
            8 => self.now_ns += amount as u64 % 8,
            9 => self.fetch(&input(number)),
            _ => self.request_known(&input(number)),
        }
    }

    fn assert_sound(&mut self) {
        assert_sound(&self.cache);
        for id in &self.stale {
            assert!(!self.cache.fill(0, *id, b"stale", &OUTPUT));
            assert_eq!((self.cache.next_waiter(*id), self.cache.give_up(*id)), (None, None));
        }
        let pending = self.cache.entries.iter().filter(|(_, entry)| entry.is_held()).count();
        assert_eq!(pending, self.calls.len());
        let waiting: usize = self.calls.iter().map(|call| call.waiters.len()).sum();
        assert_eq!(self.cache.waiters.free() + waiting, self.cache.waiters.room());
        let CacheStats { hits, joined, misses, bypassed, .. } = &*self.cache.stats;
        let found = [hits, joined, misses, bypassed].map(crate::stats::Counter::get);
        assert!(found.iter().sum::<u64>() <= u64::from(self.next));
    }
}

/// Inputs of few lengths, of which many differ in their last byte only.
fn input(number: u8) -> Vec<u8> {
    let mut input = vec![7; SIZES[usize::from(number) % SIZES.len()]];
    if let Some(last) = input.last_mut() {
        *last = number;
    }
    input
}

type Step = (u8, prop::sample::Index, u8, usize);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0_u8..12, any::<prop::sample::Index>(), 0_u8..48, 0_usize..50), 0..600)
}

proptest! {
    #[test]
    fn it_agrees_with_a_map_whatever_its_size_and_its_hash(
        bytes_max in prop::sample::select(vec![64 << 10, 100_000, 1 << 20]),
        hash in 0..HASHES.len(),
        grain in prop::sample::select(vec![Grain::Word, Grain::Line]),
        steps in steps(),
    ) {
        let mut world = World::new(bytes_max, HASHES[hash]);
        world.cache.arena = Arena::new(world.cache.arena.bytes(), grain);
        let bytes = world.cache.bytes();
        for (number, step) in steps.into_iter().enumerate() {
            world.step(step);
            if number % 16 == 0 {
                world.assert_sound();
            }
        }
        world.assert_sound();
        prop_assert_eq!(world.cache.bytes(), bytes);
    }
}
