//! The batches that the models have, as the world and the carrier both see them.

use std::collections::VecDeque;

/// Batches in flight at one replica.
pub const DEPTH: u32 = 2;
/// One replica for each application with a model.
pub const REPLICAS: usize = 3;

/// The two first integers of each input of a batch.
type Inputs = Vec<(i32, i32)>;

/// What the models share with the world.
#[derive(Debug, Default)]
pub struct Batches {
    /// By replica and slot, what is in flight.
    pub in_flight: [[Option<Inputs>; DEPTH as usize]; REPLICAS],
    /// Done, and not yet taken by the engine.
    pub published: VecDeque<(usize, usize)>,
    /// The engine sleeps: whoever publishes rings.
    pub announced: bool,
}

impl Batches {
    pub fn is_idle(&self) -> bool {
        self.in_flight.iter().flatten().all(Option::is_none)
    }

    pub fn has_news(&self) -> bool {
        !self.published.is_empty()
    }

    /// A batch is done. Says whether the engine is to be rung.
    pub fn publish(&mut self, replica: usize, slot: usize) -> bool {
        self.published.push_back((replica, slot));
        std::mem::take(&mut self.announced)
    }
}
