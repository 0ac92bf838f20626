//! Calls: one question of one query to one model version.
//!
//! A call waits in the queue of its model, rides in batches, and ends with an output or a failure.
//! It is in one place at a time, but for a hedged one, which may be in two batches.
//! The calls of a query share its row, and lie beside it: the n-th for the n-th model asked.

use crate::cache::EntryId;
use crate::ids::{ApplicationId, Id, ModelId};

/// A call, wherever it is: its query, and which of the query's calls it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallRef {
    pub application: ApplicationId,
    pub row: u32,
    /// Its place among the models that the query asks.
    pub link: u32,
}

/// An entry where a call waits. It is dead when the query that has this number is closed, or the
/// call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub call: CallRef,
    pub query_id: u64,
}

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On its way from one place to another, or over.
    Nowhere,
    /// In the queue of its model.
    Queue,
    /// Among those that were in flight when a container died.
    Suspects,
    /// Among those whose batch failed.
    Retries,
    /// In a batch in flight, or two, or in one that is being formed.
    Batch,
}

/// What is known of a call that comes back from a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Back {
    /// Somebody waits for it.
    pub is_awaited: bool,
    /// Another batch has it still.
    pub has_copy: bool,
}

impl Back {
    /// Whether somebody waits for it, and it is nowhere: it is the caller's matter.
    pub fn is_stranded(self) -> bool {
        self.is_awaited && !self.has_copy
    }
}

/// What is known of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub model: ModelId,
    /// The place of the application's pool in the pool table of the model's replicas.
    pub pool: u32,
    /// The place of the model among those linked when the query was opened.
    pub arm: u8,
    /// What it leads in the model's cache: who joined waits for its output.
    pub entry: Option<EntryId>,
    pub admitted_ns: u64,
    pub place: Place,
    /// In how many batches it is: in two while it is hedged.
    pub batches: u8,
    /// It was sent twice: it is not again.
    pub is_hedged: bool,
    /// One of two batches has brought its output: what the other brings changes nothing.
    pub is_heard: bool,
    /// It may still bring an output.
    pub is_pending: bool,
    /// Containers that died with it in flight.
    pub crashes: u8,
    /// Batches that failed with it in them.
    pub failures: u8,
    /// Whether a batch of it alone has failed.
    pub failed_alone: bool,
}

impl Call {
    pub const VACANT: Self = Self {
        model: Id::new(u32::MAX, u32::MAX),
        pool: 0,
        arm: 0,
        entry: None,
        admitted_ns: 0,
        place: Place::Nowhere,
        batches: 0,
        is_hedged: false,
        is_heard: false,
        is_pending: false,
        crashes: 0,
        failures: 0,
        failed_alone: false,
    };
}

/// An entry whose leader has ended without an output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeftOver {
    pub model: ModelId,
    pub entry: EntryId,
}
