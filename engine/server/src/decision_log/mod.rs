//! The decision log: what was decided, with which probability, and what came of it, in files.
//!
//! Owners: the engine thread writes ([`LogWriter`]), the log thread stores ([`LogThread`]), and
//! whoever evaluates reads ([`read`]). From such files follows what another policy would have
//! earned: a record holds the servable models and the propensity of each, not only what was chosen.
//!
//! ```text
//!  engine thread                      log thread                 folder
//!  record ▸ chunk ── full, or old ──▶ append, then rotate ──▶ decisions-000007.cutterlog
//!             ▲                          │                     decisions-000008.cutterlog
//!             └───────── empty ──────────┘                     (the oldest is removed)
//! ```
//!
//! Invariants:
//! - The engine thread never waits: a record that finds no empty chunk is dropped, and counted.
//! - There are [`LOG_CHUNKS`] chunks, made at the start: nothing is
//!   allocated afterwards but by the log thread, for what it has to say again in each file.
//! - A decision and what is learned of it are both in the log or both not: whether they are follows
//!   from the id of the query.
//! - A file can be read by itself: before the first record of an application is its header.
//!
//! # Rooms
//! `record` what is logged, and its bytes · `frame` lengths and checksums · `chunk` what goes
//! between the threads · `writer` · `files` rotation · `thread` · `reader`.

mod chunk;
mod files;
mod frame;
mod reader;
mod record;
#[cfg(test)]
mod tests;
mod thread;
mod writer;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use thiserror::Error;

pub use chunk::LogCounts;
pub use frame::FileHeader;
pub use reader::{Damage, ReadError, Records, is_log, read};
pub use record::{Decision, Lesson, LogHeader, Record};
pub use thread::LogThread;
pub use writer::LogWriter;

use crate::limits::{LOG_CHUNKS, LOG_FILE_BYTES_MIN, LOG_SAMPLE_MIN};
use chunk::Chunk;
use files::Files;

/// Where a decision log lies, and how much of it there is.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSettings {
    /// The folder, which is made if it is not there.
    pub directory: PathBuf,
    /// Bytes of a file, at least [`LOG_FILE_BYTES_MIN`]. Beyond: the next one is begun.
    pub file_bytes_max: u64,
    /// Files that are kept, at least 1. Beyond: the oldest is removed.
    pub files_max: usize,
    /// The part of all queries that is logged, from [`LOG_SAMPLE_MIN`] to 1.
    pub sample: f64,
}

/// Why there is no decision log.
#[derive(Debug, Error)]
pub enum LogError {
    #[error("decision log: {files_max} files are none; keep at least 1")]
    Files { files_max: usize },
    #[error("decision log: files of {given} bytes; give them at least {LOG_FILE_BYTES_MIN}")]
    FileBytes { given: u64 },
    #[error("decision log: the part {given} of all queries; give one from {LOG_SAMPLE_MIN} to 1")]
    Sample { given: f64 },
    #[error(
        "decision log: cannot write to the folder {}: {source}; make it writable, or name another",
        path.display()
    )]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("decision log: cannot start its thread: {0}")]
    Thread(#[source] io::Error),
}

/// The log and its two ends.
#[derive(Debug)]
pub struct DecisionLog;

impl DecisionLog {
    /// Begins a new file in the folder, behind those of earlier runs, and starts the log thread. It
    /// ends when the writer is dropped.
    pub fn open(settings: LogSettings) -> Result<(LogWriter, LogThread), LogError> {
        let LogSettings { file_bytes_max, files_max, sample, .. } = settings;
        if files_max == 0 {
            return Err(LogError::Files { files_max });
        }
        if file_bytes_max < LOG_FILE_BYTES_MIN {
            return Err(LogError::FileBytes { given: file_bytes_max });
        }
        if !(LOG_SAMPLE_MIN..=1.0).contains(&sample) {
            return Err(LogError::Sample { given: sample });
        }
        let path = settings.directory.clone();
        let files = Files::open(settings).map_err(|source| LogError::Folder { path, source })?;
        let (full, to_write) = sync_channel(LOG_CHUNKS);
        let (written, free) = sync_channel(LOG_CHUNKS);
        for _ in 0..LOG_CHUNKS {
            written.try_send(Chunk::new()).expect("there is room for each");
        }
        let counts = Arc::new(LogCounts::default());
        let writer = LogWriter::new(sample, full, free, Arc::clone(&counts));
        let thread = LogThread::start(files, to_write, written, counts);
        Ok((writer, thread.map_err(LogError::Thread)?))
    }
}
