//! The log thread: chunks into files. It is the only one that waits for the disk.
//!
//! A disk that is full, slow or gone costs records, which are counted, and nothing else: serving
//! goes on, and the operator is told once in a while.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::thread::JoinHandle;

use cutter_machine::clock::monotonic_ns;

use super::chunk::{Chunk, LogCounts};
use super::files::Files;
use crate::limits::LOG_FAILED_TOLD_NS;

/// The thread that stores. It ends, all being written, when the writer is dropped.
#[derive(Debug)]
pub struct LogThread {
    thread: JoinHandle<()>,
    counts: Arc<LogCounts>,
}

impl LogThread {
    pub(super) fn start(
        files: Files,
        to_write: Receiver<Chunk>,
        written: SyncSender<Chunk>,
        counts: Arc<LogCounts>,
    ) -> io::Result<Self> {
        let thread = std::thread::Builder::new().name("cutter-decisions".to_owned());
        let counted = Arc::clone(&counts);
        let thread = thread.spawn(move || store(files, &to_write, &written, &counted))?;
        Ok(Self { thread, counts })
    }

    pub fn counts(&self) -> &Arc<LogCounts> {
        &self.counts
    }

    /// Waits for its end; the writer has to be dropped before.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("the thread of the decision log has panicked");
        }
    }
}

pub(super) fn store(
    mut files: Files,
    to_write: &Receiver<Chunk>,
    written: &SyncSender<Chunk>,
    counts: &LogCounts,
) {
    let mut told_ns = None;
    while let Ok(mut chunk) = to_write.recv() {
        if let Err(error) = files.append(&chunk.bytes) {
            counts.add_dropped(chunk.records);
            let now_ns = monotonic_ns();
            if told_ns.is_none_or(|told_ns| now_ns - told_ns >= LOG_FAILED_TOLD_NS) {
                told_ns = Some(now_ns);
                let dropped = counts.dropped();
                tracing::warn!(
                    "the decision log cannot be written: {error}; {dropped} records are dropped"
                );
            }
        } else {
            counts.add_written(chunk.records);
        }
        chunk.clear();
        // There is room for every chunk; the writer may have gone.
        let _ = written.try_send(chunk);
    }
}
