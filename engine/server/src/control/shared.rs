//! What the tasks of the control thread share. One thread, so no locks but the registry's.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cutter_core::ids::{ApplicationId, ModelId, ReplicaId};
use cutter_core::{Death, Retired};
use cutter_machine::clock::monotonic_ns;
use cutter_protocol::engine::{EngineEnd, PoolChange};
use cutter_protocol::handshake::{GrantedPool, send_pool};
use cutter_protocol::limits::POOLS_MAX;
use cutter_tensor::{INPUT_NAME, Signature, TensorSpec};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::Timing;
use super::health::Counts;
use super::limiter::Limiter;
use super::plan::{ChangeError, Step};
use super::registry::{ApplicationEntry, Registry, Slot, State};
use crate::carrier::KillReason;
use crate::limits::{MODEL_FAILED_TOLD_NS, POOL_CHANGE_NS, REFUSAL_LINES_MAX, REFUSAL_WINDOW_NS};
use crate::messages::{EngineMailbox, ToEngine};
use crate::pool::BLANK_ROWS;
use crate::{config, printable};

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

/// Whose rows an incarnation can read, by the place in its pool table.
pub(super) type Pools = [Option<ApplicationId>; POOLS_MAX];

/// An incarnation that has mapped everything.
#[derive(Debug)]
pub(super) struct Ready {
    pub incarnation: u64,
    pub pid: u32,
    pub may_warm_up: bool,
    pub end: Box<EngineEnd>,
    /// What its container takes, if it says so.
    pub input: Option<TensorSpec>,
    pub pools: Pools,
    /// The way to it for descriptors.
    pub socket: OwnedFd,
}

/// An incarnation that the engine thread has.
#[derive(Debug)]
struct Life {
    slot: Slot,
    incarnation: u64,
    output: TensorSpec,
    input: Option<TensorSpec>,
    pools: Pools,
    socket: OwnedFd,
    kill: Option<oneshot::Sender<KillReason>>,
}

/// A change of an incarnation's pools that is under way.
#[derive(Debug)]
struct PoolWait {
    replica: ReplicaId,
    incarnation: u64,
    change: PoolChange,
    done: oneshot::Sender<()>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) timing: Timing,
    engine: EngineMailbox,
    registry: Arc<Mutex<Registry>>,
    lives: RefCell<HashMap<ReplicaId, Life>>,
    /// Lines about containers that are not taken.
    refusals: RefCell<Limiter>,
    /// Lines about batches that failed, by model.
    failures: RefCell<HashMap<ModelId, Limiter>>,
    phase: watch::Sender<Phase>,
    /// Replicas that are to end while the server goes on.
    leaving: watch::Sender<Vec<ReplicaId>>,
    next_change: Cell<u64>,
    changes: RefCell<HashMap<u64, oneshot::Sender<Retired>>>,
    pool_changes: RefCell<Vec<PoolWait>>,
}

impl Shared {
    pub(super) fn new(
        registry: Arc<Mutex<Registry>>,
        engine: EngineMailbox,
        timing: Timing,
    ) -> Self {
        Self {
            timing,
            engine,
            registry,
            lives: RefCell::default(),
            refusals: RefCell::new(Limiter::new(REFUSAL_LINES_MAX, REFUSAL_WINDOW_NS)),
            failures: RefCell::default(),
            phase: watch::Sender::new(Phase::Serving),
            leaving: watch::Sender::default(),
            next_change: Cell::new(1),
            changes: RefCell::default(),
            pool_changes: RefCell::default(),
        }
    }

    /// The model of a replica, as it was asked for.
    pub(super) fn model(&self, slot: Slot) -> Arc<config::Model> {
        Arc::clone(&self.registry().models[slot.model].settings)
    }

    /// What the model of a replica is called in the log.
    pub(super) fn label(&self, slot: Slot) -> String {
        self.registry().label(slot.model)
    }

