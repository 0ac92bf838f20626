//! The one io_uring of the workspace: ring, receive buffers, typed operations. All of its `unsafe`
//! is in this folder; what it offers is safe.
//!
//! ```text
//!  accept_multishot ┐                                           ┌ token, result, more
//!  recv, …multishot │   submission        completion            │ buffer    (lent by the ring)
//!  send, read_u64   ├─▶ queue ─▶ kernel ─▶ queue ─▶ poll, wait ─┤ returned  (a send's Vec)
//!  cancel, shutdown │                                           └ accepted  (a new connection)
//!  close            ┘
//! ```
//!
//! Owner: the thread that made the ring (SINGLE_ISSUER). `Ring` is neither `Send` nor `Sync`.
//!
//! # How it waits
//! The ring runs with DEFER_TASKRUN: the kernel finishes an operation only when this thread enters.
//! TASKRUN_FLAG makes it say in shared memory that there is something to finish, so that an idle
//! turn of [`Ring::poll`] reads one word and makes no system call. Entering on every turn instead
//! gains a tenth of a microsecond or two at one connection when the thread only spins, and nothing
//! when it yields (bench `echo`), for a kernel kept busy by an idle thread. [`Ring::wait`] sleeps
//! in the kernel.
//!
//! Calls that start operations only write to the submission queue; the next `poll` or `wait`
//! submits them together. A full queue is flushed, and what still does not fit waits in a list of
//! ours: no operation is lost.
//!
//! # Memory
//! - Bytes to send are a `Vec` that the ring owns, or an `Arc` that it shares, until the send's
//!   last completion.
//! - Received bytes lie in buffers of the ring; a [`ReceiveBuffer`] is the right to read one.
//! - An eventfd is read into a cell of the ring.
//! - Dropping the ring cancels what is in flight, waits for the last completions, closes the ring,
//!   and only then frees. Memory whose operation will not end in time is leaked, never freed.
//!
//! # File descriptors
//! An operation borrows its descriptor only for the call, and the kernel takes its own reference
//! when the operation is *submitted*. So the caller keeps a descriptor open until the last
//! completion (`more == false`) of each of its operations. Breaking this is not unsafe but wrong:
//! an operation started and not yet submitted may hit another file that got the same number; one
//! submitted already keeps the file alive, and the peer sees no end of the connection. To end a
//! connection: [`Ring::shutdown`] or [`Ring::cancel`], await the last completions, then
//! [`Ring::close`] or drop. Descriptors should be in blocking mode: with O_NONBLOCK the kernel
//! answers EAGAIN instead of waiting. Accepted connections are (and have CLOEXEC; they inherit
//! TCP_NODELAY from the listener).
//!
//! # Order
//! At most one receive and one send in flight for each connection: the kernel keeps no order
//! between two sends. Completions are gathered into the caller's `Vec` before any of them is looked
//! at, so operations may be started freely while working through them.
//!
//! [`bare`] is a ring that is set up otherwise, for measuring what this set-up is worth.

pub mod bare;
mod buffers;
mod completion;
mod inflight;
mod setup;
#[cfg(test)]
mod tests;
mod token;

use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use io_uring::{IoUring, cqueue, opcode, squeue, types};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketFlags};

use crate::limits::{RING_DRAIN_IDLE_TURNS_MAX, RING_DRAIN_TURN_NS, RING_SEND_BYTES_MAX};
use buffers::{BufferRing, GROUP};
use inflight::{CELL_BYTES, InFlight, Key, Operation};

pub use buffers::ReceiveBuffer;
pub use completion::{Completion, Counters, RingError};
pub use setup::SetupError;
pub use token::Token;

/// User data of submissions that have no slot: only their failures complete, and are only counted.
const UNTRACKED: u64 = u64::MAX;

/// Finish short sends in the kernel; a closed peer is an error and not a signal.
const SEND_FLAGS: i32 = (RecvFlags::WAITALL.bits() | SendFlags::NOSIGNAL.bits()).cast_signed();

