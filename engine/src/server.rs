//! A running server: the engine thread, the control thread, and the way to end them.
//!
//! Everything that can be refused is refused before a thread starts: addresses, memory, io_uring.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

use cutter_protocol::limits::DEPTH_DEFAULT;
use cutter_protocol::segment::SegmentError;
use cutter_protocol::violation::Violation;
use tokio::sync::{mpsc, oneshot};

use crate::clipper;
use crate::config::{self, BatchPolicy, Config, Listen};
use crate::control::{self, ControlPlan};
use crate::frontend::{Frontend, PortLimits};
use crate::messages::mailbox;
use crate::net::listener::{ListenError, Listener, hint};
use crate::net::{EngineError, EnginePlan, EngineThread};
use crate::pool::InputPool;
use crate::scheduler::{ApplicationPlan, ModelPlan, PolicyPlan, Scheduler};
use crate::stats::EngineStats;

/// Why a server cannot start. Each is one line: what, why, what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("cannot take the input pool of application {application}: {source}")]
    Pool {
        application: String,
        #[source]
        source: SegmentError,
    },
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<Listen>,
    admin: SocketAddr,
    stats: Arc<EngineStats>,
    stop: Option<oneshot::Sender<()>>,
    engine: JoinHandle<Result<(), EngineError>>,
    control: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Starts a server. With `signals`, SIGTERM and SIGINT drain it.
    pub fn start(config: Config, signals: bool) -> Result<Server, StartError> {
        raise_descriptor_limit();
        let config = Arc::new(config);
        let listeners = config.server.query.iter().map(Listener::bind);
        let listeners = listeners.collect::<Result<Vec<_>, _>>()?;
        let addresses = listeners.iter().map(|listener| listener.address.clone()).collect();
        let admin_listener = bind_admin(config.server.admin)?;
        let admin = admin_listener.local_addr()?;
        let containers = config.server.socket.as_deref();
        let containers = containers
            .map(|path| {
                let address = format!("unix:{}", path.display());
                control::bind_containers(path).map_err(|source| ListenError {
                    address,
                    hint: hint(&source),
                    source,
                })
            })
            .transpose()?;
        let stats = Arc::new(new_stats(&config));
        let pools = create_pools(&config)?;
        let descriptors = pools.iter().map(|pool| pool.as_fd().try_clone_to_owned());
        let descriptors = descriptors.collect::<Result<Vec<OwnedFd>, _>>()?;
        let (engine_mailbox, inbox) = mailbox()?;
        let (to_control, from_engine) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let engine = start_engine(
            config.server.cpu,
            EnginePlan {
                listeners,
                frontend: Frontend::new(
                    faces(&config),
                    pools,
                    PortLimits::default(),
                    Arc::clone(&stats),
                ),
                scheduler: new_scheduler(&config, Arc::clone(&stats)),
                stats: Arc::clone(&stats),
                inbox,
                control: to_control,
                wait: config.server.wait,
            },
        )?;
        let plan = ControlPlan {
            config,
            stats: Arc::clone(&stats),
            engine: engine_mailbox,
            inbox: from_engine,
            pools: descriptors,
            admin: admin_listener,
            containers,
            signals,
            stop: stopped,
        };
        let control = std::thread::Builder::new()
            .name("cutter-control".to_owned())
            .spawn(move || control::run(plan))?;
        Ok(Server { addresses, admin, stats, stop: Some(stop), engine, control })
    }

    /// Where queries are taken, with the ports that were really bound.
    pub fn addresses(&self) -> &[Listen] {
        &self.addresses
    }

    /// Where the control plane is.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    pub fn stats(&self) -> &Arc<EngineStats> {
        &self.stats
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
        let engine = self.engine.join();
        let control = self.control.join();
        engine.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        control.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(())
    }
}

/// Counters and histograms for everything that a configuration names.
pub fn new_stats(config: &Config) -> EngineStats {
    let applications: Vec<&str> = config.applications.iter().map(|a| a.name.as_str()).collect();
    let models: Vec<(&str, &str, usize)> = config
        .models
        .iter()
        .map(|model| (model.name.as_str(), model.version.as_str(), model.replicas as usize))
        .collect();
    let stats = EngineStats::new(&applications, &models, Violation::KINDS);
    for (application, stats) in config.applications.iter().zip(&stats.applications) {
        stats.rows.set(u64::from(application.rows));
    }
    stats
}

/// The scheduler of a configuration.
pub fn new_scheduler(config: &Config, stats: Arc<EngineStats>) -> Scheduler {
    let applications: Vec<ApplicationPlan> = config
        .applications
        .iter()
        .map(|application| ApplicationPlan {
            slo_ns: application.slo_ns,
            rows: application.rows,
            model: application.models.first().copied(),
        })
        .collect();
    let models: Vec<ModelPlan> = config.models.iter().map(model_plan).collect();
    Scheduler::new(&applications, &models, stats)
}

fn model_plan(model: &config::Model) -> ModelPlan {
    ModelPlan {
        replicas: model.replicas,
        depth: DEPTH_DEFAULT,
        policy: match model.batch {
            BatchPolicy::Aimd { max } => PolicyPlan::Aimd { max },
            BatchPolicy::Fixed { max } => PolicyPlan::Fixed { max },
        },
        batch_timeout_ns: model.batch_timeout_ns,
    }
}

fn faces(config: &Config) -> Vec<clipper::Application> {
    let face = |application: &config::Application| {
        let model = application.models.first().map(|model| &config.models[*model]);
        let mut face = clipper::Application::new(
            application.name.clone(),
            application.input,
            &application.default_output,
            model.map(|model| (model.name.clone(), model.version.clone())),
        );
        (face.rows, face.json_output) = (application.rows, application.json_output);
        face
    };
    config.applications.iter().map(face).collect()
}

fn create_pools(config: &Config) -> Result<Vec<InputPool>, StartError> {
    let create = |application: &config::Application| {
        let (rows, at_start) = (application.rows, application.rows_at_start);
        InputPool::create_in_part(rows, application.row_stride(), at_start)
            .map_err(|source| StartError::Pool { application: application.name.clone(), source })
    };
    config.applications.iter().map(create).collect()
}

fn bind_admin(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).map_err(|source| ListenError {
        address: address.to_string(),
        hint: hint(&source),
        source,
    })
}

/// The ring belongs to the thread that makes it, so the thread says whether it could.
fn start_engine(
    cpu: Option<usize>,
    plan: EnginePlan,
) -> Result<JoinHandle<Result<(), EngineError>>, StartError> {
    let (ready, is_ready) = std::sync::mpsc::channel();
    let engine = std::thread::Builder::new().name("cutter-engine".to_owned()).spawn(move || {
        if let Some(Err(error)) = cpu.map(cutter_machine::affinity::pin_current) {
            tracing::warn!("the engine thread is not pinned: {error}");
        }
        let thread = EngineThread::new(plan);
        // The starter waits for this; when it does not any more, the process is ending.
        let _ = ready.send(thread.is_ok());
        thread?.run()
    })?;
    match is_ready.recv() {
        Ok(true) => Ok(engine),
        _ => match engine.join() {
            Ok(Err(error)) => Err(error.into()),
            Ok(Ok(())) => unreachable!("an engine thread that did not start cannot end well"),
            Err(panic) => std::panic::resume_unwind(panic),
        },
    }
}

/// Each connection and replica takes descriptors, and the soft limit is often a mere 1,024.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // When it is refused, connections beyond the limit are, too, with a pause and a retry.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
