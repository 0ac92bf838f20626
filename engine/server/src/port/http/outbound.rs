//! The sending half of all connections: answers that are owed, and their bytes in order.
//!
//! An answer knows how many items are still to come. They come in any order; when the last one is
//! there and every earlier answer is out, it is copied into sends, each of at most
//! [`SEND_BYTES_MAX`], one under way at a time.
//!
//! ```text
//!   owe ─▸ [ reply, reply, … ]  ◂─ Sink (small: at once)  ◂─ render (large: piece by piece)
//!                  │
//!                  └─▸ output ─▸ a send ─▸ sent
//! ```
//!
//! Every byte that is owed is in the ledger, and so is what a default output may take for each item
//! that is still to come: an answer can always be given. A prediction for which there is no room is
//! answered with the default output.

use std::collections::VecDeque;

use cutter_core::ids::ApplicationId;
use cutter_core::limits::APPLICATIONS_MAX;
use cutter_core::{HandedOver, ReplyTo};
use cutter_wire::http::{Connection, DATE_BYTES, ResponseHead, Status, write_head};
use cutter_wire::limits::INPUT_BATCH_MAX;

use super::buffers::Buffers;
use super::endpoint::Endpoints;
use super::explanation::default_bytes_max;
use super::ledger::{Bounds, Full, Ledger};
use super::question::Question;
use super::rendering::Renderings;
use super::reply::{Form, Item, Reply};
use crate::decision_log::LogWriter;
use crate::limits::{
    AT_ONCE_BYTES_MAX, CONNECTIONS_MAX, OWED_PAUSE_BYTES, PIPELINED_REQUESTS_MAX,
    REPLY_OVERHEAD_BYTES, SEND_BYTES_MAX, SPARE_REPLIES_MAX,
};

const ITEM_BITS: u32 = 12;
const SEQUENCE_BITS: u32 = 8;
const CONNECTION_BITS: u32 = 12;
const GENERATION_BITS: u32 = 31;

const _: () = assert!(INPUT_BATCH_MAX <= 1 << ITEM_BITS);
const _: () = assert!(PIPELINED_REQUESTS_MAX + 2 < 1 << SEQUENCE_BITS);
const _: () = assert!(CONNECTIONS_MAX <= 1 << CONNECTION_BITS);

/// Which item of which answer of which connection is meant.
///
/// ```text
///   63  62         32 31        20 19      12 11     0
///   │ 0 │ generation │ connection │ sequence │  item │
/// ```
///
/// The generation tells the tenants of a connection's number apart, so that an answer for a client
/// that has gone reaches nobody else. The first bit is set for the queries of another port. Items
/// follow each other as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    generation: u32,
    pub connection: usize,
    sequence: u8,
    pub item: usize,
}

impl Address {
    fn pack(self) -> ReplyTo {
        let high = (u64::from(self.generation) << CONNECTION_BITS) | self.connection as u64;
        let low = (u64::from(self.sequence) << ITEM_BITS) | self.item as u64;
        (high << (SEQUENCE_BITS + ITEM_BITS)) | low
    }

    #[expect(clippy::cast_possible_truncation, reason = "each part is masked to its bits")]
    pub fn unpack(packed: ReplyTo) -> Self {
        let part = |shift: u32, bits: u32| (packed >> shift) & ((1 << bits) - 1);
        Self {
            generation: part(ITEM_BITS + SEQUENCE_BITS + CONNECTION_BITS, GENERATION_BITS) as u32,
            connection: part(ITEM_BITS + SEQUENCE_BITS, CONNECTION_BITS) as usize,
            sequence: part(ITEM_BITS, SEQUENCE_BITS) as u8,
            item: part(0, ITEM_BITS) as usize,
        }
    }
}

/// What one connection is owed, in order.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    generation: u32,
    first_sequence: u8,
    replies: VecDeque<Reply>,
    /// Nothing is read any more; the connection ends when everything owed is out.
    closing: bool,
    /// More of what is here will be read, so that the last answer owed is not the last.
    unread: bool,
    /// Stands in the list of connections with output.
    listed: bool,
    /// Bytes of the send under way.
    sending: usize,
}

