//! Sends queries at a fixed rate, whatever becomes of them, and times the answers.
//!
//! ```text
//!  schedule:  q0    q1    q2    q3    q4          one each 1/rate, from the start, without drift
//!  sent:      q0─┐  q1─┐     q2q3─┐ q4─┐          late when the client was; none is left out
//!  answered:     └─▶   └─▶        └─▶  └─▶        latency = answer − schedule, lateness included
//! ```
//!
//! Owner: one thread, which may share its core with the model: so it looks, and yields when there
//! is nothing to do. A connection carries one query at a time. There are more connections than
//! queries can be under way as long as the server keeps its promise of time; beyond, queries wait
//! for a free one, and their latency grows, as it must.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use cutter_protocol::clock::monotonic_ns;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use super::client::{Answer, ReplyReader};
use super::limits::{
    ANSWER_NS_MAX, CONNECTIONS_MAX, CONNECTIONS_MIN, EVENTS_MAX, LEAD_NS, OVERDUE_PERIOD_NS,
    RECEIVE_BYTES, SLO_US,
};
use super::tally::{Question, Tally};

/// When each query is due.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    pub start_ns: u64,
    pub rate_qps: u64,
    pub queries: u64,
}

impl Schedule {
    pub fn due_ns(&self, query: u64) -> u64 {
        self.start_ns + query * 1_000_000_000 / self.rate_qps
    }
}

/// What is to be replayed.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    pub address: SocketAddr,
    /// Asked in turn, again and again.
    pub questions: &'a [Question],
    pub rate_qps: u64,
    pub queries: u64,
    /// The core to run on.
    pub cpu: Option<usize>,
}

impl Plan<'_> {
    /// As many connections as queries can be under way while all are answered within the SLO, and
    /// a quarter more.
    pub fn connections(&self) -> usize {
        let under_way = self.rate_qps * SLO_US / 1_000_000;
        let connections = (under_way + under_way / 4).clamp(CONNECTIONS_MIN, CONNECTIONS_MAX);
        usize::try_from(connections).expect("a bounded number")
    }
}

/// How far a replay is, and how to end it early.
#[derive(Debug, Default)]
pub struct Progress {
    /// Queries that are done with. Written by the replaying thread, read by the one that shows it;
    /// relaxed, for it publishes nothing but itself.
    pub done: AtomicU64,
    /// Set by whoever wants the replay to end early. Relaxed: as above.
    pub interrupted: AtomicBool,
}

/// Replays, and returns when every query that was sent has been answered or given up.
///
/// # Errors
/// When the server cannot be connected to, at first or again.
pub fn replay(plan: &Plan<'_>, progress: &Progress) -> io::Result<Tally> {
    if let Some(Err(error)) = plan.cpu.map(cutter_machine::affinity::pin_current) {
        tracing::warn!("the client is not pinned: {error}");
    }
    let mut client = Client::connect(plan, progress)?;
    while !client.is_done() {
        let now_ns = monotonic_ns();
        let mut worked = client.send(now_ns)?;
        worked |= client.receive()?;
        client.give_up_overdue(now_ns)?;
        if !worked {
            rustix::thread::sched_yield();
        }
    }
    Ok(client.tally)
}

/// A query that is under way.
#[derive(Clone, Copy, Debug)]
struct Asked {
    question: usize,
    due_ns: u64,
    sent_ns: u64,
    sent_bytes: usize,
}

#[derive(Debug)]
struct Connection {
    socket: TcpStream,
    reader: ReplyReader,
    asked: Option<Asked>,
}

struct Client<'a> {
    plan: &'a Plan<'a>,
    progress: &'a Progress,
    schedule: Schedule,
    /// The next query of the schedule.
    next: u64,
    /// What it asks.
    question: usize,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// Connections without a query, the one that has rested longest first.
    free: VecDeque<usize>,
    /// Connections whose request did not go out whole.
    unsent: Vec<usize>,
    events: Vec<epoll::Event>,
    received: Box<[u8]>,
    overdue_check_ns: u64,
    tally: Tally,
}

impl<'a> Client<'a> {
    fn connect(plan: &'a Plan<'a>, progress: &'a Progress) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let connections = (0..plan.connections()).map(|index| open(plan.address, &epoll, index));
        let connections = connections.collect::<io::Result<Vec<_>>>()?;
        let start_ns = monotonic_ns() + LEAD_NS;
        Ok(Self {
            plan,
            progress,
            schedule: Schedule { start_ns, rate_qps: plan.rate_qps, queries: plan.queries },
            next: 0,
            question: 0,
            epoll,
            free: (0..connections.len()).collect(),
            connections,
            unsent: Vec::new(),
            events: Vec::with_capacity(EVENTS_MAX),
            received: vec![0; RECEIVE_BYTES].into(),
            overdue_check_ns: start_ns,
            tally: Tally::default(),
        })
    }

