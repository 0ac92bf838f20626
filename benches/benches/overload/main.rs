//! `cargo bench -p cutter-benches --bench overload`: what is served within 20 ms when 1.2, 2 and 5
//! times as much is offered as could be, Poisson, in open loop.
//!
//! A model that takes 4 ms and 0.1 ms a row, served over HTTP; with `-- --only
//! alpha=100us,beta=4ms,n=4`, or a part of that, other cells of `goodput`. For each load the server
//! starts anew and is loaded from when it says that it is ready: goodput by 100 ms. Then it is
//! loaded on: goodput, the time of all answers, default outputs included, and the memory of this
//! process, which is the server.
//!
//! What it is held against: T*, what even arrivals could have. The generator shares the machine
//! with the server; where it did not keep its schedule, the bench says so, and the times that the
//! server itself counts are those to read.
//!
//! # Rooms
//! `measured` one load · `found` what came of it, as table, JSON and page.

mod found;
mod measured;

use std::io;
use std::time::Duration;

use clap::Parser;
use cutter_bench_support::cell::{Cell, Only};
use cutter_bench_support::finding::write;
use cutter_bench_support::options::PageOptions;
use cutter_bench_support::processes::limit_time_to;
use cutter_bench_support::report::print_note;
use cutter_bench_support::stand::Setting;

use found::finding;
use measured::{Lengths, Overload};

/// Of one cell; it takes about a third of this.
const TIME_LIMIT: Duration = Duration::from_secs(120);
const SLO_US: u32 = 20_000;
const ALPHAS_US: [u32; 2] = [100, 1_000];
const BETAS_US: [u32; 3] = [1_000, 2_000, 4_000];
const REPLICAS: [u32; 2] = [1, 4];
const ONE_CELL: &str = "alpha=100us,beta=4ms,n=1";
/// What is offered, as shares of T*.
const LOADS: [f64; 3] = [1.2, 2.0, 5.0];

const TITLE: &str = "Overload: what is served in time of far too much";
const INTRODUCTION: &str = "Poisson arrivals at 1.2, 2 and 5 times what even arrivals could have \
    within 20 ms (T*). Goodput is predictions within 20 ms, per second; the time of answers is \
    that of all, default outputs included.";

#[derive(Clone, Debug, Parser)]
struct Command {
    #[command(flatten)]
    options: PageOptions,
    /// These cells: alpha=100us,beta=4ms,n=1, or a part of that.
    #[arg(long, value_name = "CELLS", default_value = ONE_CELL)]
    only: Only,
    /// The policy of batching.
    #[arg(long, value_name = "NAME", default_value = "aimd")]
    policy: String,
    /// Seconds instead of a minute, to see that it works.
    #[arg(long)]
    short: bool,
}

fn main() -> io::Result<()> {
    let command = Command::parse();
    let setting = Setting::new()?;
    let cells: Vec<_> = cells().filter(|cell| command.only.names(*cell)).collect();
    limit_time_to(TIME_LIMIT * u32::try_from(cells.len()).unwrap_or(1));
    let lengths = if command.short { Lengths::SHORT } else { Lengths::LONG };
    let mut found = Vec::new();
    for cell in cells {
        for load in LOADS {
            let overload = Overload::measure(cell, load, &setting, &command.policy, lengths)?;
            print_note(&overload.told());
            found.push(overload);
        }
    }
    let finding = finding(&found);
    finding.print();
    write(&command.options.from_caller(), TITLE, INTRODUCTION, &[finding])
}

fn cells() -> impl Iterator<Item = Cell> {
    REPLICAS.into_iter().flat_map(|replicas| {
        ALPHAS_US.into_iter().flat_map(move |alpha_us| {
            BETAS_US.map(|beta_us| Cell { alpha_us, beta_us, replicas, slo_us: SLO_US })
        })
    })
}
