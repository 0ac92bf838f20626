//! A bound on the lines of the log that a peer can cause: so many in a window of time. What is
//! beyond is counted, and the count is said. Pure: time is passed in.

/// Lines of one kind.
#[derive(Clone, Debug)]
pub(super) struct Limiter {
    lines_max: u32,
    window_ns: u64,
    /// When this window began.
    since_ns: u64,
    shown: u32,
    suppressed: u64,
}

impl Limiter {
    pub(super) const fn new(lines_max: u32, window_ns: u64) -> Self {
        Self { lines_max, window_ns, since_ns: 0, shown: 0, suppressed: 0 }
    }

    /// Whether one more line is shown. A window ends only by [`Limiter::take_suppressed`] or here.
    pub(super) fn admits(&mut self, now_ns: u64) -> bool {
        if now_ns.saturating_sub(self.since_ns) >= self.window_ns {
            (self.since_ns, self.shown) = (now_ns, 0);
        }
        let is_shown = self.shown < self.lines_max;
        if is_shown {
            self.shown += 1;
        } else {
            self.suppressed += 1;
        }
        is_shown
    }

    /// Lines of windows that have ended which were not shown, once.
    pub(super) fn take_suppressed(&mut self, now_ns: u64) -> Option<u64> {
        let is_over = now_ns.saturating_sub(self.since_ns) >= self.window_ns;
        let count = if is_over { std::mem::take(&mut self.suppressed) } else { 0 };
        (count > 0).then_some(count)
    }

    /// The same, whether the window has ended or not.
    pub(super) fn take_all_suppressed(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.suppressed)).filter(|count| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_bound_are_counted_and_told_once_the_window_is_over() {
        let mut limiter = Limiter::new(3, 1_000);
        let shown = (0..10).filter(|line| limiter.admits(5_000 + line)).count();
        assert_eq!((shown, limiter.take_suppressed(5_999)), (3, None));
        assert_eq!(limiter.take_suppressed(6_000), Some(7));
        assert_eq!(limiter.take_suppressed(6_000), None);
        assert!(limiter.admits(6_001));
    }

    #[test]
    fn what_was_suppressed_before_a_new_window_is_not_forgotten() {
        let mut limiter = Limiter::new(1, 1_000);
        assert_eq!(
            [1_000, 1_001, 2_000, 2_001].map(|ns| limiter.admits(ns)),
            [true, false, true, false]
        );
        assert_eq!(limiter.take_suppressed(3_000), Some(2));
    }

    #[test]
    fn at_the_end_of_a_stream_nothing_is_kept_back() {
        let mut limiter = Limiter::new(0, 1_000);
        assert!(!limiter.admits(1));
        assert_eq!([limiter.take_all_suppressed(), limiter.take_all_suppressed()], [Some(1), None]);
    }
}
