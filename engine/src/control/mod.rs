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
mod greet;
mod life;
mod output;
mod process;
mod shared;
mod slot;
#[expect(unsafe_code, reason = "what runs between fork and exec")]
mod spawn;
#[cfg(test)]
mod tests;

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cutter_protocol::clock::monotonic_ns;
use cutter_protocol::limits::HANDSHAKE_NS;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep_until};

pub use by_hand::{ContainerListener, bind_containers};

use crate::config::Config;
use crate::limits::{CONTROL_DRAIN_NS_MAX, REPLICA_KILL_NS, REPLICA_STOP_NS};
use crate::messages::{EngineMailbox, ToControl, ToEngine};
use crate::stats::EngineStats;
use board::State;
use shared::{Phase, Shared};

/// What the control thread is made of.
#[derive(Debug)]
pub struct ControlPlan {
    pub config: Arc<Config>,
    pub stats: Arc<EngineStats>,
    pub engine: EngineMailbox,
    pub inbox: UnboundedReceiver<ToControl>,
    /// By application: the memory of its input pool.
    pub pools: Vec<OwnedFd>,
    pub admin: TcpListener,
    pub containers: Option<ContainerListener>,
    /// Whether SIGTERM and SIGINT begin the drain.
    pub signals: bool,
    /// Begins the drain, as SIGTERM does. So does dropping its other end: whoever could have asked
    /// is gone.
    pub stop: oneshot::Receiver<()>,
}

/// Runs the control plane on this thread until everything has ended: drained, replicas gone, files
/// removed.
pub fn run(plan: ControlPlan) -> io::Result<()> {
    run_with(plan, Timing::STANDARD)
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
struct Timing {
    /// From the start of a container, or its connection, to its hello.
    hello: Duration,
    /// From the grant to the container's word that it is ready.
    ready: Duration,
    /// For the engine thread to drain.
    drain: Duration,
    /// For a replica to end when it is asked to.
    stop: Duration,
}

impl Timing {
    const STANDARD: Self = Self {
        hello: Duration::from_nanos(HANDSHAKE_NS),
        ready: Duration::from_nanos(HANDSHAKE_NS),
        drain: Duration::from_nanos(CONTROL_DRAIN_NS_MAX),
        stop: Duration::from_nanos(REPLICA_STOP_NS),
    };
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

/// The index of a model's first replica.
fn first_replica(config: &Config, model: usize) -> usize {
    config.models[..model].iter().map(|model| model.replicas as usize).sum()
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
        engine.send(ToEngine::Drain);
    }
    done
}

async fn control(plan: ControlPlan, timing: Timing) -> io::Result<()> {
    let ControlPlan { config, stats, engine, mut inbox, pools, admin, containers, .. } = plan;
    let mut asks = Asks::new(plan.signals, plan.stop)?;
    let (config_read, engine_asked) = (Arc::clone(&config), engine.clone());
    let shared = Shared::new(config, Arc::clone(&stats), pools, engine, timing);
    let shared = Rc::new(shared);
    let desk = admin::Admin {
        board: shared.shared_board(),
        stats,
        config: config_read,
        engine: engine_asked,
        started_ns: monotonic_ns(),
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
                // Unmapping it takes its time; this thread has it.
                Some(ToControl::Retired(memory)) => drop(memory),
                Some(ToControl::Garbage(buffer)) => drop(buffer),
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
                    tracing::warn!("{by} during the drain: killing the replicas");
                    return Phase::Killing;
                }
                tracing::info!("{by}: draining");
                drain_until = Some(Instant::now() + shared.timing.drain);
                shared.board().begin_drain();
                shared.enter(Phase::Draining);
                shared.tell_engine(ToEngine::Drain);
            }
            () = overdue => {
                tracing::error!("the engine thread does not drain: killing the replicas");
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
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
    stop: Option<oneshot::Receiver<()>>,
}

impl Asks {
    fn new(signals: bool, stop: oneshot::Receiver<()>) -> io::Result<Self> {
        let listen = |kind| signals.then(|| signal(kind)).transpose();
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            stop: Some(stop),
        })
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
        tokio::select! {
            () = heard(&mut self.terminate) => "SIGTERM",
            () = heard(&mut self.interrupt) => "SIGINT",
            () = stopped => {
                self.stop = None;
                "stop"
            }
        }
    }
}

async fn heard(signal: &mut Option<Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}
