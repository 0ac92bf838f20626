//! When the next batch of a replica is formed: not before it has to be.
//!
//! A batch that is formed early is small and keeps what comes later out. So:
//!
//! - **A second batch, just in time.** A replica that is busy gets another batch when the one that
//!   runs is predicted to end within a lead ([`JUST_IN_TIME_LEAD_NS`]): it then begins at once, and
//!   its calls have waited as if the replica had been asked after the end. Where batches take so
//!   long that the way to the replica and back does not matter, it is asked after the end: then
//!   nothing stands behind a batch that turns out to take long.
//! - **Pacing**, with several replicas of which all others are busy: the idle one begins no sooner
//!   after the last batch began than a service time divided among them. Else two that are free at
//!   about the same time, by the chance of arrivals or of a slow batch, stay so: one takes all that
//!   waits, and the other pays a fixed cost for the little that has come since. Where the others
//!   have a row each there is no need for larger batches, and nothing is paced. It raises what is
//!   served at the SLO (`cargo test -p cutter-core --lib tests::load::replicas_that`).
//! - **Waiting** (`batch.wait_us`; Clipper, NSDI '17, section 4.3.3): an idle replica is given time
//!   for more calls to come, counted from the arrival of the first that waits, and never more than
//!   that call's deadline allows.
//! - **Deferral** (`batch.defer`; Symphony, arXiv 2308.07470): with several replicas of which the
//!   others are busy, what waits is sent as late as its first call allows, but not later than
//!   another replica is free.
//!
//! ```text
//!   running   ███████████████████████████████┊
//!                                       lead │◂──▸│
//!   formed                                ▲ the second, of all that has come until now
//! ```
//!
//! What is not formed now is looked at again by [`Core::tick`], when the time has come, or whenever
//! anything happens.

use crate::Core;
use crate::batching::whole_ns;
use crate::deadlines::NEVER_NS;
use crate::ids::ReplicaId;
use crate::limits::{JUST_IN_TIME_LEAD_NS, JUST_IN_TIME_LEADS_MAX};
use crate::model::Model;
use crate::replica::Replica;
use crate::stats::Why;

/// Whether a batch is to be formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Now(Why),
    /// Not before.
    At(u64),
}

impl Core {
    /// When the next batch of a replica that is up is to be formed.
    pub(crate) fn when(&mut self, now_ns: u64, replica: ReplicaId) -> When {
        let is_idle = self.replicas[replica].in_flight() == 0;
        let behind = if is_idle {
            When::Now(Why::Idle)
        } else {
            behind_running(now_ns, &self.replicas[replica])
        };
        match behind {
            When::Now(why) => self.gathered(now_ns, replica, why),
            When::At(_) => behind,
        }
    }

    /// A batch of this replica may be formed at this time, and not before.
    pub(crate) fn form_at(&mut self, replica: ReplicaId, at_ns: u64) {
        if let Some(life) = &mut self.replicas[replica].incarnation {
            life.form_at_ns = at_ns;
            self.deadlines.lower(Self::owner_of_replica(replica), at_ns);
        }
    }

    /// When the first of the replicas whose batches take so long or longer is to have its next one
    /// formed, as predicted: an idle one now, and one that has a batch behind the one that runs not
    /// at all. Whoever is away until later keeps it waiting. Only of models with several: a single
    /// one does not wait while others are answered.
    ///
    /// One whose last batch ended longer ago than two of them take has little to do, or hangs:
    /// nobody need hurry for it.
    pub fn next_form_ns(&self, now_ns: u64, takes_ns: u64) -> Option<u64> {
        let replicas = self.models().iter().map(|model| self.replicas_of(*model));
        let replicas = replicas.filter(|replicas| replicas.len() > 1).flatten();
        let due = replicas.filter_map(|replica| {
            let state = &self.replicas[*replica];
            let (free_ns, lasts_ns) = match state.in_flight() {
                0 => (now_ns, state.expected_ns(1)),
                1 => (state.free_ns(now_ns)?, state.running_for_ns()),
                _ => return None,
            };
            let is_used = state.estimate.silent_for(now_ns)? <= lasts_ns.saturating_mul(2);
            let is_due = is_used && lasts_ns >= takes_ns;
            is_due.then(|| free_ns.saturating_sub(JUST_IN_TIME_LEAD_NS))
        });
        due.min()
    }

