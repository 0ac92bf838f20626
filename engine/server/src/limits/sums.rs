//! Sums: for each resource, what all of its holders may hold together.
//!
//! A limit of one holder bounds nothing by itself. Here every resource has one line for each kind
//! of holder, `count × each`, and the lines make its total. Where all lines are constant the total
//! is asserted at compile time; the others follow from a [`Config`]. `cutter check` prints all of
//! them, and its warnings compare them with the machine.
//!
//! Whoever adds a holder of a resource adds its line here.

use std::borrow::Cow;

use cutter_core::limits::KEPT_OUTPUT_BYTES_MAX;
use cutter_core::selection::{Learner, LearnerSize};
use cutter_core::{Core, Replica, Room};
use cutter_protocol::layout::Geometry;
use cutter_protocol::limits::{DEPTH_DEFAULT, OUTPUT_SLOT_BYTES_MAX};
use cutter_tensor::{ElementType, TensorSpec};
use cutter_wire::limits::{BODY_BYTES_MAX, DECODED_BODY_KEPT_BYTES, HEAD_BYTES_MAX};

use super::{
    ADMIN_CONNECTIONS_MAX, CONNECTION_IN_SHARE_BYTES, CONNECTION_OUT_BYTES_MAX,
    CONNECTION_OUT_SHARE_BYTES, CONNECTION_STATE_BYTES_MAX, CONNECTIONS_MAX,
    CONTAINERS_PENDING_MAX, DESCRIPTORS_OF_APPLICATION, DESCRIPTORS_OF_CONTAINER,
    DESCRIPTORS_OF_PROCESS, DESCRIPTORS_OF_REPLICA, IN_POOL_BYTES_MAX, INPUT_BYTES_KEPT,
    LOG_CHUNK_BYTES, LOG_CHUNKS, MEMO_BYTES, OUT_POOL_BYTES_MAX, PIPELINED_REQUESTS_MAX,
    RECEIVE_BUFFER_BYTES, RECEIVE_BUFFERS, RENDER_BYTES_MAX, REPLY_BYTES_KEPT, RING_ENTRIES,
    RING_ENTRY_BYTES, SEND_BYTES_KEPT, SEND_BYTES_MAX, SPARE_BUFFER_BYTES_MAX, SPARE_REPLIES_MAX,
    STORE_CACHE_BYTES, THREADS,
};
use crate::config::{Application, Config, Model};
use crate::pool::BLANK_ROWS;

/// One kind of holder of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub name: Cow<'static, str>,
    pub count: u64,
    /// What one of them may hold.
    pub each: u64,
}

impl Holder {
    const fn constant(name: &'static str, count: usize, each: usize) -> Self {
        Self { name: Cow::Borrowed(name), count: count as u64, each: each as u64 }
    }

    fn new(name: impl Into<Cow<'static, str>>, count: u64, each: u64) -> Self {
        Self { name: name.into(), count, each }
    }

    pub const fn total(&self) -> u64 {
        self.count * self.each
    }
}

/// What all holders together may hold.
pub const fn total(holders: &[Holder]) -> u64 {
    let mut total = 0;
    let mut index = 0;
    while index < holders.len() {
        total += holders[index].total();
        index += 1;
    }
    total
}

/// One resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    pub resource: &'static str,
    /// What is counted.
    pub unit: &'static str,
    pub holders: Vec<Holder>,
}

impl Sum {
    fn new(resource: &'static str, unit: &'static str, holders: Vec<Holder>) -> Self {
        Self { resource, unit, holders }
    }

    pub fn total(&self) -> u64 {
        total(&self.holders)
    }
}

/// Bytes received and not used up: held until a request is whole, or decoded of a chunked body.
const BYTES_IN: &[Holder] = &[
    Holder::constant("shares of connections", CONNECTIONS_MAX, CONNECTION_IN_SHARE_BYTES),
    Holder::constant("beyond the shares", 1, IN_POOL_BYTES_MAX),
    // A buffer doubles before it is counted, and is then given up if it may not be.
    Holder::constant("a body that grows too far", 1, 2 * BODY_BYTES_MAX),
];

