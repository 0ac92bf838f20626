//! A query comes: its row, its calls, and the end of its way.

use crate::answer::{Answer, Outcome, Sink};
use crate::application::{Application, Link};
use crate::call::{Call, CallRef, Place, Waiting};
use crate::ids::ApplicationId;
use crate::model::Availability;
use crate::query::{NewQuery, Query, ReplyTo};
use crate::selection::Asking;
use crate::stats::Reason;
use crate::{Core, is_live, smoothed};

/// A query to admit.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    pub application: ApplicationId,
    pub row: u32,
    /// Bytes of the input in the row.
    pub bytes: u32,
    /// When the last byte of the request was received.
    pub arrived_ns: u64,
    /// How long it may take, if its client says so: instead of the application's SLO.
    pub timeout_ns: Option<u64>,
    pub reply_to: ReplyTo,
}

impl Core {
    /// Takes a row for an input of `application`; `None` when its pool is full, and when the
    /// application takes no queries any more.
    #[inline]
    pub fn reserve(&mut self, application: ApplicationId) -> Option<u32> {
        let state = self.applications.get_mut(application)?;
        if state.is_draining {
            return None;
        }
        state.pool.take()
    }

    /// The first `bytes` bytes of a reserved row, to be written.
    #[inline]
    pub fn row_mut(&mut self, application: ApplicationId, row: u32, bytes: usize) -> &mut [u8] {
        self.applications[application].pool.row_mut(row, bytes)
    }

    /// A reserved row holds an input of so many bytes: see [`Pool::commit`](crate::rows::Pool).
    #[inline]
    pub fn commit(
        &mut self,
        application: ApplicationId,
        row: u32,
        bytes: usize,
        budget_bytes: &mut usize,
    ) -> bool {
        self.applications[application].pool.commit(row, bytes, budget_bytes)
    }

    /// Gives back a reserved row, to which at most so many bytes were written: its input turned out
    /// to be bad.
    pub fn cancel(&mut self, application: ApplicationId, row: u32, written_bytes: usize) {
        let pool = &mut self.applications[application].pool;
        pool.discard(row, written_bytes);
        pool.give_back(row);
    }

    /// Admits a query whose input stands in a reserved row. It may be answered at once.
    #[inline]
    pub fn admit(&mut self, now_ns: u64, input: &Admission, sink: &mut impl Sink) {
        self.admit_with(now_ns, input, &Asking::default(), sink);
    }

    /// The same for one that brings something for a policy.
    pub fn admit_with(
        &mut self,
        now_ns: u64,
        input: &Admission,
        asking: &Asking<'_>,
        sink: &mut impl Sink,
    ) {
        let Admission { application, row, .. } = *input;
        let (query, parse_ns) = self.begin(now_ns, input);
        let Application { queries, links, selector, .. } = &mut *self.applications[application];
        queries.open(row, query);
        if selector.is_some() {
            return match self.choose(now_ns, (application, row), parse_ns, asking) {
                Ok(()) => self.ask(now_ns, application, row, sink),
                Err((reason, detail)) => {
                    self.answer_default(now_ns, application, row, reason, detail, sink);
                }
            };
        }
        // All of them first: a call that fails at once must not be taken for the only one.
        for Link { model, pool } in links.selected().iter().copied() {
            self.models[model].parsed(parse_ns);
            let call = Call { model, pool, admitted_ns: now_ns, is_pending: true, ..Call::VACANT };
            queries.ask(row, call);
        }
        self.ask(now_ns, application, row, sink);
    }

    /// Counts a query that comes: what it is, and how long it took to be read.
    #[inline]
    pub(crate) fn begin(&mut self, now_ns: u64, input: &Admission) -> (NewQuery, u64) {
        let Admission { application, bytes, arrived_ns, timeout_ns, reply_to, .. } = *input;
        let id = self.next_query_id();
        let Application { stats, slo_ns, lead, .. } = &mut *self.applications[application];
        let parse_ns = now_ns.saturating_sub(arrived_ns);
        stats.queries.increment();
        stats.parse.record(parse_ns);
        let deadline_ns = arrived_ns.saturating_add(timeout_ns.unwrap_or(*slo_ns));
        let due_ns = lead.due_ns(arrived_ns, deadline_ns);
        (NewQuery { id, reply_to, arrived_ns, deadline_ns, due_ns, bytes }, parse_ns)
    }

