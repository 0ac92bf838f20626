//! Time as it is passed in.

/// Tells the time: nanoseconds on the monotonic clock.
pub trait Clock {
    fn now_ns(&self) -> u64;
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
