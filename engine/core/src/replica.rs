//! A replica as the core sees it: what is in flight there, and how fast it is.
//!
//! It is made by the control thread with all of its memory, moved in by a change, and outlives its
//! incarnations, which come and go.

use std::sync::Arc;

use cutter_tensor::TensorSpec;

use crate::batching::{Aimd, BatchLimit, Cost, FailureShare, Lateness, Quantile, ServiceEstimate};
use crate::call::CallRef;
use crate::deadlines::NEVER_NS;
use crate::ids::ModelId;
use crate::limits::{FAILED_PAUSE_NS_MAX, FAILED_PAUSE_NS_MIN, SERVICE_OBJECTIVE_MIN_NS};
use crate::stats::{ReplicaStats, Why};
use crate::warm_up::WarmUp;

/// How the batch limit of a replica is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitPlan {
    /// Adapts to the objective, up to `max`, counted as the model's [`crate::Cost`] is.
    Aimd { max: u32 },
    /// The same by quantile regression.
    Quantile { max: u32 },
    /// Always up to `max`.
    Fixed { max: u32 },
}

impl LimitPlan {
    /// The limit as it is before any batch. Its objective is known when its replica is linked.
    #[must_use]
    pub fn make(self) -> BatchLimit {
        match self {
            Self::Aimd { max } => BatchLimit::Aimd(Aimd::new(max, SERVICE_OBJECTIVE_MIN_NS)),
            Self::Quantile { max } => BatchLimit::Quantile(Box::new(Quantile::new(max))),
            Self::Fixed { max } => BatchLimit::Fixed { max },
        }
    }

    /// The most that it can come to.
    const fn max(self) -> u32 {
        let (Self::Aimd { max } | Self::Quantile { max } | Self::Fixed { max }) = self;
        max
    }
}

/// What a replica is made of.
#[derive(Debug)]
pub struct ReplicaPlan {
    pub model: ModelId,
    /// Its place among the replicas of its model, for people.
    pub ordinal: u32,
    /// The most batches that it holds: the depth of its model.
    pub depth: u32,
    /// The most rows of a batch, whatever its cost.
    pub items_max: u32,
    pub limit: LimitPlan,
    /// The core that it must have for itself while a batch of it runs: it takes turns with others
    /// that say so of the same one.
    pub core: Option<u32>,
    pub stats: Arc<ReplicaStats>,
}

/// Where the calls of a batch come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Source {
    #[default]
    Queue,
    /// They failed, or their container died.
    Apart,
    /// A batch of another replica, which is late.
    Hedge,
    /// There are none: the replica is warmed up.
    Probe,
}

/// A batch in flight.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub calls: Vec<CallRef>,
    pub dispatched_ns: u64,
    /// Earlier than any other's by this number.
    pub order: u64,
    /// The sum of the sizes of its calls, as their model counts them.
    pub size: u32,
    /// More was waiting when the limit closed the batch.
    pub cut_off: bool,
    pub why: Why,
    pub source: Source,
    /// Nothing of it is left to be sent to another replica.
    pub is_copied: bool,
    pub in_flight: bool,
}

/// One replica of a model version.
#[derive(Debug)]
pub struct Replica {
    pub(crate) model: ModelId,
    pub(crate) ordinal: u32,
    pub(crate) limit: BatchLimit,
    /// What the size of a call is, for the limit and the estimate.
    pub(crate) cost: Cost,
    /// The size of a call, as it was usual when the last batch was formed; 1 where rows count.
    pub(crate) mean_size: u32,
    /// The core that it must have for itself.
    pub(crate) core: Option<u32>,
    /// Others must have it too.
    pub(crate) has_mates: bool,
    /// The most that the limit can come to.
    pub(crate) rows_planned: u32,
    /// An incarnation died in its warm-up: no other is warmed up.
    pub(crate) died_warming: bool,
    pub(crate) estimate: ServiceEstimate,
    /// Learns where batches are hedged.
    pub(crate) lateness: Lateness,
    /// How many of the batches of this incarnation fail.
    pub(crate) failures: FailureShare,
    /// Batches that failed since one succeeded.
    pub(crate) failures_in_a_row: u32,
    /// While others can do the work, it gets nothing before.
    pub(crate) pause_until_ns: u64,
    pub(crate) incarnation: Option<Incarnation>,
    /// For the next incarnation, while there is none.
    pub(crate) tables: Option<Tables>,
    pub(crate) stats: Arc<ReplicaStats>,
    /// It is sent nothing any more.
    pub(crate) is_draining: bool,
}

