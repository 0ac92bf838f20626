//! The engine thread's end of the store.
//!
//! Nothing here waits: where there is no room, the caller is told to come again. Buffers go round:
//! with a request to the store's thread, and back with the answer or when they are written. So
//! there are as many as were ever under way, and none is made when there is one.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError};

use cutter_core::contexts::{ContextKey, Series};

use super::database::CHECKSUM_BYTES;
use super::requests::{Load, Request};
use crate::limits::STORE_LOADS_MAX;

/// The engine thread's way to the store.
#[derive(Debug)]
pub struct StoreClient {
    pub(super) requests: SyncSender<Request>,
    pub(super) answers: Receiver<Load>,
    /// Buffers that were written.
    pub(super) written: Receiver<Vec<u8>>,
    /// Buffers of answers that were taken.
    pub(super) spare: Vec<Vec<u8>>,
    /// Asked for and not taken yet.
    pub(super) loading: usize,
}

impl StoreClient {
    /// Hands a state over, as bytes. `false`: not now. From here on what is loaded is this one, and
    /// within a quarter of a second it is in the file.
    #[must_use]
    pub fn save(&mut self, series: Series, key: &ContextKey, state: &[u8]) -> bool {
        let mut bytes = self.buffer();
        bytes.clear();
        bytes.extend_from_slice(&[0; CHECKSUM_BYTES]);
        bytes.extend_from_slice(state);
        self.send(Request::Save { series, key: *key, bytes })
    }

    /// Asks for a state. `false`: not now.
    #[must_use]
    pub fn load(&mut self, series: Series, key: &ContextKey) -> bool {
        if self.loading == STORE_LOADS_MAX {
            return false;
        }
        let bytes = self.buffer();
        let is_sent = self.send(Request::Load(Load { series, key: *key, bytes, is_there: false }));
        self.loading += usize::from(is_sent);
        is_sent
    }

    /// Takes an answer, if there is one: a state's bytes, which are a state of the policy and the
    /// number of models that were registered; or that there is none. Says whether there was an
    /// answer.
    pub fn answer(&mut self, take: impl FnOnce(Series, &ContextKey, Option<&[u8]>)) -> bool {
        let Ok(load) = self.answers.try_recv() else { return false };
        self.loading -= 1;
        take(load.series, &load.key, load.is_there.then(|| &load.bytes[CHECKSUM_BYTES..]));
        self.spare.push(load.bytes);
        true
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().or_else(|| self.written.try_recv().ok()).unwrap_or_default()
    }

    fn send(&mut self, request: Request) -> bool {
        match self.requests.try_send(request) {
            Ok(()) => true,
            Err(TrySendError::Full(request) | TrySendError::Disconnected(request)) => {
                if let Request::Save { bytes, .. } | Request::Load(Load { bytes, .. }) = request {
                    self.spare.push(bytes);
                }
                false
            }
        }
    }
}
