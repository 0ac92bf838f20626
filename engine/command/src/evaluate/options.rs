//! What can be asked of an evaluation.

use std::path::PathBuf;

/// The options of `cutter evaluate`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// A file of a decision log, or the folder of its files.
    #[arg(value_name = "LOG")]
    pub log: PathBuf,

    /// The application, where the log has several.
    #[arg(long, value_name = "NAME")]
    pub application: Option<String>,

    /// A policy to evaluate beside each model alone, by its name in a configuration: exp3,
    /// exp3_ix, exp4, epsilon_greedy, ucb1, thompson, gaussian_thompson, vote, weighted, or
    /// static.
    #[arg(long, value_name = "NAME")]
    pub policy: Option<String>,

    /// A parameter of that policy as a configuration has it, such as eta=0.1 or weights=[1,0.5];
    /// may be given several times.
    #[arg(long = "parameter", value_name = "NAME=VALUE", requires = "policy")]
    pub parameters: Vec<String>,

    /// Also write the figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Print the decisions themselves instead, for other programs.
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["policy", "json"])]
    pub export: Option<Format>,
}

/// What decisions are printed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A line of JSON for each, as Vowpal Wabbit reads it with `--dsjson`.
    Dsjson,
    /// Columns, of which the last is `action:cost:probability`.
    Csv,
}
