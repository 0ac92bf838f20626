//! Everything but the engine: clients, kernel and batches, and what happens when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::RawFd;

use super::batches::{Batches, REPLICAS};
use super::client::{Act, Answer, Client, End};
use super::kernel::{Done, Kernel};
use super::oracle::{Context, ENDS_WITHIN_NS, Oracle};
use super::script::{Reading, Script};
use super::{Clock, Plan, Rng, START_NS};
use crate::messages::{EngineMailbox, ToEngine};

/// What is due is done in the turn after the wait. An engine that waits for it again and again
/// spins.
const VAIN_WAITS_MAX: u32 = 4;

/// What happens at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    Connect(usize),
    Wake(usize),
    /// A client that reads at a pace reads.
    Read(usize),
    Done {
        replica: usize,
        slot: usize,
    },
    Drain,
    /// Descriptors run out.
    NoDescriptors,
}

/// Everything but the engine.
#[derive(Debug)]
pub struct State {
    pub clock: Clock,
    pub rng: Rng,
    pub kernel: Kernel,
    pub clients: Vec<Client>,
    pub batches: Batches,
    pub oracle: Oracle,
    /// Of each batch that was sent: its replica and when it was due.
    pub deadlines: Vec<(usize, u64)>,
    pub service_ns: [u64; REPLICAS],
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    next_event: u64,
    pub bells: Vec<RawFd>,
    inbox_bell: RawFd,
    engine: EngineMailbox,
    pub crowded: bool,
    restless: bool,
    no_descriptors_ns: u64,
    pub draining_since_ns: Option<u64>,
    /// The engine waits, and nothing will ever happen.
    pub stuck: bool,
    /// How often it has waited, one after the other, for what it said was due already.
    vain_waits: u32,
    /// All answers of all clients, when they are kept.
    pub answers: Option<Vec<(usize, u64, Answer)>>,
}

impl State {
    pub fn new(plan: &Plan, clock: Clock, engine: EngineMailbox, inbox_bell: RawFd) -> Self {
        let mut rng = Rng::new(plan.seed ^ 0x0C07_7E12);
        let scripts = plan.clients.iter().cloned().enumerate();
        let mut state = Self {
            kernel: Kernel::new(plan.kernel, clock.clone(), Rng::new(rng.draw())),
            clock,
            rng,
            clients: scripts.map(|(number, script)| Client::new(number, script)).collect(),
            batches: Batches::default(),
            oracle: Oracle::default(),
            deadlines: Vec::new(),
            service_ns: plan.service_ns,
            events: BinaryHeap::new(),
            next_event: 0,
            bells: Vec::new(),
            inbox_bell,
            engine,
            crowded: plan.clients.len() > plan.places,
            restless: plan.restless,
            no_descriptors_ns: plan.no_descriptors.map_or(0, |(_, ns)| ns),
            draining_since_ns: None,
            stuck: false,
            vain_waits: 0,
            answers: plan.keeps_answers.then(Vec::new),
        };
        for (number, script) in plan.clients.iter().enumerate() {
            state.schedule(START_NS + script.start_ns, Event::Connect(number));
        }
        if let Some(drain_ns) = plan.drain_ns {
            state.schedule(START_NS + drain_ns, Event::Drain);
        }
        if let Some((from_ns, _)) = plan.no_descriptors {
            state.schedule(START_NS + from_ns, Event::NoDescriptors);
        }
        state
    }

    pub fn schedule(&mut self, at_ns: u64, event: Event) {
        self.events.push(Reverse((at_ns, self.next_event, event)));
        self.next_event += 1;
    }

    /// Lets happen what is due, and clients read.
    pub fn catch_up(&mut self) {
        let now_ns = self.clock.peek_ns();
        while self.events.peek().is_some_and(|Reverse((at_ns, ..))| *at_ns <= now_ns) {
            let Reverse((_, _, event)) = self.events.pop().expect("just seen");
            self.happen(event, now_ns);
        }
        self.read_at_once();
    }

    /// Waits until something completes, at most until then.
    pub fn wait(&mut self, timeout_ns: u64, completions: &mut Vec<Done>) -> usize {
        self.vain_waits = if timeout_ns == 0 { self.vain_waits + 1 } else { 0 };
        let vain = self.vain_waits;
        assert!(vain <= VAIN_WAITS_MAX, "{vain} waits for what is due, and nobody does it");
        let due_ns = self.clock.peek_ns().saturating_add(timeout_ns);
        loop {
            self.catch_up();
            let count = self.kernel.reap(completions);
            self.read_at_once();
            if count > 0 {
                return count;
            }
            assert!(!self.batches.has_news(), "the engine sleeps and does not hear of a batch");
            let next_ns = self.events.peek().map(|Reverse((at_ns, ..))| *at_ns);
            let Some(next_ns) = next_ns.filter(|next_ns| *next_ns <= due_ns) else {
                if due_ns == u64::MAX {
                    self.stuck = true;
                } else {
                    self.clock.set(due_ns);
                }
                return 0;
            };
            self.clock.set(next_ns.max(self.clock.peek_ns()));
            if self.restless && self.rng.one_in(16) {
                return 0;
            }
        }
    }