/// What a connection has to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Nothing now.
    Nothing,
    /// The bytes that were written to the buffer given. [`Replies::sent`] is to follow.
    Bytes,
    /// Everything owed is out, and the connection is to end.
    End,
}

/// The answers of all connections.
#[derive(Debug)]
pub struct Replies {
    /// The applications that are there.
    pub(super) endpoints: Endpoints,
    /// For the `Date` field; renewed from outside.
    pub date: [u8; DATE_BYTES],
    pub draining: bool,
    pub(super) connections: Box<[Outbound]>,
    pub(super) ledger: Ledger,
    /// Connections that may have output, the one that waits longest first.
    listed: VecDeque<usize>,
    replied: Vec<HandedOver>,
    /// Answers whose buffers wait for their next use.
    spare: Vec<Reply>,
    pub(super) renderings: Renderings,
    /// Bytes that may still be rendered in this turn.
    pub(super) render_budget: usize,
    /// Large buffers, of requests too.
    pub(super) buffers: Buffers,
    /// Who hears what is decided by policies, and what they learn.
    pub log: Option<Box<LogWriter>>,
}

impl Replies {
    pub fn new(places: usize, bounds: Bounds) -> Self {
        Self {
            endpoints: Endpoints::new(APPLICATIONS_MAX),
            date: cutter_wire::http::http_date(0),
            draining: false,
            connections: (0..places).map(|_| Outbound::default()).collect(),
            ledger: Ledger::new(places, bounds),
            listed: VecDeque::with_capacity(places),
            replied: Vec::new(),
            spare: Vec::new(),
            renderings: Renderings::default(),
            render_budget: AT_ONCE_BYTES_MAX,
            buffers: Buffers::default(),
            log: None,
        }
    }

    pub fn open(&mut self, connection: usize) {
        let state = &mut self.connections[connection];
        assert!(state.replies.is_empty() && state.sending == 0);
        (state.closing, state.unread) = (false, false);
    }

    /// Forgets what is owed. `abandon` is told each query that nobody waits for any more, by its
    /// application and row.
    pub fn close(&mut self, connection: usize, mut abandon: impl FnMut(ApplicationId, u32)) {
        let state = &mut self.connections[connection];
        state.generation = (state.generation + 1) % (1 << GENERATION_BITS);
        state.sending = 0;
        let mut replies = std::mem::take(&mut state.replies);
        for mut reply in replies.drain(..) {
            if !reply.is_complete() {
                self.completed(reply.application);
            }
            for item in &reply.items {
                if let (Item::Waiting { row: Some(row) }, Some(application)) =
                    (item, reply.application)
                {
                    abandon(application, *row);
                }
            }
            reply.clear(&mut |buffer| self.buffers.give(buffer));
            keep(&mut self.spare, reply);
        }
        self.connections[connection].replies = replies;
        self.ledger.release(connection, self.ledger.held(connection));
    }

    /// Answers that are owed.
    pub fn owed(&self, connection: usize) -> usize {
        self.connections[connection].replies.len()
    }

    /// Whether nothing is owed and nothing is being sent.
    #[inline]
    pub fn is_empty(&self, connection: usize) -> bool {
        let state = &self.connections[connection];
        state.replies.is_empty() && state.sending == 0
    }

    /// Whether a send is under way.
    #[inline]
    pub fn is_sending(&self, connection: usize) -> bool {
        self.connections[connection].sending > 0
    }

    /// Whether so much is owed that no further request is read.
    #[inline]
    pub fn is_full(&self, connection: usize) -> bool {
        self.connections[connection].replies.len() >= PIPELINED_REQUESTS_MAX
            || self.ledger.held(connection) > OWED_PAUSE_BYTES
    }

    pub fn is_closing(&self, connection: usize) -> bool {
        self.connections[connection].closing
    }

