//! A simulated world for the engine thread: clients, a kernel and models, over virtual time.
//!
//! ```text
//!   scripts ─▶ clients ⇄ windows ⇄ kernel ═ Ring ═ loop ▸ front end ▸ core ═ Carrier ═ models
//!                  └──────────────── oracle: what must hold whatever happens ────────────────┘
//! ```
//!
//! Loop, front end and core are the real ones. Everything else is here and shares nothing with
//! them: [`kernel`] moves bytes and completes operations, [`client`] writes and parses HTTP,
//! [`model`] answers batches, [`oracle`] holds the rules. Time stands still but for what a turn is
//! said to cost; the wait in the ring moves it to the next event.
//!
//! A broken rule is a panic, as is a panic of the engine; a random world names its seed.

mod anything;
mod batches;
mod client;
mod findings;
mod kernel;
mod model;
mod oracle;
mod ring;
mod script;
mod state;

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;

use cutter_core::ids::ApplicationId;
use cutter_protocol::wait::WaitStrategy;
use cutter_tensor::{ElementType, TensorSpec};
use cutter_wire::limits::DECODED_BODY_KEPT_BYTES;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{EnginePlan, EngineThread};
use crate::counted::Counted;
use crate::engine::Engine;
use crate::limits::{BATCH_TIMEOUT_US_MAX, INPUT_BYTES_KEPT, SEND_BYTES_MAX};
use crate::messages::{ToControl, mailbox};
use crate::port::http::PortLimits;
use crate::port::http::ledger::Bounds;
use batches::{DEPTH, REPLICAS};
use client::Client;
use kernel::{KernelPlan, LISTENERS, Port};
use model::Models;
use oracle::{DRAINED_WITHIN_NS, SLO_NS};
use ring::SimulatedRing;
use script::{INPUT_INTEGERS, MS, NAMES, NO_MODEL, Reading, S, Script};
use state::State;

/// Simulated time does not begin at zero, as real time does not.
const START_NS: u64 = 1_000 * S;
/// The date at the start, in seconds since 1970.
const START_UNIX_S: u64 = 1_700_000_000;
const ROWS: u32 = 32;
const BATCH_MAX: u32 = 16;
/// Bytes of the largest output.
const OUTPUT_BYTES_MAX: u32 = 4 << 20;

/// Random numbers from a seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    pub fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).expect("below a usize")
    }

    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// Virtual time. Each look costs a little, as it does in reality.
#[derive(Clone, Debug)]
pub struct Clock {
    now_ns: Rc<Cell<u64>>,
    look_ns: u64,
}

impl Clock {
    pub fn peek_ns(&self) -> u64 {
        self.now_ns.get()
    }

    pub fn spend(&self, ns: u64) {
        self.now_ns.set(self.now_ns.get() + ns);
    }

    pub fn set(&self, now_ns: u64) {
        assert!(now_ns >= self.now_ns.get(), "time goes on");
        self.now_ns.set(now_ns);
    }
}

impl cutter_machine::clock::Clock for Clock {
    fn now_ns(&self) -> u64 {
        self.spend(self.look_ns);
        self.peek_ns()
    }

    fn unix_seconds(&self) -> u64 {
        START_UNIX_S + (self.peek_ns() - START_NS) / S
    }
}

/// A whole world, to be run once.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub kernel: KernelPlan,
    pub places: usize,
    pub input: Bounds,
    pub output: Bounds,
    pub clients: Vec<Script>,
    pub drain_ns: Option<u64>,
    /// Without descriptors from then on, for so long.
    pub no_descriptors: Option<(u64, u64)>,
    pub look_ns: u64,
    pub service_ns: [u64; REPLICAS],
    /// Bytes that all connections together may hold and have decoded.
    pub bytes_in_max: usize,
    /// Bytes that all connections together may be owed, sends in flight included.
    pub bytes_out_max: usize,
    /// Bytes that one turn may receive, read as JSON and send; none is no bound.
    pub turn_bytes_max: Option<u64>,
    /// All answers are kept, for looking at.
    pub keeps_answers: bool,
    /// The wait comes back early now and then.
    pub restless: bool,
}

