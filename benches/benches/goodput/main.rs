//! `cargo bench -p cutter-benches --bench goodput`: the highest rate of Poisson arrivals at which
//! 99 % are answered within 20 ms, as a share of what there is to be had.
//!
//! A table of models whose service time is known, `beta + alpha × rows` a batch: a fixed cost of 5,
//! 10 and 20 % of the SLO, rows of 0.1 and 1 ms, one busy replica and four that wait. Each is
//! served over HTTP with each policy of batching, in the same run; beside it the policies of other
//! servers, simulated without any cost but the model's. With `-- --only alpha=100us,beta=4ms,n=1`,
//! or a part of that, only those cells; with `-- --policy aimd,sim:nexus` only those policies.
//!
//! What it is held against: T*, for even arrivals, and the reference, the better of the chain of
//! batches solved for Poisson arrivals and the look-ahead policy simulated.
//!
//! # Rooms
//! `policy` how each is measured · `found` what came of it, as table, JSON and page.

mod found;
mod policy;

use std::io;
use std::time::Duration;

use clap::Parser;
use cutter_bench_support::cell::{Cell, Only};
use cutter_bench_support::finding::write;
use cutter_bench_support::options::PageOptions;
use cutter_bench_support::processes::limit_time_to;
use cutter_bench_support::report::print_note;
use cutter_bench_support::stand::Setting;

use found::{FoundCell, finding};
use policy::Measured;

/// It takes about two thirds of this.
const TIME_LIMIT: Duration = Duration::from_secs(900);
const SLO_US: u32 = 20_000;
const ALPHAS_US: [u32; 2] = [100, 1_000];
const BETAS_US: [u32; 3] = [1_000, 2_000, 4_000];
const REPLICAS: [u32; 2] = [1, 4];

const TITLE: &str = "Goodput, and how near it is to what can be had";
const INTRODUCTION: &str = "The highest rate of Poisson arrivals at which 99 % are answered within \
    20 ms. T* is what even arrivals could have; the reference is the better of two servers without \
    any cost of their own: one that takes all that waits, solved, and one that looks ahead, \
    simulated.";

#[derive(Clone, Debug, Parser)]
struct Command {
    #[command(flatten)]
    options: PageOptions,
    /// Only these cells: alpha=100us,beta=4ms,n=1, or a part of that.
    #[arg(long, value_name = "CELLS")]
    only: Option<Only>,
    /// Tell each rate that is tried.
    #[arg(long)]
    steps: bool,
    /// Only these policies: aimd, aimd_defer, quantile, fixed_best, sim:nexus, …
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    policy: Vec<Measured>,
}

fn main() -> io::Result<()> {
    let command = Command::parse();
    let options = command.options.from_caller();
    let mut setting = Setting::new()?;
    setting.tells_steps = command.steps;
    limit_time_to(TIME_LIMIT);
    let policies = match command.policy.as_slice() {
        [] => Measured::ALL.to_vec(),
        named => named.to_vec(),
    };
    let only = command.only.unwrap_or_default();
    let mut found = Vec::new();
    for cell in cells().filter(|cell| only.names(*cell)) {
        let of_cell = FoundCell::measure(cell, &policies, &setting)?;
        of_cell.records().for_each(|record| print_note(&record.told()));
        found.push(of_cell);
    }
    let finding = finding(&found, &policies);
    finding.print();
    write(&options, TITLE, INTRODUCTION, &[finding])
}

fn cells() -> impl Iterator<Item = Cell> {
    REPLICAS.into_iter().flat_map(|replicas| {
        ALPHAS_US.into_iter().flat_map(move |alpha_us| {
            BETAS_US.map(|beta_us| Cell { alpha_us, beta_us, replicas, slo_us: SLO_US })
        })
    })
}
