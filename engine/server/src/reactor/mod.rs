//! The engine thread: one loop over the ring, the front end, the core and the replicas.
//!
//! ```text
//!   turn: reap ▸ handle completions ▸ take and send batches ▸ a piece of what is large
//!         ▸ deadlines ▸ start sends
//!   idle: spin, yield, or sleep in the ring until a socket, a doorbell, a message or a time
//! ```
//!
//! A turn is bounded: so many bytes are received, so many read of a large body, rendered of a large
//! output, and sent, in no more sends than are done before a batch is to be formed; what is beyond
//! has its part in the next turn. What arrives is stamped when it is reaped, so that waiting for a
//! turn counts; and an answer's time ends when the kernel has its last byte.
//!
//! Everything else is somewhere else: `port` turns bytes into questions and answers into bytes, the
//! core decides, the `carrier` moves batches. This room owns the sockets and the waiting, and
//! it alone makes system calls.

mod connections;
mod drain;
mod inspect;
mod keeping;
pub mod listener;
pub mod ring;
mod sockets;
mod timers;
#[cfg(test)]
mod world;

use std::collections::VecDeque;
use std::sync::Arc;

use cutter_core::ids::{ApplicationId, ReplicaId};
use cutter_core::limits::{APPLICATIONS_MAX, REPLICAS_TOTAL_MAX};
use cutter_core::stats::EngineStats;
use cutter_core::{Change, Changed, Core, FailureReport, Retired, Warmed};
use cutter_machine::clock::{Clock, MonotonicClock};
use cutter_machine::uring::{self, RingConfig, RingError, SetupError, Token};
use cutter_protocol::wait::{Idle, Patience, WaitStrategy};
use cutter_wire::http::http_date;
use tokio::sync::mpsc::UnboundedSender;

use crate::carrier::{Carrier, GivenUp, Rings};
use crate::inspection::Pulse;
use crate::limits::{
    AT_ONCE_BYTES_MAX, DATE_PERIOD_NS, GAUGE_PERIOD_NS, RECEIVE_BUFFER_BYTES, RECEIVE_BUFFERS,
    RING_ENTRIES, TURN_BYTES_MAX,
};
use crate::messages::{EngineInbox, ToControl, ToEngine};
use crate::port::Answers;
use crate::port::direct::Questions;
use crate::port::http::{Endpoint, Frontend};
use crate::store::StoreClient;
use connections::Connections;
use drain::Drain;
use keeping::Keeping;
use listener::Listener;
use ring::{Completion, Ring};
use sockets::Listening;
use timers::Timers;

/// What a token's operation is.
mod kind {
    pub const ACCEPT: u8 = 1;
    pub const RECEIVE: u8 = 2;
    pub const SEND: u8 = 3;
    pub const DOORBELL: u8 = 4;
    pub const INBOX: u8 = 5;
}

/// What the engine thread is made of.
#[derive(Debug)]
pub struct EnginePlan<L = Listener> {
    pub listeners: Vec<L>,
    pub frontend: Frontend,
    pub core: Core,
    pub stats: Arc<EngineStats>,
    pub inbox: EngineInbox,
    pub control: UnboundedSender<ToControl>,
    pub wait: WaitStrategy,
    /// Where what is learned outlives it.
    pub store: Option<StoreClient>,
}

/// The engine thread's state. Made and run on that thread.
#[derive(Debug)]
pub struct EngineThread<R: Ring = uring::Ring, C = Rings, K = MonotonicClock> {
    ring: R,
    clock: K,
    completions: Vec<Completion<R>>,
    connections: Connections<R::Socket>,
    /// Completions that had no part in the turn in which they were reaped, and when that was.
    backlog: VecDeque<(u64, Completion<R>)>,
    /// Bytes received that this turn has worked on.
    turn_bytes: usize,
    /// Connections whose receive ended for want of buffers.
    starved: Vec<usize>,
    /// Connections with large bodies that wait to be received from.
    bulk: VecDeque<usize>,
    /// Connections that wait for the end of another to have its place.
    accepted_waiting: VecDeque<R::Socket>,
    frontend: Frontend,
    questions: Questions,
    keeping: Keeping,
    core: Core,
    carrier: C,
    listeners: Vec<Listening<R::Listener>>,
    stats: Arc<EngineStats>,
    inbox: EngineInbox,
    control: UnboundedSender<ToControl>,
    patience: Patience,
    /// By the places of replicas.
    armed: Box<[Armed]>,
    /// The clocks of the connections.
    timers: Timers,
    /// When the date of answers is renewed, and when the gauges are brought up to date.
    date_ns: u64,
    gauges_ns: u64,
    pulse: Pulse,
    /// Applications that are on their way out.
    drains: Vec<ApplicationDrain>,
    drain: Option<Drain>,
}

