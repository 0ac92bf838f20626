//! Answers after delays that are known, each request by itself: a heap of times and not a queue, so
//! that the true latency of request i is its delay. `--serial` makes it a queue on purpose.
//!
//! ```text
//!  epoll ─▶ read ─▶ framing ─▶ i-th request, i-th delay ─▶ heap ─▶ due ─▶ connection ─▶ written
//! ```
//!
//! One thread. It looks at epoll without sleeping, and yields its core between looks, as long as
//! something is under way or was a moment ago: waking up from sleep takes longer than the tens of
//! µs to which delays are meant to be exact. On one connection answers keep the order of their
//! requests, as HTTP demands: a pipelined request also waits for those before it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::os::fd::OwnedFd;
use std::time::Duration;

use cutter_machine::clock::monotonic_ns;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags};
use rustix::thread::sched_yield;

use crate::framing::Framing;
use crate::{Options, reply};

/// After the last request it goes on looking without sleep for so long.
const AWAKE_NS: u64 = 1_000_000_000;
/// When an answer is due within this time, the core is not given away.
const KEEP_CORE_NS: u64 = 100_000;
const READ_BYTES: usize = 64 << 10;
const EVENTS: usize = 256;

const LISTENER: u64 = 0;
const ENDING: u64 = 1;
/// The numbers of connections begin here, and none is used twice.
const FIRST_PEER: u64 = 2;

/// When a request was read, and when its answer was written (0: never).
#[derive(Clone, Copy, Default)]
struct Entry {
    arrival_ns: u64,
    written_ns: u64,
}

struct Peer {
    fd: OwnedFd,
    framing: Framing,
    /// Requests not answered yet, in their order, and whether their time has come.
    waiting: VecDeque<(usize, bool)>,
    answered: u64,
    /// Bytes that the socket did not take at once, and the requests that end with them.
    unsent: Vec<u8>,
    unsent_requests: Vec<usize>,
    /// Nothing more is read; closed when everything was sent.
    closing: bool,
}

struct Server {
    epoll: OwnedFd,
    listener: OwnedFd,
    peers: HashMap<u64, Peer>,
    next_peer: u64,
    delays_ns: Vec<u64>,
    serial: bool,
    /// When the last request of the queue is through.
    free_ns: u64,
    /// (due, request, connection), the next one first.
    due: BinaryHeap<Reverse<(u64, usize, u64)>>,
    log: Vec<Entry>,
    /// From the first request on: when a stall begins, and how long it lasts.
    stall_ns: Option<(u64, u64)>,
    close_every: Option<u64>,
    reply: Vec<u8>,
    last_reply: Vec<u8>,
    input: Vec<u8>,
    ended: bool,
}

pub fn run(
    options: &Options,
    delays_ns: Vec<u64>,
    listener: OwnedFd,
    ending: OwnedFd,
) -> Result<(), Box<dyn Error>> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&listener, true)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    epoll::add(&epoll, &ending, EventData::new_u64(ENDING), EventFlags::IN)?;
    let ns = |ms: u64| ms * 1_000_000;
    let mut server = Server {
        epoll,
        listener,
        peers: HashMap::new(),
        next_peer: FIRST_PEER,
        delays_ns,
        serial: options.serial,
        free_ns: 0,
        due: BinaryHeap::new(),
        log: Vec::new(),
        stall_ns: options.stall_at_ms.zip(options.stall_ms).map(|(at, long)| (ns(at), ns(long))),
        close_every: options.close_every,
        reply: reply::bytes(options, false),
        last_reply: reply::bytes(options, true),
        input: Vec::with_capacity(READ_BYTES),
        ended: false,
    };
    server.serve()?;
    if let Some(file) = &options.log {
        fs::write(file, server.log_text()?)?;
    }
    Ok(())
}