const ACCEPT_FLAGS: i32 = SocketFlags::CLOEXEC.bits().cast_signed();

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingConfig {
    /// Operations submitted in one go; rounded up to a power of two.
    pub sq_entries: u32,
    /// A power of two. A receive that finds none ends, and is to be started again: so as many as
    /// may be received and not given back at one time, and some more.
    pub receive_buffers: u16,
    pub receive_buffer_bytes: u32,
}

/// See the module text.
#[derive(Debug)]
pub struct Ring {
    // Dropped in this order: the ring is closed before the memory that the kernel may touch goes.
    uring: Uring,
    buffers: BufferRing,
    in_flight: InFlight,
    /// Operations that found the submission queue full, in order.
    deferred: VecDeque<squeue::Entry>,
    counters: Counters,
    /// The kernel accepts submissions only from the thread that made the ring.
    _of_one_thread: PhantomData<*const ()>,
}

impl Ring {
    /// Makes a ring and tries it out.
    ///
    /// # Panics
    /// When `config` is beyond `limits` or the number of buffers is not a power of two.
    pub fn new(config: RingConfig) -> Result<Self, SetupError> {
        let refused = |error: io::Error| setup::explain(&error);
        let buffers = BufferRing::new(config.receive_buffers, config.receive_buffer_bytes);
        let buffers = buffers.map_err(refused)?;
        let uring = Uring(setup::make(config).map_err(refused)?);
        // SAFETY: `uring` is dropped first, here (the later local) and in `Ring` (the earlier
        // field). `Ring::drop` ends every operation before, or has the buffers leaked.
        unsafe { buffers.register(&uring.0) }.map_err(refused)?;
        let operations = uring.0.params().cq_entries() as usize;
        let mut ring = Self {
            uring,
            buffers,
            in_flight: InFlight::with_capacity(operations),
            deferred: VecDeque::new(),
            counters: Counters::default(),
            _of_one_thread: PhantomData,
        };
        setup::self_test(&mut ring)?;
        ring.counters = Counters::default();
        Ok(ring)
    }

    /// Accepts connections until it ends by an error (`more == false`), which out of descriptors
    /// is.
    pub fn accept_multishot(&mut self, listener: BorrowedFd<'_>, token: Token) {
        self.start(Operation::Accept, listener, token, Vec::new());
    }

    /// Receives into buffers of the ring until the stream ends, fails, or the buffers run out.
    pub fn recv_multishot(&mut self, connection: BorrowedFd<'_>, token: Token) {
        self.start(Operation::Receive, connection, token, Vec::new());
    }

    /// Receives once, into a buffer of the ring: no more than that buffer holds, however much has
    /// arrived. Otherwise as [`Ring::recv_multishot`].
    pub fn recv(&mut self, connection: BorrowedFd<'_>, token: Token) {
        self.start(Operation::ReceiveOnce, connection, token, Vec::new());
    }

    /// Sends all the bytes; they come back with the completion. Fewer bytes sent than given means
    /// that the connection is broken.
    ///
    /// # Panics
    /// When there are more than `RING_SEND_BYTES_MAX` bytes.
    pub fn send(&mut self, connection: BorrowedFd<'_>, bytes: Vec<u8>, token: Token) {
        assert!(bytes.len() <= RING_SEND_BYTES_MAX, "a send of {} bytes", bytes.len());
        self.start(Operation::Send, connection, token, bytes);
    }

    /// Sends a part of bytes that are shared with others and that nobody changes. `returned` is
    /// empty on its completion. Otherwise as [`Ring::send`].
    ///
    /// # Panics
    /// When the range is not within the bytes, or longer than `RING_SEND_BYTES_MAX`.
    pub fn send_shared(
        &mut self,
        connection: BorrowedFd<'_>,
        bytes: &Arc<[u8]>,
        range: Range<usize>,
        token: Token,
    ) {
        let part = &bytes[range];
        assert!(part.len() <= RING_SEND_BYTES_MAX, "a send of {} bytes", part.len());
        let length = u32::try_from(part.len()).expect("RING_SEND_BYTES_MAX fits");
        let key = self.in_flight.start(Operation::Send, token, Vec::new());
        self.in_flight.keep(key, Arc::clone(bytes));
        let entry = opcode::Send::new(types::Fd(connection.as_raw_fd()), part.as_ptr(), length);
        // SAFETY: the bytes lie in an `Arc` that the operation's slot shares until its last
        // completion, so they are neither freed nor changed before; see `inflight`.
        unsafe { self.push(entry.flags(SEND_FLAGS).build().user_data(key.pack())) };
    }