/// Bytes of answers that are not with the kernel yet.
const BYTES_OUT: &[Holder] = &[
    Holder::constant("shares of connections", CONNECTIONS_MAX, CONNECTION_OUT_SHARE_BYTES),
    Holder::constant("beyond the shares", 1, OUT_POOL_BYTES_MAX),
    Holder::constant("sends under way", CONNECTIONS_MAX, SEND_BYTES_MAX),
    Holder::constant("outputs to be rendered", 1, RENDER_BYTES_MAX),
];

/// Capacity that connections keep for their next use while they hold nothing.
const BYTES_KEPT: &[Holder] = &[
    Holder::constant("for incomplete requests", CONNECTIONS_MAX, INPUT_BYTES_KEPT),
    Holder::constant("for chunked bodies", CONNECTIONS_MAX, DECODED_BODY_KEPT_BYTES),
    Holder::constant("for answers owed", CONNECTIONS_MAX * OWED_MAX, REPLY_BYTES_KEPT),
    Holder::constant("for answers to come", SPARE_REPLIES_MAX, REPLY_BYTES_KEPT),
    Holder::constant("for sends", CONNECTIONS_MAX, SEND_BYTES_KEPT),
    Holder::constant("for large bodies and outputs", 1, SPARE_BUFFER_BYTES_MAX),
];

/// Answers that a connection may be owed: those of its requests, and a refusal.
const OWED_MAX: usize = PIPELINED_REQUESTS_MAX + 1;

/// What the engine thread takes at its start, whatever the configuration.
const ENGINE_BYTES: &[Holder] = &[
    Holder::constant("connection tables", CONNECTIONS_MAX, CONNECTION_STATE_BYTES_MAX),
    Holder::constant("receive buffers", RECEIVE_BUFFERS as usize, RECEIVE_BUFFER_BYTES as usize),
    Holder::constant("ring", RING_ENTRIES as usize, RING_ENTRY_BYTES),
    Holder::constant("tables of what is served", 1, Core::table_bytes()),
];

const _: () = {
    // What one client may do has room beside the shares of all others.
    assert!(total(BYTES_IN) > (HEAD_BYTES_MAX + 2 * BODY_BYTES_MAX) as u64);
    assert!(total(BYTES_OUT) > CONNECTION_OUT_BYTES_MAX as u64);
    // All clients together can be promised this on a machine of 8 GiB.
    assert!(total(BYTES_IN) + total(BYTES_OUT) + total(BYTES_KEPT) <= 3 << 30);
    // And an engine without load is small.
    assert!(total(ENGINE_BYTES) <= 32 << 20);
};

/// Every resource of a server with this configuration.
pub fn all(config: &Config) -> Vec<Sum> {
    vec![
        Sum::new("bytes in", "bytes", BYTES_IN.to_vec()),
        Sum::new("bytes owed", "bytes", BYTES_OUT.to_vec()),
        Sum::new("buffers kept", "bytes", BYTES_KEPT.to_vec()),
        rows(config),
        descriptors(config),
        threads(config),
        memory_at_start(config),
        memory_locked(config),
        memory_when_full(config),
    ]
}

/// Queries that are admitted and not answered: each holds a row.
pub fn rows(config: &Config) -> Sum {
    let holder = |application: &Application| {
        Holder::new(application.name.clone(), 1, u64::from(application.rows))
    };
    Sum::new("rows", "rows", config.applications.iter().map(holder).collect())
}

/// Threads of the server's process.
fn threads(config: &Config) -> Sum {
    let holders = vec![
        Holder::new("of the server", THREADS, 1),
        Holder::new("state store", u64::from(config.has_store()), 1),
        Holder::new("decision log", u64::from(config.server.decision_log.is_some()), 1),
    ];
    Sum::new("threads", "threads", holders)
}

