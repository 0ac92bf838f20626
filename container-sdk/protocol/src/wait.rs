//! How a waiter spends its time: strategies, and the decision of each idle turn.

use crate::limits::ADAPTIVE_WINDOW_NS;

/// What a thread does while it has nothing to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum WaitStrategy {
    /// Looks without a pause. Only for a thread that has a core to itself.
    Spin = 0,
    /// Looks, and lets others run between two looks.
    Yield = 1,
    /// Yields for a window after the last work, then sleeps.
    #[default]
    Adaptive = 2,
    /// Sleeps at once.
    Block = 3,
}

impl WaitStrategy {
    pub const ALL: [WaitStrategy; 4] = [Self::Spin, Self::Yield, Self::Adaptive, Self::Block];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Spin => "spin",
            Self::Yield => "yield",
            Self::Adaptive => "adaptive",
            Self::Block => "block",
        }
    }

    pub fn from_wire(value: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| *strategy as u32 == value)
    }
}

/// What to do in an idle turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Look again.
    Spin,
    /// Let others run, then look again.
    Yield,
    /// Sleep until woken.
    Sleep,
}

/// Decides idle turns by strategy. Time is passed in.
#[derive(Debug)]
pub struct Patience {
    strategy: WaitStrategy,
    idle_since_ns: Option<u64>,
}

impl Patience {
    pub fn new(strategy: WaitStrategy) -> Self {
        Self { strategy, idle_since_ns: None }
    }

    /// Whether the decision depends on the time.
    #[inline]
    pub fn needs_clock(&self) -> bool {
        self.strategy == WaitStrategy::Adaptive
    }

    /// There was work.
    #[inline]
    pub fn worked(&mut self) {
        self.idle_since_ns = None;
    }

    /// There was none.
    #[inline]
    pub fn idle(&mut self, now_ns: u64) -> Idle {
        match self.strategy {
            WaitStrategy::Spin => Idle::Spin,
            WaitStrategy::Yield => Idle::Yield,
            WaitStrategy::Block => Idle::Sleep,
            WaitStrategy::Adaptive => {
                let since_ns = *self.idle_since_ns.get_or_insert(now_ns);
                if now_ns.saturating_sub(since_ns) < ADAPTIVE_WINDOW_NS {
                    Idle::Yield
                } else {
                    Idle::Sleep
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adaptive_yields_for_the_window_and_then_sleeps() {
        let mut patience = Patience::new(WaitStrategy::Adaptive);
        assert_eq!(patience.idle(1_000), Idle::Yield);
        assert_eq!(patience.idle(1_000 + ADAPTIVE_WINDOW_NS - 1), Idle::Yield);
        assert_eq!(patience.idle(1_000 + ADAPTIVE_WINDOW_NS), Idle::Sleep);
        patience.worked();
        assert_eq!(patience.idle(9_000_000), Idle::Yield);
    }

    #[test]
    fn the_other_strategies_never_change_their_mind() {
        for (strategy, idle) in [
            (WaitStrategy::Spin, Idle::Spin),
            (WaitStrategy::Yield, Idle::Yield),
            (WaitStrategy::Block, Idle::Sleep),
        ] {
            let mut patience = Patience::new(strategy);
            assert_eq!([0, 1, 1 << 40].map(|now_ns| patience.idle(now_ns)), [idle; 3]);
        }
    }
}
