//! Calls to a model that has a cache: an output that is known is given at once, and identical calls
//! are evaluated once.
//!
//! The first of identical calls leads: it is queued, and has the cache's entry in its hands. The
//! others have joined: they wait nowhere but there. When the leader's output comes, each of them
//! gets it, even if nobody waits for the leader any more. If the leader fails by the model, they
//! fail like it, since the model would fail on them as well. If it ends otherwise, its client gone
//! or its deadline passed, its entry is left over; soon after ([`Core::settle`]) the first who
//! joined leads, and is queued.

use cutter_tensor::{OutputBytes, TensorSpec};

use crate::answer::Sink;
use crate::application::Application;
use crate::cache::{EntryId, Found};
use crate::call::{CallRef, LeftOver, Waiting};
use crate::ids::ModelId;
use crate::stats::Reason;
use crate::{Core, is_live};

impl Core {
    /// Looks a new call up. Says whether it is cared for: it is answered, or has joined another.
    #[inline]
    pub(crate) fn is_cached(&mut self, now_ns: u64, call: CallRef, sink: &mut impl Sink) -> bool {
        let model = self.call(call).model;
        self.models[model].cache.is_some() && self.look_up(now_ns, call, sink)
    }

    fn look_up(&mut self, now_ns: u64, call: CallRef, sink: &mut impl Sink) -> bool {
        let Application { queries, pool, .. } = &mut *self.applications[call.application];
        let query = queries.get(call.row);
        let model = queries.call(call.row, call.link).model;
        // It is out of its place while its output is given: no other call of this query asks the
        // same model.
        let Some(mut cache) = self.models[model].cache.take() else { return false };
        let waiter = Waiting { call, query_id: query.id };
        let input = pool.row_mut(call.row, query.bytes as usize);
        let is_done = match cache.request(now_ns, input, waiter, query.due_ns) {
            Found::Hit(entry) => {
                let (output, spec) = cache.output(entry);
                self.give_output(now_ns, call, OutputBytes::borrowed(output), spec, sink);
                true
            }
            Found::Joined => true,
            Found::Miss(entry) => {
                queries.call_mut(call.row, call.link).entry = Some(entry);
                false
            }
            Found::Bypassed => false,
        };
        self.models[model].cache = Some(cache);
        is_done
    }

    /// A call has brought an output: who joined it gets it too.
    pub(crate) fn share_output(
        &mut self,
        now_ns: u64,
        (model, entry): (ModelId, EntryId),
        output: OutputBytes<'_>,
        spec: &TensorSpec,
        sink: &mut impl Sink,
    ) {
        let Some(mut cache) = self.models[model].cache.take() else { return };
        cache.fill(now_ns, entry, output.bytes(), spec);
        while let Some(waiter) = cache.next_waiter(entry) {
            if is_live(&self.applications, &waiter) {
                self.give_output(now_ns, waiter.call, output, spec, sink);
            }
        }
        self.models[model].cache = Some(cache);
    }

    /// A call fails. If the model has failed on it, so it does on who joined it.
    pub(crate) fn share_failure(
        &mut self,
        now_ns: u64,
        (model, entry): (ModelId, EntryId),
        reason: Reason,
        detail: &[u8],
        sink: &mut impl Sink,
    ) {
        if reason != Reason::ModelError {
            return self.leave_over(Some((model, entry)));
        }
        while let Some(waiter) = self.give_up(model, entry) {
            if is_live(&self.applications, &waiter) {
                self.fail_call(now_ns, waiter.call, Reason::ModelError, detail, sink);
            }
        }
    }

    /// Takes the entry that a call leads, if it does.
    #[inline]
    pub(crate) fn take_entry(&mut self, call: CallRef) -> Option<(ModelId, EntryId)> {
        let call = self.call_mut(call);
        call.entry.take().map(|entry| (call.model, entry))
    }

    /// A call ends without an output, and not by its model's fault.
    #[inline]
    pub(crate) fn leave_over(&mut self, entry: Option<(ModelId, EntryId)>) {
        if let Some((model, entry)) = entry {
            self.left_over.push(LeftOver { model, entry });
        }
    }

    /// Gives entries that are left over to the first who joined. To be called after whatever may
    /// have closed queries.
    #[inline]
    pub(crate) fn settle(&mut self, now_ns: u64, sink: &mut impl Sink) {
        if !self.left_over.is_empty() {
            self.pass_on_left_over(now_ns, sink);
        }
    }

    #[cold]
    fn pass_on_left_over(&mut self, now_ns: u64, sink: &mut impl Sink) {
        while let Some(LeftOver { model, entry }) = self.left_over.pop() {
            self.pass_on(now_ns, model, entry, sink);
        }
    }

    fn pass_on(&mut self, now_ns: u64, model: ModelId, entry: EntryId, sink: &mut impl Sink) {
        while let Some(waiter) = self.give_up(model, entry) {
            if !is_live(&self.applications, &waiter) {
                continue;
            }
            let due_ns = self.due_ns(waiter.call);
            match self.enqueue(waiter.call, due_ns) {
                Ok(()) => {
                    self.call_mut(waiter.call).entry = Some(entry);
                    return;
                }
                Err(reason) => self.fail_call(now_ns, waiter.call, reason, &[], sink),
            }
        }
    }

    fn give_up(&mut self, model: ModelId, entry: EntryId) -> Option<Waiting> {
        self.models.get_mut(model)?.cache.as_mut()?.give_up(entry)
    }
}
