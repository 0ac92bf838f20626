//! `/inspect`: how everything stands at this moment, for whoever debugs a stall.
//!
//! Instants are told as ages and times to go, since a reader has no clock to compare them with. A
//! time to go is negative once it is past.

use serde::{Deserialize, Serialize};

use crate::{Readiness, Stats};

/// The version of the format.
pub const SCHEMA: &str = "cutter-inspect/1";

/// The answer of `/inspect`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// [`SCHEMA`].
    pub schema: String,
    /// What the control thread knows: as `/readyz`.
    pub readiness: Readiness,
    pub engine: EngineAnswer,
    /// As `/stats`.
    pub stats: Stats,
}

/// What the engine thread says, or why it says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EngineAnswer {
    Silent(String),
    Says(Box<Engine>),
}

/// The engine thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// How long ago the last turn ended before the one that made this.
    pub last_turn_ago_ns: u64,
    /// The most time between two turns with no sleep in between, since the start.
    pub longest_turn_ns: u64,
    /// How it waits, as configured: `spin`, `yield`, `adaptive` or `block`.
    pub wait: String,
    /// How often it fell asleep, since the start.
    pub sleeps: u64,
    /// How long it had been asleep when it was asked; `null` when it was awake.
    pub asleep_for_ns: Option<u64>,
    /// Whether the server is ending.
    pub draining: bool,
    /// Calls of `io_uring_enter`, since the start.
    pub ring_enters: u64,
    /// Completions that did not fit into the completion queue at once, since the start.
    pub ring_overflows: u64,
    pub connections: Connections,
    /// In the order of the configuration, as the next two.
    pub applications: Vec<Application>,
    pub models: Vec<Model>,
    pub replicas: Vec<Replica>,
}

/// How many client connections are doing what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connections {
    pub open: u64,
    /// Shut on our side after the last answer, until the client closes too.
    pub lingering: u64,
    /// Shut on both sides, until what is in flight has ended.
    pub ending: u64,
    pub receiving: u64,
    pub sending: u64,
    /// Those that wait for a receive buffer.
    pub starved: u64,
    /// Bytes of requests that are not whole yet.
    pub held_bytes: u64,
}

/// An application: its input pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    pub name: String,
    /// As configured.
    pub slo_ns: u64,
    /// The linked model, as an index into [`Engine::models`]; `null` without one.
    pub model: Option<usize>,
    /// Of its input pool.
    pub rows: u32,
    /// Those of `rows` that hold a query.
    pub rows_in_use: u32,
    /// Where the search for the next row begins.
    pub next_row: u32,
    /// The open query that is due first; `null` without any.
    pub first_due: Option<Query>,
    /// Left out without a policy, and while no model is linked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// What chooses among an application's models. What it has chosen and learned is in
/// [`crate::Selection`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// As configured.
    pub name: String,
    /// As configured: `online`, `apprentice` or `log_only`.
    pub mode: String,
    /// Contexts whose states are in memory, the application's own included.
    pub contexts_held: u32,
    /// Those of them that the store is being asked for.
    pub contexts_loading: u32,
    /// Those of them that have changed since they were handed to the store.
    pub contexts_changed: usize,
    /// Lessons that were not learned, as there was no room for the state of their context.
    pub lessons_lost: u64,
    /// States that gave their place to others and, without a store, are nowhere any more.
    pub contexts_forgotten: u64,
    /// Decisions of which it may still be told what they were worth.
    pub decisions_waiting: usize,
}

/// A model version: its queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    pub model: String,
    pub version: String,
    /// `expected` while a query has something to wait for, else `down`.
    pub availability: String,
    /// Queries that wait.
    pub queued: usize,
    /// The most that can.
    pub queue_capacity: usize,
    /// Queries that were in flight when a container died, and wait to go out alone.
    pub suspects: usize,
    /// Queries whose batch failed, and that wait to go out in smaller ones.
    #[serde(default)]
    pub retries: usize,
    /// The query that waits and is due first; `null` when none waits.
    pub head: Option<Query>,
    /// What a batch may take.
    pub objective_ns: u64,
    /// What parsing and replying take, smoothed.
    pub overhead_ns: u64,
    /// From when on a batch counts as hanging, as configured.
    pub batch_timeout_ns: u64,
}

/// A query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// As in the answers to clients.
    pub query_id: u64,
    /// The name of its application.
    pub application: String,
    /// Where its input lies in the pool.
    pub row: u32,
    /// Since it arrived.
    pub age_ns: u64,
    /// Until its deadline; negative when it is late.
    pub due_in_ns: i64,
    /// Whether it is answered already, or its client has gone.
    pub answered: bool,
}

/// A replica: its rings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    pub model: String,
    pub version: String,
    /// Its number among the replicas of its model, from 0.
    pub replica: usize,
    /// The most rows that its next batch may have.
    pub batch_limit: u32,
    /// `null` while no incarnation is up.
    pub life: Option<Life>,
}

/// An incarnation that is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// Its number, from 1.
    pub incarnation: u64,
    /// The most rows that the container takes in a batch.
    pub items_max: u32,
    /// Before the first, since it is up.
    pub last_completion_ago_ns: u64,
    /// Whether a suspect is in flight, alone.
    pub alone: bool,
    /// Whether it is warmed up, and takes no queries yet.
    #[serde(default)]
    pub warming: bool,
    /// Whether it says that it sleeps.
    pub asleep: bool,
    /// How often it was woken, modulo 2^32.
    pub kicks: u64,
    /// Whether it was told to end.
    pub stopped: bool,
    /// Times that it woke the engine for nothing, less those that are forgiven for completions
    /// and with time.
    pub wakes_without_news: u32,
    pub ring: Rings,
    /// Batches in flight, the one that runs first.
    pub tickets: Vec<Ticket>,
}

/// The pair of rings between the engine and an incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rings {
    /// In entries.
    pub capacity: u32,
    /// Entries ever submitted.
    pub submitted: u64,
    /// Completions ever taken.
    pub completed: u64,
    /// Entries submitted and not completed.
    pub outstanding: u64,
    /// Whether a completion stands there and is not taken yet.
    pub completion_waiting: bool,
}

/// A batch in flight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    pub slot: u32,
    pub generation: u32,
    /// Rows in the batch.
    pub items: usize,
    /// Since it was sent.
    pub age_ns: u64,
    /// Until its first open query is due; `null` when all of them are answered.
    pub due_in_ns: Option<i64>,
    /// Until it counts as hanging; `null` while it waits for the one before it.
    pub hangs_in_ns: Option<i64>,
}
