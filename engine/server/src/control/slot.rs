//! A replica slot whose container is started by its command: one incarnation after another.
//!
//! ```text
//!   starting ▸ loading: hello ▸ grant ▸ ready ──▶ up ──▶ death ▸ told ▸ reaped ▸ logged
//!      ▲                   └────── no ────────────────────▲                        │
//!      └──────────────────── at once, or after a back-off ◀────────────────────────┘
//! ```
//!
//! Death is what the kernel says: the pidfd. Everything else (a hang, a refusal, a closed socket)
//! leads to a SIGKILL first. The engine thread is told before anything else is done.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cutter_machine::clock::monotonic_ns;
use tokio::task::JoinHandle;

use super::backoff::BackOff;
use super::greet::{self, Channel, GreetError, LoadLimit};
use super::life::{self, Cause, Up, ends_by_itself};
use super::output::{self, LastLine, Origin};
use super::process::Process;
use super::registry::{Slot, State};
use super::shared::{Phase, Ready, Shared};
use super::spawn::{Spawned, spawn};
use crate::config::Command;
use crate::limits::{BACK_OFF_SHORT_NS, EXIT_GRACE_NS, OUTPUT_LINGER_NS};

/// Keeps one replica going until it is to end, with the server or before it.
pub(super) async fn run(shared: Rc<Shared>, slot: Slot, command: Command) {
    let mut back_off = BackOff::default();
    while !shared.is_to_end(slot) {
        shared.set(slot, State::Starting);
        let pause = match start(&shared, slot, &command) {
            Err(text) => {
                let pause = back_off.after(0);
                note_pause(&shared, slot, false, Some(pause));
                shared.note_failure(slot, &text, Some(pause));
                pause
            }
            Ok(mut incarnation) => {
                let end = incarnation.live(&shared, slot).await;
                let pause = back_off.after(end.up_ns);
                let asked = matches!(end.cause, Cause::Asked);
                let pause = Some(pause).filter(|_| !asked && !shared.is_to_end(slot));
                note_pause(&shared, slot, end.up_ns > 0, pause);
                incarnation.log_end(&shared, slot, &end, pause).await;
                let Some(pause) = pause else { break };
                pause
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.asked_to_end(slot) => {}
        }
    }
    shared.set(slot, State::Ended);
    shared.left(slot.replica);
}

/// Notes what a slot does until its next incarnation, after a pause; without one there is none.
fn note_pause(shared: &Shared, slot: Slot, was_up: bool, pause: Option<Duration>) {
    let state = match pause {
        None => State::Ended,
        // So soon that queries may wait for it: what it had in hand is to be sent again.
        Some(pause) if was_up && pause <= Duration::from_nanos(BACK_OFF_SHORT_NS) => {
            State::Starting
        }
        Some(pause) => {
            let pause_ns = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
            State::BackingOff { until_ns: monotonic_ns().saturating_add(pause_ns) }
        }
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
    let spawned = spawn(&model, command, slot.ordinal).map_err(|error| error.to_string())?;
    let Spawned { process, socket, stdout, stderr, unpinned } = spawned;
    let pid = process.pid().as_raw_pid().unsigned_abs();
    let number = shared.next_incarnation(slot);
    shared.set(slot, State::Loading { pid, is_expected: true });
    let unpinned = unpinned.map(|error| error.to_string());
    if shared.registry().note_unpinned(slot, unpinned.clone()) {
        let why = unpinned.unwrap_or_default();
        let model = shared.label(slot);
        tracing::error!(model, replica = slot.ordinal, pid, "not pinned: {why}");
    }
    let last_words = Rc::new(RefCell::new(String::new()));
    let name: Arc<str> = shared.label(slot).into();
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

/// How an incarnation ended.
#[derive(Debug)]
struct End {
    cause: Cause,
    /// How long it was ready for batches.
    up_ns: u64,
    /// What the kernel says of it.
    status: String,
}

impl Incarnation {
    /// From the hello to the death, which the engine thread has been told of when this returns.
    async fn live(&mut self, shared: &Rc<Shared>, slot: Slot) -> End {
        let greeted = tokio::select! {
            biased;
            greeted = self.greet(shared, slot) => greeted,
            () = self.process.exited() => Err(Cause::Exited),
            () = shared.asked_to_end(slot) => Err(Cause::Asked),
            never = life::loads(shared, slot, self.pid()) => match never {},
        };
        let ready = match greeted {
            Ok(ready) => ready,
            Err(cause) => {
                let (cause, status) = self.end_process(shared, slot, cause, Duration::ZERO).await;
                return End { cause, up_ns: 0, status };
            }
        };
        let mut up = Up::new(shared, slot, ready);
        let cause = up.end(shared, slot, &self.socket, self.process.exited()).await;
        let up_ns = up.up_ns();
        let (cause, status) = self.end_process(shared, slot, cause, shared.timing.stop).await;
        shared.lost(slot, self.number, cause.death());
        End { cause, up_ns, status }
    }

    async fn greet(&self, shared: &Shared, slot: Slot) -> Result<Ready, Cause> {
        let greeted = async {
            let limit = LoadLimit::of(&shared.model(slot));
            let hello = greet::receive_hello(&self.socket, limit).await?;
            let life = (self.number, self.pid());
            greet::grant(shared, slot, life, &self.socket, &hello, limit).await
        };
        greeted.await.map_err(|error| {
            self.socket.refuse(&error.to_string());
            error.into()
        })
    }

    /// Sees to it that the process is dead and reaped. Says why it died, which may be plainer now,
    /// and its status.
    async fn end_process(
        &mut self,
        shared: &Shared,
        slot: Slot,
        cause: Cause,
        stop: Duration,
    ) -> (Cause, String) {
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
        let status = self.process.reap();
        let ended_well = status.as_ref().is_ok_and(ExitStatus::success);
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        let cause = match cause {
            Cause::Closed | Cause::Handshake(GreetError::Gone) if ended => Cause::Exited,
            cause => cause,
        };
        // The engine thread asks replicas to end before this thread hears that it has drained.
        let is_over = shared.phase() >= Phase::Draining || shared.is_to_end(slot);
        let asked = matches!(cause, Cause::Exited) && ended_well && is_over;
        (if asked { Cause::Asked } else { cause }, status)
    }

    /// Takes what a dead process left in its pipes, and tells the log of it.
    async fn log_end(mut self, shared: &Shared, slot: Slot, end: &End, pause: Option<Duration>) {
        let left = async {
            for stream in &mut self.streams {
                // It ends at the end of the pipe; it does not panic.
                let _ = stream.await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_nanos(OUTPUT_LINGER_NS), left).await;
        // Something that left the process group may still hold a pipe.
        self.streams.iter().for_each(JoinHandle::abort);
        let (model, replica, pid) = (shared.label(slot), slot.ordinal, self.pid());
        let lived_ms = monotonic_ns().saturating_sub(self.started_ns) / 1_000_000;
        // Here and not only with the failure, which is told once when it is the same again.
        let retry_in_ms = pause.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        tracing::info!(model, replica, pid, lived_ms, retry_in_ms, "gone ({})", end.status);
        if !matches!(end.cause, Cause::Asked) {
            let text = cause_of_death(end, &self.last_words.borrow());
            shared.note_failure(slot, &text, pause);
        }
    }

    fn pid(&self) -> u32 {
        self.process.pid().as_raw_pid().unsigned_abs()
    }
}

/// Why an incarnation is gone, in one sentence that needs no other.
fn cause_of_death(end: &End, last_words: &str) -> String {
    let End { cause, status, .. } = end;
    match (cause, last_words) {
        (Cause::Exited, "") => format!("{cause} ({status})"),
        (Cause::Exited, _) => format!("{cause} ({status}); its last line on stderr: {last_words}"),
        _ => cause.to_string(),
    }
}
