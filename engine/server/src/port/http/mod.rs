//! The front end: bytes of connections in, bytes of answers out.
//!
//! Owner: the engine thread. Pure: it knows connections by number, not by descriptor; time and
//! bytes are passed in. `net` moves the bytes.
//!
//! ```text
//!   receive ─▶ inbound: HTTP framing ─▶ clipper: question, rows ─▶ core
//!                                                                     │ answers (Sink)
//!   output  ◀─ outbound: replies in order of the requests  ◀──────────┘
//! ```
//!
//! A connection may pipeline requests; they are answered in order, whatever order their predictions
//! come in. When [`PIPELINED_REQUESTS_MAX`](crate::limits::PIPELINED_REQUESTS_MAX) of them wait, or
//! more than [`OWED_PAUSE_BYTES`](crate::limits::OWED_PAUSE_BYTES) are owed, its input is left
//! unread until an answer is out: for a client that does not read nothing is executed.
//!
//! # What a client can do, and what it cannot
//! - Each request gets one final response, in order. After a response that announces the end of the
//!   connection nothing is read or executed; a refusal is such a response, and there is one at
//!   most.
//! - Bytes that are held, decoded or owed are in a [`ledger`], by capacity: a share for each
//!   connection, and a pool. Who exceeds is refused, and nobody else.
//! - It is either the client's turn or ours. In its turn a clock runs
//!   ([`cutter_wire::http::Pace`]); while we send, another one does, since it must read; and what
//!   is ours ends with the deadlines of its queries.
//! - Work is bounded for each turn: a large body is read in pieces, one body after another, and a
//!   large output rendered in pieces.
//! - A client that has gone is not computed for: its queries are abandoned.

mod answers;
mod asking;
mod buffers;
#[cfg(test)]
mod documented;
mod endpoint;
mod explanation;
mod extra;
mod inbound;
pub mod ledger;
mod memo;
mod outbound;
mod question;
mod reading;
mod refusal;
mod rendering;
mod reply;
#[cfg(test)]
mod tests;
mod updates;
mod waiting;

use std::collections::VecDeque;
use std::sync::Arc;

use cutter_core::Core;
use cutter_core::stats::EngineStats;
use cutter_machine::clock::Clock;
use cutter_wire::clipper::Updated;
use cutter_wire::http::Verdict;

use crate::limits::{
    CONNECTION_IN_SHARE_BYTES, CONNECTION_OUT_BYTES_MAX, CONNECTION_OUT_SHARE_BYTES,
    CONNECTIONS_MAX, IN_POOL_BYTES_MAX, OUT_POOL_BYTES_MAX, SEND_GRACE_NS, SEND_RATE_BYTES_PER_S,
};
use inbound::Inbound;
use ledger::{Bounds, Ledger};
use question::Lists;
use reading::Used;
use waiting::{Turn, Waiting};

pub use endpoint::{Endpoint, Endpoints, Route};
pub use explanation::Explanation;
pub use outbound::{Output, Replies};

/// How much all connections together may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortLimits {
    pub connections: usize,
    /// Bytes of requests that are not whole or not read yet.
    pub input: Bounds,
    /// Bytes of answers.
    pub output: Bounds,
}

impl Default for PortLimits {
    fn default() -> Self {
        let (share, pool) = (CONNECTION_IN_SHARE_BYTES, IN_POOL_BYTES_MAX);
        let input = Bounds { share, pool, connection: share + pool };
        let (share, pool) = (CONNECTION_OUT_SHARE_BYTES, OUT_POOL_BYTES_MAX);
        let output = Bounds { share, pool, connection: CONNECTION_OUT_BYTES_MAX };
        Self { connections: CONNECTIONS_MAX, input, output }
    }
}

/// All connections of one engine thread, without their sockets.
#[derive(Debug)]
pub struct Frontend {
    inbound: Box<[Inbound]>,
    /// Where the core's answers go.
    pub replies: Replies,
    /// What the request at hand brings.
    lists: Lists,
    /// What came of its updates.
    updated: Vec<Updated>,
    spare: Vec<u8>,
    /// Bytes of requests, whole or not, by connection.
    ledger: Ledger,
    /// The server is ending, and waits for the rest of no request.
    refuses_parts: bool,
    /// When the send under way is late, by connection.
    send_deadlines_ns: Box<[u64]>,
    waiting: Waiting,
    /// Connections with a large body to be read, the first one first.
    large: VecDeque<usize>,
    places: usize,
    stats: Arc<EngineStats>,
}