    /// Waits for an eventfd to be signalled and takes its count (which says only how many signals
    /// were folded into one, and is not reported). Completes once.
    pub fn read_u64(&mut self, eventfd: BorrowedFd<'_>, token: Token) {
        let cell = self.in_flight.take_cell();
        self.start(Operation::Read, eventfd, token, cell);
    }

    /// Asks for the end of every operation in flight under this token. Each still ends with its own
    /// last completion: ECANCELED (or ENOBUFS for a receive before Linux 6.5), or as it would have
    /// ended when it was faster. Looks through all operations in flight: not for the hot path.
    pub fn cancel(&mut self, token: Token) {
        let mut from = 0;
        while let Some(key) = self.in_flight.find(token, from) {
            self.start_untracked(opcode::AsyncCancel::new(key.pack()).build());
            from = key.index() + 1;
        }
    }

    /// Ends a connection in one direction or both. When receiving ends, so does the receive in
    /// flight. Completes silently.
    pub fn shutdown(&mut self, connection: BorrowedFd<'_>, how: Shutdown) {
        // A system call and not an operation: the kernel hands that one to a worker, which looks
        // the number up when its turn comes. By then it may be another connection's.
        // It fails when the connection has ended already.
        let _ = rustix::net::shutdown(connection, how);
    }

    /// Closes a descriptor with the next submission instead of a system call. Completes silently.
    pub fn close(&mut self, fd: OwnedFd) {
        self.start_untracked(opcode::Close::new(types::Fd(fd.into_raw_fd())).build());
    }

    /// The bytes of a receive buffer.
    ///
    /// # Panics
    /// When the buffer is of another ring.
    pub fn bytes(&self, buffer: &ReceiveBuffer) -> &[u8] {
        self.buffers.bytes(buffer)
    }

    /// Gives a receive buffer back; the kernel can have it from the next `poll` or `wait` on.
    ///
    /// # Panics
    /// When the buffer is of another ring.
    pub fn recycle(&mut self, buffer: ReceiveBuffer) {
        self.buffers.recycle(buffer);
    }

    /// Submits what was started, and appends what has completed. Never sleeps; makes no system call
    /// when there is nothing to submit and the kernel has nothing to finish.
    pub fn poll(&mut self, completions: &mut Vec<Completion>) -> Result<usize, RingError> {
        self.buffers.publish();
        if self.must_enter() {
            self.flush()?;
        }
        Ok(self.reap(completions))
    }

    /// [`Ring::poll`] by one system call every time: what the flag saves, for the benches.
    pub fn poll_by_entering(
        &mut self,
        completions: &mut Vec<Completion>,
    ) -> Result<usize, RingError> {
        self.buffers.publish();
        self.flush_deferred()?;
        self.counters.enters += 1;
        let to_submit = u32::try_from(self.uring.0.submission().len()).expect("at most 2^15");
        let flags = io_uring::EnterFlags::GETEVENTS.bits();
        // SAFETY: without an argument, and what is submitted was checked by `push`.
        let entered = unsafe { self.uring.0.submitter().enter::<u64>(to_submit, 0, flags, None) };
        self.settle_enter(entered)?;
        Ok(self.reap(completions))
    }

    /// Submits what was started, sleeps until something has completed or the time is over, and
    /// appends what has completed. May come back early with nothing: on a signal, or under memory
    /// pressure. `None` sleeps without end.
    pub fn wait(
        &mut self,
        timeout_ns: Option<u64>,
        completions: &mut Vec<Completion>,
    ) -> Result<usize, RingError> {
        self.buffers.publish();
        self.flush_deferred()?;
        self.counters.enters += 1;
        let entered = match timeout_ns.map(timespec) {
            // The time lives in this frame, which outlasts the call that reads it.
            Some(time) => {
                let arguments = types::SubmitArgs::new().timespec(&time);
                self.uring.0.submitter().submit_with_args(1, &arguments)
            }
            None => self.uring.0.submitter().submit_and_wait(1),
        };
        self.settle_enter(entered)?;
        Ok(self.reap(completions))
    }

