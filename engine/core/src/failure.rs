//! What goes wrong: deadlines that pass, containers that hang, die or are taken away.

use crate::answer::Sink;
use crate::call::CallRef;
use crate::deadlines::NEVER_NS;
use crate::ids::{ApplicationId, ModelId, ReplicaId};
use crate::limits::{
    APPLICATIONS_MAX, CRASHES_MAX, FAILURE_REPORT_PERIOD_NS, FAILURE_TEXT_BYTES_MAX,
};
use crate::stats::Reason;
use crate::{Core, is_live};

/// How an incarnation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// It died, hung or broke the protocol. What it was doing may be the cause.
    Crash,
    /// It was asked to end. What it left undone is innocent.
    Stopped,
}

/// A failure of a model, in its own words, for its operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureReport {
    pub model: ModelId,
    /// Cut off after [`FAILURE_TEXT_BYTES_MAX`]. It may be empty, and it may hold any bytes.
    pub text: Box<[u8]>,
}

/// What is to be told of a model's failures.
#[derive(Debug)]
pub(crate) struct FailureNews {
    text: Vec<u8>,
    /// It stands in the list of models with news.
    listed: bool,
    /// Nothing is told before.
    quiet_until_ns: u64,
}

impl FailureNews {
    pub fn new() -> Self {
        let text = Vec::with_capacity(FAILURE_TEXT_BYTES_MAX);
        Self { text, listed: false, quiet_until_ns: 0 }
    }
}

/// An incarnation to be killed, since a batch of it hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    pub replica: ReplicaId,
    pub running_ns: u64,
}

impl Core {
    /// Answers what is due, finds batches that hang, and drains that are done.
    pub fn tick(&mut self, now_ns: u64, sink: &mut impl Sink) {
        while let Some(owner) = self.deadlines.due(now_ns) {
            match owner.checked_sub(APPLICATIONS_MAX) {
                None => self.look_at_application(now_ns, owner, sink),
                Some(place) => self.look_at_replica(now_ns, owner, place),
            }
        }
        self.settle(now_ns, sink);
    }

    /// When [`Core::tick`] has something to do.
    #[inline]
    pub fn next_tick_ns(&self) -> Option<u64> {
        self.deadlines.next_ns()
    }

    /// Whether it has now.
    #[inline]
    pub fn is_due(&self, now_ns: u64) -> bool {
        self.deadlines.next_ns().is_some_and(|due_ns| due_ns <= now_ns)
    }

    /// An incarnation is gone. What it had in flight goes elsewhere, at most once more and alone
    /// after a crash.
    pub fn replica_lost(
        &mut self,
        now_ns: u64,
        replica: ReplicaId,
        death: Death,
        sink: &mut impl Sink,
    ) {
        let state = &mut self.replicas[replica];
        let Some(mut life) = state.incarnation.take() else { return };
        state.stats.up.set(0);
        let (model, warm_up) = (state.model, life.warm_up);
        self.models[model].live_replicas -= 1;
        life.batches.sort_unstable_by_key(|batch| batch.order);
        for batch in life.batches.iter_mut().filter(|batch| batch.in_flight) {
            batch.calls.retain(|call| self.is_stranded_by(death, *call));
            match death {
                Death::Crash => self.crashed(now_ns, &batch.calls, sink),
                Death::Stopped => self.taken_away(now_ns, model, &batch.calls, sink),
            }
        }
        self.replicas[replica].tables = Some(life.into_tables());
        self.is_late_no_more(replica);
        self.warms_no_more(replica, warm_up, death);
        self.settle(now_ns, sink);
    }

    /// The last failure of a model that is due to be told: at most one in each
    /// [`FAILURE_REPORT_PERIOD_NS`] for each model, the first of several.
    pub fn take_failure_report(&mut self) -> Option<FailureReport> {
        let model = self.failure_news.pop()?;
        let news = &mut self.models.get_mut(model)?.failure_news;
        news.listed = false;
        Some(FailureReport { model, text: news.text.as_slice().into() })
    }

    /// A batch or an item failed with these words.
    pub(crate) fn note_failure(&mut self, now_ns: u64, replica: ReplicaId, text: &[u8]) {
        let model = self.replicas[replica].model;
        let news = &mut self.models[model].failure_news;
        if news.listed || now_ns < news.quiet_until_ns {
            return;
        }
        news.text.clear();
        news.text.extend_from_slice(&text[..text.len().min(FAILURE_TEXT_BYTES_MAX)]);
        news.listed = true;
        news.quiet_until_ns = now_ns.saturating_add(FAILURE_REPORT_PERIOD_NS);
        self.failure_news.push(model);
    }