    /// Queues the calls of a query that was just opened.
    #[inline]
    pub(crate) fn ask(
        &mut self,
        now_ns: u64,
        application: ApplicationId,
        row: u32,
        sink: &mut impl Sink,
    ) {
        let Query { id, asked, due_ns, .. } = *self.applications[application].queries.get(row);
        let asked = u32::from(asked);
        if asked == 0 {
            return self.answer_default(now_ns, application, row, Reason::NoModel, &[], sink);
        }
        self.deadlines.lower(Self::owner_of_application(application), due_ns);
        for link in 0..asked {
            let call = CallRef { application, row, link };
            // An earlier one may have answered the query.
            if link > 0 && !self.is_pending(call, id) {
                return;
            }
            if self.is_cached(now_ns, call, sink) {
                continue;
            }
            if let Err(reason) = self.enqueue(call, due_ns) {
                self.fail_call(now_ns, call, reason, &[], sink);
            }
        }
        self.settle(now_ns, sink);
    }

    /// Answers an input for which there is no row: it never becomes a query in the queue.
    pub fn refuse(&mut self, now_ns: u64, input: &Admission, sink: &mut impl Sink) {
        let Admission { application, arrived_ns, timeout_ns, reply_to, .. } = *input;
        let query_id = self.next_query_id();
        let state = &self.applications[application];
        state.stats.queries.increment();
        state.stats.defaults(Reason::Overloaded).increment();
        let outcome = Outcome::Default { reason: Reason::Overloaded, detail: &[] };
        let deadline_ns = arrived_ns.saturating_add(timeout_ns.unwrap_or(state.slo_ns));
        sink.answer(&Answer {
            application,
            query_id,
            reply_to,
            arrived_ns,
            deadline_ns,
            due_ns: deadline_ns,
            answered_ns: now_ns,
            outcome,
            ensemble: None,
        });
    }

    /// Tells that the answers to so many queries of one request have been handed to the kernel: to
    /// be called once for each response that goes out. The times are those of its [`Answer`]s, the
    /// last of them, and now.
    ///
    /// Only here is known how long a query took: rendering and the way to the kernel are part of
    /// it, and so an answer that was in time when it was decided may be late all the same. The
    /// batch objective leaves room for what replying costs, and from answers that were due is
    /// learned how long before their deadlines others are to be. The application may be gone.
    #[inline]
    pub fn handed_over(&mut self, answered: &HandedOver, now_ns: u64) {
        let HandedOver { application, queries, arrived_ns, deadline_ns, due_ns, answered_ns } =
            *answered;
        let Some(state) = self.applications.get_mut(application) else { return };
        let reply_ns = now_ns.saturating_sub(answered_ns);
        state.stats.reply.record_many(reply_ns, queries);
        state.stats.end_to_end.record_many(now_ns.saturating_sub(arrived_ns), queries);
        if now_ns > deadline_ns {
            state.stats.late.add(u64::from(queries));
        }
        if answered_ns >= due_ns {
            state.lead.observe(answered_ns, now_ns.saturating_sub(due_ns));
        }
        for link in state.links.asked_by_most(state.selector.is_some()) {
            let model = &mut self.models[link.model];
            model.reply_ns = smoothed(model.reply_ns, reply_ns);
        }
    }

    /// The client of an open query has gone: the query is closed without an answer. Its calls are
    /// not sent any more, and its row is free as soon as no batch has it.
    pub fn abandon(&mut self, application: ApplicationId, row: u32) {
        self.close(application, row);
        self.applications[application].stats.cancelled.increment();
    }

    /// Puts a call into the queue of its model.
    pub(crate) fn enqueue(&mut self, call: CallRef, due_ns: u64) -> Result<(), Reason> {
        let queries = &self.applications[call.application].queries;
        let waiting = Waiting { call, query_id: queries.get(call.row).id };
        let model = &mut self.models[queries.call(call.row, call.link).model];
        if model.availability == Availability::Down {
            return Err(Reason::NotReady);
        }
        let is_live = |other: &Waiting| is_live(&self.applications, other);
        let pushed = model.room.queue.push(due_ns, waiting, is_live);
        pushed.map_err(|_| Reason::Overloaded)?;
        let queries = &mut self.applications[call.application].queries;
        let left = queries.put(call.row, call.link, Place::Queue);
        model.moved(left, Place::Queue, queries.get(call.row).bytes);
        Ok(())
    }

    fn is_pending(&self, call: CallRef, query_id: u64) -> bool {
        let queries = &self.applications[call.application].queries;
        queries.is_waiting(call.row, call.link, query_id)
    }
}

/// The answers to one request, on their way.
#[derive(Clone, Copy, Debug)]
pub struct HandedOver {
    pub application: ApplicationId,
    pub queries: u32,
    pub arrived_ns: u64,
    pub deadline_ns: u64,
    pub due_ns: u64,
    pub answered_ns: u64,
}
