//! An echo server over the engine's ring: the floor that Cutter's way over HTTP is measured
//! against. The same bytes in, the same bytes out, the same ring, nothing in between.
//!
//! A server runs on one thread of its own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::{self, JoinHandle};

use cutter_machine::uring::{Completion, Ring, RingConfig, Token};
use rustix::event::{EventfdFlags, eventfd};
use rustix::thread::sched_yield;

use super::cores::pin;

/// Connections that the echo server holds at once.
pub const CONNECTIONS_MAX: usize = 256;

/// The rings of the echo server and of clients like it.
pub const RING: RingConfig =
    RingConfig { sq_entries: 256, receive_buffers: 1024, receive_buffer_bytes: 16 << 10 };

/// A blocked thread looks up this often, so that a time limit is noticed when nothing comes.
const SLEEP_NS: u64 = 1_000_000_000;

const KIND_ACCEPT: u8 = 0;
const KIND_RECEIVE: u8 = 1;
const KIND_SEND: u8 = 2;
const KIND_STOP: u8 = 3;

/// What a thread does while there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Looks at the ring's flag without pause.
    Spin,
    /// Looks at the ring's flag and yields the core between looks.
    Yield,
    /// Enters the kernel without pause, looking at no flag.
    SpinEntering,
    /// Enters the kernel and yields the core between.
    YieldEntering,
    /// Sleeps in the kernel.
    Block,
}

impl Waiting {
    /// Takes what has completed, or waits a little. Says whether it yielded the core.
    pub fn turn(self, ring: &mut Ring, completions: &mut Vec<Completion>) -> io::Result<bool> {
        let count = match self {
            Self::Spin | Self::Yield => ring.poll(completions),
            Self::SpinEntering | Self::YieldEntering => ring.poll_by_entering(completions),
            Self::Block => ring.wait(Some(SLEEP_NS), completions),
        };
        if count.map_err(io::Error::other)? > 0 {
            return Ok(false);
        }
        match self {
            Self::Yield | Self::YieldEntering => sched_yield(),
            Self::Spin | Self::SpinEntering => std::hint::spin_loop(),
            Self::Block => {}
        }
        Ok(matches!(self, Self::Yield | Self::YieldEntering))
    }
}

/// What an echo server does.
#[derive(Clone, Debug)]
pub struct EchoConfig {
    /// A request is this many bytes, whatever they say.
    pub request_bytes: usize,
    /// What each request is answered with.
    pub reply: Vec<u8>,
    pub waiting: Waiting,
    /// The core of the server's thread.
    pub cpu: usize,
}

/// What a server did in its life.
#[derive(Clone, Copy, Debug, Default)]
pub struct EchoReport {
    pub requests: u64,
    /// Calls of `io_uring_enter`.
    pub enters: u64,
    /// Calls of `sched_yield`.
    pub yields: u64,
}

/// A running echo server. Stop it to learn what it did; dropped, it runs on.
#[derive(Debug)]
pub struct EchoServer {
    address: SocketAddr,
    stop: OwnedFd,
    thread: JoinHandle<io::Result<EchoReport>>,
}

impl EchoServer {
    /// Listens on a free port of the loopback address.
    pub fn start(config: EchoConfig) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        // Accepted connections inherit it.
        rustix::net::sockopt::set_tcp_nodelay(&listener, true)?;
        let address = listener.local_addr()?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC)?;
        let stop_here = stop.try_clone()?;
        let thread = thread::Builder::new().name("echo".to_owned()).spawn(move || {
            pin(config.cpu)?;
            Echo::new(config, listener, stop_here)?.run()
        })?;
        Ok(Self { address, stop, thread })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn stop(self) -> io::Result<EchoReport> {
        rustix::io::write(&self.stop, &1_u64.to_ne_bytes())?;
        self.thread.join().map_err(|_| io::Error::other("the echo server panicked"))?
    }
}

#[derive(Debug)]
struct Peer {
    fd: OwnedFd,
    /// Bytes received and not yet answered.
    received_bytes: usize,
    /// `None` while it is being sent.
    reply: Option<Vec<u8>>,
    receiving: bool,
}

#[derive(Debug)]
struct Echo {
    config: EchoConfig,
    ring: Ring,
    listener: TcpListener,
    stop: OwnedFd,
    peers: Vec<Option<Peer>>,
    /// Receives that ended for want of buffers.
    starved: Vec<u32>,
    requests: u64,
    yields: u64,
    stopped: bool,
}

