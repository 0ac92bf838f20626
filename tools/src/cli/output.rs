//! Result files: what is written, and what is read again.

use std::path::Path;

use cutter_tools::floor::{self, Effort};
use cutter_tools::result::{ResultFile, SCHEMA, Stamp};

use super::Failure;
use super::console::ProgressLine;

/// Reads the machine, and measures it quickly, unless that is not wanted.
pub fn stamp(line: &ProgressLine, with_floors: bool) -> Result<Stamp, Failure> {
    if !with_floors {
        return Ok(Stamp::take());
    }
    let stamp = Stamp::take();
    let cpus = floor::default_cpus().map_err(Failure::failed)?;
    let floors = floor::measure(&cpus, Effort::Quick, &mut |what| {
        line.show(&format!("measuring what the machine can do: {what}"));
    });
    line.clear();
    Ok(stamp.with_floors(floors.map_err(Failure::failed)?))
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
