//! The engine thread: one loop over the ring, the front end, the scheduler and the replicas.
//!
//! ```text
//!   turn: reap ▸ handle each completion ▸ take and send batches ▸ deadlines ▸ start sends
//!   idle: spin, yield, or sleep in the ring until a socket, a doorbell, a message or a time
//! ```
//!
//! Everything else is somewhere else: `frontend` turns bytes into questions and answers into bytes,
//! `scheduler` decides, `replicas` moves batches. This room owns the sockets and the waiting, and
//! it alone makes system calls.

pub mod carrier;
mod connections;
mod inspect;
pub mod listener;
pub mod ring;
#[cfg(test)]
mod world;

use std::sync::Arc;

use cutter_protocol::wait::{Idle, Patience, WaitStrategy};
use tokio::sync::mpsc::UnboundedSender;

use crate::clock::{Clock, MonotonicClock};
use crate::frontend::{Frontend, Output, Pacing, Replied};
use crate::http::http_date;
use crate::limits::{
    ACCEPT_PAUSE_NS, DATE_PERIOD_NS, DRAIN_IDLE_NS, DRAIN_NS_MAX, GAUGE_PERIOD_NS, LINGER_NS,
    PACE_PERIOD_NS, RECEIVE_BUFFER_BYTES, RECEIVE_BUFFERS, RING_ENTRIES,
};
use crate::messages::{EngineInbox, ToControl, ToEngine};
use crate::replicas::{GivenUp, Replicas};
use crate::scheduler::Scheduler;
use crate::stats::{EngineStats, Reason};
use cutter_machine::uring::{self, RingConfig, RingError, SetupError, Token};

use carrier::Carrier;
use connections::{Connections, Stage};
use listener::Listener;
use ring::{Completion, Ring};

pub use inspect::{ConnectionsView, Inspection, Pulse};

/// What a token's operation is.
mod kind {
    pub const ACCEPT: u8 = 1;
    pub const RECEIVE: u8 = 2;
    pub const SEND: u8 = 3;
    pub const DOORBELL: u8 = 4;
    pub const INBOX: u8 = 5;
}

const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\
    Content-Type: application/json\r\nContent-Length: 88\r\n\r\n\
    {\"error\":\"Overloaded\",\"cause\":\"too many connections are open; \
    close some or come later\"}";

/// What the engine thread is made of.
#[derive(Debug)]
pub struct EnginePlan<L = Listener> {
    pub listeners: Vec<L>,
    pub frontend: Frontend,
    pub scheduler: Scheduler,
    pub stats: Arc<EngineStats>,
    pub inbox: EngineInbox,
    pub control: UnboundedSender<ToControl>,
    pub wait: WaitStrategy,
}

/// The engine thread's state. Made and run on that thread.
#[derive(Debug)]
pub struct EngineThread<R: Ring = uring::Ring, C = Replicas, K = MonotonicClock> {
    ring: R,
    clock: K,
    completions: Vec<Completion<R>>,
    connections: Connections<R::Socket>,
    /// Connections whose receive ended for want of buffers.
    starved: Vec<usize>,
    frontend: Frontend,
    scheduler: Scheduler,
    replicas: C,
    listeners: Vec<R::Listener>,
    stats: Arc<EngineStats>,
    inbox: EngineInbox,
    control: UnboundedSender<ToControl>,
    patience: Patience,
    /// The incarnation of each replica on whose doorbell a read is armed.
    armed: Box<[Option<u64>]>,
    timers: Timers,
    pulse: Pulse,
    drain: Option<Drain>,
}

/// The server is ending.
#[derive(Clone, Copy, Debug)]
struct Drain {
    /// Clients that have had time to hear of it, and have nothing going on, are closed.
    close_idle_ns: u64,
    /// What is not answered by then is answered with the default.
    until_ns: u64,
}

/// When the things that are done now and then are due.
#[derive(Debug)]
struct Timers {
    date_ns: u64,
    pace_ns: u64,
    gauges_ns: u64,
    /// Accepting failed; it is tried again then.
    accept_ns: Option<u64>,
}

/// Why the engine thread ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    Ring(#[from] RingError),
}

impl EngineThread {
    /// Sets up the ring and starts to accept.
    pub fn new(plan: EnginePlan) -> Result<Self, EngineError> {
        let ring = uring::Ring::new(RingConfig {
            sq_entries: RING_ENTRIES,
            receive_buffers: RECEIVE_BUFFERS,
            receive_buffer_bytes: RECEIVE_BUFFER_BYTES,
        })?;
        let replicas = Replicas::new(&plan.scheduler, Arc::clone(&plan.stats));
        Ok(Self::over(plan, ring, replicas, MonotonicClock))
    }
}

