//! What was learned, on disk: the states of policies by application and context.
//!
//! Owner: a thread of its own, which waits for the disk so that no other does. The engine thread
//! hands states to it and asks for them through a [`StoreClient`], which never waits; whoever
//! brings applications registers whose states they are with the [`StoreThread`], and ends it.
//!
//! ```text
//!   engine thread                         store's thread
//!   StoreClient ── save, load ─────────▸  round ▸ redb ▸ file
//!               ◂─ answer ◂ bell ──────       StoreThread: register, join
//! ```
//!
//! Invariants:
//! - What is loaded is what was saved last, whether it is in the file yet or not.
//! - What was handed over is in the file within a quarter of a second and the time of a write: with
//!   the time for which contexts hold theirs back, `kill -9` costs the last second.
//! - A file that cannot be used is refused with the reason, and left as it is.
//!
//! # Rooms
//! `file` what is a file of states, and whose · `database` states in it · `round` what is written
//! together · `worker` the thread · `client` the engine thread's end · `requests` between them.

mod client;
mod database;
mod error;
mod file;
mod requests;
mod round;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::{HashMap, VecDeque};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::{self, JoinHandle};

use cutter_core::contexts::{ContextKey, Series};
use cutter_core::policy::Policy;
use twox_hash::XxHash3_128;

use crate::limits::{STORE_LOADS_MAX, STORE_REQUESTS_MAX, STORE_ROUND_STATES_MAX};

pub use client::StoreClient;
pub use error::StoreError;
pub use worker::StoreCounts;

use database::{CHECKSUM_BYTES, Database};
use file::StateFile;
use requests::{Reader, Request};
use round::Round;
use worker::Worker;

/// Buffers that may be on their way back to the engine thread.
const BUFFERS: usize = STORE_REQUESTS_MAX + STORE_ROUND_STATES_MAX;

/// Where states are kept if nothing else is said: in the user's directory for what programs
/// remember.
pub fn default_path() -> Result<PathBuf, StoreError> {
    default_path_in(|name| env::var_os(name))
}

fn default_path_in(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, StoreError> {
    // A path that is not absolute is to be ignored, says the XDG Base Directory Specification.
    let directory = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || directory("HOME").map(|home| home.join(".local/state"));
    let state = directory("XDG_STATE_HOME").or_else(home).ok_or(StoreError::NoPlace)?;
    Ok(state.join("cutter/state.redb"))
}

/// The store's thread, as whoever started it sees it.
#[derive(Debug)]
pub struct StoreThread {
    requests: SyncSender<Request>,
    /// Is dropped when it is the end.
    end: Sender<()>,
    thread: JoinHandle<()>,
    counts: Arc<StoreCounts>,
    registered: u64,
}

/// Opens the store in a file, which is made if there is none, and starts its thread. The bell is
/// rung there when the client has answers to take.
pub fn open(
    path: &Path,
    bell: Box<dyn Fn() + Send>,
) -> Result<(StoreClient, StoreThread), StoreError> {
    let file = StateFile::open(path)?;
    let database = Database::open(file).map_err(|error| refused(error, path))?;
    start(database, bell)
}

fn refused(error: redb::Error, path: &Path) -> StoreError {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    let path = path.to_owned();
    match error {
        // The other two kinds say that what was read is not what was written.
        redb::Error::Io(error) if ![InvalidData, UnexpectedEof].contains(&error.kind()) => {
            StoreError::File { path, error }
        }
        error => StoreError::Damaged { path, why: error.to_string() },
    }
}

fn start<F: redb::StorageBackend + Clone>(
    database: Database<F>,
    bell: Box<dyn Fn() + Send>,
) -> Result<(StoreClient, StoreThread), StoreError> {
    let (requests, to_take) = mpsc::sync_channel(STORE_REQUESTS_MAX);
    let (answers, answered) = mpsc::sync_channel(STORE_LOADS_MAX);
    let (written, were_written) = mpsc::sync_channel(BUFFERS);
    let (end, is_over): (_, Receiver<()>) = mpsc::channel();
    let counts = Arc::new(StoreCounts::default());
    let worker = Worker {
        requests: to_take,
        answers,
        written,
        bell,
        end: is_over,
        database,
        counts: Arc::clone(&counts),
        readers: HashMap::new(),
        round: Round::default(),
        unread: VecDeque::new(),
        read_again: None,
        told: None,
    };
    let thread = thread::Builder::new().name("cutter-store".to_owned());
    let thread = thread.spawn(move || worker.run()).map_err(StoreError::Thread)?;
    let client = StoreClient {
        requests: requests.clone(),
        answers: answered,
        written: were_written,
        spare: Vec::with_capacity(STORE_REQUESTS_MAX + STORE_LOADS_MAX),
        loading: 0,
    };
    Ok((client, StoreThread { requests, end, thread, counts, registered: 0 }))
}

impl StoreThread {
    /// Says whose states there will be: an application's, of this policy for so many models. The
    /// label tells apart what must not be mixed, above all the policy and the models by their
    /// names. Waits while the store has much to do; not for the engine thread.
    pub fn register(
        &mut self,
        application: &str,
        label: &str,
        policy: Box<dyn Policy>,
        models: usize,
    ) -> Series {
        let text = format!("{application}: {label}");
        // No text has this byte: what is before it ends there.
        let name = [application.as_bytes(), label.as_bytes()].join(&0xff);
        let series = Series { number: self.registered, name: XxHash3_128::oneshot(&name) };
        self.registered += 1;
        let reader = Reader { text, policy, models };
        // A thread that has ended is found out by `join`.
        let _ = self.requests.send(Request::Register { series, reader });
        series
    }

    /// Takes a state, as bytes, of who is no longer with the engine thread. Waits while the store
    /// has much to do.
    pub fn save(&self, series: Series, key: &ContextKey, state: &[u8]) {
        let bytes = [&[0; CHECKSUM_BYTES], state].concat();
        let _ = self.requests.send(Request::Save { series, key: *key, bytes });
    }

    /// Nothing is asked of a series any more. What was saved stays.
    pub fn forget(&self, series: Series) {
        let _ = self.requests.send(Request::Forget { series });
    }

    pub fn counts(&self) -> &Arc<StoreCounts> {
        &self.counts
    }

    /// Writes what was handed over, and ends. To be called when the engine thread has ended.
    pub fn join(self) {
        let Self { requests, end, thread, .. } = self;
        drop(end);
        // Without room for this the thread has something to take anyway, and looks after it.
        let _ = requests.try_send(Request::Look);
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
}
