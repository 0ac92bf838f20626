//! Result files: what was done, on which machine, and what was found, as JSON with a schema.
//!
//! `schema/result.schema.json` is the contract; a test validates every kind against it. Durations
//! end in `_ns` and are whole numbers, rates in `_qps`, shares lie between 0 and 1.
//!
//! ```text
//!  ResultFile ─┬─ schema, tool, started_at, command
//!              ├─ environment   kernel, CPU, cores, load average, floors
//!              └─ kind, finding  load | floor | capacity | compare | selection
//! ```

pub mod environment;
pub mod hgrm;
pub mod hlog;
pub mod load;
pub mod selection;
mod stamp;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

pub use environment::{Environment, FloorFigure, Floors, Hiccups};
pub use load::LoadResult;
pub use selection::SelectionResult;
pub use stamp::Stamp;

use crate::capacity::CapacityResult;
use crate::compare::CompareResult;
use crate::limits::LATENCY_NS_MAX;

/// The version of the format, in every file.
pub const SCHEMA: &str = "cutter-bench/1";

/// One result file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultFile {
    pub schema: String,
    pub tool: Tool,
    /// UTC, RFC 3339.
    pub started_at: String,
    /// The command line, word by word.
    pub command: Vec<String>,
    pub environment: Environment,
    #[serde(flatten)]
    pub finding: Finding,
}

/// What made the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    pub name: String,
    pub version: String,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "finding", rename_all = "snake_case")]
pub enum Finding {
    Load(Box<LoadResult>),
    Floor(Floors),
    Capacity(Box<CapacityResult>),
    Compare(Box<CompareResult>),
    Selection(Box<SelectionResult>),
}

/// Digits that a histogram tells apart.
const SIGNIFICANT_DIGITS: u8 = 3;

/// An empty histogram of times in ns, as all of the suite's are. A time beyond its range counts as
/// the greatest.
#[must_use]
pub fn histogram_of_times() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, SIGNIFICANT_DIGITS)
        .expect("the bounds and the digits are constants that a histogram takes")
}
