//! The connections' sockets: accepting, receiving, sending, ending.
//!
//! ```text
//!   accept ─▸ Open ──── everything owed is out ───▸ Lingering ─▸ Ending ─▸ free
//!                └───── broken, late, given up ──────────────────▸┘
//! ```
//!
//! At most one receive and one send are in flight for each. A number is free again when nothing of
//! it is in flight. When no number is free, the connection that has kept us waiting longest is
//! ended, and the new one waits for its number.

use cutter_machine::clock::Clock;
use cutter_machine::uring::Token;
use rustix::io::Errno;
use rustix::net::Shutdown;

use super::connections::Stage;
use super::ring::{Completion, Ring};
use super::{EngineThread, kind};
use crate::carrier::Carrier;
use crate::limits::{
    ACCEPT_PAUSE_NS, ACCEPTED_WAITING_MAX, BULK_RECEIVES_MAX, EXPIRED_MAX, LINGER_NS,
    SEND_BYTES_KEPT, SEND_NS, SILENCE_NS, TURN_BYTES_MAX, TURN_SENDS_MIN,
};
use crate::port::http::{Expired, Output};

const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\
    Content-Type: application/json\r\nContent-Length: 88\r\n\r\n\
    {\"error\":\"Overloaded\",\"cause\":\"too many connections are open; \
    close some or come later\"}";

/// One that accepts, until a drain drops it.
#[derive(Debug)]
pub(super) struct Listening<L> {
    listener: L,
    /// Accepting failed; it is tried again then.
    pub(super) again_ns: Option<u64>,
}

impl<L> Listening<L> {
    pub(super) fn new(listener: L) -> Self {
        Self { listener, again_ns: None }
    }
}

impl<R: Ring, C: Carrier, K: Clock> EngineThread<R, C, K> {
    /// Begins to accept on a listener.
    pub(super) fn accept(&mut self, listener: usize) {
        let index = u32::try_from(listener).expect("few listeners");
        let token = Token::new(kind::ACCEPT, index, 0);
        let listening = &mut self.listeners[listener];
        listening.again_ns = None;
        self.ring.accept_multishot(&listening.listener, token);
    }

    /// Begins again where accepting had failed.
    pub(super) fn accept_again(&mut self, now_ns: u64) {
        for listener in 0..self.listeners.len() {
            if self.listeners[listener].again_ns.is_some_and(|due_ns| due_ns <= now_ns) {
                self.accept(listener);
            }
        }
    }

    pub(super) fn accepted(&mut self, completion: Completion<R>, reaped_ns: u64) {
        if let Some(fd) = completion.accepted {
            self.stats.connections_accepted.increment();
            self.open(fd, reaped_ns);
        }
        if !completion.more && self.drain.is_none() {
            // Out of descriptors, most likely: pause, so that this is no busy loop.
            let listener = completion.token.index() as usize;
            self.listeners[listener].again_ns = Some(reaped_ns + ACCEPT_PAUSE_NS);
        }
    }

    fn open(&mut self, fd: R::Socket, now_ns: u64) {
        let fd = match self.connections.insert(fd) {
            Ok(connection) => {
                self.frontend.open(connection, now_ns);
                self.stats.connections.set(self.connections.len() as u64);
                self.receive(connection);
                return self.schedule(connection);
            }
            Err(fd) => fd,
        };
        let longest = self.frontend.longest_waiting();
        match longest.filter(|_| self.accepted_waiting.len() < ACCEPTED_WAITING_MAX) {
            Some(longest) => {
                self.stats.connections_evicted.increment();
                self.accepted_waiting.push_back(fd);
                self.end(longest);
            }
            None => {
                self.stats.http_errors(503).increment();
                self.ring.send_now(&fd, REFUSAL);
                self.ring.close(fd);
            }
        }
    }

    /// Starts to receive, unless it is being done or nothing is to come.
    pub(super) fn receive(&mut self, connection: usize) {
        let token = self.connections.token(kind::RECEIVE, connection);
        let Some(socket) = self.connections.get_mut(connection) else { return };
        let wanted = !socket.receiving && !socket.ended && socket.stage != Stage::Ending;
        if !wanted || !self.frontend.wants_input(connection) {
            return;
        }
        if !self.frontend.is_bulk(connection) {
            socket.receiving = true;
            return self.ring.recv_multishot(&socket.fd, token);
        }
        if !socket.queued {
            socket.queued = true;
            self.bulk.push_back(connection);
        }
    }

    /// Receives a buffer's worth from connections with large bodies, some of them in each turn: a
    /// multishot receive would fill all buffers with one such body, before which everybody else's
    /// requests would have to wait. Says whether others wait for their turn.
    pub(super) fn feed_bulk(&mut self) -> bool {
        for _ in 0..BULK_RECEIVES_MAX {
            let Some(connection) = self.bulk.pop_front() else { return false };
            let token = self.connections.token(kind::RECEIVE, connection);
            let Some(socket) = self.connections.get_mut(connection) else { continue };
            let queued = std::mem::take(&mut socket.queued);
            let is_open = !socket.receiving && !socket.ended && socket.stage != Stage::Ending;
            if queued && is_open && self.frontend.wants_input(connection) {
                socket.receiving = true;
                self.ring.recv(&socket.fd, token);
            }
        }
        !self.bulk.is_empty()
    }

    pub(super) fn received(&mut self, completion: Completion<R>, reaped_ns: u64) {
        let named = self.connections.named_by(completion.token);
        let starved = completion.is_out_of_buffers();
        if let Some(buffer) = completion.buffer {
            if let Some(connection) = named {
                let bytes = self.ring.bytes(&buffer);
                self.stats.bytes_in.add(bytes.len() as u64);
                self.turn_bytes += bytes.len();
                if self.connections.stage(connection) == Some(Stage::Open) {
                    let (clock, core) = (&self.clock, &mut self.core);
                    self.frontend.receive(connection, bytes, reaped_ns, clock, core);
                }
            }
            self.ring.recycle(buffer);
        }
        let Some(connection) = named else { return };
        // A long turn must not keep a replica waiting, neither for work nor for its answers.
        self.serve_replicas();
        if let Some(socket) = self.connections.get_mut(connection) {
            socket.look_ns = Some(reaped_ns + SILENCE_NS);
            if !completion.more {
                (socket.receiving, socket.stopping) = (false, false);
            }
        }
        match completion.result {
            Ok(0) => self.client_ended(connection, reaped_ns),
            Ok(_) | Err(Errno::CANCELED) => self.go_on_receiving(connection, completion.more),
            // Before Linux 6.5 a receive that was cancelled ends like this too.
            Err(_) if starved => {
                if !completion.more {
                    self.starved.push(connection);
                }
            }
            Err(_) => self.end(connection),
        }
        self.schedule(connection);
        self.release(connection);
    }

    fn go_on_receiving(&mut self, connection: usize, more: bool) {
        if !more {
            return self.receive(connection);
        }
        let wanted = self.frontend.wants_input(connection) && !self.frontend.is_bulk(connection);
        let token = self.connections.token(kind::RECEIVE, connection);
        if let Some(socket) = self.connections.get_mut(connection)
            && !wanted
            && !socket.stopping
        {
            socket.stopping = true;
            self.ring.cancel(token);
        }
    }

    /// The client has shut its side. It still gets what it is owed.
    fn client_ended(&mut self, connection: usize, now_ns: u64) {
        let Some(socket) = self.connections.get_mut(connection) else { return };
        socket.ended = true;
        if socket.stage == Stage::Open {
            self.frontend.receive_end(connection, now_ns, &mut self.core);
        } else {
            self.end(connection);
        }
    }

    /// Starts again the receives that ended for want of buffers.
    pub(super) fn feed_starved(&mut self) {
        while let Some(connection) = self.starved.pop() {
            self.receive(connection);
        }
    }

    /// Sends what stands ready, as much as a turn may. Says whether there was anything.
    pub(super) fn start_sends(&mut self, now_ns: u64) -> bool {
        let (mut worked, mut bytes, mut sends) = (false, 0, 0);
        let sends_max = self.sends_max(now_ns);
        while bytes < TURN_BYTES_MAX && sends < sends_max {
            let Some(connection) = self.frontend.replies.next_listed() else { break };
            worked = true;
            let sent_bytes = self.send(connection, now_ns);
            bytes += sent_bytes;
            sends += u64::from(sent_bytes > 0);
        }
        worked
    }

    /// How many sends a turn starts. The kernel carries them out in one piece, and meanwhile no
    /// batch is formed: so no more than until the next is due, unless its model is so fast that
    /// this thread is what it waits for anyway.
    fn sends_max(&self, now_ns: u64) -> u64 {
        let listed = self.frontend.replies.listed() as u64;
        if listed <= TURN_SENDS_MIN {
            return listed;
        }
        let due_ns = self.core.next_form_ns(now_ns, listed * SEND_NS).unwrap_or(u64::MAX);
        (due_ns.saturating_sub(now_ns) / SEND_NS).max(TURN_SENDS_MIN)
    }

    /// Starts the next send of a connection, and says how many bytes it has.
    fn send(&mut self, connection: usize, now_ns: u64) -> usize {
        let token = self.connections.token(kind::SEND, connection);
        let Some(socket) = self.connections.get_mut(connection) else { return 0 };
        // One send at a time: the next starts when this one has ended.
        if socket.sending || socket.stage != Stage::Open {
            return 0;
        }
        let mut buffer = std::mem::take(&mut socket.buffer);
        buffer.clear();
        let bytes = match self.frontend.replies.output(connection, &mut buffer) {
            Output::Bytes => {
                let bytes = buffer.len();
                socket.sending = true;
                self.stats.bytes_out.add(bytes as u64);
                self.ring.send(&socket.fd, buffer, token);
                self.frontend.begin_send(connection, bytes, now_ns);
                let (clock, core) = (&self.clock, &mut self.core);
                self.frontend.resume(connection, now_ns, clock, core);
                self.receive(connection);
                bytes
            }
            Output::Nothing => {
                if buffer.capacity() <= SEND_BYTES_KEPT {
                    socket.buffer = buffer;
                }
                0
            }
            Output::End => {
                socket.stage = Stage::Lingering { until_ns: now_ns + LINGER_NS };
                self.ring.shutdown(&socket.fd, Shutdown::Write);
                // What it still sends is read and dropped: unread, it would have the kernel reset
                // the connection, and the answer with it. A large body may wait for its turn.
                self.receive(connection);
                let socket = self.connections.get_mut(connection);
                let is_read = socket.is_some_and(|socket| socket.receiving || socket.queued);
                // Who is not received from any more has ended, or does not let itself be told.
                if !is_read {
                    self.end(connection);
                }
                0
            }
        };
        self.schedule(connection);
        bytes
    }

    pub(super) fn sent(&mut self, completion: Completion<R>, now_ns: u64) {
        let Some(connection) = self.connections.named_by(completion.token) else { return };
        let Some(socket) = self.connections.get_mut(connection) else { return };
        socket.sending = false;
        let buffer = completion.returned.unwrap_or_default();
        let whole = completion.result.is_ok_and(|sent| sent as usize == buffer.len());
        socket.buffer = buffer;
        if socket.stage == Stage::Open {
            if whole {
                let core = &mut self.core;
                self.frontend.sent(connection, now_ns, core);
                self.frontend.resume(connection, now_ns, &self.clock, core);
                self.receive(connection);
                self.schedule(connection);
            } else {
                self.end(connection);
            }
        }
        self.release(connection);
    }

    /// Looks at the connections whose time may be up, a few in each turn. Says whether that was
    /// all.
    pub(super) fn expire(&mut self, now_ns: u64) -> bool {
        for _ in 0..EXPIRED_MAX {
            let Some(connection) = self.timers.pop_due(now_ns) else { return true };
            match self.connections.stage(connection) {
                Some(Stage::Lingering { until_ns }) if now_ns >= until_ns => self.end(connection),
                Some(Stage::Open) if self.has_vanished(connection, now_ns) => self.end(connection),
                Some(Stage::Open) => {
                    let core = &mut self.core;
                    if self.frontend.expire(connection, now_ns, core) == Expired::End {
                        self.end(connection);
                    }
                }
                _ => {}
            }
            self.schedule(connection);
        }
        false
    }

    /// Whether a client that has been silent amid a request is gone: now and then the kernel does
    /// not tell a receive in flight that its connection was reset. Looked at once for each silence.
    fn has_vanished(&mut self, connection: usize, now_ns: u64) -> bool {
        let Some(socket) = self.connections.get_mut(connection) else { return false };
        if socket.look_ns.take_if(|look_ns| *look_ns <= now_ns).is_none() {
            return false;
        }
        self.frontend.is_partial(connection) && self.ring.is_over(&socket.fd)
    }

    /// Sets the timer of a connection to its deadline.
    #[inline]
    pub(super) fn schedule(&mut self, connection: usize) {
        let Some(socket) = self.connections.get_mut(connection) else {
            return self.timers.set(connection, None);
        };
        let deadline_ns = match socket.stage {
            Stage::Open => {
                let look_ns = socket.look_ns.filter(|_| self.frontend.is_partial(connection));
                self.frontend.deadline_ns(connection).into_iter().chain(look_ns).min()
            }
            Stage::Lingering { until_ns } => Some(until_ns),
            Stage::Ending => None,
        };
        self.timers.set(connection, deadline_ns);
    }

    /// Shuts a connection at once. Its number is free when nothing of it is in flight.
    pub(super) fn end(&mut self, connection: usize) {
        let Some(socket) = self.connections.get_mut(connection) else { return };
        if socket.stage != Stage::Ending {
            socket.stage = Stage::Ending;
            self.ring.shutdown(&socket.fd, Shutdown::Both);
            self.frontend.close(connection, &mut self.core);
        }
        self.release(connection);
    }

    fn release(&mut self, connection: usize) {
        let Some(socket) = self.connections.get_mut(connection) else { return };
        if socket.stage == Stage::Ending && !socket.receiving && !socket.sending {
            if let Some(socket) = self.connections.remove(connection) {
                self.ring.close(socket.fd);
            }
            self.stats.connections.set(self.connections.len() as u64);
            if let Some(fd) = self.accepted_waiting.pop_front() {
                let now_ns = self.clock.now_ns();
                self.open(fd, now_ns);
            }
        }
    }
}