/// The incarnation of a replica on whose doorbell a read is armed.
type Armed = Option<(ReplicaId, u64)>;

/// An application is drained when the core has nothing of it and no answer of it is to come.
#[derive(Clone, Copy, Debug)]
struct ApplicationDrain {
    number: u64,
    application: ApplicationId,
    core_is_done: bool,
}

/// Why the engine thread ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum LoopError {
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    Ring(#[from] RingError),
}

impl EngineThread {
    /// Sets up the ring and starts to accept.
    pub fn new(plan: EnginePlan) -> Result<Self, LoopError> {
        let ring = uring::Ring::new(RingConfig {
            sq_entries: RING_ENTRIES,
            receive_buffers: RECEIVE_BUFFERS,
            receive_buffer_bytes: RECEIVE_BUFFER_BYTES,
        })?;
        let rings = Rings::new(Arc::clone(&plan.stats));
        Ok(Self::over(plan, ring, rings, MonotonicClock))
    }
}

impl<R: Ring, C: Carrier, K: Clock> EngineThread<R, C, K> {
    /// Starts to accept, over a given ring, carrier and clock.
    pub fn over(plan: EnginePlan<R::Listener>, ring: R, carrier: C, clock: K) -> Self {
        let EnginePlan { listeners, frontend, core, stats, inbox, control, wait, store } = plan;
        let now_ns = clock.now_ns();
        let mut thread = Self {
            ring,
            clock,
            completions: Vec::with_capacity(2 * RING_ENTRIES as usize),
            backlog: VecDeque::with_capacity(2 * RING_ENTRIES as usize),
            turn_bytes: 0,
            connections: Connections::new(frontend.places()),
            starved: Vec::with_capacity(frontend.places()),
            bulk: VecDeque::with_capacity(frontend.places()),
            accepted_waiting: VecDeque::new(),
            timers: Timers::new(frontend.places()),
            date_ns: 0,
            gauges_ns: 0,
            frontend,
            questions: Questions::default(),
            keeping: Keeping::new(store),
            core,
            carrier,
            listeners: listeners.into_iter().map(Listening::new).collect(),
            stats,
            inbox,
            control,
            patience: Patience::new(wait),
            armed: vec![None; REPLICAS_TOTAL_MAX as usize].into(),
            pulse: Pulse::new(wait, now_ns),
            drains: Vec::with_capacity(APPLICATIONS_MAX),
            drain: None,
        };
        thread.ring.read_u64(thread.inbox.bell(), Token::new(kind::INBOX, 0, 0));
        (0..thread.listeners.len()).for_each(|listener| thread.accept(listener));
        thread
    }

    /// Runs until drained.
    pub fn run(mut self) -> Result<(), LoopError> {
        while !self.is_drained() {
            self.step()?;
        }
        // Told first, so that a replica that ends now is known to have been asked to. The control
        // thread may have ended before us; then nobody waits for the message.
        let _ = self.control.send(ToControl::Drained);
        self.carrier.stop();
        self.keeping.end(&mut self.core);
        Ok(())
    }

