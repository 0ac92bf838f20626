//! Exchanges of bytes over a socket by plain calls: TCP on the loopback, or a Unix pair.
//!
//! [`ask`] is the raw client: nothing is parsed, allocated or looked at between two exchanges. What
//! a load generator adds to a round trip is measured against it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};
use rustix::thread::sched_yield;

use super::cores::{Pair, beside, pin};
use super::exchange::{Sampling, record};

/// What a side does while nothing is there to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    Spin,
    Yield,
    Block,
}

/// What carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Tcp,
    Unix,
}

/// Bytes of a request and of its reply; small against a socket's buffer, so that sending never
/// blocks for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub request: usize,
    pub reply: usize,
}

/// A connection that waits by a strategy.
#[derive(Debug)]
pub struct Link {
    socket: OwnedFd,
    wait: Wait,
}

impl Link {
    pub fn new(socket: OwnedFd, wait: Wait) -> Self {
        Self { socket, wait }
    }

    /// Connects over TCP.
    pub fn connect(address: SocketAddr, wait: Wait) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self::new(stream.into(), wait))
    }

    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        while sent < bytes.len() {
            match send(&self.socket, &bytes[sent..], SendFlags::NOSIGNAL) {
                Ok(more) => sent += more,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Fills `bytes`. Says false when the other side has closed.
    pub fn receive(&self, bytes: &mut [u8]) -> io::Result<bool> {
        let flags = match self.wait {
            Wait::Spin | Wait::Yield => RecvFlags::DONTWAIT,
            Wait::Block => RecvFlags::empty(),
        };
        let mut received = 0;
        while received < bytes.len() {
            match recv(&self.socket, &mut bytes[received..], flags) {
                Ok((0, _)) => return Ok(false),
                Ok((more, _)) => received += more,
                Err(Errno::AGAIN) if self.wait == Wait::Yield => sched_yield(),
                Err(Errno::AGAIN) => std::hint::spin_loop(),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(true)
    }

    /// Answers every request until the other side closes.
    pub fn serve(&self, sizes: Sizes) -> io::Result<()> {
        let (mut request, reply) = (vec![0; sizes.request], vec![b'.'; sizes.reply]);
        while self.receive(&mut request)? {
            self.send(&reply)?;
        }
        Ok(())
    }
}

/// Two connected sockets, the client's first.
pub fn sockets(wire: Wire) -> io::Result<(OwnedFd, OwnedFd)> {
    match wire {
        Wire::Tcp => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let near = TcpStream::connect(listener.local_addr()?)?;
            let (far, _) = listener.accept()?;
            sockopt::set_tcp_nodelay(&near, true)?;
            sockopt::set_tcp_nodelay(&far, true)?;
            Ok((near.into(), far.into()))
        }
        Wire::Unix => {
            let (near, far) = UnixStream::pair()?;
            Ok((near.into(), far.into()))
        }
    }
}

/// The raw client, on the calling thread: sends a request, waits for its reply, and again.
pub fn ask(link: &Link, sizes: Sizes, sampling: Sampling) -> io::Result<Vec<u64>> {
    let (request, mut reply) = (vec![b'x'; sizes.request], vec![0; sizes.reply]);
    record(sampling, || {
        link.send(&request)?;
        if link.receive(&mut reply)? {
            Ok(())
        } else {
            Err(io::Error::other("the server closed the connection"))
        }
    })
}

/// Plain calls on both sides, which wait alike.
pub fn round(
    pair: Pair,
    wire: Wire,
    sizes: Sizes,
    wait: Wait,
    sampling: Sampling,
) -> io::Result<Vec<u64>> {
    let (near, far) = sockets(wire)?;
    let serve = move || Link::new(far, wait).serve(sizes);
    ask_beside(pair, serve, Link::new(near, wait), sizes, sampling)
}

/// Asks on the client's core while `serve` answers on the server's, until the link is closed.
pub fn ask_beside(
    pair: Pair,
    serve: impl FnOnce() -> io::Result<()> + Send,
    link: Link,
    sizes: Sizes,
    sampling: Sampling,
) -> io::Result<Vec<u64>> {
    pin(pair.client)?;
    let (round, served) = beside(pair.server, serve, move || ask(&link, sizes, sampling))?;
    // Why the server ended says more than that it did.
    served.and(round)
}

#[cfg(test)]
mod tests {
    use cutter_machine::affinity;

    use super::*;

    const SIZES: Sizes = Sizes { request: 3_400, reply: 160 };
    const SAMPLING: Sampling = Sampling { warm_up: 2, recorded: 20, time_ns_max: 1 << 40 };

    #[test]
    fn each_wire_and_each_wait_exchanges_all_bytes() {
        let cpus = affinity::allowed().unwrap();
        let pair = Pair { server: cpus[0], client: *cpus.last().unwrap() };
        for wire in [Wire::Tcp, Wire::Unix] {
            for wait in [Wait::Yield, Wait::Block] {
                assert_eq!(round(pair, wire, SIZES, wait, SAMPLING).unwrap().len(), 20);
            }
        }
    }

    #[test]
    fn a_server_that_goes_away_is_an_error_of_the_round() {
        let cpus = affinity::allowed().unwrap();
        let pair = Pair { server: cpus[0], client: cpus[0] };
        let (near, far) = sockets(Wire::Unix).unwrap();
        let serve = move || {
            drop(far);
            Err(io::Error::other("out of sorts"))
        };
        let link = Link::new(near, Wait::Block);
        let error = ask_beside(pair, serve, link, SIZES, SAMPLING).unwrap_err();
        assert_eq!(error.to_string(), "out of sorts");
    }
}
