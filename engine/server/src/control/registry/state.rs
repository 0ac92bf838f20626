//! What a replica is doing, from its start to its end.

/// What a replica slot is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// About to be started.
    Starting,
    /// A process that does not serve yet: it loads its model, or is in its handshake. Expected for
    /// a while, since it may be quick.
    Loading { pid: u32, is_expected: bool },
    /// Ready for batches, and given probes before it gets queries.
    Warming { pid: u32 },
    /// Ready for batches.
    Up { pid: u32 },
    /// Waiting to be started again.
    BackingOff { until_ns: u64 },
    /// A container started by hand is awaited.
    NotConnected,
    /// The server is ending.
    Ended,
}

impl State {
    /// Its name in answers.
    pub(in crate::control) const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Loading { .. } => "loading",
            Self::Warming { .. } => "warming",
            Self::Up { .. } => "up",
            Self::BackingOff { .. } => "backing_off",
            Self::NotConnected => "not_connected",
            Self::Ended => "ended",
        }
    }

    pub(super) const fn pid(self) -> Option<u32> {
        match self {
            Self::Loading { pid, .. } | Self::Warming { pid } | Self::Up { pid } => Some(pid),
            Self::Starting | Self::BackingOff { .. } | Self::NotConnected | Self::Ended => None,
        }
    }

    /// Whether it is ready or may be so in time for a query that arrives now.
    pub(super) const fn is_expected(self) -> bool {
        match self {
            Self::Starting | Self::Warming { .. } | Self::Up { .. } => true,
            Self::Loading { is_expected, .. } => is_expected,
            Self::BackingOff { .. } | Self::NotConnected | Self::Ended => false,
        }
    }
}
