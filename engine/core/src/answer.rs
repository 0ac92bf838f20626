//! Answers: what a query's calls come to, and what is told of it.

use cutter_tensor::{OutputBytes, TensorSpec};

use crate::Core;
use crate::application::Application;
use crate::call::{Call, CallRef, LeftOver, Place};
use crate::feedback::{Decided, Learned, Said};
use crate::ids::ApplicationId;
use crate::limits::KEPT_OUTPUT_BYTES_MAX;
use crate::query::{Kept, Query, ReplyTo};
use crate::selection::Ensemble;
use crate::stats::{ApplicationStats, Reason};

/// Takes the answers.
pub trait Sink {
    fn answer(&mut self, answer: &Answer<'_>);

    /// An answer was decided by a policy. It was told just before.
    fn decided(&mut self, _: &Decided<'_>) {}

    /// Something was learned of a decision.
    fn learned(&mut self, _: &Learned<'_>) {}
}

/// The answer to one query.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    pub application: ApplicationId,
    pub query_id: u64,
    pub reply_to: ReplyTo,
    /// When the query came, by when its answer was promised and when it was to be decided for that,
    /// and when this was decided. The caller gives them back with [`Core::handed_over`].
    pub arrived_ns: u64,
    pub deadline_ns: u64,
    pub due_ns: u64,
    pub answered_ns: u64,
    pub outcome: Outcome<'a>,
    /// What is told beside the answer of several models.
    pub ensemble: Option<&'a Ensemble<'a>>,
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
        let Application { queries, selector, .. } = &*self.applications[call.application];
        if selector.is_some() {
            return self.hear(now_ns, call, output, spec, sink);
        }
        let calls = queries.calls(call.row);
        // Of several, the first in order is told: this one, unless one before may still come.
        let decides = calls[..call.link as usize].iter().all(|before| !before.is_pending);
        if decides {
            let outcome = Outcome::Prediction { output, spec };
            return self.answer(now_ns, call.application, call.row, outcome, sink);
        }
        if self.keep_output(now_ns, call, output, spec).is_none() {
            self.fail_call(now_ns, call, Reason::Overloaded, &[], sink);
        }
    }

    /// An output waits for others of its query. Says how many are to come; `None` if there is no
    /// room for it.
    pub(crate) fn keep_output(
        &mut self,
        now_ns: u64,
        call: CallRef,
        output: OutputBytes<'_>,
        spec: &TensorSpec,
    ) -> Option<u8> {
        let output = output.keep();
        let bytes = output.held_bytes();
        if self.kept_bytes + bytes > KEPT_OUTPUT_BYTES_MAX {
            return None;
        }
        self.kept_bytes += bytes;
        let queries = &mut self.applications[call.application].queries;
        let kept = Kept { output, spec: *spec, at_ns: now_ns };
        Some(queries.finish(call.row, call.link, Some(kept)))
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
        let CallRef { application, row, .. } = call;
        if let Some(entry) = self.take_entry(call) {
            self.share_failure(now_ns, entry, reason, detail, sink);
        }
        let queries = &mut self.applications[application].queries;
        if queries.get(row).asked == 1 {
            return self.answer_default(now_ns, application, row, reason, detail, sink);
        }
        self.finish_call(now_ns, call, (reason, detail), sink);
    }

    /// A call is over and its output, if it had any, is not needed any more. The query is answered
    /// when that decides it.
    pub(crate) fn finish_call(
        &mut self,
        now_ns: u64,
        CallRef { application, row, link }: CallRef,
        why: (Reason, &[u8]),
        sink: &mut impl Sink,
    ) {
        let queries = &mut self.applications[application].queries;
        let Call { model, arm, .. } = *queries.call(row, link);
        let bytes = queries.get(row).bytes;
        let left = queries.put(row, link, Place::Nowhere);
        self.models[model].moved(left, Place::Nowhere, bytes);
        let queries = &mut self.applications[application].queries;
        let pending = queries.finish(row, link, None);
        let Application { queries, selector, .. } = &*self.applications[application];
        let is_decided = if let Some(selector) = selector {
            selector.open(row).baseline == Some(arm.into())
        } else {
            let mut calls = queries.calls(row).iter();
            let first_pending = calls.position(|call| call.is_pending);
            let first_kept = queries.first_kept(row);
            first_kept.is_some_and(|kept| first_pending.is_none_or(|pending| kept < pending))
        };
        if is_decided || pending == 0 {
            self.answer_with_what_is_there(now_ns, application, row, why, sink);
        }
    }

    /// Answers of what has come; if that is nothing, with the default output, for this reason.
    pub(crate) fn answer_with_what_is_there(
        &mut self,
        now_ns: u64,
        application: ApplicationId,
        row: u32,
        why: (Reason, &[u8]),
        sink: &mut impl Sink,
    ) {
        if self.applications[application].selector.is_some() {
            self.conclude(now_ns, application, row, why, sink);
        } else {
            self.answer_with_first(now_ns, application, row, why, sink);
        }
    }

    /// The same with the output of the first call that has brought one.
    pub(crate) fn answer_with_first(
        &mut self,
        now_ns: u64,
        application: ApplicationId,
        row: u32,
        (reason, detail): (Reason, &[u8]),
        sink: &mut impl Sink,
    ) {
        let Application { queries, stats, .. } = &*self.applications[application];
        let first = queries.first_kept(row).and_then(|link| queries.kept(row, link));
        let Some(Kept { output, spec, .. }) = first else {
            return self.answer_default(now_ns, application, row, reason, detail, sink);
        };
        let outcome = Outcome::Prediction { output: output.output(), spec };
        let query = queries.get(row);
        tell(stats, &query.answer(application, now_ns, outcome, None), sink);
        self.close(application, row);
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
        let outcome = Outcome::Default { reason, detail };
        if let Some(selector) = &self.applications[application].selector {
            if selector.open(row).lesson.is_some() {
                return self.end_evaluation(now_ns, application, row, sink);
            }
            self.note_decision(now_ns, (application, row), Said::Nothing, None, sink);
        }
        self.answer(now_ns, application, row, outcome, sink);
    }

    /// Closes an open query. The entries of its calls that wait are dead from now on.
    pub(crate) fn close(&mut self, application: ApplicationId, row: u32) {
        let Application { queries, pool, .. } = &mut *self.applications[application];
        let Query { asked, bytes, .. } = queries.close(row, pool);
        for link in 0..u32::from(asked) {
            let call = queries.call_mut(row, link);
            let (model, place, was_pending) = (call.model, call.place, call.is_pending);
            call.is_pending = false;
            if place != Place::Batch && was_pending {
                call.place = Place::Nowhere;
                self.models[model].moved(place, Place::Nowhere, bytes);
                if let Some(entry) = call.entry.take() {
                    self.left_over.push(LeftOver { model, entry });
                }
            }
            if let Some(Kept { output, .. }) = queries.take_kept(row, link as usize) {
                self.kept_bytes -= output.held_bytes();
            }
        }
    }

    /// Answers an open query, and closes it.
    #[inline]
    pub(crate) fn answer(
        &mut self,
        now_ns: u64,
        application: ApplicationId,
        row: u32,
        outcome: Outcome<'_>,
        sink: &mut impl Sink,
    ) {
        let Application { queries, stats, .. } = &*self.applications[application];
        tell(stats, &queries.get(row).answer(application, now_ns, outcome, None), sink);
        self.close(application, row);
    }
}

/// Counts an answer and tells it. Its query is to be closed now.
#[inline]
pub(crate) fn tell(stats: &ApplicationStats, answer: &Answer<'_>, sink: &mut impl Sink) {
    match answer.outcome {
        Outcome::Prediction { .. } => stats.predictions.increment(),
        Outcome::Default { reason, .. } => stats.defaults(reason).increment(),
    }
    sink.answer(answer);
}

impl Query {
    /// The answer to it.
    #[inline]
    pub(crate) fn answer<'a>(
        &self,
        application: ApplicationId,
        now_ns: u64,
        outcome: Outcome<'a>,
        ensemble: Option<&'a Ensemble<'a>>,
    ) -> Answer<'a> {
        Answer {
            application,
            query_id: self.id,
            reply_to: self.reply_to,
            arrived_ns: self.arrived_ns,
            deadline_ns: self.deadline_ns,
            due_ns: self.due_ns,
            answered_ns: now_ns,
            outcome,
            ensemble,
        }
    }
}
