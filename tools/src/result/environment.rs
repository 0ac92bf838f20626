//! The machine under a result, and what it could do at that time.

use serde::{Deserialize, Serialize};

/// The machine. What cannot be read is absent, never guessed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// `uname -srm`.
    pub kernel: String,
    pub cpu: String,
    /// Cores that are online.
    pub cores: usize,
    /// Cores that this process might use.
    pub allowed_cpus: Vec<usize>,
    /// The frequency governor of the first core.
    pub governor: Option<String>,
    /// Whether the CPU says that it is a virtual one.
    pub virtual_machine: Option<bool>,
    pub clock_source: Option<String>,
    pub memory_bytes: Option<u64>,
    /// Over 1, 5 and 15 minutes, at the start.
    pub load_average: [f64; 3],
    /// Measured beside the result; absent when that was not asked for.
    pub floors: Option<Floors>,
}

/// What the machine can do without a server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Floors {
    pub figures: Vec<FloorFigure>,
    pub hiccups: Vec<Hiccups>,
}

/// One exchange, timed many times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FloorFigure {
    /// A short name: `tcp_spin`.
    pub name: String,
    /// What it is, in words.
    pub meaning: String,
    /// Exchanges timed.
    pub n: u64,
    pub p50_ns: u64,
    pub p99_ns: u64,
    /// Absent when `n` cannot support it.
    pub p999_ns: Option<u64>,
    pub max_ns: u64,
}

/// How quiet a core is: a loop that does nothing but read the clock, and the gaps in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hiccups {
    pub cpu: usize,
    pub duration_ns: u64,
    /// Time in gaps of more than 10 µs, all together.
    pub lost_ns: u64,
    /// The longest gaps, longest first.
    pub longest_ns: Vec<u64>,
    /// (gap in ns, gaps at least as long), for 10 µs, 100 µs, 1 ms, 10 ms.
    pub counts: Vec<(u64, u64)>,
}
