//! When a replica is started again. Pure: how long an incarnation was up is passed in.

use std::time::Duration;

use crate::limits::{
    BACK_OFF_NS_MAX, BACK_OFF_NS_MIN, BACK_OFF_RESET_UP_NS, RESTART_AT_ONCE_UP_NS,
};

/// The failures of one replica that still count.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    failures: u32,
}

impl BackOff {
    /// How long to wait after an incarnation that was up for `up_ns`; 0 if it was never ready.
    pub(super) fn after(&mut self, up_ns: u64) -> Duration {
        if up_ns >= BACK_OFF_RESET_UP_NS {
            self.failures = 0;
        }
        let at_once = self.failures == 0 && up_ns >= RESTART_AT_ONCE_UP_NS;
        let doubled_ns = 1u64.checked_shl(self.failures).unwrap_or(u64::MAX);
        let pause_ns = BACK_OFF_NS_MIN.saturating_mul(doubled_ns).min(BACK_OFF_NS_MAX);
        self.failures = self.failures.saturating_add(1);
        Duration::from_nanos(if at_once { 0 } else { pause_ns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn pauses_ms(ups_ns: &[u64]) -> Vec<u128> {
        let mut back_off = BackOff::default();
        ups_ns.iter().map(|up_ns| back_off.after(*up_ns).as_millis()).collect()
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses = pauses_ms(&[0; 10]);
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
    }

    #[test]
    fn what_was_up_for_a_while_is_started_again_at_once_but_only_once() {
        assert_eq!(pauses_ms(&[SECOND_NS, SECOND_NS, 0]), [0, 200, 400]);
    }

    #[test]
    fn what_was_up_for_long_has_its_failures_forgotten() {
        assert_eq!(pauses_ms(&[0, 0, 10 * SECOND_NS, 0]), [100, 200, 0, 200]);
    }

    #[test]
    fn failures_without_end_neither_overflow_nor_wait_longer() {
        let mut back_off = BackOff { failures: u32::MAX };
        assert_eq!(back_off.after(0).as_secs(), 10);
        assert_eq!(back_off.after(0).as_secs(), 10);
    }
}