    /// One turn; and when it had nothing to do, the wait before the next.
    pub(crate) fn step(&mut self) -> Result<(), LoopError> {
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

    /// Does what there is to do, as much as a turn may. Says whether there was anything.
    fn turn(&mut self) -> Result<bool, LoopError> {
        let mut reaped = std::mem::take(&mut self.completions);
        self.ring.poll(&mut reaped)?;
        // What arrived has arrived now, however long it waits for its part of this turn or the
        // next; and what was to be sent is in the kernel's hands.
        let reaped_ns = self.clock.now_ns();
        self.renew_date(reaped_ns);
        self.record_handed_over(reaped_ns);
        let mut worked = !reaped.is_empty() || !self.backlog.is_empty();
        self.turn_bytes = 0;
        self.frontend.replies.begin_turn(AT_ONCE_BYTES_MAX);
        while self.turn_bytes < TURN_BYTES_MAX
            && let Some((reaped_ns, completion)) = self.backlog.pop_front()
        {
            self.handle(completion, reaped_ns);
        }
        let mut fresh = reaped.drain(..);
        if self.backlog.is_empty() {
            while self.turn_bytes < TURN_BYTES_MAX
                && let Some(completion) = fresh.next()
            {
                self.handle(completion, reaped_ns);
            }
        }
        self.backlog.extend(fresh.map(|completion| (reaped_ns, completion)));
        self.completions = reaped;
        worked |= self.serve_replicas();
        if self.frontend.has_large_work() {
            self.frontend.work(&self.clock, &mut self.core);
            worked = true;
        }
        let now_ns = if worked { self.clock.now_ns() } else { reaped_ns };
        self.pulse.turned(now_ns);
        worked |= self.keep_time(now_ns);
        worked |= self.start_sends(now_ns);
        self.feed_starved();
        worked |= self.feed_bulk();
        self.report_to_control();
        Ok(worked)
    }

    fn handle(&mut self, completion: Completion<R>, reaped_ns: u64) {
        match completion.token.kind() {
            kind::ACCEPT => self.accepted(completion, reaped_ns),
            kind::RECEIVE => self.received(completion, reaped_ns),
            kind::SEND => self.sent(completion, reaped_ns),
            kind::DOORBELL => self.doorbell(completion.token),
            kind::INBOX => {
                self.ring.read_u64(self.inbox.bell(), completion.token);
                while let Some(message) = self.inbox.next() {
                    self.handle_message(message);
                }
            }
            kind => unreachable!("no operation of kind {kind} is ever started"),
        }
    }

    fn serve_replicas(&mut self) -> bool {
        let sink = &mut answers(&mut self.frontend, &mut self.questions);
        let worked = self.carrier.serve(&self.clock, &mut self.core, sink);
        if worked {
            self.report_given_up();
        }
        worked
    }

    /// Tells the control thread which incarnations it is to kill, and hands it their memory.
    fn report_given_up(&mut self) {
        for given_up in self.carrier.take_given_up() {
            let GivenUp { replica, incarnation, reason } = given_up;
            disarm(&mut self.ring, &mut self.armed, replica, incarnation);
            // Without a control thread the process is ending anyway.
            let _ = self.control.send(ToControl::Kill { replica, incarnation, reason });
        }
        while let Some(end) = self.carrier.take_retired() {
            let _ = self.control.send(ToControl::Retired(end));
        }
    }

    fn doorbell(&mut self, token: Token) {
        let armed = &mut self.armed[token.index() as usize];
        let current =
            armed.take_if(|(_, incarnation)| generation(*incarnation) == token.generation());
        if let Some((replica, _)) = current {
            let sink = &mut answers(&mut self.frontend, &mut self.questions);
            self.carrier.on_doorbell(self.clock.now_ns(), replica, &mut self.core, sink);
            self.report_given_up();
        }
    }

    /// Carries out a change, and acknowledges it if it is done at once.
    fn change(
        &mut self,
        now_ns: u64,
        number: u64,
        change: Change,
        endpoint: Option<Box<Endpoint>>,
    ) {
        if let Change::DrainApplication(application) = change {
            self.drains.push(ApplicationDrain { number, application, core_is_done: false });
        }
        let endpoint = self.frontend.change(&change, endpoint);
        let sink = &mut answers(&mut self.frontend, &mut self.questions);
        if let Some(changed) = self.core.change(now_ns, number, change, sink) {
            self.changed(changed, endpoint);
        }
    }

    /// The core is done with a change. With the drain of an application the port has to be, too.
    fn changed(&mut self, changed: Changed, endpoint: Option<Box<Endpoint>>) {
        let Changed { number, retired } = changed;
        let drain = self.drains.iter_mut().find(|drain| drain.number == number);
        if let Some(drain) = drain {
            drain.core_is_done = true;
            return;
        }
        // Without a control thread the process is ending anyway.
        let _ = self.control.send(ToControl::Changed { number, retired, endpoint });
    }

    /// Acknowledges the drains that are done.
    fn end_drains(&mut self) {
        while let Some(changed) = self.core.take_changed() {
            self.changed(changed, None);
        }
        let (frontend, control) = (&self.frontend, &self.control);
        self.drains.retain(|drain| {
            let is_done = drain.core_is_done && !frontend.owes(drain.application);
            if is_done {
                let (number, retired) = (drain.number, Retired::Nothing);
                let _ = control.send(ToControl::Changed { number, retired, endpoint: None });
            }
            !is_done
        });
    }

    fn handle_message(&mut self, message: ToEngine) {
        let now_ns = self.clock.now_ns();
        let core = &mut self.core;
        let sink = &mut answers(&mut self.frontend, &mut self.questions);
        match message {
            ToEngine::Change { number, change, endpoint, header } => {
                if let (Change::Link { application, .. }, Some(header)) = (&change, header)
                    && let Some(log) = &mut self.frontend.replies.log
                {
                    log.add_application(*application, &header);
                }
                self.change(now_ns, number, change, endpoint);
            }
            ToEngine::SwitchArm { application, arm, on } => {
                core.switch_arm(application, arm, on);
            }
            ToEngine::ReplicaUp { replica, incarnation, end, pools, may_warm_up } => {
                let life = (replica, incarnation);
                self.carrier.up(now_ns, life, end, pools, may_warm_up, core);
            }
            ToEngine::ChangePool { replica, incarnation, change } => {
                self.carrier.change_pool(replica, incarnation, change);
            }
            ToEngine::StopReplica { replica, incarnation } => {
                self.carrier.stop_one(replica, incarnation);
            }
            ToEngine::ReplicaLost { replica, incarnation, death } => {
                self.carrier.lost(now_ns, replica, incarnation, death, core, sink);
                disarm(&mut self.ring, &mut self.armed, replica, incarnation);
                self.report_given_up();
            }
            ToEngine::Availability { model, availability } => {
                core.set_availability(now_ns, model, availability, sink);
            }
            ToEngine::Ask(question) if self.drain.is_some() => Questions::refuse(question),
            ToEngine::Ask(question) => {
                let is_taken = self.frontend.takes_queries(question.application());
                let log = self.frontend.replies.log.as_deref_mut();
                self.questions.take(now_ns, question, is_taken, core, log);
            }
            // Whoever asked may not wait any more; then it is not worth the work.
            ToEngine::Inspect { reply } if reply.is_closed() => {}
            ToEngine::Inspect { reply } => drop(reply.send(Box::new(self.inspect(now_ns)))),
            ToEngine::Drain => self.begin_drain(now_ns),
            ToEngine::EndNow => {
                self.begin_drain(now_ns);
                self.drain.iter_mut().for_each(|drain| drain.end_at(now_ns));
            }
        }
    }

    /// Deadlines, slow clients, the gauges. Says whether something is left that is due.
    fn keep_time(&mut self, now_ns: u64) -> bool {
        let sink = &mut answers(&mut self.frontend, &mut self.questions);
        // What is late now may be sent to a second replica in the next turn, and what was put off
        // may be sent at all.
        let mut is_more = false;
        if self.core.is_due(now_ns) {
            self.core.tick(now_ns, sink);
            self.carrier.give_up_hanging(now_ns, &mut self.core, sink);
            self.report_given_up();
            is_more = self.core.take_form_due() || self.core.has_late();
        }
        self.keeping.look(now_ns, &mut self.core, &mut self.frontend.replies.log);
        if now_ns >= self.gauges_ns {
            let sink = &mut answers(&mut self.frontend, &mut self.questions);
            self.core.expire_decisions(now_ns, sink);
            self.gauges_ns = now_ns + GAUGE_PERIOD_NS;
            self.publish_gauges();
        }
        self.frontend.age_buffers(now_ns);
        self.accept_again(now_ns);
        self.keep_draining(now_ns);
        !self.expire(now_ns) || is_more
    }

    fn renew_date(&mut self, now_ns: u64) {
        if now_ns >= self.date_ns {
            self.date_ns = now_ns + DATE_PERIOD_NS;
            self.frontend.replies.date = http_date(self.clock.unix_seconds());
        }
    }

    /// The answers of the turn before are in the kernel's hands: their time ends here.
    fn record_handed_over(&mut self, now_ns: u64) {
        let replied = self.frontend.replies.take_replied();
        for replied in replied.chain(self.questions.take_replied()) {
            self.core.handed_over(&replied, now_ns);
        }
    }

    /// Large buffers are freed by the control thread: unmapping takes its time. And it is told of
    /// failures of models, and of replicas that are warm.
    fn report_to_control(&mut self) {
        while let Some(buffer) = self.frontend.take_garbage() {
            let _ = self.control.send(ToControl::Garbage(buffer));
        }
        self.end_drains();
        while let Some((replica, incarnation, change)) = self.carrier.take_pool_changed() {
            let _ = self.control.send(ToControl::PoolChanged { replica, incarnation, change });
        }
        while let Some(Warmed { replica, probes, failure }) = self.core.take_warmed() {
            let Some(incarnation) = self.carrier.incarnation(replica) else { continue };
            let failure = failure.map(|text| String::from_utf8_lossy(&text).into_owned());
            let warmed = ToControl::Warmed { replica, incarnation, probes, failure };
            let _ = self.control.send(warmed);
        }
        while let Some(FailureReport { model, text }) = self.core.take_failure_report() {
            let text = String::from_utf8_lossy(&text).into_owned();
            let _ = self.control.send(ToControl::ModelFailed { model, text });
        }
    }

    fn publish_gauges(&self) {
        self.core.publish_gauges();
        let counters = self.ring.counters();
        self.stats.system_calls_enter.add(counters.enters - self.stats.system_calls_enter.get());
        self.stats.ring_overflows.add(counters.overflows - self.stats.ring_overflows.get());
    }

    /// Sleeps in the ring until something happens.
    fn sleep(&mut self) -> Result<(), LoopError> {
        for (replica, incarnation, bell) in self.carrier.doorbells() {
            let armed = &mut self.armed[replica.place()];
            if *armed != Some((replica, incarnation)) {
                *armed = Some((replica, incarnation));
                self.ring.read_u64(bell, doorbell_token(replica, incarnation));
            }
        }
        // Nobody brings them up to date while this thread sleeps.
        self.publish_gauges();
        if !self.carrier.announce_sleep() {
            let now_ns = self.clock.now_ns();
            let timeout_ns = self.next_due_ns().saturating_sub(now_ns);
            self.pulse.falls_asleep(now_ns);
            self.ring.wait(Some(timeout_ns), &mut self.completions)?;
        }
        self.carrier.retract_sleep();
        Ok(())
    }

    /// When something is due at the latest. Gauges and date wait for the next waking: nobody looks
    /// at the date of an answer that is not being made, and a sleeping engine's gauges stand still.
    fn next_due_ns(&self) -> u64 {
        let accept_ns = self.listeners.iter().filter_map(|listening| listening.again_ns).min();
        let drain_ns = self.drain.map(|drain| drain.next_ns());
        let buffers_ns = self.frontend.buffers_due_ns();
        let ticks_ns = [self.core.next_tick_ns(), self.timers.next_ns()];
        let keeping_ns = self.keeping.due_ns(&self.core, &self.frontend.replies.log);
        let due = ticks_ns.into_iter().chain([accept_ns, drain_ns, buffers_ns, keeping_ns]);
        due.flatten().min().unwrap_or(u64::MAX)
    }
}

/// Where the core's answers go.
fn answers<'a>(frontend: &'a mut Frontend, questions: &'a mut Questions) -> Answers<'a> {
    Answers { http: &mut frontend.replies, direct: questions }
}

/// Ends the read on the doorbell of an incarnation that is gone: it would never end by itself.
fn disarm(ring: &mut impl Ring, armed: &mut [Armed], replica: ReplicaId, incarnation: u64) {
    let armed = &mut armed[replica.place()];
    if armed.take_if(|known| *known == (replica, incarnation)).is_some() {
        ring.cancel(doorbell_token(replica, incarnation));
    }
}

fn doorbell_token(replica: ReplicaId, incarnation: u64) -> Token {
    let index = u32::try_from(replica.place()).expect("few replicas");
    Token::new(kind::DOORBELL, index, generation(incarnation))
}

/// The low bits of an incarnation, as a token carries them.
#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
fn generation(incarnation: u64) -> u32 {
    incarnation as u32
}
