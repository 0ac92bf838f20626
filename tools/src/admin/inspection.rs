//! What `/inspect` says.

use serde::Deserialize;

use super::Stats;

/// The version of the format.
pub const INSPECT_SCHEMA: &str = "cutter-inspect/1";

/// How an engine stands.
#[derive(Clone, Debug, Deserialize)]
pub struct Inspection {
    /// What the control thread knows.
    pub readiness: Readiness,
    pub engine: EngineAnswer,
    pub stats: Stats,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Readiness {
    pub status: String,
    #[serde(default)]
    pub reasons: Vec<String>,
    pub models: Vec<ReadyModel>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct ReadyModel {
    pub name: String,
    pub version: String,
    pub replicas: Vec<ReadyReplica>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct ReadyReplica {
    pub replica: usize,
    pub state: String,
    pub for_ms: u64,
    pub pid: Option<u32>,
    pub incarnation: u64,
    pub restarts: u64,
    pub retry_in_ms: Option<u64>,
    pub last_error: Option<String>,
    pub not_pinned: Option<String>,
}

/// What the engine thread says, or why it says nothing.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum EngineAnswer {
    Silent(String),
    Says(Box<EngineInspection>),
}

#[derive(Clone, Debug, Deserialize)]
pub struct EngineInspection {
    pub last_turn_ago_ns: u64,
    pub longest_turn_ns: u64,
    pub wait: String,
    pub sleeps: u64,
    /// How long it had been asleep when it was asked; absent when it was awake.
    pub asleep_for_ns: Option<u64>,
    pub draining: bool,
    pub ring_enters: u64,
    pub ring_overflows: u64,
    pub connections: InspectedConnections,
    pub applications: Vec<InspectedApplication>,
    pub models: Vec<InspectedModel>,
    pub replicas: Vec<InspectedReplica>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub struct InspectedConnections {
    pub open: u64,
    pub lingering: u64,
    pub ending: u64,
    pub receiving: u64,
    pub sending: u64,
    /// Those that wait for a receive buffer.
    pub starved: u64,
    pub held_bytes: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct InspectedApplication {
    pub name: String,
    pub slo_ns: u64,
    pub model: Option<usize>,
    pub rows: u32,
    pub rows_in_use: u32,
    pub next_row: u32,
    pub first_due: Option<InspectedQuery>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct InspectedModel {
    pub model: String,
    pub version: String,
    pub availability: String,
    pub queued: usize,
    pub queue_capacity: usize,
    pub suspects: usize,
    pub head: Option<InspectedQuery>,
    pub objective_ns: u64,
    pub overhead_ns: u64,
    pub batch_timeout_ns: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct InspectedQuery {
    pub query_id: u64,
    pub application: String,
    pub row: u32,
    pub age_ns: u64,
    /// Negative when it is late.
    pub due_in_ns: i64,
    pub answered: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub struct InspectedReplica {
    pub model: String,
    pub version: String,
    pub replica: usize,
    pub batch_limit: u32,
    pub life: Option<InspectedLife>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct InspectedLife {
    pub incarnation: u64,
    pub items_max: u32,
    pub last_completion_ago_ns: u64,
    pub alone: bool,
    pub asleep: bool,
    pub kicks: u64,
    pub stopped: bool,
    pub wakes_without_news: u32,
    pub ring: InspectedRings,
    /// The one that runs first.
    pub tickets: Vec<InspectedTicket>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub struct InspectedRings {
    pub capacity: u32,
    pub submitted: u64,
    pub completed: u64,
    pub outstanding: u64,
    pub completion_waiting: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub struct InspectedTicket {
    pub slot: u32,
    pub generation: u32,
    pub items: usize,
    pub age_ns: u64,
    pub due_in_ns: Option<i64>,
    /// Absent while it waits for the one before it.
    pub hangs_in_ns: Option<i64>,
}
