//! The sending half of all connections: requests that wait for answers, and answers in order.
//!
//! A request knows how many items are still to be answered. Items are written as they are answered,
//! in any order; when the last one is there and every earlier request is out, the whole answer is
//! assembled behind its head.

use std::collections::VecDeque;
use std::ops::Range;

use crate::clipper::{self, Problem};
use crate::http::{Connection, ContentType, DATE_BYTES, ResponseHead, ResponseWriter, Status};
use crate::limits::{CONNECTIONS_MAX, INPUT_BATCH_MAX, PIPELINED_REQUESTS_MAX, REPLY_BYTES_KEPT};
use crate::scheduler::{Answer, ReplyTo, Sink};

const ITEM_BITS: u32 = 12;
const SEQUENCE_BITS: u32 = 8;
const CONNECTION_BITS: u32 = 12;

const _: () = assert!(INPUT_BATCH_MAX <= 1 << ITEM_BITS);
const _: () = assert!(PIPELINED_REQUESTS_MAX + 2 < 1 << SEQUENCE_BITS);
const _: () = assert!(CONNECTIONS_MAX <= 1 << CONNECTION_BITS);

/// Which item of which request of which connection an answer is for.
///
/// ```text
///   63          32 31        20 19      12 11     0
///   │ generation  │ connection │ sequence │  item │
/// ```
///
/// The generation tells the tenants of a connection's number apart, so that an answer for a client
/// that has gone reaches nobody else. Items follow each other as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Address {
    generation: u32,
    connection: usize,
    sequence: u8,
    item: usize,
}

impl Address {
    fn pack(self) -> ReplyTo {
        let high = (u64::from(self.generation) << CONNECTION_BITS) | self.connection as u64;
        let low = (u64::from(self.sequence) << ITEM_BITS) | self.item as u64;
        (high << (SEQUENCE_BITS + ITEM_BITS)) | low
    }

    #[expect(clippy::cast_possible_truncation, reason = "each part is masked to its bits")]
    fn unpack(packed: ReplyTo) -> Self {
        let part = |shift: u32, bits: u32| (packed >> shift) & ((1 << bits) - 1);
        Self {
            generation: part(ITEM_BITS + SEQUENCE_BITS + CONNECTION_BITS, 32) as u32,
            connection: part(ITEM_BITS + SEQUENCE_BITS, CONNECTION_BITS) as usize,
            sequence: part(ITEM_BITS, SEQUENCE_BITS) as u8,
            item: part(0, ITEM_BITS) as usize,
        }
    }
}

/// A request that is owed an answer.
#[derive(Debug)]
pub struct Request {
    after: Connection,
    remaining: usize,
    is_batch: bool,
    /// The whole response stands in `written`, head included.
    is_raw: bool,
    application: usize,
    arrived_ns: u64,
    answered_ns: u64,
    written: Vec<u8>,
    items: Vec<Range<usize>>,
}

impl Request {
    /// A response that is complete as it is.
    pub fn raw(response: Vec<u8>) -> Self {
        Self {
            after: Connection::Keep,
            remaining: 0,
            is_batch: false,
            is_raw: true,
            application: 0,
            arrived_ns: 0,
            answered_ns: 0,
            written: response,
            items: Vec::new(),
        }
    }
}

/// The requests of one connection, in order.
#[derive(Debug, Default)]
pub struct Outbound {
    generation: u32,
    first_sequence: u8,
    requests: VecDeque<Request>,
    /// Nothing is read any more; the connection ends when everything owed is out.
    closing: bool,
    /// Stands in the list of connections with output.
    listed: bool,
}

/// The answers of one request that were just assembled, for the reply stage.
#[derive(Clone, Copy, Debug)]
pub struct Replied {
    pub application: usize,
    /// How many: one for each of its queries.
    pub answers: usize,
    pub arrived_ns: u64,
    pub answered_ns: u64,
}

/// What a connection has to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Nothing now.
    Nothing,
    /// The bytes that were written to the buffer given.
    Bytes,
    /// Everything owed is out, and the connection is to end.
    End,
}

/// The answers of all connections.
#[derive(Debug)]
pub struct Replies {
    pub applications: Box<[clipper::Application]>,
    /// For the `Date` field; renewed from outside.
    pub date: [u8; DATE_BYTES],
    pub draining: bool,
    connections: Box<[Outbound]>,
    /// Connections that may have output.
    listed: Vec<usize>,
    replied: Vec<Replied>,
    /// Requests whose buffers wait for their next use.
    spare: Vec<Request>,
}

impl Replies {
    pub fn new(applications: Vec<clipper::Application>) -> Self {
        Self {
            applications: applications.into(),
            date: crate::http::http_date(0),
            draining: false,
            connections: (0..CONNECTIONS_MAX).map(|_| Outbound::default()).collect(),
            listed: Vec::with_capacity(CONNECTIONS_MAX),
            replied: Vec::new(),
            spare: Vec::new(),
        }
    }

    pub fn open(&mut self, connection: usize) {
        let state = &mut self.connections[connection];
        assert!(state.requests.is_empty());
        state.closing = false;
    }

    pub fn close(&mut self, connection: usize) {
        let state = &mut self.connections[connection];
        state.generation = state.generation.wrapping_add(1);
        state.requests.clear();
    }

    /// Requests that are owed an answer.
    pub fn owed(&self, connection: usize) -> usize {
        self.connections[connection].requests.len()
    }

