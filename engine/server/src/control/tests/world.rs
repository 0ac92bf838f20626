//! A control thread under test, and the engine thread as the test plays it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use cutter_admin_api::inspect::Connections;
use cutter_core::{Availability, CoreView, Death};
use cutter_machine::clock::monotonic_ns;
use cutter_protocol::engine::EngineEnd;
use cutter_protocol::wait::WaitStrategy;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tracing_subscriber::filter::LevelFilter;

use super::super::changes;
use super::super::{ControlPlan, Signals, Timing, bind_containers, run_with};
use crate::config::Config;
use crate::counted::Counted;
use crate::engine::Engine;
use crate::inspection::{Inspection, Pulse};
use crate::messages::{EngineInbox, ToControl, ToEngine, mailbox};
use crate::port::http::PortLimits;

/// Longer than anything takes here. What takes longer hangs, and so would the test.
const HANG: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

/// An application `digits` whose input is 4 floats; models are added to it.
pub const DIGITS: &str = r#"
[[application]]
name = "digits"
input = { type = "floats", shape = [4] }
models = ["m"]
"#;

pub struct World {
    inbox: EngineInbox,
    pub to_control: Option<mpsc::UnboundedSender<ToControl>>,
    stop: Option<oneshot::Sender<()>>,
    pub admin: SocketAddr,
    pub stats: Counted,
    log: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<io::Result<()>>>,
    folder: TempDir,
    /// Of an engine on which nothing has happened.
    view: CoreView,
}

/// What the engine thread is told, with the ends of replicas put aside.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    Up { replica: usize, incarnation: u64 },
    Lost { replica: usize, incarnation: u64, death: Death },
    Availability { model: usize, availability: Availability },
    Switched { application: usize, arm: usize, on: bool },
    Drain,
    EndNow,
}

pub const DOWN: Told = Told::Availability { model: 0, availability: Availability::Down };
pub const EXPECTED: Told = Told::Availability { model: 0, availability: Availability::Expected };

/// One replica of model `m` with this command.
pub fn model(command: &[&str]) -> String {
    format!("{DIGITS}\n[[model]]\nname = \"m\"\ncommand = {command:?}\n")
}

/// One replica of model `m` whose container is an ignored test of this module.
pub fn container(name: &str) -> String {
    let program = std::env::current_exe().unwrap();
    let name = format!("control::tests::containers::{name}");
    model(&[program.to_str().unwrap(), "--ignored", "--exact", "--nocapture", &name])
}

pub fn quick() -> Timing {
    let quick = Duration::from_millis(300);
    Timing { stop: quick, ..Timing::STANDARD }
}

impl World {
    pub fn start(models: &str) -> World {
        World::start_with(models, Timing::STANDARD, false)
    }

    pub fn start_with(models: &str, timing: Timing, signals: bool) -> World {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("[server]\nsocket = \"c.sock\"\n{models}");
        let (config, _) = Config::from_toml(&text, folder.path(), "c").unwrap();
        let now_ns = monotonic_ns();
        let made = Engine::new(&config, PortLimits::default(), now_ns, &|| false).unwrap();
        let Engine { core, stats, registry, .. } = made;
        let (view, counted) = (core.view(), registry.counted(&stats));
        let (changes, requests) = changes::channel();
        let (engine, inbox) = mailbox().unwrap();
        let (to_control, from_engine) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let admin = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = admin.local_addr().unwrap();
        let plan = ControlPlan {
            stats,
            registry: Arc::new(Mutex::new(registry)),
            engine,
            inbox: from_engine,
            changes,
            requests,
            admin,
            containers: config.server.socket.as_deref().map(|path| bind_containers(path).unwrap()),
            engine_unpinned: None,
            signals: signals.then(|| Signals::install().unwrap()),
            log_lines_dropped: || 0,
            stop: stopped,
        };
        let log = Arc::default();
        let writer = Writer(Arc::clone(&log));
        let thread = std::thread::spawn(move || {
            let subscriber = tracing_subscriber::fmt()
                .with_ansi(false)
                .with_max_level(LevelFilter::INFO)
                .with_writer(move || writer.clone())
                .finish();
            tracing::subscriber::with_default(subscriber, || run_with(plan, timing))
        });
        World {
            inbox,
            to_control: Some(to_control),
            stop: Some(stop),
            admin: address,
            stats: counted,
            log,
            view,
            thread: Some(thread),
            folder,
        }
    }

    /// The next thing that the engine thread is told.
    pub fn hear(&mut self) -> Told {
        self.hear_with_end().0
    }

    /// The same, with the engine's end of a replica that is up.
    pub fn hear_with_end(&mut self) -> (Told, Option<Box<EngineEnd>>) {
        let message = until("the engine thread is told something", || {
            let wait = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
            let bell = self.inbox.bell();
            poll(&mut [PollFd::new(&bell, PollFlags::IN)], Some(&wait)).unwrap();
            self.inbox.next()
        });
        match message {
            ToEngine::ReplicaUp { replica, incarnation, end, pools, .. } => {
                assert_eq!(pools, [], "it was granted all that it is to read");
                let replica = replica.place();
                (Told::Up { replica, incarnation }, Some(end))
            }
            ToEngine::ReplicaLost { replica, incarnation, death } => {
                let replica = replica.place();
                (Told::Lost { replica, incarnation, death }, None)
            }
            ToEngine::Availability { model, availability } => {
                let model = model.place();
                (Told::Availability { model, availability }, None)
            }
            ToEngine::SwitchArm { application, arm, on } => {
                (Told::Switched { application: application.place(), arm, on }, None)
            }
            ToEngine::Change { .. }
            | ToEngine::ChangePool { .. }
            | ToEngine::StopReplica { .. } => unreachable!("nothing comes or goes here"),
            ToEngine::Ask(_) => unreachable!("nobody asks here"),
            ToEngine::Inspect { .. } => panic!("nobody asked how everything stands"),
            ToEngine::Drain => (Told::Drain, None),
            ToEngine::EndNow => (Told::EndNow, None),
        }
    }

