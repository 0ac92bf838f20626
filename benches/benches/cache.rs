//! `cargo bench -p cutter-benches --bench cache`: the prediction cache alone. What a request costs
//! by what it finds and by the size of its input, in a cache that is full.
//!
//! - `miss`: a request that finds nothing, and the output that is kept for the next who ask: hash,
//!   insertion of both, and eviction of others. `hit`: an output that is there, `join`: an
//!   identical call under way.
//! - `copy`: the input alone, copied in the usual way behind the one before, around memory of the
//!   same size: what a miss is measured by. `stream`: the same past the processor's caches, as the
//!   cache does it with large inputs.
//! - `cost_ns`: one of them, as a mean; beside it, as quantiles, of 32 each.
//! - `memory_bytes`: all that the cache takes, of `allowed_bytes`; `entries_kept`: how many fit.

use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cutter_bench_support::ROUNDS;
use cutter_bench_support::cores::Cores;
use cutter_bench_support::measurement::{Measurement, Round, Rounds, median};
use cutter_bench_support::options::Options;
use cutter_bench_support::processes::limit_time;
use cutter_bench_support::report::{p50, print_note, print_ratio, print_table, write_json};
use cutter_core::cache::{Cache, CachePlan, CacheStats, EntryId, Found};
use cutter_core::limits::CACHE_PAYS_PARTS;
use cutter_lines::{LINE_BYTES, Lines};
use cutter_tensor::{ElementType, TensorSpec};
use cutter_tools::floor::cores::pin;

const SIZES_BYTES: [usize; 3] = [64, 3136, 64 << 10];
/// More than a processor's caches hold.
const MEMORY_BYTES: usize = 256 << 20;
/// Requests that are timed together: a look at the clock costs as much as some of them.
const BATCH: usize = 32;
/// Requests of a round.
const REQUESTS: usize = 20_000 / BATCH * BATCH;
/// Of a batch, those that are asked for again: enough for a cache that pays.
const HITS: usize = 2;
/// From one input that is recalled to the next.
const STRIDE: u64 = 97;
/// The output of each input: ten floats.
const OUTPUT: [u8; 40] = [7; 40];
const SPEC: TensorSpec = TensorSpec::at_most(ElementType::Float32, 40);

const COLUMNS: [&str; 4] = ["cost_ns", "memory_bytes", "allowed_bytes", "entries_kept"];

/// What a request meets.
type Way = fn(&mut Bench) -> Round;

/// A full cache, and inputs of which no two are alike.
struct Bench {
    cache: Cache<u64>,
    stats: Arc<CacheStats>,
    inputs: Vec<Vec<u8>>,
    number: u64,
    recalled: u64,
    /// Inputs are copied around it, from here on.
    ring: Vec<u8>,
    ring_at: usize,
    /// The same past the caches.
    lines: Lines,
    lines_at: usize,
}

fn main() -> io::Result<()> {
    let options = Options::read();
    pin(Cores::choose()?.engine)?;
    limit_time();
    let measurements: Vec<Measurement> = SIZES_BYTES.into_iter().flat_map(measure).collect();
    let title = format!("a cache of {} MiB that is full", MEMORY_BYTES >> 20);
    print_table(&title, &measurements, &COLUMNS);
    print_note("aim for miss_3136: a cost under 500 ns");
    print_ratio(&measurements, ("miss_3136", "copy_3136"), ("p50", p50), "");
    print_ratio(&measurements, ("stream_3136", "copy_3136"), ("p50", p50), "");
    write_json(&options, &measurements)
}

fn measure(input_bytes: usize) -> [Measurement; 5] {
    let mut bench = Bench::new(input_bytes);
    let ways: [(&str, Way); 5] = [
        ("miss", Bench::misses),
        ("hit", Bench::hits),
        ("join", Bench::joins),
        ("copy", Bench::copies),
        ("stream", Bench::streams),
    ];
    ways.map(|(name, way)| {
        let mut rounds = Rounds::new(&format!("{name}_{input_bytes}"));
        let costs_ns: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let round = way(&mut bench);
                let cost_ns = round.elapsed.as_secs_f64() * 1e9 / round.latencies_ns.len() as f64;
                rounds.add(round);
                cost_ns
            })
            .collect();
        bench.cache.publish_gauges();
        rounds
            .finish()
            .with("cost_ns", median(costs_ns.into_iter()))
            .with("memory_bytes", bench.cache.bytes() as f64)
            .with("allowed_bytes", MEMORY_BYTES as f64)
            .with("entries_kept", bench.stats.entries.get() as f64)
    })
}

