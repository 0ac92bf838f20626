//! The floors: their names, what they are, and how a round of each is made.

use std::io;

use cutter_machine::uring::bare::Notify;

use super::cores::Pair;
use super::echo::Waiting;
use super::exchange::Sampling;
use super::link::{Sizes, Wait, Wire};
use super::shared_core::ModelWait;
use super::{futexes, line, link, rings, shared_core};

/// A query and its answer over HTTP: a row as it is in memory, with a head.
pub const QUERY: Sizes = Sizes { request: 3_400, reply: 160 };
/// The smallest message of use.
pub const SMALL: Sizes = Sizes { request: 64, reply: 64 };

/// Longest that the recording of a round takes. Only a machine with much else to do needs so long.
const FULL_NS_MAX: u64 = 250_000_000;
const QUICK_NS_MAX: u64 = 60_000_000;

/// One floor.
#[derive(Clone, Copy, Debug)]
pub struct Floor {
    pub name: &'static str,
    pub meaning: &'static str,
    /// Cores that it takes.
    pub cores: usize,
    pub full: Sampling,
    /// Absent: it is left out when there is little time.
    pub quick: Option<Sampling>,
    pub round: fn(Pair, Sampling) -> io::Result<Vec<u64>>,
}

impl Floor {
    const fn of_two_cores(
        name: &'static str,
        meaning: &'static str,
        full: Sampling,
        quick: Option<Sampling>,
        round: fn(Pair, Sampling) -> io::Result<Vec<u64>>,
    ) -> Self {
        Self { name, meaning, cores: 2, full, quick, round }
    }

    const fn of_one_core(
        name: &'static str,
        meaning: &'static str,
        full: Sampling,
        round: fn(Pair, Sampling) -> io::Result<Vec<u64>>,
    ) -> Self {
        Self { name, meaning, cores: 1, full, quick: None, round }
    }
}

const fn full(warm_up: usize, recorded: usize) -> Sampling {
    Sampling { warm_up, recorded, time_ns_max: FULL_NS_MAX }
}

const fn quick(warm_up: usize, recorded: usize) -> Option<Sampling> {
    Some(Sampling { warm_up, recorded, time_ns_max: QUICK_NS_MAX })
}

/// Both ends on the client's core.
fn together(pair: Pair) -> Pair {
    Pair { server: pair.client, client: pair.client }
}

/// Every floor, from the core outwards.
pub const FLOORS: [Floor; 17] = [
    Floor::of_two_cores(
        "line",
        "a cache line there and back, two cores spinning",
        full(10_000, 100_000),
        quick(5_000, 20_000),
        line::there_and_back,
    ),
    Floor::of_one_core(
        "futex_one_core",
        "futex wake, there and back, one core",
        full(1_000, 20_000),
        |pair, sampling| futexes::there_and_back(together(pair), sampling),
    ),
    Floor::of_two_cores(
        "futex_two_cores",
        "futex wake, there and back, two cores",
        full(100, 1_500),
        quick(50, 400),
        futexes::there_and_back,
    ),
    Floor::of_two_cores(
        "unix_spin",
        "64 B there and back over a Unix socket, both spin on recv",
        full(1_000, 20_000),
        quick(500, 4_000),
        |pair, sampling| link::round(pair, Wire::Unix, SMALL, Wait::Spin, sampling),
    ),
    Floor::of_two_cores(
        "unix_block",
        "64 B there and back over a Unix socket, both block",
        full(100, 1_500),
        None,
        |pair, sampling| link::round(pair, Wire::Unix, SMALL, Wait::Block, sampling),
    ),
    Floor::of_two_cores(
        "tcp_spin",
        "64 B there and back over TCP, both spin on recv",
        full(1_000, 20_000),
        quick(500, 4_000),
        |pair, sampling| link::round(pair, Wire::Tcp, SMALL, Wait::Spin, sampling),
    ),
    Floor::of_two_cores(
        "tcp_block",
        "64 B there and back over TCP, both block",
        full(100, 1_500),
        quick(50, 400),
        |pair, sampling| link::round(pair, Wire::Tcp, SMALL, Wait::Block, sampling),
    ),
    Floor::of_one_core(
        "tcp_one_core",
        "64 B there and back over TCP, both block on one core",
        full(500, 5_000),
        |pair, sampling| link::round(together(pair), Wire::Tcp, SMALL, Wait::Block, sampling),
    ),
    Floor::of_two_cores(
        "query_spin",
        "3,400 B there, 160 B back over TCP, both spin on recv: the raw client",
        full(1_000, 20_000),
        quick(500, 4_000),
        |pair, sampling| link::round(pair, Wire::Tcp, QUERY, Wait::Spin, sampling),
    ),
    Floor::of_two_cores(
        "uring_enter",
        "the query, served by io_uring as the engine does it, but by a loop of enter",
        full(1_000, 20_000),
        None,
        |pair, sampling| rings::round(pair, QUERY, Waiting::SpinEntering, sampling),
    ),
    Floor::of_two_cores(
        "uring_flag",
        "the query, served by io_uring as the engine does it: spins on TASKRUN_FLAG",
        full(1_000, 20_000),
        quick(500, 4_000),
        |pair, sampling| rings::round(pair, QUERY, Waiting::Spin, sampling),
    ),
    Floor::of_two_cores(
        "uring_coop",
        "the query, served by io_uring with COOP_TASKRUN, one recv at a time",
        full(1_000, 20_000),
        None,
        |pair, sampling| rings::bare_round(pair, QUERY, Notify::Flag, sampling),
    ),
    Floor::of_two_cores(
        "uring_neither",
        "the query, served by io_uring without such flags, one recv at a time",
        full(500, 5_000),
        None,
        |pair, sampling| rings::bare_round(pair, QUERY, Notify::Interrupt, sampling),
    ),
    Floor::of_two_cores(
        "uring_block",
        "the query, served by io_uring, which sleeps in the kernel",
        full(100, 2_500),
        None,
        |pair, sampling| rings::round(pair, QUERY, Waiting::Block, sampling),
    ),
    Floor::of_two_cores(
        "shared_yield",
        "the query, passed on to a model that shares the client's core; both yield",
        full(1_000, 10_000),
        None,
        |pair, sampling| shared_core::round(pair, QUERY, Wait::Yield, ModelWait::Yield, sampling),
    ),
    Floor::of_two_cores(
        "shared_sleep",
        "the query, passed on to a model there that sleeps on a futex",
        full(100, 1_500),
        None,
        |pair, sampling| shared_core::round(pair, QUERY, Wait::Yield, ModelWait::Sleep, sampling),
    ),
    Floor::of_two_cores(
        "shared_busy",
        "the query, passed on to a model there; the client spins and does not yield",
        full(2, 20),
        None,
        |pair, sampling| shared_core::round(pair, QUERY, Wait::Spin, ModelWait::Yield, sampling),
    ),
];