    pub fn is_empty(&self, connection: usize) -> bool {
        self.connections[connection].requests.is_empty()
    }

    pub fn is_closing(&self, connection: usize) -> bool {
        self.connections[connection].closing
    }

    /// The connection ends when everything owed is out.
    pub fn close_after(&mut self, connection: usize) {
        self.connections[connection].closing = true;
        self.list(connection);
    }

    /// A prediction request of `count` items.
    pub fn request(&mut self, after: Connection, count: usize, is_batch: bool) -> Request {
        let mut request = self.spare.pop().unwrap_or_else(|| Request::raw(Vec::new()));
        request.after = after;
        request.remaining = count;
        request.is_batch = is_batch;
        request.is_raw = false;
        request.written.clear();
        request.items.clear();
        request.items.resize(count, 0..0);
        request
    }

    /// A request that is answered with an error.
    pub fn problem(&self, after: Connection, omit_body: bool, problem: &Problem) -> Request {
        let after = self.connection_after(after);
        let mut raw = Vec::new();
        let head = ResponseHead {
            status: problem.status(),
            content_type: ContentType::Json,
            date: &self.date,
            connection: if problem.status() == Status::BadRequest {
                Connection::Close
            } else {
                after
            },
            allow: problem.allow(),
            omit_body,
        };
        let mut writer = ResponseWriter::begin(&mut raw, &head);
        clipper::write_problem(writer.body(), problem);
        writer.finish();
        Request { after: head.connection, ..Request::raw(raw) }
    }

    /// Adds a request behind the others of its connection, and says where its first item's answer
    /// goes; the others follow by number.
    pub fn push(&mut self, connection: usize, request: Request) -> ReplyTo {
        let state = &mut self.connections[connection];
        let place = u8::try_from(state.requests.len()).expect("bounded by the pipeline limit");
        let sequence = state.first_sequence.wrapping_add(place);
        let generation = state.generation;
        if request.after == Connection::Close {
            state.closing = true;
        }
        if request.remaining == 0 {
            self.connections[connection].requests.push_back(request);
            self.list(connection);
        } else {
            self.connections[connection].requests.push_back(request);
        }
        Address { generation, connection, sequence, item: 0 }.pack()
    }

    /// A connection that may have output, each once until it is listed again.
    pub fn next_listed(&mut self) -> Option<usize> {
        let connection = self.listed.pop()?;
        self.connections[connection].listed = false;
        Some(connection)
    }

    /// Assembles every answer whose turn it is.
    pub fn output(&mut self, connection: usize, out: &mut Vec<u8>) -> Output {
        let state = &mut self.connections[connection];
        let before = out.len();
        while let Some(request) = state.requests.pop_front_if(|request| request.remaining == 0) {
            state.first_sequence = state.first_sequence.wrapping_add(1);
            if request.is_raw {
                out.extend_from_slice(&request.written);
                continue;
            }
            let closes = self.draining && state.requests.is_empty();
            let connection = if closes { Connection::Close } else { request.after };
            state.closing |= closes;
            let head = ResponseHead {
                status: Status::Ok,
                content_type: ContentType::Json,
                date: &self.date,
                connection,
                allow: None,
                omit_body: false,
            };
            let mut writer = ResponseWriter::begin(out, &head);
            clipper::write_predictions(
                writer.body(),
                &request.written,
                &request.items,
                request.is_batch,
            );
            writer.finish();
            let Request { application, arrived_ns, answered_ns, .. } = request;
            let answers = request.items.len();
            self.replied.push(Replied { application, answers, arrived_ns, answered_ns });
            if self.spare.len() < CONNECTIONS_MAX && request.written.capacity() <= REPLY_BYTES_KEPT
            {
                self.spare.push(request);
            }
        }
        match (out.len() > before, state.closing && state.requests.is_empty()) {
            (true, _) => Output::Bytes,
            (false, true) => Output::End,
            (false, false) => Output::Nothing,
        }
    }

    /// The answers assembled since the last call.
    pub fn take_replied(&mut self) -> impl Iterator<Item = Replied> + '_ {
        self.replied.drain(..)
    }

    /// Bytes taken by answers that are not handed out.
    #[cfg(test)]
    pub(super) fn walk_owed(&self, places: usize) -> usize {
        let requests = self.connections[..places].iter().flat_map(|state| &state.requests);
        requests.map(|request| request.written.capacity()).sum()
    }

    fn connection_after(&self, after: Connection) -> Connection {
        if self.draining { Connection::Close } else { after }
    }

    fn list(&mut self, connection: usize) {
        let state = &mut self.connections[connection];
        if !state.listed {
            state.listed = true;
            self.listed.push(connection);
        }
    }
}

impl Sink for Replies {
    fn answer(&mut self, answer: &Answer<'_>) {
        let address = Address::unpack(answer.reply_to);
        let state = &mut self.connections[address.connection];
        if state.generation != address.generation {
            return;
        }
        let place = address.sequence.wrapping_sub(state.first_sequence);
        let request = state.requests.get_mut(usize::from(place));
        let request = request.expect("a request stays until its items are answered");
        let start = request.written.len();
        clipper::write_item(&mut request.written, answer, &self.applications[answer.application]);
        request.items[address.item] = start..request.written.len();
        request.remaining -= 1;
        if request.remaining == 0 {
            request.application = answer.application;
            request.arrived_ns = answer.arrived_ns;
            request.answered_ns = answer.answered_ns;
            self.list(address.connection);
        }
    }
}