    fn is_done(&self) -> bool {
        // Pairs with the store of whoever interrupts.
        let ended = self.next == self.plan.queries || self.progress.interrupted.load(Relaxed);
        ended && self.free.len() == self.connections.len()
    }

    /// Sends at most one query that is due, so that answers are not left lying during a burst.
    fn send(&mut self, now_ns: u64) -> io::Result<bool> {
        let worked = self.send_rest()?;
        let is_due = self.next < self.schedule.queries
            && now_ns >= self.schedule.due_ns(self.next)
            && !self.progress.interrupted.load(Relaxed);
        if !is_due {
            return Ok(worked);
        }
        let Some(index) = self.free.pop_front() else { return Ok(worked) };
        let due_ns = self.schedule.due_ns(self.next);
        let question = self.question;
        self.question = (question + 1) % self.plan.questions.len();
        self.tally.sent(now_ns - due_ns);
        self.next += 1;
        let asked = Asked { question, due_ns, sent_ns: now_ns, sent_bytes: 0 };
        self.connections[index].asked = Some(asked);
        self.push(index)?;
        Ok(true)
    }

    /// Sends what did not fit into a socket's buffer before.
    fn send_rest(&mut self) -> io::Result<bool> {
        let waiting = std::mem::take(&mut self.unsent);
        for index in &waiting {
            self.push(*index)?;
        }
        Ok(!waiting.is_empty())
    }

    fn push(&mut self, index: usize) -> io::Result<()> {
        let Connection { socket, asked: Some(asked), .. } = &mut self.connections[index] else {
            return Ok(());
        };
        let request = &self.plan.questions[asked.question].request;
        match socket.write(&request[asked.sent_bytes..]) {
            Ok(bytes) => asked.sent_bytes += bytes,
            Err(error) if is_passing(&error) => {}
            Err(error) => return self.fail(index, format!("a query cannot be sent: {error}")),
        }
        if asked.sent_bytes < request.len() {
            self.unsent.push(index);
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<bool> {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&at_once)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            self.receive_from(usize::try_from(event.data.u64()).expect("an index of ours"))?;
        }
        let worked = !events.is_empty();
        self.events = events;
        Ok(worked)
    }

    fn receive_from(&mut self, index: usize) -> io::Result<()> {
        let Connection { socket, reader, .. } = &mut self.connections[index];
        let bytes = match socket.read(&mut self.received) {
            Ok(0) => return self.fail(index, "the server closed the connection".to_owned()),
            Ok(bytes) => bytes,
            Err(error) if is_passing(&error) => return Ok(()),
            Err(error) => return self.fail(index, format!("an answer cannot be read: {error}")),
        };
        reader.push(&self.received[..bytes]);
        match reader.next() {
            Ok(None) => Ok(()),
            Ok(Some(answer)) => self.answered(index, &answer, monotonic_ns()),
            Err(error) => self.fail(index, error.to_string()),
        }
    }

    fn answered(&mut self, index: usize, answer: &Answer, now_ns: u64) -> io::Result<()> {
        let Connection { reader, asked, .. } = &mut self.connections[index];
        let Some(query) = *asked else {
            self.tally.failed(format!("an answer that nobody asked for: {answer}"));
            return self.reopen(index);
        };
        let question = &self.plan.questions[query.question];
        if query.sent_bytes < question.request.len() || !reader.is_empty() {
            return self.fail(index, "an answer is more than the query".to_owned());
        }
        *asked = None;
        self.tally.answered(question, answer, now_ns - query.due_ns);
        self.done(index, now_ns);
        // After an error the server may close, and the next query must not meet that.
        if matches!(answer, Answer::Refused { .. }) { self.reopen(index) } else { Ok(()) }
    }

    /// Gives up queries whose answers do not come.
    fn give_up_overdue(&mut self, now_ns: u64) -> io::Result<()> {
        if now_ns < self.overdue_check_ns {
            return Ok(());
        }
        self.overdue_check_ns = now_ns + OVERDUE_PERIOD_NS;
        for index in 0..self.connections.len() {
            let asked = self.connections[index].asked;
            if asked.is_some_and(|asked| now_ns > asked.sent_ns + ANSWER_NS_MAX) {
                let seconds = ANSWER_NS_MAX / 1_000_000_000;
                self.fail(index, format!("no answer within {seconds} s"))?;
            }
        }
        Ok(())
    }

