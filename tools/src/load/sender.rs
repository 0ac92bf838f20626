//! The sending thread: one ring, many connections, requests at their times.
//!
//! ```text
//!  turn:  clock ▸ send what is due ▸ enter the kernel once ▸ clock ▸ take what came ▸ wait
//!
//!  free ──send──▶ under way (up to `pipeline`) ──answer──▶ free      the one used last comes first
//!                    └── failed, overdue, closed ──▶ reopened, the old socket retired until the
//!                                                    ring has let go of it
//! ```
//!
//! Times: a request is *sent* when the kernel begins with it; of several that go out in one system
//! call, each has its part of the call. An answer has *come* at the look at the clock after the
//! system call that brought it. Two looks at the clock serve a whole turn.
//!
//! Requests that follow one another on a connection and in memory go out in one send.
//!
//! Invariants: a connection has at most one send in flight (the kernel keeps no order between two);
//! every line of the book belongs to one request under way, or is complete.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::Relaxed;

use cutter_machine::clock::monotonic_ns;
use cutter_machine::uring::{Completion, ReceiveBuffer, Ring, RingConfig, Token};
use rustix::net::Shutdown;
use rustix::thread::sched_yield;

use super::book::{Book, Line};
use super::links::{Link, Retired, UnderWay, open, open_at_once};
use super::pacing::Pacing;
use super::plan::{LoadError, Plan, Progress, Wait};
use super::recording::{Outcome, Recording};
use crate::limits::{
    CARE_PERIOD_NS, GAP_NS, INTERRUPT_GRACE_NS, LEAD_NS, RECEIVE_BUFFER_BYTES, RECEIVE_BUFFERS_MAX,
    RECEIVE_BUFFERS_MIN, RING_ENTRIES, SENDS_PER_TURN_MAX, SLEEP_NS_MAX, SLEEP_NS_MIN,
    WAKE_MARGIN_NS,
};
use crate::reply::{Framer, Reply, judge};

const KIND_RECEIVE: u8 = 0;
const KIND_SEND: u8 = 1;

/// Runs a plan on the calling thread.
pub(super) fn run(plan: &Plan, progress: &Progress) -> Result<Recording, LoadError> {
    let mut sender = Sender::connect(plan)?;
    progress.start_ns.store(sender.start_ns, Relaxed);
    sender.run(progress)?;
    Ok(sender.finish(progress.is_interrupted()))
}

struct Sender<'a> {
    plan: &'a Plan,
    ring: Ring,
    links: Vec<Link>,
    /// By connection, beside `links`, so that answers can be noted while they are being read.
    framers: Vec<Framer>,
    /// `free[k]`: connections that had `k` requests under way when they were put here, the one put
    /// here last at the end. An entry counts only if that still holds.
    free: Vec<Vec<u32>>,
    retired: HashMap<(u32, u32), Retired>,
    /// Receives that ended for want of buffers.
    starved: Vec<u32>,
    pacing: Pacing,
    book: Book,
    next_question: u32,
    start_ns: u64,
    /// Lines sent in this turn.
    just_sent: Vec<Line>,
    under_way: usize,
    yields: u64,
    enters_before: u64,
    cpu_before_ns: u64,
}

/// Where the loop stands.
struct Turn {
    begin_ns: u64,
    /// When overdue requests are looked for again.
    care_ns: u64,
    /// When an interrupted run ends, whatever is under way.
    until_ns: u64,
}

impl Turn {
    fn new(begin_ns: u64) -> Self {
        Self { begin_ns, care_ns: begin_ns + CARE_PERIOD_NS, until_ns: u64::MAX }
    }
}