    /// Fails every call of a model that waits for a replica.
    pub(crate) fn fail_waiting(
        &mut self,
        now_ns: u64,
        model: ModelId,
        reason: Reason,
        sink: &mut impl Sink,
    ) {
        while let Some(head) = self.models[model].room.queue.pop() {
            if is_live(&self.applications, &head.value) {
                self.fail_call(now_ns, head.value.call, reason, &[], sink);
            }
        }
        while let Some(call) = self.take_apart(model) {
            self.fail_call(now_ns, call, reason, &[], sink);
        }
    }

    /// Answers what is due of an application, and sets when to look again.
    fn look_at_application(&mut self, now_ns: u64, place: usize, sink: &mut impl Sink) {
        let Some(application) = self.applications.id_at(place) else {
            return self.deadlines.set(place, NEVER_NS);
        };
        while let Some((row, due_ns)) = self.applications[application].queries.first_due() {
            if due_ns > now_ns {
                break;
            }
            let why = self.why_due(application, row);
            self.answer_with_what_is_there(now_ns, application, row, why, sink);
        }
        self.set_application_deadline(application);
    }

    /// Why a query that is due has no prediction, if none is there.
    fn why_due(&self, application: ApplicationId, row: u32) -> (Reason, &'static [u8]) {
        let calls = self.applications[application].queries.calls(row);
        let pending = (0..).zip(calls).find(|(_, call)| call.is_pending);
        pending.map_or((Reason::Late, &[]), |(link, _)| {
            self.why_late(CallRef { application, row, link })
        })
    }

    /// Gives up a replica whose batch hangs, or sees whether it is late, or is to get a batch that
    /// was put off; sets when to look again.
    fn look_at_replica(&mut self, now_ns: u64, owner: usize, place: usize) {
        let Some(replica) = self.replicas.id_at(place) else {
            return self.deadlines.set(owner, NEVER_NS);
        };
        let state = &mut *self.replicas[replica];
        let timeout_ns = self.models[state.model].batch_timeout_ns;
        let Some(life) = &mut state.incarnation else {
            return self.deadlines.set(owner, NEVER_NS);
        };
        if life.form_at_ns <= now_ns {
            (life.form_at_ns, self.is_form_due) = (NEVER_NS, true);
        }
        let form_at_ns = life.form_at_ns;
        let Some((since_ns, hangs_ns)) = life.running_since_ns().zip(life.hangs_ns(timeout_ns))
        else {
            return self.deadlines.set(owner, form_at_ns);
        };
        if hangs_ns > now_ns {
            let late_ns = self.look_for_late(now_ns, replica).unwrap_or(NEVER_NS);
            return self.deadlines.set(owner, hangs_ns.min(late_ns).min(form_at_ns));
        }
        // It is told once: the caller takes it away now.
        self.deadlines.set(owner, NEVER_NS);
        self.kills.push(Kill { replica, running_ns: now_ns.saturating_sub(since_ns) });
    }

    /// A call comes back since its incarnation ended. Says whether it is to be cared for.
    ///
    /// That it was in flight when a container died is remembered even if another batch has it: if
    /// that one dies too, these were its two lives.
    fn is_stranded_by(&mut self, death: Death, call: CallRef) -> bool {
        let back = self.take_back(call);
        if back.is_awaited && death == Death::Crash {
            let known = self.call_mut(call);
            known.crashes = known.crashes.saturating_add(1);
        }
        back.is_stranded()
    }

    /// These were in flight when their container died: each goes out once more, alone.
    fn crashed(&mut self, now_ns: u64, calls: &[CallRef], sink: &mut impl Sink) {
        for call in calls {
            if self.call(*call).crashes >= CRASHES_MAX {
                let detail = b"the model's container died each time it was given this input";
                self.fail_call(now_ns, *call, Reason::ModelError, detail, sink);
            } else {
                let model = self.call(*call).model;
                self.models[model].stats.redispatches.increment();
                self.wait_as_suspect(*call);
            }
        }
    }

    /// These were in flight when their container was taken away: they wait again where they waited
    /// before.
    fn taken_away(&mut self, now_ns: u64, model: ModelId, calls: &[CallRef], sink: &mut impl Sink) {
        self.models[model].stats.redispatches.add(calls.len() as u64);
        let Some(first) = calls.first() else { return };
        let first = self.call(*first);
        if first.failures > 0 && first.crashes == 0 {
            return self.retry(model, calls, None);
        }
        for call in calls {
            if self.call(*call).crashes > 0 {
                // It is alone, or a copy of it was elsewhere when that container died.
                self.wait_as_suspect(*call);
            } else {
                let due_ns = self.due_ns(*call);
                if let Err(reason) = self.enqueue(*call, due_ns) {
                    self.fail_call(now_ns, *call, reason, &[], sink);
                }
            }
        }
    }
}
