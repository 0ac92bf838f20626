//! What the ring hands back: completions, counters, errors.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use thiserror::Error;

use super::{ReceiveBuffer, Token};

/// One completion of one operation. The ring's own have its buffers and descriptors; a simulated
/// ring has others.
#[derive(Debug)]
pub struct Completion<B = ReceiveBuffer, S = OwnedFd> {
    /// As given with the operation.
    pub token: Token,
    /// Bytes moved (receive, send, read), or 0 (accept). A receive of 0 is the end of the stream.
    pub result: Result<u32, Errno>,
    /// More completions of this operation will follow. When false this is the last one: the
    /// operation is over, and a multishot one must be started again to go on.
    pub more: bool,
    /// Bytes received. To be given back with `Ring::recycle`.
    pub buffer: Option<B>,
    /// The `Vec` of a send that is over, for its next use.
    pub returned: Option<Vec<u8>>,
    /// The connection that an accept took. Closed when dropped.
    pub accepted: Option<S>,
}

impl<B, S> Completion<B, S> {
    /// The receive ended because the kernel had no receive buffer left. Nothing is lost: the bytes
    /// wait in the socket. Start it again once buffers have been given back, not at once.
    pub fn is_out_of_buffers(&self) -> bool {
        self.result == Err(Errno::NOBUFS)
    }
}

/// Running totals of one ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// `io_uring_enter` calls: the system calls that the ring has made.
    pub enters: u64,
    /// Completions handed out.
    pub completions: u64,
    /// Receives that ended for want of buffers.
    pub out_of_buffers: u64,
    /// Times that the completion queue was found overflowing. Nothing is lost, but it is slow: the
    /// queue is too small for the load.
    pub overflows: u64,
    /// Operations that did not fit in the submission queue even after a flush, and waited in ours.
    pub deferred: u64,
    /// Enters that the kernel put off (EAGAIN, EBUSY). The next turn tries again.
    pub put_off: u64,
    /// Cancels that found nothing to cancel, and closes and shutdowns that failed.
    pub unheeded: u64,
}

/// The ring is broken: an error of ours or of the kernel. There is no going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RingError {
    #[error(
        "the ring was used by another thread than the one that made it (EEXIST); make and use it \
         on one thread"
    )]
    OtherThread,
    #[error("io_uring_enter failed with {errno}, which no correct use of a ring meets; restart")]
    Enter { errno: Errno },
}
