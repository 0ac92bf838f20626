//! Messages with descriptors over the socket between the engine and a container.
//!
//! The socket is of type SOCK_SEQPACKET: a message comes whole, with the descriptors that were
//! passed along with it, or it is cut where the receiver's room ends.

use std::io::{Error, ErrorKind, IoSlice, IoSliceMut, Result};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use rustix::time::Timespec;

use crate::limits::{HANDSHAKE_NS, POOLS_MAX};
use crate::wire::FIXED_DESCRIPTORS;

/// Descriptors of one message at most: those of a grant.
const DESCRIPTORS_MAX: usize = FIXED_DESCRIPTORS + POOLS_MAX;

/// Sends one message.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    message: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(descriptors)));
    }
    let parts = [IoSlice::new(message)];
    retry_on_intr(|| rustix::net::sendmsg(socket, &parts, &mut ancillary, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// Waits for a message of the engine, for as long as a container does, and receives it into
/// `message`. Gives its bytes, none when the engine is gone, and its descriptors.
pub(crate) fn receive(socket: impl AsFd, message: &mut [u8]) -> Result<(usize, Vec<OwnedFd>)> {
    wait_readable(socket.as_fd())?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(message)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received =
        retry_on_intr(|| rustix::net::recvmsg(socket.as_fd(), &mut parts, &mut ancillary, flags))?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    Ok((received.bytes, descriptors))
}

fn wait_readable(socket: BorrowedFd<'_>) -> Result<()> {
    const SECOND_NS: u64 = 1_000_000_000;
    #[expect(clippy::cast_possible_wrap, reason = "a small constant")]
    let timeout = Timespec { tv_sec: (HANDSHAKE_NS / SECOND_NS) as i64, tv_nsec: 0 };
    let mut polled = [PollFd::from_borrowed_fd(socket, PollFlags::IN)];
    let ready = retry_on_intr(|| rustix::event::poll(&mut polled, Some(&timeout)))?;
    if ready == 0 { Err(Error::from(ErrorKind::TimedOut)) } else { Ok(()) }
}
