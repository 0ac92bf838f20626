//! A script of clients, models and time against the front end.
//!
//! ```text
//!  input: steps: a byte, which one, and what it needs
//!
//!  clients ─▸ pieces ─▸ Frontend ─▸ Core ─▸ batches ─▸ models
//!     ◂──── answers ◂──────┘  ◂──────────────── outputs ◂──────┘
//! ```
//!
//! Front end and core are the real ones; a few connections share a port that is full soon.
//!
//! Oracle: the answers of a connection are those to its requests, in their order, each with the
//! model's output for its input or the default output; there is one refusal at most, and nothing
//! behind an answer that says it is the last; nothing is executed for a request that does not wait
//! for its answer; memory stays within the port's bounds. At the end every whole request has been
//! answered, and nothing is held for anybody.

mod client;
mod model;
mod requests;

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt;

use cutter_core::{BatchResults, Core, Death};
use cutter_machine::clock::Clock;
use cutter_server::config;
use cutter_server::engine::{Engine, Ids};
use cutter_server::limits::{AT_ONCE_BYTES_MAX, INPUT_BYTES_KEPT, SEND_BYTES_MAX};
use cutter_server::port::http::ledger::Bounds;
use cutter_server::port::http::{Endpoints, Expired, Frontend, Output, PortLimits};
use cutter_wire::limits::DECODED_BODY_KEPT_BYTES;

use crate::Source;
use client::Client;
use model::{MODELS, NAMES, Outputs};

/// Of one input; the time that it takes is theirs.
const STEPS_MAX: usize = 256;
/// After the script; each is a whole turn, in which time goes on.
const LAST_TURNS_MAX: usize = 4096;
const CONNECTIONS: usize = 3;
const ROWS: u32 = 8;
const ROW_BYTES: usize = 64;
const DEPTH: u32 = 2;
const BATCH_MAX: u32 = 4;
const SLO_NS: u64 = 20_000_000;
const START_NS: u64 = 1_000_000_000;
/// The longest step of time is 2 to the power of this, in nanoseconds.
const STEP_BITS_MAX: u8 = 38;
/// A port that is full soon.
const LIMITS: PortLimits = PortLimits {
    connections: CONNECTIONS,
    input: Bounds { share: 32 << 10, pool: 80 << 10, connection: 112 << 10 },
    output: Bounds { share: 32 << 10, pool: 128 << 10, connection: 160 << 10 },
};
const HELD_BYTES_MAX: usize = CONNECTIONS * LIMITS.input.share + LIMITS.input.pool;
/// Of one connection beyond its bounds: a send under way, a refusal, and the growth of a buffer.
const FORCED_BYTES_MAX: usize = SEND_BYTES_MAX + (16 << 10);
const OWED_BYTES_MAX: usize =
    CONNECTIONS * (LIMITS.output.share + FORCED_BYTES_MAX) + LIMITS.output.pool;

pub fn connection_script(data: &[u8]) {
    let mut source = Source::new(data);
    let mut world = World::new();
    for _ in 0..STEPS_MAX {
        if source.is_empty() {
            break;
        }
        world.step(&mut source);
        world.check_memory();
    }
    world.finish();
}

struct StoppedClock(Cell<u64>);

impl Clock for StoppedClock {
    fn now_ns(&self) -> u64 {
        self.0.get()
    }
}

/// A batch at a model.
type Batch = Vec<Vec<u8>>;

struct World {
    frontend: Frontend,
    core: Core,
    ids: Ids,
    clock: StoppedClock,
    endpoints: Endpoints,
    pools: Vec<File>,
    /// By connection; none is there after one has gone from a server that drains.
    clients: Vec<Option<Client>>,
    /// By model and slot.
    in_flight: [[Option<Batch>; DEPTH as usize]; MODELS],
    draining: bool,
}

