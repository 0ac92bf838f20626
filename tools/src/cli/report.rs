//! `cutter-bench report`.

use std::path::PathBuf;

use cutter_tools::report::page;
use cutter_tools::result::ResultFile;

use super::output::{read_json, write};
use super::{Failure, console};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Options {
    /// Result files, as `--json` wrote them
    #[arg(required = true, value_name = "FILE")]
    results: Vec<PathBuf>,
    /// Where to write the page
    #[arg(long, short, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
}

const EXAMPLE: &str = "\
Example: one page for three rates, with their throughput-latency curve
  cutter-bench load --rate 1k,2k,4k --json sweep.json http://127.0.0.1:1337/digits/predict
  cutter-bench report sweep.json --output sweep.html";

pub fn run(options: &Options) -> Result<(), Failure> {
    let mut results: Vec<ResultFile> = Vec::new();
    for path in &options.results {
        results.extend(read_json(path)?);
    }
    if results.is_empty() {
        return Err(Failure::usage("these files hold no result"));
    }
    write(&options.output, page(&results).as_bytes())?;
    console::print(&format!("written to {}\n", options.output.display()))
}
