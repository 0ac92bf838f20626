//! What the tasks of the control thread share. One thread, so no locks but the board's.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cutter_core::stats::EngineStats;
use cutter_core::{Death, Id, Model as CoreModel, Replica};
use cutter_machine::clock::monotonic_ns;
use cutter_protocol::engine::EngineEnd;
use cutter_tensor::TensorSpec;
use tokio::sync::{oneshot, watch};

use super::board::{Board, State};
use super::health::Counts;
use super::limiter::Limiter;
use super::{Slot, Timing};
use crate::config::{Config, Model};
use crate::engine::Ids;
use crate::limits::{MODEL_FAILED_TOLD_NS, REFUSAL_LINES_MAX, REFUSAL_WINDOW_NS};
use crate::messages::{EngineMailbox, KillReason, ToEngine};
use crate::printable;

/// How far the end of the server has come. The order matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Serving,
    /// The engine answers what is in flight, for which it needs its replicas.
    Draining,
    /// The engine is done. Replicas that are up have been asked to end; nothing is started.
    Ending,
    /// Replicas are killed.
    Killing,
}

/// An incarnation that the engine thread has.
#[derive(Debug)]
struct Life {
    incarnation: u64,
    output: TensorSpec,
    kill: oneshot::Sender<KillReason>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Arc<Config>,
    pub(super) stats: Arc<EngineStats>,
    /// By application: the memory of its input pool.
    pub(super) pools: Vec<OwnedFd>,
    /// By what the engine thread knows all things.
    pub(super) ids: Ids,
    pub(super) timing: Timing,
    engine: EngineMailbox,
    board: Arc<Mutex<Board>>,
    /// By replica.
    lives: RefCell<Box<[Option<Life>]>>,
    /// Lines about containers that are not taken.
    refusals: RefCell<Limiter>,
    /// By model: lines about batches that failed.
    failures: RefCell<Box<[Limiter]>>,
    phase: watch::Sender<Phase>,
}

impl Shared {
    pub(super) fn new(
        config: Arc<Config>,
        stats: Arc<EngineStats>,
        (pools, ids): (Vec<OwnedFd>, Ids),
        engine: EngineMailbox,
        timing: Timing,
    ) -> Self {
        let board = Arc::new(Mutex::new(Board::new(&config, monotonic_ns())));
        let replicas: usize = config.models.iter().map(|model| model.replicas as usize).sum();
        let lives = RefCell::new((0..replicas).map(|_| None).collect());
        let refusals = RefCell::new(Limiter::new(REFUSAL_LINES_MAX, REFUSAL_WINDOW_NS));
        let failures = Limiter::new(1, MODEL_FAILED_TOLD_NS);
        let failures = RefCell::new(vec![failures; config.models.len()].into());
        let phase = watch::Sender::new(Phase::Serving);
        Self { config, stats, pools, ids, timing, engine, board, lives, refusals, failures, phase }
    }

    pub(super) fn model(&self, slot: Slot) -> &Model {
        &self.config.models[slot.model]
    }

