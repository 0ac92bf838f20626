//! The command line: options to plans, results to text and files.

mod ask;
mod bound;
mod capacity;
mod compare;
mod console;
mod floor;
mod load;
mod output;
mod report;
mod units;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use cutter_tools::inspect::{self, InspectOptions};
use cutter_tools::top::{self, TopOptions};

/// Measures tail latency: a load generator that audits itself, and what belongs to it.
#[derive(Debug, Parser)]
#[command(name = "cutter-bench", version, after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Example: how fast is this server at 2,000 requests a second, Poisson, for 10 s?
  cutter-bench load --rate 2000 --input digits http://127.0.0.1:1337/digits/predict

Exit status: 0 well, 1 a failure, 2 a command line that makes no sense, 3 a measurement that
cannot be believed.";

const TOP_EXAMPLE: &str = "\
Example: watch the server whose admin port is 1338, once a second
  cutter-bench top --admin 127.0.0.1:1338 --period-ms 1000";

const INSPECT_EXAMPLE: &str = "\
Example: why does this server not answer?
  cutter-bench inspect --admin 127.0.0.1:1338";

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure what this machine can do without a server, and how quiet it is.
    Floor(floor::Options),
    /// Send requests at their times, and time the answers from when they were due.
    Load(Box<load::Options>),
    /// Tell the goodput that there is to be had, of any server of a model.
    Bound(bound::Options),
    /// Find the highest rate at which a quantile of the latency keeps an SLO.
    Capacity(Box<capacity::Options>),
    /// Tell whether B is slower than A, by interleaved runs.
    Compare(Box<compare::Options>),
    /// Make one HTML page, and an .hgrm file, out of result files.
    Report(report::Options),
    /// Watch a running engine.
    #[command(after_help = TOP_EXAMPLE)]
    Top(TopOptions),
    /// Dump a running engine's queues, rings, tickets and pools, to find out why it stalls.
    #[command(after_help = INSPECT_EXAMPLE)]
    Inspect(InspectOptions),
}

/// Why a command ended without success.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// It could not be done.
    #[error("{0}")]
    Failed(String),
    /// It was done, and cannot be believed.
    #[error("INVALID: {0}")]
    Invalid(String),
    /// It was done, and its verdict is this exit status. All is said already.
    #[error("{text}")]
    Verdict { text: String, code: u8 },
}

impl Failure {
    pub fn usage(error: impl std::fmt::Display) -> Self {
        Self::Usage(error.to_string())
    }

    pub fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }

    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Failed(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
            Self::Invalid(_) => ExitCode::from(3),
            Self::Verdict { code, .. } => ExitCode::from(*code),
        }
    }
}

pub fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Floor(options) => floor::run(&options),
        Command::Load(options) => load::run(&options),
        Command::Bound(options) => bound::run(&options),
        Command::Capacity(options) => capacity::run(&options),
        Command::Compare(options) => compare::run(&options),
        Command::Report(options) => report::run(&options),
        Command::Top(options) => top::run(&options).map_err(Failure::failed),
        Command::Inspect(options) => inspect::run(&options).map_err(Failure::failed),
    }
}