/// Open files of the server's process.
pub fn descriptors(config: &Config) -> Sum {
    let listeners = config.server.query.len() + 1 + usize::from(config.server.socket.is_some());
    let pending = if config.server.socket.is_some() { CONTAINERS_PENDING_MAX } else { 0 };
    let applications = config.applications.len();
    let holders = vec![
        Holder::new("log, ring, inbox, runtime", 1, DESCRIPTORS_OF_PROCESS),
        Holder::constant("listeners", listeners, 1),
        Holder::new("state store", u64::from(config.has_store()), 1),
        Holder::new("decision log", u64::from(config.server.decision_log.is_some()), 1),
        Holder::new("input pools", applications as u64, DESCRIPTORS_OF_APPLICATION),
        Holder::new("replicas", replicas(config), DESCRIPTORS_OF_REPLICA),
        Holder::new("containers that connect", pending as u64, DESCRIPTORS_OF_CONTAINER),
        // One more is open while there is no other place.
        Holder::constant("admin connections", ADMIN_CONNECTIONS_MAX + 1, 1),
        Holder::constant("connections", CONNECTIONS_MAX + 1, 1),
    ];
    Sum::new("descriptors", "descriptors", holders)
}

/// Memory that is taken before the first query: by the engine, and as its replicas come up.
///
/// Outputs follow what a container declares, and what is kept of them what comes first; the most of
/// both is in [`memory_when_full`].
pub fn memory_at_start(config: &Config) -> Sum {
    let mut holders = ENGINE_BYTES.to_vec();
    holders.extend(queries(config));
    holders.extend(calls(config));
    holders.extend(learned(config));
    holders.extend(pools(config, Application::pool_bytes_at_start));
    holders.extend(segments(config, |bytes| bytes.at_start() + bytes.private()));
    Sum::new("memory at start", "bytes", holders)
}

/// That part of it that is to be locked.
pub fn memory_locked(config: &Config) -> Sum {
    let mut holders = pools(config, Application::pool_bytes_at_start);
    holders.extend(segments(config, ReplicaBytes::at_start));
    Sum::new("memory locked", "bytes", holders)
}

/// Memory when clients and containers have taken all that they may: every row full, every output
/// as large as can be declared, as many kept as may be, and all that connections may hold.
pub fn memory_when_full(config: &Config) -> Sum {
    let mut holders = ENGINE_BYTES.to_vec();
    holders.push(constant_sum("bytes in", BYTES_IN));
    holders.push(constant_sum("bytes owed", BYTES_OUT));
    holders.push(constant_sum("buffers kept", BYTES_KEPT));
    holders.push(Holder::constant("outputs kept", keepers(config), KEPT_OUTPUT_BYTES_MAX));
    holders.extend(queries(config));
    holders.extend(calls(config));
    holders.extend(learned(config));
    let with_blank =
        |it: &Application| it.pool_bytes() + u64::from(BLANK_ROWS) * it.row_stride() as u64;
    holders.extend(pools(config, with_blank));
    let full = |bytes: &ReplicaBytes| bytes.at_start() + bytes.private() + bytes.outputs_max;
    holders.extend(segments(config, full));
    Sum::new("memory when full", "bytes", holders)
}

/// The tables of queries and of their calls, and what tells which is due first: of each
/// application for as many as it has rows.
fn queries(config: &Config) -> Vec<Holder> {
    let holder = |application: &Application| {
        let bytes = cutter_core::Application::table_bytes(
            application.rows,
            links_max(application),
            application.policy.is_some(),
        );
        Holder::new(format!("queries of {}", application.name), 1, bytes as u64)
    };
    config.applications.iter().map(holder).collect()
}

