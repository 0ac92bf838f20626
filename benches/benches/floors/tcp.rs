//! Exchanges over TCP on the loopback: plain calls, and the engine's ring.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use cutter_benches::cores::{Cores, pin};
use cutter_benches::echo::{EchoConfig, EchoServer, Waiting};
use cutter_benches::floor::{Exchanges, record};
use cutter_benches::measurement::Round;
use rustix::thread::sched_yield;

/// What a side does while nothing is there to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    Spin,
    Yield,
    Block,
}

/// Bytes of a request and of its reply.
pub type Sizes = (usize, usize);

/// A connection that waits by a strategy.
pub struct Link {
    stream: TcpStream,
    wait: Wait,
}

impl Link {
    pub fn new(stream: TcpStream, wait: Wait) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(wait != Wait::Block)?;
        Ok(Self { stream, wait })
    }

    /// The messages are small against the socket's buffer, so that sending never blocks.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Fills `bytes`. Says false when the other side has closed.
    pub fn receive(&mut self, bytes: &mut [u8]) -> io::Result<bool> {
        let mut received = 0;
        while received < bytes.len() {
            match self.stream.read(&mut bytes[received..]) {
                Ok(0) => return Ok(false),
                Ok(more) => received += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self.wait {
                    Wait::Yield => sched_yield(),
                    Wait::Spin | Wait::Block => std::hint::spin_loop(),
                },
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Plain calls on both sides.
pub fn round(cores: Cores, sizes: Sizes, wait: Wait, exchanges: Exchanges) -> io::Result<Round> {
    let (listener, address) = listen()?;
    let server = thread::spawn(move || {
        pin(cores.engine)?;
        let mut link = Link::new(listener.accept()?.0, wait)?;
        let (mut request, reply) = (vec![0; sizes.0], vec![b'.'; sizes.1]);
        while link.receive(&mut request)? {
            link.send(&reply)?;
        }
        Ok(())
    });
    let round = client(cores, address, sizes, wait, exchanges)?;
    joined(server)?;
    Ok(round)
}

/// The engine's ring, looked at by its flag or by entering the kernel; the client spins.
pub fn ring_round(
    cores: Cores,
    sizes: Sizes,
    by_flag: bool,
    exchanges: Exchanges,
) -> io::Result<Round> {
    let waiting = if by_flag { Waiting::Spin } else { Waiting::SpinEntering };
    ring_server_round(cores, sizes, waiting, Wait::Spin, exchanges)
}

/// The engine's ring, sleeping; the client spins.
pub fn ring_blocking_round(cores: Cores, sizes: Sizes, exchanges: Exchanges) -> io::Result<Round> {
    ring_server_round(cores, sizes, Waiting::Block, Wait::Spin, exchanges)
}

pub fn listen() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Asks on the other core.
pub fn client(
    cores: Cores,
    address: SocketAddr,
    sizes: Sizes,
    wait: Wait,
    exchanges: Exchanges,
) -> io::Result<Round> {
    pin(cores.other)?;
    let mut link = Link::new(TcpStream::connect(address)?, wait)?;
    let (request, mut reply) = (vec![b'x'; sizes.0], vec![0; sizes.1]);
    let mut broken = None;
    let round = record(exchanges, |_| {
        let answered = link.send(&request).and_then(|()| link.receive(&mut reply));
        match answered {
            Ok(true) => {}
            Ok(false) => broken = Some(io::Error::other("the server closed the connection")),
            Err(error) => broken = Some(error),
        }
    });
    broken.map_or(Ok(round), Err)
}

/// The end of a server thread.
pub fn joined(server: thread::JoinHandle<io::Result<()>>) -> io::Result<()> {
    server.join().map_err(|_| io::Error::other("the server panicked"))?
}

fn ring_server_round(
    cores: Cores,
    sizes: Sizes,
    waiting: Waiting,
    wait: Wait,
    exchanges: Exchanges,
) -> io::Result<Round> {
    let reply = vec![b'.'; sizes.1];
    let config = EchoConfig { request_bytes: sizes.0, reply, waiting, cpu: cores.engine };
    let server = EchoServer::start(config)?;
    let round = client(cores, server.address(), sizes, wait, exchanges)?;
    server.stop()?;
    Ok(round)
}