/// What became of a connection whose time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// It goes on, or a refusal is on its way.
    Nothing,
    /// It ends without a word.
    End,
}

/// Memory that connections hold, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortMemory {
    /// Requests that are not whole or not read yet, decoded or not.
    pub held: usize,
    /// Answers, and what is set aside for them.
    pub owed: usize,
    /// Outputs of replicas that wait to be rendered.
    pub unrendered: usize,
}

impl Frontend {
    /// Without applications.
    pub fn new(limits: PortLimits, stats: Arc<EngineStats>) -> Self {
        assert!(limits.connections <= CONNECTIONS_MAX);
        let places = limits.connections;
        Self {
            inbound: (0..places).map(|_| Inbound::default()).collect(),
            replies: Replies::new(places, limits.output),
            lists: Lists::default(),
            updated: Vec::new(),
            spare: Vec::new(),
            ledger: Ledger::new(places, limits.input),
            send_deadlines_ns: vec![0; places].into(),
            refuses_parts: false,
            waiting: Waiting::new(places),
            large: VecDeque::with_capacity(places),
            places,
            stats,
        }
    }

    /// Connections that can be open at one time.
    pub fn places(&self) -> usize {
        self.places
    }

    /// A connection was accepted and is known by this number until [`Frontend::close`].
    pub fn open(&mut self, connection: usize, now_ns: u64) {
        self.inbound[connection].open(now_ns);
        self.replies.open(connection);
        self.waiting.set(connection, Turn::Idle);
    }

    /// A connection is gone. Its queries are abandoned; answers still to come for it go nowhere.
    pub fn close(&mut self, connection: usize, core: &mut Core) {
        self.clear_input(connection, core);
        self.replies.close(connection, |application, row| core.abandon(application, row));
        self.waiting.set(connection, Turn::Ours);
    }

    /// Bytes arrived on a connection; they were reaped at this time.
    pub fn receive(
        &mut self,
        connection: usize,
        bytes: &[u8],
        reaped_ns: u64,
        clock: &impl Clock,
        core: &mut Core,
    ) {
        if self.replies.is_closing(connection) {
            return;
        }
        let mut held = self.inbound[connection].take_held();
        if self.inbound[connection].is_blocked() {
            Inbound::hold(&mut held, bytes);
        } else if held.is_empty() {
            match self.read(connection, bytes, reaped_ns, clock, core) {
                Used::Whole(used) => Inbound::hold(&mut held, &bytes[used..]),
                Used::UpTo(large) => held = self.begin_large(connection, bytes.to_vec(), *large),
            }
        } else {
            Inbound::hold(&mut held, bytes);
            held = self.read_held(connection, held, reaped_ns, clock, core);
        }
        let inbound = &mut self.inbound[connection];
        inbound.put_held(held, &mut self.replies.buffers);
        inbound.pace.on_bytes(reaped_ns, bytes.len(), inbound.reader.phase());
        self.settle(connection, reaped_ns, core);
    }

    /// The client will send nothing more. It still gets what it is owed.
    pub fn receive_end(&mut self, connection: usize, now_ns: u64, core: &mut Core) {
        self.inbound[connection].ended = true;
        self.settle(connection, now_ns, core);
    }

    /// Reads on where a connection's input was left because too much was owed.
    pub fn resume(&mut self, connection: usize, now_ns: u64, clock: &impl Clock, core: &mut Core) {
        let inbound = &mut self.inbound[connection];
        if inbound.stalled && !self.replies.is_full(connection) {
            inbound.stalled = false;
            self.read_on(connection, now_ns, clock, core);
        }
        self.settle(connection, now_ns, core);
    }

    /// Whether large bodies or outputs wait for a part of a turn.
    #[inline]
    pub fn has_large_work(&self) -> bool {
        !self.large.is_empty() || self.replies.has_unrendered()
    }

    /// A turn's part of the large work: a piece of a body, and some rendering.
    pub fn work(&mut self, clock: &impl Clock, core: &mut Core) {
        self.replies.render();
        self.read_piece(clock, core);
    }

