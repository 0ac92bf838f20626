//! Wakes for nothing: how many of them a replica may cause.

use crate::limits::WAKES_WITHOUT_NEWS_PER_SECOND;

/// Wakes without news that a replica has caused, as a bucket with a leak.
///
/// A replica may ring once for each completion, and the engine may have taken that completion
/// before it hears the bell: so a completion pays for one wake. What is not paid for leaks away at
/// [`WAKES_WITHOUT_NEWS_PER_SECOND`]. Above `WAKES_WITHOUT_NEWS_MAX` the replica floods, whatever
/// else it does.
#[derive(Debug)]
pub(super) struct IdleWakes {
    pub level: u32,
    /// What has leaked until then is off the level already.
    leaked_until_ns: u64,
}

const LEAK_NS: u64 = 1_000_000_000 / WAKES_WITHOUT_NEWS_PER_SECOND;

impl IdleWakes {
    pub fn new(now_ns: u64) -> Self {
        Self { level: 0, leaked_until_ns: now_ns }
    }

    pub fn credit(&mut self) {
        self.level = self.level.saturating_sub(1);
    }

    /// Counts one, and gives the level.
    pub fn count(&mut self, now_ns: u64) -> u32 {
        let leaks = now_ns.saturating_sub(self.leaked_until_ns) / LEAK_NS;
        self.leaked_until_ns += leaks * LEAK_NS;
        self.level = self.level.saturating_sub(u32::try_from(leaks).unwrap_or(u32::MAX));
        self.level = self.level.saturating_add(1);
        self.level
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::WAKES_WITHOUT_NEWS_MAX;

    const SECOND_NS: u64 = 1_000_000_000;

    /// The highest level while this many wakes a second come for ten seconds, each with so many
    /// completions.
    fn highest(wakes_per_second: u64, completions_per_wake: u32) -> u32 {
        let mut wakes = IdleWakes::new(SECOND_NS);
        (0..10 * wakes_per_second)
            .map(|wake| {
                (0..completions_per_wake).for_each(|_| wakes.credit());
                wakes.count(SECOND_NS + wake * SECOND_NS / wakes_per_second)
            })
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn a_replica_that_rings_once_for_each_completion_never_floods() {
        assert_eq!(highest(100_000, 1), 1);
    }

    #[test]
    fn a_replica_that_serves_and_rings_all_the_time_floods() {
        let mut wakes = IdleWakes::new(0);
        let mut flooded = false;
        // A bell each 10 us, and a completion with every hundredth.
        for wake in 0..2_000 {
            if wake % 100 == 0 {
                wakes.credit();
            }
            flooded |= wakes.count(wake * 10_000) > WAKES_WITHOUT_NEWS_MAX;
        }
        assert!(flooded);
    }

    #[test]
    fn a_few_wakes_for_nothing_are_forgiven_for_ever() {
        assert!(highest(WAKES_WITHOUT_NEWS_PER_SECOND, 0) <= 2);
        assert!(highest(2 * WAKES_WITHOUT_NEWS_PER_SECOND, 0) > WAKES_WITHOUT_NEWS_MAX);
    }

    #[test]
    fn a_clock_that_stands_still_or_a_pause_of_years_does_no_harm() {
        let mut wakes = IdleWakes::new(SECOND_NS);
        assert_eq!((wakes.count(0), wakes.count(SECOND_NS)), (1, 2));
        assert_eq!(wakes.count(u64::MAX), 1);
    }
}