/// What policies learn, what models' caches keep, and what is on its way to a disk.
fn learned(config: &Config) -> Vec<Holder> {
    let has_store = config.has_store();
    let mut holders = Vec::new();
    for Application { name, models, policy, .. } in &config.applications {
        let Some(policy) = policy else { continue };
        // It was made when the text was read.
        let Ok(made) = policy.plan.build_for(models.len()) else { continue };
        let size = LearnerSize {
            numbers: policy.plan.numbers(),
            contexts: policy.learning.contexts,
            window: policy.learning.feedback_window as usize,
            has_store,
        };
        let bytes = Learner::table_bytes(made.init(models.len()), &size);
        holders.push(Holder::new(format!("policy of {name}"), 1, bytes as u64));
    }
    for application in &config.applications {
        let mut models = application.models.iter().map(|model| &config.models[*model]);
        let count = usize::from(application.remembers_bodies(&mut models));
        let name = format!("bodies known of {}", application.name);
        holders.push(Holder::new(name, count as u64, MEMO_BYTES as u64));
    }
    for (index, model) in config.models.iter().enumerate() {
        let bytes = model.cache.map_or(0, |cache| cache.bytes);
        holders.push(Holder::new(format!("cache of {}", config.label(index)), 1, bytes));
    }
    holders.push(Holder::new("state store", u64::from(has_store), STORE_CACHE_BYTES as u64));
    let has_log = usize::from(config.server.decision_log.is_some());
    holders.push(Holder::constant("decision log", has_log * LOG_CHUNKS, LOG_CHUNK_BYTES));
    holders
}

/// Where calls wait: of each model for as many as its applications have rows.
fn calls(config: &Config) -> Vec<Holder> {
    let holder = |model: &Model| {
        let linked = model.applications.iter().map(|index| &config.applications[*index]);
        let rows = linked.map(|application| application.rows as usize).sum();
        let name = format!("calls that wait for {}", model.name);
        Holder::new(name, 1, Room::table_bytes(rows) as u64)
    };
    config.models.iter().map(holder).collect()
}

/// Outputs are kept, within one bound for all, where a query may ask several models.
fn keepers(config: &Config) -> usize {
    usize::from(config.applications.iter().any(|application| links_max(application) > 1))
}

/// The most models that a query of an application can ask, as the engine makes room for them.
fn links_max(application: &Application) -> usize {
    application.models.len().max(1)
}

fn pools(config: &Config, bytes: impl Fn(&Application) -> u64) -> Vec<Holder> {
    let holder = |application: &Application| {
        Holder::new(format!("input pool of {}", application.name), 1, bytes(application))
    };
    config.applications.iter().map(holder).collect()
}

fn segments(config: &Config, bytes: impl Fn(&ReplicaBytes) -> u64) -> Vec<Holder> {
    let holder = |(index, model): (usize, &Model)| {
        let name = format!("replicas of {}", config.label(index));
        Holder::new(name, u64::from(model.replicas), bytes(&ReplicaBytes::of(model)))
    };
    config.models.iter().enumerate().map(holder).collect()
}

fn replicas(config: &Config) -> u64 {
    config.models.iter().map(|model| u64::from(model.replicas)).sum()
}

fn constant_sum(name: &'static str, holders: &[Holder]) -> Holder {
    Holder::new(name, 1, total(holders))
}

/// The segments of one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaBytes {
    pub control: u64,
    pub completions: u64,
    /// The most that a container's outputs can take, where the replica writes them and where the
    /// engine copies them; it is known when the container has declared what it gives.
    pub outputs_max: u64,
    /// The engine's tables of the calls in its batches.
    calls: u64,
}

impl ReplicaBytes {
    pub fn of(model: &Model) -> Self {
        let some_output = TensorSpec::scalar(ElementType::Float32);
        let items_max = model.batch.max;
        let geometry = Geometry::fit(DEPTH_DEFAULT, items_max, some_output)
            .expect("the configuration bounds the batch");
        Self {
            control: geometry.control_bytes() as u64,
            completions: geometry.completions_bytes() as u64,
            outputs_max: u64::from(DEPTH_DEFAULT + 1) * OUTPUT_SLOT_BYTES_MAX as u64,
            calls: Replica::table_bytes(DEPTH_DEFAULT, items_max) as u64,
        }
    }

    fn at_start(&self) -> u64 {
        self.control + self.completions
    }

