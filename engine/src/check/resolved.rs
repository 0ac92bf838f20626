//! What `cutter check` shows: the resolved configuration, every limit, and the shared memory.
//!
//! The text is stable: the same configuration always prints the same lines.

use std::fmt::{self, Display, Write};

use super::settings::{Application, Command, Config, Listen, Model, Server};
use crate::limits::{
    APPLICATIONS_MAX, DEFAULT_OUTPUT_BYTES_MAX, ITEM_BYTES_MAX, MODELS_MAX, QUERY_LISTENERS_MAX,
    REPLICAS_TOTAL_MAX,
};

/// What the rest of the engine knows and the configuration does not.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The size of one replica's segments.
    pub replica_bytes: fn(&Model) -> ReplicaBytes,
    /// The constants of the engine; they are printed after those of the configuration.
    pub limits: &'a [FixedLimit],
}

/// The shared memory of one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaBytes {
    pub control: u64,
    pub completions: u64,
    /// `None` when it is known only after the container has said what it puts out.
    pub outputs: Option<u64>,
}

/// A limit that no configuration changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedLimit {
    pub name: &'static str,
    pub value: u64,
    /// Empty for plain numbers of things.
    pub unit: &'static str,
}

impl FixedLimit {
    pub const fn new(name: &'static str, value: u64, unit: &'static str) -> Self {
        Self { name, value, unit }
    }
}

/// The constants that bound what a configuration may ask for and that no line of it shows.
const OWN_LIMITS: [FixedLimit; 6] = [
    FixedLimit::new("applications", APPLICATIONS_MAX as u64, ""),
    FixedLimit::new("models", MODELS_MAX as u64, ""),
    FixedLimit::new("query addresses", QUERY_LISTENERS_MAX as u64, ""),
    FixedLimit::new("replicas of all models", REPLICAS_TOTAL_MAX as u64, ""),
    FixedLimit::new("one item", ITEM_BYTES_MAX as u64, "bytes"),
    FixedLimit::new("default output", DEFAULT_OUTPUT_BYTES_MAX as u64, "bytes"),
];

/// Writes the whole configuration.
pub fn print(config: &Config, facts: &Facts<'_>, out: &mut impl Write) -> fmt::Result {
    server(&config.server, out)?;
    for application in &config.applications {
        writeln!(out)?;
        print_application(application, config, out)?;
    }
    for each in &config.models {
        writeln!(out)?;
        model(each, config, facts, out)?;
    }
    writeln!(out, "\nlimits")?;
    for limit in OWN_LIMITS.iter().chain(facts.limits) {
        let value = format!("{} {}", limit.value, limit.unit);
        writeln!(out, "  {:<28}{}", limit.name, value.trim_end())?;
    }
    writeln!(out)?;
    shared_memory(config, facts, out)
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
    line(out, "wait", server.wait.name())
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
    let names = application.models.iter().map(|index| config.models[*index].name.as_str());
    line(out, "models", NoneIfEmpty(&names.collect::<Vec<_>>().join(", ")))?;
    let (rows, stride) = (application.rows, application.row_stride());
    line(out, "rows", format_args!("{rows}, one every {stride} bytes"))?;
    line(out, "input pool", Bytes(application.pool_bytes()))
}

fn model(model: &Model, config: &Config, facts: &Facts<'_>, out: &mut impl Write) -> fmt::Result {
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
    let (policy, max) = (model.batch.name(), model.batch.max());
    line(out, "batch", format_args!("{policy}, max {max}"))?;
    line(out, "batch timeout", Time(model.batch_timeout_ns))?;
    let bytes = (facts.replica_bytes)(model);
    line(out, "control", format_args!("{} per replica", Bytes(bytes.control)))?;
    line(out, "completions", format_args!("{} per replica", Bytes(bytes.completions)))?;
    match bytes.outputs {
        Some(outputs) => line(out, "outputs", format_args!("{} per replica", Bytes(outputs))),
        None => line(out, "outputs", "known when a container has declared its output"),
    }
}

fn shared_memory(config: &Config, facts: &Facts<'_>, out: &mut impl Write) -> fmt::Result {
    writeln!(out, "shared memory")?;
    let pools: u64 = config.applications.iter().map(Application::pool_bytes).sum();
    let mut replicas = 0;
    let mut is_complete = true;
    for model in &config.models {
        let bytes = (facts.replica_bytes)(model);
        let each = bytes.control + bytes.completions + bytes.outputs.unwrap_or(0);
        replicas += each * u64::from(model.replicas);
        is_complete &= bytes.outputs.is_some();
    }
    let without = if is_complete { "" } else { ", and outputs as containers declare them" };
    line(out, "input pools", Bytes(pools))?;
    line(out, "replicas", format_args!("{}{without}", Bytes(replicas)))?;
    line(out, "total", format_args!("{}{without}", Bytes(pools + replicas)))
}

fn line(out: &mut impl Write, key: &str, value: impl Display) -> fmt::Result {
    writeln!(out, "  {key:<16}{value}")
}

struct NoneIfEmpty<'a>(&'a str);

impl Display for NoneIfEmpty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { self.0 })
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

/// A time in the largest unit that shows it without a fraction.
struct Time(u64);

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];
        let fitting = units.into_iter().find(|(_, ns)| self.0 >= *ns && self.0.is_multiple_of(*ns));
        let (unit, ns) = fitting.unwrap_or(("ns", 1));
        write!(f, "{} {unit}", self.0 / ns)
    }
}

/// Exact bytes, and the same in the unit that a reader thinks in.
struct Bytes(u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        write!(f, "{} bytes", self.0)?;
        let Some((unit, size)) = units.into_iter().find(|(_, size)| self.0 >= *size) else {
            return Ok(());
        };
        let tenths = (u128::from(self.0) * 10 + u128::from(size) / 2) / u128::from(size);
        write!(f, " ({}.{} {unit})", tenths / 10, tenths % 10)
    }
}
