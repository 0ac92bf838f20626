//! A ring set up otherwise than the engine's, for measuring: it shows why the engine's is set up as
//! it is. No DEFER_TASKRUN, no provided buffers, one receive at a time, one reply that never
//! changes.
//!
//! Owner: the thread that made it. It owns what its operations use: the bytes received into, and
//! the reply. Dropped while an operation is under way, it leaks both: it is made a few times in the
//! life of a process, and its memory is small.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::{io, mem};

use io_uring::{IoUring, opcode, squeue, types};

use super::{SEND_FLAGS, SetupError, Uring, setup};
use crate::limits::{RING_BARE_ENTRIES, RING_SEND_BYTES_MAX};

const RECEIVE: u64 = 1;
const SEND: u64 = 2;

/// How the kernel makes the thread finish its operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notify {
    /// COOP_TASKRUN and TASKRUN_FLAG: it sets a flag, and the thread enters.
    Flag,
    /// Neither: it interrupts the thread.
    Interrupt,
}

/// An operation that is over, and its bytes. A receive of 0 is the end of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    Received(usize),
    Sent(usize),
}

/// See the module text.
#[derive(Debug)]
pub struct BareRing {
    // Dropped in this order: the ring is closed before the memory that the kernel may touch goes.
    uring: Uring,
    request: Vec<u8>,
    reply: Vec<u8>,
    receiving: bool,
    sends: u32,
}

impl BareRing {
    /// A ring whose receives bring up to `request_bytes`, and whose sends send `reply`.
    ///
    /// # Panics
    /// When one of the two is longer than `RING_SEND_BYTES_MAX`.
    pub fn new(notify: Notify, request_bytes: usize, reply: Vec<u8>) -> Result<Self, SetupError> {
        let longest = request_bytes.max(reply.len());
        assert!(longest <= RING_SEND_BYTES_MAX, "a message of {longest} bytes");
        let mut builder = IoUring::builder();
        if notify == Notify::Flag {
            builder.setup_coop_taskrun().setup_taskrun_flag();
        }
        let uring = builder.dontfork().build(RING_BARE_ENTRIES);
        let uring = Uring(uring.map_err(|error| setup::explain(&error))?);
        Ok(Self { uring, request: vec![0; request_bytes], reply, receiving: false, sends: 0 })
    }

    /// Starts a receive; the next [`BareRing::submit`] submits it.
    ///
    /// # Panics
    /// When one is under way: both would write to the same bytes.
    pub fn receive(&mut self, connection: BorrowedFd<'_>) -> io::Result<()> {
        assert!(!self.receiving, "one receive at a time");
        let room = u32::try_from(self.request.len()).expect("RING_SEND_BYTES_MAX fits");
        let socket = types::Fd(connection.as_raw_fd());
        let entry = opcode::Recv::new(socket, self.request.as_mut_ptr(), room).build();
        // SAFETY: the bytes are the ring's own. Nobody reads, moves or frees them: this is the only
        // receive, nothing here touches them, and a drop before its completion leaks them.
        unsafe { self.push(&entry.user_data(RECEIVE)) }?;
        self.receiving = true;
        Ok(())
    }

    /// Starts a send of the reply; the next [`BareRing::submit`] submits it.
    pub fn send(&mut self, connection: BorrowedFd<'_>) -> io::Result<()> {
        let bytes = u32::try_from(self.reply.len()).expect("RING_SEND_BYTES_MAX fits");
        let socket = types::Fd(connection.as_raw_fd());
        let entry = opcode::Send::new(socket, self.reply.as_ptr(), bytes).flags(SEND_FLAGS);
        // SAFETY: the reply is the ring's own and never written, moved or freed: a drop before the
        // completion leaks it. Any number of sends may read it.
        unsafe { self.push(&entry.build().user_data(SEND)) }?;
        self.sends += 1;
        Ok(())
    }

    /// Submits what was started.
    pub fn submit(&mut self) -> io::Result<()> {
        self.uring.0.submit().map(|_| ())
    }

    /// Takes one operation that is over, and its error if it failed. Enters the kernel only when
    /// the flag says that there is something to finish.
    pub fn poll(&mut self) -> io::Result<Option<Done>> {
        if self.uring.0.submission().taskrun() {
            self.submit()?;
        }
        let Some(completion) = self.uring.0.completion().next() else { return Ok(None) };
        let of = match completion.user_data() {
            RECEIVE => {
                self.receiving = false;
                Done::Received
            }
            _ => {
                self.sends -= 1;
                Done::Sent
            }
        };
        let result = completion.result();
        let bytes = usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))?;
        Ok(Some(of(bytes)))
    }

    /// # Safety
    /// What `entry` points to stays valid until its completion.
    unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: as asked of the caller.
        unsafe { self.uring.0.submission().push(entry) }.map_err(io::Error::other)
    }
}

impl Drop for BareRing {
    fn drop(&mut self) {
        if self.receiving || self.sends > 0 {
            // The kernel may end what is under way after the ring was closed.
            mem::forget((mem::take(&mut self.request), mem::take(&mut self.reply)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn next(ring: &mut BareRing) -> Done {
        loop {
            if let Some(done) = ring.poll().unwrap() {
                return done;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn either_set_up_receives_sends_and_sees_the_end_of_the_stream() {
        for notify in [Notify::Flag, Notify::Interrupt] {
            let (mut near, far) = UnixStream::pair().unwrap();
            let mut ring = BareRing::new(notify, 16, b"pong".to_vec()).unwrap();
            ring.receive(far.as_fd()).unwrap();
            ring.submit().unwrap();
            near.write_all(b"ping!").unwrap();
            assert_eq!(next(&mut ring), Done::Received(5));
            ring.send(far.as_fd()).unwrap();
            ring.submit().unwrap();
            assert_eq!(next(&mut ring), Done::Sent(4));
            let mut reply = [0; 4];
            near.read_exact(&mut reply).unwrap();
            assert_eq!(&reply, b"pong");
            ring.receive(far.as_fd()).unwrap();
            ring.submit().unwrap();
            drop(near);
            assert_eq!(next(&mut ring), Done::Received(0));
        }
    }

    #[test]
    fn a_ring_that_is_dropped_while_it_receives_leaves_its_bytes_to_the_kernel() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let mut ring = BareRing::new(Notify::Interrupt, 16, Vec::new()).unwrap();
        ring.receive(far.as_fd()).unwrap();
        ring.submit().unwrap();
        drop(ring);
        // Late bytes hit leaked memory or none; the process lives on either way.
        near.write_all(b"late").unwrap();
    }

    #[test]
    #[should_panic(expected = "one receive at a time")]
    fn a_second_receive_is_refused() {
        let (_near, far) = UnixStream::pair().unwrap();
        let mut ring = BareRing::new(Notify::Flag, 16, Vec::new()).unwrap();
        ring.receive(far.as_fd()).unwrap();
        ring.receive(far.as_fd()).unwrap();
    }
}