    pub(super) fn registry(&self) -> MutexGuard<'_, Registry> {
        // The registry is whole between any two of its calls, whatever became of a caller.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn send_to_engine(&self, message: ToEngine) {
        self.engine.send(message);
    }

    /// Has the engine thread make a change, and waits until it is acknowledged.
    pub(super) async fn change(&self, step: Step) -> Result<Retired, ChangeError> {
        let number = self.next_change.replace(self.next_change.get() + 1);
        let (done, is_done) = oneshot::channel();
        self.changes.borrow_mut().insert(number, done);
        let Step { change, endpoint, header } = step;
        self.send_to_engine(ToEngine::Change { number, change, endpoint, header });
        is_done.await.map_err(|_| ChangeError::Ending)
    }

    /// The engine thread has made a change. What it took out goes to who asked for it, or is freed
    /// here.
    pub(super) fn changed(&self, number: u64, retired: Retired) {
        if let Some(done) = self.changes.borrow_mut().remove(&number) {
            // Whoever asked may wait no more.
            let _ = done.send(retired);
        }
    }

    /// Nothing is acknowledged any more.
    pub(super) fn give_up_changes(&self) {
        self.changes.borrow_mut().clear();
        self.pool_changes.borrow_mut().clear();
    }

    /// Has every replica of a model that is up change a pool, and waits until each has done so, or
    /// has ended.
    pub(super) async fn change_pool(self: &Rc<Self>, model: ModelId, change: PoolChange) {
        let mut waits = Vec::new();
        for life in self.lives.borrow_mut().values_mut().filter(|life| life.slot.model == model) {
            if !self.prepare(life, change) {
                continue;
            }
            let (replica, incarnation) = (life.slot.replica, life.incarnation);
            self.send_to_engine(ToEngine::ChangePool { replica, incarnation, change });
            waits.push(self.await_pool(replica, incarnation, change));
        }
        for wait in waits {
            wait.await;
        }
    }

    /// A replica has changed a pool.
    pub(super) fn pool_changed(&self, replica: ReplicaId, incarnation: u64, change: PoolChange) {
        let mut waits = self.pool_changes.borrow_mut();
        let is_meant = |wait: &PoolWait| {
            (wait.replica, wait.incarnation, wait.change) == (replica, incarnation, change)
        };
        if let Some(found) = waits.iter().position(is_meant) {
            let _ = waits.swap_remove(found).done.send(());
        }
    }

    /// Sends an incarnation what it needs for a change of its pools, and notes it. Says whether
    /// there is anything to change.
    fn prepare(&self, life: &mut Life, change: PoolChange) -> bool {
        let (PoolChange::Map { pool } | PoolChange::Unmap { pool }) = change;
        let place = pool as usize;
        let registry = self.registry();
        let wanted = registry.models.get(life.slot.model).and_then(|model| model.pools[place]);
        let is_map = matches!(change, PoolChange::Map { .. });
        let known = if is_map { wanted } else { None };
        if std::mem::replace(&mut life.pools[place], known) == known {
            return false;
        }
        if let Some(entry) = known.and_then(|application| registry.applications.get(application)) {
            // A container that does not hear it cannot map it, and is given up for that.
            let _ = send_pool(life.socket.as_fd(), &granted(entry, pool));
        }
        true
    }

    /// Ready when an incarnation has changed a pool. One that takes too long is killed.
    fn await_pool(
        self: &Rc<Self>,
        replica: ReplicaId,
        incarnation: u64,
        change: PoolChange,
    ) -> impl Future<Output = ()> + use<> {
        let (done, is_done) = oneshot::channel();
        let wait = PoolWait { replica, incarnation, change, done };
        self.pool_changes.borrow_mut().push(wait);
        let shared = Rc::clone(self);
        async move {
            // An error says that the incarnation has ended.
            if timeout(Duration::from_nanos(POOL_CHANGE_NS), is_done).await.is_err() {
                shared.kill(replica, incarnation, KillReason::Pool);
            }
        }
    }

    /// Notes a slot's state, and tells the engine thread what that means for the model.
    pub(super) fn set(&self, slot: Slot, state: State) {
        let change = self.registry().set(slot, state, monotonic_ns());
        // What still waits when all is killed waits for no model: it is answered as an end.
        if let Some(availability) = change.filter(|_| self.phase() < Phase::Killing) {
            self.send_to_engine(ToEngine::Availability { model: slot.model, availability });
        }
    }

    /// Numbers the next incarnation of a slot, and counts it.
    pub(super) fn next_incarnation(&self, slot: Slot) -> u64 {
        let mut registry = self.registry();
        let incarnation = registry.next_incarnation(slot);
        if incarnation > 1 {
            // All other counters are the engine thread's. This one is written here alone, so it
            // has one writer, too.
            registry.models[slot.model].stats.restarts.increment();
        }
        incarnation
    }

    /// What the replicas of a model that are up give for each item; `None` when none is up.
    pub(super) fn output_of(&self, model: ModelId) -> Option<TensorSpec> {
        let lives = self.lives.borrow();
        lives.values().find(|life| life.slot.model == model).map(|life| life.output)
    }

    /// What the replicas of a model that are up take, those that say so.
    pub(super) fn inputs_of(&self, model: ModelId) -> Vec<TensorSpec> {
        let lives = self.lives.borrow();
        let of_model = lives.values().filter(|life| life.slot.model == model);
        of_model.filter_map(|life| life.input).collect()
    }

    /// Hands an incarnation to the engine thread. What is returned becomes ready when the engine
    /// thread gives it up.
    pub(super) fn up(self: &Rc<Self>, slot: Slot, ready: Ready) -> oneshot::Receiver<KillReason> {
        let Ready { incarnation, pid, may_warm_up, end, input, pools, socket } = ready;
        let (kill, killed) = oneshot::channel();
        let output = end.geometry().output;
        let kill = Some(kill);
        let mut life = Life { slot, incarnation, output, input, pools, socket, kill };
        let changes = self.changes_since(&mut life);
        let before = self.lives.borrow_mut().insert(slot.replica, life);
        assert!(before.is_none(), "a slot has one life at a time");
        for change in &changes {
            tokio::task::spawn_local(self.await_pool(slot.replica, incarnation, *change));
        }
        let replica = slot.replica;
        let pools = changes;
        let up = ToEngine::ReplicaUp { replica, incarnation, end, pools, may_warm_up };
        self.send_to_engine(up);
        let (model, replica) = (self.label(slot), slot.ordinal);
        if may_warm_up {
            self.set(slot, State::Warming { pid });
            tracing::info!(model, replica, pid, incarnation, "warming up");
        } else {
            self.set(slot, State::Up { pid });
            tracing::info!(model, replica, pid, incarnation, "up");
        }
        killed
    }

    /// The engine thread has warmed an incarnation up; with so many probes, of which the last may
    /// have failed.
    pub(super) fn warmed(
        &self,
        replica: ReplicaId,
        incarnation: u64,
        probes: u32,
        failure: Option<&str>,
    ) {
        let lives = self.lives.borrow();
        let life = lives.get(&replica).filter(|life| life.incarnation == incarnation);
        let Some(slot) = life.map(|life| life.slot) else { return };
        // It may have been told to end meanwhile.
        let State::Warming { pid } = self.registry().state(slot) else { return };
        self.set(slot, State::Up { pid });
        let (model, replica) = (self.label(slot), slot.ordinal);
        if let Some(text) = failure {
            let text = printable::line(text);
            tracing::warn!(model, replica, probes, "not warmed up: {text}");
        }
        tracing::info!(model, replica, pid, incarnation, probes, "up");
    }

    /// What has changed of a model's pools since an incarnation was granted its own.
    fn changes_since(&self, life: &mut Life) -> Vec<PoolChange> {
        let wanted = self.registry().models[life.slot.model].pools;
        let mut changes = Vec::new();
        for (pool, wanted) in (0..).zip(wanted) {
            let known = life.pools[pool as usize];
            if known == wanted {
                continue;
            }
            let unmap = known.map(|_| PoolChange::Unmap { pool });
            let map = wanted.map(|_| PoolChange::Map { pool });
            for change in unmap.into_iter().chain(map) {
                if self.prepare(life, change) {
                    changes.push(change);
                }
            }
        }
        changes
    }

    /// Tells the engine thread that an incarnation which it has is gone.
    pub(super) fn lost(&self, slot: Slot, incarnation: u64, death: Death) {
        self.lives.borrow_mut().remove(&slot.replica);
        let is_other = |wait: &PoolWait| wait.replica != slot.replica;
        self.pool_changes.borrow_mut().retain(is_other);
        let replica = slot.replica;
        self.send_to_engine(ToEngine::ReplicaLost { replica, incarnation, death });
    }

    /// Passes on that the engine thread has given an incarnation up.
    pub(super) fn kill(&self, replica: ReplicaId, incarnation: u64, reason: KillReason) {
        let mut lives = self.lives.borrow_mut();
        let life = lives.get_mut(&replica).filter(|life| life.incarnation == incarnation);
        if let Some(kill) = life.and_then(|life| life.kill.take()) {
            // Its task is gone only when the replica ends, and then so is the incarnation.
            let _ = kill.send(reason);
        }
    }

    /// A replica is to end for good, and its incarnation to be asked so.
    pub(super) fn leave(&self, replica: ReplicaId) {
        let incarnation = self.lives.borrow().get(&replica).map(|life| life.incarnation);
        if let Some(incarnation) = incarnation {
            self.send_to_engine(ToEngine::StopReplica { replica, incarnation });
        }
        self.leaving.send_modify(|leaving| leaving.push(replica));
    }

    /// A replica that was to end has ended.
    pub(super) fn left(&self, replica: ReplicaId) {
        self.leaving.send_modify(|leaving| leaving.retain(|other| *other != replica));
    }

    /// Waits until replicas that were to end have ended.
    pub(super) async fn all_left(&self, slots: &[Slot]) {
        let mut leaving = self.leaving.subscribe();
        let is_over =
            |leaving: &Vec<ReplicaId>| !slots.iter().any(|slot| leaving.contains(&slot.replica));
        // The sender is in `self`, so there is always one.
        let _ = leaving.wait_for(is_over).await;
    }

    /// Whether a replica is to end: with the server, or before it.
    pub(super) fn is_to_end(&self, slot: Slot) -> bool {
        self.phase() >= Phase::Ending || self.leaving.borrow().contains(&slot.replica)
    }

    /// Waits until a replica is to end.
    pub(super) async fn asked_to_end(&self, slot: Slot) {
        let mut leaving = self.leaving.subscribe();
        tokio::select! {
            () = self.reached(Phase::Ending) => {}
            _ = leaving.wait_for(|leaving| leaving.contains(&slot.replica)) => {}
        }
    }

    /// Tells the log and the registry why an incarnation ended, or did not begin, and when the next
    /// attempt is made.
    pub(super) fn note_failure(&self, slot: Slot, text: &str, pause: Option<Duration>) {
        let (model, replica) = (self.label(slot), slot.ordinal);
        let retry_in_ms = pause.map(|pause| pause.as_millis());
        if self.registry().note_error(slot, text) {
            tracing::error!(model, replica, retry_in_ms, "{text}");
        } else {
            // The same again, with nothing that worked in between.
            tracing::debug!(model, replica, retry_in_ms, "{text}");
        }
    }

    /// Has the engine thread answer all that waits, now and with the right reason: before its
    /// replicas are taken from it.
    pub(super) fn force_end(&self) {
        self.send_to_engine(ToEngine::EndNow);
        self.enter(Phase::Killing);
    }

    /// Tells the log of a container that connected and is not taken, unless it is told of too many.
    pub(super) fn log_refused(&self, pid: Option<u32>, text: &str) {
        if self.refusals.borrow_mut().admits(monotonic_ns()) {
            tracing::warn!(pid, "{text}");
        }
    }

    /// A batch of a model has failed. Of many in a row the log is told of a few.
    pub(super) fn note_model_failed(&self, model: ModelId, text: &str) {
        let text = printable::line(text);
        let mut registry = self.registry();
        let Some(entry) = registry.models.get(model) else { return };
        let stats = Arc::clone(&entry.stats);
        let name = registry.label(model);
        registry.note_model_failed(model, &text);
        let mut failures = self.failures.borrow_mut();
        let limiter = failures.entry(model).or_insert(Limiter::new(1, MODEL_FAILED_TOLD_NS));
        if limiter.admits(monotonic_ns()) {
            let failed = stats.batches_failed.get();
            tracing::warn!(model = name, failed, "a batch failed: {text}");
        }
    }

    /// A model is gone.
    pub(super) fn forget_model(&self, model: ModelId) {
        self.failures.borrow_mut().remove(&model);
    }

    /// Once a second: what a look at the counts shows, and what was not told.
    pub(super) fn check_health(&self) {
        let now_ns = monotonic_ns();
        if let Some(count) = self.refusals.borrow_mut().take_suppressed(now_ns) {
            tracing::warn!(count, "more containers were refused that are not listed");
        }
        let mut registry = self.registry();
        let known = registry.models.iter().map(|(id, entry)| (id, Arc::clone(&entry.stats)));
        for (model, stats) in known.collect::<Vec<_>>() {
            let batches = stats.replicas.iter().map(|replica| replica.batches.get()).sum();
            let counts = Counts { batches, failed: stats.batches_failed.get() };
            let Some((is_failing, recent)) = registry.look_at_model(model, counts) else {
                continue;
            };
            let name = registry.label(model);
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

/// The rows of an application, as a container is granted them.
pub(super) fn granted(entry: &ApplicationEntry, place: u32) -> GrantedPool<'_> {
    let settings = &entry.settings;
    let input = Signature::of_one(INPUT_NAME, settings.input);
    GrantedPool {
        index: place,
        rows: settings.rows + BLANK_ROWS,
        stride: u32::try_from(settings.row_stride()).expect("bounded by ITEM_BYTES_MAX"),
        input: input.expect("checked with the configuration"),
        segment: entry.rows.as_fd(),
    }
}
