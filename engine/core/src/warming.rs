//! Warm-up: a new incarnation is tried before queries depend on it.
//!
//! A container may say that its model can be asked what nobody wants to know. Its incarnation then
//! gets *probes* before it counts as up: batches of a row that is no query's and holds nothing but
//! zeros ([`Pool::blank`]), one at a time and each larger than the one before.
//!
//! ```text
//!   replica_up ▸ warm_up ▸ 1 ▸ 1 ▸ 2 ▸ 4 ▸ 8 ▸ … ▸ up
//!                          └ teaches nothing: a first call may load and compile for long
//! ```
//!
//! Their service times teach the replica's estimate and raise its batch limit to what was in time,
//! so that the first second under load finds both as if they had seen load before. Probes end with
//! the largest batch, or with one that took longer than a batch should, or so long that the next
//! could count as hanging, or when all together have taken [`WARM_UP_NS_MAX`] ([`WarmUp`]).
//!
//! Invariants:
//! - While it is warmed up, an incarnation has one batch in flight at most, which is a probe; it
//!   has no query, and nobody counts on it ([`Replica::serving`]).
//! - A probe is in no statistics but its own, and teaches nothing of failures: one that fails ends
//!   the warm-up, and the replica is up as it would be without.
//! - One that hangs or kills is a hang and a death as any other. But no later incarnation of that
//!   replica is warmed up: one that cannot bear zeros may well serve what it is asked.
//!
//! [`Pool::blank`]: crate::rows::Pool::blank
//! [`WARM_UP_NS_MAX`]: crate::limits::WARM_UP_NS_MAX
//! [`Replica::serving`]: crate::replica::Replica::serving

use cutter_tensor::{Item, RowRef};

use crate::batching::Cost;
use crate::dispatch::{BatchPlan, BatchResults, ItemResults};
use crate::failure::Death;
use crate::ids::{ModelId, ReplicaId};
use crate::limits::FAILURE_TEXT_BYTES_MAX;
use crate::replica::Source;
use crate::warm_up::{Bounds, WarmUp};
use crate::{Availability, Core};

const DIED_WARMING: &[u8] = b"an incarnation of this replica died of a probe";

/// A warm-up is over, and its incarnation is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warmed {
    pub replica: ReplicaId,
    /// Probes that came back.
    pub probes: u32,
    /// Why there were no more probes, if something went wrong: what the model said of the one that
    /// failed, or that an earlier incarnation died of one. Cut off after
    /// [`FAILURE_TEXT_BYTES_MAX`]; it may be empty, and it may hold any bytes.
    pub failure: Option<Box<[u8]>>,
}

impl Core {
    /// An incarnation that has just come up is to be warmed up first, unless one before it died of
    /// that.
    pub fn warm_up(&mut self, replica: ReplicaId) {
        let state = &mut *self.replicas[replica];
        let life = state.incarnation.as_mut().expect("one that has just come up");
        assert!(life.in_flight == 0 && life.warm_up.is_none(), "it serves already");
        if state.died_warming {
            let failure = Some(DIED_WARMING.into());
            return self.warmed.push(Warmed { replica, probes: 0, failure });
        }
        life.warm_up = Some(WarmUp::START);
        state.stats.up.set(0);
        self.models[state.model].warming += 1;
    }

    /// A warm-up that is over. Each incarnation that is warmed up and lives on is told once.
    pub fn take_warmed(&mut self) -> Option<Warmed> {
        self.warmed.pop()
    }

    /// Whether a replica is warmed up: it gets probes and nothing else.
    #[inline]
    pub(crate) fn is_warming(&self, replica: ReplicaId) -> bool {
        let life = &self.replicas[replica].incarnation;
        life.as_ref().is_some_and(|life| life.warm_up.is_some())
    }

    /// Whether a replica of a model waits for its next probe.
    #[inline]
    pub(crate) fn has_probe_due(&self, model: ModelId) -> bool {
        let model = &self.models[model];
        model.warming > 0 && model.replicas.iter().any(|replica| self.is_probe_due(*replica))
    }

    /// Forms the next probe of a replica that is warmed up.
    pub(crate) fn next_probe(
        &mut self,
        now_ns: u64,
        replica: ReplicaId,
        rows: &mut Vec<RowRef>,
    ) -> Option<BatchPlan> {
        if !self.is_probe_due(replica) {
            return None;
        }
        let model = self.replicas[replica].model;
        let Some(blank) = self.blank_row(model) else {
            // Nobody asks the model, so nobody says what an input is.
            self.end_warm_up(replica, None);
            return None;
        };
        let life = self.replicas[replica].incarnation.as_mut()?;
        let count = life.warm_up?.rows;
        life.forming.begin();
        life.forming.source = Source::Probe;
        rows.clear();
        rows.extend(std::iter::repeat_n(blank, count as usize));
        let deadline_ns = now_ns.saturating_add(self.models[model].objective().usual_ns);
        Some(BatchPlan { deadline_ns })
    }

