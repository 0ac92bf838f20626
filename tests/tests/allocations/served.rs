//! A server within the test's own process, whose engine thread can be watched: the same parts as
//! those of `cutter_server::server`, and whom its queries ask, of which a configuration knows
//! nothing yet.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use cutter_core::{Answer, Asked, Change, Link, Links, Sink};
use cutter_machine::clock::monotonic_ns;
use cutter_server::config::{Config, Listen, WaitStrategy};
use cutter_server::control::changes::{self, Changes};
use cutter_server::control::{self, ControlPlan};
use cutter_server::counted::Counted;
use cutter_server::engine::Engine;
use cutter_server::messages::mailbox;
use cutter_server::port::http::PortLimits;
use cutter_server::reactor::listener::{Listener, Patience};
use cutter_server::reactor::{EnginePlan, EngineThread};
use cutter_tests::eventually;
use tokio::sync::{mpsc, oneshot};

const ENGINE: &str = "cutter-engine";

pub struct Served {
    pub address: SocketAddr,
    pub counted: Counted,
    _changes: Changes,
    stop: oneshot::Sender<()>,
    threads: [JoinHandle<()>; 2],
}

impl Served {
    /// Serves one application, whose queries ask these of its models, and waits until all are
    /// ready.
    pub fn start(text: &str, asked: Asked) -> Served {
        let (config, _) = Config::from_toml(text, Path::new("/"), "a test's").unwrap();
        let made = Engine::new(&config, PortLimits::default(), monotonic_ns(), &|| false);
        let mut made = made.unwrap();
        let models = made.ids.models.iter().map(|model| Link { model: *model, pool: 0 });
        let links = Box::new(Links { models: models.collect(), asked, learner: None });
        let (application, rooms) = (made.ids.applications[0], Vec::new());
        let change = Change::Link { application, links, rooms };
        made.core.change(0, 0, change, &mut NoAnswers).expect("a link is done at once");
        let served = Self::start_threads(config.server.wait, made);
        eventually("all models are ready", || {
            let mut replicas = served.counted.models.iter().flat_map(|model| &model.replicas);
            replicas.all(|replica| replica.up.get() == 1).then_some(())
        });
        served
    }

    fn start_threads(wait: WaitStrategy, made: Engine) -> Served {
        let Engine { core, frontend, stats, registry, .. } = made;
        let counted = registry.counted(&stats);
        let (changes, requests) = changes::channel();
        let (engine_mailbox, inbox) = mailbox().unwrap();
        let (to_control, from_engine) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let any_port = Listen::Tcp(([127, 0, 0, 1], 0).into());
        let listener = Listener::bind(&any_port, Patience::new(&|| false)).unwrap();
        let Listen::Tcp(address) = listener.address else { unreachable!("bound to TCP") };
        let engine = EnginePlan {
            listeners: vec![listener],
            frontend,
            core,
            stats: Arc::clone(&stats),
            inbox,
            control: to_control,
            wait,
            store: None,
        };
        let control = ControlPlan {
            stats,
            registry: Arc::new(Mutex::new(registry)),
            engine: engine_mailbox,
            inbox: from_engine,
            changes: changes.clone(),
            requests,
            admin: TcpListener::bind("127.0.0.1:0").unwrap(),
            containers: None,
            engine_unpinned: None,
            signals: None,
            log_lines_dropped: || 0,
            stop: stopped,
        };
        let engine = std::thread::Builder::new()
            .name(ENGINE.to_owned())
            .spawn(|| EngineThread::new(engine).unwrap().run().unwrap());
        let control = std::thread::spawn(|| control::run(control).unwrap());
        Served { address, counted, _changes: changes, stop, threads: [engine.unwrap(), control] }
    }

    /// The number by which the kernel knows the engine thread.
    pub fn engine_thread(&self) -> i32 {
        let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let is_engine = |folder: &Path| {
            let name = std::fs::read_to_string(folder.join("comm"));
            name.is_ok_and(|name| name.trim_end() == ENGINE)
        };
        let mut engines = threads.map(|thread| thread.path()).filter(|folder| is_engine(folder));
        let (engine, other) = (engines.next().unwrap(), engines.next());
        assert_eq!(other, None, "one server at a time");
        engine.file_name().unwrap().to_str().unwrap().parse().unwrap()
    }

    /// Drains the server, and waits for its end.
    pub fn end(self) {
        drop(self.stop);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// Nobody is asked anything yet.
struct NoAnswers;

impl Sink for NoAnswers {
    fn answer(&mut self, _: &Answer<'_>) {
        unreachable!("no query is there before the engine runs")
    }
}
