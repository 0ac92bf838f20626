//! Which of the calls that wait go into the next batch of a replica, and which can only be late.
//!
//! A call that waits costs those behind it time, and a batch costs those behind it all of its time:
//! so whom to take and whom to give up is one question. Calls stand in the order of their
//! deadlines, and a batch is a run of them. Two ways to choose the run:
//!
//! - **Look-ahead**, the usual one. The batch is as large as its first call allows. If those behind
//!   it could not be in time any more, when the replica, or another one, is free after it, then the
//!   first is given up instead, and the next one allows a larger batch. It gives up the fewest
//!   calls such that those taken, and those behind them, are in time as predicted.
//! - **Window**, for one replica whose best batches are large. All that waits goes together, and
//!   calls are given up from the front until the rest, which shrinks with each, is in time (the
//!   early drop of Nexus, H. Shen et al., SOSP '19, section 6.3). What arrives during a batch makes
//!   up most of the next one then, and saving the head of a batch by halving it costs more than it
//!   saves.
//!
//! ```text
//!   queue, by deadline   h₀ h₁ h₂ h₃ h₄ h₅ h₆ h₇        h₀ allows four ▸ h₄ would be late after it
//!                        ╳  [──── taken ───] rest ▸      h₁ allows six ▸ h₇ is in time after them
//! ```
//!
//! With one replica, arrivals by Poisson, and service times as a line over the size, one of the two
//! puts at least as many queries in time as any other rule that we know; together they lose nothing
//! in overload, which taking the oldest first does (all is late then).
//!
//! What no replica brings in time fails at once. What another one would is left to that one. There
//! are two exceptions, for the estimates may be wrong and only a batch can tell: when nothing that
//! waits could be in time, a replica that has nothing to do takes what is not late yet; and one
//! whose last batch was long ago takes a single row.
//!
//! Cost: a few steps for each call taken or given up, and one look at each replica of the model
//! when something is left over.

use crate::answer::Sink;
use crate::batching::Cost;
use crate::call::{CallRef, Place};
use crate::ids::{ModelId, ReplicaId};
use crate::limits::WINDOW_ROWS_MIN;
use crate::replica::{Replica, row_count};
use crate::stats::Why;
use crate::{Core, is_live};

/// What a batch formed now can count on.
#[derive(Clone, Copy, Debug)]
struct Prospect {
    now_ns: u64,
    replica: ReplicaId,
    model: ModelId,
    /// The most rows of it.
    limit: u32,
    /// When it would begin.
    start_ns: u64,
    /// From its end until its answers are out, as far as its calls are not due that much before
    /// their deadlines.
    reply_ns: u64,
    /// Nothing that waits could be in time, as predicted: then no prediction counts.
    is_trial: bool,
}

/// A batch that is being filled.
#[derive(Debug, Default)]
struct Filling {
    /// Those that were given up stand first.
    calls: Vec<CallRef>,
    given_up: usize,
    /// The size of the others, where bytes count.
    bytes: u32,
    /// The most rows that were thought to go together.
    planned: u32,
    why: Option<Why>,
}

impl Filling {
    fn rows(&self) -> u32 {
        row_count(&self.calls[self.given_up..])
    }
}

/// What the other replicas of a model could do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Others {
    /// The one that is free first, and when.
    pub first_free: Option<(ReplicaId, u64)>,
    /// When the fastest would have one row done.
    one_row_ns: u64,
}

