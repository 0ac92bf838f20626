//! Connections: opened before a run, reopened without waiting during one.

use std::collections::VecDeque;
use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::book::Line;
use crate::limits::{CONNECT_NS_MAX, PIPELINE_MAX};
use crate::target::Address;

/// A request that is under way, or waits for the send before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnderWay {
    pub(super) line: Line,
    pub(super) question: u32,
    pub(super) due_ns: u64,
}

#[derive(Debug)]
pub(super) struct Link {
    /// `None`: it could not be opened again yet.
    pub(super) socket: Option<OwnedFd>,
    /// Tells completions of this socket from those of the ones before it.
    pub(super) generation: u32,
    /// Oldest first. The last `unsent` of them are not sent yet.
    pub(super) under_way: VecDeque<UnderWay>,
    pub(super) unsent: usize,
    pub(super) is_sending: bool,
    pub(super) is_receiving: bool,
    /// Bit k: it stands among those with k requests under way, rightly or not any more.
    pub(super) listed: u64,
}

const _: () = assert!(PIPELINE_MAX <= u64::BITS as usize);

/// A socket that is given up, until its operations have ended.
#[derive(Debug)]
pub(super) struct Retired {
    pub(super) socket: OwnedFd,
    pub(super) operations: u32,
}

impl Link {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket: Some(socket),
            generation: 0,
            under_way: VecDeque::new(),
            unsent: 0,
            is_sending: false,
            is_receiving: false,
            listed: 0,
        }
    }
}

/// Opens a connection and waits until it is there.
pub(super) fn open(address: &Address) -> io::Result<OwnedFd> {
    match address {
        Address::Tcp(address) => {
            let limit = Duration::from_nanos(CONNECT_NS_MAX);
            let stream = TcpStream::connect_timeout(address, limit)?;
            stream.set_nodelay(true)?;
            Ok(stream.into())
        }
        Address::Unix(path) => Ok(UnixStream::connect(path)?.into()),
    }
}

/// Opens a connection and does not wait: a send on it waits, in the kernel, until it is there, and
/// fails when it does not come to be.
pub(super) fn open_at_once(address: &Address) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (socket, connected) = match address {
        Address::Tcp(address) => {
            let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
            rustix::net::sockopt::set_tcp_nodelay(&socket, true)?;
            let connected = rustix::net::connect(&socket, address);
            (socket, connected)
        }
        Address::Unix(path) => {
            let socket =
                rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            let connected = rustix::net::connect(&socket, &SocketAddrUnix::new(path)?);
            (socket, connected)
        }
    };
    match connected {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    // With O_NONBLOCK the ring would be told to try again instead of waiting.
    rustix::io::ioctl_fionbio(&socket, false)?;
    Ok(socket)
}