impl Echo {
    fn new(config: EchoConfig, listener: TcpListener, stop: OwnedFd) -> io::Result<Self> {
        let mut ring = Ring::new(RING).map_err(io::Error::other)?;
        ring.accept_multishot(listener.as_fd(), Token::new(KIND_ACCEPT, 0, 0));
        ring.read_u64(stop.as_fd(), Token::new(KIND_STOP, 0, 0));
        Ok(Self {
            config,
            ring,
            listener,
            stop,
            peers: (0..CONNECTIONS_MAX).map(|_| None).collect(),
            starved: Vec::new(),
            requests: 0,
            yields: 0,
            stopped: false,
        })
    }

    fn run(mut self) -> io::Result<EchoReport> {
        let mut completions = Vec::new();
        while !self.stopped {
            let yielded = self.config.waiting.turn(&mut self.ring, &mut completions)?;
            self.yields += u64::from(yielded);
            for completion in completions.drain(..) {
                self.handle(completion);
            }
            for index in std::mem::take(&mut self.starved) {
                self.receive(index);
            }
        }
        let (enters, yields) = (self.ring.enters(), self.yields);
        // The ring lets go of the descriptors before they are closed.
        drop(self.ring);
        drop((self.listener, self.stop, self.peers));
        Ok(EchoReport { requests: self.requests, enters, yields })
    }

    fn handle(&mut self, completion: Completion) {
        match completion.token.kind() {
            KIND_ACCEPT => self.accepted(completion),
            KIND_RECEIVE => self.received(completion),
            KIND_SEND => self.sent(completion),
            _ => self.stopped = true,
        }
    }

    fn accepted(&mut self, completion: Completion) {
        let free = self.peers.iter().position(Option::is_none);
        // Without a free place the connection is closed by being dropped.
        if let (Some(fd), Some(index)) = (completion.accepted, free) {
            let reply = Some(self.config.reply.clone());
            self.peers[index] = Some(Peer { fd, received_bytes: 0, reply, receiving: true });
            self.receive(u32::try_from(index).expect("CONNECTIONS_MAX fits"));
        }
        if !completion.more {
            self.ring.accept_multishot(self.listener.as_fd(), completion.token);
        }
    }

    fn receive(&mut self, index: u32) {
        if let Some(peer) = &mut self.peers[index as usize] {
            peer.receiving = true;
            self.ring.recv_multishot(peer.fd.as_fd(), Token::new(KIND_RECEIVE, index, 0));
        }
    }

    fn received(&mut self, completion: Completion) {
        let index = completion.token.index();
        let starved = completion.is_out_of_buffers();
        let bytes = completion.buffer.as_ref().map_or(0, |buffer| buffer.len());
        if let Some(buffer) = completion.buffer {
            self.ring.recycle(buffer);
        }
        let Some(peer) = &mut self.peers[index as usize] else { return };
        peer.received_bytes += bytes;
        peer.receiving = completion.more;
        let ended = !completion.more && bytes == 0 && !starved;
        if ended {
            // A reply still in flight ends by itself, and then this is looked at again.
            self.close_when_quiet(index);
            return;
        }
        if !completion.more {
            self.starved.push(index);
        }
        self.answer(index);
    }

    fn sent(&mut self, completion: Completion) {
        let index = completion.token.index();
        let Some(peer) = &mut self.peers[index as usize] else { return };
        peer.reply = completion.returned;
        if !peer.receiving && !self.starved.contains(&index) {
            self.close_when_quiet(index);
            return;
        }
        self.answer(index);
    }

    /// Sends all replies that are owed, together, unless a send is under way.
    fn answer(&mut self, index: u32) {
        let Some(peer) = &mut self.peers[index as usize] else { return };
        let owed = peer.received_bytes / self.config.request_bytes;
        if owed == 0 {
            return;
        }
        let Some(mut reply) = peer.reply.take() else { return };
        peer.received_bytes %= self.config.request_bytes;
        reply.clear();
        (0..owed).for_each(|_| reply.extend_from_slice(&self.config.reply));
        self.ring.send(peer.fd.as_fd(), reply, Token::new(KIND_SEND, index, 0));
        self.requests += owed as u64;
    }

    fn close_when_quiet(&mut self, index: u32) {
        let place = &mut self.peers[index as usize];
        if place.as_ref().is_some_and(|peer| peer.reply.is_some())
            && let Some(peer) = place.take()
        {
            self.ring.close(peer.fd);
        }
    }
}
