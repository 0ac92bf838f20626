//! The clock that engine and containers share: monotonic, in nanoseconds.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds on `CLOCK_MONOTONIC`.
#[inline]
#[expect(clippy::cast_sign_loss, reason = "the monotonic clock is never negative")]
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
