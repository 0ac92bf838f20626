//! A scripted client: it writes, waits, reads at its pace, and parses what it gets, strictly.
//!
//! Nothing of the engine's own code reads or writes HTTP here.

use super::kernel::SocketId;
use super::script::{Reading, Script, Step};

/// One response.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub closes: bool,
    pub date: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn is_interim(&self) -> bool {
        self.status < 200
    }
}

/// How the client saw its connection end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The engine's end of stream, behind everything it sent.
    Finished,
    Reset,
    /// It left by itself.
    Left,
}

#[derive(Debug)]
pub struct Client {
    pub script: Script,
    pub socket: Option<SocketId>,
    stream: Vec<u8>,
    /// Where each request ends in the stream.
    pub ends: Vec<usize>,
    pub written: usize,
    /// When how much had been written.
    pub arrivals: Vec<(u64, usize)>,
    pub step: usize,
    pub reading: Reading,
    /// It waits for answers, at most until then.
    pub awaits_until_ns: Option<u64>,
    parser: Parser,
    /// Final answers that were read whole.
    pub answered: usize,
    /// When the last of them was.
    pub answered_ns: u64,
    pub interims: usize,
    pub refused: bool,
    /// The last answer said that the connection ends.
    pub closing: bool,
    pub finished: bool,
    pub end: Option<End>,
    /// The last time that it did anything.
    pub acted_ns: u64,
    /// Its requests that were executed, in the order in which they were.
    pub executed: Vec<usize>,
}

/// What a client does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Act {
    Write(Vec<u8>),
    Finish,
    Leave,
    Break,
    /// Again at this time, or as soon as answers came.
    Sleep(u64),
    /// The reading changed.
    Reads,
    Over,
}

impl Client {
    pub fn new(number: usize, script: Script) -> Self {
        let (mut stream, mut ends) = (Vec::new(), Vec::new());
        for (index, request) in script.requests.iter().enumerate() {
            request.encode(number, index, &mut stream);
            ends.push(stream.len());
        }
        let reading = script.reading;
        Self {
            script,
            socket: None,
            stream,
            ends,
            written: 0,
            arrivals: Vec::new(),
            step: 0,
            reading,
            awaits_until_ns: None,
            parser: Parser::default(),
            answered: 0,
            answered_ns: 0,
            interims: 0,
            refused: false,
            closing: false,
            finished: false,
            end: None,
            acted_ns: 0,
            executed: Vec::new(),
        }
    }

    /// Requests that were written whole.
    pub fn whole(&self) -> usize {
        self.ends.iter().filter(|end| **end <= self.written).count()
    }

    /// Requests that had been written whole by then.
    pub fn whole_by(&self, at_ns: u64) -> usize {
        let arrived = self.arrivals.iter().rev().find(|(when_ns, _)| *when_ns <= at_ns);
        let written = arrived.map_or(0, |(_, written)| *written);
        self.ends.iter().filter(|end| **end <= written).count()
    }

    /// When something passed between client and engine for the last time before then.
    pub fn heard_ns(&self, accepted_ns: u64, before_ns: u64) -> u64 {
        let arrivals = self.arrivals.iter().map(|(at_ns, _)| *at_ns);
        let times = arrivals.chain([self.answered_ns]).filter(|at_ns| *at_ns <= before_ns);
        times.chain([accepted_ns]).max().unwrap_or(accepted_ns)
    }

    /// When a request had been written whole.
    pub fn arrived_ns(&self, request: usize) -> u64 {
        let end = self.ends[request];
        let arrival = self.arrivals.iter().find(|(_, written)| *written >= end);
        arrival.expect("it was written").0
    }

    /// Whether a waiting client has what it waits for.
    pub fn is_served(&self) -> bool {
        self.awaits_until_ns.is_some() && (self.answered >= self.whole() || self.end.is_some())
    }

