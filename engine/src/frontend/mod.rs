//! The front end: bytes of connections in, bytes of answers out.
//!
//! Owner: the engine thread. Pure: it knows connections by number, not by descriptor; time and
//! bytes are passed in. `net` moves the bytes.
//!
//! ```text
//!   receive ─▶ inbound: HTTP framing ─▶ clipper: question, rows ─▶ scheduler
//!                                                                     │ answers (Sink)
//!   output  ◀─ outbound: replies in order of the requests  ◀──────────┘
//! ```
//!
//! A connection may pipeline requests; they are answered in order, whatever order their predictions
//! come in. When [`PIPELINED_REQUESTS_MAX`] of them wait, its input is left unread until one is
//! answered.

mod inbound;
mod outbound;
#[cfg(test)]
mod tests;

use crate::clipper::{self, Slot};
use crate::clock::Clock;
use crate::http::{
    CONTINUE_100, Connection, DATE_BYTES, HttpError, ResponseHead, Status, Step, Verdict,
    write_http_error,
};
use crate::limits::{
    CONNECTIONS_MAX, INPUT_BYTES_KEPT, INPUT_BYTES_TOTAL_MAX, PIPELINED_REQUESTS_MAX,
    STALLED_INPUT_BYTES_MAX,
};
use crate::pool::InputPool;
use crate::scheduler::{Admission, Scheduler};
use crate::stats::EngineStats;

use inbound::Inbound;
use outbound::{Outbound, Request};
use std::sync::Arc;

pub use outbound::{Output, Replied, Replies};

/// All connections of one engine thread, without their sockets.
#[derive(Debug)]
pub struct Frontend {
    inbound: Box<[Inbound]>,
    /// Where the scheduler's answers go.
    pub replies: Replies,
    body_limits: Box<[usize]>,
    pools: Box<[InputPool]>,
    slots: Vec<Slot>,
    spare: Vec<u8>,
    /// Bytes held for all connections that wait for more.
    held_bytes: usize,
    limits: PortLimits,
    stats: Arc<EngineStats>,
}

/// How much all connections together may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortLimits {
    pub connections: usize,
    /// Bytes held for all connections whose requests are incomplete.
    pub input_bytes_total: usize,
}

impl Default for PortLimits {
    fn default() -> Self {
        Self { connections: CONNECTIONS_MAX, input_bytes_total: INPUT_BYTES_TOTAL_MAX }
    }
}

impl Frontend {
    /// `pools` are by application.
    pub fn new(
        applications: Vec<clipper::Application>,
        pools: Vec<InputPool>,
        limits: PortLimits,
        stats: Arc<EngineStats>,
    ) -> Self {
        assert!(limits.connections <= CONNECTIONS_MAX);
        assert_eq!(applications.len(), pools.len());
        let body_limits = applications.iter().map(clipper::Application::body_bytes_max).collect();
        Self {
            inbound: (0..limits.connections).map(|_| Inbound::default()).collect(),
            replies: Replies::new(applications),
            body_limits,
            pools: pools.into(),
            slots: Vec::new(),
            spare: Vec::new(),
            held_bytes: 0,
            limits,
            stats,
        }
    }

    /// Connections that can be open at one time.
    pub fn places(&self) -> usize {
        self.limits.connections
    }

    /// A connection was accepted and is known by this number until [`Frontend::close`].
    pub fn open(&mut self, connection: usize, now_ns: u64) {
        self.inbound[connection].open(now_ns);
        self.replies.open(connection);
    }

    /// A connection is gone. Answers that are still to come for it go nowhere.
    pub fn close(&mut self, connection: usize) {
        self.held_bytes -= self.inbound[connection].close();
        self.replies.close(connection);
    }