    /// Bytes that are owed to all clients, by capacity, and what is set aside for them.
    pub fn owed_bytes(&self) -> usize {
        self.ledger.total()
    }

    /// The same by walking every answer, as it is and not as it was counted.
    #[cfg(test)]
    pub(super) fn walk_owed(&self) -> usize {
        let owed =
            |state: &Outbound| state.sending + state.replies.iter().map(Reply::cost).sum::<usize>();
        self.connections.iter().map(owed).sum()
    }

    /// Bytes of replicas' outputs that wait to be rendered.
    pub fn unrendered_bytes(&self) -> usize {
        self.renderings.kept_bytes()
    }

    /// The connection ends when everything owed is out.
    pub fn close_after(&mut self, connection: usize) {
        self.connections[connection].closing = true;
        self.list(connection);
    }

    /// Whether more of what is here will be read.
    pub fn set_unread(&mut self, connection: usize, unread: bool) {
        self.connections[connection].unread = unread;
    }

    /// Owes the answer to a prediction request, whose items have these rows, and says where the
    /// answer to its first item goes; the others follow by number. There may be no room for it.
    pub fn owe_predictions(
        &mut self,
        connection: usize,
        after: Connection,
        question: Question,
        arrived_ns: u64,
        rows: impl Iterator<Item = Option<u32>>,
    ) -> Result<ReplyTo, Full> {
        let Question { application, is_batch, timeout_ns, .. } = question;
        let endpoint = &self.endpoints[application];
        let reserve = default_bytes_max(endpoint);
        let deadline_ns = arrived_ns.saturating_add(timeout_ns.unwrap_or(endpoint.slo_ns));
        let mut reply = self.spare.pop().unwrap_or_else(Reply::vacant);
        reply.begin(if is_batch { Form::Batch } else { Form::Single }, rows, reserve);
        (reply.after, reply.application) = (after, Some(application));
        (reply.arrived_ns, reply.deadline_ns) = (arrived_ns, deadline_ns);
        let cost = reply.cost();
        if let Err(full) = self.ledger.charge(connection, cost) {
            reply.clear(&mut |buffer| self.buffers.give(buffer));
            keep(&mut self.spare, reply);
            return Err(full);
        }
        reply.charged = cost;
        self.endpoints.owe(application);
        Ok(self.push(connection, reply))
    }

