//! Connections to the admin address: a bounded number, of which each lives for a bounded time.
//!
//! Whoever comes gets in, so that a probe of `/healthz` is answered whatever others do: when all
//! places are taken, the oldest connection that has not asked anything yet ends, or else the oldest
//! of all. When the process has no descriptor left, one that was kept for that is used; it is taken
//! back as soon as its connection ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use cutter_machine::clock::monotonic_ns;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::time::Timespec;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Sleep, sleep};

use super::limiter::Limiter;
use crate::limits::{
    ACCEPT_PAUSE_NS, ADMIN_CONNECTION_NS, ADMIN_CONNECTIONS_MAX, ADMIN_REQUEST_BYTES_MAX,
    REFUSAL_LINES_MAX, REFUSAL_WINDOW_NS,
};

/// Accepts connections.
#[derive(Debug)]
pub(super) struct AdminListener {
    listener: TcpListener,
    room: Arc<Semaphore>,
    places: Places,
    /// Lines of the log about connections that could not be accepted.
    failures: Limiter,
}

impl AdminListener {
    pub(super) fn new(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let places = Places::default();
        places.lock().refill();
        Ok(Self {
            listener: TcpListener::from_std(listener)?,
            room: Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX)),
            places,
            failures: Limiter::new(REFUSAL_LINES_MAX, REFUSAL_WINDOW_NS),
        })
    }

    /// Gives an accepted connection a place, which somebody else may lose by it.
    async fn admit(&mut self, stream: TcpStream) -> Guarded {
        let room = match Arc::clone(&self.room).try_acquire_owned() {
            Ok(room) => room,
            Err(_) => {
                self.places.lock().evict();
                // What was evicted ends at once, and its room is this one's.
                let Ok(room) = Arc::clone(&self.room).acquire_owned().await else {
                    unreachable!("the semaphore is never closed");
                };
                room
            }
        };
        Guarded::new(stream, self.places.enter(), room)
    }

    /// Makes room for a connection that waits to be accepted, if it waits for a descriptor. Says
    /// whether it is worth to try again at once.
    ///
    /// Without a descriptor the kernel refuses to accept before it looks whether anybody waits. If
    /// nobody does, nobody inside is to go.
    fn make_room(&mut self, error: &io::Error) -> bool {
        if !somebody_waits(&self.listener) {
            return false;
        }
        let now_ns = monotonic_ns();
        self.tell_failures(now_ns);
        if self.failures.admits(now_ns) {
            tracing::warn!("cannot accept an admin connection: {error}");
        }
        let errno = error.raw_os_error();
        let is_out = errno == Some(Errno::MFILE.raw_os_error())
            || errno == Some(Errno::NFILE.raw_os_error());
        let mut places = self.places.lock();
        if is_out {
            places.evict();
        }
        is_out && places.reserve.take().is_some()
    }

    fn tell_failures(&mut self, now_ns: u64) {
        if let Some(count) = self.failures.take_suppressed(now_ns) {
            tracing::warn!(count, "more admin connections could not be accepted");
        }
    }
}

/// Whether a connection waits to be accepted.
fn somebody_waits(listener: &TcpListener) -> bool {
    let mut waits = [PollFd::new(listener, PollFlags::IN)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut waits, Some(&at_once)).is_ok_and(|ready| ready > 0)
}

impl axum::serve::Listener for AdminListener {
    type Io = Guarded;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Guarded, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    self.tell_failures(monotonic_ns());
                    return (self.admit(stream).await, address);
                }
                Err(error) if self.make_room(&error) => {}
                Err(_) => {
                    sleep(Duration::from_nanos(ACCEPT_PAUSE_NS)).await;
                    self.places.lock().refill();
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Who is inside. The lock is for the HTTP stack, which wants its connections to be `Send`; one
/// thread has them all, so it is never waited for.
#[derive(Clone, Debug, Default)]
struct Places(Arc<Mutex<Inside>>);

#[derive(Debug, Default)]
struct Inside {
    next: u64,
    /// By number, so the oldest first.
    connections: BTreeMap<u64, Connection>,
    /// A descriptor that is kept for a connection when there is no other.
    reserve: Option<OwnedFd>,
}

#[derive(Debug)]
struct Connection {
    has_asked: bool,
    /// Dropping it ends the connection.
    _stay: oneshot::Sender<()>,
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) -> Place {
        let (stay, evicted) = oneshot::channel();
        let mut inside = self.lock();
        let number = inside.next;
        inside.next += 1;
        inside.connections.insert(number, Connection { has_asked: false, _stay: stay });
        drop(inside);
        Place { places: self.clone(), number, evicted }
    }
}

