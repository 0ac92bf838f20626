//! Result files: what is written, and what is read again.

use std::path::{Path, PathBuf};

use cutter_tools::floor::{self, Effort};
use cutter_tools::report::page;
use cutter_tools::result::{ResultFile, SCHEMA, Stamp};

use super::Failure;
use super::console::ProgressLine;

/// What every command that measures servers offers to write.
#[derive(Clone, Debug, clap::Args)]
pub struct FileOptions {
    /// Do not measure the machine first
    #[arg(long, help_heading = "Files")]
    no_floors: bool,
    /// Write the result as JSON
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    json: Option<PathBuf>,
    /// Write the result as one page of HTML
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    report: Option<PathBuf>,
}

impl FileOptions {
    /// Reads the machine, and measures it quickly, unless that is not wanted.
    pub fn stamp(&self, line: &ProgressLine) -> Result<Stamp, Failure> {
        let stamp = Stamp::take();
        if self.no_floors {
            return Ok(stamp);
        }
        let cpus = floor::default_cpus().map_err(Failure::failed)?;
        let floors = floor::measure(&cpus, Effort::Quick, &mut |what| {
            line.show(&format!("measuring what the machine can do: {what}"));
        });
        line.clear();
        Ok(stamp.with_floors(floors.map_err(Failure::failed)?))
    }

    /// Writes the files that were asked for.
    pub fn write(&self, results: &[ResultFile]) -> Result<(), Failure> {
        if let Some(path) = &self.json {
            write_json(path, results)?;
        }
        match &self.report {
            Some(path) => write(path, page(results).as_bytes()),
            None => Ok(()),
        }
    }
}

/// Writes one result as it is, several as an array.
pub fn write_json(path: &Path, results: &[ResultFile]) -> Result<(), Failure> {
    let text = match results {
        [result] => serde_json::to_string_pretty(result),
        results => serde_json::to_string_pretty(results),
    };
    let text = text.expect("numbers and strings under fixed names are always JSON");
    write(path, (text + "\n").as_bytes())
}

pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|error| {
        Failure::Failed(format!("cannot write {}: {error}; name another file", path.display()))
    })
}

/// Reads a file of one result or of several.
pub fn read_json(path: &Path) -> Result<Vec<ResultFile>, Failure> {
    let told = |why: String| Failure::Failed(format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| told(error.to_string()))?;
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| told(format!("not JSON: {error}")))?;
    let values = match value {
        serde_json::Value::Array(values) => values,
        value => vec![value],
    };
    let read = |value: serde_json::Value| {
        let schema = value.get("schema").and_then(|schema| schema.as_str()).map(str::to_owned);
        if schema.as_deref() != Some(SCHEMA) {
            return Err(told(format!(
                "not a result of this version: its schema is {schema:?}, and {SCHEMA:?} is read"
            )));
        }
        serde_json::from_value(value).map_err(|error| told(format!("a damaged result: {error}")))
    };
    values.into_iter().map(read).collect()
}
