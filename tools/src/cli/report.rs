//! `cutter-bench report`.

use std::path::PathBuf;

use cutter_tools::report::page;
use cutter_tools::result::{Finding, ResultFile, hgrm};

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
    /// Also write the percentiles of the first run as HdrHistogram's text
    #[arg(long, value_name = "FILE")]
    hgrm: Option<PathBuf>,
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
    if let Some(path) = &options.hgrm {
        write(path, &first_hgrm(&results)?)?;
    }
    console::print(&format!("written to {}\n", options.output.display()))
}

/// The histogram that a result file carries, as text.
fn first_hgrm(results: &[ResultFile]) -> Result<Vec<u8>, Failure> {
    let load = results.iter().find_map(|result| match &result.finding {
        Finding::Load(load) => Some(load),
        _ => None,
    });
    let load = load.ok_or_else(|| Failure::usage("--hgrm takes a result of load"))?;
    let histogram = hgrm::decode(&load.latency.histogram).map_err(Failure::failed)?;
    let mut bytes = Vec::new();
    hgrm::write(&histogram, &mut bytes).map_err(Failure::failed)?;
    Ok(bytes)
}