/// The memory for the batches of an incarnation. Each replica has one for all its lives, so that
/// one that comes up takes nothing from the heap.
#[derive(Debug)]
pub(crate) struct Tables {
    /// Indexed by the slot of the ticket.
    batches: Box<[Batch]>,
    forming: Batch,
}

impl Tables {
    pub fn new(depth: u32, items_max: u32) -> Self {
        let batches = (0..depth).map(|_| Batch::with_capacity(items_max)).collect();
        Self { batches, forming: Batch::with_capacity(items_max) }
    }
}

/// One life of a replica.
#[derive(Debug)]
pub(crate) struct Incarnation {
    pub output: TensorSpec,
    pub items_max: u32,
    /// Indexed by the slot of the ticket.
    pub batches: Box<[Batch]>,
    /// The batch that was formed and has no ticket yet.
    pub forming: Batch,
    pub in_flight: u32,
    /// When the last batch came back: the next one could not begin before.
    pub last_completion_ns: u64,
    /// A suspect is in flight: nothing may share its fate.
    pub alone: bool,
    /// Its last batch did not come from the queue: the next one does, if there is any.
    pub apart_was_last: bool,
    /// It was asked for a batch, and formed none of what waits.
    pub has_declined: bool,
    /// When a batch that was put off may be formed; never, if none was.
    pub form_at_ns: u64,
    /// It gets no query before this is over.
    pub warm_up: Option<WarmUp>,
    next_order: u64,
}

impl Incarnation {
    pub fn new(output: TensorSpec, items_max: u32, now_ns: u64, tables: Tables) -> Self {
        let Tables { batches, forming } = tables;
        Self {
            output,
            items_max,
            batches,
            forming,
            in_flight: 0,
            last_completion_ns: now_ns,
            alone: false,
            apart_was_last: false,
            has_declined: false,
            form_at_ns: NEVER_NS,
            warm_up: None,
            next_order: 0,
        }
    }

    /// The incarnation is over: its tables go to the next.
    pub fn into_tables(self) -> Tables {
        let Self { mut batches, mut forming, .. } = self;
        for batch in batches.iter_mut().chain([&mut forming]) {
            batch.calls.clear();
            batch.in_flight = false;
        }
        Tables { batches, forming }
    }

    pub fn has_free_ticket(&self) -> bool {
        !self.alone && (self.in_flight as usize) < self.batches.len()
    }

    /// The formed batch goes into flight under a ticket's slot.
    pub fn begin_batch(&mut self, slot: usize, now_ns: u64) {
        std::mem::swap(&mut self.forming, &mut self.batches[slot]);
        let batch = &mut self.batches[slot];
        let has_rows = batch.source == Source::Probe || !batch.calls.is_empty();
        assert!(!self.forming.in_flight && has_rows);
        batch.in_flight = true;
        batch.dispatched_ns = now_ns;
        batch.order = self.next_order;
        self.next_order += 1;
        self.in_flight += 1;
    }

    /// Takes a batch out of flight; says when it began, as far as the engine can tell.
    pub fn end_batch(&mut self, slot: usize, now_ns: u64) -> u64 {
        let batch = &mut self.batches[slot];
        assert!(batch.in_flight);
        batch.in_flight = false;
        self.in_flight -= 1;
        self.alone = false;
        let began_ns = batch.dispatched_ns.max(self.last_completion_ns);
        self.last_completion_ns = now_ns;
        began_ns
    }

    /// When the batch that is running now counts as hanging.
    pub fn hangs_ns(&self, batch_timeout_ns: u64) -> Option<u64> {
        let since_ns = self.running_since_ns()?;
        Some(since_ns.saturating_add(batch_timeout_ns).saturating_add(1))
    }

