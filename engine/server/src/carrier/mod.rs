//! What carries batches to the models and brings their results back.
//!
//! Owner: the engine thread. [`Carrier`] is what the engine thread asks for. Under the server these
//! are the [`Rings`] of the replicas; in simulated worlds it is a model that takes its batches from
//! the core and answers them when it likes.

mod rings;
mod wakes;

use std::fmt::Debug;
use std::os::fd::BorrowedFd;

use cutter_core::ids::ReplicaId;
use cutter_core::{Core, Death, Sink};
use cutter_machine::clock::Clock;
use cutter_protocol::engine::{EndView, EngineEnd, PoolChange};
use cutter_protocol::violation::Violation;

pub use rings::Rings;

/// Why the engine gives an incarnation up.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum KillReason {
    #[error("a batch has been running for {} ms", .running_ns / 1_000_000)]
    Hang { running_ns: u64 },
    #[error("it could not change the input pools that it reads")]
    Pool,
    #[error("it broke the protocol: {0}")]
    Violation(#[from] Violation),
}

/// An incarnation that the engine has given up and that is to be killed.
#[derive(Clone, Copy, Debug)]
pub struct GivenUp {
    pub replica: ReplicaId,
    pub incarnation: u64,
    pub reason: KillReason,
}

/// One look at the engine's end of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkView {
    pub incarnation: u64,
    pub wakes_without_news: u32,
    pub end: EndView,
}

/// Carries batches.
pub trait Carrier: Debug {
    /// An incarnation is ready for batches, once it has made these changes of its pools; if it may
    /// be warmed up, for probes at first.
    fn up(
        &mut self,
        now_ns: u64,
        life: (ReplicaId, u64),
        end: Box<EngineEnd>,
        pools: Vec<PoolChange>,
        may_warm_up: bool,
        core: &mut Core,
    );
    /// An incarnation is to change its pools, behind all that it was sent before.
    fn change_pool(&mut self, replica: ReplicaId, incarnation: u64, change: PoolChange);
    /// A pool that an incarnation has changed since the last call.
    fn take_pool_changed(&mut self) -> Option<(ReplicaId, u64, PoolChange)>;
    /// The number of the incarnation of a replica that is up.
    fn incarnation(&self, replica: ReplicaId) -> Option<u64>;
    /// Asks an incarnation to end.
    fn stop_one(&mut self, replica: ReplicaId, incarnation: u64);
    /// An incarnation is gone. What it published before is taken, but for what takes longer than a
    /// turn to copy; the rest goes elsewhere.
    fn lost(
        &mut self,
        now_ns: u64,
        replica: ReplicaId,
        incarnation: u64,
        death: Death,
        core: &mut Core,
        sink: &mut impl Sink,
    );
    /// Takes what came back and sends what waits. Says whether there was anything. The time is
    /// asked for only then: an idle look costs one load for each replica.
    fn serve(&mut self, clock: &impl Clock, core: &mut Core, sink: &mut impl Sink) -> bool;
    /// A doorbell rang. Without news that is a wasted wake; a replica that wastes too many is given
    /// up.
    fn on_doorbell(
        &mut self,
        now_ns: u64,
        replica: ReplicaId,
        core: &mut Core,
        sink: &mut impl Sink,
    );
    /// Gives up the incarnations in which a batch hangs.
    fn give_up_hanging(&mut self, now_ns: u64, core: &mut Core, sink: &mut impl Sink);
    /// The incarnations given up since the last call.
    fn take_given_up(&mut self) -> impl Iterator<Item = GivenUp>;
    /// The memory of incarnations that are gone.
    fn take_retired(&mut self) -> Option<Box<EngineEnd>>;
    /// Asks every replica to end.
    fn stop(&mut self);
    /// Before the engine sleeps: from now on replicas ring their doorbells. Says whether one has
    /// published meanwhile, so that there is no sleeping.
    fn announce_sleep(&self) -> bool;
    /// After the engine slept.
    fn retract_sleep(&self);
    /// Every doorbell, with its replica and incarnation.
    fn doorbells(&self) -> impl Iterator<Item = (ReplicaId, u64, BorrowedFd<'_>)>;
    /// One look at the rings of each replica that is up.
    fn view(&self) -> Vec<(ReplicaId, LinkView)>;
}
