//! What is to be done by one run, and how it is watched while it goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::arrivals::Schedule;
use crate::bodies::Questions;
use crate::limits::{CONNECTIONS_AUTO_MAX, CONNECTIONS_AUTO_MIN, CONNECTIONS_AUTO_WINDOW_S};
use crate::reply::Check;
use crate::target::Address;

/// When requests are sent.
#[derive(Clone, Debug)]
pub enum Pace {
    /// At their times, whatever became of earlier ones.
    Open(Schedule),
    /// As soon as an earlier one was answered: latencies of such a run say nothing about a server
    /// that stalls, because then nothing is sent.
    Closed {
        /// The run ends after so many requests, or after this time, whichever is first.
        requests: Option<u64>,
        duration_ns: Option<u64>,
    },
}

/// What the sending thread does while there is nothing to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Wait {
    /// Yields its core while a request is under way or due soon, and sleeps otherwise.
    #[default]
    Adaptive,
    /// Looks without pause. Whoever shares its core suffers.
    Spin,
    /// Looks, and yields its core between looks.
    Yield,
    /// Sleeps in the kernel until something comes or is due: cheap, and late by the time that the
    /// machine takes to wake a thread.
    Sleep,
}

impl Wait {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Adaptive => "adaptive",
            Self::Spin => "spin",
            Self::Yield => "yield",
            Self::Sleep => "sleep",
        }
    }
}

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub address: Address,
    /// Asked in turn, again and again.
    pub questions: Questions,
    pub check: Check,
    pub pace: Pace,
    /// All are opened before the first request is due.
    pub connections: usize,
    /// Requests that may be under way on one connection.
    pub pipeline: usize,
    /// A request that is not answered within this time, from when it was due, is given up.
    pub time_limit_ns: u64,
    pub wait: Wait,
    /// The core of the sending thread.
    pub cpu: Option<usize>,
}

/// Connections for an open loop at this rate: enough that a server which stands still for
/// [`CONNECTIONS_AUTO_WINDOW_S`] does not keep requests from being sent.
///
/// The connection that was used last is used first, so those that are not needed stay idle.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and the number is then put within its limits"
)]
pub fn connections_for(rate_qps: f64) -> usize {
    let under_way = (rate_qps * CONNECTIONS_AUTO_WINDOW_S).ceil() as usize;
    under_way.clamp(CONNECTIONS_AUTO_MIN, CONNECTIONS_AUTO_MAX)
}

/// How far a run is, and how to end it early.
#[derive(Debug, Default)]
pub struct Progress {
    /// Requests sent, and done with. Written by the sending thread, read by whoever shows them;
    /// relaxed, for they publish nothing but themselves.
    pub sent: AtomicU64,
    pub done: AtomicU64,
    /// When the schedule began, on the monotonic clock; 0 before. Relaxed: as above.
    pub start_ns: AtomicU64,
    /// Set by whoever wants the run to end early. Relaxed: as above.
    interrupted: Arc<AtomicBool>,
}

impl Progress {
    /// Ends the run early: nothing more is sent.
    pub fn interrupt(&self) {
        // Pairs with: the load in `is_interrupted`.
        self.interrupted.store(true, Relaxed);
    }

    /// What a signal handler sets to the same effect.
    pub fn interrupt_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.interrupted)
    }

    /// Progress of a run that ends when this flag is set.
    pub fn ended_by(flag: &Arc<AtomicBool>) -> Self {
        Self { interrupted: Arc::clone(flag), ..Self::default() }
    }

    pub fn is_interrupted(&self) -> bool {
        // Pairs with: the store in `interrupt`.
        self.interrupted.load(Relaxed)
    }
}

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot connect to {address}: {source}; is the server running there?")]
    Connect {
        address: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{connections} connections are open, and no more: {source}; raise `ulimit -n`")]
    Descriptors {
        connections: usize,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Setup(#[from] cutter_machine::uring::SetupError),
    #[error(transparent)]
    Ring(#[from] cutter_machine::uring::RingError),
    #[error("the sending thread cannot be pinned: {0}; choose another --cpu")]
    Pin(#[from] cutter_machine::affinity::PinError),
    #[error("the sending thread ended without a word; this is an error of the tool")]
    Thread,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_connections_for_a_server_that_stands_still() {
        let connections = [0.5, 1_000.0, 2_000.0, 1e9].map(connections_for);
        assert_eq!(connections, [32, 250, 500, 1_024]);
    }
}
