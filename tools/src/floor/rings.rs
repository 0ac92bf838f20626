//! The same exchanges with a server that uses io_uring: the engine's ring, waiting in several ways,
//! and rings that are set up otherwise.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use cutter_machine::uring::bare::{BareRing, Done, Notify};

use super::cores::{Pair, pin};
use super::echo::{EchoConfig, EchoServer, Waiting};
use super::exchange::Sampling;
use super::link::{Link, Sizes, Wait, Wire, ask, ask_beside, sockets};

/// The engine's ring, which waits by `waiting`; the client spins.
pub fn round(
    pair: Pair,
    sizes: Sizes,
    waiting: Waiting,
    sampling: Sampling,
) -> io::Result<Vec<u64>> {
    let reply = vec![b'.'; sizes.reply];
    let config = EchoConfig { request_bytes: sizes.request, reply, waiting, cpu: pair.server };
    let server = EchoServer::start(config)?;
    pin(pair.client)?;
    let link = Link::connect(server.address(), Wait::Spin);
    let round = link.and_then(|link| ask(&link, sizes, sampling));
    server.stop()?;
    round
}

/// A bare ring, told by `notify` of what is to be done; the client spins.
pub fn bare_round(
    pair: Pair,
    sizes: Sizes,
    notify: Notify,
    sampling: Sampling,
) -> io::Result<Vec<u64>> {
    let (near, far) = sockets(Wire::Tcp)?;
    let serve = move || serve(far.as_fd(), sizes, notify);
    ask_beside(pair, serve, Link::new(near, Wait::Spin), sizes, sampling)
}

/// Answers until the client closes. One receive and one send at a time, submitted together.
fn serve(connection: BorrowedFd<'_>, sizes: Sizes, notify: Notify) -> io::Result<()> {
    let ring = BareRing::new(notify, sizes.request, vec![b'.'; sizes.reply]);
    let mut ring = ring.map_err(io::Error::other)?;
    let mut received = 0;
    ring.receive(connection)?;
    ring.submit()?;
    loop {
        match ring.poll()? {
            None => std::hint::spin_loop(),
            Some(Done::Sent(_)) => {}
            Some(Done::Received(0)) => return Ok(()),
            Some(Done::Received(bytes)) => {
                received += bytes;
                if received >= sizes.request {
                    received -= sizes.request;
                    ring.send(connection)?;
                }
                ring.receive(connection)?;
                ring.submit()?;
            }
        }
    }
}
