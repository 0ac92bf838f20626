//! Answers at once: one thread over the ring, multishot receives, all replies to what one receive
//! brought in one send. It yields its core while it waits, and sleeps after a while.

use std::error::Error;
use std::os::fd::{AsFd, OwnedFd};

use cutter_machine::clock::monotonic_ns;
use cutter_machine::uring::{Completion, Ring, RingConfig, Token};
use rustix::thread::sched_yield;

use crate::framing::Framing;
use crate::{Options, reply};

const CONNECTIONS_MAX: usize = 4_096;
const RING: RingConfig =
    RingConfig { sq_entries: 1_024, receive_buffers: 8_192, receive_buffer_bytes: 16 << 10 };

/// Without a request for so long, it sleeps in the kernel.
const AWAKE_NS: u64 = 50_000_000;

const KIND_ACCEPT: u8 = 0;
const KIND_RECEIVE: u8 = 1;
const KIND_SEND: u8 = 2;
const KIND_END: u8 = 3;

struct Peer {
    fd: OwnedFd,
    framing: Framing,
    owed: u64,
    /// `None` while it is being sent.
    out: Option<Vec<u8>>,
    receiving: bool,
    /// The receive ended for want of buffers, and is to be started again.
    starved: bool,
}

struct Server {
    ring: Ring,
    listener: OwnedFd,
    reply: Vec<u8>,
    peers: Vec<Option<Peer>>,
    starved: Vec<u32>,
    ended: bool,
}

pub fn run(options: &Options, listener: OwnedFd, ending: OwnedFd) -> Result<(), Box<dyn Error>> {
    let mut ring = Ring::new(RING)?;
    ring.accept_multishot(listener.as_fd(), Token::new(KIND_ACCEPT, 0, 0));
    ring.read_u64(ending.as_fd(), Token::new(KIND_END, 0, 0));
    let mut server = Server {
        ring,
        listener,
        reply: reply::bytes(options, false),
        peers: (0..CONNECTIONS_MAX).map(|_| None).collect(),
        starved: Vec::new(),
        ended: false,
    };
    let mut completions = Vec::new();
    let mut last_ns = monotonic_ns();
    while !server.ended {
        if server.ring.poll(&mut completions)? == 0 {
            if monotonic_ns() - last_ns < AWAKE_NS {
                sched_yield();
            } else {
                server.ring.wait(None, &mut completions)?;
            }
        }
        if !completions.is_empty() {
            last_ns = monotonic_ns();
        }
        completions.drain(..).for_each(|completion| server.handle(completion));
        for index in std::mem::take(&mut server.starved) {
            server.receive(index);
        }
    }
    // The ring lets go of the descriptors before they are closed.
    drop(server.ring);
    Ok(())
}

impl Server {
    fn handle(&mut self, completion: Completion) {
        let index = completion.token.index();
        match completion.token.kind() {
            KIND_ACCEPT => self.accepted(completion),
            KIND_RECEIVE => self.received(index, completion),
            KIND_SEND => {
                if let Some(peer) = &mut self.peers[index as usize] {
                    peer.out = completion.returned;
                }
                self.answer(index);
                self.close_when_quiet(index);
            }
            _ => self.ended = true,
        }
    }

    fn accepted(&mut self, completion: Completion) {
        let free = self.peers.iter().position(Option::is_none);
        // Without a free place the connection is closed by being dropped.
        if let (Some(fd), Some(index)) = (completion.accepted, free) {
            let (framing, out) = (Framing::default(), Some(Vec::new()));
            let peer = Peer { fd, framing, owed: 0, out, receiving: false, starved: false };
            self.peers[index] = Some(peer);
            self.receive(u32::try_from(index).expect("CONNECTIONS_MAX fits"));
        }
        if !completion.more {
            self.ring.accept_multishot(self.listener.as_fd(), completion.token);
        }
    }

    fn receive(&mut self, index: u32) {
        if let Some(peer) = &mut self.peers[index as usize] {
            (peer.receiving, peer.starved) = (true, false);
            self.ring.recv_multishot(peer.fd.as_fd(), Token::new(KIND_RECEIVE, index, 0));
        }
    }

    fn received(&mut self, index: u32, completion: Completion) {
        let starved = completion.is_out_of_buffers();
        let has_bytes = completion.buffer.is_some();
        let Some(peer) = &mut self.peers[index as usize] else { return };
        peer.receiving = completion.more;
        if let Some(buffer) = completion.buffer {
            let complete = peer.framing.take(self.ring.bytes(&buffer));
            self.ring.recycle(buffer);
            match complete {
                Ok(complete) => peer.owed += complete,
                Err(_) => self.ring.shutdown(peer.fd.as_fd(), rustix::net::Shutdown::Both),
            }
        }
        if !completion.more && (has_bytes || starved) {
            peer.starved = true;
            self.starved.push(index);
        }
        self.answer(index);
        self.close_when_quiet(index);
    }

    /// Sends all replies that are owed, together, unless a send is under way.
    fn answer(&mut self, index: u32) {
        let Some(peer) = &mut self.peers[index as usize] else { return };
        if peer.owed == 0 {
            return;
        }
        let Some(mut out) = peer.out.take() else { return };
        out.clear();
        (0..std::mem::take(&mut peer.owed)).for_each(|_| out.extend_from_slice(&self.reply));
        self.ring.send(peer.fd.as_fd(), out, Token::new(KIND_SEND, index, 0));
    }

    /// Closes a connection whose receive has ended, once nothing is being sent.
    fn close_when_quiet(&mut self, index: u32) {
        let place = &mut self.peers[index as usize];
        let is_quiet = |peer: &Peer| !peer.receiving && !peer.starved && peer.out.is_some();
        if place.as_ref().is_some_and(is_quiet)
            && let Some(peer) = place.take()
        {
            self.ring.close(peer.fd);
        }
    }
}
