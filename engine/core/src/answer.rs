//! Answers: what a query's calls come to, and what is told of it.

use cutter_tensor::{OutputBytes, TensorSpec};

use crate::Core;
use crate::application::Application;
use crate::call::{CallRef, Place};
use crate::ids::ApplicationId;
use crate::limits::KEPT_OUTPUT_BYTES_MAX;
use crate::query::{Kept, Query, ReplyTo};
use crate::stats::Reason;

/// Takes the answers.
pub trait Sink {
    fn answer(&mut self, answer: &Answer<'_>);
}

/// The answer to one query.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    pub application: ApplicationId,
    pub query_id: u64,
    pub reply_to: ReplyTo,
    /// When the query came, by when it was due, and when this was decided. The caller gives them
    /// back with [`Core::handed_over`].
    pub arrived_ns: u64,
    pub deadline_ns: u64,
    pub answered_ns: u64,
    pub outcome: Outcome<'a>,
}

/// What a query is answered with.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// The model's output, in bytes of the given type.
    Prediction { output: OutputBytes<'a>, spec: &'a TensorSpec },
    /// The application's default output, and why. `detail` may be empty.
    Default { reason: Reason, detail: &'a [u8] },
}

impl Core {
    /// A call has brought an output.
    pub(crate) fn give_output(
        &mut self,
        now_ns: u64,
        call: CallRef,
        output: OutputBytes<'_>,
        spec: &TensorSpec,
        sink: &mut impl Sink,
    ) {
        let queries = &mut self.applications[call.application].queries;
        let calls = queries.calls(call.row);
        // Of several, the first in order is told: this one, unless one before may still come.
        let decides = calls[..call.link as usize].iter().all(|before| !before.is_pending);
        if decides {
            let outcome = Outcome::Prediction { output, spec };
            return self.answer(now_ns, call.application, call.row, outcome, sink);
        }
        let output = output.keep();
        let bytes = output.held_bytes();
        if self.kept_bytes + bytes > KEPT_OUTPUT_BYTES_MAX {
            return self.fail_call(now_ns, call, Reason::Overloaded, &[], sink);
        }
        self.kept_bytes += bytes;
        queries.finish(call.row, call.link, Some(Kept { output, spec: *spec }));
    }

    /// A call will bring nothing. The query is answered when that decides it.
    pub(crate) fn fail_call(
        &mut self,
        now_ns: u64,
        call: CallRef,
        reason: Reason,
        detail: &[u8],
        sink: &mut impl Sink,
    ) {
        let CallRef { application, row, link } = call;
        let queries = &mut self.applications[application].queries;
        if queries.get(row).asked == 1 {
            return self.answer_default(now_ns, application, row, reason, detail, sink);
        }
        let model = queries.call(row, link).model;
        let left = queries.put(row, link, Place::Nowhere);
        self.models[model].moved(left, Place::Nowhere);
        let queries = &mut self.applications[application].queries;
        let pending = queries.finish(row, link, None);
        let calls = queries.calls(row);
        let first_pending = calls.iter().position(|call| call.is_pending).unwrap_or(calls.len());
        let is_decided = queries.first_kept(row).is_some_and(|first| first < first_pending);
        if is_decided || pending == 0 {
            self.answer_with_what_is_there(now_ns, application, row, (reason, detail), sink);
        }
    }

    /// Answers with the output of the first call that has brought one; if none has, with the
    /// default output, for this reason.
    pub(crate) fn answer_with_what_is_there(
        &mut self,
        now_ns: u64,
        application: ApplicationId,
        row: u32,
        (reason, detail): (Reason, &[u8]),
        sink: &mut impl Sink,
    ) {
        let queries = &mut self.applications[application].queries;
        let first = queries.first_kept(row);
        let taken = first.and_then(|link| queries.take_kept(row, link));
        let Some(Kept { output, spec }) = taken else {
            return self.answer_default(now_ns, application, row, reason, detail, sink);
        };
        self.kept_bytes -= output.held_bytes();
        let outcome = Outcome::Prediction { output: output.output(), spec: &spec };
        self.answer(now_ns, application, row, outcome, sink);
    }

    /// Closes a query and answers it with the default output.
    pub(crate) fn answer_default(
        &mut self,
        now_ns: u64,
        application: ApplicationId,
        row: u32,
        reason: Reason,
        detail: &[u8],
        sink: &mut impl Sink,
    ) {
        self.answer(now_ns, application, row, Outcome::Default { reason, detail }, sink);
    }

    /// Closes an open query. The entries of its calls that wait are dead from now on.
    pub(crate) fn close(&mut self, application: ApplicationId, row: u32) -> Query {
        let Application { queries, pool, .. } = &mut *self.applications[application];
        let closed = queries.close(row, pool);
        for link in 0..u32::from(closed.asked) {
            let call = queries.call_mut(row, link);
            let (model, place, was_pending) = (call.model, call.place, call.is_pending);
            call.is_pending = false;
            if place != Place::Batch && was_pending {
                call.place = Place::Nowhere;
                self.models[model].moved(place, Place::Nowhere);
            }
            if let Some(Kept { output, .. }) = queries.take_kept(row, link as usize) {
                self.kept_bytes -= output.held_bytes();
            }
        }
        closed
    }

    fn answer(
        &mut self,
        now_ns: u64,
        application: ApplicationId,
        row: u32,
        outcome: Outcome<'_>,
        sink: &mut impl Sink,
    ) {
        let stats = &self.applications[application].stats;
        match outcome {
            Outcome::Prediction { .. } => stats.predictions.increment(),
            Outcome::Default { reason, .. } => stats.defaults(reason).increment(),
        }
        let closed = self.close(application, row);
        sink.answer(&Answer {
            application,
            query_id: closed.id,
            reply_to: closed.reply_to,
            arrived_ns: closed.arrived_ns,
            deadline_ns: closed.deadline_ns,
            answered_ns: now_ns,
            outcome,
        });
    }
}
