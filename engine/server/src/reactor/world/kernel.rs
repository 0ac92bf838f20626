//! A simulated kernel under the loop's ring: listeners, sockets with windows, receive buffers.
//!
//! It keeps books of its own and knows nothing of the loop. It asserts the rules that the loop must
//! keep: at most one receive and one send in flight for each socket, no operation on a closed one,
//! each buffer given back once, no send beyond a bound, one accept for each listener.

use std::collections::{HashSet, VecDeque};
use std::os::fd::RawFd;

use cutter_machine::uring::{Completion, Counters, Token};
use rustix::io::Errno;
use rustix::net::Shutdown;

use super::{Clock, Rng};

pub const LISTENERS: usize = 2;

pub type SocketId = usize;
pub type Done = Completion<Buffer, Fd>;

/// The engine's right to a socket.
#[derive(Debug, PartialEq, Eq)]
pub struct Fd(pub SocketId);

/// A listener, by number.
#[derive(Debug)]
pub struct Port(pub usize);

/// Received bytes, lent.
#[derive(Debug)]
pub struct Buffer {
    id: u64,
    pub bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
pub struct KernelPlan {
    pub receive_buffers: usize,
    pub receive_buffer_bytes: usize,
    /// Now and then a receive in flight is not told of a reset.
    pub loses_resets: bool,
    /// As kernels before 6.5: a cancelled receive ends with ENOBUFS.
    pub cancels_with_nobufs: bool,
    /// A poll hands out some of what is ready, up to so many; without, everything.
    pub completions_per_poll_max: Option<u64>,
    pub send_bytes_max: usize,
    /// Bytes that wait in a socket for the engine.
    pub inbound_bytes_max: usize,
    /// What a byte received costs the engine, in time.
    pub receive_ns_per_kib: u64,
}

/// How often what was met.
#[derive(Clone, Copy, Debug, Default)]
pub struct Met {
    pub starved: u64,
    pub cancelled: u64,
    pub received_once: u64,
    pub lost_resets: u64,
    pub no_descriptors: u64,
    pub broken_sends: u64,
    pub partial_sends: u64,
    pub split_polls: u64,
    pub resets_by_engine: u64,
    pub turned_away: u64,
}

impl Met {
    pub fn entries(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("starved", self.starved),
            ("cancelled", self.cancelled),
            ("received_once", self.received_once),
            ("lost_resets", self.lost_resets),
            ("no_descriptors", self.no_descriptors),
            ("broken_sends", self.broken_sends),
            ("partial_sends", self.partial_sends),
            ("split_polls", self.split_polls),
            ("resets_by_engine", self.resets_by_engine),
        ]
    }
}

/// How often a receive completes, if nothing ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    Once,
    Many,
}

#[derive(Debug)]
struct Receive {
    token: Token,
    times: Times,
    cancelled: bool,
}

#[derive(Debug)]
struct Send {
    token: Token,
    bytes: Vec<u8>,
    sent: usize,
}

/// A connection, both ends.
#[derive(Debug, Default)]
pub struct Socket {
    /// Sent by the client, not yet in the engine's socket.
    outgoing: VecDeque<u8>,
    inbound: VecDeque<u8>,
    /// The client's last byte is in `outgoing`.
    fin: bool,
    /// The client reset the connection, or has closed and was sent something.
    broken: bool,
    told_broken: bool,
    /// The receive in flight is not told that.
    lost: bool,
    /// The client does not read any more.
    abandoned: bool,
    window: VecDeque<u8>,
    window_bytes: usize,
    /// The engine shut its sending side, at this time.
    pub shut_ns: Option<u64>,
    shut_read: bool,
    /// The client gets a reset instead of what it has not read.
    pub reset: bool,
    receive: Option<Receive>,
    send: Option<Send>,
    /// All bytes that went into the window.
    pub bytes_out: u64,
    pub accepted_ns: Option<u64>,
    /// It was given no place; the refusal may be destroyed by what it has sent already.
    pub turned_away: bool,
    pub closed_ns: Option<u64>,
}

#[derive(Debug, Default)]
struct Listening {
    armed: Option<Token>,
    cancelled: bool,
    backlog: VecDeque<SocketId>,
}

#[derive(Debug)]
struct Bell {
    fd: RawFd,
    rung: bool,
    armed: Option<Token>,
    cancelled: bool,
}

#[derive(Debug)]
pub struct Kernel {
    plan: KernelPlan,
    clock: Clock,
    rng: Rng,
    pub sockets: Vec<Socket>,
    listening: Vec<Listening>,
    bells: Vec<Bell>,
    lent: HashSet<u64>,
    next_buffer: u64,
    spare: Vec<Vec<u8>>,
    /// Accepting fails until then.
    pub no_descriptors_until_ns: u64,
    pub counters: Counters,
    pub met: Met,
}

