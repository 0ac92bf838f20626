//! Requests out of a connection's bytes, and what is asked of the core for them.
//!
//! Whole requests are read where they lie, one after another, until too much is owed. A request
//! with a large body is taken aside with its bytes: in each turn a piece of one such body is read,
//! the first one first, and what lies behind it on its connection waits.

use std::ops::Range;

use cutter_core::selection::Asking;
use cutter_core::{Admission, Core};
use cutter_machine::clock::Clock;
use cutter_wire::clipper::Problem;
use cutter_wire::http::{CONTINUE_100, Connection, Method, Step};

use super::Frontend;
use super::inbound::Incoming;
use super::question::{self, Asked, Question, Reading, Resources, Slot, Wanted};
use crate::limits::{AT_ONCE_BYTES_MAX, PIECE_BYTES};

/// How far a read came.
pub enum Used {
    /// So many bytes are used up.
    Whole(usize),
    /// There is a request with a large body.
    UpTo(Box<Large>),
}

/// A request with a large body.
pub struct Large {
    reading: Box<Reading>,
    place: BodyPlace,
    /// Bytes up to the end of the request.
    consumed: usize,
    after: Connection,
    omit_body: bool,
    arrived_ns: u64,
}

enum BodyPlace {
    /// In the bytes that were read.
    At(Range<usize>),
    /// It came in chunks and was put together.
    Decoded(Vec<u8>),
}

impl Frontend {
    /// Reads all requests that are whole in what is held, and gives back what is left.
    pub(super) fn read_held(
        &mut self,
        connection: usize,
        mut held: Vec<u8>,
        arrived_ns: u64,
        clock: &impl Clock,
        core: &mut Core,
    ) -> Vec<u8> {
        match self.read(connection, &held, arrived_ns, clock, core) {
            Used::Whole(used) => {
                held.drain(..used);
                held
            }
            Used::UpTo(large) => self.begin_large(connection, held, *large),
        }
    }

    /// Reads on in what a connection holds.
    pub(super) fn read_on(
        &mut self,
        connection: usize,
        now_ns: u64,
        clock: &impl Clock,
        core: &mut Core,
    ) {
        let held = self.inbound[connection].take_held();
        let held = self.read_held(connection, held, now_ns, clock, core);
        self.inbound[connection].put_held(held, &mut self.replies.buffers);
    }

    /// Reads all requests that are whole, until one has a large body.
    pub(super) fn read(
        &mut self,
        connection: usize,
        bytes: &[u8],
        arrived_ns: u64,
        clock: &impl Clock,
        core: &mut Core,
    ) -> Used {
        let mut used = 0;
        self.inbound[connection].need(0);
        loop {
            if self.replies.is_closing(connection) {
                return Used::Whole(bytes.len());
            }
            if self.replies.is_full(connection) {
                self.inbound[connection].stalled = true;
                return Used::Whole(used);
            }
            let endpoints = &mut self.replies.endpoints;
            let inbound = &mut self.inbound[connection];
            let (head, route, body) = match inbound.reader.read(&bytes[used..], endpoints) {
                Step::Request { head, route, body, consumed } => {
                    used += consumed;
                    (head, route, body)
                }
                Step::NeedMore { consumed, wanted } => {
                    inbound.need(wanted);
                    return Used::Whole(used + consumed);
                }
                Step::Continue100 { consumed } => {
                    used += consumed;
                    let write = |out: &mut Vec<u8>| out.extend_from_slice(CONTINUE_100);
                    if self.replies.owe_raw(connection, Connection::Keep, write).is_err() {
                        self.refuse_overload(connection);
                    }
                    continue;
                }
                Step::Bad(error) => {
                    self.refuse_error(connection, &error);
                    return Used::Whole(bytes.len());
                }
            };
            if body.len() <= AT_ONCE_BYTES_MAX {
                self.stats.input_bytes_copied.add(body.len() as u64);
            }
            let (after, omit_body) = (Connection::after(&head), head.method == Method::Head);
            let spare = &mut self.spare;
            let mut resources = Resources { endpoints, core, spare, arrived_ns };
            let asked = question::ask((&head, route), body, &mut resources, &mut self.lists);
            let at = place_in(bytes, body);
            inbound.pace.on_request(arrived_ns);
            match asked {
                Ok(Asked::Large(reading)) => {
                    let decoded = |()| BodyPlace::Decoded(inbound.reader.take_decoded());
                    let place = at.map(BodyPlace::At).ok_or(()).unwrap_or_else(decoded);
                    let consumed = used;
                    let large = Large { reading, place, consumed, after, omit_body, arrived_ns };
                    return Used::UpTo(Box::new(large));
                }
                Ok(Asked::Whole(wanted)) => {
                    inbound.reader.finish_request();
                    self.serve(connection, (after, omit_body), wanted, arrived_ns, clock, core);
                }
                Err(problem) => {
                    inbound.reader.finish_request();
                    self.answer_problem(connection, (after, omit_body), &problem);
                }
            }
        }
    }

