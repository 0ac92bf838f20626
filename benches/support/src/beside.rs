//! What is done while a load goes on, by a thread of its own, at times of the load's schedule.

use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{scope, sleep};
use std::time::Duration;

use cutter_machine::clock::monotonic_ns;
use cutter_tools::floor::cores::pin;
use cutter_tools::load::{Progress, Recording};

/// How often it looks whether the schedule has begun.
const LOOK: Duration = Duration::from_micros(500);

/// The clock of a load's schedule.
#[derive(Clone, Copy, Debug)]
pub struct LoadClock {
    start_ns: u64,
}

impl LoadClock {
    /// Until so long after the start of the schedule; at once when that is over.
    pub fn sleep_until(self, at_ns: u64) {
        sleep(Duration::from_nanos((self.start_ns + at_ns).saturating_sub(monotonic_ns())));
    }
}

/// Runs a load, and on this core `other`, from when the schedule begins. A load that cannot begin
/// fails without it.
pub fn load_beside<T: Send>(
    cpu: usize,
    load: impl FnOnce(&Progress) -> io::Result<Recording>,
    other: impl FnOnce(LoadClock) -> io::Result<T> + Send,
) -> io::Result<(Recording, T)> {
    let progress = Progress::default();
    scope(|scope| {
        let other = scope.spawn(|| {
            pin(cpu)?;
            match start_of(&progress) {
                Some(clock) => other(clock).map(Some),
                None => Ok(None),
            }
        });
        let recording = load(&progress);
        // One that waits for the schedule to begin waits no longer.
        progress.interrupt();
        let other =
            other.join().map_err(|_| io::Error::other("a thread beside a load panicked"))?;
        let recording = recording?;
        let other = other?.ok_or_else(|| io::Error::other("a load ended before it began"));
        Ok((recording, other?))
    })
}

fn start_of(progress: &Progress) -> Option<LoadClock> {
    loop {
        // Before the look at the start: one that has begun and ended between the two has begun.
        let is_over = progress.is_interrupted();
        // Pairs with: the store of the sending thread before its first request.
        let start_ns = progress.start_ns.load(Relaxed);
        if start_ns > 0 {
            return Some(LoadClock { start_ns });
        }
        if is_over {
            return None;
        }
        sleep(LOOK);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails here")]
mod tests {
    use super::*;

    #[test]
    fn what_is_beside_a_load_begins_with_its_schedule() {
        let begin_ns = monotonic_ns();
        let load = |progress: &Progress| {
            progress.start_ns.store(begin_ns, Relaxed);
            Ok(Recording::default())
        };
        let cpu = cutter_machine::affinity::allowed().unwrap()[0];
        let (_, woke_ns) = load_beside(cpu, load, |clock| {
            clock.sleep_until(3_000_000);
            Ok(monotonic_ns())
        })
        .unwrap();
        assert!(woke_ns >= begin_ns + 3_000_000);
    }

    #[test]
    fn a_load_that_cannot_begin_is_told_and_nothing_is_done_beside_it() {
        let cpu = cutter_machine::affinity::allowed().unwrap()[0];
        let refused = |_: &Progress| Err(io::Error::other("refused"));
        let error = load_beside(cpu, refused, |_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "refused");
    }
}
