//! What the store's thread does.
//!
//! It takes requests in the order in which they come. States are gathered into a round, which is
//! one commit; what is asked for is answered from the round or from the file. When the file cannot
//! be written, the round stays as it is and is tried again; when it is full meanwhile, no request
//! is taken, and the engine thread keeps what it cannot hand over. When it cannot be read, what was
//! asked for is asked again.
//!
//! ```text
//!   requests ▸ ┬ save ▸ round ▸ commit ▸ file ▸ buffers back
//!              └ load ◂ round, or file ▸ answers, bell
//! ```

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::time::{Duration, Instant};

use cutter_core::policy::State;
use cutter_core::stats::Counter;
use redb::StorageBackend;

use super::database::{CHECKSUM_BYTES, Database, Found};
use super::requests::{Load, Reader, Request};
use super::round::Round;
use crate::limits::{STORE_LOADS_MAX, STORE_REQUESTS_MAX, STORE_RETRY_NS, STORE_TOLD_NS};

const RETRY: Duration = Duration::from_nanos(STORE_RETRY_NS);

/// What is counted of the store.
#[derive(Debug, Default)]
pub struct StoreCounts {
    /// States written.
    pub saved: Counter,
    /// Answers given.
    pub answered: Counter,
    /// Writes and reads that failed, and were or are tried again.
    pub failures: Counter,
    /// States that could not be used: damaged, or of another version of the policy.
    pub unusable: Counter,
}

/// The store's thread.
pub(super) struct Worker<F> {
    pub requests: Receiver<Request>,
    pub answers: SyncSender<Load>,
    pub written: SyncSender<Vec<u8>>,
    pub bell: Box<dyn Fn() + Send>,
    /// Has no other end any more when it is the end.
    pub end: Receiver<()>,
    pub database: Database<F>,
    pub counts: Arc<StoreCounts>,
    pub readers: HashMap<u64, Reader>,
    pub round: Round,
    /// What could not be read, and when it is tried again.
    pub unread: VecDeque<Load>,
    pub read_again: Option<Instant>,
    /// When the log was told last that the file fails.
    pub told: Option<Instant>,
}

impl<F: StorageBackend + Clone> Worker<F> {
    /// Until it is the end. Then what was handed over is written.
    pub fn run(mut self) {
        while self.wait() {
            if self.round.is_full() || self.round.patience().is_some_and(|left| left.is_zero()) {
                self.write();
            }
            while self.round.is_full() && !self.is_over(RETRY) {
                self.write();
            }
        }
        while let Ok(request) = self.requests.try_recv() {
            self.take(request);
        }
        if self.round.len() > 0 && !self.write() {
            tracing::error!(states = self.round.len(), "what was learned last is lost");
        }
    }

    /// Takes what has come, or waits for it. Says whether it is not the end.
    fn wait(&mut self) -> bool {
        let again = self.read_again.map(|at| at.saturating_duration_since(Instant::now()));
        let patience = [self.round.patience(), again].into_iter().flatten().min();
        let first = match patience {
            Some(patience) => self.requests.recv_timeout(patience),
            None => self.requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let answered = self.counts.answered.get();
        self.read_again(again);
        match first {
            Ok(request) => self.take(request),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        for _ in 0..STORE_REQUESTS_MAX {
            if self.round.is_full() {
                break;
            }
            let Ok(request) = self.requests.try_recv() else { break };
            self.take(request);
        }
        if self.counts.answered.get() != answered {
            (self.bell)();
        }
        self.end.try_recv() != Err(TryRecvError::Disconnected)
    }

    /// Waits, and says whether it is the end.
    fn is_over(&self, wait: Duration) -> bool {
        self.end.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected)
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Register { series, reader } => {
                self.readers.insert(series.number, reader);
            }
            Request::Forget { series } => {
                self.readers.remove(&series.number);
            }
            Request::Save { series, key, bytes } => {
                let before = self.round.add(series.name, key, bytes);
                before.into_iter().for_each(|bytes| give_back(&self.written, bytes));
            }
            Request::Load(load) => self.load(load),
            Request::Look => {}
        }
    }

    fn load(&mut self, mut load: Load) {
        let Load { series, key, bytes, .. } = &mut load;
        let found = if let Some(state) = self.round.get(series.name, key) {
            bytes.clear();
            bytes.extend_from_slice(state);
            Ok(Found::State)
        } else {
            self.database.read(series.name, key, bytes)
        };
        match found {
            Ok(Found::State) => load.is_there = self.is_usable(&load),
            Ok(Found::Nothing) => {}
            Ok(Found::Damaged) => self.tell_unusable(&load, "it is damaged"),
            Err(error) => {
                self.failed("read", &error);
                self.read_again = Some(Instant::now() + RETRY);
                self.unread.push_back(load);
                return;
            }
        }
        self.counts.answered.increment();
        // There is room for as many as may be asked for. Who asked may have ended.
        let _ = self.answers.try_send(load);
    }

    /// Tries what could not be read, if it is time.
    fn read_again(&mut self, left: Option<Duration>) {
        if left.is_some_and(|left| left.is_zero()) {
            self.read_again = None;
            for _ in 0..self.unread.len().min(STORE_LOADS_MAX) {
                self.unread.pop_front().into_iter().for_each(|load| self.load(load));
            }
        }
    }

    /// Whether a state is one that its policy can lead to. Who was forgotten has none.
    fn is_usable(&self, load: &Load) -> bool {
        let Some(reader) = self.readers.get(&load.series.number) else { return false };
        let Reader { policy, models, .. } = reader;
        let read = State::read(&**policy, *models, &load.bytes[CHECKSUM_BYTES..]);
        read.map_err(|error| self.tell_unusable(load, &error.to_string())).is_ok()
    }

    fn tell_unusable(&self, load: &Load, why: &str) {
        self.counts.unusable.increment();
        let series = self.readers.get(&load.series.number).map(|reader| &*reader.text);
        tracing::warn!(series, context = ?load.key, "a state starts anew: {why}");
    }

    /// Writes the round. Says whether that was done.
    fn write(&mut self) -> bool {
        let states = self.round.len();
        if let Err(error) = self.database.write(self.round.states()) {
            self.failed("written", &error);
            self.round.put_off(RETRY);
            return false;
        }
        self.counts.saved.add(states as u64);
        self.round.written().for_each(|bytes| give_back(&self.written, bytes));
        true
    }

    fn failed(&mut self, how: &str, error: &redb::Error) {
        self.counts.failures.increment();
        let is_told = |told: &Instant| told.elapsed() < Duration::from_nanos(STORE_TOLD_NS);
        if !self.told.as_ref().is_some_and(is_told) {
            self.told = Some(Instant::now());
            let failures = self.counts.failures.get();
            tracing::error!(failures, "states cannot be {how}, tried again: {error}");
        }
    }
}

/// A buffer for which there is no room is freed here.
fn give_back(written: &SyncSender<Vec<u8>>, bytes: Vec<u8>) {
    let _ = written.try_send(bytes);
}