impl World {
    fn new() -> Self {
        let (mut config, _) = config::parse(&model::configuration(SLO_NS)).expect("a right one");
        for application in &mut config.applications {
            // Fewer than a configuration can ask for.
            (application.rows, application.rows_at_start) = (ROWS, ROWS);
        }
        let made = Engine::new(&config, LIMITS, START_NS, &|| false);
        let Engine { core, frontend, ids, registry, .. } = made.expect("memory for a few rows");
        let rows = ids.applications.iter().map(|id| &registry.applications[*id].rows);
        let rows = rows.map(|rows| File::from(rows.try_clone().expect("a descriptor")));
        let pools = rows.collect();
        let mut world = Self {
            frontend,
            core,
            ids,
            clock: StoppedClock(Cell::new(START_NS)),
            endpoints: model::endpoints(),
            pools,
            clients: Vec::new(),
            in_flight: Default::default(),
            draining: false,
        };
        for connection in 0..CONNECTIONS {
            world.frontend.open(connection, START_NS);
            world.clients.push(Some(Client::default()));
        }
        (0..MODELS).for_each(|replica| world.replica_up(replica));
        world
    }

    fn step(&mut self, source: &mut Source<'_>) {
        let step = source.u8();
        let connection = usize::from(step >> 4) % CONNECTIONS;
        match step & 15 {
            0..=2 => {
                let bytes = requests::request(source);
                if let Some(client) = &mut self.clients[connection] {
                    client.pending.extend_from_slice(&bytes);
                    self.deliver(connection, usize::MAX);
                }
            }
            3 => {
                let bytes = requests::request(source);
                if let Some(client) = &mut self.clients[connection] {
                    client.pending.extend_from_slice(&bytes);
                }
            }
            4 => self.deliver(connection, usize::from(source.u8()) + 1),
            5 => self.deliver(connection, usize::from(source.u16()) + 1),
            6 => self.send_batch(usize::from(step >> 4) % MODELS),
            7 => self.complete(usize::from(step >> 4) % MODELS, source.u8()),
            8 => self.send_listed(),
            9 => self.finish_send(connection),
            10 => self.pass(1 << (source.u8() % (STEP_BITS_MAX + 1))),
            11 => self.work(),
            12 => self.receive_end(connection),
            13 => self.leave(connection),
            14 => self.lose_replica(usize::from(step >> 4) % MODELS, source.u8()),
            _ => self.sweep(source.u8() == 0xD7),
        }
    }

    /// A turn in which everything is done that can be; and now and then the server begins to end.
    fn sweep(&mut self, drains: bool) {
        if drains && !self.draining {
            self.draining = true;
            let now_ns = self.clock.now_ns();
            let open = (0..CONNECTIONS).filter(|connection| self.is_open(*connection));
            let open: Vec<usize> = open.collect();
            self.frontend.begin_drain();
            self.frontend.refuse_parts(now_ns, open.into_iter(), &mut self.core);
        }
        for model in 0..MODELS {
            (0..DEPTH).for_each(|_| self.complete(model, 0));
            (0..DEPTH).for_each(|_| self.send_batch(model));
        }
        self.work();
        (0..CONNECTIONS).for_each(|connection| self.deliver(connection, usize::MAX));
        self.send_listed();
        (0..CONNECTIONS).for_each(|connection| self.finish_send(connection));
    }

    /// What stands ready is sent, each connection once.
    fn send_listed(&mut self) {
        while let Some(connection) = self.frontend.replies.next_listed() {
            self.begin_send(connection);
        }
    }

    fn is_open(&self, connection: usize) -> bool {
        self.clients[connection].as_ref().is_some_and(|client| !client.ended)
    }

    /// So much of what a client wants to send is received, if anything is.
    fn deliver(&mut self, connection: usize, most: usize) {
        if !self.is_open(connection) || !self.frontend.wants_input(connection) {
            return;
        }
        let Some(client) = &mut self.clients[connection] else { return };
        let bytes = most.min(client.pending.len());
        if bytes == 0 || client.finished {
            return;
        }
        let piece: Vec<u8> = client.pending.drain(..bytes).collect();
        client.sent(&piece, &self.endpoints);
        let now_ns = self.clock.now_ns();
        self.frontend.receive(connection, &piece, now_ns, &self.clock, &mut self.core);
    }