impl Plan {
    /// A port of few places, and a kernel without whims.
    pub fn new(clients: Vec<Script>) -> Self {
        let places = 6;
        let input = Bounds { share: 48 << 10, pool: 400 << 10, connection: 448 << 10 };
        let output = Bounds { share: 48 << 10, pool: 4 << 20, connection: 4 << 20 };
        Self {
            seed: 1,
            kernel: KernelPlan {
                receive_buffers: 8,
                receive_buffer_bytes: 4 << 10,
                cancels_with_nobufs: false,
                loses_resets: false,
                completions_per_poll_max: None,
                send_bytes_max: SEND_BYTES_MAX,
                inbound_bytes_max: 64 << 10,
                receive_ns_per_kib: 1_000,
            },
            places,
            input,
            output,
            clients,
            drain_ns: None,
            no_descriptors: None,
            look_ns: 20,
            service_ns: model::SERVICE_NS,
            bytes_in_max: places * input.share + input.pool,
            bytes_out_max: places * (output.share + SEND_BYTES_MAX) + output.pool,
            turn_bytes_max: Some(1 << 20),
            keeps_answers: false,
            restless: false,
        }
    }

    fn limits(&self) -> PortLimits {
        PortLimits { connections: self.places, input: self.input, output: self.output }
    }

    pub fn describe(&self) -> String {
        let Self { kernel, drain_ns, no_descriptors, restless, .. } = self;
        let mut text = format!("{kernel:?}\ndrain {drain_ns:?}, no descriptors {no_descriptors:?}");
        text.push_str(&format!(", restless {restless}"));
        for (number, script) in self.clients.iter().enumerate() {
            text.push_str(&format!("\nclient {number}: {}", script.describe()));
        }
        text
    }

    pub fn run(self) -> World {
        let mut world = World::new(self);
        world.run();
        world
    }
}

/// The engine and its world.
#[derive(Debug)]
pub struct World {
    pub state: Rc<RefCell<State>>,
    pub thread: EngineThread<SimulatedRing, Models, Clock>,
    pub stats: Counted,
    pub steps: u64,
    plan: Plan,
    _control: UnboundedReceiver<ToControl>,
}

impl World {
    pub fn new(plan: Plan) -> Self {
        let clock = Clock { now_ns: Rc::new(Cell::new(START_NS)), look_ns: plan.look_ns };
        let (config, _) = crate::config::parse(&configuration()).expect("a right one");
        let made = Engine::new(&config, plan.limits(), START_NS, &|| false).expect("memory");
        let Engine { mut core, frontend, stats, registry, ids, .. } = made;
        let strides = config.applications.iter().map(|a| a.row_stride()).collect();
        let counted = registry.counted(&stats);
        let rows = |id: &ApplicationId| {
            File::from(registry.applications[*id].rows.try_clone().expect("a descriptor"))
        };
        let files = ids.applications.iter().map(rows).collect();
        let output = TensorSpec::at_most(ElementType::Int32, OUTPUT_BYTES_MAX);
        for replica in &ids.replicas {
            core.replica_up(START_NS, *replica, output, DEPTH, BATCH_MAX);
        }
        let (engine, inbox) = mailbox().expect("a descriptor");
        let (to_control, control) = tokio::sync::mpsc::unbounded_channel();
        let state = State::new(&plan, clock.clone(), engine, inbox.bell().as_raw_fd());
        let state = Rc::new(RefCell::new(state));
        let models = Models::new(Rc::clone(&state), ids, files, strides);
        state.borrow_mut().bells = models.bells();
        let engine_plan = EnginePlan {
            listeners: (0..LISTENERS).map(Port).collect(),
            frontend,
            core,
            stats: Arc::clone(&stats),
            inbox,
            control: to_control,
            wait: WaitStrategy::Block,
            store: None,
        };
        let ring = SimulatedRing::new(Rc::clone(&state));
        let thread = EngineThread::over(engine_plan, ring, models, clock);
        Self { state, thread, stats: counted, steps: 0, plan, _control: control }
    }

    /// Runs until every client is gone, or drained; and checks that all came to a good end.
    pub fn run(&mut self) {
        while !self.is_over() {
            self.step();
        }
        self.check_end();
    }

    pub fn step(&mut self) {
        let before = self.work();
        self.thread.step().expect("the simulated ring does not fail");
        if let Some(most) = self.plan.turn_bytes_max {
            let bytes = self.work() - before;
            assert!(bytes <= most, "a turn of {bytes} bytes, the bound is {most}");
        }
        self.steps += 1;
        self.check_memory();
        let state = self.state.borrow();
        state.check_ends();
        if let Some(since_ns) = state.draining_since_ns {
            let took_ns = state.clock.peek_ns() - since_ns;
            assert!(took_ns <= DRAINED_WITHIN_NS, "draining takes {took_ns} ns");
        }
    }

