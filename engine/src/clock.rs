//! Time as it is passed in.

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
        cutter_protocol::clock::monotonic_ns()
    }
}
