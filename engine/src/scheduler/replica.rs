//! A replica as the scheduler sees it: what is in flight there, and how fast it is.

use cutter_protocol::tensor::TensorSpec;

use crate::batching::{BatchLimit, ServiceEstimate};

/// A query, wherever it is: its application and its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryRef {
    pub application: u32,
    pub row: u32,
}

/// A batch in flight.
#[derive(Debug, Default)]
pub struct Batch {
    pub queries: Vec<QueryRef>,
    pub dispatched_ns: u64,
    /// Earlier than any other's by this number.
    pub order: u64,
    /// More was waiting when the limit closed the batch.
    pub cut_off: bool,
    pub in_flight: bool,
}

/// One replica slot of a model. Its incarnations come and go.
#[derive(Debug)]
pub struct Replica {
    pub model: usize,
    /// Its place among the replicas of its model.
    pub ordinal: usize,
    pub limit: BatchLimit,
    pub estimate: ServiceEstimate,
    pub incarnation: Option<Incarnation>,
}

/// One life of a replica.
#[derive(Debug)]
pub struct Incarnation {
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
    next_order: u64,
}

impl Incarnation {
    pub fn new(output: TensorSpec, depth: u32, items_max: u32, now_ns: u64) -> Self {
        Self {
            output,
            items_max,
            batches: (0..depth).map(|_| Batch::with_capacity(items_max)).collect(),
            forming: Batch::with_capacity(items_max),
            in_flight: 0,
            last_completion_ns: now_ns,
            alone: false,
            next_order: 0,
        }
    }

    pub fn has_free_ticket(&self) -> bool {
        !self.alone && (self.in_flight as usize) < self.batches.len()
    }

    /// The formed batch goes into flight under a ticket's slot.
    pub fn launch(&mut self, slot: usize, now_ns: u64) {
        std::mem::swap(&mut self.forming, &mut self.batches[slot]);
        let batch = &mut self.batches[slot];
        assert!(!self.forming.in_flight && !batch.queries.is_empty());
        batch.in_flight = true;
        batch.dispatched_ns = now_ns;
        batch.order = self.next_order;
        self.next_order += 1;
        self.in_flight += 1;
    }

    /// Takes a batch out of flight; says when it began, as far as the engine can tell.
    pub fn land(&mut self, slot: usize, now_ns: u64) -> u64 {
        let batch = &mut self.batches[slot];
        assert!(batch.in_flight);
        batch.in_flight = false;
        self.in_flight -= 1;
        self.alone = false;
        let began_ns = batch.dispatched_ns.max(self.last_completion_ns);
        self.last_completion_ns = now_ns;
        began_ns
    }

    /// When the batch that is running now began.
    pub fn running_since_ns(&self) -> Option<u64> {
        let in_flight = self.batches.iter().filter(|batch| batch.in_flight);
        let running = in_flight.min_by_key(|batch| batch.order)?;
        Some(running.dispatched_ns.max(self.last_completion_ns))
    }

    /// How long until everything in flight is done, if it goes as predicted.
    pub fn busy_ns(&self, estimate: &ServiceEstimate, now_ns: u64) -> u64 {
        let Some(since_ns) = self.running_since_ns() else { return 0 };
        let in_flight = self.batches.iter().filter(|batch| batch.in_flight);
        let total_ns: u64 = in_flight
            .map(|batch| estimate.predict(row_count(&batch.queries), now_ns))
            .fold(0, u64::saturating_add);
        total_ns.saturating_sub(now_ns.saturating_sub(since_ns))
    }
}

impl Batch {
    fn with_capacity(items_max: u32) -> Self {
        Self { queries: Vec::with_capacity(items_max as usize), ..Self::default() }
    }
}

pub fn row_count(queries: &[QueryRef]) -> u32 {
    u32::try_from(queries.len()).expect("a batch is bounded by BATCH_ITEMS_MAX")
}
