//! One `cutter serve`, or another program that serves as it does, in a folder of its own, on ports
//! of its own.
//!
//! Dropping it ends it by SIGTERM, and fails the test unless it ends in good order: every test is
//! also one of the drain.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::http::{Client, Response};
use crate::limits::{SERVER_TIME, SERVERS_MAX, STOP_TIME};
use crate::metrics::Metrics;
use crate::processes::Process;
use crate::{binary, command, eventually};

const QUERY_SOCKET: &str = "cutter.sock";
const CONTAINER_SOCKET: &str = "containers.sock";

/// The text of an application whose input is this table's inside; `more` are further lines.
pub fn application(name: &str, input: &str, slo_ms: u32, model: &str, more: &str) -> String {
    format!(
        "[[application]]\nname = \"{name}\"\ninput = {{ {input} }}\nslo_us = {slo_ms}000\n\
         default_output = \"-1\"\nmodels = [\"{model}\"]\n{more}\n"
    )
}

/// The text of a model run by one of the programs of this workspace; `more` are further lines.
pub fn model(name: &str, words: &[&str], more: &str) -> String {
    let program = binary(words[0]);
    let words = words[1..].iter().map(|word| format!(", \"{word}\"")).collect::<String>();
    format!("[[model]]\nname = \"{name}\"\ncommand = [\"{}\"{words}]\n{more}\n", program.display())
}

/// The folder and the configuration of a server that is yet to start.
#[derive(Debug)]
pub struct Plan {
    folder: TempDir,
    server: String,
    body: String,
    /// Serves in place of `cutter serve --config`: it takes a configuration, and logs as that does.
    program: Option<&'static str>,
}

impl Plan {
    pub fn new(body: &str) -> Plan {
        let folder = tempfile::Builder::new().prefix("cutter-").tempdir();
        let folder = folder.expect("temporary files can be made");
        let server = format!(
            "query = [\"127.0.0.1:0\", \"unix:{QUERY_SOCKET}\"]\nadmin = \"127.0.0.1:0\"\n"
        );
        Plan { folder, server, body: body.to_owned(), program: None }
    }

    /// A configuration as it stands, which begins with `[server]`.
    #[track_caller]
    pub fn whole(config: &str) -> Plan {
        let (_, rest) = config.split_once("[server]\n").expect("it has a [server]");
        let (server, body) = rest.split_at(rest.find("[[").unwrap_or(rest.len()));
        Plan { server: server.to_owned(), ..Plan::new(body) }
    }

    /// Adds a line to `[server]`.
    pub fn with(mut self, line: &str) -> Plan {
        writeln!(self.server, "{line}").expect("a string takes everything");
        self
    }

    /// Listens for containers started by hand.
    pub fn with_container_socket(self) -> Plan {
        self.with(&format!("socket = \"{CONTAINER_SOCKET}\""))
    }

