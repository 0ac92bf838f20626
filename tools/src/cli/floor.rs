//! `cutter-bench floor`.

use cutter_tools::floor::FloorOptions;
use cutter_tools::result::{Finding, Stamp};

use super::Failure;
use super::console::{ProgressLine, print};
use super::output::write_json;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Options {
    #[command(flatten)]
    floor: FloorOptions,
}

const EXAMPLE: &str = "\
Example: what can this machine do, and how quiet is it? With a picture
  cutter-bench floor --svg floor.svg";

pub fn run(options: &Options) -> Result<(), Failure> {
    let line = ProgressLine::new();
    let stamp = Stamp::take();
    let floors = options.floor.run(&mut |what| line.show(what)).map_err(Failure::failed)?;
    line.clear();
    print(&floors.to_string())?;
    match &options.floor.json {
        Some(path) => write_json(path, &[stamp.file(Finding::Floor(floors))]),
        None => Ok(()),
    }
}
