//! One model version: what waits for it, and what its batches may take.
//!
//! Made by the control thread with all of its memory, moved into the core by a change, and given
//! back when it is removed.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::apart::Apart;
use crate::batching::{Cost, DeadlineQueue, Forming, Objective};
use crate::cache::{Cache, CachePlan};
use crate::call::{Place, Waiting};
use crate::failure::FailureNews;
use crate::hedge::{Hedge, HedgePlan};
use crate::ids::ReplicaId;
use crate::limits::{QUEUE_ROOM_PER_ROW, REPLICAS_MAX};
use crate::smoothed;
use crate::stats::ModelStats;

/// Whether a model can be expected to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// A replica is ready, or is being started and may be ready in time: queries wait.
    Expected,
    /// None is ready and none will be soon: queries are answered at once.
    Down,
}

/// The memory in which calls to a model wait.
#[derive(Debug)]
pub struct Room {
    pub(crate) queue: DeadlineQueue<Waiting>,
    pub(crate) apart: Apart,
    /// The rows of the applications for which it suffices: no more calls can be open.
    pub(crate) rows: usize,
}

impl Room {
    /// For applications that have so many rows together.
    pub fn new(rows: usize) -> Self {
        Self { queue: DeadlineQueue::new(Self::in_queue(rows)), apart: Apart::new(rows), rows }
    }

    /// Its bytes.
    pub const fn table_bytes(rows: usize) -> usize {
        DeadlineQueue::<Waiting>::table_bytes(Self::in_queue(rows)) + Apart::table_bytes(rows)
    }

    /// Every open query has a row, so the queue cannot overflow before the pools.
    const fn in_queue(rows: usize) -> usize {
        if rows == 0 { QUEUE_ROOM_PER_ROW } else { QUEUE_ROOM_PER_ROW * rows }
    }
}

/// What a model version is made of.
#[derive(Debug)]
pub struct ModelPlan {
    /// The most batches that one of its replicas holds.
    pub depth: u32,
    /// A batch that runs longer hangs.
    pub batch_timeout_ns: u64,
    pub forming: Forming,
    pub room: Room,
    /// Of one whose outputs are worth keeping.
    pub cache: Option<CachePlan>,
    /// Of one whose late calls are sent to a second replica.
    pub hedge: Option<HedgePlan>,
    pub stats: Arc<ModelStats>,
}

/// A model version.
#[derive(Debug)]
pub struct Model {
    pub(crate) room: Room,
    pub(crate) cache: Option<Box<Cache<Waiting>>>,
    pub(crate) hedge: Option<Box<Hedge>>,
    /// How many in the queue are not dead.
    pub(crate) open_in_queue: usize,
    /// The bytes of their inputs.
    pub(crate) bytes_in_queue: u64,
    pub(crate) failure_news: FailureNews,
    pub(crate) replicas: Vec<ReplicaId>,
    /// Those of them that have an incarnation.
    pub(crate) live_replicas: u32,
    /// How many of them are warmed up.
    pub(crate) warming: u32,
    pub(crate) availability: Availability,
    /// The least and the greatest SLO of the applications that are linked to it.
    pub(crate) tightest_slo_ns: u64,
    pub(crate) loosest_slo_ns: u64,
    pub(crate) depth: u32,
    pub(crate) batch_timeout_ns: u64,
    pub(crate) forming: Forming,
    /// When the last batch was sent, to whichever replica.
    pub(crate) last_sent_ns: u64,
    /// What parsing and replying take of a query's time, smoothed.
    pub(crate) parse_ns: u64,
    pub(crate) reply_ns: u64,
    pub(crate) stats: Arc<ModelStats>,
}

impl Model {
    /// It has no replica and is linked to nothing yet.
    pub fn new(plan: ModelPlan) -> Self {
        let ModelPlan { depth, batch_timeout_ns, forming, room, cache, hedge, stats } = plan;
        Self {
            room,
            cache: cache.map(|plan| Box::new(Cache::new(plan))),
            hedge: hedge.map(|plan| Box::new(Hedge::new(plan))),
            open_in_queue: 0,
            bytes_in_queue: 0,
            failure_news: FailureNews::new(),
            replicas: Vec::with_capacity(REPLICAS_MAX as usize),
            live_replicas: 0,
            warming: 0,
            availability: Availability::Expected,
            tightest_slo_ns: u64::MAX,
            loosest_slo_ns: 1,
            depth,
            batch_timeout_ns,
            forming,
            last_sent_ns: 0,
            parse_ns: 0,
            reply_ns: 0,
            stats,
        }
    }

    /// Open calls that are in no batch.
    pub(crate) fn waiting(&self) -> usize {
        self.open_in_queue + self.room.apart.open()
    }

    /// The size of a call, as it is usual of those in the queue.
    pub(crate) fn mean_size(&self) -> u32 {
        match self.forming.cost {
            Cost::Rows => 1,
            Cost::Bytes => {
                let bytes = self.bytes_in_queue.checked_div(self.open_in_queue as u64);
                u32::try_from(bytes.unwrap_or(0).max(1)).unwrap_or(u32::MAX)
            }
        }
    }

    /// Whether replicas have late batches whose calls another one may take too.
    #[inline]
    pub(crate) fn has_late(&self) -> bool {
        self.hedge.as_deref().is_some_and(Hedge::has_late)
    }

    /// An open call, with an input of so many bytes, went from one place to another, or is over.
    pub(crate) fn moved(&mut self, from: Place, to: Place, bytes: u32) {
        if from == Place::Queue {
            self.bytes_in_queue -= u64::from(bytes);
        }
        if to == Place::Queue {
            self.bytes_in_queue += u64::from(bytes);
        }
        if let Some(open) = self.open_in(from) {
            *open -= 1;
        }
        if let Some(open) = self.open_in(to) {
            *open += 1;
        }
    }

    /// A query was read in this time, its waiting for that included.
    pub(crate) fn parsed(&mut self, parse_ns: u64) {
        self.parse_ns = smoothed(self.parse_ns, parse_ns);
    }

    /// What a batch's service time may be.
    pub(crate) fn objective(&self) -> Objective {
        let live = NonZeroU32::new(self.live_replicas).unwrap_or(NonZeroU32::MIN);
        Objective::of(self.tightest_slo_ns, self.parse_ns + self.reply_ns, live)
    }

    fn open_in(&mut self, place: Place) -> Option<&mut usize> {
        match place {
            Place::Queue => Some(&mut self.open_in_queue),
            Place::Suspects => Some(&mut self.room.apart.open_suspects),
            Place::Retries => Some(&mut self.room.apart.open_retries),
            Place::Nowhere | Place::Batch => None,
        }
    }
}