    /// Serves with another program that has a server in it.
    pub fn served_by(self, program: &'static str) -> Plan {
        Plan { program: Some(program), ..self }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the server, and waits until it takes queries. Models may still be starting.
    #[track_caller]
    pub fn start(self) -> Server {
        let permit = Permit::wait();
        let config = self.folder.path().join("cutter.toml");
        let text = format!("[server]\n{}\n{}", self.server, self.body);
        std::fs::write(&config, text).expect("the folder is new");
        let program = self.program.map(|program| Command::new(binary(program)));
        let mut command = program.unwrap_or_else(|| cutter(&["serve", "--config"]));
        command.arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("cutter is there");
        let log = Log::of(child.stderr.take().expect("piped"));
        let process = Process::of(child.id()).expect("it has just been started");
        let mut server = Server {
            query: ([127, 0, 0, 1], 0).into(),
            admin: ([127, 0, 0, 1], 0).into(),
            folder: self.folder,
            watchdog: watch(process, log.clone()),
            child: Some(child),
            process,
            log,
            _permit: permit,
        };
        let line = server.wait_log("taking queries on ");
        (server.query, server.admin) = addresses(&line);
        server
    }

    /// Starts the server, and waits until every model is ready.
    #[track_caller]
    pub fn start_ready(self) -> Server {
        let server = self.start();
        server.wait_ready();
        server
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// Where queries are taken over TCP.
    pub query: SocketAddr,
    pub admin: SocketAddr,
    pub process: Process,
    pub log: Log,
    folder: TempDir,
    child: Option<Child>,
    watchdog: mpsc::Sender<()>,
    _permit: Permit,
}

impl Server {
    /// Starts a server with these applications and models, and waits until they are ready.
    #[track_caller]
    pub fn start(body: &str) -> Server {
        Plan::new(body).start_ready()
    }

    /// A new connection for queries.
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::tcp(self.query)
    }

    #[track_caller]
    pub fn unix_client(&self) -> Client {
        Client::unix(&self.query_socket())
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn query_socket(&self) -> PathBuf {
        self.folder.path().join(QUERY_SOCKET)
    }

    pub fn container_socket(&self) -> PathBuf {
        self.folder.path().join(CONTAINER_SOCKET)
    }

    /// What `cutter-bench` calls an application of this server.
    pub fn target(&self, application: &str) -> String {
        format!("http://{}/{application}/predict", self.query)
    }

    /// The same over the Unix socket.
    pub fn unix_target(&self, application: &str) -> String {
        format!("unix:{}:/{application}/predict", self.query_socket().display())
    }

    /// `GET` from the control plane.
    #[track_caller]
    pub fn admin(&self, path: &str) -> Response {
        Client::tcp(self.admin).get(path)
    }

    /// `POST` to the control plane.
    #[track_caller]
    pub fn order(&self, path: &str, body: &Value) -> Response {
        Client::tcp(self.admin).post(path, body.to_string())
    }

    #[track_caller]
    pub fn metrics(&self) -> Metrics {
        let response = self.admin("/metrics");
        assert_eq!(response.status, 200, "{}", response.text());
        Metrics::parse(&response.text())
    }

    /// Waits until a metric has a value of at least `least`.
    #[track_caller]
    pub fn wait_metric(&self, name: &str, labels: &[(&str, &str)], least: f64) {
        let what = format!("{name} {labels:?} reaches {least}");
        eventually(&what, || (self.metrics().sum(name, labels) >= least).then_some(()));
    }

    #[track_caller]
    pub fn wait_ready(&self) {
        eventually("/readyz says that all is ready", || {
            assert!(self.process.is_alive(), "the server ended");
            (self.admin("/readyz").status == 200).then_some(())
        });
    }

    /// Waits for a line of the log that holds `text`.
    #[track_caller]
    pub fn wait_log(&self, text: &str) -> String {
        eventually(&format!("the log says {text:?}"), || {
            let found = self.log.find(text);
            assert!(found.is_some() || self.process.is_alive(), "the server ended");
            found
        })
    }

    /// The running processes whose program has this name, in the order of their numbers.
    pub fn replicas(&self, program: &str) -> Vec<Process> {
        let mut children = self.process.children();
        children.retain(|child| {
            let command = child.command();
            command.first().is_some_and(|first| Path::new(first).ends_with(program))
        });
        children
    }

    /// Waits until so many processes of a program run that are none of `before`.
    #[track_caller]
    pub fn wait_new_replicas(
        &self,
        program: &str,
        count: usize,
        before: &[Process],
    ) -> Vec<Process> {
        eventually(&format!("{count} new processes of {program}"), || {
            let mut replicas = self.replicas(program);
            replicas.retain(|replica| !before.contains(replica));
            (replicas.len() == count).then_some(replicas)
        })
    }

    /// Waits for the server's end, which something else brings about.
    #[track_caller]
    pub fn wait_end(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("ended once only");
        let status = command::wait(&mut child, STOP_TIME);
        status.unwrap_or_else(|| panic!("the server did not end within {STOP_TIME:?}"))
    }

    /// Ends the server by SIGTERM.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        self.process.signal(Signal::TERM);
        self.wait_end()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let status = self.child.take().map(|mut child| {
            self.process.signal(Signal::TERM);
            command::wait(&mut child, STOP_TIME)
        });
        // The watchdog may have ended, having done what it could.
        let _ = self.watchdog.send(());
        if std::thread::panicking() {
            eprintln!("---- log of the server ----\n{}", self.log.text());
            return;
        }
        let well = status.is_none_or(|status| status.is_some_and(|status| status.success()));
        assert!(well, "the server ended badly: {status:?}\n{}", self.log.text());
    }
}

/// `cutter` with these words.
pub fn cutter(words: &[&str]) -> Command {
    let mut command = Command::new(binary("cutter"));
    command.args(words).env_remove("RUST_LOG");
    command
}

/// What a server has logged so far.
#[derive(Clone, Debug, Default)]
pub struct Log {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Log {
    fn of(pipe: impl std::io::Read + Send + 'static) -> Log {
        let log = Log::default();
        let into = log.clone();
        std::thread::spawn(move || {
            let lines = BufReader::new(pipe).split(b'\n').map_while(Result::ok);
            lines.for_each(|line| into.push(&String::from_utf8_lossy(&line)));
        });
        log
    }

    fn push(&self, line: &str) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn text(&self) -> String {
        self.lines().join("\n")
    }

    pub fn find(&self, text: &str) -> Option<String> {
        self.lines().into_iter().find(|line| line.contains(text))
    }
}

/// Kills a server that outlives its test's time, and says so in its log.
fn watch(process: Process, log: Log) -> mpsc::Sender<()> {
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || {
        if ended.recv_timeout(SERVER_TIME) == Err(mpsc::RecvTimeoutError::Timeout) {
            log.push(&format!("WATCHDOG: killed after {SERVER_TIME:?}"));
            process.kill();
        }
    });
    sender
}

/// The right to run a server.
#[derive(Debug)]
struct Permit;

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

impl Permit {
    fn wait() -> Permit {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let running = ENDED.wait_while(running, |running| *running >= SERVERS_MAX);
        *running.unwrap_or_else(PoisonError::into_inner) += 1;
        Permit
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}

/// The addresses in `taking queries on 127.0.0.1:1 unix:/x, admin on 127.0.0.1:2`.
#[track_caller]
fn addresses(line: &str) -> (SocketAddr, SocketAddr) {
    let addresses = || {
        let (_, listed) = line.split_once("taking queries on ")?;
        let (query, admin) = listed.split_once(", admin on ")?;
        let query = query.split(' ').next()?;
        Some((query.parse().ok()?, admin.trim().parse().ok()?))
    };
    addresses().unwrap_or_else(|| panic!("no addresses in {line:?}"))
}
