//! The life of one incarnation that is ready: it is the engine thread's, until something ends it.

use std::time::Duration;

use cutter_protocol::clock::monotonic_ns;
use cutter_protocol::engine::EngineEnd;
use tokio::sync::oneshot;

use super::Slot;
use super::greet::{Channel, GreetError};
use super::shared::{Phase, Shared};
use crate::messages::KillReason;
use crate::scheduler::Death;

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
    #[error("the server ends")]
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
    pub(super) fn new(
        shared: &Shared,
        slot: Slot,
        incarnation: u64,
        pid: u32,
        end: Box<EngineEnd>,
    ) -> Self {
        Self { since_ns: monotonic_ns(), killed: shared.up(slot, incarnation, pid, end) }
    }

    pub(super) fn up_ns(&self) -> u64 {
        monotonic_ns().saturating_sub(self.since_ns)
    }

    /// Waits for whatever ends it first. `exited` becomes ready when its process has ended.
    pub(super) async fn end(
        &mut self,
        shared: &Shared,
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
            () = shared.reached(Phase::Ending) => Cause::Asked,
        }
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