    fn is_over(&self) -> bool {
        if self.thread.is_drained() {
            return true;
        }
        let state = self.state.borrow();
        let over = |client: &Client| {
            let socket = client.socket.map(|socket| &state.kernel.sockets[socket]);
            let turned_away = state.draining_since_ns.is_some() && socket.is_some();
            let knows = client.end.is_some() || client.reading == Reading::Never;
            let closed = socket.is_some_and(|socket| socket.closed_ns.is_some());
            client.finished && (turned_away || closed && knows)
        };
        state.stuck || (state.clients.iter().all(over) && state.batches.is_idle())
    }

    /// Bytes received, read as JSON and sent so far.
    fn work(&self) -> u64 {
        let stats = &self.stats.engine;
        let counters = [&stats.bytes_in, &stats.input_bytes_copied, &stats.bytes_out];
        counters.iter().map(|counter| counter.get()).sum()
    }

    fn check_memory(&self) {
        let walked = self.thread.frontend.walk_memory();
        let counted = self.thread.frontend.memory();
        assert_eq!(walked.held, counted.held, "what is held is counted");
        assert!(walked.owed <= counted.owed, "what is owed is counted: {walked:?}, {counted:?}");
        let most = self.plan.bytes_in_max;
        assert!(counted.held <= most, "{} bytes held, of {most}", counted.held);
        let most = self.plan.bytes_out_max;
        assert!(counted.owed <= most, "{} bytes owed, of {most}", counted.owed);
    }

    /// Nothing is left of anybody.
    fn check_end(&mut self) {
        let state = self.state.borrow();
        for (number, client) in state.clients.iter().enumerate() {
            let socket = client.socket.map(|socket| &state.kernel.sockets[socket]);
            let in_service = socket.is_some_and(|socket| socket.accepted_ns.is_some());
            let drained = state.draining_since_ns.is_some();
            assert!(in_service || drained, "client {number} was never accepted");
            if drained {
                state.oracle.drained(number, client, state.context(number));
            }
            if client.script.innocent && in_service && !client.refused && !drained {
                let (answered, whole) = (client.answered, client.whole());
                let spared = !state.crowded;
                assert!(!spared || answered == whole, "client {number}: {answered} of {whole}");
            }
        }
        // What the wait brought has not been looked at yet.
        let unseen = self.thread.completions.iter().filter(|done| done.buffer.is_some()).count();
        assert_eq!(state.kernel.lent(), unseen, "receive buffers are held for nothing");
        if state.draining_since_ns.is_some() {
            return;
        }
        assert_eq!(state.kernel.open(), 0, "sockets are held for nothing");
        assert_eq!(self.thread.connections.len(), 0, "places are held for nothing");
        let memory = self.thread.frontend.walk_memory();
        let kept = self.plan.places * (INPUT_BYTES_KEPT + DECODED_BODY_KEPT_BYTES);
        assert!(memory.held <= kept, "{} bytes held for nobody", memory.held);
        assert_eq!(memory, self.thread.frontend.memory());
        assert_eq!((memory.owed, memory.unrendered), (0, 0), "bytes owed to nobody");
        assert!(self.thread.core.is_idle());
        self.thread.core.publish_gauges();
        let rows = self.stats.applications.iter().map(|stats| stats.rows_in_use.get());
        assert_eq!(rows.sum::<u64>(), 0, "rows are held for nothing");
    }
}

/// One application after another, and a model of the same name for all but the last.
fn configuration() -> String {
    let part = |number: usize| {
        let (name, integers) = (NAMES[number], INPUT_INTEGERS[number]);
        let has_model = number != NO_MODEL;
        let models = if has_model { format!("[{name:?}]") } else { "[]".to_owned() };
        let application = format!(
            "[[application]]\nname = {name:?}\nmodels = {models}\ndefault_output = \"-1\"\n\
             input = {{ type = \"integers\", shape = [{integers}] }}\n\
             slo_us = {}\nrows = {ROWS}\n",
            SLO_NS[number] / 1_000
        );
        let model = format!(
            "[[model]]\nname = {name:?}\nbatch = {{ policy = \"fixed\", max = {BATCH_MAX} }}\n\
             batch_timeout_us = {BATCH_TIMEOUT_US_MAX}\n"
        );
        if has_model { application + &model } else { application }
    };
    "[server]\nsocket = \"s\"\n".to_owned() + &(0..NAMES.len()).map(part).collect::<String>()
}