impl<R: Ring, C: Carrier, K: Clock> EngineThread<R, C, K> {
    /// Starts to accept, over a given ring, carrier and clock.
    pub fn over(plan: EnginePlan<R::Listener>, ring: R, replicas: C, clock: K) -> Self {
        let EnginePlan { listeners, frontend, scheduler, stats, inbox, control, wait } = plan;
        let slots = (0..scheduler.models()).map(|model| scheduler.replicas_of(model).len()).sum();
        let now_ns = clock.now_ns();
        let mut thread = Self {
            ring,
            clock,
            completions: Vec::new(),
            connections: Connections::new(frontend.places()),
            starved: Vec::new(),
            frontend,
            scheduler,
            replicas,
            listeners,
            stats,
            inbox,
            control,
            patience: Patience::new(wait),
            armed: vec![None; slots].into(),
            timers: Timers { date_ns: 0, pace_ns: 0, gauges_ns: 0, accept_ns: None },
            pulse: Pulse::new(wait, now_ns),
            drain: None,
        };
        thread.ring.read_u64(thread.inbox.bell(), Token::new(kind::INBOX, 0, 0));
        thread.accept();
        thread
    }

    /// Runs until drained.
    pub fn run(mut self) -> Result<(), EngineError> {
        while !self.is_drained() {
            self.step()?;
        }
        // Told first, so that a replica that ends now is known to have been asked to. The control
        // thread may have ended before us; then nobody waits for the message.
        let _ = self.control.send(ToControl::Drained);
        self.replicas.stop();
        Ok(())
    }

    /// One turn; and when it had nothing to do, the wait before the next.
    pub(crate) fn step(&mut self) -> Result<(), EngineError> {
        if self.turn()? {
            self.patience.worked();
            return Ok(());
        }
        match self.patience.idle(self.clock.now_ns()) {
            Idle::Spin => std::hint::spin_loop(),
            Idle::Yield => {
                self.stats.system_calls_yield.increment();
                std::thread::yield_now();
            }
            Idle::Sleep => self.sleep()?,
        }
        Ok(())
    }

    /// Does what there is to do. Says whether there was anything.
    fn turn(&mut self) -> Result<bool, EngineError> {
        self.ring.poll(&mut self.completions)?;
        let mut worked = !self.completions.is_empty();
        let mut completions = std::mem::take(&mut self.completions);
        for completion in completions.drain(..) {
            self.handle(completion);
        }
        self.completions = completions;
        worked |= self.serve_replicas();
        let now_ns = self.clock.now_ns();
        self.pulse.turned(now_ns);
        self.keep_time(now_ns);
        worked |= self.start_sends(now_ns);
        Ok(worked)
    }

    fn handle(&mut self, completion: Completion<R>) {
        match completion.token.kind() {
            kind::ACCEPT => self.accepted(completion),
            kind::RECEIVE => self.received(completion),
            kind::SEND => self.sent(completion),
            kind::DOORBELL => self.doorbell(completion.token),
            kind::INBOX => {
                self.ring.read_u64(self.inbox.bell(), completion.token);
                while let Some(message) = self.inbox.next() {
                    self.told(message);
                }
            }
            kind => unreachable!("no operation of kind {kind} is ever started"),
        }
    }

    fn accept(&mut self) {
        for (index, listener) in self.listeners.iter().enumerate() {
            let index = u32::try_from(index).expect("few listeners");
            self.ring.accept_multishot(listener, Token::new(kind::ACCEPT, index, 0));
        }
    }

    fn accepted(&mut self, completion: Completion<R>) {
        if let Some(fd) = completion.accepted {
            self.stats.connections_accepted.increment();
            self.open(fd);
        }
        if !completion.more && self.drain.is_none() {
            // Out of descriptors, most likely: pause, so that this is no busy loop.
            self.timers.accept_ns = Some(self.clock.now_ns() + ACCEPT_PAUSE_NS);
        }
    }

    fn open(&mut self, fd: R::Socket) {
        let now_ns = self.clock.now_ns();
        let connection = match self.connections.insert(fd) {
            Ok(connection) => connection,
            Err(fd) => {
                self.stats.http_errors(503).increment();
                self.ring.send_now(&fd, REFUSAL);
                self.ring.close(fd);
                return;
            }
        };
        self.frontend.open(connection, now_ns);
        self.stats.connections.set(self.connections.len() as u64);
        self.receive(connection);
    }

