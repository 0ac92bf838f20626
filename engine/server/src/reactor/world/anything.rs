//! Random worlds: whatever clients do, the oracle's rules hold.
//!
//! A world follows from its seed alone. One that breaks a rule is made smaller, for as long as it
//! still breaks the same one, and printed with its seed.

use std::array;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{LazyLock, Once};
use std::time::Instant;

use super::script::{S, Script, smaller};
use super::{MS, Plan, Rng, World};

/// Seeds of the run that everybody makes.
const SEEDS: u64 = 110;
/// Worlds at a time in the run that everybody makes.
const THREADS: usize = 2;
/// How long a failing world is made smaller.
const SHRINKING_S_MAX: u64 = 20;

/// A random world from a seed.
pub fn plan(seed: u64) -> Plan {
    let mut rng = Rng::new(seed);
    let clients = (0..1 + rng.below(9)).map(|_| Script::random(&mut rng)).collect();
    let mut plan = Plan::new(clients);
    plan.seed = seed;
    plan.kernel.receive_buffers = 1 + rng.index(8);
    plan.kernel.receive_buffer_bytes = 16 << rng.below(10);
    plan.kernel.cancels_with_nobufs = rng.one_in(2);
    plan.kernel.loses_resets = rng.one_in(2);
    plan.kernel.completions_per_poll_max = Some(1 + rng.below(16));
    plan.kernel.inbound_bytes_max = 1_024 << rng.below(8);
    plan.restless = rng.one_in(2);
    plan.drain_ns = rng.one_in(3).then(|| rng.below(30 * S));
    plan.no_descriptors = rng.one_in(4).then(|| (rng.below(50 * MS), rng.below(3 * S)));
    plan
}

/// What was reached, and how often.
#[derive(Debug, Default)]
struct Coverage {
    steps: u64,
    worlds: u64,
    counts: BTreeMap<&'static str, u64>,
}

impl Coverage {
    fn add(&mut self, world: &World) {
        self.steps += world.steps;
        self.worlds += 1;
        let evicted = world.stats.engine.connections_evicted.get();
        *self.counts.entry("evicted").or_default() += evicted;
        let state = world.state.borrow();
        self.count([state.oracle.seen.entries(), state.kernel.met.entries()].concat());
    }

    fn merge(&mut self, other: Coverage) {
        self.steps += other.steps;
        self.worlds += other.worlds;
        self.count(other.counts);
    }

    fn count(&mut self, met: impl IntoIterator<Item = (&'static str, u64)>) {
        met.into_iter().for_each(|(name, count)| *self.counts.entry(name).or_default() += count);
    }
}

thread_local! {
    /// Panics of this thread are kept here instead of printed.
    static KEPT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs a world. A broken rule is told by its text.
fn run(plan: Plan, coverage: &mut Coverage) -> Result<(), String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let kept = KEPT.with_borrow_mut(|kept| {
                kept.as_mut().map(|kept| *kept = panic.to_string()).is_some()
            });
            if !kept {
                before(panic);
            }
        }));
    });
    KEPT.set(Some(String::new()));
    let mut world = None;
    let result = catch_unwind(AssertUnwindSafe(|| world.insert(World::new(plan)).run()));
    if let Some(world) = &world {
        coverage.add(world);
    }
    let text = KEPT.take().unwrap_or_default();
    result.map_err(|_| text)
}

/// The rule that a text is about: its numbers differ from world to world.
fn rule(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// Runs a world from its seed; if a rule is broken, says so by the smallest world that breaks it.
fn check(seed: u64, coverage: &mut Coverage) -> Result<(), String> {
    run(plan(seed), coverage).map_err(|text| smallest(seed, &text))
}

/// What the world of this seed breaks, as `text` says it, and the smallest world that breaks it.
fn smallest(seed: u64, text: &str) -> String {
    let mut least = plan(seed);
    let began = Instant::now();
    let mut ignored = Coverage::default();
    'smaller: loop {
        for candidate in smaller(&least) {
            if began.elapsed().as_secs() > SHRINKING_S_MAX {
                break 'smaller;
            }
            let result = run(candidate.clone(), &mut ignored);
            if result.is_err_and(|other| rule(&other) == rule(text)) {
                least = candidate;
                continue 'smaller;
            }
        }
        break;
    }
    format!("seed {seed}: {text}\nthe smallest that breaks it:\n{}", least.describe())
}