impl Inside {
    /// Ends the connection that needs its place least.
    fn evict(&mut self) {
        let silent = self.connections.iter().find(|(_, connection)| !connection.has_asked);
        let silent = silent.map(|(number, _)| *number);
        if let Some(number) = silent.or_else(|| self.connections.keys().next().copied()) {
            self.connections.remove(&number);
        }
    }

    fn refill(&mut self) {
        if self.reserve.is_none() {
            // Where even this is not possible, it is tried again with the next end.
            self.reserve = File::open("/dev/null").ok().map(OwnedFd::from);
        }
    }
}

/// The place of one connection.
#[derive(Debug)]
struct Place {
    places: Places,
    number: u64,
    evicted: oneshot::Receiver<()>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.places.lock();
        inside.connections.remove(&self.number);
        inside.refill();
    }
}

/// A connection whose time and whose bytes are bounded.
#[derive(Debug)]
pub(super) struct Guarded {
    // Dropped in this order: the descriptor is free when the place is left, and the reserve is
    // filled again before anybody else takes it.
    stream: TcpStream,
    place: Place,
    _room: OwnedSemaphorePermit,
    end: Pin<Box<Sleep>>,
    bytes_left: usize,
}

impl Guarded {
    fn new(stream: TcpStream, place: Place, room: OwnedSemaphorePermit) -> Self {
        let end = Box::pin(sleep(Duration::from_nanos(ADMIN_CONNECTION_NS)));
        Self { stream, place, _room: room, end, bytes_left: ADMIN_REQUEST_BYTES_MAX }
    }

    fn poll_end(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let is_late = self.end.as_mut().poll(context).is_ready();
        if is_late || Pin::new(&mut self.place.evicted).poll(context).is_ready() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    fn note_read(&mut self, bytes: usize) -> io::Result<()> {
        let left = self.bytes_left.checked_sub(bytes).ok_or(io::ErrorKind::InvalidData)?;
        if bytes > 0 && self.bytes_left == ADMIN_REQUEST_BYTES_MAX {
            let mut inside = self.place.places.lock();
            let connection = inside.connections.get_mut(&self.place.number);
            connection.into_iter().for_each(|connection| connection.has_asked = true);
        }
        self.bytes_left = left;
        Ok(())
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_end(context)?;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = buffer.filled().len() - before;
        self.note_read(read)?;
        polled
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_end(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_end(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_evicted(place: &mut Place) -> bool {
        place.evicted.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[test]
    fn whoever_has_asked_nothing_goes_first_and_then_the_oldest() {
        let places = Places::default();
        let mut entered: Vec<Place> = (0..3).map(|_| places.enter()).collect();
        places.lock().connections.get_mut(&0).unwrap().has_asked = true;
        let mut order = Vec::new();
        for _ in 0..3 {
            places.lock().evict();
            let gone = entered.iter_mut().position(is_evicted).unwrap();
            order.push(entered.remove(gone).number);
        }
        assert_eq!(order, [1, 2, 0]);
    }

    #[test]
    fn the_reserve_is_filled_again_when_a_place_is_left() {
        let places = Places::default();
        let place = places.enter();
        assert!(places.lock().reserve.is_none());
        drop(place);
        assert!(places.lock().reserve.is_some());
        assert_eq!(places.lock().connections.len(), 0);
    }
}