    fn receive_end(&mut self, connection: usize) {
        if let Some(client) = &mut self.clients[connection]
            && !client.ended
            && !client.finished
        {
            client.finished = true;
            let now_ns = self.clock.now_ns();
            self.frontend.receive_end(connection, now_ns, &mut self.core);
        }
    }

    fn begin_send(&mut self, connection: usize) {
        let Some(client) = &mut self.clients[connection] else { return };
        if client.sending || client.ended {
            return;
        }
        let now_ns = self.clock.now_ns();
        let mut out = Vec::new();
        match self.frontend.replies.output(connection, &mut out) {
            Output::Nothing => assert!(out.is_empty()),
            Output::Bytes => {
                assert!((1..=SEND_BYTES_MAX).contains(&out.len()), "a send of {}", out.len());
                client.got(&out, self.draining);
                client.sending = true;
                self.frontend.begin_send(connection, out.len(), now_ns);
                self.frontend.resume(connection, now_ns, &self.clock, &mut self.core);
            }
            Output::End => {
                client.ended = true;
                assert!(client.closing || client.finished || self.draining, "an end for nothing");
                assert!(client.is_answered() && !client.has_part(), "an end too early");
            }
        }
        for replied in self.frontend.replies.take_replied() {
            self.core.handed_over(&replied, now_ns);
        }
    }

    fn finish_send(&mut self, connection: usize) {
        let Some(client) = &mut self.clients[connection] else { return };
        if std::mem::take(&mut client.sending) {
            let now_ns = self.clock.now_ns();
            self.frontend.sent(connection, now_ns, &mut self.core);
            self.frontend.resume(connection, now_ns, &self.clock, &mut self.core);
        }
    }

    /// Time goes on: what was due is looked at.
    fn pass(&mut self, ns: u64) {
        let now_ns = self.clock.now_ns() + ns;
        self.clock.0.set(now_ns);
        if self.core.next_tick_ns().is_some_and(|due_ns| due_ns <= now_ns) {
            self.core.tick(now_ns, &mut self.frontend.replies);
        }
        for connection in 0..CONNECTIONS {
            let due = self.frontend.deadline_ns(connection).is_some_and(|due_ns| due_ns <= now_ns);
            if !due || !self.is_open(connection) {
                continue;
            }
            if self.frontend.expire(connection, now_ns, &mut self.core) == Expired::End {
                let client = self.clients[connection].as_ref();
                let is_done = client.is_some_and(|client| client.sending || client.is_answered());
                assert!(is_done, "the wait is ours");
                self.leave(connection);
            }
        }
    }

    fn work(&mut self) {
        self.frontend.replies.begin_turn(AT_ONCE_BYTES_MAX);
        if self.frontend.has_large_work() {
            self.frontend.work(&self.clock, &mut self.core);
        }
        while self.frontend.take_garbage().is_some() {}
    }

    /// The connection is gone, and somebody else has its place.
    fn leave(&mut self, connection: usize) {
        if self.clients[connection].take().is_none() {
            return;
        }
        self.frontend.close(connection, &mut self.core);
        if !self.draining {
            self.frontend.open(connection, self.clock.now_ns());
            self.clients[connection] = Some(Client::default());
        }
    }

    fn replica_up(&mut self, replica: usize) {
        let (now_ns, output) = (self.clock.now_ns(), model::output_spec(replica));
        self.core.replica_up(now_ns, self.ids.replicas[replica], output, DEPTH, BATCH_MAX);
    }

    /// A replica ends, and another one begins.
    fn lose_replica(&mut self, replica: usize, form: u8) {
        let death = if form.is_multiple_of(2) { Death::Crash } else { Death::Stopped };
        let now_ns = self.clock.now_ns();
        self.in_flight[replica] = Default::default();
        let id = self.ids.replicas[replica];
        self.core.replica_lost(now_ns, id, death, &mut self.frontend.replies);
        self.replica_up(replica);
    }