    /// Asserts that the next thing is an incarnation that is up.
    pub fn hear_up(&mut self, replica: usize, incarnation: u64) -> Box<EngineEnd> {
        let (told, end) = self.hear_with_end();
        assert_eq!(told, Told::Up { replica, incarnation });
        end.unwrap()
    }

    pub fn tell(&self, message: ToControl) {
        self.to_control.as_ref().unwrap().send(message).unwrap();
    }

    pub fn ask_to_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until the control thread has ended.
    pub fn join(&mut self) {
        self.thread.take().unwrap().join().unwrap().unwrap();
    }

    /// Drains as the engine thread does, and waits for the end.
    pub fn end(&mut self, replicas: Vec<Box<EngineEnd>>) {
        self.ask_to_stop();
        until("the drain", || (self.hear() == Told::Drain).then_some(()));
        self.end_drained(replicas);
    }

    /// The same, when the drain has begun.
    pub fn end_drained(&mut self, mut replicas: Vec<Box<EngineEnd>>) {
        replicas.iter_mut().for_each(|end| end.stop());
        self.tell(ToControl::Drained);
        self.join();
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("c.sock")
    }

    pub fn log(&self) -> String {
        String::from_utf8(self.log.lock().unwrap().clone()).unwrap()
    }

    /// Waits for a text in the log. Gives what follows it in its line.
    pub fn logged(&self, text: &str) -> String {
        until(text, || {
            let log = self.log();
            let (_, rest) = log.split_once(text)?;
            let (line, _) = rest.split_once('\n')?;
            Some(line.to_owned())
        })
    }

    /// Status, head and body of an answer.
    pub fn request(&self, request: &str) -> (u16, String, String) {
        request_of(self.admin, request, "")
    }

    /// The same with a field of its own.
    pub fn request_with(&self, request: &str, field: &str) -> (u16, String, String) {
        request_of(self.admin, request, &format!("{field}\r\n"))
    }

    /// Answers `/inspect` as an engine thread would on which nothing has happened.
    pub fn answer_inspection(&self) {
        let reply = until("the engine thread is asked how everything stands", || {
            match self.inbox.next()? {
                ToEngine::Inspect { reply } => Some(reply),
                _ => None,
            }
        });
        let inspection = Inspection {
            at_ns: 125,
            pulse: Pulse::new(WaitStrategy::Adaptive, 100),
            draining: false,
            ring_enters: 1,
            ring_overflows: 0,
            connections: Connections::default(),
            links: Vec::new(),
            core: self.view.clone(),
        };
        reply.send(Box::new(inspection)).unwrap();
    }

    pub fn ready(&self) -> (u16, Value) {
        let (status, _, body) = self.request("GET /readyz");
        (status, serde_json::from_str(&body).unwrap())
    }

    /// A replica of the first model as `/readyz` shows it.
    pub fn replica(&self, ordinal: usize) -> Value {
        self.ready().1["models"][0]["replicas"][ordinal].clone()
    }

    /// The process of a replica of the first model, once there is one.
    pub fn pid(&self, ordinal: usize) -> i32 {
        until("a process", || {
            let pid = self.replica(ordinal)["pid"].as_i64()?;
            i32::try_from(pid).ok()
        })
    }
}

impl Drop for World {
    /// A world whose engine thread is gone ends, and leaves no process behind.
    fn drop(&mut self) {
        self.to_control = None;
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(std::thread::panicking() || ended.is_ok_and(|done| done.is_ok()));
        }
    }
}

/// The JSON that a path of an admin port answers.
pub fn json_of(admin: SocketAddr, path: &str) -> Value {
    let (status, _, body) = request_of(admin, &format!("GET {path}"), "");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

fn request_of(admin: SocketAddr, request: &str, fields: &str) -> (u16, String, String) {
    answer_on(ask(admin, request, fields))
}

/// Status, head and body of the answer to a request with a body.
pub fn post(admin: SocketAddr, path: &str, fields: &str, body: &str) -> (u16, String, String) {
    let fields = format!("Content-Length: {}\r\n{fields}", body.len());
    let mut stream = ask(admin, &format!("POST {path}"), &fields);
    stream.write_all(body.as_bytes()).unwrap();
    answer_on(stream)
}

/// A connection with a request that is not answered yet.
pub fn ask(admin: SocketAddr, request: &str, fields: &str) -> TcpStream {
    let mut stream = TcpStream::connect(admin).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n").unwrap();
    stream
}

/// Status, head and body of the answer.
pub fn answer_on(mut stream: TcpStream) -> (u16, String, String) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), body.to_owned())
}

/// Looks until there is something.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let turns = HANG.as_millis() / LOOK.as_millis();
    for _ in 0..turns {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(LOOK);
    }
    panic!("waited in vain for: {what}");
}

pub fn is_gone(pid: i32) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

#[derive(Clone)]
struct Writer(Arc<Mutex<Vec<u8>>>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
