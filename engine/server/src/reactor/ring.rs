//! What the engine thread asks of the kernel: a ring of operations on sockets and bells.
//!
//! The loop takes its ring as a parameter. Under the server it is the one io_uring of
//! [`cutter_machine::uring`]; in tests it is a simulated kernel that reorders, cancels, runs out of
//! buffers and descriptors, and moves bytes through windows as narrow as it likes.

use std::fmt::Debug;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use cutter_machine::uring::{self, Counters, ReceiveBuffer, RingError, Token};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};

use super::listener::Listener;

/// A completion of one of the ring's operations.
pub type Completion<R> = uring::Completion<<R as Ring>::Buffer, <R as Ring>::Socket>;

/// The operations are those of [`cutter_machine::uring::Ring`], where they are described.
pub trait Ring: Debug {
    /// A connection; closed when dropped.
    type Socket: Debug;
    type Listener: Debug;
    /// Received bytes, lent until they are given back.
    type Buffer: Debug;

    fn accept_multishot(&mut self, listener: &Self::Listener, token: Token);
    fn recv_multishot(&mut self, connection: &Self::Socket, token: Token);
    fn recv(&mut self, connection: &Self::Socket, token: Token);
    fn send(&mut self, connection: &Self::Socket, bytes: Vec<u8>, token: Token);
    /// Sends at once what fits, for a connection that is given no place.
    fn send_now(&mut self, connection: &Self::Socket, bytes: &[u8]);
    fn read_u64(&mut self, bell: BorrowedFd<'_>, token: Token);
    fn cancel(&mut self, token: Token);
    fn shutdown(&mut self, connection: &Self::Socket, how: Shutdown);
    fn close(&mut self, connection: Self::Socket);
    /// Whether nothing more can come on a connection, though a receive is still in flight.
    fn is_over(&self, connection: &Self::Socket) -> bool;
    fn bytes<'a>(&'a self, buffer: &'a Self::Buffer) -> &'a [u8];
    fn recycle(&mut self, buffer: Self::Buffer);
    fn poll(&mut self, completions: &mut Vec<Completion<Self>>) -> Result<usize, RingError>
    where
        Self: Sized;
    fn wait(
        &mut self,
        timeout_ns: Option<u64>,
        completions: &mut Vec<Completion<Self>>,
    ) -> Result<usize, RingError>
    where
        Self: Sized;
    fn counters(&self) -> Counters;
}

impl Ring for uring::Ring {
    type Socket = OwnedFd;
    type Listener = Listener;
    type Buffer = ReceiveBuffer;

    fn accept_multishot(&mut self, listener: &Listener, token: Token) {
        self.accept_multishot(listener.fd.as_fd(), token);
    }

    #[inline]
    fn recv_multishot(&mut self, connection: &OwnedFd, token: Token) {
        self.recv_multishot(connection.as_fd(), token);
    }

    fn recv(&mut self, connection: &OwnedFd, token: Token) {
        self.recv(connection.as_fd(), token);
    }

    #[inline]
    fn send(&mut self, connection: &OwnedFd, bytes: Vec<u8>, token: Token) {
        self.send(connection.as_fd(), bytes, token);
    }

    fn send_now(&mut self, connection: &OwnedFd, bytes: &[u8]) {
        // The client that does not get this gets a closed connection.
        let _ = rustix::net::send(connection, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    }

    #[inline]
    fn read_u64(&mut self, bell: BorrowedFd<'_>, token: Token) {
        self.read_u64(bell, token);
    }

    fn cancel(&mut self, token: Token) {
        self.cancel(token);
    }

    fn shutdown(&mut self, connection: &OwnedFd, how: Shutdown) {
        self.shutdown(connection.as_fd(), how);
    }

    fn close(&mut self, connection: OwnedFd) {
        self.close(connection);
    }

    fn is_over(&self, connection: &OwnedFd) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match rustix::net::recv(connection, &mut [0; 1][..], flags) {
            Ok((_, bytes)) => bytes == 0,
            Err(error) => error != Errno::AGAIN && error != Errno::INTR,
        }
    }

    #[inline]
    fn bytes<'a>(&'a self, buffer: &'a ReceiveBuffer) -> &'a [u8] {
        self.bytes(buffer)
    }

    #[inline]
    fn recycle(&mut self, buffer: ReceiveBuffer) {
        self.recycle(buffer);
    }

    #[inline]
    fn poll(&mut self, completions: &mut Vec<Completion<Self>>) -> Result<usize, RingError> {
        self.poll(completions)
    }

    fn wait(
        &mut self,
        timeout_ns: Option<u64>,
        completions: &mut Vec<Completion<Self>>,
    ) -> Result<usize, RingError> {
        self.wait(timeout_ns, completions)
    }

    fn counters(&self) -> Counters {
        self.counters()
    }
}
