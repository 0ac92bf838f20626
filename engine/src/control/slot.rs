//! A replica slot whose container is started by its command: one incarnation after another.
//!
//! ```text
//!   starting: spawn ▸ hello ▸ grant ▸ ready ──▶ up ──▶ death ▸ told ▸ reaped ▸ logged
//!      ▲                    └────── no ─────────────────▲                        │
//!      └───────────────── at once, or after a back-off ◀─────────────────────────┘
//! ```
//!
//! Death is what the kernel says: the pidfd. Everything else (a hang, a refusal, a closed socket)
//! leads to a SIGKILL first. The engine thread is told before anything else is done.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cutter_protocol::clock::monotonic_ns;
use cutter_protocol::engine::EngineEnd;
use tokio::task::JoinHandle;

use super::Slot;
use super::backoff::BackOff;
use super::board::State;
use super::greet::{self, Channel, GreetError};
use super::life::{Cause, Up, ends_by_itself};
use super::output::{self, LastLine, Origin};
use super::process::Process;
use super::shared::{Phase, Shared};
use super::spawn::{Spawned, spawn};
use crate::config::Command;
use crate::limits::{EXIT_GRACE_NS, OUTPUT_LINGER_NS};
use crate::scheduler::Death;

/// Keeps one replica going until the server ends.
pub(super) async fn run(shared: Rc<Shared>, slot: Slot, command: Command) {
    let mut back_off = BackOff::default();
    while shared.phase() < Phase::Ending {
        shared.set(slot, State::Starting { pid: None });
        let pause = match start(&shared, slot, &command) {
            Err(text) => {
                let pause = back_off.after(0);
                retreat(&shared, slot, pause);
                shared.note_failure(slot, &text, pause);
                pause
            }
            Ok(mut incarnation) => {
                let (cause, up_ns) = incarnation.live(&shared, slot).await;
                let pause = back_off.after(up_ns);
                retreat(&shared, slot, pause);
                incarnation.bury(&shared, slot, &cause, pause).await;
                pause
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.reached(Phase::Ending) => {}
        }
    }
    shared.set(slot, State::Ended);
}

fn retreat(shared: &Shared, slot: Slot, pause: Duration) {
    let pause_ns = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
    let until_ns = monotonic_ns().saturating_add(pause_ns);
    let state = match (shared.phase() >= Phase::Ending, pause.is_zero()) {
        (true, _) => State::Ended,
        (false, true) => State::Starting { pid: None },
        (false, false) => State::BackingOff { until_ns },
    };
    shared.set(slot, state);
}

/// One incarnation: its process, and what this thread has of it.
#[derive(Debug)]
struct Incarnation {
    number: u64,
    started_ns: u64,
    process: Process,
    socket: Channel,
    streams: [JoinHandle<()>; 2],
    last_words: LastLine,
}

fn start(shared: &Shared, slot: Slot, command: &Command) -> Result<Incarnation, String> {
    let model = shared.model(slot);
    let spawned = spawn(model, command, slot.ordinal).map_err(|error| error.to_string())?;
    let Spawned { process, socket, stdout, stderr, unpinned } = spawned;
    let pid = process.pid().as_raw_pid().unsigned_abs();
    let number = shared.next_incarnation(slot);
    shared.set(slot, State::Starting { pid: Some(pid) });
    let unpinned = unpinned.map(|error| error.to_string());
    if shared.board().note_unpinned(slot, unpinned.clone()) {
        let why = unpinned.unwrap_or_default();
        tracing::error!(model = model.name, replica = slot.ordinal, pid, "not pinned: {why}");
    }
    let last_words = Rc::new(RefCell::new(String::new()));
    let name: Arc<str> = model.name.as_str().into();
    let capture = |pipe: OwnedFd, stream, last: LastLine| {
        let origin = Origin { model: Arc::clone(&name), replica: slot.ordinal, pid, stream };
        tokio::task::spawn_local(output::capture(pipe, origin, last))
    };
    let streams = [
        capture(stdout.into(), "stdout", LastLine::default()),
        capture(stderr.into(), "stderr", Rc::clone(&last_words)),
    ];
    let started_ns = monotonic_ns();
    Ok(Incarnation { number, started_ns, process, socket, streams, last_words })
}

impl Incarnation {
    /// From the hello to the death, which the engine thread has been told of when this returns. Says
    /// why it died, and how long it was up.
    async fn live(&mut self, shared: &Shared, slot: Slot) -> (Cause, u64) {
        let greeted = tokio::select! {
            biased;
            greeted = self.greet(shared, slot) => greeted,
            () = self.process.exited() => Err(Cause::Exited),
            () = shared.reached(Phase::Ending) => Err(Cause::Asked),
        };
        let end = match greeted {
            Ok(end) => end,
            Err(cause) => return (self.settle(shared, cause, Duration::ZERO).await, 0),
        };
        let pid = self.process.pid().as_raw_pid().unsigned_abs();
        let mut up = Up::new(shared, slot, self.number, pid, end);
        let cause = up.end(shared, &self.socket, self.process.exited()).await;
        let up_ns = up.up_ns();
        let cause = self.settle(shared, cause, shared.timing.stop).await;
        let death = if matches!(cause, Cause::Asked) { Death::Stopped } else { Death::Crash };
        shared.lost(slot, self.number, death);
        (cause, up_ns)
    }

    async fn greet(&self, shared: &Shared, slot: Slot) -> Result<Box<EngineEnd>, Cause> {
        let greeted = async {
            let hello = greet::hear_hello(&self.socket, shared.timing.hello).await?;
            greet::grant(shared, slot, self.number, &self.socket, &hello).await
        };
        greeted.await.map_err(|error| {
            self.socket.refuse(&error.to_string());
            error.into()
        })
    }

    /// Sees to it that the process is dead. Says why it died, which may be plainer then.
    async fn settle(&self, shared: &Shared, cause: Cause, stop: Duration) -> Cause {
        let grace = match &cause {
            // A process that ends closes its socket a moment before it is gone.
            Cause::Closed | Cause::Handshake(GreetError::Gone) => {
                Duration::from_nanos(EXIT_GRACE_NS)
            }
            Cause::Asked => stop,
            Cause::Exited | Cause::Talked | Cause::Killed(_) | Cause::Handshake(_) => {
                Duration::ZERO
            }
        };
        let ended = ends_by_itself(shared, self.process.exited(), grace).await;
        if !ended {
            self.process.kill();
            self.process.exited().await;
        }
        match cause {
            Cause::Closed | Cause::Handshake(GreetError::Gone) if ended => Cause::Exited,
            cause => cause,
        }
    }

    /// Reaps a dead process, takes what it left in its pipes, and tells the log of it.
    async fn bury(mut self, shared: &Shared, slot: Slot, cause: &Cause, pause: Duration) {
        let status = self.process.reap();
        let left = async {
            for stream in &mut self.streams {
                // It ends at the end of the pipe; it does not panic.
                let _ = stream.await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_nanos(OUTPUT_LINGER_NS), left).await;
        // Something that left the process group may still hold a pipe.
        self.streams.iter().for_each(JoinHandle::abort);
        let lived_ms = monotonic_ns().saturating_sub(self.started_ns) / 1_000_000;
        let pid = self.process.pid().as_raw_pid();
        let (model, replica) = (&shared.model(slot).name, slot.ordinal);
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        tracing::info!(model, replica, pid, lived_ms, "gone ({status})");
        if !matches!(cause, Cause::Asked) {
            let text = obituary(cause, &status, &self.last_words.borrow());
            shared.note_failure(slot, &text, pause);
        }
    }
}

/// Why an incarnation is gone, in one sentence that needs no other.
fn obituary(cause: &Cause, status: &str, last_words: &str) -> String {
    let ended_by_itself = matches!(cause, Cause::Exited);
    let mut text = cause.to_string();
    if ended_by_itself {
        text = format!("{text} ({status})");
        if !last_words.is_empty() {
            text = format!("{text}; its last line on stderr: {last_words}");
        }
    }
    text
}
