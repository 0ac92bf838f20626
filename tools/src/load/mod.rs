//! Load: requests at their times, answers timed. See [`recording`] for what comes of it.

pub mod recording;

pub use recording::{Outcome, Recording, Sample};
