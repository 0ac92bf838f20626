//! The control thread: supervision of replicas, the container socket, the admin HTTP, signals.
//!
//! ```text
//!                  ToControl                      signals, stop
//!   engine thread ───────────▶ conduct ◀──────────────┘
//!        ▲                        │ kill, phase
//!        │ ToEngine               ▼
//!        └───────── shared ◀── slot (one task a replica)     spawn ▸ greet ▸ life ▸ reap ▸ backoff
//!                     │    ◀── by_hand (one task a container) accept ▸ greet ▸ life
//!                     ▼
//!                   board ──▶ admin: /healthz /readyz /metrics /stats /inspect
//! ```
//!
//! One thread, one current-thread runtime: tasks share state without locks, and all children are
//! forked from it, to which their death signal is tied (see `spawn`). Nothing here is on the way of
//! a query.
//!
//! Invariants:
//! - The engine thread has at most one incarnation of a slot: `ReplicaLost` comes before the next
//!   `ReplicaUp`.
//! - When [`run`] returns no process, task, descriptor or file of it is left.

mod admin;
mod answers;
mod backoff;
mod board;
mod by_hand;
mod door;
mod greet;
mod health;
mod life;
mod limiter;
mod output;
mod process;
pub mod prometheus;
mod shared;
mod signals;
mod slot;
#[expect(unsafe_code, reason = "what runs between fork and exec")]
mod spawn;
#[cfg(test)]
mod tests;
mod waiting;

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cutter_machine::clock::monotonic_ns;
use cutter_machine::memory::free_in_pieces;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, MissedTickBehavior, sleep_until};

pub use by_hand::{ContainerListener, bind_containers};
pub use signals::Signals;

use crate::config::Config;
use crate::engine::Ids;
use crate::limits::{
    CONTAINER_HELLO_NS, CONTROL_DRAIN_GRACE_NS, DRAIN_NS_MAX, LOOK_ROUND_NS, REPLICA_KILL_NS,
    REPLICA_STOP_NS,
};
use crate::messages::{EngineMailbox, ToControl, ToEngine};
use board::State;
use cutter_core::stats::EngineStats;
use shared::{Phase, Shared};
use signals::Listening;

/// What the control thread is made of.
#[derive(Debug)]
pub struct ControlPlan {
    pub config: Arc<Config>,
    pub stats: Arc<EngineStats>,
    pub engine: EngineMailbox,
    pub inbox: UnboundedReceiver<ToControl>,
    /// By application: the memory of its input pool.
    pub pools: Vec<OwnedFd>,
    pub ids: Ids,
    pub admin: TcpListener,
    pub containers: Option<ContainerListener>,
    /// Why the engine thread does not run on its core.
    pub engine_unpinned: Option<String>,
    /// What begins the drain, if it is not only `stop`.
    pub signals: Option<Signals>,
    pub log_lines_dropped: fn() -> u64,
    /// Begins the drain, as SIGTERM does. So does dropping its other end: whoever could have asked
    /// is gone.
    pub stop: oneshot::Receiver<()>,
}

/// Runs the control plane on this thread until everything has ended: drained, replicas gone, files
/// removed.
pub fn run(plan: ControlPlan) -> io::Result<()> {
    let timing = Timing::of(&plan.config);
    run_with(plan, timing)
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
struct Timing {
    /// From the connection of a container that was started by hand to its hello.
    hello: Duration,
    /// For the engine thread to drain.
    drain: Duration,
    /// For a replica to end when it is asked to.
    stop: Duration,
}

impl Timing {
    const STANDARD: Self = Self {
        hello: Duration::from_nanos(CONTAINER_HELLO_NS),
        drain: Duration::from_nanos(DRAIN_NS_MAX + CONTROL_DRAIN_GRACE_NS),
        stop: Duration::from_nanos(REPLICA_STOP_NS),
    };

    /// The engine thread may wait for the longest objective that is under way, and answers with the
    /// default after that: its time is this thread's, too, and a grace more.
    fn of(config: &Config) -> Self {
        let longest_ns = config.applications.iter().map(|application| application.slo_ns).max();
        let drain_ns = longest_ns.unwrap_or(0).max(DRAIN_NS_MAX) + CONTROL_DRAIN_GRACE_NS;
        Self { drain: Duration::from_nanos(drain_ns), ..Self::STANDARD }
    }
}

/// One replica slot: its index through all models in the order of the configuration, which the
/// engine thread uses, too; its model; its place within the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    replica: usize,
    model: usize,
    ordinal: u32,
}

/// All slots, by their index.
fn slots(config: &Config) -> Vec<Slot> {
    let models = config.models.iter().enumerate();
    let pairs = models
        .flat_map(|(model, settings)| (0..settings.replicas).map(move |ordinal| (model, ordinal)));
    pairs.enumerate().map(|(replica, (model, ordinal))| Slot { replica, model, ordinal }).collect()
}

fn run_with(plan: ControlPlan, timing: Timing) -> io::Result<()> {
    let engine = plan.engine.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.and_then(|runtime| {
        LocalSet::new().block_on(&runtime, control(plan, timing))
        // The runtime goes here, and with it the admin connections.
    });
    if let Err(error) = &done {
        tracing::error!("the control thread cannot go on, and the server ends: {error}");
        engine.send(ToEngine::EndNow);
    }
    done
}