    /// The probe just formed is in flight under a ticket with this slot.
    pub(crate) fn sent_probe(&mut self, now_ns: u64, replica: ReplicaId, slot: u32) {
        let state = &mut *self.replicas[replica];
        let life = state.incarnation.as_mut().expect("a probe was formed for it");
        life.begin_batch(slot as usize, now_ns);
        if let Some(hangs_ns) = life.hangs_ns(self.models[state.model].batch_timeout_ns) {
            self.deadlines.lower(Self::owner_of_replica(replica), hangs_ns);
        }
    }

    /// A probe came back. What it brought is dropped, but for how long it took.
    pub(crate) fn complete_probe<I: ItemResults>(
        &mut self,
        (seen_ns, now_ns): (u64, u64),
        replica: ReplicaId,
        slot: u32,
        results: &BatchResults<'_, I>,
    ) {
        let state = &mut *self.replicas[replica];
        let life = state.incarnation.as_mut().expect("a probe was in flight there");
        let began_ns = life.end_batch(slot as usize, seen_ns);
        let service_ns = seen_ns.saturating_sub(began_ns);
        let rows_max = life.items_max.min(state.rows_planned);
        let warm_up = life.warm_up.as_mut().expect("only probes were sent there");
        let rows = warm_up.rows;
        warm_up.probes += 1;
        if let Some(text) = failure_of(results, rows) {
            return self.end_warm_up(replica, Some(text));
        }
        if warm_up.is_first() {
            return;
        }
        let model = &self.models[state.model];
        let (objective, batch_timeout_ns) = (model.objective(), model.batch_timeout_ns);
        let bounds = Bounds { rows_max, objective_ns: objective.usual_ns, batch_timeout_ns };
        let goes_on = warm_up.goes_on(service_ns, &bounds);
        state.limit.set_objective(objective);
        // Where bytes count, one row of zeros says nothing of what inputs are.
        if state.cost == Cost::Rows {
            state.estimate.observe(rows, service_ns, now_ns);
            state.limit.observe(rows, true, service_ns);
        }
        if !goes_on {
            self.end_warm_up(replica, None);
        }
    }

    /// An incarnation that may have been warmed up is gone.
    pub(crate) fn warms_no_more(
        &mut self,
        replica: ReplicaId,
        warm_up: Option<WarmUp>,
        death: Death,
    ) {
        let state = &mut *self.replicas[replica];
        if warm_up.is_some() {
            let model = &mut *self.models[state.model];
            model.warming -= 1;
            if death == Death::Crash {
                state.died_warming = true;
                model.stats.warm_ups_failed.increment();
            }
        }
        self.warmed.retain(|warmed| warmed.replica != replica);
    }

    /// From now on it is up.
    fn end_warm_up(&mut self, replica: ReplicaId, failure: Option<Box<[u8]>>) {
        let state = &mut *self.replicas[replica];
        let life = state.incarnation.as_mut().expect("it is warmed up");
        let WarmUp { probes, .. } = life.warm_up.take().expect("it is warmed up");
        state.stats.up.set(1);
        let model = &mut *self.models[state.model];
        model.warming -= 1;
        model.availability = Availability::Expected;
        if failure.is_some() {
            model.stats.warm_ups_failed.increment();
        }
        self.warmed.push(Warmed { replica, probes, failure });
    }

    fn is_probe_due(&self, replica: ReplicaId) -> bool {
        let state = &self.replicas[replica];
        let life = state.incarnation.as_ref().filter(|_| !state.is_draining);
        life.is_some_and(|life| life.warm_up.is_some() && life.in_flight == 0)
    }

    /// A row of zeros that the replicas of a model can read: of one of the applications that ask
    /// it.
    fn blank_row(&self, model: ModelId) -> Option<RowRef> {
        self.applications.iter().find_map(|(_, state)| {
            let link = state.links.models.iter().find(|link| link.model == model)?;
            let (row, bytes) = state.pool.blank()?;
            Some(RowRef { pool: link.pool, row, bytes })
        })
    }
}

/// Why a probe of so many rows failed, if it did.
fn failure_of<I: ItemResults>(results: &BatchResults<'_, I>, rows: u32) -> Option<Box<[u8]>> {
    let cut = |text: &[u8]| text[..text.len().min(FAILURE_TEXT_BYTES_MAX)].into();
    match results {
        BatchResults::Failed(message) => Some(cut(message)),
        BatchResults::Items(items) => (0..rows as usize).find_map(|item| match items.get(item) {
            Item::Failed(message) => Some(cut(message)),
            Item::Output(_) => None,
        }),
    }
}
