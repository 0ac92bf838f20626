//! The resolved configuration, and what follows from it for each application and model.

use std::fmt::{self, Display, Write};

use cutter_server::config::{
    Application, Batch, BatchCost, Cache, Command, Config, DecisionLog, Listen, Model, Policy,
    Server, StateStore,
};
use cutter_server::limits::sums::ReplicaBytes;
use cutter_server::printable;
use cutter_wire::clipper;

use super::figures::{Bytes, Time};

/// Writes the whole configuration.
pub(super) fn print(config: &Config, out: &mut impl Write) -> fmt::Result {
    server(&config.server, out)?;
    for application in &config.applications {
        writeln!(out)?;
        print_application(application, config, out)?;
    }
    for each in &config.models {
        writeln!(out)?;
        model(each, config, out)?;
    }
    Ok(())
}

fn server(server: &Server, out: &mut impl Write) -> fmt::Result {
    writeln!(out, "server")?;
    for listen in &server.query {
        line(out, "query", listen)?;
    }
    line(out, "admin", server.admin)?;
    match &server.socket {
        Some(path) => line(out, "socket", Listen::Unix(path.clone()))?,
        None => line(out, "socket", "none: containers are started by their command")?,
    }
    match server.cpu {
        Some(cpu) => line(out, "cpu", cpu)?,
        None => line(out, "cpu", "not pinned")?,
    }
    line(out, "wait", server.wait.name())?;
    match &server.state {
        StateStore::Default => line(out, "state", "in the state directory of the platform")?,
        StateStore::None => line(out, "state", "none: what is learned is gone with the server")?,
        StateStore::At(path) => line(out, "state", path.display())?,
    }
    match &server.decision_log {
        Some(log) => line(out, "decision log", DecisionLogWords(log)),
        None => line(out, "decision log", "none"),
    }
}

fn print_application(
    application: &Application,
    config: &Config,
    out: &mut impl Write,
) -> fmt::Result {
    writeln!(out, "application {}", application.name)?;
    line(out, "input", application.input)?;
    line(out, "slo", Time(application.slo_ns))?;
    line(out, "default output", format_args!("{:?}", application.default_output))?;
    let names = application.models.iter().map(|index| config.label(*index));
    line(out, "models", NoneIfEmpty(&names.collect::<Vec<_>>().join(", ")))?;
    match &application.policy {
        Some(policy) => line(out, "policy", PolicyWords { policy, application, config })?,
        None => line(out, "policy", "none: the first model is asked")?,
    }
    let (rows, stride) = (application.rows, application.row_stride());
    line(out, "rows", format_args!("{rows}, one every {stride} bytes"))?;
    line(out, "input pool", Bytes(application.pool_bytes()))?;
    let (at_start, bytes) = (application.rows_at_start, application.pool_bytes_at_start());
    if at_start == rows {
        line(out, "taken at start", "all of it")?;
    } else {
        let rest = "the others when they are first used";
        line(out, "taken at start", format_args!("{at_start} rows, {}; {rest}", Bytes(bytes)))?;
    }
    line(out, "request body", format_args!("at most {}", Bytes(body_bytes_max(application))))?;
    let json = "a string that is JSON is embedded as JSON";
    line(out, "string outputs", if application.json_output { json } else { "strings" })
}

fn model(model: &Model, config: &Config, out: &mut impl Write) -> fmt::Result {
    writeln!(out, "model {}", model.name)?;
    line(out, "version", &model.version)?;
    match &model.command {
        Some(command) => line(out, "command", CommandWords(command))?,
        None => line(out, "command", "none: started by hand, connects through the socket")?,
    }
    line(out, "directory", model.directory.display())?;
    let names = model.applications.iter().map(|index| config.applications[*index].name.as_str());
    line(out, "applications", NoneIfEmpty(&names.collect::<Vec<_>>().join(", ")))?;
    match model.input {
        Some(input) => line(out, "input", input)?,
        None => line(out, "input", "none")?,
    }
    match model.slo_ns {
        Some(slo_ns) => line(out, "tightest slo", Time(slo_ns))?,
        None => line(out, "tightest slo", "none")?,
    }
    line(out, "replicas", model.replicas)?;
    let cpus = (0..model.replicas).filter_map(|replica| model.cpu_of_replica(replica));
    let cpus: Vec<String> = cpus.map(|cpu| cpu.to_string()).collect();
    let cpus = if cpus.is_empty() { "not pinned".to_owned() } else { cpus.join(", ") };
    line(out, "cpus", cpus)?;
    line(out, "wait", model.wait.name())?;
    line(out, "batch", BatchWords(model.batch))?;
    line(out, "batch timeout", Time(model.batch_timeout_ns))?;
    match model.load_timeout_us {
        Some(us) => line(out, "load timeout", Time(us * 1_000))?,
        None => line(out, "load timeout", "none")?,
    }
    match model.cache {
        Some(cache) => line(out, "cache", CacheWords(cache))?,
        None => line(out, "cache", "none")?,
    }
    let bytes = ReplicaBytes::of(model);
    line(out, "control", format_args!("{} per replica", Bytes(bytes.control)))?;
    line(out, "completions", format_args!("{} per replica", Bytes(bytes.completions)))?;
    let outputs = Bytes(bytes.outputs_max);
    line(out, "outputs", format_args!("at most {outputs} per replica, as a container declares"))
}