impl Core {
    /// Fills the forming batch from the queue. Calls that can only be late fail. `why` is why it is
    /// formed now. Says whether there is a batch.
    pub(crate) fn fill(
        &mut self,
        now_ns: u64,
        replica: ReplicaId,
        why: Why,
        sink: &mut impl Sink,
    ) -> bool {
        let Some(prospect) = self.prospect(now_ns, replica) else { return false };
        let Some(life) = &mut self.replicas[replica].incarnation else { return false };
        let calls = std::mem::take(&mut life.forming.calls);
        let mut filling = Filling { calls, ..Filling::default() };
        if self.suits_window(&prospect) {
            self.fill_window(&prospect, &mut filling, sink);
        } else {
            self.fill_ahead(&prospect, &mut filling, sink);
        }
        filling.calls.drain(..filling.given_up);
        for call in &filling.calls {
            self.move_to(*call, Place::Batch);
        }
        let more_waits = self.models[prospect.model].open_in_queue > 0;
        let Some(life) = &mut self.replicas[replica].incarnation else { return false };
        let is_formed = !filling.calls.is_empty();
        let cut_off = is_formed && more_waits && filling.planned == prospect.limit;
        let chosen = filling.why.or(cut_off.then_some(Why::Full));
        (life.forming.cut_off, life.forming.why) = (cut_off, chosen.unwrap_or(why));
        life.forming.calls = filling.calls;
        is_formed
    }

    /// When the next batch of a replica would be done, as predicted, if it has so many rows of
    /// `waiting` as may go together; never, if the replica is not up. What it did long ago is not
    /// held against it.
    pub(crate) fn done_ns(&self, now_ns: u64, replica: ReplicaId, waiting: u32) -> u64 {
        let state = &self.replicas[replica];
        let Some(free_ns) = state.free_ns(now_ns) else { return u64::MAX };
        free_ns.saturating_add(state.healed_ns(state.rows_max().min(waiting), now_ns))
    }

    fn prospect(&mut self, now_ns: u64, replica: ReplicaId) -> Option<Prospect> {
        let state = &mut self.replicas[replica];
        state.mean_size = self.models[state.model].mean_size();
        let (model, limit, start_ns) = (state.model, state.rows_max(), state.free_ns(now_ns)?);
        let is_idle = state.in_flight() == 0;
        let applications = &self.applications;
        let queue = &mut self.models[model].room.queue;
        queue.drop_dead(|waiting| is_live(applications, waiting));
        let lead_ns = queue.peek().map_or(0, |head| self.lead_ns(head.value.call));
        let reply_ns = self.models[model].reply_ns.saturating_sub(lead_ns);
        let mut prospect =
            Prospect { now_ns, replica, model, limit, start_ns, reply_ns, is_trial: false };
        prospect.is_trial = is_idle && self.is_hopeless(&prospect);
        Some(prospect)
    }

    /// Whether even the call that is due last could not be in time alone, anywhere.
    fn is_hopeless(&self, prospect: &Prospect) -> bool {
        let applications = &self.applications;
        let queue = &self.models[prospect.model].room.queue;
        let here_ns = self.done_here_ns(prospect, 1);
        // Most often the first would be in time, and then nobody has to look for the last.
        if queue.deadline_ns().is_none_or(|head_ns| here_ns <= head_ns) {
            return false;
        }
        let latest_ns = queue.latest_deadline_ns(|waiting| is_live(applications, waiting));
        latest_ns.is_none_or(|latest_ns| {
            let there_ns = self
                .others(prospect.now_ns, prospect.replica)
                .one_row_ns
                .saturating_add(prospect.reply_ns);
            here_ns.min(there_ns) > latest_ns
        })
    }

    /// Whether the window is the better way: one replica does all the work, and half of what the
    /// tightest deadline leaves is a large batch.
    fn suits_window(&self, prospect: &Prospect) -> bool {
        let model = &self.models[prospect.model];
        let mut served = model.replicas.iter().filter(|replica| self.is_up(**replica));
        let half_ns = model.tightest_slo_ns.saturating_sub(prospect.reply_ns) / 2;
        served.nth(1).is_none()
            && self.replicas[prospect.replica].predicted_ns(WINDOW_ROWS_MIN) <= half_ns
    }

