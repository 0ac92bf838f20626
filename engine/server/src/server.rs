//! A running server: the engine thread, the control thread, and the way to end them.
//!
//! Everything that can be refused is refused before a thread starts: addresses, memory, io_uring.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cutter_core::stats::EngineStats;
use cutter_machine::clock::monotonic_ns;
use tokio::sync::{mpsc, oneshot};

use crate::asker::{AskError, Asker};
use crate::config::{Config, Listen, Problem, StateStore};
use crate::control::changes::Changes;
use crate::control::learning::Run;
use crate::control::plan;
use crate::control::registry::Registry;
use crate::control::{self, ContainerListener, ControlPlan, Signals};
use crate::counted::Counted;
use crate::decision_log::{DecisionLog, LogError, LogSettings, LogThread, LogWriter};
use crate::engine::{Engine, EngineError};
use crate::limits::{CONNECTIONS_MIN, ENGINE_END_NS, sums};
use crate::messages::{self, EngineMailbox};
use crate::port::http::PortLimits;
use crate::reactor::listener::{ListenError, Listener, Patience, bind_tcp};
use crate::reactor::{EnginePlan, EngineThread, LoopError};
use crate::store::{self, StoreClient, StoreError, StoreThread};

/// Why a server cannot start. Each is one line: what, why, what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Loop(#[from] LoopError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
    #[error("cannot start: {0}")]
    Settings(Box<Problem>),
    #[error("asked to end while it was starting")]
    Ended,
    #[error("the engine thread is stuck: the server ends without it")]
    Stuck,
}

/// What a server takes of the process in which it runs. By default nothing.
#[derive(Debug)]
pub struct Host {
    /// Signals that drain the server.
    pub signals: Option<Signals>,
    /// How many lines of the process's log could not be written.
    pub log_lines_dropped: fn() -> u64,
}

impl Default for Host {
    fn default() -> Self {
        Self { signals: None, log_lines_dropped: || 0 }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<Listen>,
    admin: SocketAddr,
    stats: Arc<EngineStats>,
    registry: Arc<Mutex<Registry>>,
    changes: Changes,
    mailbox: EngineMailbox,
    stop: Option<oneshot::Sender<()>>,
    engine: JoinHandle<Result<(), LoopError>>,
    control: JoinHandle<std::io::Result<()>>,
    log_thread: Option<LogThread>,
}

impl Server {
    /// Starts a server. Signals drain it, where the host has any; one that has come already ends
    /// the start, with [`StartError::Ended`].
    pub fn start(config: Config, host: Host) -> Result<Server, StartError> {
        config.check().map_err(StartError::Settings)?;
        let Host { signals, log_lines_dropped } = host;
        let is_over = || signals.as_ref().is_some_and(Signals::is_asked_to_end);
        let patience = Patience::new(&is_over);
        let sockets = bind(&config, patience)
            .map_err(|error| if is_over() { StartError::Ended } else { error.into() })?;
        let addresses = sockets.query.iter().map(|listener| listener.address.clone()).collect();
        let admin = sockets.admin.local_addr()?;
        let (mailbox, inbox) = messages::mailbox()?;
        let Kept { store, run, log, log_thread } = open_kept(&config, &mailbox)?;
        let made = Engine::of(run, &config, port_limits(&config), monotonic_ns(), &is_over);
        let made = made.map_err(|error| match error {
            EngineError::Ended => StartError::Ended,
            error @ EngineError::Change(_) => error.into(),
        })?;
        let Engine { core, mut frontend, stats, registry, ids: _, headers } = made;
        frontend.replies.log = log.map(|mut log| {
            headers.iter().for_each(|(id, header)| log.add_application(*id, header));
            Box::new(log)
        });
        let registry = Arc::new(Mutex::new(registry));
        let (changes, requests) = control::changes::channel();
        let (to_control, from_engine) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let (engine, unpinned) = start_engine(
            config.server.cpu,
            EnginePlan {
                listeners: sockets.query,
                frontend,
                core,
                stats: Arc::clone(&stats),
                inbox,
                control: to_control,
                wait: config.server.wait,
                store,
            },
        )?;
        let plan = ControlPlan {
            stats: Arc::clone(&stats),
            registry: Arc::clone(&registry),
            engine: mailbox.clone(),
            inbox: from_engine,
            changes: changes.clone(),
            requests,
            admin: sockets.admin,
            containers: sockets.containers,
            engine_unpinned: unpinned,
            signals,
            log_lines_dropped,
            stop: stopped,
        };
        let control = std::thread::Builder::new()
            .name("cutter-control".to_owned())
            .spawn(move || control::run(plan))?;
        let stop = Some(stop);
        Ok(Server {
            addresses,
            admin,
            stats,
            registry,
            changes,
            mailbox,
            stop,
            engine,
            control,
            log_thread,
        })
    }

    /// Where queries are taken, with the ports that were really bound.
    pub fn addresses(&self) -> &[Listen] {
        &self.addresses
    }

    /// Where the control plane is.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// What is counted of all that there is now.
    pub fn counted(&self) -> Counted {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.counted(&self.stats)
    }

    /// The way to ask one application from within this process, without a socket. Each asks for
    /// itself: one for each thread.
    ///
    /// # Errors
    /// There is no such application.
    pub fn asker(&self, application: &str) -> Result<Asker, AskError> {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let id = plan::application(&registry, application);
        let id = id.map_err(|error| AskError::NoApplication(error.to_string()))?;
        let settings = &registry.applications[id].settings;
        let default_output = settings.default_output.clone();
        let policy = plan::policy_view(settings);
        Ok(Asker::new(self.mailbox.clone(), id, settings.input, default_output, policy))
    }