    /// Owes a response that `write` writes whole, head included. There may be no room for it.
    pub fn owe_raw(
        &mut self,
        connection: usize,
        after: Connection,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Full> {
        let mut reply = self.spare.pop().unwrap_or_else(Reply::vacant);
        write(reply.begin_raw(after));
        let cost = reply.cost();
        self.ledger.charge(connection, cost)?;
        reply.charged = cost;
        self.push(connection, reply);
        Ok(())
    }

    /// Owes the response that ends a connection. There is always room for it, since it is small
    /// and the last.
    pub fn owe_refusal(&mut self, connection: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let mut reply = self.spare.pop().unwrap_or_else(Reply::vacant);
        write(reply.begin_raw(Connection::Close));
        reply.charged = reply.cost();
        self.ledger.force(connection, reply.charged);
        self.push(connection, reply);
    }

    /// A connection that may have output, each once until it is listed again.
    pub fn next_listed(&mut self) -> Option<usize> {
        let connection = self.listed.pop_front()?;
        self.connections[connection].listed = false;
        Some(connection)
    }

    /// How many connections are listed.
    pub fn listed(&self) -> usize {
        self.listed.len()
    }

    /// Puts the bytes of the next send into `out`, which is empty, unless a send is under way.
    pub fn output(&mut self, connection: usize, out: &mut Vec<u8>) -> Output {
        let state = &mut self.connections[connection];
        if state.sending > 0 {
            return Output::Nothing;
        }
        // The next answer's head is not cut, so it must have room.
        while out.len() + REPLY_OVERHEAD_BYTES <= SEND_BYTES_MAX {
            let is_last = state.replies.len() == 1 && !state.unread;
            let Some(reply) = state.replies.front_mut().filter(|reply| reply.is_complete()) else {
                break;
            };
            if self.draining && is_last && !reply.is_raw() && !reply.is_begun() {
                reply.after = Connection::Close;
                state.closing = true;
            }
            let (date, after) = (&self.date, reply.after);
            let head = |out: &mut Vec<u8>, bytes| write_head(out, &success(date, after), bytes);
            if !reply.assemble(out, SEND_BYTES_MAX, head) {
                break;
            }
            let Some(mut reply) = state.replies.pop_front() else { break };
            state.first_sequence = state.first_sequence.wrapping_add(1);
            if let Some(application) = reply.application {
                self.replied.push(HandedOver {
                    application,
                    queries: u32::try_from(reply.items.len()).expect("bounded by INPUT_BATCH_MAX"),
                    arrived_ns: reply.arrived_ns,
                    deadline_ns: reply.deadline_ns,
                    due_ns: reply.due_ns,
                    answered_ns: reply.answered_ns,
                });
            }
            self.ledger.release(connection, reply.charged);
            reply.clear(&mut |buffer| self.buffers.give(buffer));
            keep(&mut self.spare, reply);
        }
        if !out.is_empty() {
            state.sending = out.len();
            self.ledger.force(connection, out.len());
            return Output::Bytes;
        }
        if state.closing && state.replies.is_empty() { Output::End } else { Output::Nothing }
    }

    /// The send under way has ended. What comes next is to be sent.
    pub fn sent(&mut self, connection: usize) {
        let state = &mut self.connections[connection];
        let bytes = std::mem::take(&mut state.sending);
        self.ledger.release(connection, bytes);
        let state = &self.connections[connection];
        if state.closing || state.replies.front().is_some_and(Reply::is_complete) {
            self.list(connection);
        }
    }

    /// The answers that went into sends since the last call.
    pub fn take_replied(&mut self) -> impl Iterator<Item = HandedOver> + '_ {
        self.replied.drain(..)
    }

    /// No item of an answer is to come any more.
    pub(super) fn completed(&mut self, application: Option<ApplicationId>) {
        if let Some(application) = application {
            self.endpoints.complete(application);
        }
    }

    fn push(&mut self, connection: usize, reply: Reply) -> ReplyTo {
        let state = &mut self.connections[connection];
        assert!(state.replies.len() <= PIPELINED_REQUESTS_MAX, "no more is read when it is full");
        let place = u8::try_from(state.replies.len()).expect("bounded by the pipeline limit");
        let sequence = state.first_sequence.wrapping_add(place);
        let generation = state.generation;
        state.closing |= reply.after == Connection::Close;
        let complete = reply.is_complete();
        state.replies.push_back(reply);
        if complete {
            self.list(connection);
        }
        Address { generation, connection, sequence, item: 0 }.pack()
    }

    pub(super) fn list(&mut self, connection: usize) {
        let state = &mut self.connections[connection];
        if !state.listed {
            state.listed = true;
            self.listed.push_back(connection);
        }
    }
}

/// The answer that an address means, unless its client has gone.
pub(super) fn reply_at(connections: &mut [Outbound], address: Address) -> Option<&mut Reply> {
    let state = &mut connections[address.connection];
    if state.generation != address.generation {
        return None;
    }
    let place = address.sequence.wrapping_sub(state.first_sequence);
    let reply = state.replies.get_mut(usize::from(place));
    Some(reply.expect("an answer stays until its items are there"))
}

/// Keeps an answer's buffers for their next use.
fn keep(spare: &mut Vec<Reply>, reply: Reply) {
    if spare.len() < SPARE_REPLIES_MAX {
        spare.push(reply);
    }
}

fn success(date: &[u8; DATE_BYTES], connection: Connection) -> ResponseHead<'_> {
    ResponseHead::json(Status::Ok, date, connection)
}