    fn fill_window(&mut self, prospect: &Prospect, filling: &mut Filling, sink: &mut impl Sink) {
        while let Some((head, deadline_ns)) = self.head(prospect.model) {
            let all = prospect.limit.min(self.open_in_queue(prospect.model));
            let rows = if self.is_in_time(prospect, all, deadline_ns) {
                all
            } else {
                self.rows_to_try(prospect, deadline_ns)
            };
            if rows > 0 {
                return self.take_from_queue(prospect, rows, filling);
            }
            self.models[prospect.model].room.queue.pop();
            self.give_up_call(prospect, head, sink);
            filling.why = Some(Why::LookAhead);
        }
    }

    fn fill_ahead(&mut self, prospect: &Prospect, filling: &mut Filling, sink: &mut impl Sink) {
        let model = prospect.model;
        let mut others = None;
        loop {
            let first = filling.calls.get(filling.given_up);
            let first = first.map(|call| (*call, self.due_ns(*call)));
            let Some((head, deadline_ns)) = first.or_else(|| self.head(model)) else { break };
            let waiting = self.open_in_queue(model);
            let most = prospect.limit.min(waiting);
            // What was taken stays: a smaller batch is never predicted to take longer by much.
            let rows = self.rows_in_time(prospect, most, deadline_ns).max(filling.rows());
            if rows == 0 {
                let others =
                    *others.get_or_insert_with(|| self.others(prospect.now_ns, prospect.replica));
                let rows = self.rows_to_try(prospect, deadline_ns);
                self.take_from_queue(prospect, rows, filling);
                let is_others = others.one_row_ns.saturating_add(prospect.reply_ns) <= deadline_ns;
                if rows > 0 || is_others {
                    break;
                }
                self.models[model].room.queue.pop();
                self.give_up_call(prospect, head, sink);
                continue;
            }
            self.take_from_queue(prospect, rows, filling);
            let rest = waiting - filling.rows();
            let next = self.head(model).filter(|_| rest > 0 && !prospect.is_trial);
            let Some((_, next_ns)) = next else { break };
            filling.why = filling.why.or((rows < most).then_some(Why::Deadline));
            let others =
                *others.get_or_insert_with(|| self.others(prospect.now_ns, prospect.replica));
            if self.rest_ns(prospect, &others, filling.rows(), rest) <= next_ns {
                break;
            }
            filling.bytes -= filling.bytes.min(self.query(head).bytes.max(1));
            (filling.given_up, filling.why) = (filling.given_up + 1, Some(Why::LookAhead));
            self.give_up_call(prospect, head, sink);
        }
    }

    /// The first call that waits in the queue, and when it is due.
    pub(crate) fn head(&mut self, model: ModelId) -> Option<(CallRef, u64)> {
        let applications = &self.applications;
        let queue = &mut self.models[model].room.queue;
        loop {
            let head = queue.peek()?;
            if is_live(applications, &head.value) {
                return Some((head.value.call, head.deadline_ns));
            }
            queue.pop();
        }
    }

    /// Takes calls from the queue until the batch has so many rows; where bytes count, until it has
    /// as many bytes as so many rows usually have, so that a large input takes the place of several
    /// small ones. They count as waiting until they are in the batch.
    fn take_from_queue(&mut self, prospect: &Prospect, rows: u32, filling: &mut Filling) {
        filling.planned = rows;
        let state = &self.replicas[prospect.replica];
        let counts_bytes = state.cost == Cost::Bytes;
        let all = rows >= prospect.limit.min(self.open_in_queue(prospect.model));
        let bytes_max = if all { state.limit.limit() } else { state.size_of(rows) };
        let rows_max = if counts_bytes { state.items_max() } else { rows };
        while filling.rows() < rows_max {
            let Some((call, _)) = self.head(prospect.model) else { return };
            if counts_bytes {
                let bytes = filling.bytes.saturating_add(self.query(call).bytes.max(1));
                if bytes > bytes_max && filling.rows() > 0 {
                    return;
                }
                filling.bytes = bytes;
            }
            self.models[prospect.model].room.queue.pop();
            filling.calls.push(call);
        }
    }

