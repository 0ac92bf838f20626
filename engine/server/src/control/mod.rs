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
//!                 registry ──▶ admin: /healthz /readyz /metrics /stats /inspect, arms ──▶ changes
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
mod admin_listener;
mod answers;
mod backoff;
mod by_hand;
pub mod changes;
mod estimates;
mod greet;
mod health;
pub mod learning;
mod life;
mod limiter;
mod output;
pub mod plan;
mod process;
pub mod prometheus;
pub mod registry;
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
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cutter_machine::clock::monotonic_ns;
use cutter_machine::memory::free_in_pieces;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, MissedTickBehavior, sleep_until};

pub use by_hand::{ContainerListener, bind_containers};
pub use signals::Signals;

use crate::limits::{
    CONTAINER_HELLO_NS, CONTROL_DRAIN_GRACE_NS, DRAIN_NS_MAX, HEALTH_PERIOD_NS, REPLICA_KILL_NS,
    REPLICA_STOP_NS,
};
use crate::messages::{EngineMailbox, ToControl, ToEngine};
use changes::{Changes, Request};
use cutter_core::stats::EngineStats;
use registry::Registry;
use shared::{Phase, Shared};
use signals::Listening;

/// What the control thread is made of.
#[derive(Debug)]
pub struct ControlPlan {
    pub stats: Arc<EngineStats>,
    /// What there is at the start. From now on this thread alone changes it.
    pub registry: Arc<Mutex<Registry>>,
    pub engine: EngineMailbox,
    pub inbox: UnboundedReceiver<ToControl>,
    /// The way to ask for changes, for the admin HTTP.
    pub changes: Changes,
    /// What is to come and to go while the server runs.
    pub requests: UnboundedReceiver<Request>,
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
    run_with(plan, Timing::STANDARD)
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
    let ControlPlan { stats, registry, engine, mut inbox, requests, admin, .. } = plan;
    let (containers, log_lines_dropped) = (plan.containers, plan.log_lines_dropped);
    let mut stop_requests = StopRequests::new(plan.signals, plan.stop)?;
    let handlers = admin::Admin {
        registry: Arc::clone(&registry),
        stats,
        engine: engine.clone(),
        changes: plan.changes,
        log_lines_dropped,
        started_ns: monotonic_ns(),
        inspected: Arc::default(),
    };
    let shared = Rc::new(Shared::new(registry, engine, timing));
    shared.registry().note_engine_unpinned(plan.engine_unpinned);
    tokio::spawn(async move {
        if let Err(error) = admin::run(handlers, admin).await {
            tracing::error!("there is no admin HTTP: {error}");
        }
    });
    let mut tasks = JoinSet::new();
    tasks.spawn_local(changes::run(Rc::clone(&shared), requests));
    if let Some(containers) = containers {
        let shared = Rc::clone(&shared);
        tasks.spawn_local(async move {
            if let Err(error) = by_hand::run(shared, containers).await {
                tracing::error!("there is no container socket: {error}");
            }
        });
    }
    let phase = conduct(&shared, &mut inbox, &mut stop_requests).await;
    end(&shared, phase, tasks, &mut stop_requests).await;
    Ok(())
}

/// Serves, then drains. Says how the replicas are to end.
async fn conduct(
    shared: &Shared,
    inbox: &mut UnboundedReceiver<ToControl>,
    stop_requests: &mut StopRequests,
) -> Phase {
    let mut drain_until: Option<Instant> = None;
    let mut looks = tokio::time::interval(Duration::from_nanos(HEALTH_PERIOD_NS));
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
                Some(ToControl::Warmed { replica, incarnation, probes, failure }) => {
                    shared.warmed(replica, incarnation, probes, failure.as_deref());
                }
                // Unmapping it takes its time; this thread has it.
                Some(ToControl::Retired(memory)) => drop(memory),
                // The endpoint, too, is freed here.
                Some(ToControl::Changed { number, retired, endpoint: _ }) => {
                    shared.changed(number, retired);
                }
                Some(ToControl::PoolChanged { replica, incarnation, change }) => {
                    shared.pool_changed(replica, incarnation, change);
                }
                Some(ToControl::Garbage(buffer)) => free_in_pieces(buffer),
                Some(ToControl::Drained) => {
                    shared.registry().note_engine_ended();
                    return Phase::Ending;
                }
                None => {
                    shared.registry().note_engine_ended();
                    tracing::error!("the engine thread has ended before its time");
                    return Phase::Killing;
                }
            },
            by = stop_requests.next() => {
                if drain_until.is_some() {
                    tracing::warn!("{by} during the drain: ending at once");
                    shared.force_end();
                    stop_requests.next_is_last();
                    return Phase::Killing;
                }
                tracing::info!("{by}: draining");
                drain_until = Some(Instant::now() + shared.timing.drain);
                shared.registry().begin_drain();
                shared.enter(Phase::Draining);
                shared.send_to_engine(ToEngine::Drain);
            }
            _ = looks.tick() => shared.check_health(),
            () = overdue => {
                tracing::error!("the engine thread does not drain: ending without it");
                shared.force_end();
                stop_requests.next_is_last();
                return Phase::Killing;
            }
        }
    }
}

/// Ends the replicas and waits for their tasks.
async fn end(
    shared: &Shared,
    phase: Phase,
    mut tasks: JoinSet<()>,
    stop_requests: &mut StopRequests,
) {
    shared.enter(phase);
    shared.give_up_changes();
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
            by = stop_requests.next() => {
                tracing::warn!("{by}: killing the replicas");
                stop_requests.next_is_last();
                shared.enter(Phase::Killing);
            }
            () = sleep_until(until) => {
                tracing::error!("replicas that cannot be killed are left behind");
                return;
            }
        }
    }
}

/// The ways to be asked to end.
#[derive(Debug)]
struct StopRequests {
    signals: Option<Listening>,
    stop: Option<oneshot::Receiver<()>>,
}

impl StopRequests {
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
