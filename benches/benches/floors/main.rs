//! `cargo bench -p cutter-benches --bench floors`: what this machine can do without Cutter, so that
//! its figures can be judged on any machine. Nothing here is Cutter's but the io_uring module.
//!
//! One exchange at a time, between a thread on the engine's core and one on the other core.

mod futexes;
mod raw_ring;
mod shared_core;
mod tcp;

use std::io;

use cutter_benches::ROUNDS;
use cutter_benches::cores::Cores;
use cutter_benches::floor::{Exchanges, line_there_and_back, row_there_sum_back};
use cutter_benches::inputs;
use cutter_benches::measurement::{Measurement, Round, Rounds};
use cutter_benches::options::Options;
use cutter_benches::processes::limit_time;
use cutter_benches::report::{p50, print_note, print_ratio, print_table, write_json};

use raw_ring::Notify;
use shared_core::{ClientWait, ModelWait};
use tcp::Wait;

/// Bytes of a query and of its answer over HTTP: a row as it is in memory, with a head.
const QUERY_BYTES: usize = 3400;
const ANSWER_BYTES: usize = 160;
const SMALL_BYTES: usize = 64;

/// A name, what it is, and how a round of it is made.
type Floor<'a> = (&'static str, &'static str, Box<dyn Fn() -> io::Result<Round> + 'a>);

fn main() -> io::Result<()> {
    let options = Options::read();
    let cores = Cores::choose()?;
    limit_time();
    let rows = inputs::rows();
    let floors: Vec<Floor<'_>> =
        [memory(cores, &rows), network(cores), shared(cores)].into_iter().flatten().collect();
    let mut rounds: Vec<Rounds> = floors.iter().map(|(name, ..)| Rounds::new(name)).collect();
    for _ in 0..ROUNDS {
        for ((name, _, round), rounds) in floors.iter().zip(&mut rounds) {
            let round = round().map_err(|error| io::Error::other(format!("{name}: {error}")))?;
            rounds.add(round);
        }
    }
    let measurements: Vec<Measurement> = rounds.into_iter().map(Rounds::finish).collect();
    print_table("What this machine can do", &measurements, &[]);
    print_ratio(&measurements, ("uring_flag", "uring_enter"), ("p50", p50), "");
    print_ratio(&measurements, ("uring_flag", "recv_spin"), ("p50", p50), "");
    print_note("");
    floors.iter().for_each(|(name, meaning, _)| print_note(&format!("{name:<18}{meaning}")));
    write_json(&options, &measurements)
}

fn memory<'a>(cores: Cores, rows: &'a [inputs::Row]) -> Vec<Floor<'a>> {
    let many = Exchanges { warm_up: 10_000, recorded: 100_000 };
    let few = Exchanges { warm_up: 100, recorded: 2_000 };
    vec![
        (
            "line",
            "a cache line there and back, two cores spinning",
            Box::new(move || line_there_and_back(cores, many)),
        ),
        (
            "row",
            "784 floats written, read and summed by another core, one word back",
            Box::new(move || row_there_sum_back(cores, rows, many)),
        ),
        (
            "futex_two_cores",
            "futex wake, there and back, two cores",
            Box::new(move || futexes::there_and_back(cores.engine, cores.other, few)),
        ),
        (
            "futex_one_core",
            "futex wake, there and back, one core",
            Box::new(move || futexes::there_and_back(cores.other, cores.other, many)),
        ),
    ]
}

fn network<'a>(cores: Cores) -> Vec<Floor<'a>> {
    let many = Exchanges { warm_up: 1_000, recorded: 20_000 };
    let few = Exchanges { warm_up: 100, recorded: 2_000 };
    let small = (SMALL_BYTES, SMALL_BYTES);
    let query = (QUERY_BYTES, ANSWER_BYTES);
    vec![
        (
            "tcp_spin",
            "TCP loopback echo of 64 B, both spin on recv",
            Box::new(move || tcp::round(cores, small, Wait::Spin, many)),
        ),
        (
            "tcp_block",
            "TCP loopback echo of 64 B, both block, two cores",
            Box::new(move || tcp::round(cores, small, Wait::Block, few)),
        ),
        (
            "recv_spin",
            "3,400 B in, 160 B out, server spins on non-blocking recv",
            Box::new(move || tcp::round(cores, query, Wait::Spin, many)),
        ),
        (
            "uring_enter",
            "… io_uring, DEFER_TASKRUN, multishot recv, loop of enter",
            Box::new(move || tcp::ring_round(cores, query, false, many)),
        ),
        (
            "uring_flag",
            "… the same with TASKRUN_FLAG, spinning on the flag: what the engine does",
            Box::new(move || tcp::ring_round(cores, query, true, many)),
        ),
        (
            "uring_coop",
            "… io_uring, COOP_TASKRUN and TASKRUN_FLAG, spinning on the flag, one recv at a time",
            Box::new(move || raw_ring::round(cores, query, Notify::Flag, many)),
        ),
        (
            "uring_neither",
            "… io_uring without these flags, spinning on the completion queue",
            Box::new(move || raw_ring::round(cores, query, Notify::Interrupt, many)),
        ),
        (
            "uring_block",
            "… io_uring, sleeping in the kernel",
            Box::new(move || tcp::ring_blocking_round(cores, query, few)),
        ),
    ]
}

fn shared<'a>(cores: Cores) -> Vec<Floor<'a>> {
    let many = Exchanges { warm_up: 1_000, recorded: 20_000 };
    let few = Exchanges { warm_up: 100, recorded: 2_000 };
    let fewest = Exchanges { warm_up: 2, recorded: 20 };
    let query = (QUERY_BYTES, ANSWER_BYTES);
    vec![
        (
            "shared_yield",
            "client and model share a core and yield, engine spins on the other: a query and back",
            Box::new(move || {
                shared_core::round(cores, query, ClientWait::Yield, ModelWait::Yield, many)
            }),
        ),
        (
            "shared_sleep",
            "… the model sleeps on a futex instead",
            Box::new(move || {
                shared_core::round(cores, query, ClientWait::Yield, ModelWait::Sleep, few)
            }),
        ),
        (
            "shared_busy",
            "… the client spins without yielding",
            Box::new(move || {
                shared_core::round(cores, query, ClientWait::Spin, ModelWait::Yield, fewest)
            }),
        ),
    ]
}