impl<'a> Sender<'a> {
    fn connect(plan: &'a Plan) -> Result<Self, LoadError> {
        assert!(plan.connections > 0 && plan.pipeline > 0 && plan.questions.len() > 0);
        let ring = Ring::new(ring_for(plan.connections))?;
        let mut links = Vec::with_capacity(plan.connections);
        for connections in 0..plan.connections {
            let socket =
                open(&plan.address).map_err(|source| refused(plan, connections, source))?;
            links.push(Link::new(socket));
        }
        let start_ns = monotonic_ns() + LEAD_NS;
        let (pacing, expected) = Pacing::new(&plan.pace, start_ns);
        let is_to_head = plan.questions.is_head();
        let free = vec![Vec::with_capacity(plan.connections); plan.pipeline];
        let mut sender = Self {
            plan,
            ring,
            framers: links.iter().map(|_| Framer::new(is_to_head)).collect(),
            links,
            free,
            retired: HashMap::new(),
            starved: Vec::new(),
            pacing,
            book: Book::new(start_ns, expected),
            next_question: 0,
            start_ns,
            just_sent: Vec::with_capacity(SENDS_PER_TURN_MAX),
            under_way: 0,
            yields: 0,
            enters_before: 0,
            cpu_before_ns: 0,
        };
        for link in (0..index(plan.connections)).rev() {
            sender.receive(link);
            sender.offer(link);
        }
        Ok(sender)
    }

    fn run(&mut self, progress: &Progress) -> Result<(), LoadError> {
        let mut completions = Vec::new();
        while monotonic_ns() < self.start_ns {
            self.ring.wait(Some(SLEEP_NS_MIN), &mut completions)?;
            self.take(&mut completions, self.start_ns);
        }
        self.enters_before = self.ring.enters();
        self.cpu_before_ns = thread_cpu_ns();
        let mut turn = Turn::new(monotonic_ns());
        while !self.is_done(turn.begin_ns) && turn.begin_ns < turn.until_ns {
            let sent = self.send(turn.begin_ns);
            let sleep_ns = self.sleep_ns(turn.begin_ns);
            match sleep_ns {
                Some(_) => self.ring.wait(sleep_ns, &mut completions)?,
                None => self.ring.poll(&mut completions)?,
            };
            let now_ns = monotonic_ns();
            self.stamp(turn.begin_ns, if sleep_ns.is_some() { turn.begin_ns } else { now_ns });
            let came = !completions.is_empty();
            self.take(&mut completions, now_ns);
            if now_ns >= turn.care_ns {
                turn.care_ns = now_ns + CARE_PERIOD_NS;
                self.care(now_ns);
                progress.sent.store(self.book.len(), Relaxed);
                progress.done.store(self.book.len() - self.under_way as u64, Relaxed);
                if turn.until_ns == u64::MAX && progress.is_interrupted() {
                    self.pacing.stop();
                    turn.until_ns = now_ns + INTERRUPT_GRACE_NS;
                }
            }
            if !sent && !came && sleep_ns.is_none() {
                self.pause();
            }
            // Of a turn that slept, what came after it.
            let from_ns = if sleep_ns.is_some() { now_ns } else { turn.begin_ns };
            turn.begin_ns = monotonic_ns();
            self.note_turn(turn.begin_ns - from_ns, sent || came);
        }
        Ok(())
    }

    /// Notes when the requests of a turn were sent: the kernel takes one after the other, evenly
    /// from the beginning of the system call to its end.
    fn stamp(&mut self, from_ns: u64, to_ns: u64) {
        let count = self.just_sent.len() as u64;
        for (line, number) in self.just_sent.drain(..).zip(0..) {
            self.book.sent(line, from_ns + (to_ns - from_ns) * number / count);
        }
    }

    fn is_done(&self, now_ns: u64) -> bool {
        self.under_way == 0 && (self.pacing.is_over(now_ns) || self.book.is_full())
    }

    /// Sends what is due, up to a bound. Says whether there was anything.
    fn send(&mut self, now_ns: u64) -> bool {
        for sent in 0..SENDS_PER_TURN_MAX {
            let Some(due_ns) = self.pacing.due(now_ns).filter(|_| !self.book.is_full()) else {
                return sent > 0;
            };
            if self.is_given_up(due_ns, now_ns) {
                continue;
            }
            let Some(link) = self.take_free() else {
                if self.pacing.block() {
                    self.book.blocked();
                }
                return sent > 0;
            };
            self.pacing.advance();
            self.ask(link, due_ns);
        }
        true
    }

    /// A request whose time limit passed while no connection was free fails without being sent.
    fn is_given_up(&mut self, due_ns: u64, now_ns: u64) -> bool {
        let is_over = self.pacing.is_open() && now_ns > due_ns + self.plan.time_limit_ns;
        if is_over {
            let question = self.take_question();
            let line = self.book.open(due_ns, question);
            let why = "no connection was free within the time limit";
            self.book.sent(line, now_ns);
            self.book.failed(line, Outcome::TimedOut, why, now_ns);
            self.pacing.advance();
        }
        is_over
    }

