//! `cargo bench -p cutter-benches --bench noise`: what is served within 20 ms while others disturb
//! the model, and how soon all is well again.
//!
//! - `busy`: another process of normal priority is busy on the model's core.
//! - `stalls`: the model's process is stopped four times a second, for 10 to 20 ms, and continued.
//!
//! A model that takes 4 ms and 0.1 ms a row, served over HTTP. What is offered is T*, what even
//! arrivals could have of the model undisturbed, evenly: slices of time can then be compared, and
//! what differs is the noise. It cannot be all in time under noise, so goodput is predictions in
//! time, per second. The policies that adapt are held against the best of five fixed sizes under
//! the same load and the same noise, in the same run; and after the noise has ended, the batches
//! are counted until goodput is what it was.
//!
//! The model's time passes by the clock, whether it has its core or not: it is late by what it
//! lacks at the end of a batch, and a model that computes would lose more.
//!
//! # Rooms
//! `disturbance` the noise · `measured` a run with it · `found` what came of it, as table, JSON and
//! page.

mod disturbance;
mod found;
mod measured;

use std::io;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use cutter_bench_support::cell::Cell;
use cutter_bench_support::finding::write;
use cutter_bench_support::options::PageOptions;
use cutter_bench_support::processes::limit_time_to;
use cutter_bench_support::report::print_note;
use cutter_bench_support::sizing::adaptive;
use cutter_bench_support::stand::Setting;

use disturbance::{Case, PEER, be_busy};
use found::finding;
use measured::{CaseFound, Lengths};

/// It takes about half of this.
const TIME_LIMIT: Duration = Duration::from_secs(240);
const CELL: Cell = Cell { alpha_us: 100, beta_us: 4_000, replicas: 1, slo_us: 20_000 };

const TITLE: &str = "Noise: what is served in time beside others, and after them";
const INTRODUCTION: &str = "Even arrivals at what could be had of the model alone (T*), while \
    another process is busy on its core, or while it is stopped four times a second for 10 to 20 \
    ms. Goodput is predictions within 20 ms, per second.";

#[derive(Clone, Debug, Parser)]
struct Command {
    #[command(flatten)]
    options: PageOptions,
    /// Only this noise.
    #[arg(long, value_name = "NAME")]
    case: Option<Case>,
    /// Seconds instead of two minutes, to see that it works.
    #[arg(long)]
    short: bool,
}

fn main() -> io::Result<()> {
    let command = Command::parse();
    if command.options.options.peer.as_deref() == Some(PEER) {
        be_busy();
        return Ok(());
    }
    let setting = Setting::new()?;
    limit_time_to(TIME_LIMIT);
    let lengths = if command.short { Lengths::SHORT } else { Lengths::LONG };
    let policies = adaptive(CELL, &setting);
    let cases = Case::value_variants().iter().copied();
    let mut found = Vec::new();
    for case in cases.filter(|case| command.case.is_none_or(|only| only == *case)) {
        let of_case = CaseFound::measure(CELL, case, &policies, &setting, lengths)?;
        of_case.told().for_each(|line| print_note(&line));
        found.push(of_case);
    }
    let finding = finding(&found);
    finding.print();
    write(&command.options.from_caller(), TITLE, INTRODUCTION, &[finding])
}
