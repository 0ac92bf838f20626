//! `cargo bench -p cutter-benches --bench batching [-- PART …]`: how soon the policies of batching
//! find what is best, and what waiting for a fuller batch brings.
//!
//! - `adapting`: models with a high fixed cost (4 ms, 0.1 ms a row), with none (0.2 ms a row), and
//!   one that gets ten times slower while it serves, and is mended (0.4 ms, 0.1 ms a row). Each
//!   policy that adapts, from its start and from each change on: batches until it serves as much in
//!   time as the best of five fixed sizes does, of the same model under the same load in the same
//!   run.
//! - `delayed`: a wait of 2 ms for others against none, as in Figure 5 of the paper (Clipper, NSDI
//!   '17), under three loads: clients in closed loop, the paper's open loop, and a light one.
//!
//! What is offered is what even arrivals could have of the model as it is at first, evenly: a model
//! that has become slower is asked as much as before.
//!
//! # Rooms
//! `adapting`, `delayed` the parts · `adapted` a policy or a size at work, over time.

mod adapted;
mod adapting;
mod delayed;

use std::io;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use cutter_bench_support::finding::{Finding, write};
use cutter_bench_support::options::PageOptions;
use cutter_bench_support::processes::limit_time_to;
use cutter_bench_support::stand::Setting;

use adapting::Lengths;

/// It takes about half of this.
const TIME_LIMIT: Duration = Duration::from_secs(360);

const TITLE: &str = "Batching: how soon the best is found, and what waiting brings";
const INTRODUCTION: &str = "Goodput is predictions within 20 ms, per second, at what even arrivals \
    could have of the model as it is at first. Changes are the model's own: it gets ten times \
    slower, and is mended.";

#[derive(Clone, Debug, Parser)]
struct Command {
    #[command(flatten)]
    options: PageOptions,
    /// Seconds instead of minutes, to see that it works.
    #[arg(long)]
    short: bool,
    /// Only these parts; all, if none is named.
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Adapting,
    Delayed,
}

fn main() -> io::Result<()> {
    let command = Command::parse();
    let setting = Setting::new()?;
    limit_time_to(TIME_LIMIT);
    let lengths = if command.short { Lengths::SHORT } else { Lengths::LONG };
    let parts = match command.parts.as_slice() {
        [] => Part::value_variants(),
        named => named,
    };
    let mut findings = Vec::new();
    for part in parts {
        let finding = part.run(&setting, lengths)?;
        finding.print();
        findings.push(finding);
    }
    write(&command.options.from_caller(), TITLE, INTRODUCTION, &findings)
}

impl Part {
    fn run(self, setting: &Setting, lengths: Lengths) -> io::Result<Finding> {
        match self {
            Self::Adapting => adapting::find(setting, lengths),
            Self::Delayed => delayed::find(setting, lengths.phase_ns()),
        }
    }
}