    /// What is the engine's alone: its tables, and copies of one batch's completions, which are
    /// for all tickets.
    fn private(&self) -> u64 {
        self.calls + self.completions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn config(text: &str) -> Config {
        config::parse(text).expect("the text is right").0
    }

    const TWO: &str = "[server]\nsocket = \"s\"\n\
        [[application]]\nname = \"a\"\ninput = { type = \"f\", shape = [16] }\nmodels = [\"m\"]\n\
        [[application]]\nname = \"b\"\ninput = { type = \"s\", max_bytes = 6291456 }\n\
        [[model]]\nname = \"m\"\nreplicas = 3\n";

    #[test]
    fn every_holder_is_in_its_sum() {
        let config = config(TWO);
        assert_eq!(rows(&config).total(), 4096 + 170);
        let (none, two) = (descriptors(&self::config("")), descriptors(&config));
        let listener = 1;
        let due = listener
            + 2 * DESCRIPTORS_OF_APPLICATION
            + 3 * DESCRIPTORS_OF_REPLICA
            + CONTAINERS_PENDING_MAX as u64 * DESCRIPTORS_OF_CONTAINER;
        assert_eq!(two.total() - none.total(), due);
        let (pool_a, row_b) = (4096 * 64, 6 << 20);
        let replicas = 3 * ReplicaBytes::of(&config.models[0]).at_start();
        assert_eq!(memory_locked(&config).total(), pool_a + 10 * row_b + replicas);
        let full = memory_when_full(&config).total() - memory_at_start(&config).total();
        let outputs = 3 * 3 * (64 << 20);
        let connections = total(BYTES_IN) + total(BYTES_OUT) + total(BYTES_KEPT);
        let blank_rows = 64 + row_b;
        assert_eq!(full, 160 * row_b + blank_rows + outputs + connections);
    }

    #[test]
    fn what_queries_and_calls_take_is_counted_from_the_start() {
        let with_models = |models: Vec<usize>| {
            let mut config = config(TWO);
            config.applications[0].models = models;
            config
        };
        let one = with_models(vec![0]);
        let at_start = memory_at_start(&one);
        let of = |name: &str| {
            let holder = at_start.holders.iter().find(|holder| holder.name == name);
            holder.map(Holder::total)
        };
        let queries =
            |rows, links_max| cutter_core::Application::table_bytes(rows, links_max, false) as u64;
        assert_eq!(of("queries of a"), Some(queries(4096, 1)));
        assert_eq!(of("queries of b"), Some(queries(170, 1)));
        assert_eq!(of("calls that wait for m"), Some(Room::table_bytes(4096) as u64));
        // Each model that can be asked takes more, and from the second on outputs may wait.
        let several = with_models(vec![0, 0, 0]);
        let more = queries(4096, 3) - queries(4096, 1);
        assert_eq!(memory_at_start(&several).total() - at_start.total(), more);
        let full = memory_when_full(&several).total() - memory_when_full(&one).total();
        assert_eq!(full, more + KEPT_OUTPUT_BYTES_MAX as u64);
    }

    #[test]
    fn bodies_are_remembered_for_inputs_of_numbers_that_ask_a_model_with_a_cache() {
        let known = |text: &str| -> Vec<u64> {
            let holders = memory_at_start(&config(text)).holders;
            let of = |holder: &&Holder| holder.name.starts_with("bodies known of ");
            holders.iter().filter(of).map(Holder::total).collect()
        };
        assert_eq!(known(TWO), [0, 0]);
        assert_eq!(known(&format!("{TWO}cache = {{}}\n")), [MEMO_BYTES as u64, 0]);
    }

    #[test]
    fn every_sum_is_told_once_with_its_holders() {
        let sums = all(&config(TWO));
        let mut names: Vec<&str> = sums.iter().map(|sum| sum.resource).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), sums.len());
        for sum in &sums {
            assert!(sum.total() > 0 && !sum.holders.is_empty(), "{}", sum.resource);
        }
    }
}