/// What worlds met, and the seeds of those that broke a rule, each with its text.
#[derive(Default)]
struct Ran {
    coverage: Coverage,
    broken: Vec<(u64, String)>,
}

/// Those that everybody runs: once, for all that is asked of them.
static EVERYBODYS: LazyLock<Ran> = LazyLock::new(|| {
    let mut all = Ran::default();
    std::thread::scope(|scope| {
        let threads: [_; THREADS] = array::from_fn(|first| {
            scope.spawn(move || run_all((0..SEEDS).skip(first).step_by(THREADS)))
        });
        for thread in threads {
            let ran = thread.join().expect("what a world panics with is caught");
            all.coverage.merge(ran.coverage);
            all.broken.extend(ran.broken);
        }
    });
    all
});

fn run_all(seeds: impl Iterator<Item = u64>) -> Ran {
    let mut coverage = Coverage::default();
    let broken = |seed| Some((seed, run(plan(seed), &mut coverage).err()?));
    let broken = seeds.filter_map(broken).collect();
    Ran { coverage, broken }
}

/// A seed of one's own choice.
fn chosen(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|number| number.parse().expect("a number"))
}

#[test]
fn anything_a_client_does_leaves_the_others_and_the_engine_whole() {
    let own = chosen("CUTTER_WORLD_SEED").map(|seed| run_all(iter::once(seed)));
    let ran = own.as_ref().unwrap_or_else(|| &EVERYBODYS);
    if let Some((seed, text)) = ran.broken.first() {
        panic!("{}", smallest(*seed, text));
    }
}

/// A world that never meets what it is for would find nothing any more.
#[test]
fn the_world_meets_all_that_it_is_for() {
    let coverage = &EVERYBODYS.coverage;
    let never: Vec<_> = coverage.counts.iter().filter(|(_, count)| **count == 0).collect();
    assert!(never.is_empty(), "never met: {never:?} in {coverage:?}");
}

/// As many steps as are asked for, 10^7 if nobody says.
#[test]
#[ignore = "minutes, in release"]
fn soak() {
    let steps = chosen("CUTTER_WORLD_STEPS").unwrap_or(10_000_000);
    let mut seed = chosen("CUTTER_WORLD_SEED").unwrap_or(1_000_000);
    let mut coverage = Coverage::default();
    let began = Instant::now();
    while coverage.steps < steps {
        if let Err(text) = check(seed, &mut coverage) {
            panic!("{text}");
        }
        seed += 1;
    }
    let took_s = began.elapsed().as_secs_f64();
    println!("{coverage:#?}\n{} steps per second", (coverage.steps as f64 / took_s).round());
}

/// Counts what each of many seeds breaks.
#[test]
#[ignore = "a survey, not a check"]
fn survey() {
    let mut coverage = Coverage::default();
    let mut broken: BTreeMap<String, (u64, u64, String)> = BTreeMap::new();
    let first = chosen("CUTTER_WORLD_SEED").unwrap_or(0);
    for seed in first..first + chosen("CUTTER_WORLD_SEEDS").unwrap_or(SEEDS) {
        if let Err(text) = run(plan(seed), &mut coverage) {
            broken.entry(rule(&text)).or_insert((seed, 0, text)).1 += 1;
        }
    }
    for (seed, count, text) in broken.values() {
        println!("{count} times, first by seed {seed}: {text}");
    }
    println!("{coverage:#?}");
}