    /// A send begins, of so many bytes.
    #[inline]
    pub fn begin_send(&mut self, connection: usize, bytes: usize, now_ns: u64) {
        let time_ns = bytes as u64 * (1_000_000_000 / SEND_RATE_BYTES_PER_S);
        self.send_deadlines_ns[connection] = now_ns + SEND_GRACE_NS + time_ns;
    }

    /// The send under way has ended.
    pub fn sent(&mut self, connection: usize, now_ns: u64, core: &mut Core) {
        self.replies.sent(connection);
        self.settle(connection, now_ns, core);
    }

    /// Whether a connection should be received from: not while it floods us.
    #[inline]
    pub fn wants_input(&self, connection: usize) -> bool {
        self.inbound[connection].wants_input()
    }

    /// Whether a part of a request is here, and the client owes us the rest.
    #[inline]
    pub fn is_partial(&self, connection: usize) -> bool {
        self.waiting.turn(connection) == Turn::Partial
    }

    /// Whether a connection sends large bodies, so that little of it should be received at a time.
    #[inline]
    pub fn is_bulk(&self, connection: usize) -> bool {
        self.inbound[connection].is_bulk
    }

    /// When to look at a connection's clock; `None` while the wait is ours.
    #[inline]
    pub fn deadline_ns(&self, connection: usize) -> Option<u64> {
        if self.replies.is_sending(connection) {
            return Some(self.send_deadlines_ns[connection]);
        }
        self.inbound[connection].pace.deadline_ns()
    }

    /// A connection's time may be up.
    pub fn expire(&mut self, connection: usize, now_ns: u64, core: &mut Core) -> Expired {
        if self.replies.is_sending(connection) {
            let late = now_ns >= self.send_deadlines_ns[connection];
            return if late { Expired::End } else { Expired::Nothing };
        }
        match self.inbound[connection].pace.check(now_ns) {
            Verdict::Keep => {}
            Verdict::CloseIdle => return Expired::End,
            Verdict::Refuse(error) => {
                self.refuse_error(connection, &error);
                self.settle(connection, now_ns, core);
            }
        }
        Expired::Nothing
    }

    /// The connection that has kept us waiting the longest, to give its place to another.
    pub fn longest_waiting(&self) -> Option<usize> {
        self.waiting.longest()
    }

    /// Memory that connections hold.
    pub fn memory(&self) -> PortMemory {
        PortMemory {
            held: self.ledger.total(),
            owed: self.replies.owed_bytes(),
            unrendered: self.replies.unrendered_bytes(),
        }
    }

    /// The same by walking everything, as it is and not as it was counted.
    #[cfg(test)]
    pub(crate) fn walk_memory(&self) -> PortMemory {
        PortMemory {
            held: self.inbound.iter().map(Inbound::memory_bytes).sum(),
            owed: self.replies.walk_owed(),
            unrendered: self.replies.unrendered_bytes(),
        }
    }

    /// Time goes on: large buffers that nobody wanted for long are given up.
    #[inline]
    pub fn age_buffers(&mut self, now_ns: u64) {
        self.replies.buffers.age(now_ns);
    }

    /// When [`Frontend::age_buffers`] has something to do.
    pub fn buffers_due_ns(&self) -> Option<u64> {
        self.replies.buffers.due_ns()
    }

    /// A large buffer to be freed where that may take its time.
    #[inline]
    pub fn take_garbage(&mut self) -> Option<Vec<u8>> {
        self.replies.buffers.take_garbage()
    }

    /// Whether nothing of a request is here and no answer is owed.
    pub fn is_idle(&self, connection: usize) -> bool {
        self.waiting.turn(connection) == Turn::Idle
    }

    /// Every reply from now on closes its connection.
    pub fn begin_drain(&mut self) {
        self.replies.draining = true;
    }

    /// Whoever has sent only a part of a request is refused, and so is whoever does from now on.
    pub fn refuse_parts(
        &mut self,
        now_ns: u64,
        connections: impl Iterator<Item = usize>,
        core: &mut Core,
    ) {
        self.refuses_parts = true;
        connections.for_each(|connection| self.settle(connection, now_ns, core));
    }
}
