//! `cargo bench -p cutter-benches --bench hop`: a row to a model in another process and its
//! sum back, without a network. One query at a time; everybody spins; an engine's core and a
//! model's.
//!
//! | name | what carries the row |
//! | --- | --- |
//! | `floor` | shared memory and two words |
//! | `cutter` | the engine's core (batches, rings) and the C container `sum` |
//! | `iceoryx2` | publish/subscribe in both directions, the other side summing |
//!
//! A latency begins before the row is written and ends when the sum is known.

mod cutter;
mod iceoryx2;

use std::io;

use cutter_bench_support::containers::example;
use cutter_bench_support::cores::Cores;
use cutter_bench_support::floor::row_there_sum_back;
use cutter_bench_support::measurement::{Exchanges, Measurement, Rounds};
use cutter_bench_support::options::Options;
use cutter_bench_support::processes::limit_time;
use cutter_bench_support::report::{p50, p99, print_ratio, print_table, write_json};
use cutter_bench_support::{ROUNDS, inputs};

const EXCHANGES: Exchanges = Exchanges { warm_up: 20_000, recorded: 200_000 };

fn main() -> io::Result<()> {
    let options = Options::read();
    let rows = inputs::rows();
    if let Some(name) = &options.peer {
        return iceoryx2::answer(name);
    }
    let cores = Cores::choose()?;
    let sum = example("sum")?;
    limit_time();
    let mut floor = Rounds::new("floor");
    let mut cutter = Rounds::new("cutter");
    let mut iceoryx2 = Rounds::new("iceoryx2");
    for _ in 0..ROUNDS {
        floor.add(row_there_sum_back(cores, &rows, EXCHANGES)?);
        cutter.add(cutter::round(cores, &sum, &rows, EXCHANGES)?);
        iceoryx2.add(iceoryx2::round(cores, &rows, EXCHANGES)?);
    }
    let measurements: Vec<Measurement> =
        [floor, cutter, iceoryx2].into_iter().map(Rounds::finish).collect();
    print_table("784 floats to another process, their sum back", &measurements, &[]);
    print_ratio(&measurements, ("cutter", "floor"), ("p50", p50), "≤ 1.5");
    print_ratio(&measurements, ("cutter", "floor"), ("p99", p99), "≤ 2");
    print_ratio(&measurements, ("cutter", "iceoryx2"), ("p50", p50), "< 1");
    write_json(&options, &measurements)
}