async fn control(plan: ControlPlan, timing: Timing) -> io::Result<()> {
    let ControlPlan { config, stats, engine, mut inbox, pools, ids, admin, containers, .. } = plan;
    let (unpinned, log_lines_dropped) = (plan.engine_unpinned, plan.log_lines_dropped);
    let mut asks = Asks::new(plan.signals, plan.stop)?;
    let (config_read, engine_asked) = (Arc::clone(&config), engine.clone());
    let shared = Shared::new(config, Arc::clone(&stats), (pools, ids), engine, timing);
    let shared = Rc::new(shared);
    shared.board().note_engine_unpinned(unpinned);
    let desk = admin::Admin {
        board: shared.shared_board(),
        stats,
        config: config_read,
        engine: engine_asked,
        log_lines_dropped,
        started_ns: monotonic_ns(),
        inspected: Arc::default(),
    };
    tokio::spawn(async move {
        if let Err(error) = admin::run(desk, admin).await {
            tracing::error!("there is no admin HTTP: {error}");
        }
    });
    let mut tasks = JoinSet::new();
    for slot in slots(&shared.config) {
        match &shared.model(slot).command {
            Some(command) => {
                let command = command.clone();
                tasks.spawn_local(slot::run(Rc::clone(&shared), slot, command));
            }
            None => shared.set(slot, State::NotConnected),
        }
    }
    if let Some(containers) = containers {
        let shared = Rc::clone(&shared);
        tasks.spawn_local(async move {
            if let Err(error) = by_hand::run(shared, containers).await {
                tracing::error!("there is no container socket: {error}");
            }
        });
    }
    let phase = conduct(&shared, &mut inbox, &mut asks).await;
    end(&shared, phase, tasks, &mut asks).await;
    Ok(())
}

/// Serves, then drains. Says how the replicas are to end.
async fn conduct(
    shared: &Shared,
    inbox: &mut UnboundedReceiver<ToControl>,
    asks: &mut Asks,
) -> Phase {
    let mut drain_until: Option<Instant> = None;
    let mut looks = tokio::time::interval(Duration::from_nanos(LOOK_ROUND_NS));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let overdue = async {
            match drain_until {
                Some(instant) => sleep_until(instant).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            message = inbox.recv() => match message {
                Some(ToControl::Kill { replica, incarnation, reason }) => {
                    shared.kill(replica, incarnation, reason);
                }
                Some(ToControl::ModelFailed { model, text }) => {
                    shared.note_model_failed(model, &text);
                }
                // Unmapping it takes its time; this thread has it.
                Some(ToControl::Retired(memory)) => drop(memory),
                Some(ToControl::Changed { .. }) => {}
                Some(ToControl::Garbage(buffer)) => free_in_pieces(buffer),
                Some(ToControl::Drained) => {
                    shared.board().note_engine_ended();
                    return Phase::Ending;
                }
                None => {
                    shared.board().note_engine_ended();
                    tracing::error!("the engine thread has ended before its time");
                    return Phase::Killing;
                }
            },
            by = asks.next() => {
                if drain_until.is_some() {
                    tracing::warn!("{by} during the drain: ending at once");
                    shared.force_end();
                    asks.next_is_last();
                    return Phase::Killing;
                }
                tracing::info!("{by}: draining");
                drain_until = Some(Instant::now() + shared.timing.drain);
                shared.board().begin_drain();
                shared.enter(Phase::Draining);
                shared.tell_engine(ToEngine::Drain);
            }
            _ = looks.tick() => shared.look_round(),
            () = overdue => {
                tracing::error!("the engine thread does not drain: ending without it");
                shared.force_end();
                asks.next_is_last();
                return Phase::Killing;
            }
        }
    }
}

/// Ends the replicas and waits for their tasks.
async fn end(shared: &Shared, phase: Phase, mut tasks: JoinSet<()>, asks: &mut Asks) {
    shared.enter(phase);
    // Every task kills what does not end in time; only a process that the kernel cannot end, since
    // it hangs in a device, takes longer.
    let until = Instant::now() + shared.timing.stop + Duration::from_nanos(REPLICA_KILL_NS);
    loop {
        tokio::select! {
            ended = tasks.join_next() => match ended {
                Some(Ok(())) => {}
                Some(Err(error)) => tracing::error!("a task of the control thread failed: {error}"),
                None => return,
            },
            by = asks.next() => {
                tracing::warn!("{by}: killing the replicas");
                asks.next_is_last();
                shared.enter(Phase::Killing);
            }
            () = sleep_until(until) => {
                tracing::error!("{} replicas cannot be killed: left behind", tasks.len());
                return;
            }
        }
    }
}

/// The ways to be asked to end.
#[derive(Debug)]
struct Asks {
    signals: Option<Listening>,
    stop: Option<oneshot::Receiver<()>>,
}

impl Asks {
    fn new(signals: Option<Signals>, stop: oneshot::Receiver<()>) -> io::Result<Self> {
        Ok(Self { signals: signals.map(Signals::listen).transpose()?, stop: Some(stop) })
    }

    /// Waits for the next one. Says which it was.
    async fn next(&mut self) -> &'static str {
        let stopped = async {
            match &mut self.stop {
                Some(stop) => {
                    // An error says that the other end is gone: see `ControlPlan::stop`.
                    let _ = stop.await;
                }
                None => std::future::pending().await,
            }
        };
        let heard = async {
            match &mut self.signals {
                Some(signals) => signals.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            by = heard => by,
            () = stopped => {
                self.stop = None;
                "stop"
            }
        }
    }

    /// From now on a signal ends the process itself.
    fn next_is_last(&self) {
        self.signals.iter().for_each(Listening::next_is_last);
    }
}