    /// When the batch that is running now began.
    pub fn running_since_ns(&self) -> Option<u64> {
        self.running().map(|(_, since_ns)| since_ns)
    }

    /// The batch that is running now, and when it began.
    pub fn running(&self) -> Option<(&Batch, u64)> {
        let in_flight = self.batches.iter().filter(|batch| batch.in_flight);
        let running = in_flight.min_by_key(|batch| batch.order)?;
        Some((running, running.dispatched_ns.max(self.last_completion_ns)))
    }

    /// The rows of one of its batches.
    pub fn rows_of(&self, batch: &Batch) -> u32 {
        let probed = self.warm_up.filter(|_| batch.source == Source::Probe);
        probed.map_or_else(|| row_count(&batch.calls), |warm_up| warm_up.rows)
    }

    /// How long until everything in flight is done, if it goes as predicted.
    pub fn busy_ns(&self, estimate: &ServiceEstimate, now_ns: u64) -> u64 {
        let Some(since_ns) = self.running_since_ns() else { return 0 };
        let in_flight = self.batches.iter().filter(|batch| batch.in_flight);
        let total_ns: u64 =
            in_flight.map(|batch| estimate.expected(batch.size)).fold(0, u64::saturating_add);
        total_ns.saturating_sub(now_ns.saturating_sub(since_ns))
    }
}

impl Replica {
    /// Without an incarnation.
    pub fn new(plan: ReplicaPlan) -> Self {
        let ReplicaPlan { model, ordinal, depth, items_max, limit, core, stats } = plan;
        Self {
            model,
            ordinal,
            limit: limit.make(),
            cost: Cost::Rows,
            mean_size: 1,
            core,
            has_mates: false,
            rows_planned: items_max.min(limit.max()),
            died_warming: false,
            estimate: ServiceEstimate::new(1),
            lateness: Lateness::default(),
            failures: FailureShare::default(),
            failures_in_a_row: 0,
            pause_until_ns: 0,
            incarnation: None,
            tables: Some(Tables::new(depth, items_max)),
            stats,
            is_draining: false,
        }
    }

    /// The bytes of the tables for its batches.
    pub const fn table_bytes(depth: u32, items_max: u32) -> usize {
        // Those in flight, and the one that is being formed.
        let batches = depth as usize + 1;
        batches * (size_of::<Batch>() + items_max as usize * size_of::<CallRef>())
    }

    /// The incarnation, if it takes queries.
    #[inline]
    pub(crate) fn serving(&self) -> Option<&Incarnation> {
        self.incarnation.as_ref().filter(|life| life.warm_up.is_none())
    }

    /// Tickets in flight.
    pub(crate) fn in_flight(&self) -> u32 {
        self.incarnation.as_ref().map_or(0, |life| life.in_flight)
    }

    /// A new incarnation. It holds what was planned for, or its tables have to be made first.
    pub(crate) fn begin(&mut self, output: TensorSpec, depth: u32, items_max: u32, now_ns: u64) {
        assert!(self.incarnation.is_none());
        let planned = self.tables.take().filter(|tables| tables.batches.len() == depth as usize);
        let tables = planned.unwrap_or_else(|| Tables::new(depth, items_max));
        self.incarnation = Some(Incarnation::new(output, items_max, now_ns, tables));
        self.estimate.reset();
        self.lateness.reset();
        self.failures.reset();
        (self.failures_in_a_row, self.pause_until_ns) = (0, 0);
    }

    /// Tells how a batch ended. After each but the first of several failures in a row, the replica
    /// is held back for twice as long as after the one before.
    pub(crate) fn observe(&mut self, failed: bool, now_ns: u64) {
        self.failures.observe(failed);
        if !failed {
            (self.failures_in_a_row, self.pause_until_ns) = (0, 0);
            return;
        }
        let doublings = self.failures_in_a_row.checked_sub(1);
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        if let Some(doublings) = doublings {
            let pause_ns = FAILED_PAUSE_NS_MIN.saturating_mul(1 << doublings.min(u32::BITS));
            self.pause_until_ns = now_ns.saturating_add(pause_ns.min(FAILED_PAUSE_NS_MAX));
        }
    }