impl Kernel {
    pub fn new(plan: KernelPlan, clock: Clock, rng: Rng) -> Self {
        Self {
            plan,
            clock,
            rng,
            sockets: Vec::new(),
            listening: (0..LISTENERS).map(|_| Listening::default()).collect(),
            bells: Vec::new(),
            lent: HashSet::new(),
            next_buffer: 0,
            spare: Vec::new(),
            no_descriptors_until_ns: 0,
            counters: Counters::default(),
            met: Met::default(),
        }
    }

    // ---- The client's side ----

    pub fn connect(&mut self, listener: usize, window_bytes: usize) -> SocketId {
        self.sockets.push(Socket { window_bytes, ..Socket::default() });
        let id = self.sockets.len() - 1;
        self.listening[listener].backlog.push_back(id);
        id
    }

    pub fn write(&mut self, id: SocketId, bytes: &[u8]) {
        let socket = &mut self.sockets[id];
        assert!(!socket.fin, "a client writes after its end");
        if socket.closed_ns.is_some() {
            socket.give_reset();
            return;
        }
        socket.outgoing.extend(bytes);
        socket.pull(self.plan.inbound_bytes_max);
    }

    /// The client shuts its sending side.
    pub fn finish(&mut self, id: SocketId) {
        self.sockets[id].fin = true;
    }

    /// The client closes: it sends nothing more and reads nothing more.
    pub fn abandon(&mut self, id: SocketId) {
        let socket = &mut self.sockets[id];
        socket.fin = true;
        socket.abandoned = true;
        // What was not read is answered with a reset.
        socket.broken |= !socket.window.is_empty();
        socket.window.clear();
    }

    pub fn break_off(&mut self, id: SocketId) {
        let lost = self.plan.loses_resets && self.rng.one_in(2);
        self.met.lost_resets += u64::from(lost);
        let socket = &mut self.sockets[id];
        socket.lost = lost;
        (socket.broken, socket.fin, socket.abandoned) = (true, true, true);
        socket.outgoing.clear();
        socket.inbound.clear();
        socket.window.clear();
    }

    /// The client reads what is there, up to so many bytes.
    pub fn read(&mut self, id: SocketId, most: usize, into: &mut Vec<u8>) -> usize {
        let socket = &mut self.sockets[id];
        let count = socket.window.len().min(most);
        into.extend(socket.window.drain(..count));
        count
    }

    /// The client has read everything, and the engine's end behind it.
    pub fn at_end(&self, id: SocketId) -> bool {
        let socket = &self.sockets[id];
        socket.shut_ns.is_some() && socket.window.is_empty() && !socket.reset
    }

    pub fn ring(&mut self, fd: RawFd) {
        match self.bells.iter_mut().find(|bell| bell.fd == fd) {
            Some(bell) => bell.rung = true,
            None => self.bells.push(Bell { fd, rung: true, armed: None, cancelled: false }),
        }
    }

    /// Sockets that the engine holds.
    pub fn open(&self) -> usize {
        self.sockets.iter().filter(|s| s.accepted_ns.is_some() && s.closed_ns.is_none()).count()
    }

    pub fn lent(&self) -> usize {
        self.lent.len()
    }

    // ---- The engine's side ----

    pub fn accept(&mut self, listener: usize, token: Token) {
        let listening = &mut self.listening[listener];
        assert!(listening.armed.is_none(), "a second accept on listener {listener}");
        (listening.armed, listening.cancelled) = (Some(token), false);
    }

    pub fn receive(&mut self, id: SocketId, token: Token, times: Times) {
        let socket = self.usable(id);
        assert!(socket.receive.is_none(), "a second receive on socket {id}");
        socket.lost = false;
        socket.receive = Some(Receive { token, times, cancelled: false });
    }

    pub fn send(&mut self, id: SocketId, bytes: Vec<u8>, token: Token) {
        let most = self.plan.send_bytes_max;
        assert!(bytes.len() <= most, "a send of {} bytes, the bound is {most}", bytes.len());
        assert!(!bytes.is_empty(), "a send of nothing");
        let socket = self.usable(id);
        assert!(socket.send.is_none(), "a second send on socket {id}");
        assert!(socket.shut_ns.is_none(), "a send after the end on socket {id}");
        socket.send = Some(Send { token, bytes, sent: 0 });
    }

    pub fn send_now(&mut self, id: SocketId, bytes: &[u8]) {
        self.met.turned_away += 1;
        let socket = self.usable(id);
        let count = bytes.len().min(socket.window_bytes - socket.window.len());
        socket.turned_away = true;
        socket.window.extend(&bytes[..count]);
        socket.bytes_out += count as u64;
    }