    /// A connection with room for a request: the emptiest, of these the one used last.
    fn take_free(&mut self) -> Option<u32> {
        for under_way in 0..self.free.len() {
            while let Some(link) = self.free[under_way].pop() {
                let there = &mut self.links[link as usize];
                there.listed &= !(1 << under_way);
                if there.under_way.len() == under_way && there.socket.is_some() {
                    return Some(link);
                }
            }
        }
        None
    }

    /// Puts the next question on a connection, and sends it if the connection is not sending.
    fn ask(&mut self, link: u32, due_ns: u64) {
        self.enqueue(link, due_ns);
        self.offer(link);
        self.push(link);
    }

    fn enqueue(&mut self, link: u32, due_ns: u64) {
        let question = self.take_question();
        let line = self.book.open(due_ns, question);
        let there = &mut self.links[link as usize];
        there.under_way.push_back(UnderWay { line, question, due_ns });
        there.unsent += 1;
        self.under_way += 1;
    }

    fn take_question(&mut self) -> u32 {
        let question = self.next_question;
        self.next_question = (question + 1) % index(self.plan.questions.len());
        question
    }

    /// Notes that a connection has room, if it has.
    fn offer(&mut self, link: u32) {
        let there = &mut self.links[link as usize];
        let under_way = there.under_way.len();
        let Some(free) = self.free.get_mut(under_way) else { return };
        if there.listed >> under_way & 1 == 0 {
            there.listed |= 1 << under_way;
            free.push(link);
        }
    }

    /// Sends what a connection has not sent, unless a send is in flight.
    fn push(&mut self, link: u32) {
        let there = &mut self.links[link as usize];
        let Some(socket) = there.socket.as_ref().filter(|_| !there.is_sending && there.unsent > 0)
        else {
            return;
        };
        let first = there.under_way.len() - there.unsent;
        let mut range = self.plan.questions.range(there.under_way[first].question as usize);
        for at in first..there.under_way.len() {
            let next = self.plan.questions.range(there.under_way[at].question as usize);
            if at > first && next.start != range.end {
                break;
            }
            range.end = next.end;
            self.just_sent.push(there.under_way[at].line);
            there.unsent -= 1;
        }
        there.is_sending = true;
        let token = Token::new(KIND_SEND, link, there.generation);
        self.ring.send_shared(socket.as_fd(), self.plan.questions.slab(), range, token);
    }

    fn receive(&mut self, link: u32) {
        let there = &mut self.links[link as usize];
        if let Some(socket) = &there.socket {
            there.is_receiving = true;
            let token = Token::new(KIND_RECEIVE, link, there.generation);
            self.ring.recv_multishot(socket.as_fd(), token);
        }
    }

    fn take(&mut self, completions: &mut Vec<Completion>, now_ns: u64) {
        for completion in completions.drain(..) {
            let (link, generation) = (completion.token.index(), completion.token.generation());
            if self.links[link as usize].generation != generation {
                self.take_stale(completion);
            } else if completion.token.kind() == KIND_SEND {
                self.take_sent(link, &completion, now_ns);
            } else {
                self.take_received(link, completion, now_ns);
            }
        }
        for link in std::mem::take(&mut self.starved) {
            if !self.links[link as usize].is_receiving {
                self.receive(link);
            }
        }
    }

    fn take_sent(&mut self, link: u32, completion: &Completion, now_ns: u64) {
        self.links[link as usize].is_sending = false;
        match completion.result {
            Ok(_) => self.push(link),
            Err(error) => self.give_up(link, &format!("a request cannot be sent: {error}"), now_ns),
        }
    }

    fn take_received(&mut self, link: u32, completion: Completion, now_ns: u64) {
        self.links[link as usize].is_receiving = completion.more;
        let is_starved = completion.is_out_of_buffers();
        if let Some(buffer) = completion.buffer {
            self.read_replies(link, Some(&buffer), now_ns);
            self.ring.recycle(buffer);
            // What was read may have ended the connection.
            if completion.token.generation() != self.links[link as usize].generation {
                return;
            }
            if !completion.more {
                self.receive(link);
            }
            return;
        }
        match completion.result {
            _ if is_starved => self.starved.push(link),
            Ok(_) if completion.more => {}
            Ok(_) => self.ended(link, now_ns),
            Err(error) => {
                self.give_up(link, &format!("an answer cannot be received: {error}"), now_ns);
            }
        }
    }