    /// A batch goes to a model, which has one replica.
    fn send_batch(&mut self, replica: usize) {
        let Some(slot) = self.in_flight[replica].iter().position(Option::is_none) else { return };
        let now_ns = self.clock.now_ns();
        let mut rows = Vec::new();
        let sink = &mut self.frontend.replies;
        let id = self.ids.replicas[replica];
        let Some(_) = self.core.next_batch(now_ns, id, &mut rows, sink) else { return };
        assert!((1..=BATCH_MAX as usize).contains(&rows.len()));
        let mut batch = Batch::new();
        for row in &rows {
            let mut input = vec![0; row.bytes as usize];
            let at = row.row as usize * ROW_BYTES;
            self.pools[replica].read_exact_at(&mut input, at as u64).expect("a row of the pool");
            let mut clients = self.clients.iter().flatten();
            let waits = clients.any(|client| client.waits_for(replica, &input));
            assert!(waits, "executed for nobody: {input:?} of {}", NAMES[replica]);
            batch.push(input);
        }
        self.in_flight[replica][slot] = Some(batch);
        let slot = u32::try_from(slot).expect("few slots");
        self.core.sent(now_ns, id, slot);
    }

    /// A model is done with a batch, or fails.
    fn complete(&mut self, replica: usize, form: u8) {
        let slots = &mut self.in_flight[replica];
        let Some(slot) = slots.iter().position(Option::is_some) else { return };
        let batch = slots[slot].take().unwrap_or_default();
        let results = if form & 7 == 7 {
            BatchResults::Failed(b"the model says no")
        } else {
            BatchResults::Items(Outputs::of(replica, &batch))
        };
        let now_ns = self.clock.now_ns();
        let slot = u32::try_from(slot).expect("few slots");
        let sink = &mut self.frontend.replies;
        self.core.complete(now_ns, now_ns, self.ids.replicas[replica], slot, &results, sink);
        while self.core.take_failure_report().is_some() {}
    }

    fn check_memory(&self) {
        let memory = self.frontend.memory();
        assert!(memory.held <= HELD_BYTES_MAX, "{memory:?}, of {HELD_BYTES_MAX} held");
        assert!(memory.owed <= OWED_BYTES_MAX, "{memory:?}, of {OWED_BYTES_MAX} owed");
    }

    /// Everything comes to its end: answers, and then connections.
    fn finish(&mut self) {
        let mut turns = 0;
        while self.is_busy() {
            self.sweep(false);
            self.clock.0.set(self.clock.now_ns() + SLO_NS);
            self.core.tick(self.clock.now_ns(), &mut self.frontend.replies);
            self.check_memory();
            turns += 1;
            assert!(turns < LAST_TURNS_MAX, "it does not come to an end");
        }
        assert_eq!(self.frontend.memory().owed, 0, "owed to nobody");
        for (connection, client) in self.clients.iter().enumerate() {
            let Some(client) = client else { continue };
            assert!(client.is_answered() && !client.has_part(), "{connection} waits: {client:?}");
            let is_over = client.closing || client.finished;
            assert_eq!(client.ended, is_over, "{connection} is to end: {client:?}");
        }
        self.draining = true;
        (0..CONNECTIONS).for_each(|connection| self.leave(connection));
        let memory = self.frontend.memory();
        let kept = CONNECTIONS * (INPUT_BYTES_KEPT + DECODED_BODY_KEPT_BYTES);
        assert!(memory.held <= kept, "held for nobody: {memory:?}");
        assert_eq!((memory.owed, memory.unrendered), (0, 0), "{memory:?}");
    }

    /// Whether something is still to come without a client doing anything more.
    fn is_busy(&self) -> bool {
        let in_flight = self.in_flight.iter().flatten().any(Option::is_some);
        let wants = |(connection, client): (usize, &Option<Client>)| {
            client.as_ref().is_some_and(|client| {
                let unsent = !client.finished && !client.pending.is_empty();
                let wants_input = !client.ended && self.frontend.wants_input(connection);
                client.sending || (unsent && wants_input)
            })
        };
        in_flight
            || self.frontend.has_large_work()
            || self.frontend.replies.listed() > 0
            || !self.core.is_idle()
            || self.clients.iter().enumerate().any(wants)
    }
}