    /// Starts to receive, unless it is being done.
    fn receive(&mut self, connection: usize) {
        let token = self.connections.token(kind::RECEIVE, connection);
        let Some(socket) = self.connections.get_mut(connection) else { return };
        if !socket.receiving && socket.stage != Stage::Ending {
            socket.receiving = true;
            self.ring.recv_multishot(&socket.fd, token);
        }
    }

    fn received(&mut self, completion: Completion<R>) {
        let starved = completion.is_out_of_buffers();
        let named = self.connections.named_by(completion.token);
        if let Some(buffer) = completion.buffer {
            if let Some(connection) = named {
                let bytes = self.ring.bytes(&buffer);
                self.stats.bytes_in.add(bytes.len() as u64);
                if self.connections.stage(connection) == Some(Stage::Open) {
                    let (clock, scheduler) = (&self.clock, &mut self.scheduler);
                    self.frontend.receive(connection, bytes, clock, scheduler);
                }
            }
            self.ring.recycle(buffer);
        }
        let Some(connection) = named else { return };
        // A long turn must not keep a replica waiting, neither for work nor for its answers.
        self.serve_replicas();
        let ended = matches!(completion.result, Ok(0) | Err(_)) && !starved;
        if !completion.more {
            if let Some(socket) = self.connections.get_mut(connection) {
                socket.receiving = false;
            }
            if starved {
                self.starved.push(connection);
            }
        }
        if ended {
            self.hang_up(connection, completion.result);
        } else if !self.frontend.wants_input(connection) {
            self.ring.cancel(completion.token);
        } else if !completion.more && !starved {
            self.receive(connection);
        }
    }

    /// The client closed, or the connection broke, or receiving was cancelled.
    fn hang_up(&mut self, connection: usize, result: Result<u32, rustix::io::Errno>) {
        if result == Err(rustix::io::Errno::CANCELED) && self.frontend.wants_input(connection) {
            self.receive(connection);
        } else if result != Err(rustix::io::Errno::CANCELED) {
            // A client that shut only its sending side still gets what it is owed.
            let owed = result == Ok(0) && !self.frontend.replies.is_empty(connection);
            match self.connections.stage(connection) {
                Some(Stage::Open) if owed => self.frontend.replies.close_after(connection),
                _ => self.end(connection),
            }
        }
        self.release(connection);
    }

    /// Shuts a connection at once. Its number is free when nothing of it is in flight.
    fn end(&mut self, connection: usize) {
        let Some(socket) = self.connections.get_mut(connection) else { return };
        if socket.stage != Stage::Ending {
            socket.stage = Stage::Ending;
            self.ring.shutdown(&socket.fd, rustix::net::Shutdown::Both);
            self.frontend.close(connection);
        }
        self.release(connection);
    }

    fn release(&mut self, connection: usize) {
        let Some(socket) = self.connections.get_mut(connection) else { return };
        if socket.stage == Stage::Ending && !socket.receiving && !socket.sending {
            if let Some(socket) = self.connections.remove(connection) {
                self.ring.close(socket.fd);
            }
            self.stats.connections.set(self.connections.len() as u64);
        }
    }

    /// Sends what stands ready. Says whether there was anything.
    fn start_sends(&mut self, now_ns: u64) -> bool {
        let mut worked = false;
        while let Some(connection) = self.frontend.replies.next_listed() {
            worked = true;
            self.send(connection, now_ns);
        }
        for replied in self.frontend.replies.take_replied() {
            let Replied { application, answers, arrived_ns, answered_ns } = replied;
            for _ in 0..answers {
                self.scheduler.handed_over(application, arrived_ns, answered_ns, now_ns);
            }
        }
        while let Some(connection) = self.starved.pop() {
            self.receive(connection);
        }
        worked
    }

    fn send(&mut self, connection: usize, now_ns: u64) {
        let token = self.connections.token(kind::SEND, connection);
        let Some(socket) = self.connections.get_mut(connection) else { return };
        // One send at a time: the next starts when this one has ended.
        if socket.sending || socket.stage != Stage::Open {
            return;
        }
        let mut buffer = std::mem::take(&mut socket.buffer);
        buffer.clear();
        match self.frontend.replies.output(connection, &mut buffer) {
            Output::Bytes => {
                socket.sending = true;
                self.stats.bytes_out.add(buffer.len() as u64);
                self.ring.send(&socket.fd, buffer, token);
                self.frontend.resume(connection, &self.clock, &mut self.scheduler);
                if self.frontend.wants_input(connection) {
                    self.receive(connection);
                }
            }
            Output::Nothing => socket.buffer = buffer,
            Output::End => {
                socket.stage = Stage::Lingering { until_ns: now_ns + LINGER_NS };
                self.timers.pace_ns = self.timers.pace_ns.min(now_ns + LINGER_NS);
                self.ring.shutdown(&socket.fd, rustix::net::Shutdown::Write);
                let receiving = socket.receiving;
                if !receiving {
                    self.end(connection);
                }
            }
        }
    }