    /// A connection is of no use any more; the query on it, if any, got no answer.
    fn fail(&mut self, index: usize, why: String) -> io::Result<()> {
        if self.connections[index].asked.take().is_some() {
            self.tally.failed(why);
            self.done(index, monotonic_ns());
        }
        self.reopen(index)
    }

    fn reopen(&mut self, index: usize) -> io::Result<()> {
        // The old socket leaves the epoll set as it is closed.
        self.connections[index] = open(self.plan.address, &self.epoll, index)?;
        Ok(())
    }

    fn done(&mut self, index: usize, now_ns: u64) {
        self.free.push_back(index);
        self.tally.elapsed_ns = now_ns - self.schedule.start_ns;
        self.progress.done.fetch_add(1, Relaxed);
    }
}

fn open(address: SocketAddr, epoll: &OwnedFd, index: usize) -> io::Result<Connection> {
    let socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_nonblocking(true)?;
    let data = epoll::EventData::new_u64(index as u64);
    epoll::add(epoll, &socket, data, epoll::EventFlags::IN)?;
    Ok(Connection { socket, reader: ReplyReader::default(), asked: None })
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const BODY: &str = r#"{"query_id":1,"output":4,"default":false}"#;

    #[test]
    fn queries_are_spaced_evenly_and_do_not_drift() {
        let schedule = Schedule { start_ns: 1_000, rate_qps: 3, queries: 9 };
        let due_ns = [0, 1, 2, 3].map(|query| schedule.due_ns(query));
        assert_eq!(due_ns, [1_000, 333_334_333, 666_667_666, 1_000_001_000]);
        assert_eq!(schedule.due_ns(3 * 3_600), 1_000 + 3_600 * 1_000_000_000);
    }

    #[test]
    fn there_are_connections_for_all_queries_that_can_be_under_way() {
        let plan = |rate_qps| Plan {
            address: ([127, 0, 0, 1], 1).into(),
            questions: &[],
            rate_qps,
            queries: 1,
            cpu: None,
        };
        let connections = [1, 2_000, 10_000, 1_000_000].map(|rate| plan(rate).connections());
        assert_eq!(connections, [32, 50, 250, 1_024]);
    }

    /// Answers every request on every connection, until its client is gone. Each connection is
    /// closed after `answers_each` answers.
    fn serve(listener: TcpListener, request_bytes: usize, answers_each: usize) {
        let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{BODY}", BODY.len());
        std::thread::spawn(move || {
            for mut socket in listener.incoming().map_while(Result::ok) {
                let reply = reply.clone();
                std::thread::spawn(move || {
                    let mut request = vec![0; request_bytes];
                    for _ in 0..answers_each {
                        let read = socket.read_exact(&mut request);
                        read.and_then(|()| socket.write_all(reply.as_bytes())).ok()?;
                    }
                    Some(())
                });
            }
        });
    }

    fn replay_against(answers_each: usize, queries: u64, interrupted: bool) -> (Tally, u64) {
        let question = |label| Question { request: vec![b'x'; 5_000], label, offline: 4 };
        let questions = [question(4), question(5)];
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        serve(listener, 5_000, answers_each);
        let progress = Progress::default();
        progress.interrupted.store(interrupted, Relaxed);
        let plan = Plan { address, questions: &questions, rate_qps: 10_000, queries, cpu: None };
        let tally = replay(&plan, &progress).unwrap();
        (tally, progress.done.into_inner())
    }

    #[test]
    fn each_query_is_sent_timed_and_checked_once() {
        let (tally, done) = replay_against(usize::MAX, 600, false);
        assert_eq!((tally.queries, tally.predictions, tally.errors, done), (600, 600, 0, 600));
        assert_eq!((tally.accuracy(), tally.differing), (0.5, 0));
        assert_eq!((tally.latency_ns.len(), tally.send_lag_ns.len()), (600, 600));
    }

    #[test]
    fn a_connection_that_closes_is_opened_again() {
        let (tally, done) = replay_against(1, 600, false);
        assert_eq!((tally.queries, done), (600, 600));
        assert_eq!(tally.predictions + tally.errors, 600);
        assert!(tally.predictions >= 250, "{tally:?}");
    }

    #[test]
    fn a_replay_that_is_interrupted_sends_no_more() {
        let (tally, done) = replay_against(usize::MAX, 600, true);
        assert_eq!((tally.queries, done), (0, 0));
    }
}
