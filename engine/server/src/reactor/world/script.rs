//! What clients do: requests and steps, scripted or random from a seed.

use std::io::Write;

use super::{Plan, Rng};
use crate::limits::BULK_BODY_BYTES_MIN;

pub const MS: u64 = 1_000_000;
pub const S: u64 = 1_000 * MS;

/// The applications of the world, by number.
pub const QUICK: usize = 0;
pub const LARGE: usize = 1;
pub const LAZY: usize = 2;
pub const NO_MODEL: usize = 3;
pub const NAMES: [&str; 4] = ["quick", "large", "lazy", "none"];

/// Integers of one input, by application.
pub const INPUT_INTEGERS: [usize; 4] = [2, 512, 2, 2];

/// Which client's which request's which item: the first integer of an input and of its output.
pub fn identity(client: usize, request: usize, item: usize) -> i32 {
    assert!(client < 1 << 10 && request < 1 << 10 && item < 1 << 11);
    i32::try_from(client << 21 | request << 11 | item).expect("31 bits")
}

pub fn client_of(identity: i32) -> (usize, usize, usize) {
    let bits = usize::try_from(identity).expect("not negative");
    (bits >> 21, bits >> 11 & 0x3FF, bits & 0x7FF)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Each input asks for an output of so many integers behind its identity; below 0 it fails.
    Predict {
        application: usize,
        inputs: usize,
        batch: bool,
        size: i32,
    },
    BadJson,
    NotFound,
    Get,
    Head,
    /// Bytes that are no request, and what they are answered with.
    Garbage(&'static str, u16),
}

/// How a body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length,
    /// In chunks of so many bytes.
    Chunked(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub ask: Ask,
    pub framing: Framing,
    pub expects: bool,
    /// HTTP/1.0, with or without keep-alive.
    pub old: bool,
    pub closes: bool,
    /// White space in the body.
    pub padding: usize,
}

pub const GARBAGE: [(&str, u16); 4] = [
    ("BOGUS\r\n\r\n", 400),
    ("POST /quick/predict HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999\r\n\r\n", 413),
    ("GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
    ("POST /quick/predict HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
];

impl Request {
    pub fn of(ask: Ask) -> Self {
        let framing = Framing::Length;
        Self { ask, framing, expects: false, old: false, closes: false, padding: 0 }
    }

    pub fn predict(application: usize) -> Self {
        Self::of(Ask::Predict { application, inputs: 1, batch: false, size: 0 })
    }

    /// Asks for one output of so many integers.
    pub fn large(size: i32) -> Self {
        Self::of(Ask::Predict { application: LARGE, inputs: 1, batch: false, size })
    }

    pub fn chunked(self, bytes: usize) -> Self {
        Self { framing: Framing::Chunked(bytes), ..self }
    }

    pub fn padded(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    pub fn is_head(&self) -> bool {
        self.ask == Ask::Head
    }

    pub fn is_garbage(&self) -> bool {
        matches!(self.ask, Ask::Garbage(..))
    }

    pub fn encode(&self, client: usize, index: usize, out: &mut Vec<u8>) {
        if let Ask::Garbage(bytes, _) = self.ask {
            out.extend(bytes.as_bytes());
            return;
        }
        let (method, path) = match self.ask {
            Ask::Predict { application, .. } => ("POST", NAMES[application]),
            Ask::BadJson => ("POST", NAMES[QUICK]),
            Ask::NotFound => ("POST", "nobody"),
            Ask::Get => ("GET", NAMES[QUICK]),
            Ask::Head => ("HEAD", NAMES[QUICK]),
            Ask::Garbage(..) => unreachable!(),
        };
        let version = if self.old { "1.0" } else { "1.1" };
        write!(out, "{method} /{path}/predict HTTP/{version}\r\nHost: h\r\n").expect("a Vec");
        match (self.closes, self.old) {
            (true, false) => out.extend(b"Connection: close\r\n"),
            (false, true) => out.extend(b"Connection: keep-alive\r\n"),
            _ => {}
        }
        if self.expects {
            out.extend(b"Expect: 100-continue\r\n");
        }
        let body = self.body(client, index);
        match self.framing {
            _ if method != "POST" => out.extend(b"\r\n"),
            Framing::Length => {
                write!(out, "Content-Length: {}\r\n\r\n", body.len()).expect("a Vec");
                out.extend(&body);
            }
            Framing::Chunked(bytes) => {
                out.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                for chunk in body.chunks(bytes.max(1)) {
                    write!(out, "{:x}\r\n", chunk.len()).expect("a Vec");
                    out.extend(chunk);
                    out.extend(b"\r\n");
                }
                out.extend(b"0\r\n\r\n");
            }
        }
    }

    fn body(&self, client: usize, index: usize) -> Vec<u8> {
        let mut body = b"{".to_vec();
        body.resize(1 + self.padding, b' ');
        let Ask::Predict { application, inputs, batch, size } = self.ask else {
            body.extend(b"\"input\": [1,");
            return body;
        };
        body.extend(if batch { &b"\"input_batch\":["[..] } else { &b"\"input\":"[..] });
        for item in 0..inputs {
            let separator = if item > 0 { "," } else { "" };
            let identity = identity(client, index, item);
            write!(body, "{separator}[{identity},{size}").expect("a Vec");
            (2..INPUT_INTEGERS[application]).for_each(|_| body.extend(b",0"));
            body.push(b']');
        }
        body.extend(if batch { &b"]}"[..] } else { &b"}"[..] });
        body
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    AtOnce,
    Never,
    /// So many bytes, so often.
    Paced {
        bytes: usize,
        every_ns: u64,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The next bytes of the stream, whatever they are.
    Send(usize),
    /// Up to the end of so many more requests.
    SendRequests(usize),
    /// Up to the end of the next head.
    SendHead,
    Pause(u64),
    /// Until everything whole is answered, at most so long.
    Await(u64),
    Read(Reading),
    /// Shut the sending side.
    Finish,
    Leave,
    /// Reset.
    Break,
}

impl Step {
    fn sends(&self) -> bool {
        matches!(self, Self::Send(_) | Self::SendRequests(_) | Self::SendHead)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    pub innocent: bool,
    pub listener: usize,
    pub start_ns: u64,
    pub window_bytes: usize,
    pub reading: Reading,
    /// It closes when the engine has ended.
    pub polite: bool,
    pub requests: Vec<Request>,
    pub steps: Vec<Step>,
}

impl Script {
    pub fn new(requests: Vec<Request>, steps: Vec<Step>) -> Self {
        Self {
            innocent: false,
            listener: 0,
            start_ns: 0,
            window_bytes: 64 << 10,
            reading: Reading::AtOnce,
            polite: true,
            requests,
            steps,
        }
    }

    /// Sends all requests at once and waits.
    pub fn at_once(requests: Vec<Request>) -> Self {
        let count = requests.len();
        Self::new(requests, vec![Step::SendRequests(count), Step::Await(60 * S)])
    }

    pub fn innocent(requests: usize, pause_ns: u64) -> Self {
        let steps = (0..requests)
            .flat_map(|_| [Step::SendRequests(1), Step::Await(S), Step::Pause(pause_ns)]);
        let steps = steps.chain([Step::Leave]).collect();
        let script = Self::new(vec![Request::predict(QUICK); requests], steps);
        Self { innocent: true, ..script }
    }

    pub fn reading(self, reading: Reading) -> Self {
        Self { reading, ..self }
    }

    pub fn window(self, window_bytes: usize) -> Self {
        Self { window_bytes, ..self }
    }

    pub fn after(self, start_ns: u64) -> Self {
        Self { start_ns, ..self }
    }

    /// How it reads, one after the other.
    pub fn readings(&self) -> Vec<Reading> {
        let later = self.steps.iter().filter_map(|step| match step {
            Step::Read(reading) => Some(*reading),
            _ => None,
        });
        std::iter::once(self.reading).chain(later).collect()
    }

    pub fn random(rng: &mut Rng) -> Self {
        match rng.below(12) {
            0..4 => Self::random_innocent(rng),
            4 => Self::random_flood(rng),
            _ => Self::random_other(rng),
        }
    }

    fn random_innocent(rng: &mut Rng) -> Self {
        let mut requests = Vec::new();
        let mut steps = Vec::new();
        for _ in 0..1 + rng.below(8) {
            let count = 1 + rng.index(3);
            for _ in 0..count {
                let application = [QUICK, LARGE, LAZY, NO_MODEL][rng.index(4)];
                let batch = rng.one_in(3);
                let inputs = if batch { 1 + rng.index(3) } else { 1 };
                let size = i32::try_from(rng.below(20)).expect("small");
                let framing = random_framing(rng);
                let ask = Ask::Predict { application, inputs, batch, size };
                requests.push(Request { framing, ..Request::of(ask) });
            }
            steps.push(Step::SendRequests(count));
            steps.push(Step::Await(10 * S));
            steps.push(Step::Pause(random_time(rng)));
        }
        steps.push(if rng.one_in(2) { Step::Leave } else { Step::Finish });
        let start_ns = random_time(rng);
        let listener = rng.index(2);
        Self { innocent: true, start_ns, listener, ..Self::new(requests, steps) }
    }

    /// Many requests at once, with large bodies, read at any pace.
    fn random_flood(rng: &mut Rng) -> Self {
        let padding = 256 << rng.below(6);
        let requests = vec![Request::predict(QUICK).padded(padding); 20 + rng.index(60)];
        let mut steps = vec![Step::SendRequests(requests.len())];
        if rng.one_in(2) {
            steps.extend([Step::Pause(random_time(rng)), Step::Read(Reading::AtOnce)]);
        }
        steps.extend(rng.one_in(3).then_some(Step::Finish));
        Self {
            start_ns: random_time(rng),
            window_bytes: 256 << rng.below(8),
            reading: random_reading(rng),
            ..Self::new(requests, steps)
        }
    }

    fn random_other(rng: &mut Rng) -> Self {
        let count = 1 + rng.index(30);
        let requests: Vec<Request> = (0..count).map(|_| random_request(rng)).collect();
        let mut steps = Vec::new();
        if rng.one_in(6) {
            // Far more than will be answered.
            steps.push(Step::SendRequests(count));
        }
        for _ in 0..1 + rng.index(25) {
            steps.push(match rng.below(24) {
                20..24 => Step::SendHead,
                0..6 => Step::SendRequests(1 + rng.index(16)),
                6..11 => Step::Send(1 + random_size(rng)),
                11..14 => Step::Pause(random_time(rng)),
                14..17 => Step::Await(random_time(rng)),
                _ => Step::Read(random_reading(rng)),
            });
        }
        steps.extend(match rng.below(6) {
            0 => Some(Step::Finish),
            1 => Some(Step::Leave),
            2 => Some(Step::Break),
            // Half a request, for good.
            3 => Some(Step::Send(1 + rng.index(200))),
            _ => None,
        });
        if rng.one_in(4) {
            steps.insert(rng.index(steps.len()), Step::Finish);
            cut_after_finish(&mut steps);
        }
        Self {
            start_ns: random_time(rng),
            listener: rng.index(2),
            window_bytes: 256 << rng.below(10),
            reading: random_reading(rng),
            polite: !rng.one_in(4),
            ..Self::new(requests, steps)
        }
    }
}

/// Who has shut its sending side sends nothing more.
fn cut_after_finish(steps: &mut Vec<Step>) {
    let mut finished = false;
    steps.retain(|step| {
        let sends = step.sends() || *step == Step::Finish;
        let keep = !(finished && sends);
        finished |= *step == Step::Finish;
        keep
    });
}

fn random_request(rng: &mut Rng) -> Request {
    let ask = match rng.below(40) {
        0 | 1 => Ask::BadJson,
        2 => Ask::NotFound,
        3 => Ask::Get,
        4 => Ask::Head,
        5 => {
            let (bytes, status) = GARBAGE[rng.index(GARBAGE.len())];
            Ask::Garbage(bytes, status)
        }
        6..10 => Ask::Predict {
            application: LARGE,
            inputs: 1 + rng.index(40),
            batch: true,
            size: i32::try_from(rng.below(4_000)).expect("small"),
        },
        10..16 => Ask::Predict { application: LARGE, inputs: 1, batch: false, size: 30_000 },
        _ => {
            let batch = rng.one_in(3);
            Ask::Predict {
                application: [QUICK, QUICK, LAZY, NO_MODEL][rng.index(4)],
                inputs: if batch { 1 + rng.index(6) } else { 1 },
                batch,
                size: i32::try_from(rng.below(30)).expect("small") - 3,
            }
        }
    };
    let padding = match rng.below(12) {
        0 | 1 => random_size(rng),
        // A body that is received a buffer at a time, where the application takes it.
        2 if matches!(ask, Ask::Predict { application: LARGE, .. }) => {
            BULK_BODY_BYTES_MIN + random_size(rng)
        }
        _ => 0,
    };
    let (framing, expects, closes) = (random_framing(rng), rng.one_in(4), rng.one_in(16));
    let request = Request { closes, padding, ..Request::of(ask) };
    // HTTP/1.0 knows neither chunks nor expectations.
    if rng.one_in(12) {
        Request { old: true, ..request }
    } else {
        Request { framing, expects, ..request }
    }
}

fn random_framing(rng: &mut Rng) -> Framing {
    if rng.one_in(4) { Framing::Chunked(1 + random_size(rng) / 4) } else { Framing::Length }
}

/// From bytes to tens of kibibytes, each magnitude as likely.
fn random_size(rng: &mut Rng) -> usize {
    let bits = rng.below(16);
    rng.index(1 << bits)
}

/// From nothing to tens of seconds.
fn random_time(rng: &mut Rng) -> u64 {
    let bits = rng.below(36);
    rng.below(1 << bits)
}

fn random_reading(rng: &mut Rng) -> Reading {
    match rng.below(6) {
        0..3 => Reading::AtOnce,
        3 => Reading::Never,
        4 => Reading::Paced { bytes: 16 + rng.index(64), every_ns: 250 * MS },
        _ => Reading::Paced { bytes: 2_048 + rng.index(30_000), every_ns: 250 * MS },
    }
}

impl Script {
    /// On few lines.
    pub fn describe(&self) -> String {
        let mut text = format!(
            "after {} ms, listener {}, window {}, {:?}, innocent {}, polite {}",
            self.start_ns / MS,
            self.listener,
            self.window_bytes,
            self.reading,
            self.innocent,
            self.polite
        );
        for step in &self.steps {
            text.push_str(&format!("\n    {step:?}"));
        }
        for (number, request) in self.requests.iter().enumerate() {
            if number > 0 && self.requests[number - 1] == *request {
                text.push_str(if text.ends_with(", again") { "" } else { ", again" });
                continue;
            }
            let Request { ask, framing, padding, .. } = request;
            text.push_str(&format!(
                "\n    request {number}: {ask:?} {framing:?} padding {padding}"
            ));
            let flags = [request.expects, request.old, request.closes];
            for (flag, name) in flags.into_iter().zip(["expects", "HTTP/1.0", "closes"]) {
                text.push_str(if flag { " " } else { "" });
                text.push_str(if flag { name } else { "" });
            }
        }
        text
    }
}

/// Worlds that are smaller than this one by one thing, the largest things first.
pub fn smaller(plan: &Plan) -> Vec<Plan> {
    let mut all = Vec::new();
    let mut with = |change: &dyn Fn(&mut Plan)| {
        let mut other = plan.clone();
        change(&mut other);
        if format!("{other:?}") != format!("{plan:?}") {
            all.push(other);
        }
    };
    for client in (0..plan.clients.len()).rev() {
        // The others keep their numbers: a client that does nothing stands in its place.
        with(&|plan| {
            plan.clients[client].steps.clear();
            plan.clients[client].requests.clear();
        });
    }
    with(&|plan| drop(plan.clients.pop_if(|last| last.requests.is_empty())));
    with(&|plan| plan.drain_ns = None);
    with(&|plan| plan.no_descriptors = None);
    with(&|plan| plan.restless = false);
    with(&|plan| plan.kernel.completions_per_poll_max = None);
    with(&|plan| plan.kernel.cancels_with_nobufs = false);
    with(&|plan| plan.kernel.loses_resets = false);
    for (client, script) in plan.clients.iter().enumerate() {
        let steps = script.steps.len();
        for part in [steps / 2, steps / 4, 1] {
            for from in (0..steps).rev().step_by(part.max(1)) {
                with(&|plan| {
                    let steps = &mut plan.clients[client].steps;
                    let until = (from + part.max(1)).min(steps.len());
                    steps.drain(from..until);
                });
            }
        }
        for half in [script.requests.len() / 2, script.requests.len() / 4] {
            with(&|plan| plan.clients[client].requests.truncate(half));
        }
        for request in (0..script.requests.len()).rev() {
            with(&|plan| {
                plan.clients[client].requests.remove(request);
            });
            with(&|plan| plan.clients[client].requests[request] = Request::predict(QUICK));
            with(&|plan| plan.clients[client].requests[request].padding = 0);
        }
        with(&|plan| plan.clients[client].start_ns = 0);
        with(&|plan| plan.clients[client].window_bytes = 64 << 10);
        with(&|plan| plan.clients[client].reading = Reading::AtOnce);
    }
    all
}