    /// A call that has left the queue fails: it can only be late, or would make others late.
    fn give_up_call(&mut self, prospect: &Prospect, call: CallRef, sink: &mut impl Sink) {
        let (reason, detail) = self.why_late(call);
        self.models[prospect.model].stats.expired.increment();
        self.fail_call(prospect.now_ns, call, reason, detail, sink);
    }

    /// The most rows, up to so many, with which a batch keeps a deadline.
    fn rows_in_time(&self, prospect: &Prospect, most: u32, deadline_ns: u64) -> u32 {
        if self.is_in_time(prospect, most, deadline_ns) {
            return most;
        }
        let (mut fits, mut exceeds) = (0, most);
        while exceeds - fits > 1 {
            let rows = fits + (exceeds - fits) / 2;
            if self.is_in_time(prospect, rows, deadline_ns) { fits = rows } else { exceeds = rows }
        }
        fits
    }

    /// One row when only what was learned long ago says that it would be late, else none.
    fn rows_to_try(&self, prospect: &Prospect, deadline_ns: u64) -> u32 {
        let here = &self.replicas[prospect.replica];
        let out_ns = prospect.start_ns.saturating_add(prospect.reply_ns);
        let is_late = self.done_here_ns(prospect, 1) > deadline_ns;
        let healed_ns = out_ns.saturating_add(here.healed_ns(1, prospect.now_ns));
        u32::from(is_late && healed_ns <= deadline_ns)
    }

    fn is_in_time(&self, prospect: &Prospect, rows: u32, deadline_ns: u64) -> bool {
        prospect.is_trial || self.done_here_ns(prospect, rows) <= deadline_ns
    }

    /// When a batch of so many rows would be answered.
    fn done_here_ns(&self, prospect: &Prospect, rows: u32) -> u64 {
        let service_ns = self.replicas[prospect.replica].predicted_ns(rows);
        prospect.start_ns.saturating_add(service_ns).saturating_add(prospect.reply_ns)
    }

    /// When what is left behind a batch of so many rows would be answered.
    fn rest_ns(&self, prospect: &Prospect, others: &Others, rows: u32, rest: u32) -> u64 {
        let Prospect { replica, start_ns, reply_ns, .. } = *prospect;
        let done_by = |state: &Replica, free_ns: u64| {
            free_ns.saturating_add(state.predicted_ns(state.rows_max().min(rest)))
        };
        let here = &self.replicas[replica];
        let here_ns = done_by(here, start_ns.saturating_add(here.expected_ns(rows)));
        let there =
            others.first_free.map(|(other, free_ns)| done_by(&self.replicas[other], free_ns));
        here_ns.min(there.unwrap_or(u64::MAX)).saturating_add(reply_ns)
    }

    /// What the other replicas of the model of this one could do.
    pub(crate) fn others(&self, now_ns: u64, replica: ReplicaId) -> Others {
        let others = self.replicas_of(self.replicas[replica].model).iter();
        let others = others.filter(|other| **other != replica && self.is_well(now_ns, **other));
        let mut found = Others { first_free: None, one_row_ns: u64::MAX };
        for other in others {
            let Some(free_ns) = self.replicas[*other].free_ns(now_ns) else { continue };
            if found.first_free.is_none_or(|(_, sooner_ns)| free_ns < sooner_ns) {
                found.first_free = Some((*other, free_ns));
            }
            let one_row_ns = self.replicas[*other].healed_ns(1, now_ns);
            found.one_row_ns = found.one_row_ns.min(free_ns.saturating_add(one_row_ns));
        }
        found
    }

    pub(crate) fn open_in_queue(&self, model: ModelId) -> u32 {
        u32::try_from(self.models[model].open_in_queue).unwrap_or(u32::MAX)
    }
}