    /// The server closed its side.
    fn ended(&mut self, link: u32, now_ns: u64) {
        let generation = self.links[link as usize].generation;
        self.read_replies(link, None, now_ns);
        if generation == self.links[link as usize].generation {
            self.give_up(link, "the server closed the connection", now_ns);
        }
    }

    /// Reads answers out of what came; `None` is the end of the stream.
    fn read_replies(&mut self, link: u32, buffer: Option<&ReceiveBuffer>, now_ns: u64) {
        let framer = &mut self.framers[link as usize];
        let there = &mut self.links[link as usize];
        let before = there.under_way.len();
        let mut note = |reply: &Reply<'_>| {
            // An answer to a request that was not sent is an answer to none.
            let is_asked = there.under_way.len() > there.unsent;
            let Some(request) = is_asked.then(|| there.under_way.pop_front()).flatten() else {
                return Err("an answer that nobody asked for".to_owned());
            };
            let label = self.plan.questions.label(request.question as usize);
            let verdict = judge(self.plan.check, reply, label);
            self.book.answered(request.line, reply.status, verdict, now_ns);
            if reply.keep_alive {
                Ok(())
            } else {
                Err("the server closes the connection after each answer".to_owned())
            }
        };
        let read = match buffer {
            Some(buffer) => read_all(framer, self.ring.bytes(buffer), &mut note),
            None => framer
                .end()
                .map_err(|error| error.to_string())
                .and_then(|reply| reply.map_or(Ok(()), |reply| note(&reply))),
        };
        let answered = before - self.links[link as usize].under_way.len();
        self.under_way -= answered;
        match read {
            Err(why) => self.give_up(link, &why, now_ns),
            Ok(()) if answered > 0 => self.answered(link, answered, now_ns),
            Ok(()) => {}
        }
    }

    /// A connection has room again; in closed loop it is asked again at once.
    fn answered(&mut self, link: u32, answered: usize, now_ns: u64) {
        if self.pacing.is_open() {
            return self.offer(link);
        }
        // All of them together, so that they go out in one send.
        for _ in 0..answered {
            let Some(due_ns) = self.pacing.due(now_ns).filter(|_| !self.book.is_full()) else {
                break;
            };
            self.pacing.advance();
            self.enqueue(link, due_ns);
        }
        self.push(link);
    }

    /// Ends a connection, and with it what is under way on it, and opens another in its place.
    fn give_up(&mut self, link: u32, why: &str, now_ns: u64) {
        let there = &mut self.links[link as usize];
        self.under_way -= there.under_way.len();
        for request in there.under_way.drain(..) {
            let is_overdue = now_ns >= request.due_ns + self.plan.time_limit_ns;
            let outcome = if is_overdue { Outcome::TimedOut } else { Outcome::Broken };
            self.book.failed(request.line, outcome, why, now_ns);
        }
        there.unsent = 0;
        let operations = u32::from(there.is_sending) + u32::from(there.is_receiving);
        if let Some(socket) = there.socket.take() {
            self.ring.shutdown(socket.as_fd(), Shutdown::Both);
            match operations {
                0 => self.ring.close(socket),
                _ => {
                    let retired = Retired { socket, operations };
                    self.retired.insert((link, there.generation), retired);
                }
            }
        }
        there.generation += 1;
        self.book.recording_mut().reopened += 1;
        (there.is_sending, there.is_receiving) = (false, false);
        self.framers[link as usize].reset();
        self.reopen(link);
    }

    fn reopen(&mut self, link: u32) {
        match open_at_once(&self.plan.address) {
            Ok(socket) => {
                self.links[link as usize].socket = Some(socket);
                self.receive(link);
                self.offer(link);
            }
            // Tried again by `care`.
            Err(error) => self.book.note_error(&format!("cannot connect again: {error}")),
        }
    }

    fn take_stale(&mut self, completion: Completion) {
        let of = (completion.token.index(), completion.token.generation());
        if let Some(buffer) = completion.buffer {
            self.ring.recycle(buffer);
        }
        if completion.more {
            return;
        }
        let retired = self.retired.get_mut(&of).expect("a retired socket waits for its last");
        retired.operations -= 1;
        if retired.operations == 0
            && let Some(retired) = self.retired.remove(&of)
        {
            self.ring.close(retired.socket);
        }
    }

    /// Gives up what is overdue, and opens what could not be opened.
    fn care(&mut self, now_ns: u64) {
        for link in 0..index(self.links.len()) {
            let there = &self.links[link as usize];
            let oldest = there.under_way.front();
            if oldest.is_some_and(|request| now_ns > request.due_ns + self.plan.time_limit_ns) {
                self.give_up(link, "no answer within the time limit", now_ns);
            } else if there.socket.is_none() {
                self.reopen(link);
            }
        }
    }

    /// How long there is nothing to do, if it is worth sleeping.
    fn sleep_ns(&self, now_ns: u64) -> Option<u64> {
        let is_idle = self.under_way == 0;
        let margin_ns = match self.plan.wait {
            Wait::Spin | Wait::Yield => return None,
            Wait::Adaptive if !is_idle => return None,
            Wait::Adaptive => WAKE_MARGIN_NS,
            Wait::Sleep => 0,
        };
        let ahead_ns = self.pacing.next_ns().map_or(SLEEP_NS_MAX, |due| due.saturating_sub(now_ns));
        let least_ns = if self.plan.wait == Wait::Sleep { 1 } else { SLEEP_NS_MIN };
        // What is under way is looked after, too.
        let most_ns = if is_idle { SLEEP_NS_MAX } else { CARE_PERIOD_NS };
        (ahead_ns >= least_ns).then(|| (ahead_ns - margin_ns).min(most_ns))
    }

    fn pause(&mut self) {
        match self.plan.wait {
            Wait::Spin => std::hint::spin_loop(),
            Wait::Adaptive | Wait::Yield | Wait::Sleep => {
                self.yields += 1;
                sched_yield();
            }
        }
    }

    fn note_turn(&mut self, turn_ns: u64, was_busy: bool) {
        let generator = &mut self.book.recording_mut().generator;
        generator.busy_ns += if was_busy { turn_ns } else { 0 };
        generator.longest_gap_ns = generator.longest_gap_ns.max(turn_ns);
        generator.gaps_over_1ms += u64::from(turn_ns > GAP_NS);
    }

    fn finish(mut self, ended_early: bool) -> Recording {
        let generator = &mut self.book.recording_mut().generator;
        generator.cpu_ns = thread_cpu_ns() - self.cpu_before_ns;
        generator.system_calls = self.ring.enters() - self.enters_before + self.yields;
        // The ring lets go of the sockets before they are closed.
        drop(self.ring);
        self.book.finish(ended_early)
    }
}