    /// The time has come at which a batch that was put off may be formed: whoever dispatches is to
    /// look. Says so once.
    pub fn take_form_due(&mut self) -> bool {
        std::mem::take(&mut self.is_form_due)
    }

    /// Whether what waits is to wait for more, although it could be sent.
    fn gathered(&mut self, now_ns: u64, replica: ReplicaId, why: Why) -> When {
        let state = &self.replicas[replica];
        let (model, limit) = (state.model, state.rows_max());
        let Model { forming, live_replicas, .. } = *self.models[model];
        let waits = forming.wait_ns > 0 || forming.defer || live_replicas > 1;
        // How long it may wait is known when it is known how long a batch takes.
        let waits = waits && state.estimate.learnt(1).is_some();
        if !waits || self.open_in_queue(model) >= limit || self.models[model].room.apart.open() > 0
        {
            return When::Now(why);
        }
        let Some((head, deadline_ns)) = self.head(model) else { return When::Now(why) };
        let with_one_more = limit.min(self.open_in_queue(model) + 1);
        let takes_ns = self.replicas[replica].predicted_ns(with_one_more);
        let due_ns =
            deadline_ns.saturating_sub(takes_ns.saturating_add(self.models[model].reply_ns));
        let (until_ns, why) = if forming.wait_ns > 0 {
            let over_ns = self.call(head).admitted_ns.saturating_add(forming.wait_ns);
            let why = if over_ns <= due_ns { Why::WaitOver } else { Why::Deadline };
            (over_ns.min(due_ns), why)
        } else if forming.defer {
            let free_ns = self.others(now_ns, replica).first_free.map(|(_, free_ns)| free_ns);
            let pays = free_ns.is_some_and(|free_ns| now_ns < free_ns && free_ns <= due_ns);
            (if pays { free_ns.unwrap_or(now_ns) } else { now_ns }, why)
        } else {
            (self.paced_ns(now_ns, replica).min(due_ns), why)
        };
        if until_ns > now_ns { When::At(until_ns) } else { When::Now(why) }
    }

    /// When the turn of a replica has come, if it takes turns with others that are all busy: so
    /// long after the last batch began as one would begin after another on average, if all had
    /// batches as large as the largest of now, and each were as fast as it is.
    pub(crate) fn paced_ns(&self, now_ns: u64, replica: ReplicaId) -> u64 {
        let model = self.replicas[replica].model;
        let others = self.replicas_of(model).iter().filter(|other| **other != replica);
        let others = others.filter(|other| self.is_well(now_ns, **other));
        let mut largest = 0;
        for other in others.clone() {
            let state = &self.replicas[*other];
            if state.in_flight() == 0 {
                // What comes next has a replica too.
                return now_ns;
            }
            largest = largest.max(state.largest());
        }
        if largest == 0 {
            return now_ns;
        }
        let all = others.chain([&replica]);
        let all = all.map(|one| self.replicas[*one].estimate.expected(largest));
        let begun_per_ns: f64 = all.map(|takes_ns| 1.0 / takes_ns as f64).sum();
        let turn_ns = whole_ns(1.0 / begun_per_ns);
        // What is shorter than the way to a replica cannot be kept.
        let is_long = turn_ns >= JUST_IN_TIME_LEAD_NS;
        if is_long { self.models[model].last_sent_ns + turn_ns } else { now_ns }
    }
}

/// The same for one that has a batch.
fn behind_running(now_ns: u64, state: &Replica) -> When {
    let lasts_ns = state.running_for_ns();
    if lasts_ns > JUST_IN_TIME_LEAD_NS * JUST_IN_TIME_LEADS_MAX {
        return When::At(NEVER_NS);
    }
    let free_ns = state.free_ns(now_ns).unwrap_or(NEVER_NS);
    let at_ns = free_ns.saturating_sub(JUST_IN_TIME_LEAD_NS);
    if at_ns > now_ns { When::At(at_ns) } else { When::Now(Why::JustInTime) }
}