    fn sent(&mut self, completion: Completion<R>) {
        let Some(connection) = self.connections.named_by(completion.token) else { return };
        let Some(socket) = self.connections.get_mut(connection) else { return };
        socket.sending = false;
        let buffer = completion.returned.unwrap_or_default();
        let whole = completion.result.is_ok_and(|sent| sent as usize == buffer.len());
        if buffer.capacity() <= crate::limits::REPLY_BYTES_KEPT {
            socket.buffer = buffer;
        }
        match whole {
            true => self.send(connection, self.clock.now_ns()),
            false => self.end(connection),
        }
        self.release(connection);
    }

    fn serve_replicas(&mut self) -> bool {
        let sink = &mut self.frontend.replies;
        let worked = self.replicas.serve(&self.clock, &mut self.scheduler, sink);
        if worked {
            self.report_given_up();
        }
        worked
    }

    /// Tells the control thread which incarnations it is to kill, and hands it their memory.
    fn report_given_up(&mut self) {
        for given_up in self.replicas.take_given_up() {
            let GivenUp { replica, incarnation, reason } = given_up;
            disarm(&mut self.ring, &mut self.armed, replica, incarnation);
            // Without a control thread the process is ending anyway.
            let _ = self.control.send(ToControl::Kill { replica, incarnation, reason });
        }
        while let Some(end) = self.replicas.take_retired() {
            let _ = self.control.send(ToControl::Retired(end));
        }
    }

    fn doorbell(&mut self, token: Token) {
        let replica = token.index() as usize;
        let current = self.armed[replica];
        if current.is_some_and(|incarnation| generation(incarnation) == token.generation()) {
            self.armed[replica] = None;
            let sink = &mut self.frontend.replies;
            self.replicas.rang(self.clock.now_ns(), replica, &mut self.scheduler, sink);
            self.report_given_up();
        }
    }

    fn told(&mut self, message: ToEngine) {
        let now_ns = self.clock.now_ns();
        let (scheduler, sink) = (&mut self.scheduler, &mut self.frontend.replies);
        match message {
            ToEngine::ReplicaUp { replica, incarnation, end } => {
                self.replicas.up(now_ns, replica, incarnation, end, scheduler);
            }
            ToEngine::ReplicaLost { replica, incarnation, death } => {
                self.replicas.lost(now_ns, replica, incarnation, death, scheduler, sink);
                disarm(&mut self.ring, &mut self.armed, replica, incarnation);
                self.report_given_up();
            }
            ToEngine::Availability { model, availability } => {
                scheduler.set_availability(now_ns, model, availability, sink);
            }
            // Whoever asked may not wait any more; then it is not worth the work.
            ToEngine::Inspect { reply } if reply.is_closed() => {}
            ToEngine::Inspect { reply } => drop(reply.send(Box::new(self.inspect(now_ns)))),
            ToEngine::Drain => self.begin_drain(now_ns),
        }
    }

    /// Deadlines, slow clients, the date, the gauges.
    fn keep_time(&mut self, now_ns: u64) {
        let sink = &mut self.frontend.replies;
        if self.scheduler.next_tick_ns().is_some_and(|due_ns| due_ns <= now_ns) {
            self.scheduler.tick(now_ns, sink);
            self.replicas.give_up_hanging(now_ns, &mut self.scheduler, sink);
            self.report_given_up();
        }
        if now_ns >= self.timers.date_ns {
            self.timers.date_ns = now_ns + DATE_PERIOD_NS;
            self.frontend.replies.date = http_date(self.clock.unix_seconds());
        }
        if now_ns >= self.timers.gauges_ns {
            self.timers.gauges_ns = now_ns + GAUGE_PERIOD_NS;
            self.publish_gauges();
        }
        if now_ns >= self.timers.pace_ns {
            self.timers.pace_ns = now_ns + PACE_PERIOD_NS;
            self.check_paces(now_ns);
        }
        if self.timers.accept_ns.is_some_and(|due_ns| due_ns <= now_ns) {
            self.timers.accept_ns = None;
            self.accept();
        }
        if self.drain.is_some_and(|drain| now_ns >= drain.until_ns) {
            self.scheduler.answer_all(now_ns, Reason::ShuttingDown, &mut self.frontend.replies);
        }
    }

