//! A server, in this process, and its models, each a process of its own.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use cutter_bench_support::containers::example;
use cutter_bench_support::cores::Cores;
use cutter_bench_support::processes::{children_of, word};
use cutter_server::config::{Config, Listen};
use cutter_server::server::{Host, Server};
use rustix::process::{Pid, Signal, kill_process};

use super::asked::Asked;
use super::client::{Answer, Client};

/// The five models of the digits, the best one last.
pub const MODELS: [&str; 5] = ["linear", "mlp-small", "neighbours", "forest", "mlp-large"];
/// Rows of an application: more than are ever asked at once.
pub const ROWS: u32 = 4096;
/// Models that have not answered by then never will.
const READY_TRIES: u32 = 100;
const READY_PAUSE: Duration = Duration::from_millis(100);

/// The example models, built, and the folder of what they have learned.
#[derive(Debug)]
pub struct Programs {
    folder: PathBuf,
    pub noop: PathBuf,
}

/// What is to be served. Models and clients share a core, so models sleep when there is nothing to
/// do; the engine has the other to itself.
#[derive(Debug)]
pub struct Script {
    text: String,
    cores: Cores,
}

/// A running server.
#[derive(Debug)]
pub struct Stage {
    pub server: Server,
    pub address: SocketAddr,
}

impl Programs {
    pub fn build() -> io::Result<Self> {
        for name in ["softmax", "mlp", "neighbours", "forest"] {
            example(name)?;
        }
        let noop = example("noop")?;
        let folder = noop.parent().map(Path::to_owned).unwrap_or_default();
        Ok(Self { folder, noop })
    }

    /// The command of a program and a model of the digits by its file.
    pub fn command(&self, program: &str, file: &Path, more: &[String]) -> Vec<String> {
        let mut command = vec![word(&self.folder.join(program)), word(file)];
        command.extend_from_slice(more);
        command
    }

    /// The command of one of [`MODELS`].
    pub fn of_model(&self, model: &str) -> Vec<String> {
        let program = match model {
            "linear" => "softmax",
            "neighbours" | "forest" => model,
            _ => "mlp",
        };
        self.command(program, &digits_file(&format!("{model}.bin")), &[])
    }
}

/// A file of `container-sdk/examples/digits`.
pub fn digits_file(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../container-sdk/examples/digits");
    Path::new(folder).join(name)
}

impl Script {
    /// `wait` is what the engine does while there is nothing to do.
    pub fn new(cores: Cores, wait: &str) -> Self {
        let engine = cores.engine;
        let text = format!(
            "[server]\nquery = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\ncpu = {engine}\n\
             wait = \"{wait}\"\nstate = \"none\"\n"
        );
        Self { text, cores }
    }

    /// An application over models; `policy` is what its table of that name holds.
    #[must_use]
    pub fn application(self, name: &str, models: &[&str], slo_us: u64, policy: &str) -> Self {
        let mut script = self.plain_application(name, models, slo_us);
        script.text += &format!("[application.policy]\n{policy}\n");
        script
    }

    /// An application without a policy, which asks the first of these models.
    #[must_use]
    pub fn plain_application(mut self, name: &str, models: &[&str], slo_us: u64) -> Self {
        self.text += &format!(
            "[[application]]\nname = \"{name}\"\ninput = {{ type = \"floats\", shape = [784] }}\n\
             slo_us = {slo_us}\nrows = {ROWS}\ndefault_output = \"-1\"\nmodels = {models:?}\n"
        );
        self
    }

    /// A model, on the core of those who ask; `more` are further keys of it.
    #[must_use]
    pub fn model(self, name: &str, command: &[String], more: &str) -> Self {
        let cpu = self.cores.other;
        self.model_at(cpu, name, command, more)
    }

    /// A model on this core.
    #[must_use]
    pub fn model_at(mut self, cpu: usize, name: &str, command: &[String], more: &str) -> Self {
        self.text += &format!(
            "[[model]]\nname = \"{name}\"\ncommand = {command:?}\ncpus = [{cpu}]\n\
             wait = \"block\"\n{more}\n",
        );
        self
    }
}

impl Stage {
    pub fn start(script: &Script) -> io::Result<Self> {
        let what = "the bench's configuration";
        let Script { text, cores } = script;
        let (config, _) = Config::from_toml(text, &std::env::temp_dir(), what)
            .map_err(|error| io::Error::other(format!("{error}\n{text}")))?;
        let start = || Server::start(config, Host::default()).map_err(io::Error::other);
        let server = cores.start(start)?;
        let Some(Listen::Tcp(address)) = server.addresses().first().cloned() else {
            return Err(io::Error::other("the server listens on no port"));
        };
        Ok(Self { server, address })
    }

    pub fn client(&self) -> io::Result<Client> {
        Client::connect(self.address)
    }

    /// Waits until all models of an application that asks all of them have answered one query.
    pub fn wait_for(&self, application: &str, models: usize, asked: &Asked) -> io::Result<()> {
        let mut client = self.client()?;
        let request = asked.query(application, ",\"explain\":true");
        for _ in 0..READY_TRIES {
            let answer: Answer = client.ask(&request)?;
            if answer.missing(models) == 0 {
                return Ok(());
            }
            sleep(READY_PAUSE);
        }
        Err(io::Error::other(format!("not all models of {application} answer")))
    }

    /// Sends a signal to the models whose command has this word in it, of which there is one at
    /// least.
    pub fn signal(&self, word: &str, signal: Signal) -> io::Result<()> {
        let mut count = 0;
        for id in children_of(std::process::id())? {
            let command = std::fs::read(format!("/proc/{id}/cmdline"))?;
            let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
            if let Some(pid) = pid
                && String::from_utf8_lossy(&command).contains(word)
            {
                kill_process(pid, signal)?;
                count += 1;
            }
        }
        if count > 0 { Ok(()) } else { Err(io::Error::other(format!("no model runs {word}"))) }
    }

    pub fn end(mut self) -> io::Result<()> {
        self.server.stop();
        self.server.join().map_err(io::Error::other)
    }
}
