//! Closed-loop clients. They send prepared requests and know only how long a reply is, so they
//! drive HTTP as well as the echo.
//!
//! A client runs on the thread that calls it, and yields the core between tries.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use cutter_machine::uring::{Completion, Ring, Token};
use rustix::thread::sched_yield;

use crate::echo::{CONNECTIONS_MAX, RING, Waiting};
use crate::measurement::{Round, elapsed_ns};

const KIND_RECEIVE: u8 = 0;
const KIND_SEND: u8 = 1;

const REPLY_TIME_LIMIT: Duration = Duration::from_secs(10);

/// How a client knows the end of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes.
    Fixed(usize),
    /// An HTTP/1.1 head, and the body that its Content-Length names.
    ContentLength,
}

impl Framing {
    /// The length of the reply at the start of `bytes`, once that can be told.
    pub fn reply_bytes(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Fixed(reply_bytes) => Some(reply_bytes),
            Self::ContentLength => http_reply_bytes(bytes),
        }
    }
}

/// What a client says, over and over, and how it is answered.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Sent in turn.
    pub requests: Vec<Vec<u8>>,
    pub framing: Framing,
}

/// How much a client does.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Requests before the first one that is recorded.
    pub warm_up: usize,
    /// Requests recorded.
    pub requests: usize,
    /// The load fails when it takes longer.
    pub time_limit: Duration,
}

/// One connection, one request at a time, by plain non-blocking calls.
pub fn closed_loop_one(address: SocketAddr, exchange: &Exchange, load: Load) -> io::Result<Round> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let mut latencies_ns = Vec::with_capacity(load.requests);
    let mut reply = vec![0; 64 << 10];
    let deadline = Instant::now() + load.time_limit;
    let mut begin = Instant::now();
    for (number, request) in (0..load.warm_up + load.requests).zip(exchange.requests.iter().cycle())
    {
        let start = Instant::now();
        if number == load.warm_up {
            begin = start;
        }
        send_all(&mut stream, request, deadline)?;
        receive_reply(&mut stream, &mut reply, exchange.framing, deadline)?;
        if number >= load.warm_up {
            latencies_ns.push(elapsed_ns(start));
        }
    }
    Ok(Round { latencies_ns, elapsed: begin.elapsed() })
}

/// A connection that is asked now and then, by blocking calls.
#[derive(Debug)]
pub struct Connection(TcpStream);

impl Connection {
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_TIME_LIMIT))?;
        Ok(Self(stream))
    }

    /// Sends a request and takes its whole reply.
    pub fn ask(&mut self, request: &[u8]) -> io::Result<Vec<u8>> {
        self.0.write_all(request)?;
        let mut reply = Vec::new();
        while http_reply_bytes(&reply).is_none_or(|bytes| reply.len() < bytes) {
            let mut piece = [0; 4096];
            match self.0.read(&mut piece)? {
                0 => return Err(io::Error::other("the server closed a connection")),
                bytes => reply.extend_from_slice(&piece[..bytes]),
            }
        }
        Ok(reply)
    }
}

/// `connections` connections on one thread over one ring, one request at a time on each.
pub fn closed_loop_many(
    address: SocketAddr,
    exchange: &Exchange,
    connections: usize,
    load: Load,
) -> io::Result<Round> {
    Crowd::new(address, exchange, connections, load)?.run()
}

#[derive(Debug)]
struct Caller {
    stream: TcpStream,
    /// Of the reply under way.
    reply: Vec<u8>,
    request: Option<Vec<u8>>,
    start: Instant,
}

#[derive(Debug)]
struct Crowd<'a> {
    exchange: &'a Exchange,
    load: Load,
    ring: Ring,
    callers: Vec<Caller>,
    started: usize,
    ended: usize,
    begin: Instant,
    latencies_ns: Vec<u64>,
}

impl<'a> Crowd<'a> {
    fn new(
        address: SocketAddr,
        exchange: &'a Exchange,
        connections: usize,
        load: Load,
    ) -> io::Result<Self> {
        assert!(connections <= CONNECTIONS_MAX, "at most {CONNECTIONS_MAX} connections");
        let mut ring = Ring::new(RING).map_err(io::Error::other)?;
        let begin = Instant::now();
        let mut callers = Vec::with_capacity(connections);
        for index in 0..connections {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            ring.recv_multishot(stream.as_fd(), token(KIND_RECEIVE, index));
            let (reply, request) = (Vec::with_capacity(4096), Some(Vec::new()));
            callers.push(Caller { stream, reply, request, start: begin });
        }
        let latencies_ns = Vec::with_capacity(load.requests);
        Ok(Self { exchange, load, ring, callers, started: 0, ended: 0, begin, latencies_ns })
    }

