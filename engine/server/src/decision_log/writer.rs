//! The engine thread's end: records into chunks.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

use cutter_core::feedback::{Decided, Learned};
use cutter_core::ids::ApplicationId;
use cutter_core::limits::APPLICATIONS_MAX;
use cutter_core::policy::Random;

use super::chunk::{Chunk, LogCounts};
use super::frame;
use super::record::{LogHeader, write_decided, write_header, write_learned};
use crate::limits::{LOG_CHUNK_AGE_NS, LOG_CONTEXT_BYTES_MAX, LOG_RECORD_BYTES_MAX};

/// Keeps the draw of who is logged apart from others that are seeded by the id of a query: a
/// policy's draw by the same numbers would be logged with a propensity that it did not have.
const SAMPLE_SALT: u64 = u64::from_le_bytes(*b"pass-log");

/// Where the engine thread puts what it decided and learned. Nothing here waits or allocates, but
/// [`add_application`](Self::add_application).
#[derive(Debug)]
pub struct LogWriter {
    sample: f64,
    /// By their places.
    applications: [Option<Logged>; APPLICATIONS_MAX],
    /// What is being filled. `None` when there was no empty one.
    chunk: Option<Chunk>,
    full: SyncSender<Chunk>,
    free: Receiver<Chunk>,
    counts: Arc<LogCounts>,
}

/// An application that is logged.
#[derive(Debug)]
struct Logged {
    id: ApplicationId,
    /// In its frame.
    header: Vec<u8>,
    /// Whether it went ahead of the records.
    is_told: bool,
}

impl LogWriter {
    pub(super) fn new(
        sample: f64,
        full: SyncSender<Chunk>,
        free: Receiver<Chunk>,
        counts: Arc<LogCounts>,
    ) -> Self {
        let applications = std::array::from_fn(|_| None);
        Self { sample, applications, chunk: None, full, free, counts }
    }

    /// From now on an application is logged, or its policy or its models are others.
    pub fn add_application(&mut self, id: ApplicationId, header: &LogHeader) {
        let mut bytes = Vec::new();
        frame::append(&mut bytes, |out| write_header(id, header, out));
        self.applications[id.place()] = Some(Logged { id, header: bytes, is_told: false });
    }

    /// Logs a decision, if its application is logged and its query is one of the sample.
    pub fn decided(&mut self, decided: &Decided<'_>) {
        if !self.is_logged(decided.application, decided.query_id) {
            return;
        }
        if decided.context.len() > LOG_CONTEXT_BYTES_MAX {
            self.counts.add_dropped(1);
            return;
        }
        self.append(decided.application, decided.answered_ns, |out| write_decided(decided, out));
    }

    /// Logs what was learned, if the decision is in the log, too.
    pub fn learned(&mut self, learned: &Learned<'_>) {
        if self.is_logged(learned.application, learned.query_id) {
            self.append(learned.application, learned.told_ns, |out| write_learned(learned, out));
        }
    }

    /// Hands over what has waited for long enough. To be called now and then, and once at the end.
    pub fn flush(&mut self, now_ns: u64) {
        let is_old = |chunk: &mut Chunk| {
            chunk.records > 0 && now_ns.saturating_sub(chunk.begun_ns) >= LOG_CHUNK_AGE_NS
        };
        if let Some(chunk) = self.chunk.take_if(is_old) {
            self.hand_over(chunk);
        }
    }

    /// When there is something to hand over.
    pub fn due_ns(&self) -> Option<u64> {
        let chunk = self.chunk.as_ref().filter(|chunk| chunk.records > 0)?;
        Some(chunk.begun_ns.saturating_add(LOG_CHUNK_AGE_NS))
    }

    fn is_logged(&self, application: ApplicationId, query_id: u64) -> bool {
        let logged = self.applications[application.place()].as_ref();
        logged.is_some_and(|logged| logged.id == application)
            && Random::new(query_id ^ SAMPLE_SALT).uniform() < self.sample
    }

    fn append(&mut self, of: ApplicationId, now_ns: u64, record: impl FnOnce(&mut Vec<u8>)) {
        let logged = self.applications[of.place()].as_mut().expect("it was looked for");
        let header = if logged.is_told { &[][..] } else { &logged.header };
        let most = header.len() + LOG_RECORD_BYTES_MAX;
        if let Some(chunk) = self.chunk.take_if(|chunk| !chunk.has_room_for(most)) {
            send(&self.full, chunk, &self.counts);
        }
        if self.chunk.is_none() {
            self.chunk = self.free.try_recv().ok();
        }
        let Some(chunk) = &mut self.chunk else {
            self.counts.add_dropped(1);
            return;
        };
        if chunk.records == 0 {
            chunk.begun_ns = now_ns;
        }
        chunk.bytes.extend_from_slice(header);
        frame::append(&mut chunk.bytes, record);
        chunk.records += 1;
        logged.is_told = true;
    }

    fn hand_over(&self, chunk: Chunk) {
        send(&self.full, chunk, &self.counts);
    }
}

/// There is room for every chunk that there is: only an ended thread takes none.
fn send(full: &SyncSender<Chunk>, chunk: Chunk, counts: &LogCounts) {
    let records = chunk.records;
    if full.try_send(chunk).is_err() {
        counts.add_dropped(records);
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        if let Some(chunk) = self.chunk.take().filter(|chunk| chunk.records > 0) {
            self.hand_over(chunk);
        }
    }
}
