//! What a configuration asks for and a machine does not have: each in one line that says what, why
//! and what to do. A server starts all the same.
//!
//! What can be told without a machine is told when the configuration is read, with its place.

use std::path::{Path, PathBuf};

use cutter_server::config::{Config, Listen, Model};
use cutter_server::limits::sums;
use cutter_wire::clipper;
use cutter_wire::limits::BODY_BYTES_MAX;

use super::machine::{Folder, Machine};

/// Something that a machine lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    #[error(
        "core {cpu} of {of} is not among the cores that this process may use ({cores:?}), so it \
         will run unpinned; choose one of them, or leave `{key}` out"
    )]
    Core { of: String, key: &'static str, cpu: usize, cores: Vec<usize> },
    #[error("the folder {} of {of} {why}", .path.display())]
    Folder { of: String, path: PathBuf, why: &'static str },
    #[error(
        "up to {needed} descriptors may be needed, and this process may have {hard} ({soft} before \
         it raises its limit); beyond that clients wait: raise it (ulimit -n, LimitNOFILE)"
    )]
    Descriptors { needed: u64, soft: u64, hard: u64 },
    #[error(
        "{needed} bytes of memory are taken at start, and {available} are available; the start may \
         fail: lower `rows`, `max_bytes` or `replicas`"
    )]
    MemoryAtStart { needed: u64, available: u64 },
    #[error(
        "when all rows, outputs and connections are full they take {needed} bytes of memory, and \
         {available} are available; the system may then end a process: lower `rows`, `max_bytes` \
         or `replicas`"
    )]
    MemoryWhenFull { needed: u64, available: u64 },
    #[error(
        "{needed} bytes of input pools and rings are to be locked in memory, and this process may \
         lock {max}; what is not locked can be swapped out: raise it (ulimit -l, LimitMEMLOCK)"
    )]
    Locked { needed: u64, max: u64 },
    #[error(
        "one input of application {application} takes up to {needed} bytes of JSON, and a body \
         has at most {BODY_BYTES_MAX}: the largest inputs are refused (413) when they are written \
         at length; send fewer digits, or lower `shape` or `max_bytes`"
    )]
    InputLargerThanBody { application: String, needed: u64 },
}

/// All of them, in the order of the configuration; what concerns the whole comes last.
pub fn warnings(config: &Config, machine: &Machine) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let server = config.server.cpu.as_slice();
    cores("the engine", "cpu", server, machine, &mut warnings);
    socket_folders(config, machine, &mut warnings);
    for application in &config.applications {
        let needed = clipper::input_json_bytes_max(&application.input);
        if needed > BODY_BYTES_MAX as u64 {
            let application = application.name.clone();
            warnings.push(Warning::InputLargerThanBody { application, needed });
        }
    }
    for (index, model) in config.models.iter().enumerate() {
        let of = format!("model {}", config.label(index));
        of_model(model, &of, machine, &mut warnings);
    }
    of_the_whole(config, machine, &mut warnings);
    warnings
}

fn of_model(model: &Model, of: &str, machine: &Machine, warnings: &mut Vec<Warning>) {
    if model.command.is_none() {
        return;
    }
    let mut used: Vec<usize> =
        (0..model.replicas).filter_map(|replica| model.cpu_of_replica(replica)).collect();
    used.sort_unstable();
    used.dedup();
    cores(of, "cpus", &used, machine, warnings);
    let why = match (machine.folder)(&model.directory) {
        Folder::Writable | Folder::NotWritable => return,
        Folder::Missing => "is not there, so no replica can start; create it",
        Folder::NotAFolder => "is no folder, so no replica can start; correct `directory`",
    };
    warnings.push(Warning::Folder { of: of.to_owned(), path: model.directory.clone(), why });
}

fn cores(
    of: &str,
    key: &'static str,
    cpus: &[usize],
    machine: &Machine,
    warnings: &mut Vec<Warning>,
) {
    if machine.cores.is_empty() {
        return;
    }
    let missing = cpus.iter().filter(|cpu| !machine.cores.contains(cpu));
    warnings.extend(missing.map(|cpu| Warning::Core {
        of: of.to_owned(),
        key,
        cpu: *cpu,
        cores: machine.cores.clone(),
    }));
}

/// A socket is a file that the server makes.
fn socket_folders(config: &Config, machine: &Machine, warnings: &mut Vec<Warning>) {
    let queries = config.server.query.iter().filter_map(|listen| match listen {
        Listen::Unix(path) => Some(("query", path)),
        Listen::Tcp(_) => None,
    });
    let containers = config.server.socket.iter().map(|path| ("socket", path));
    for (key, socket) in queries.chain(containers) {
        let why = match (machine.folder)(folder_of(socket)) {
            Folder::Writable => continue,
            Folder::NotWritable => "is not writable, so the socket cannot be made; change its mode",
            Folder::Missing => "is not there, so the socket cannot be made; create it",
            Folder::NotAFolder => "is no folder, so the socket cannot be made; correct the path",
        };
        let (of, path) = (format!("`{key}`"), folder_of(socket).to_owned());
        warnings.push(Warning::Folder { of, path, why });
    }
}

fn folder_of(socket: &Path) -> &Path {
    socket.parent().unwrap_or(Path::new("/"))
}

fn of_the_whole(config: &Config, machine: &Machine, warnings: &mut Vec<Warning>) {
    let needed = sums::descriptors(config).total();
    if let Some(hard) = machine.descriptors.hard.filter(|hard| *hard < needed) {
        let soft = machine.descriptors.soft.unwrap_or(hard);
        warnings.push(Warning::Descriptors { needed, soft, hard });
    }
    if let Some(available) = machine.memory_available_bytes {
        let at_start = sums::memory_at_start(config).total();
        let when_full = sums::memory_when_full(config).total();
        if at_start > available {
            warnings.push(Warning::MemoryAtStart { needed: at_start, available });
        } else if when_full > available {
            warnings.push(Warning::MemoryWhenFull { needed: when_full, available });
        }
    }
    let needed = sums::memory_locked(config).total();
    if let Some(max) = machine.locked_bytes_max.filter(|max| *max < needed) {
        warnings.push(Warning::Locked { needed, max });
    }
}