    fn happen(&mut self, event: Event, now_ns: u64) {
        match event {
            Event::Connect(number) => {
                let client = &mut self.clients[number];
                let Script { listener, window_bytes, .. } = client.script;
                client.socket = Some(self.kernel.connect(listener, window_bytes));
                client.acted_ns = now_ns;
                self.wake(number, now_ns);
                self.plan_read(number, now_ns);
            }
            Event::Wake(number) => self.wake(number, now_ns),
            Event::Read(number) => {
                if let Reading::Paced { bytes, .. } = self.clients[number].reading {
                    self.read(number, bytes, now_ns);
                    self.plan_read(number, now_ns);
                }
            }
            Event::Done { replica, slot } => {
                if self.batches.publish(replica, slot) {
                    self.kernel.ring(self.bells[replica]);
                }
            }
            Event::Drain => {
                self.draining_since_ns = Some(now_ns);
                self.engine.send(ToEngine::Drain);
                self.kernel.ring(self.inbox_bell);
            }
            Event::NoDescriptors => {
                self.kernel.no_descriptors_until_ns = now_ns + self.no_descriptors_ns;
            }
        }
    }

    fn wake(&mut self, number: usize, now_ns: u64) {
        let Some(socket) = self.clients[number].socket else { return };
        loop {
            match self.clients[number].act(now_ns) {
                Act::Write(bytes) => self.kernel.write(socket, &bytes),
                Act::Finish => self.kernel.finish(socket),
                Act::Leave => {
                    self.kernel.abandon(socket);
                    self.end(number, End::Left);
                }
                Act::Break => {
                    self.kernel.break_off(socket);
                    self.end(number, End::Left);
                }
                Act::Sleep(until_ns) => {
                    self.schedule(until_ns, Event::Wake(number));
                    return;
                }
                Act::Reads => self.plan_read(number, now_ns),
                Act::Over => return,
            }
        }
    }

    fn plan_read(&mut self, number: usize, now_ns: u64) {
        let client = &self.clients[number];
        if let (Reading::Paced { every_ns, .. }, None) = (client.reading, client.end) {
            self.schedule(now_ns + every_ns, Event::Read(number));
        }
    }

    /// Clients that read at once do, for as long as more comes.
    fn read_at_once(&mut self) {
        loop {
            let now_ns = self.clock.peek_ns();
            let mut any = false;
            for number in 0..self.clients.len() {
                let client = &self.clients[number];
                if client.reading == Reading::AtOnce && client.end.is_none() {
                    any |= self.read(number, usize::MAX, now_ns);
                }
            }
            if !any || !self.kernel.move_bytes() {
                return;
            }
        }
    }

    fn read(&mut self, number: usize, most: usize, now_ns: u64) -> bool {
        let client = &mut self.clients[number];
        let (Some(socket), None) = (client.socket, client.end) else { return false };
        if self.kernel.sockets[socket].reset {
            self.end(number, End::Reset);
            return false;
        }
        let mut bytes = Vec::new();
        let count = self.kernel.read(socket, most, &mut bytes);
        if count > 0 {
            client.take(&bytes, now_ns);
            self.judge(number);
        }
        if self.kernel.at_end(socket) {
            self.end(number, End::Finished);
        }
        count > 0
    }

    fn judge(&mut self, number: usize) {
        let at = self.context(number);
        let client = &mut self.clients[number];
        while let Some(answer) = client.next_answer() {
            self.oracle.answered(number, client, &answer, at);
            if let Some(answers) = &mut self.answers {
                answers.push((number, at.now_ns, answer));
            }
        }
        let behind = client.closing && client.has_part();
        assert!(!behind, "client {number} got bytes behind a close");
        if client.is_served() {
            self.schedule(at.now_ns, Event::Wake(number));
        }
    }

    fn end(&mut self, number: usize, end: End) {
        let at = self.context(number);
        let client = &mut self.clients[number];
        if client.end.is_some() {
            return;
        }
        client.end = Some(end);
        self.oracle.ended(number, client, at);
        if let (true, Some(socket)) = (client.script.polite, client.socket) {
            self.kernel.abandon(socket);
        }
        if client.awaits_until_ns.is_some() {
            self.schedule(at.now_ns, Event::Wake(number));
        }
    }

    pub fn context(&self, number: usize) -> Context {
        let socket = self.clients[number].socket.map(|socket| &self.kernel.sockets[socket]);
        Context {
            now_ns: self.clock.peek_ns(),
            draining_since_ns: self.draining_since_ns,
            crowded: self.crowded,
            accepted_ns: socket.and_then(|socket| socket.accepted_ns),
            turned_away: socket.is_some_and(|socket| socket.turned_away),
            shut_ns: socket.and_then(|socket| socket.shut_ns),
        }
    }

    /// A client that does nothing more is gone in bounded time.
    pub fn check_ends(&self) {
        let now_ns = self.clock.peek_ns();
        for (number, client) in self.clients.iter().enumerate() {
            let Some(socket) = client.socket.map(|socket| &self.kernel.sockets[socket]) else {
                continue;
            };
            let Some(accepted_ns) = socket.accepted_ns else { continue };
            if socket.closed_ns.is_none() {
                let since_ns = now_ns.saturating_sub(client.acted_ns.max(accepted_ns));
                let kept = since_ns <= ENDS_WITHIN_NS;
                assert!(kept, "client {number} did nothing for {since_ns} ns and is still there");
            }
        }
    }
}