impl Server {
    fn serve(&mut self) -> Result<(), Box<dyn Error>> {
        let mut events = Vec::with_capacity(EVENTS);
        while !self.ended {
            self.stall_if_it_is_time();
            let last_ns = self.log.last().map_or(0, |entry| entry.arrival_ns);
            let is_awake = !self.due.is_empty() || monotonic_ns() - last_ns < AWAKE_NS;
            let timeout = is_awake.then_some(rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 });
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    ENDING => self.ended = true,
                    peer => self.ready(peer, event.flags),
                }
            }
            let answered = self.answer_what_is_due();
            if events.is_empty() && !answered && !self.is_due_soon() {
                sched_yield();
            }
        }
        Ok(())
    }

    fn is_due_soon(&self) -> bool {
        let next_ns = self.due.peek().map(|Reverse((due_ns, ..))| *due_ns);
        next_ns.is_some_and(|due_ns| due_ns < monotonic_ns() + KEEP_CORE_NS)
    }

    /// Holds everything up, once.
    fn stall_if_it_is_time(&mut self) {
        let (Some((at_ns, long_ns)), Some(first)) = (self.stall_ns, self.log.first()) else {
            return;
        };
        let begin_ns = first.arrival_ns + at_ns;
        if monotonic_ns() < begin_ns {
            return;
        }
        self.stall_ns = None;
        let end_ns = begin_ns + long_ns;
        std::thread::sleep(Duration::from_nanos(end_ns.saturating_sub(monotonic_ns())));
    }

    fn accept(&mut self) -> Result<(), Errno> {
        loop {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let fd = match rustix::net::accept_with(&self.listener, flags) {
                Ok(fd) => fd,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED | Errno::INTR) => continue,
                Err(errno) => return Err(errno),
            };
            let number = self.next_peer;
            self.next_peer += 1;
            epoll::add(&self.epoll, &fd, EventData::new_u64(number), EventFlags::IN)?;
            let peer = Peer {
                fd,
                framing: Framing::default(),
                waiting: VecDeque::new(),
                answered: 0,
                unsent: Vec::new(),
                unsent_requests: Vec::new(),
                closing: false,
            };
            self.peers.insert(number, peer);
        }
    }

    fn ready(&mut self, number: u64, flags: EventFlags) {
        if flags.contains(EventFlags::OUT) {
            self.send(number);
            if let Some(peer) = self.peers.get(&number).filter(|peer| peer.unsent.is_empty()) {
                // It is known to epoll since it was accepted.
                let of_peer = EventData::new_u64(number);
                let _ = epoll::modify(&self.epoll, &peer.fd, of_peer, EventFlags::IN);
            }
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.read(number);
        }
    }

    /// Reads once; epoll tells again if there is more.
    fn read(&mut self, number: u64) {
        let Some(peer) = self.peers.get_mut(&number) else { return };
        self.input.clear();
        let room = spare_capacity(&mut self.input);
        let received = rustix::net::recv(&peer.fd, room, RecvFlags::DONTWAIT);
        let arrival_ns = monotonic_ns();
        let complete = match received {
            Err(Errno::AGAIN | Errno::INTR) => return,
            // What is due for it later finds it gone.
            Ok((_, 0)) | Err(_) => {
                self.peers.remove(&number);
                return;
            }
            Ok(_) if peer.closing => return,
            Ok(_) => peer.framing.take(&self.input),
        };
        let Ok(complete) = complete else {
            self.peers.remove(&number);
            return;
        };
        for _ in 0..complete {
            let request = self.log.len();
            self.log.push(Entry { arrival_ns, written_ns: 0 });
            let delay_ns = self.delays_ns[request % self.delays_ns.len()];
            let begin_ns = if self.serial { self.free_ns.max(arrival_ns) } else { arrival_ns };
            self.free_ns = begin_ns + delay_ns;
            self.due.push(Reverse((self.free_ns, request, number)));
            peer.waiting.push_back((request, false));
        }
    }

    /// Says whether there was anything.
    fn answer_what_is_due(&mut self) -> bool {
        let mut answered = false;
        while let Some(Reverse((due_ns, request, number))) = self.due.peek().copied() {
            if due_ns > monotonic_ns() {
                break;
            }
            self.due.pop();
            answered = true;
            if let Some(peer) = self.peers.get_mut(&number) {
                let place = peer.waiting.iter_mut().find(|(waiting, _)| *waiting == request);
                place.expect("it waits until it was answered").1 = true;
                self.send(number);
            }
        }
        answered
    }

    /// Sends the answers whose time has come, up to the first whose has not.
    fn send(&mut self, number: u64) {
        let Some(peer) = self.peers.get_mut(&number) else { return };
        while let Some((request, true)) = peer.waiting.front().copied() {
            peer.waiting.pop_front();
            if peer.closing {
                continue;
            }
            peer.answered += 1;
            peer.closing = self.close_every.is_some_and(|every| peer.answered >= every);
            let reply = if peer.closing { &self.last_reply } else { &self.reply };
            peer.unsent.extend_from_slice(reply);
            peer.unsent_requests.push(request);
        }
        if peer.unsent.is_empty() {
            return;
        }
        match rustix::net::send(&peer.fd, &peer.unsent, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(sent) => {
                peer.unsent.drain(..sent);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => {
                self.peers.remove(&number);
                return;
            }
        }
        if !peer.unsent.is_empty() {
            let wanted = EventFlags::IN | EventFlags::OUT;
            // It is known to epoll since it was accepted.
            let _ = epoll::modify(&self.epoll, &peer.fd, EventData::new_u64(number), wanted);
            return;
        }
        let written_ns = monotonic_ns();
        for request in peer.unsent_requests.drain(..) {
            self.log[request].written_ns = written_ns;
        }
        if peer.closing {
            self.peers.remove(&number);
        }
    }

    fn log_text(&self) -> Result<String, std::fmt::Error> {
        let mut text = "request,arrival_ns,written_ns\n".to_owned();
        for (request, Entry { arrival_ns, written_ns }) in self.log.iter().enumerate() {
            writeln!(text, "{request},{arrival_ns},{written_ns}")?;
        }
        Ok(text)
    }
}