    /// When the batch that is running now is late by the history of this replica.
    pub(crate) fn late_ns(&self) -> Option<u64> {
        let (running, since_ns) = self.serving()?.running()?;
        let learnt_ns = self.estimate.learnt(running.size)?;
        let after_ns = self.lateness.late_after_ns(learnt_ns)?;
        Some(since_ns.saturating_add(after_ns).saturating_add(1))
    }

    /// Sizes are counted in another way: what was learned of them is forgotten.
    pub(crate) fn set_cost(&mut self, cost: Cost) {
        if self.cost != cost {
            (self.cost, self.mean_size) = (cost, 1);
            self.estimate.reset();
            self.lateness.reset();
        }
    }

    /// When it has done all that is in flight, if it goes as expected: now, if there is nothing.
    /// `None` when it is not up, or takes nothing any more.
    pub(crate) fn free_ns(&self, now_ns: u64) -> Option<u64> {
        let life = self.serving().filter(|_| !self.is_draining)?;
        Some(now_ns.saturating_add(life.busy_ns(&self.estimate, now_ns)))
    }

    /// What the batch that is running is expected to take in all; 0 when there is none.
    pub(crate) fn running_for_ns(&self) -> u64 {
        let running = self.incarnation.as_ref().and_then(Incarnation::running);
        running.map_or(0, |(batch, _)| self.estimate.expected(batch.size))
    }

    /// The size of the largest batch in flight that has several rows; 0 when there is none.
    pub(crate) fn largest(&self) -> u32 {
        let batches = self.incarnation.iter().flat_map(|life| &life.batches);
        let several = batches.filter(|batch| batch.in_flight && batch.calls.len() > 1);
        several.map(|batch| batch.size).max().unwrap_or(0)
    }

    /// What a batch of so many rows will take, most likely; 0 when nothing is known.
    pub(crate) fn expected_ns(&self, rows: u32) -> u64 {
        self.estimate.expected(self.size_of(rows))
    }

    /// What a batch of so many rows will take at most, in nearly all cases. How large a batch may
    /// be is decided with this.
    pub(crate) fn predicted_ns(&self, rows: u32) -> u64 {
        self.estimate.worst(self.size_of(rows))
    }

    /// The same, less what has been forgotten since its last batch. Whether it is sent anything at
    /// all is decided with this, so that it can show that it is fast again.
    pub(crate) fn healed_ns(&self, rows: u32, now_ns: u64) -> u64 {
        self.estimate.predict(self.size_of(rows), now_ns)
    }

    /// What so many rows are as a size, if they are as large as usual.
    pub(crate) fn size_of(&self, rows: u32) -> u32 {
        rows.saturating_mul(self.mean_size)
    }

    /// The most rows of its next batch. One that fails gets them one by one, so that a good input
    /// does not suffer for a bad one, and what fails need not be taken apart.
    pub(crate) fn rows_max(&self) -> u32 {
        let limit = (self.limit.limit() / self.mean_size).max(1);
        limit.min(self.items_max())
    }

    /// The most rows that its container takes now.
    pub(crate) fn items_max(&self) -> u32 {
        let items_max = self.incarnation.as_ref().map_or(1, |life| life.items_max);
        if self.failures.is_failing() { 1 } else { items_max }
    }
}

impl Batch {
    fn with_capacity(items_max: u32) -> Self {
        Self { calls: Vec::with_capacity(items_max as usize), ..Self::default() }
    }

    /// It is formed anew.
    pub fn begin(&mut self) {
        self.calls.clear();
        self.size = 0;
        (self.cut_off, self.is_copied, self.source) = (false, false, Source::Queue);
        self.why = Why::Idle;
    }
}

pub(crate) fn row_count(calls: &[CallRef]) -> u32 {
    u32::try_from(calls.len()).expect("a batch is bounded by BATCH_ITEMS_MAX")
}