    /// The next thing in its script.
    pub fn act(&mut self, now_ns: u64) -> Act {
        loop {
            if let Some(until_ns) = self.awaits_until_ns {
                if !self.is_served() && now_ns < until_ns {
                    return Act::Sleep(until_ns);
                }
                self.awaits_until_ns = None;
            }
            let Some(step) = self.script.steps.get(self.step).cloned() else {
                self.finished = true;
                return Act::Over;
            };
            self.step += 1;
            if self.end.is_some() {
                continue;
            }
            match step {
                Step::Send(bytes) => {
                    let until = (self.written + bytes).min(self.stream.len());
                    if until > self.written {
                        return self.write(until, now_ns);
                    }
                }
                Step::SendRequests(count) => {
                    let whole = self.whole();
                    let last = (whole + count).min(self.ends.len());
                    let until = last.checked_sub(1).map_or(0, |last| self.ends[last]);
                    if until > self.written {
                        return self.write(until, now_ns);
                    }
                }
                Step::SendHead => {
                    let head =
                        self.stream[self.written..].windows(4).position(|w| w == b"\r\n\r\n");
                    if let Some(head) = head {
                        return self.write(self.written + head + 4, now_ns);
                    }
                }
                Step::Pause(ns) => return Act::Sleep(now_ns + ns),
                Step::Await(ns) => self.awaits_until_ns = Some(now_ns + ns),
                Step::Read(reading) => {
                    self.reading = reading;
                    return Act::Reads;
                }
                Step::Finish => return Act::Finish,
                Step::Leave => return Act::Leave,
                Step::Break => return Act::Break,
            }
        }
    }

    fn write(&mut self, until: usize, now_ns: u64) -> Act {
        let bytes = self.stream[self.written..until].to_vec();
        self.written = until;
        self.acted_ns = now_ns;
        self.arrivals.push((now_ns, until));
        Act::Write(bytes)
    }

    /// Bytes that were read.
    pub fn take(&mut self, bytes: &[u8], now_ns: u64) {
        self.acted_ns = now_ns;
        self.parser.bytes.extend(bytes);
    }

    /// The next answer that is whole.
    pub fn next_answer(&mut self) -> Option<Answer> {
        let is_head = self.script.requests.get(self.answered).is_some_and(|r| r.is_head());
        self.parser.next(is_head)
    }

    /// Whether part of an answer was read.
    pub fn has_part(&self) -> bool {
        !self.parser.bytes.is_empty()
    }
}

#[derive(Debug, Default)]
struct Parser {
    bytes: Vec<u8>,
}

impl Parser {
    fn next(&mut self, is_head: bool) -> Option<Answer> {
        // Only a whole HEAD is answered without a body, and always with 405 here.
        let head_bytes = self.bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&self.bytes[..head_bytes - 4]).expect("a head is ASCII");
        let mut lines = head.split("\r\n");
        let status_line = lines.next().expect("a status line");
        let status = status_line.strip_prefix("HTTP/1.1 ").expect("an HTTP/1.1 status line");
        let (code, reason) = status.split_once(' ').expect("a reason phrase");
        assert!(code.len() == 3 && !reason.is_empty(), "{status_line:?}");
        let mut answer = Answer {
            status: code.parse().expect("three digits"),
            closes: false,
            date: String::new(),
            body: Vec::new(),
        };
        let mut length = None;
        for line in lines {
            let (name, value) = line.split_once(':').expect("name and value");
            let value = value.trim_matches(' ');
            match name.to_ascii_lowercase().as_str() {
                "content-length" => {
                    assert!(length.is_none(), "two lengths");
                    length = Some(value.parse::<usize>().expect("a length"));
                }
                "connection" => answer.closes |= value.eq_ignore_ascii_case("close"),
                "date" => value.clone_into(&mut answer.date),
                "content-type" | "allow" => {}
                name => panic!("an unknown field {name:?}"),
            }
        }
        if answer.is_interim() {
            assert_eq!((answer.status, length), (100, None));
            self.bytes.drain(..head_bytes);
            return Some(answer);
        }
        let length = length.expect("a final answer has a length");
        let end = head_bytes + if is_head && answer.status == 405 { 0 } else { length };
        if self.bytes.len() < end {
            return None;
        }
        answer.body = self.bytes[head_bytes..end].to_vec();
        self.bytes.drain(..end);
        Some(answer)
    }
}
