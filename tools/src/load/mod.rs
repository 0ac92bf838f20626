//! Load: requests at their times, answers timed.
//!
//! ```text
//!  Plan ──▶ sender (one pinned thread) ──▶ Recording ──▶ analysis ──▶ LoadResult
//!           pacing: what is due             raw samples    warm-up cut, quantiles, audit
//!           links: connections
//!           book: a line for each request
//! ```

pub mod analysis;
mod audit;
mod book;
mod links;
mod pacing;
mod plan;
mod print;
pub mod recording;
mod sender;
#[cfg(test)]
mod tests;

use std::num::NonZero;
use std::thread;

pub use plan::{LoadError, Pace, Plan, Progress, Wait, connections_for};
pub use recording::{GeneratorUse, Outcome, Recording, Sample};

/// Runs a plan on a thread of its own, and returns when every request that was sent has been
/// answered or given up.
///
/// # Errors
/// When the server cannot be connected to at first, or the thread cannot be had as it was asked
/// for. What goes wrong later is part of the recording.
pub fn run(plan: &Plan, progress: &Progress) -> Result<Recording, LoadError> {
    let send = || {
        if let Some(cpu) = plan.cpu {
            cutter_machine::affinity::pin_current(cpu)?;
        }
        // Sleeps end when they should and not up to 50 µs later. Refused, they end later.
        let _ = rustix::thread::set_current_timer_slack(NonZero::new(1));
        let before_ns = delayed_ns();
        let mut recording = sender::run(plan, progress)?;
        let delayed_ns = delayed_ns().zip(before_ns).map(|(after, before)| after - before);
        recording.generator.delayed_ns = delayed_ns;
        Ok(recording)
    };
    thread::scope(|scope| {
        let sender = thread::Builder::new().name("sender".to_owned()).spawn_scoped(scope, send);
        let sender = sender.map_err(|_| LoadError::Thread)?;
        sender.join().map_err(|_| LoadError::Thread)?
    })
}

/// How long the calling thread has stood ready while its core ran others.
fn delayed_ns() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().nth(1)?.parse().ok()
}
