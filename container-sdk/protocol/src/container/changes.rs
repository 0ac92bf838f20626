//! Changes of the pools while the container runs.
//!
//! ```text
//!   engine: control thread ── a pool's message, with its descriptor ──▶ socket
//!   engine: engine thread  ── MAP, the same index ──▶ ring ── this ──▶ completion
//!                          ── UNMAP ──▶ ring ── this ──▶ completion
//! ```
//!
//! Owner: the container's one predicting thread. A change stands in the ring between batches and
//! is made between them: a batch behind a MAP may have rows of the pool, and one before an UNMAP
//! is given back already. What cannot be of this protocol ends the container; where only the
//! memory is missing, the change fails and the container lives on.

use std::os::fd::OwnedFd;

use bytemuck::Zeroable;

use super::{ContainerEnd, ContainerError, Pool, cut, to_u32};
use crate::entry::{Completion, STATUS_FAILED, STATUS_OK, Submission};
use crate::limits::MESSAGE_BYTES_MAX;
use crate::segment::SegmentError;
use crate::socket::receive;
use crate::wire::{POOL_MAGIC, WirePool, WirePoolMessage};

const MAP: &str = "map";
const UNMAP: &str = "unmap";

impl ContainerEnd {
    /// Maps the pool whose descriptor waits on the socket.
    pub(super) fn map_pool(&mut self, submission: &Submission) -> Result<(), ContainerError> {
        let index = submission.pool;
        self.check_change(MAP, submission)?;
        if !self.pools.is_free(index) {
            let why = "which is mapped already or beyond all pools";
            return Err(ContainerError::PoolChange { step: MAP, pool: index, why });
        }
        let (wire, descriptor) = self.receive_pool(index)?;
        match Pool::open(&wire, descriptor) {
            Ok(pool) => {
                self.pools.put(index, pool);
                self.complete_change(submission, None);
            }
            Err(ContainerError::Segment(error @ SegmentError::Step { .. })) => {
                self.complete_change(submission, Some(&error.to_string()));
            }
            Err(ContainerError::BadAnswer) => {
                let why = "whose type means nothing";
                return Err(ContainerError::PoolChange { step: MAP, pool: index, why });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Unmaps a pool; its memory is gone before the engine hears of it.
    pub(super) fn unmap_pool(&mut self, submission: &Submission) -> Result<(), ContainerError> {
        let index = submission.pool;
        self.check_change(UNMAP, submission)?;
        if self.pools.take(index).is_none() {
            let why = "which is not mapped";
            return Err(ContainerError::PoolChange { step: UNMAP, pool: index, why });
        }
        self.complete_change(submission, None);
        Ok(())
    }

    fn check_change(
        &self,
        step: &'static str,
        submission: &Submission,
    ) -> Result<(), ContainerError> {
        let Submission { flags, item_count, pool, .. } = *submission;
        if submission.ticket.slot == self.geometry.depth && flags == 0 && item_count == 0 {
            return Ok(());
        }
        let why = "with the ticket or the items of a batch";
        Err(ContainerError::PoolChange { step, pool, why })
    }

    /// Takes the message about a pool from the socket, where the engine put it before it asked.
    fn receive_pool(&self, index: u32) -> Result<(WirePool, OwnedFd), ContainerError> {
        let mut message = WirePoolMessage::zeroed();
        let received = receive(&self.socket, bytemuck::bytes_of_mut(&mut message));
        let (bytes, mut descriptors) =
            received.map_err(|source| ContainerError::PoolMessage { pool: index, source })?;
        if bytes == 0 {
            return Err(ContainerError::EngineGone);
        }
        let is_whole = bytes == size_of::<WirePoolMessage>() && message.magic == POOL_MAGIC;
        let why = if !is_whole {
            "with a message that is none about a pool"
        } else if message.pool.index != index {
            "with a message about another pool"
        } else if descriptors.len() != 1 {
            "with another number of descriptors than one"
        } else {
            return Ok((message.pool, descriptors.remove(0)));
        };
        Err(ContainerError::PoolChange { step: MAP, pool: index, why })
    }

    fn complete_change(&mut self, submission: &Submission, failure: Option<&str>) {
        let ticket = submission.ticket;
        let message = cut(failure.unwrap_or_default(), MESSAGE_BYTES_MAX);
        self.write_message(ticket.slot, 0, message);
        let mut completion = Completion::zeroed();
        completion.ticket = ticket;
        completion.status = if failure.is_some() { STATUS_FAILED } else { STATUS_OK };
        completion.message_bytes = to_u32(message.len());
        self.send(&completion);
    }
}