    pub(super) fn shared_board(&self) -> Arc<Mutex<Board>> {
        Arc::clone(&self.board)
    }

    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        // The board is whole between any two of its calls, whatever became of a caller.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell_engine(&self, message: ToEngine) {
        self.engine.send(message);
    }

    /// Notes a slot's state, and tells the engine thread what that means for the model.
    pub(super) fn set(&self, slot: Slot, state: State) {
        let change = self.board().set(slot, state, monotonic_ns());
        // What still waits when all is killed waits for no model: it is answered as an end.
        if let Some(availability) = change.filter(|_| self.phase() < Phase::Killing) {
            let model = self.ids.models[slot.model];
            self.tell_engine(ToEngine::Availability { model, availability });
        }
    }

    /// Numbers the next incarnation of a slot, and counts it.
    pub(super) fn next_incarnation(&self, slot: Slot) -> u64 {
        let incarnation = self.board().next_incarnation(slot);
        if incarnation > 1 {
            // All other counters are the engine thread's. This one is written here alone, so it
            // has one writer, too.
            self.stats.models[slot.model].restarts.increment();
        }
        incarnation
    }

    /// What the replicas of a model that are up give for each item; `None` when none is up.
    pub(super) fn output_of(&self, model: usize) -> Option<TensorSpec> {
        let first = self.config.first_replica(model);
        let lives = self.lives.borrow();
        let of_model = &lives[first..first + self.config.models[model].replicas as usize];
        of_model.iter().flatten().map(|life| life.output).next()
    }

    /// Hands an incarnation to the engine thread. What is returned becomes ready when the engine
    /// thread gives it up.
    pub(super) fn up(
        &self,
        slot: Slot,
        incarnation: u64,
        pid: u32,
        end: Box<EngineEnd>,
    ) -> oneshot::Receiver<KillReason> {
        let (kill, killed) = oneshot::channel();
        let output = end.geometry().output;
        let life = Life { incarnation, output, kill };
        let before = self.lives.borrow_mut()[slot.replica].replace(life);
        assert!(before.is_none(), "a slot has one life at a time");
        let replica = self.ids.replicas[slot.replica];
        self.tell_engine(ToEngine::ReplicaUp { replica, incarnation, end });
        self.set(slot, State::Up { pid });
        let model = self.model(slot);
        tracing::info!(model = model.name, replica = slot.ordinal, pid, incarnation, "up");
        killed
    }

    /// Tells the engine thread that an incarnation which it has is gone.
    pub(super) fn lost(&self, slot: Slot, incarnation: u64, death: Death) {
        self.lives.borrow_mut()[slot.replica] = None;
        let replica = self.ids.replicas[slot.replica];
        self.tell_engine(ToEngine::ReplicaLost { replica, incarnation, death });
    }

    /// Passes on that the engine thread has given an incarnation up.
    pub(super) fn kill(&self, replica: Id<Replica>, incarnation: u64, reason: KillReason) {
        let mut lives = self.lives.borrow_mut();
        let index = self.ids.replicas.iter().position(|known| *known == replica);
        let Some(place) = index.and_then(|index| lives.get_mut(index)) else { return };
        if let Some(life) = place.take_if(|life| life.incarnation == incarnation) {
            // Its task is gone only when the server ends, and then so is the incarnation.
            let _ = life.kill.send(reason);
        }
    }

    /// Tells the log and the board why an incarnation ended, or did not begin, and when the next
    /// attempt is made.
    pub(super) fn note_failure(&self, slot: Slot, text: &str, pause: Option<Duration>) {
        let (model, replica) = (&self.model(slot).name, slot.ordinal);
        let retry_in_ms = pause.map(|pause| pause.as_millis());
        match self.board().note_error(slot, text) {
            true => tracing::error!(model, replica, retry_in_ms, "{text}"),
            // The same again, with nothing that worked in between.
            false => tracing::debug!(model, replica, retry_in_ms, "{text}"),
        }
    }

    /// Has the engine thread answer all that waits, now and with the right reason: before its
    /// replicas are taken from it.
    pub(super) fn force_end(&self) {
        self.tell_engine(ToEngine::EndNow);
        self.enter(Phase::Killing);
    }

    /// Tells the log of a container that connected and is not taken, unless it is told of too many.
    pub(super) fn tell_refused(&self, pid: Option<u32>, text: &str) {
        if self.refusals.borrow_mut().admits(monotonic_ns()) {
            tracing::warn!(pid, "{text}");
        }
    }

    /// A batch of a model has failed. Of many in a row the log is told of a few.
    pub(super) fn note_model_failed(&self, model: Id<CoreModel>, text: &str) {
        let model = self.ids.models.iter().position(|known| *known == model);
        let Some(model) = model else { return };
        let Some(stats) = self.stats.models.get(model) else { return };
        let text = printable::line(text);
        self.board().note_model_failed(model, &text);
        let now_ns = monotonic_ns();
        if self.failures.borrow_mut()[model].admits(now_ns) {
            let (model, failed) = (&*stats.model, stats.batches_failed.get());
            tracing::warn!(model, failed, "a batch failed: {text}");
        }
    }

    /// Once a second: what a look at the counts shows, and what was not told.
    pub(super) fn look_round(&self) {
        let now_ns = monotonic_ns();
        if let Some(count) = self.refusals.borrow_mut().take_suppressed(now_ns) {
            tracing::warn!(count, "more containers were refused that are not listed");
        }
        for (model, stats) in self.stats.models.iter().enumerate() {
            let batches = stats.replicas.iter().map(|replica| replica.batches.get()).sum();
            let counts = Counts { batches, failed: stats.batches_failed.get() };
            let name = &*stats.model;
            let Some((is_failing, recent)) = self.board().look_at_model(model, counts) else {
                continue;
            };
            let Counts { batches, failed } = recent;
            if is_failing {
                tracing::warn!(model = name, batches, failed, "the model fails its batches");
            } else {
                tracing::info!(model = name, batches, failed, "the model is well again");
            }
        }
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    pub(super) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Waits for a phase, or a later one.
    pub(super) async fn reached(&self, phase: Phase) {
        let mut phases = self.phase.subscribe();
        // The sender is in `self`, so there is always one.
        let _ = phases.wait_for(|now| *now >= phase).await;
    }
}