    /// Takes a large request aside with its bytes, and gives back those behind it.
    pub(super) fn begin_large(
        &mut self,
        connection: usize,
        mut bytes: Vec<u8>,
        large: Large,
    ) -> Vec<u8> {
        let Large { reading, place, consumed, after, omit_body, arrived_ns } = large;
        let rest = bytes.split_off(consumed);
        let body = match place {
            BodyPlace::At(range) => (bytes, range),
            BodyPlace::Decoded(body) => {
                self.replies.buffers.give(bytes);
                let whole = 0..body.len();
                (body, whole)
            }
        };
        let incoming = Incoming::new(reading, body, (after, omit_body), arrived_ns);
        self.inbound[connection].incoming = Some(incoming);
        self.large.push_back(connection);
        rest
    }

    /// Reads a piece of the large body that has waited longest.
    pub(super) fn read_piece(&mut self, clock: &impl Clock, core: &mut Core) {
        let Some(connection) = self.large.front().copied() else { return };
        let Some(incoming) = &mut self.inbound[connection].incoming else {
            self.large.pop_front();
            return;
        };
        let endpoints = &mut self.replies.endpoints;
        let spare = &mut self.spare;
        let arrived_ns = incoming.arrived_ns;
        let mut resources = Resources { endpoints, core, spare, arrived_ns };
        let piece = incoming.next_piece();
        self.stats.input_bytes_copied.add(piece as u64);
        let (body, reading) = incoming.parts();
        let asked = match reading.read_on(body, PIECE_BYTES, &mut resources, &mut self.lists) {
            Ok(None) => return,
            Ok(Some(wanted)) => Ok(wanted),
            Err(problem) => Err(problem),
        };
        self.large.pop_front();
        let Some(incoming) = self.inbound[connection].incoming.take() else { return };
        let (after, omit_body) = (incoming.after, incoming.omit_body);
        match asked {
            Ok(wanted) => {
                self.serve(connection, (after, omit_body), wanted, arrived_ns, clock, core);
            }
            Err(problem) => self.answer_problem(connection, (after, omit_body), &problem),
        }
        self.replies.buffers.give(incoming.into_bytes());
        let now_ns = clock.now_ns();
        self.read_on(connection, now_ns, clock, core);
        self.settle(connection, now_ns, core);
    }

    /// Does what a request asks for that was read whole.
    #[inline]
    fn serve(
        &mut self,
        connection: usize,
        after: (Connection, bool),
        wanted: Wanted,
        arrived_ns: u64,
        clock: &impl Clock,
        core: &mut Core,
    ) {
        match wanted {
            Wanted::Predictions(question) => {
                self.admit(connection, after.0, question, arrived_ns, clock, core);
            }
            Wanted::Updates(updates) => self.learn(connection, after, updates, clock, core),
        }
    }

    /// Owes the answer to a question whose inputs are in the slots, and asks the core.
    fn admit(
        &mut self,
        connection: usize,
        after: Connection,
        question: Question,
        arrived_ns: u64,
        clock: &impl Clock,
        core: &mut Core,
    ) {
        let rows = self.lists.slots.iter().map(|slot| match slot {
            Slot::Row { row, .. } => Some(*row),
            Slot::Known(_) | Slot::Overloaded => None,
        });
        let Question { application, timeout_ns, has_policy, .. } = question;
        let owed = self.replies.owe_predictions(connection, after, question, arrived_ns, rows);
        let Ok(reply_to) = owed else {
            question::cancel(application, &mut self.lists.slots, core);
            return self.refuse_overload(connection);
        };
        let asking = if has_policy { self.lists.brought.asking() } else { Asking::default() };
        let now_ns = clock.now_ns();
        for (item, slot) in self.lists.slots.iter().enumerate() {
            let reply_to = reply_to + item as u64;
            let input = |row, bytes| Admission {
                application,
                row,
                bytes,
                arrived_ns,
                timeout_ns,
                reply_to,
            };
            let replies = &mut self.replies;
            match *slot {
                Slot::Row { row, bytes } => {
                    core.admit_with(now_ns, &input(row, bytes), &asking, replies);
                }
                Slot::Known(known) => core.admit_known(now_ns, &input(0, 0), known, replies),
                Slot::Overloaded => core.refuse(now_ns, &input(0, 0), replies),
            }
        }
    }

    /// Answers a request that is well framed and asks for something that is not to be had.
    fn answer_problem(
        &mut self,
        connection: usize,
        (after, omit_body): (Connection, bool),
        problem: &Problem,
    ) {
        if problem.status().is_error() {
            self.stats.http_errors(problem.status().code()).increment();
        }
        let date = self.replies.date;
        let write = |out: &mut Vec<u8>| {
            super::refusal::write_problem(out, problem, &date, (after, omit_body));
        };
        if self.replies.owe_raw(connection, after, write).is_err() {
            self.refuse_overload(connection);
        }
    }
}

/// Where a part lies in the whole, if it does.
fn place_in(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    (start + part.len() <= whole.len()).then_some(start..start + part.len())
}
