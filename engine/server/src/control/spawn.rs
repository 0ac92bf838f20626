//! Starting a replica: its socket, its core, its output pipes, and its ties to this process.
//!
//! The only `unsafe` of the control thread is here: what runs in the child between fork and exec.
//!
//! A replica dies with the engine: SIGKILL is its parent-death signal. The kernel ties that signal
//! to the *thread* that forked, so replicas are started by the control thread alone, which ends
//! after them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ChildStdout, Stdio};

use cutter_machine::affinity::{self, PinError};
use cutter_protocol::handshake::{ENV_FD, ENV_MODEL, ENV_SOCKET};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal, setpgid};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::greet::Channel;
use super::process::Process;
use crate::config::{Command, Model};

/// A replica that has just been started.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) process: Process,
    pub(super) socket: Channel,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
    /// The replica runs, but not on the core that was asked for.
    pub(super) unpinned: Option<PinError>,
}

/// Why a replica could not be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpawnError {
    #[error("cannot start {}: {source}; {hint}", .program.display())]
    Program {
        program: PathBuf,
        #[source]
        source: io::Error,
        hint: &'static str,
    },
    #[error("cannot make the socket or watch the process of a replica: {0}")]
    System(#[from] io::Error),
}

impl From<Errno> for SpawnError {
    fn from(errno: Errno) -> Self {
        Self::System(errno.into())
    }
}

/// Starts one replica of a model.
pub(super) fn spawn(model: &Model, command: &Command, ordinal: u32) -> Result<Spawned, SpawnError> {
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    let socket = Channel::new(ours)?;
    let cpu = model.cpu_of_replica(ordinal);
    let mut start = std::process::Command::new(&command.program);
    start.args(&command.args).current_dir(&model.directory);
    start.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    start.env(ENV_FD, theirs.as_raw_fd().to_string());
    // Meant for containers started by hand, should the engine itself have been started with them.
    start.env_remove(ENV_SOCKET).env_remove(ENV_MODEL);
    set_up_child(&mut start, theirs.as_raw_fd(), cpu.map(affinity::mask));
    let mut child = start.spawn().map_err(|source| SpawnError::Program {
        program: command.program.clone(),
        hint: hint(command, &model.directory, &source),
        source,
    })?;
    let stdout = child.stdout.take().expect("it is piped");
    let stderr = child.stderr.take().expect("it is piped");
    let process = Process::new(child)?;
    let unpinned = cpu.and_then(|cpu| check_pin(process.pid(), cpu).err());
    Ok(Spawned { process, socket, stdout, stderr, unpinned })
}

/// What the child does before it becomes the container.
fn set_up_child(start: &mut std::process::Command, socket: RawFd, cores: Option<CpuSet>) {
    let engine = getpid();
    let set_up = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // An engine that died before that call sends no signal any more.
        if getppid() != Some(engine) {
            return Err(Errno::SRCH.into());
        }
        // A group of its own: Ctrl-C at the engine's terminal starts a drain, which needs replicas.
        setpgid(None, None)?;
        if let Some(cores) = &cores {
            // A refusal is found, and told, when the parent reads the mask back.
            let _ = sched_setaffinity(None, cores);
        }
        // SAFETY: the parent holds it open until it has seen the exec succeed or fail.
        let socket = unsafe { BorrowedFd::borrow_raw(socket) };
        fcntl_setfd(socket, FdFlags::empty())?;
        Ok(())
    };
    // SAFETY: between fork and exec only plain system calls are made: nothing allocates, locks, or
    // touches what another thread may have held. Errors are numbers.
    unsafe { start.pre_exec(set_up) };
}

/// Whether a process is where it was to be put.
fn check_pin(pid: Pid, cpu: usize) -> Result<(), PinError> {
    let refused = |source| PinError::Refused { cpu, source };
    let found = affinity::cores_of(Some(pid)).map_err(refused)?;
    if found == [cpu] {
        return Ok(());
    }
    let allowed = affinity::allowed().map_err(refused)?;
    if allowed.contains(&cpu) {
        Err(PinError::NotTaken { cpu, found })
    } else {
        Err(PinError::NotAllowed { cpu, allowed })
    }
}

/// What to do about a program that does not start. The kernel has one error for several causes.
fn hint(command: &Command, directory: &Path, error: &io::Error) -> &'static str {
    if !directory.is_dir() {
        return "the working directory of the model does not exist; create it or correct \
                `directory`";
    }
    let exists = command.program.exists();
    match error.kind() {
        io::ErrorKind::NotFound if command.is_found_by_path() => {
            "no folder of PATH has it; install it, or write its path into `command`"
        }
        io::ErrorKind::NotFound if exists => {
            "the file is there, but what it needs to run (the interpreter of its first line, or \
             its loader) is not"
        }
        io::ErrorKind::NotFound => "build it, or correct `command`",
        io::ErrorKind::PermissionDenied => {
            "make the file executable (chmod +x) and its folders accessible to this user"
        }
        _ => "correct `command`",
    }
}
