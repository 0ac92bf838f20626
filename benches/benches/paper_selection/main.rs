//! `cargo bench -p cutter-benches --bench paper_selection [-- PART …]`: the figures of the Clipper
//! paper (NSDI '17) that are about choosing among models, drawn again by this server, with the
//! paper's numbers beside them. Each part prints a table and what it aims at; `-- --json FILE`
//! writes the figures as an array, and `-- --html FILE` one page with charts.
//!
//! - `fig7`: what an ensemble errs, and what it errs where many of its models agree.
//! - `fig8`: policies that learn while the best of five models fails and heals.
//! - `exp3_regret`: the paper's Exp3 over its five arms, simulated.
//! - `fig9`: ensembles of 1 to 20 models, of which some are late, within 20 ms.
//! - `fig10`: what is learned of a user, beside what is learned of all.
//! - `feedback`: observations a second with four models, with their caches and without.
//! - `cache_hit`: predictions that a cache knows, beside an echo of the same bytes.
//!
//! All but `exp3_regret` is served: real models, each a process of its own, asked over HTTP by
//! clients that share a core with them, while the engine has the other. The models are those of
//! `container-sdk/examples/digits`, and the questions the 500 digits that none of them has seen.
//! The paper's own models and data cannot be had: its numbers are a scale, not a duel.
//!
//! # Rooms
//! `stage` a server and its models ·
//! `client` one who asks · `asked` what is asked · a room for each part.

mod asked;
mod cache_hit;
mod client;
mod exp3_regret;
mod feedback;
mod fig10;
mod fig7;
mod fig8;
mod fig9;
mod seeds;
mod stage;

use std::io;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use cutter_bench_support::cores::Cores;
use cutter_bench_support::finding::{Finding, write};
use cutter_bench_support::options::PageOptions;
use cutter_bench_support::processes::limit_time_to;
use cutter_tools::floor::cores::pin;
use stage::Programs;

const TITLE: &str = "The paper's figures on selection, drawn again";
const INTRODUCTION: &str = "Each figure beside the numbers of the Clipper paper (NSDI '17). Its \
    models and data cannot be had, and its machines were others: its numbers are a scale, not a \
    duel.";
/// All parts together take about half of this.
const TIME_LIMIT: Duration = Duration::from_secs(900);

/// For the models of Figure 9, if there are so many beside the engine's and the clients'.
const MODEL_CORES: usize = 4;

#[derive(Clone, Debug, Parser)]
struct Command {
    #[command(flatten)]
    options: PageOptions,
    /// Only these parts; all, if none is named.
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Part {
    Fig7,
    Fig8,
    Exp3Regret,
    Fig9,
    Fig10,
    Feedback,
    CacheHit,
}

fn main() -> io::Result<()> {
    let command = Command::parse();
    let cores = Cores::choose()?;
    let programs = Programs::build()?;
    limit_time_to(TIME_LIMIT);
    // Many models beside their clients keep those waiting, where there are more than two cores.
    let model_cpus = cores.seats(MODEL_CORES)?.models;
    pin(cores.other)?;
    let parts = match command.parts.as_slice() {
        [] => Part::value_variants(),
        named => named,
    };
    let mut findings = Vec::new();
    for part in parts {
        let finding = part.run(cores, &model_cpus, &programs)?;
        finding.print();
        findings.push(finding);
    }
    write(&command.options.from_caller(), TITLE, INTRODUCTION, &findings)
}

impl Part {
    fn run(self, cores: Cores, model_cpus: &[usize], programs: &Programs) -> io::Result<Finding> {
        match self {
            Self::Fig7 => fig7::find(cores, programs),
            Self::Fig8 => fig8::find(cores, programs),
            Self::Exp3Regret => exp3_regret::find(),
            Self::Fig9 => fig9::find(cores, model_cpus, programs),
            Self::Fig10 => fig10::find(cores, programs),
            Self::Feedback => feedback::find(cores, programs),
            Self::CacheHit => cache_hit::find(cores, programs),
        }
    }
}