    /// Bytes arrived on a connection.
    pub fn receive(
        &mut self,
        connection: usize,
        bytes: &[u8],
        clock: &impl Clock,
        scheduler: &mut Scheduler,
    ) {
        let now_ns = clock.now_ns();
        if self.replies.is_closing(connection) {
            return;
        }
        let mut held = self.inbound[connection].take_held();
        self.held_bytes -= held.len();
        if held.is_empty() {
            let used = self.read(connection, bytes, now_ns, clock, scheduler);
            held.extend_from_slice(&bytes[used..]);
        } else {
            held.extend_from_slice(bytes);
            let used = self.read(connection, &held, now_ns, clock, scheduler);
            held.drain(..used);
        }
        self.hold(connection, held);
        self.inbound[connection].on_bytes(now_ns, bytes.len());
    }

    /// Reads on where a connection's input was left because too many answers were owed.
    pub fn resume(&mut self, connection: usize, clock: &impl Clock, scheduler: &mut Scheduler) {
        let now_ns = clock.now_ns();
        if !self.inbound[connection].stalled || self.replies.is_closing(connection) {
            return;
        }
        self.inbound[connection].stalled = false;
        let mut held = self.inbound[connection].take_held();
        self.held_bytes -= held.len();
        let used = self.read(connection, &held, now_ns, clock, scheduler);
        held.drain(..used);
        self.hold(connection, held);
        self.inbound[connection].resume(now_ns);
    }

    /// Whether a connection should be received from: not while it floods us.
    pub fn wants_input(&self, connection: usize) -> bool {
        let inbound = &self.inbound[connection];
        !(inbound.stalled && inbound.held_bytes() > STALLED_INPUT_BYTES_MAX)
    }

    /// What a connection's client is late with.
    pub fn check_pace(
        &mut self,
        connection: usize,
        now_ns: u64,
        date: &[u8; DATE_BYTES],
    ) -> Pacing {
        match self.inbound[connection].check(now_ns) {
            Verdict::Keep => Pacing::Keep(self.inbound[connection].deadline_ns()),
            Verdict::CloseIdle => Pacing::CloseIdle,
            Verdict::Refuse(error) => {
                self.refuse(connection, &error, date);
                Pacing::Keep(None)
            }
        }
    }

    /// Bytes held for all connections that wait for more.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Whether nothing of a request is here and no answer is owed.
    pub fn is_idle(&self, connection: usize) -> bool {
        self.inbound[connection].is_idle() && self.replies.is_empty(connection)
    }

    /// Every reply from now on closes its connection.
    pub fn begin_drain(&mut self) {
        self.replies.draining = true;
    }

    /// Bytes really taken, by walking everything: held, decoded, owed.
    #[cfg(test)]
    pub(crate) fn walk_memory(&self) -> (usize, usize, usize) {
        let held = self.inbound.iter().map(Inbound::held_capacity).sum();
        let decoded = self.inbound.iter().map(|inbound| inbound.reader.kept_bytes()).sum();
        (held, decoded, self.replies.walk_owed(self.places()))
    }

    fn hold(&mut self, connection: usize, mut held: Vec<u8>) {
        if held.is_empty() && held.capacity() > INPUT_BYTES_KEPT {
            held = Vec::new();
        }
        self.held_bytes += held.len();
        self.inbound[connection].put_held(held);
        if self.held_bytes > self.limits.input_bytes_total {
            let date = self.replies.date;
            self.refuse_with(
                connection,
                Status::ServiceUnavailable,
                |out| {
                    out.extend_from_slice(
                        b"{\"error\":\"Overloaded\",\"cause\":\"too many large requests are being \
                      received at once; send it again later\"}",
                    );
                },
                &date,
            );
        }
    }