    fn publish_gauges(&self) {
        self.scheduler.publish_gauges();
        let counters = self.ring.counters();
        self.stats.system_calls_enter.add(counters.enters - self.stats.system_calls_enter.get());
        self.stats.ring_overflows.add(counters.overflows - self.stats.ring_overflows.get());
    }

    fn check_paces(&mut self, now_ns: u64) {
        let date = self.frontend.replies.date;
        let close_idle = self.drain.is_some_and(|drain| now_ns >= drain.close_idle_ns);
        let numbers: Vec<usize> = self.connections.numbers().collect();
        for connection in numbers {
            match self.connections.stage(connection) {
                Some(Stage::Lingering { until_ns }) if now_ns >= until_ns => self.end(connection),
                Some(Stage::Open) => match self.frontend.check_pace(connection, now_ns, &date) {
                    Pacing::CloseIdle => self.end(connection),
                    Pacing::Keep(_) if close_idle => self.close_if_idle(connection),
                    Pacing::Keep(_) => {}
                },
                _ => {}
            }
        }
    }

    fn begin_drain(&mut self, now_ns: u64) {
        if self.drain.is_some() {
            return;
        }
        let close_idle_ns = now_ns + DRAIN_IDLE_NS;
        self.drain = Some(Drain { close_idle_ns, until_ns: now_ns + DRAIN_NS_MAX });
        self.timers.accept_ns = None;
        for index in 0..self.listeners.len() {
            let index = u32::try_from(index).expect("few listeners");
            self.ring.cancel(Token::new(kind::ACCEPT, index, 0));
        }
        // The kernel refuses whoever comes now, instead of letting them wait in vain.
        self.listeners.clear();
        self.frontend.begin_drain();
    }

    /// While draining: a connection on which nothing is going on is closed.
    fn close_if_idle(&mut self, connection: usize) {
        let sending = self.connections.get_mut(connection).is_some_and(|socket| socket.sending);
        if !sending && self.frontend.is_idle(connection) {
            self.frontend.replies.close_after(connection);
        }
    }

    /// Drained: every query is answered and every answer is out; or nobody takes them any more.
    fn is_drained(&self) -> bool {
        let Some(drain) = self.drain else { return false };
        let answered = self.scheduler.is_idle() && self.connections.len() == 0;
        answered || self.clock.now_ns() > drain.until_ns + LINGER_NS
    }

    /// Sleeps in the ring until something happens.
    fn sleep(&mut self) -> Result<(), EngineError> {
        for (replica, incarnation, bell) in self.replicas.doorbells() {
            if self.armed[replica] != Some(incarnation) {
                self.armed[replica] = Some(incarnation);
                self.ring.read_u64(bell, doorbell_token(replica, incarnation));
            }
        }
        // Nobody brings them up to date while this thread sleeps.
        self.publish_gauges();
        if !self.replicas.announce_sleep() {
            let now_ns = self.clock.now_ns();
            let timeout_ns = self.next_due_ns().saturating_sub(now_ns);
            self.pulse.falls_asleep(now_ns);
            self.ring.wait(Some(timeout_ns), &mut self.completions)?;
        }
        self.replicas.retract_sleep();
        Ok(())
    }

    /// When something is due at the latest. Gauges and date wait for the next waking: nobody looks
    /// at the date of an answer that is not being made, and a sleeping engine's gauges stand still.
    fn next_due_ns(&self) -> u64 {
        let idle = self.connections.len() == 0 && self.drain.is_none();
        let pace_ns = (!idle).then_some(self.timers.pace_ns);
        let due = [self.scheduler.next_tick_ns(), pace_ns, self.timers.accept_ns];
        due.into_iter().flatten().min().unwrap_or(u64::MAX)
    }
}

/// Ends the read on the doorbell of an incarnation that is gone: it would never end by itself.
fn disarm(ring: &mut impl Ring, armed: &mut [Option<u64>], replica: usize, incarnation: u64) {
    if armed[replica] == Some(incarnation) {
        armed[replica] = None;
        ring.cancel(doorbell_token(replica, incarnation));
    }
}

fn doorbell_token(replica: usize, incarnation: u64) -> Token {
    let index = u32::try_from(replica).expect("few replicas");
    Token::new(kind::DOORBELL, index, generation(incarnation))
}

/// The low bits of an incarnation, as a token carries them.
#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
fn generation(incarnation: u64) -> u32 {
    incarnation as u32
}
