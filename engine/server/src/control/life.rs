//! The life of one incarnation that is ready: it is the engine thread's, until something ends it.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use cutter_core::Death;
use cutter_machine::clock::monotonic_ns;
use tokio::sync::oneshot;

use super::greet::{Channel, GreetError};
use super::registry::{Slot, State};
use super::shared::{Phase, Ready, Shared};
use crate::carrier::KillReason;
use crate::limits::{LOADING_EXPECTED_NS, LOADING_TOLD_NS};

/// Why an incarnation ends, as it is first noticed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cause {
    #[error("its process ended")]
    Exited,
    #[error("it closed its socket to the engine")]
    Closed,
    #[error("it was killed: it sent a message after the handshake, which is not of this protocol")]
    Talked,
    #[error("it was killed: {0}")]
    Killed(KillReason),
    #[error("{0}")]
    Handshake(#[from] GreetError),
    #[error("it was asked to end")]
    Asked,
}

impl Cause {
    pub(super) fn death(&self) -> Death {
        match self {
            Self::Asked => Death::Stopped,
            _ => Death::Crash,
        }
    }
}

/// An incarnation that is up. While this lives, the engine thread has it, or has given it up.
#[derive(Debug)]
pub(super) struct Up {
    since_ns: u64,
    killed: oneshot::Receiver<KillReason>,
}

impl Up {
    pub(super) fn new(shared: &Rc<Shared>, slot: Slot, ready: Ready) -> Self {
        Self { since_ns: monotonic_ns(), killed: shared.up(slot, ready) }
    }

    pub(super) fn up_ns(&self) -> u64 {
        monotonic_ns().saturating_sub(self.since_ns)
    }

    /// Waits for whatever ends it first. `exited` becomes ready when its process has ended.
    pub(super) async fn end(
        &mut self,
        shared: &Shared,
        slot: Slot,
        socket: &Channel,
        exited: impl Future<Output = ()>,
    ) -> Cause {
        tokio::select! {
            biased;
            () = exited => Cause::Exited,
            Ok(reason) = &mut self.killed => Cause::Killed(reason),
            heard = socket.receive() => match heard {
                Ok(Some(_)) => Cause::Talked,
                Ok(None) | Err(_) => Cause::Closed,
            },
            () = shared.asked_to_end(slot) => Cause::Asked,
        }
    }
}

/// Shows a container that has not begun to serve as loading, for as long as this is polled, and
/// tells the log of it now and then. Queries wait for it at first, as it may be quick; after that
/// they are answered at once.
pub(super) async fn loads(shared: &Shared, slot: Slot, pid: u32) -> Infallible {
    let since_ns = monotonic_ns();
    shared.set(slot, State::Loading { pid, is_expected: true });
    tokio::time::sleep(Duration::from_nanos(LOADING_EXPECTED_NS)).await;
    shared.set(slot, State::Loading { pid, is_expected: false });
    let (model, replica) = (shared.label(slot), slot.ordinal);
    loop {
        tokio::time::sleep(Duration::from_nanos(LOADING_TOLD_NS)).await;
        let for_s = monotonic_ns().saturating_sub(since_ns) / 1_000_000_000;
        tracing::info!(model, replica, pid, for_s, "still loading");
    }
}

/// Waits until a process has ended, `within` at most, and not when it is to be killed at once. Says
/// whether it has.
pub(super) async fn ends_by_itself(
    shared: &Shared,
    exited: impl Future<Output = ()>,
    within: Duration,
) -> bool {
    tokio::select! {
        biased;
        () = exited => true,
        () = shared.reached(Phase::Killing) => false,
        () = tokio::time::sleep(within) => false,
    }
}
