//! The log: lines to standard error, written by a thread of its own.
//!
//! ```text
//!   any thread ── line ──▶ queue (bounded) ──▶ writer thread ──▶ standard error
//!                   └ full: dropped, counted        └ refused: dropped, counted
//! ```
//!
//! Whoever logs never waits and never fails. Standard error may be a full disk, a closed pipe, or a
//! pipe whose reader stands still: then the writer thread waits or is refused, and nobody else.
//! Lines that are lost are counted; when writing works again, the log says how many there were.
//!
//! The end waits for what is queued, for a bounded time.
//!
//! `tracing-appender` has such a writer, too, but says nothing of what was lost, and when it cannot
//! write all at the end it prints that on standard output, where it may panic.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use tracing_subscriber::EnvFilter;

use crate::limits::{LOG_END_NS, LOG_LINES_QUEUED_MAX};

/// Lines that were not written, since the process began. All threads add to it; it stands for
/// itself, so that relaxed accesses are enough. Read by [`lines_dropped`].
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Lines that the log could not take, or standard error did not.
pub fn lines_dropped() -> u64 {
    // Pairs with the additions in `push` and in `write_lines`.
    DROPPED.load(Relaxed)
}

/// The log of this process. Dropping it waits for what is queued.
#[derive(Debug)]
pub struct Log {
    queue: Queue,
}

/// Starts to log what `RUST_LOG` chooses, or from this level on.
pub fn start(level: &str) -> io::Result<Log> {
    let queue = Queue::start(io::stderr())?;
    let filter = EnvFilter::try_from_default_env();
    let writer = queue.clone();
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| level.into()))
        .with_writer(move || writer.clone())
        .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_target(false)
        // What goes wrong in the log cannot be told by it; the crate would print it, and panic.
        .log_internal_errors(false)
        .init();
    Ok(Log { queue })
}

impl Log {
    /// Writes a line as it is, behind what was logged before.
    pub fn say(&self, line: &str) {
        self.queue.push(format!("{line}\n").into_bytes());
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.flush(Duration::from_nanos(LOG_END_NS));
    }
}

enum Message {
    Line(Vec<u8>),
    /// All lines before it are written.
    Flush(SyncSender<()>),
}

#[derive(Clone, Debug)]
struct Queue(SyncSender<Message>);

impl Queue {
    fn start(out: impl Write + Send + 'static) -> io::Result<Queue> {
        let (sender, receiver) = sync_channel(LOG_LINES_QUEUED_MAX);
        let writer = std::thread::Builder::new().name("cutter-log".to_owned());
        writer.spawn(move || write_lines(out, &receiver))?;
        Ok(Queue(sender))
    }

    fn push(&self, line: Vec<u8>) {
        if self.0.try_send(Message::Line(line)).is_err() {
            // Pairs with the load in `lines_dropped`.
            DROPPED.fetch_add(1, Relaxed);
        }
    }

    /// Waits until all that was pushed is written, `within` at most.
    fn flush(&self, within: Duration) {
        const LOOK: Duration = Duration::from_millis(5);
        let until = Instant::now() + within;
        let (written, is_written) = sync_channel(1);
        while let Err(TrySendError::Full(_)) = self.0.try_send(Message::Flush(written.clone())) {
            if Instant::now() >= until {
                return;
            }
            std::thread::sleep(LOOK);
        }
        // A writer that stands still is left behind.
        let _ = is_written.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

impl Write for Queue {
    /// One event: the formatter writes each with one call.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs as long as there is anyone who may log.
fn write_lines(mut out: impl Write, messages: &Receiver<Message>) {
    let mut told = lines_dropped();
    while let Ok(message) = messages.recv() {
        let line = match message {
            Message::Line(line) => line,
            Message::Flush(written) => {
                // Whoever asked may not wait any more.
                let _ = written.try_send(());
                continue;
            }
        };
        if out.write_all(&line).and_then(|()| out.flush()).is_err() {
            // Pairs with the load in `lines_dropped`.
            DROPPED.fetch_add(1, Relaxed);
            continue;
        }
        let dropped = lines_dropped();
        if dropped > told {
            // It goes the way of all lines, and is counted when it is lost, too.
            tracing::warn!(
                lines = dropped - told,
                "the log could not be written for a while: lines were dropped"
            );
            told = dropped;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Condvar, Mutex};

    use super::*;

    /// What the writer thread writes to: open, standing still, or refusing.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Reader {
        Reads,
        StandsStill,
        Full,
    }

    /// How it is read, and what came through it.
    type Flow = (Reader, Vec<u8>);

    #[derive(Clone)]
    struct Pipe(Arc<(Mutex<Flow>, Condvar)>);

    impl Pipe {
        fn new(reader: Reader) -> Pipe {
            Pipe(Arc::new((Mutex::new((reader, Vec::new())), Condvar::new())))
        }

        fn becomes(&self, reader: Reader) {
            self.0.0.lock().unwrap().0 = reader;
            self.0.1.notify_all();
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.0.lock().unwrap().1.clone()).unwrap()
        }
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (state, changed) = &*self.0;
            let state = state.lock().unwrap();
            let stands_still = |state: &mut Flow| state.0 == Reader::StandsStill;
            let mut state = changed.wait_while(state, stands_still).unwrap();
            if state.0 == Reader::Full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.1.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    fn push(queue: &Queue, lines: std::ops::Range<usize>) {
        lines.for_each(|line| queue.push(format!("{line}\n").into_bytes()));
    }

    /// One test, since all queues of a process share one count.
    #[test]
    fn lines_are_written_in_order_and_those_that_cannot_be_are_counted() {
        let pipe = Pipe::new(Reader::Reads);
        let queue = Queue::start(pipe.clone()).unwrap();
        push(&queue, 0..3);
        queue.flush(LONG);
        assert_eq!((pipe.text().as_str(), lines_dropped()), ("0\n1\n2\n", 0));

        // One line may be in the hands of the thread that stands still.
        pipe.becomes(Reader::StandsStill);
        push(&queue, 0..LOG_LINES_QUEUED_MAX + 10);
        let dropped = lines_dropped();
        assert!((9..=10).contains(&dropped), "{dropped}");
        queue.flush(Duration::from_millis(20));
        pipe.becomes(Reader::Reads);
        queue.flush(LONG);
        assert_eq!(
            pipe.text().lines().count() as u64,
            3 + 10 - dropped + LOG_LINES_QUEUED_MAX as u64
        );

        pipe.becomes(Reader::Full);
        push(&queue, 0..5);
        queue.flush(LONG);
        assert_eq!(lines_dropped(), dropped + 5);
    }
}