/// Hands on every answer that is complete.
fn read_all(
    framer: &mut Framer,
    mut bytes: &[u8],
    note: &mut impl FnMut(&Reply<'_>) -> Result<(), String>,
) -> Result<(), String> {
    while let Some(reply) = framer.next(&mut bytes).map_err(|error| error.to_string())? {
        note(&reply)?;
    }
    Ok(())
}

/// Buffers are used in turn: more than are needed are that many more that no cache holds.
fn ring_for(connections: usize) -> RingConfig {
    let wanted = u16::try_from((2 * connections).next_power_of_two()).unwrap_or(u16::MAX);
    RingConfig {
        sq_entries: RING_ENTRIES,
        receive_buffers: wanted.clamp(RECEIVE_BUFFERS_MIN, RECEIVE_BUFFERS_MAX),
        receive_buffer_bytes: RECEIVE_BUFFER_BYTES,
    }
}

fn refused(plan: &Plan, connections: usize, source: std::io::Error) -> LoadError {
    use rustix::io::Errno;
    match Errno::from_io_error(&source) {
        Some(Errno::MFILE | Errno::NFILE) => LoadError::Descriptors { connections, source },
        _ => LoadError::Connect { address: plan.address.to_string(), source },
    }
}

fn index(number: usize) -> u32 {
    u32::try_from(number).expect("connections and bodies are bounded")
}

#[expect(clippy::cast_sign_loss, reason = "a clock of used time is never negative")]
fn thread_cpu_ns() -> u64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
}
