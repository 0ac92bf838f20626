//! How far the warm-up of an incarnation has come, and whether it goes on.
//!
//! Who sends the probes is `warming`.

use crate::limits::{WARM_UP_GROWTH, WARM_UP_NS_MAX};

/// The warm-up of an incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WarmUp {
    /// Those of the probe that is in flight, or is to be sent next.
    pub rows: u32,
    /// Probes that came back.
    pub probes: u32,
    /// The service times of all but the first.
    spent_ns: u64,
}

/// What bounds a warm-up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub rows_max: u32,
    /// What a batch should take at most.
    pub objective_ns: u64,
    /// A batch that takes longer counts as hanging.
    pub batch_timeout_ns: u64,
}

impl WarmUp {
    pub const START: Self = Self { rows: 1, probes: 0, spent_ns: 0 };

    /// Whether the probe that came back last is the first: it teaches nothing.
    pub fn is_first(&self) -> bool {
        self.probes == 1
    }

    /// A probe came back after so long, and was not the first: the next one is larger. Says whether
    /// there is to be one.
    pub fn goes_on(&mut self, service_ns: u64, bounds: &Bounds) -> bool {
        let tried = self.rows;
        self.rows = tried.saturating_mul(WARM_UP_GROWTH).min(bounds.rows_max);
        self.spent_ns = self.spent_ns.saturating_add(service_ns);
        // So many times as many rows take no longer than so many times as long.
        let next_ns = service_ns.saturating_mul(u64::from(WARM_UP_GROWTH));
        tried < bounds.rows_max
            && service_ns <= bounds.objective_ns
            && next_ns <= bounds.batch_timeout_ns
            && self.spent_ns < WARM_UP_NS_MAX
    }
}