    fn run(mut self) -> io::Result<Round> {
        let deadline = Instant::now() + self.load.time_limit;
        let mut completions = Vec::new();
        for index in 0..self.callers.len() {
            self.call(index);
        }
        while self.latencies_ns.len() < self.load.requests {
            Waiting::Yield.turn(&mut self.ring, &mut completions)?;
            for completion in completions.drain(..) {
                self.handle(completion)?;
            }
            check(deadline)?;
        }
        let elapsed = self.begin.elapsed();
        drop(self.ring);
        self.latencies_ns.truncate(self.load.requests);
        Ok(Round { latencies_ns: self.latencies_ns, elapsed })
    }

    fn call(&mut self, index: usize) {
        let caller = &mut self.callers[index];
        // A reply can come before the completion of its send; then the call waits for that.
        let Some(mut bytes) = caller.request.take() else { return };
        bytes.clear();
        bytes.extend_from_slice(
            &self.exchange.requests[self.started % self.exchange.requests.len()],
        );
        self.started += 1;
        caller.start = Instant::now();
        self.ring.send(caller.stream.as_fd(), bytes, token(KIND_SEND, index));
    }

    fn handle(&mut self, completion: Completion) -> io::Result<()> {
        let index = completion.token.index() as usize;
        let moved = completion.result.map_err(io::Error::from);
        if completion.token.kind() == KIND_SEND {
            moved?;
            self.callers[index].request = completion.returned;
            return self.reply_taken(index);
        }
        if completion.is_out_of_buffers() {
            let stream = self.callers[index].stream.as_fd();
            self.ring.recv_multishot(stream, completion.token);
            return Ok(());
        }
        if moved? == 0 {
            return Err(io::Error::other("the server closed a connection"));
        }
        if let Some(buffer) = completion.buffer {
            self.callers[index].reply.extend_from_slice(self.ring.bytes(&buffer));
            self.ring.recycle(buffer);
        }
        if !completion.more {
            let stream = self.callers[index].stream.as_fd();
            self.ring.recv_multishot(stream, completion.token);
        }
        self.reply_taken(index)
    }

    /// Records a reply once it is whole and its request is known to be sent, and calls again.
    fn reply_taken(&mut self, index: usize) -> io::Result<()> {
        let caller = &mut self.callers[index];
        let whole = self.exchange.framing.reply_bytes(&caller.reply);
        let whole = whole.filter(|&bytes| caller.reply.len() >= bytes);
        let (Some(bytes), Some(_)) = (whole, &caller.request) else { return Ok(()) };
        if caller.reply.len() > bytes {
            return Err(io::Error::other("more bytes than one reply"));
        }
        caller.reply.clear();
        self.ended += 1;
        if self.ended == self.load.warm_up {
            self.begin = Instant::now();
        }
        if self.ended > self.load.warm_up {
            self.latencies_ns.push(elapsed_ns(self.callers[index].start));
        }
        self.call(index);
        Ok(())
    }
}

fn token(kind: u8, index: usize) -> Token {
    Token::new(kind, u32::try_from(index).expect("CONNECTIONS_MAX fits"), 0)
}

fn send_all(stream: &mut TcpStream, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => pause(deadline)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn receive_reply(
    stream: &mut TcpStream,
    reply: &mut [u8],
    framing: Framing,
    deadline: Instant,
) -> io::Result<()> {
    let mut received = 0;
    loop {
        match stream.read(&mut reply[received..]) {
            Ok(0) => return Err(io::Error::other("the connection closed or the reply is too big")),
            Ok(bytes) => received += bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                pause(deadline)?;
                continue;
            }
            Err(error) => return Err(error),
        }
        if framing.reply_bytes(&reply[..received]).is_some_and(|bytes| received >= bytes) {
            return Ok(());
        }
    }
}

fn pause(deadline: Instant) -> io::Result<()> {
    sched_yield();
    check(deadline)
}

fn check(deadline: Instant) -> io::Result<()> {
    if Instant::now() < deadline {
        return Ok(());
    }
    Err(io::Error::other("the load took longer than its time limit"))
}

/// The head of a reply is short; it is looked through again with each piece that comes.
fn http_reply_bytes(bytes: &[u8]) -> Option<usize> {
    const HEAD_END: &[u8] = b"\r\n\r\n";
    let head = bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END)?;
    let text = std::str::from_utf8(&bytes[..head]).ok()?;
    let body = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let named = name.eq_ignore_ascii_case("content-length");
        named.then(|| value.trim().parse::<usize>().ok())?
    });
    Some(head + HEAD_END.len() + body.unwrap_or(0))
}