    /// Operations whose last completion has not been handed out.
    pub fn operations_in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Receive buffers handed out and not given back.
    pub fn buffers_lent(&self) -> usize {
        self.buffers.lent()
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// System calls made.
    pub fn enters(&self) -> u64 {
        self.counters.enters
    }

    fn start(&mut self, operation: Operation, fd: BorrowedFd<'_>, token: Token, memory: Vec<u8>) {
        let fd = types::Fd(fd.as_raw_fd());
        let key = self.in_flight.start(operation, token, memory);
        let memory = self.in_flight.memory(key);
        let entry = match operation {
            Operation::Accept => opcode::AcceptMulti::new(fd).flags(ACCEPT_FLAGS).build(),
            Operation::Receive => opcode::RecvMulti::new(fd, GROUP).build(),
            Operation::ReceiveOnce => {
                // No length: that of the buffer which the kernel picks.
                let receive = opcode::Recv::new(fd, std::ptr::null_mut(), 0).buf_group(GROUP);
                receive.build().flags(squeue::Flags::BUFFER_SELECT)
            }
            Operation::Send => {
                let bytes = u32::try_from(memory.len()).expect("RING_SEND_BYTES_MAX fits");
                opcode::Send::new(fd, memory.as_ptr(), bytes).flags(SEND_FLAGS).build()
            }
            Operation::Read => {
                assert_eq!(memory.len(), CELL_BYTES as usize, "a cell holds one counter");
                opcode::Read::new(fd, memory.as_mut_ptr(), CELL_BYTES).build()
            }
        };
        // SAFETY: the entry points to nothing (accept, receives) or to bytes of a `Vec` that its
        // slot keeps, unmoved and unfreed, until the operation's last completion; see `inflight`.
        // The receive buffers stay mapped until after the ring is closed; see the order of the
        // fields.
        unsafe { self.push(entry.user_data(key.pack())) };
    }

    /// For operations that nobody waits for: success makes no completion.
    fn start_untracked(&mut self, entry: squeue::Entry) {
        let entry = entry.flags(squeue::Flags::SKIP_SUCCESS).user_data(UNTRACKED);
        // SAFETY: cancel, shutdown and close point to no memory.
        unsafe { self.push(entry) };
    }

    /// # Safety
    /// What `entry` points to stays valid until its last completion.
    unsafe fn push(&mut self, entry: squeue::Entry) {
        if self.deferred.is_empty() {
            // SAFETY: as asked of the caller.
            if unsafe { self.uring.0.submission().push(&entry) }.is_ok() {
                return;
            }
            // An error is not lost: the next `poll` or `wait` meets it again.
            let _ = self.enter();
        }
        self.deferred.push_back(entry);
        if self.refill() == 0 {
            self.counters.deferred += 1;
        }
    }

    /// Moves deferred operations into the submission queue, as many as fit.
    fn refill(&mut self) -> usize {
        let mut queue = self.uring.0.submission();
        let mut moved = 0;
        while let Some(entry) = self.deferred.front() {
            // SAFETY: `push` was asked for each of these entries to stay valid.
            if unsafe { queue.push(entry) }.is_err() {
                break;
            }
            self.deferred.pop_front();
            moved += 1;
        }
        moved
    }

    fn must_enter(&mut self) -> bool {
        let queue = self.uring.0.submission();
        queue.taskrun() || !queue.is_empty() || queue.cq_overflow() || !self.deferred.is_empty()
    }

    /// Submits everything, deferred operations included, as far as the kernel takes it.
    fn flush(&mut self) -> Result<(), RingError> {
        self.enter()?;
        while self.refill() > 0 {
            self.enter()?;
        }
        Ok(())
    }

    fn flush_deferred(&mut self) -> Result<(), RingError> {
        if self.deferred.is_empty() { Ok(()) } else { self.flush() }
    }

    /// One system call: submits the queue and, when flagged, lets the kernel finish operations.
    fn enter(&mut self) -> Result<(), RingError> {
        self.counters.enters += 1;
        let entered = self.uring.0.submit();
        self.settle_enter(entered)
    }

    fn settle_enter(&mut self, entered: io::Result<usize>) -> Result<(), RingError> {
        let Err(error) = entered else { return Ok(()) };
        match Errno::from_io_error(&error).unwrap_or(Errno::IO) {
            // A signal, or the end of a wait's time: the caller looks again by itself.
            Errno::INTR | Errno::TIME => Ok(()),
            // No memory for requests, or completions to be taken first. Nothing was lost: what was
            // not submitted is still in the queue, and the next turn tries again.
            Errno::AGAIN | Errno::BUSY => {
                self.counters.put_off += 1;
                Ok(())
            }
            Errno::EXIST => Err(RingError::OtherThread),
            errno => Err(RingError::Enter { errno }),
        }
    }

    fn reap(&mut self, completions: &mut Vec<Completion>) -> usize {
        let before = completions.len();
        self.counters.overflows += u64::from(self.uring.0.submission().cq_overflow());
        for entry in self.uring.0.completion() {
            if entry.user_data() == UNTRACKED {
                self.counters.unheeded += 1;
                continue;
            }
            let completion = settle(&entry, &mut self.in_flight, &mut self.buffers);
            self.counters.out_of_buffers += u64::from(completion.is_out_of_buffers());
            completions.push(completion);
        }
        let count = completions.len() - before;
        self.counters.completions += count as u64;
        count
    }

    /// Ends everything in flight. False when something would not end in time.
    fn drain(&mut self) -> bool {
        let mut ended = Vec::new();
        let mut idle_turns = 0;
        while idle_turns < RING_DRAIN_IDLE_TURNS_MAX {
            let before = self.in_flight.len();
            // Submitted last, so it meets every operation started before.
            self.start_untracked(opcode::AsyncCancel2::new(types::CancelBuilder::any()).build());
            if self.wait(Some(RING_DRAIN_TURN_NS), &mut ended).is_err() {
                break;
            }
            ended.clear();
            if self.in_flight.len() == 0 {
                return true;
            }
            idle_turns += u32::from(self.in_flight.len() == before);
        }
        false
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // Closes and shutdowns not yet submitted go out too.
        if !self.drain() {
            self.in_flight.leak();
            self.buffers.leak();
        }
    }
}

/// The crate's ring has no `Debug`.
struct Uring(IoUring);

impl std::fmt::Debug for Uring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Uring").field(&self.0.as_raw_fd()).finish()
    }
}