    /// The way to change it while it runs.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Asks the server to drain and to end.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // A control thread that has ended needs no asking.
            let _ = stop.send(());
        }
    }

    /// Waits until the server has ended: drained, replicas gone, files removed.
    pub fn join(self) -> Result<(), StartError> {
        // It ends in any case: when the engine thread is done, has failed, or does not drain.
        let control = self.control.join();
        let engine = end_of(self.engine)?;
        engine.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        // What was learned, and what was decided, is written before the process ends.
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let store = registry.run.store.take();
        drop(registry);
        store.into_iter().for_each(StoreThread::join);
        self.log_thread.into_iter().for_each(LogThread::join);
        control.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(())
    }
}

/// Waits for an engine thread that has been told to end, and not for one that is stuck.
fn end_of<T>(engine: JoinHandle<T>) -> Result<std::thread::Result<T>, StartError> {
    const LOOK: Duration = Duration::from_millis(1);
    let until = Instant::now() + Duration::from_nanos(ENGINE_END_NS);
    while !engine.is_finished() {
        if Instant::now() >= until {
            return Err(StartError::Stuck);
        }
        std::thread::sleep(LOOK);
    }
    Ok(engine.join())
}

/// What outlives a server, opened.
struct Kept {
    store: Option<StoreClient>,
    run: Run,
    log: Option<LogWriter>,
    log_thread: Option<LogThread>,
}

/// Opens what a configuration wants kept: states, if there is a policy that has any, and a log of
/// decisions.
fn open_kept(config: &Config, mailbox: &EngineMailbox) -> Result<Kept, StartError> {
    let path = match &config.server.state {
        _ if !config.has_store() => None,
        StateStore::At(path) => Some(path.clone()),
        StateStore::None | StateStore::Default => Some(store::default_path()?),
    };
    let mailbox = mailbox.clone();
    let opened =
        path.map(|path| store::open(&path, Box::new(move || mailbox.ring()))).transpose()?;
    let (store, thread) = opened.unzip();
    let log = config.server.decision_log.as_ref().map(|settings| {
        DecisionLog::open(LogSettings {
            directory: settings.directory.clone(),
            file_bytes_max: settings.file_bytes,
            files_max: settings.files as usize,
            sample: settings.sample,
        })
    });
    let (log, log_thread) = log.transpose()?.unzip();
    let decision_log = log_thread.as_ref().map(LogThread::counts).cloned();
    let run = Run { first_query_id: epoch_us(), store: thread, decision_log };
    Ok(Kept { store, run, log, log_thread })
}

/// Microseconds since 1970: an epoch of query ids. A port takes less than a query in each, so that
/// the next run of the server begins beyond all ids of this one; and below 2^53, so that they are
/// numbers in every JSON.
fn epoch_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(1).max(1)
}

/// All sockets of a server.
struct Sockets {
    query: Vec<Listener>,
    admin: TcpListener,
    containers: Option<ContainerListener>,
}

fn bind(config: &Config, patience: Patience<'_>) -> Result<Sockets, ListenError> {
    let query = config.server.query.iter().map(|address| Listener::bind(address, patience));
    let query = query.collect::<Result<Vec<_>, _>>()?;
    let admin = config.server.admin;
    let admin = patience.bind(&admin.to_string(), || bind_tcp(admin))?;
    let containers = config.server.socket.as_deref().map(|path| {
        let address = format!("unix:{}", path.display());
        patience.bind(&address, || control::bind_containers(path))
    });
    Ok(Sockets { query, admin: admin.into(), containers: containers.transpose()? })
}

/// What an engine thread ends with.
type EngineEnded = Result<(), LoopError>;

/// The ring belongs to the thread that makes it, so the thread says whether it could; and whether
/// it runs where it was to be put, or why not.
fn start_engine(
    cpu: Option<usize>,
    plan: EnginePlan,
) -> Result<(JoinHandle<EngineEnded>, Option<String>), StartError> {
    let (ready, is_ready) = std::sync::mpsc::channel();
    let engine = std::thread::Builder::new().name("cutter-engine".to_owned()).spawn(move || {
        let unpinned = cpu.map(cutter_machine::affinity::pin_current);
        let unpinned = unpinned.and_then(Result::err).map(|error| error.to_string());
        if let Some(why) = &unpinned {
            tracing::error!("the engine thread is not pinned: {why}");
        }
        let thread = EngineThread::new(plan);
        if thread.is_ok() {
            // The starter waits for this; when it does not any more, the process is ending.
            let _ = ready.send(unpinned);
        }
        drop(ready);
        thread?.run()
    })?;
    match is_ready.recv() {
        Ok(unpinned) => Ok((engine, unpinned)),
        Err(_) => match engine.join() {
            Ok(Err(error)) => Err(error.into()),
            Ok(Ok(())) => unreachable!("an engine thread that did not start cannot end well"),
            Err(panic) => std::panic::resume_unwind(panic),
        },
    }
}

/// As many connections as there are descriptors for, when all else has its own: else whoever
/// connects would take those of health checks and replicas.
fn port_limits(config: &Config) -> PortLimits {
    use rustix::process::{Resource, getrlimit};
    let most = PortLimits::default();
    let others = sums::descriptors(config).total() - most.connections as u64;
    let left = getrlimit(Resource::Nofile).current.map(|limit| limit.saturating_sub(others));
    let left = left.and_then(|left| usize::try_from(left).ok()).unwrap_or(usize::MAX);
    PortLimits { connections: left.clamp(CONNECTIONS_MIN, most.connections), ..most }
}

/// Raises this process's soft limit of open files to the hard one. Each connection and replica
/// takes descriptors, and the soft limit is often a mere 1,024.
pub fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // When it is refused, connections beyond the limit are, too, with a pause and a retry.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
