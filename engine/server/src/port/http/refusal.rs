//! Refusals, and whose turn it is: what ends a connection, or keeps it.
//!
//! A refusal is the last response of its connection. It is owed behind the answers that are owed
//! already, and from then on nothing is read, so there is never a second one.

use cutter_core::Core;
use cutter_wire::clipper::{self, Problem};
use cutter_wire::http::{
    Connection, DATE_BYTES, HttpError, Phase, ResponseHead, ResponseWriter, Status,
    write_http_error,
};

use super::Frontend;
use super::waiting::Turn;

const OVERLOADED: &[u8] =
    b"{\"error\":\"Overloaded\",\"cause\":\"this connection holds more bytes \
    of requests and answers than its share, and what all connections have in common is used up; \
    send less at once, read the answers, or come later\"}";

const ENDING: &[u8] =
    b"{\"error\":\"Shutting down\",\"cause\":\"the server is ending and the request \
    was not whole; send it to another, or later\"}";

impl Frontend {
    /// Refuses bytes that are no request, or one that comes too slowly.
    pub(super) fn refuse_error(&mut self, connection: usize, error: &HttpError) {
        let date = self.replies.date;
        let status = error.status();
        self.refuse(connection, status, |out| write_http_error(out, error, &date));
    }

    /// Refuses a connection that takes more than its share when there is no more to take.
    pub(super) fn refuse_overload(&mut self, connection: usize) {
        self.refuse_with(connection, OVERLOADED);
    }

    /// After anything that happened on a connection: its bytes are counted, and it is found out
    /// whose turn it is.
    pub(super) fn settle(&mut self, connection: usize, now_ns: u64, core: &mut Core) {
        let memory_bytes = self.inbound[connection].memory_bytes();
        if self.ledger.set(connection, memory_bytes).is_err() {
            self.refuse_overload(connection);
        }
        if self.replies.is_closing(connection) {
            self.clear_input(connection, core);
        }
        let inbound = &mut self.inbound[connection];
        self.replies.set_unread(connection, inbound.is_blocked());
        if !self.replies.is_empty(connection) || inbound.is_blocked() {
            if inbound.ended && !inbound.is_blocked() && !self.replies.is_closing(connection) {
                self.replies.close_after(connection);
            }
            self.inbound[connection].pace.pause();
            return self.waiting.set(connection, Turn::Ours);
        }
        let phase = inbound.phase();
        inbound.pace.resume(now_ns, phase);
        if inbound.ended {
            self.replies.close_after(connection);
        }
        let turn = if phase == Phase::Idle { Turn::Idle } else { Turn::Partial };
        self.waiting.set(connection, turn);
        if turn == Turn::Partial && self.refuses_parts {
            self.refuse_with(connection, ENDING);
            self.settle(connection, now_ns, core);
        }
    }

    /// Gives up what a connection holds of requests.
    pub(super) fn clear_input(&mut self, connection: usize, core: &mut Core) {
        let incoming = self.inbound[connection].clear(&mut self.replies.buffers);
        if let Some(mut incoming) = incoming {
            incoming.reading.cancel(core);
            self.replies.buffers.give(incoming.into_bytes());
            self.large.retain(|other| *other != connection);
        }
        let held = self.inbound[connection].memory_bytes();
        self.ledger.release(connection, self.ledger.held(connection) - held);
    }

    fn refuse_with(&mut self, connection: usize, body: &[u8]) {
        let date = self.replies.date;
        let status = Status::ServiceUnavailable;
        self.refuse(connection, status, |out| {
            let head = ResponseHead::json(status, &date, Connection::Close);
            let mut writer = ResponseWriter::begin(out, &head);
            writer.body().extend_from_slice(body);
            writer.finish();
        });
    }

    fn refuse(&mut self, connection: usize, status: Status, write: impl FnOnce(&mut Vec<u8>)) {
        if self.replies.is_closing(connection) {
            return;
        }
        self.stats.http_errors(status.code()).increment();
        self.replies.owe_refusal(connection, write);
    }
}

/// Writes the response to a request that is well framed and asks for what is not to be had.
pub(super) fn write_problem(
    out: &mut Vec<u8>,
    problem: &Problem,
    date: &[u8; DATE_BYTES],
    after: (Connection, bool),
) {
    let (connection, omit_body) = after;
    let head = ResponseHead {
        allow: problem.allow(),
        accept_encoding: problem.accept_encoding(),
        omit_body,
        ..ResponseHead::json(problem.status(), date, connection)
    };
    let mut writer = ResponseWriter::begin(out, &head);
    clipper::write_problem(writer.body(), problem);
    writer.finish();
}