    pub fn read_bell(&mut self, fd: RawFd, token: Token) {
        let armed = Some(token);
        match self.bells.iter_mut().find(|bell| bell.fd == fd) {
            Some(bell) => {
                assert!(bell.armed.is_none(), "a second read on a bell");
                (bell.armed, bell.cancelled) = (armed, false);
            }
            None => self.bells.push(Bell { fd, rung: false, armed, cancelled: false }),
        }
    }

    pub fn cancel(&mut self, token: Token) {
        for socket in &mut self.sockets {
            if let Some(receive) = socket.receive.as_mut().filter(|r| r.token == token) {
                receive.cancelled = true;
            }
        }
        let listening = self.listening.iter_mut().filter(|l| l.armed == Some(token));
        listening.for_each(|listening| listening.cancelled = true);
        let bells = self.bells.iter_mut().filter(|bell| bell.armed == Some(token));
        bells.for_each(|bell| bell.cancelled = true);
    }

    pub fn shutdown(&mut self, id: SocketId, how: Shutdown) {
        let now_ns = self.clock.peek_ns();
        let socket = self.usable(id);
        if how != Shutdown::Read {
            socket.shut_ns.get_or_insert(now_ns);
        }
        socket.shut_read |= how != Shutdown::Write;
    }

    pub fn close(&mut self, id: SocketId) {
        let now_ns = self.clock.peek_ns();
        let socket = self.usable(id);
        assert!(socket.receive.is_none(), "socket {id} is closed while it receives");
        assert!(socket.send.is_none(), "socket {id} is closed while it sends");
        socket.closed_ns = Some(now_ns);
        socket.shut_ns.get_or_insert(now_ns);
        // Unread bytes make the kernel reset, which destroys what is on its way.
        if !socket.inbound.is_empty() || !socket.outgoing.is_empty() {
            socket.give_reset();
            self.met.resets_by_engine += 1;
        }
    }

    pub fn is_over(&self, id: SocketId) -> bool {
        let socket = &self.sockets[id];
        socket.inbound.is_empty() && (socket.broken || socket.fin && socket.outgoing.is_empty())
    }

    pub fn recycle(&mut self, buffer: Buffer) {
        assert!(self.lent.remove(&buffer.id), "buffer {} was not lent", buffer.id);
        self.clock.spend(buffer.bytes.len() as u64 * self.plan.receive_ns_per_kib / 1024);
        self.spare.push(buffer.bytes);
    }

    /// The turn begins: hands out some of what has completed, in any order between the sockets.
    pub fn reap(&mut self, completions: &mut Vec<Done>) -> usize {
        self.move_bytes();
        let most = self.plan.completions_per_poll_max;
        let most = most.map_or(u64::MAX, |most| 1 + self.rng.below(most));
        let mut count = 0;
        let mut ready: Vec<Work> = Vec::new();
        loop {
            self.collect(&mut ready);
            if ready.is_empty() || count == most {
                self.met.split_polls += u64::from(!ready.is_empty());
                break;
            }
            let work = ready.swap_remove(self.rng.index(ready.len()));
            let done = self.complete(work);
            completions.push(done);
            count += 1;
        }
        self.counters.completions += count;
        usize::try_from(count).expect("few")
    }

    /// Moves bytes of sends into windows and of clients into sockets. Says whether any moved.
    pub fn move_bytes(&mut self) -> bool {
        let mut moved = false;
        for socket in &mut self.sockets {
            moved |= socket.pull(self.plan.inbound_bytes_max) | socket.push();
        }
        moved
    }

    fn collect(&self, ready: &mut Vec<Work>) {
        ready.clear();
        for (id, socket) in self.sockets.iter().enumerate() {
            if socket.can_receive() {
                ready.push(Work::Receive(id));
            }
            if socket.can_finish_send() {
                ready.push(Work::Send(id));
            }
        }
        for (index, listening) in self.listening.iter().enumerate() {
            if listening.armed.is_some() && (listening.cancelled || !listening.backlog.is_empty()) {
                ready.push(Work::Accept(index));
            }
        }
        for (index, bell) in self.bells.iter().enumerate() {
            if bell.armed.is_some() && (bell.rung || bell.cancelled) {
                ready.push(Work::Bell(index));
            }
        }
    }

    fn complete(&mut self, work: Work) -> Done {
        match work {
            Work::Receive(id) => self.complete_receive(id),
            Work::Send(id) => self.complete_send(id),
            Work::Accept(index) => self.complete_accept(index),
            Work::Bell(index) => {
                let bell = &mut self.bells[index];
                let token = bell.armed.take().expect("it was ready");
                let result = if bell.rung { Ok(8) } else { Err(Errno::CANCELED) };
                bell.rung = false;
                last(token, result)
            }
        }
    }