impl Bench {
    fn new(input_bytes: usize) -> Self {
        let stats = Arc::<CacheStats>::default();
        let cache = Cache::new(CachePlan {
            bytes_max: MEMORY_BYTES,
            input_bytes,
            ttl_ns: None,
            pays_parts: CACHE_PAYS_PARTS,
            seed: 1,
            stats: Arc::clone(&stats),
        });
        let inputs = vec![vec![0; input_bytes]; BATCH];
        let ring = vec![u8::MAX; MEMORY_BYTES];
        let mut bench = Self {
            cache,
            stats,
            inputs,
            number: 0,
            recalled: 0,
            ring,
            ring_at: 0,
            lines: Lines::new(MEMORY_BYTES / LINE_BYTES, u8::MAX),
            lines_at: 0,
        };
        while bench.stats.evicted.get() == 0 {
            bench.renew();
            let ids = bench.lead();
            bench.fill(ids);
            bench.hit(HITS);
        }
        bench
    }

    /// Inputs that were never asked for.
    fn renew(&mut self) {
        for input in &mut self.inputs {
            self.number += 1;
            name(input, self.number);
        }
    }

    /// Inputs that were asked for some time ago, here and there in memory.
    fn recall(&mut self) {
        self.cache.publish_gauges();
        let kept = self.stats.entries.get() / 2;
        for input in &mut self.inputs {
            self.recalled += STRIDE;
            name(input, self.number - self.recalled % kept);
        }
    }

    fn lead(&mut self) -> [EntryId; BATCH] {
        std::array::from_fn(|at| self.lead_one(at))
    }

    fn lead_one(&mut self, at: usize) -> EntryId {
        let found = self.cache.request(0, black_box(&self.inputs[at]), 0, u64::MAX);
        let Found::Miss(id) = found else { panic!("{found:?}: nobody asked for it before") };
        id
    }

    fn fill(&mut self, ids: [EntryId; BATCH]) {
        for id in ids {
            assert!(self.cache.fill(0, id, black_box(&OUTPUT), &SPEC));
            while self.cache.next_waiter(id).is_some() {}
        }
    }

    /// Asks for the first inputs again: a cache that saves nothing turns itself off.
    fn hit(&mut self, inputs: usize) {
        for input in &self.inputs[..inputs] {
            let found = self.cache.request(0, black_box(input), 0, u64::MAX);
            let Found::Hit(entry) = found else { panic!("{found:?}: it was asked for before") };
            black_box(self.cache.output(entry));
        }
    }

    fn misses(&mut self) -> Round {
        let run = |bench: &mut Self| {
            for at in 0..BATCH {
                let id = bench.lead_one(at);
                assert!(bench.cache.fill(0, id, black_box(&OUTPUT), &SPEC));
            }
        };
        self.time(Self::renew, run, |bench, ()| bench.hit(HITS))
    }

    fn hits(&mut self) -> Round {
        self.time(Self::recall, |bench| bench.hit(BATCH), |_, ()| ())
    }

    fn joins(&mut self) -> Round {
        let prepare = |bench: &mut Self| {
            bench.renew();
            bench.lead()
        };
        let run = |bench: &mut Self| {
            for input in &bench.inputs {
                let found = bench.cache.request(0, black_box(input), 0, u64::MAX);
                assert!(matches!(black_box(found), Found::Joined));
            }
        };
        self.time(prepare, run, Self::fill)
    }

    fn copies(&mut self) -> Round {
        let run = |bench: &mut Self| {
            for input in &bench.inputs {
                if bench.ring_at + input.len() > bench.ring.len() {
                    bench.ring_at = 0;
                }
                bench.ring[bench.ring_at..][..input.len()].copy_from_slice(black_box(input));
                bench.ring_at += input.len();
            }
            black_box(&bench.ring);
        };
        self.time(Self::renew, run, |_, ()| ())
    }

    fn streams(&mut self) -> Round {
        let run = |bench: &mut Self| {
            for input in &bench.inputs {
                let mark = [0; 8];
                let bytes = (mark.len() + input.len()).next_multiple_of(LINE_BYTES);
                if bench.lines_at + bytes > bench.lines.bytes() {
                    bench.lines_at = 0;
                }
                bench.lines.stream(bench.lines_at, mark, black_box(input));
                bench.lines_at += bytes;
            }
            black_box(&bench.lines);
        };
        self.time(Self::renew, run, |_, ()| ())
    }

    /// Times `run` alone, of a batch each time.
    fn time<P>(
        &mut self,
        prepare: fn(&mut Self) -> P,
        run: fn(&mut Self),
        finish: fn(&mut Self, P),
    ) -> Round {
        let mut latencies_ns = Vec::with_capacity(REQUESTS);
        let mut elapsed = Duration::ZERO;
        while latencies_ns.len() < REQUESTS {
            let prepared = prepare(self);
            let start = Instant::now();
            run(self);
            let batch = start.elapsed();
            finish(self, prepared);
            elapsed += batch;
            let each_ns = u64::try_from(batch.as_nanos()).unwrap_or(u64::MAX) / BATCH as u64;
            latencies_ns.extend([each_ns; BATCH]);
        }
        Round { latencies_ns, elapsed }
    }
}

fn name(input: &mut [u8], number: u64) {
    input[..size_of::<u64>()].copy_from_slice(&number.to_le_bytes());
}