    /// Reads all requests that are whole, and says how many bytes they took.
    fn read(
        &mut self,
        connection: usize,
        bytes: &[u8],
        arrived_ns: u64,
        clock: &impl Clock,
        scheduler: &mut Scheduler,
    ) -> usize {
        let mut used = 0;
        loop {
            if self.replies.owed(connection) >= PIPELINED_REQUESTS_MAX {
                self.inbound[connection].stalled = true;
                return used;
            }
            let applications = &self.replies.applications;
            let limit =
                |_, path: &str| clipper::body_bytes_max(path, &self.body_limits, applications);
            let inbound = &mut self.inbound[connection];
            match inbound.reader.read(&bytes[used..], limit) {
                Step::NeedMore { consumed, .. } => return used + consumed,
                Step::Continue100 { consumed } => {
                    used += consumed;
                    self.replies.push(connection, Request::raw(CONTINUE_100.to_vec()));
                }
                Step::Request { head, body, consumed } => {
                    used += consumed;
                    inbound.pace.on_request(arrived_ns);
                    self.stats.input_bytes_copied.add(body.len() as u64);
                    let asked = clipper::ask(
                        &head,
                        body,
                        applications,
                        &mut self.pools,
                        scheduler,
                        &mut self.slots,
                        &mut self.spare,
                    );
                    let after = Connection::after(&head);
                    let omit_body = head.method == crate::http::Method::Head;
                    match asked {
                        Ok(question) => {
                            let count = self.slots.len();
                            let request = self.replies.request(after, count, question.is_batch);
                            let reply_to = self.replies.push(connection, request);
                            self.admit(
                                question.application,
                                reply_to,
                                arrived_ns,
                                clock,
                                scheduler,
                            );
                        }
                        Err(problem) => {
                            self.stats.http_errors(problem.status().code()).increment();
                            let request = self.replies.problem(after, omit_body, &problem);
                            self.replies.push(connection, request);
                        }
                    }
                }
                Step::Bad(error) => {
                    let date = self.replies.date;
                    self.refuse(connection, &error, &date);
                    return bytes.len();
                }
            }
        }
    }

    fn admit(
        &mut self,
        application: usize,
        reply_to: u64,
        arrived_ns: u64,
        clock: &impl Clock,
        scheduler: &mut Scheduler,
    ) {
        let now_ns = clock.now_ns();
        for (item, slot) in self.slots.iter().enumerate() {
            let reply_to = reply_to + item as u64;
            match *slot {
                Slot::Row { row, bytes } => {
                    let input = Admission { application, row, bytes, arrived_ns, reply_to };
                    scheduler.admit(now_ns, &input, &mut self.replies);
                }
                Slot::Overloaded => {
                    let sink = &mut self.replies;
                    scheduler.refuse(application, reply_to, arrived_ns, now_ns, sink);
                }
            }
        }
    }

    /// Answers an HTTP error behind what is owed, and closes after it.
    fn refuse(&mut self, connection: usize, error: &HttpError, date: &[u8; DATE_BYTES]) {
        self.stats.http_errors(error.status().code()).increment();
        let mut raw = Vec::new();
        write_http_error(&mut raw, error, date);
        self.replies.push(connection, Request::raw(raw));
        self.replies.close_after(connection);
    }

    fn refuse_with(
        &mut self,
        connection: usize,
        status: Status,
        body: impl FnOnce(&mut Vec<u8>),
        date: &[u8; DATE_BYTES],
    ) {
        self.stats.http_errors(status.code()).increment();
        let head = ResponseHead {
            status,
            content_type: crate::http::ContentType::Json,
            date,
            connection: Connection::Close,
            allow: None,
            omit_body: false,
        };
        let mut raw = Vec::new();
        let mut writer = crate::http::ResponseWriter::begin(&mut raw, &head);
        body(writer.body());
        writer.finish();
        self.replies.push(connection, Request::raw(raw));
        self.replies.close_after(connection);
    }
}

/// What is to be done about a slow client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pacing {
    /// Nothing, until this time.
    Keep(Option<u64>),
    /// Close the connection without a word.
    CloseIdle,
}

impl Outbound {
    const _FITS: () = assert!(PIPELINED_REQUESTS_MAX < 256);
}