    fn complete_receive(&mut self, id: SocketId) -> Done {
        let free = self.plan.receive_buffers - self.lent.len();
        let prefers_data = self.rng.one_in(2);
        let socket = &mut self.sockets[id];
        let receive = socket.receive.as_mut().expect("it was ready");
        let token = receive.token;
        let ended = if receive.cancelled && (socket.inbound.is_empty() || !prefers_data) {
            self.met.cancelled += 1;
            let old = self.plan.cancels_with_nobufs;
            Some(Err(if old { Errno::NOBUFS } else { Errno::CANCELED }))
        } else if socket.broken && !socket.told_broken {
            socket.told_broken = true;
            Some(Err(Errno::CONNRESET))
        } else if socket.inbound.is_empty() {
            Some(Ok(0))
        } else if free == 0 {
            self.met.starved += 1;
            self.counters.out_of_buffers += 1;
            Some(Err(Errno::NOBUFS))
        } else {
            None
        };
        if let Some(result) = ended {
            socket.receive = None;
            return last(token, result);
        }
        let more = receive.times == Times::Many;
        if !more {
            socket.receive = None;
            self.met.received_once += 1;
        }
        let count = socket.inbound.len().min(self.plan.receive_buffer_bytes);
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend(socket.inbound.drain(..count));
        let id = self.next_buffer;
        self.next_buffer += 1;
        self.lent.insert(id);
        let result = Ok(u32::try_from(count).expect("a small buffer"));
        let buffer = Some(Buffer { id, bytes });
        Done { token, result, more, buffer, returned: None, accepted: None }
    }

    fn complete_send(&mut self, id: SocketId) -> Done {
        let socket = &mut self.sockets[id];
        let Send { token, bytes, sent } = socket.send.take().expect("it was ready");
        let result = if sent == 0 {
            self.met.broken_sends += 1;
            Err(if self.rng.one_in(2) { Errno::PIPE } else { Errno::CONNRESET })
        } else {
            self.met.partial_sends += u64::from(sent < bytes.len());
            Ok(u32::try_from(sent).expect("below the bound"))
        };
        Done { returned: Some(bytes), ..last(token, result) }
    }

    fn complete_accept(&mut self, index: usize) -> Done {
        let out_of_descriptors = self.clock.peek_ns() < self.no_descriptors_until_ns;
        let listening = &mut self.listening[index];
        let token = listening.armed.expect("it was ready");
        if listening.cancelled || out_of_descriptors {
            self.met.no_descriptors += u64::from(out_of_descriptors);
            let cancelled = listening.cancelled;
            listening.armed = None;
            return last(token, Err(if cancelled { Errno::CANCELED } else { Errno::MFILE }));
        }
        let id = listening.backlog.pop_front().expect("it was ready");
        self.sockets[id].accepted_ns = Some(self.clock.peek_ns());
        Done { accepted: Some(Fd(id)), more: true, ..last(token, Ok(0)) }
    }

    fn usable(&mut self, id: SocketId) -> &mut Socket {
        let socket = &mut self.sockets[id];
        assert!(socket.closed_ns.is_none(), "socket {id} is used after it was closed");
        socket
    }
}

#[derive(Clone, Copy, Debug)]
enum Work {
    Receive(SocketId),
    Send(SocketId),
    Accept(usize),
    Bell(usize),
}

impl Socket {
    fn pull(&mut self, most: usize) -> bool {
        let count = self.outgoing.len().min(most - self.inbound.len().min(most));
        self.inbound.extend(self.outgoing.drain(..count));
        count > 0
    }

    fn push(&mut self) -> bool {
        let Some(send) = &mut self.send else { return false };
        if self.broken || self.shut_ns.is_some() {
            return false;
        }
        let left = send.bytes.len() - send.sent;
        if self.abandoned {
            // The client's kernel answers with a reset, after these bytes were taken for sent.
            send.sent += left;
            self.broken = true;
            return left > 0;
        }
        let count = left.min(self.window_bytes - self.window.len());
        self.window.extend(&send.bytes[send.sent..send.sent + count]);
        send.sent += count;
        self.bytes_out += count as u64;
        count > 0
    }

    fn can_receive(&self) -> bool {
        let Some(receive) = &self.receive else { return false };
        let ended = self.fin && self.outgoing.is_empty();
        let broken = self.broken && !self.told_broken;
        let over = (broken || ended) && !self.lost;
        receive.cancelled || over || !self.inbound.is_empty() || self.shut_read
    }

    fn can_finish_send(&self) -> bool {
        let Some(send) = &self.send else { return false };
        send.sent == send.bytes.len() || self.broken || self.shut_ns.is_some()
    }

    fn give_reset(&mut self) {
        self.reset = true;
        self.window.clear();
        self.outgoing.clear();
        self.inbound.clear();
    }
}

fn last(token: Token, result: Result<u32, Errno>) -> Done {
    Done { token, result, more: false, buffer: None, returned: None, accepted: None }
}
