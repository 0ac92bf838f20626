//! Time as it is passed in: the machine's clock, and the seam where a simulated one takes its
//! place.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds on `CLOCK_MONOTONIC`.
#[inline]
#[expect(clippy::cast_sign_loss, reason = "the monotonic clock is never negative")]
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Tells the time: nanoseconds on the monotonic clock.
pub trait Clock {
    fn now_ns(&self) -> u64;

    /// Seconds since 1970, for the dates of answers.
    fn unix_seconds(&self) -> u64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(0, |since| since.as_secs())
    }
}

/// The machine's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock;

impl Clock for MonotonicClock {
    #[inline]
    fn now_ns(&self) -> u64 {
        monotonic_ns()
    }
}