/// Reads one entry of the completion queue. On an operation's last, its slot and memory are freed.
fn settle(entry: &cqueue::Entry, in_flight: &mut InFlight, buffers: &mut BufferRing) -> Completion {
    let key = Key::unpack(entry.user_data());
    let (token, operation) = in_flight.tenant(key);
    let mut result =
        u32::try_from(entry.result()).map_err(|_| Errno::from_raw_os_error(-entry.result()));
    // An entry may name a buffer without bytes (end of stream, error): that goes straight back.
    let buffer =
        cqueue::buffer_select(entry.flags()).and_then(|id| buffers.lend(id, result.unwrap_or(0)));
    let mut accepted = None;
    if operation == Operation::Accept
        && let Ok(fd) = result
    {
        accepted = Some(own(fd));
        result = Ok(0);
    }
    let more = cqueue::more(entry.flags());
    let mut returned = None;
    if !more {
        let memory = in_flight.finish(key);
        match operation {
            Operation::Send => returned = Some(memory),
            Operation::Read => in_flight.put_cell(memory),
            Operation::Accept | Operation::Receive | Operation::ReceiveOnce => {}
        }
    }
    Completion { token, result, more, buffer, returned, accepted }
}

fn own(fd: u32) -> OwnedFd {
    let fd = RawFd::try_from(fd).expect("a descriptor was an i32 before");
    // SAFETY: the kernel has just made this descriptor for this completion, which is read once.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn timespec(ns: u64) -> types::Timespec {
    types::Timespec::from(std::time::Duration::from_nanos(ns))
}