fn body_bytes_max(application: &Application) -> u64 {
    clipper::body_bytes_max_of(&application.input) as u64
}

/// Paths may have any characters: what is shown of them stays within its line.
fn line(out: &mut impl Write, key: &str, value: impl Display) -> fmt::Result {
    writeln!(out, "  {key:<16}{}", printable::line(&value.to_string()))
}

struct NoneIfEmpty<'a>(&'a str);

impl Display for NoneIfEmpty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { self.0 })
    }
}

struct DecisionLogWords<'a>(&'a DecisionLog);

impl Display for DecisionLogWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DecisionLog { directory, file_bytes, files, sample } = self.0;
        let (directory, bytes) = (directory.display(), Bytes(*file_bytes));
        write!(f, "{directory}, {files} files of {bytes}, a share of {sample}")
    }
}

/// A policy in one line: its name, and what is not by default.
struct PolicyWords<'a> {
    policy: &'a Policy,
    application: &'a Application,
    config: &'a Config,
}

impl PolicyWords<'_> {
    fn label(&self, model: usize) -> String {
        self.config.label(self.application.models[model])
    }
}

impl Display for PolicyWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Policy { name, ensemble, learning, arms, hedge_share, .. } = self.policy;
        write!(f, "{name}, {}", learning.mode.name())?;
        if let Some(baseline) = learning.mode.baseline() {
            write!(f, " beside {}", self.label(baseline))?;
        }
        if ensemble.unsure_below > 0.0 {
            write!(f, ", unsure below {}", ensemble.unsure_below)?;
        }
        write!(f, ", substitute {}", ensemble.substitute.name())?;
        let (wait, window) = (Time(learning.feedback_wait_ns), learning.feedback_window);
        write!(f, ", feedback within {wait} for {window} decisions")?;
        write!(f, ", {} contexts", learning.contexts)?;
        for model in arms.off.iter() {
            write!(f, ", {} off", self.label(model))?;
        }
        for (model, cap) in arms.caps.iter().enumerate().filter(|(_, cap)| **cap < 1.0) {
            write!(f, ", {} at most {cap}", self.label(model))?;
        }
        match hedge_share {
            Some(share) => write!(f, ", hedged up to {share}"),
            None => Ok(()),
        }
    }
}

/// What is not as usual is told behind the rest.
struct BatchWords(Batch);

impl Display for BatchWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Batch { policy, max, wait_ns, defer, exclusive, cost } = self.0;
        write!(f, "{}, max {max}", policy.name())?;
        if wait_ns > 0 {
            write!(f, ", waits for {}", Time(wait_ns))?;
        }
        if defer {
            f.write_str(", deferred")?;
        }
        if exclusive {
            f.write_str(", alone")?;
        }
        match cost {
            BatchCost::Rows => Ok(()),
            BatchCost::Bytes { max: u32::MAX } => f.write_str(", by bytes"),
            BatchCost::Bytes { max } => write!(f, ", by bytes, max {}", Bytes(max.into())),
        }
    }
}

struct CacheWords(Cache);

impl Display for CacheWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Bytes(self.0.bytes))?;
        match self.0.ttl_ns {
            Some(ttl_ns) => write!(f, ", outputs for {}", Time(ttl_ns)),
            None => Ok(()),
        }
    }
}

/// The words of a command; those that a reader could misread are in quotes.
struct CommandWords<'a>(&'a Command);

impl Display for CommandWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_./=:,+@%".contains(char);
        let program = self.0.program.to_string_lossy();
        let words = std::iter::once(program.as_ref()).chain(self.0.args.iter().map(String::as_str));
        for (index, word) in words.enumerate() {
            let separator = if index == 0 { "" } else { " " };
            if !word.is_empty() && word.chars().all(is_plain) {
                write!(f, "{separator}{word}")?;
            } else {
                write!(f, "{separator}{word:?}")?;
            }
        }
        Ok(())
    }
}
