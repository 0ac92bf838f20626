//! What must hold whatever the clients do, as the clients and the models see it.
//!
//! The oracle reads answers byte by byte with code of its own and knows the engine only by its
//! limits.

use std::collections::HashSet;

use cutter_wire::limits::{BODY_GRACE_NS, HEAD_TIME_NS, KEEP_ALIVE_IDLE_NS};

use super::client::{Answer, Client, End};
use super::script::{Ask, LARGE, LAZY, QUICK, Reading, Step, client_of, identity};
use super::{MS, S};
use crate::limits::{DRAIN_NS_MAX, LINGER_NS, PIPELINED_REQUESTS_MAX, SEND_RATE_BYTES_PER_S};

/// What every integer of an output is, behind the first.
pub const FILLER: i32 = 7;
/// The objectives of the applications.
pub const SLO_NS: [u64; 4] = [20 * MS, 50 * MS, 5 * MS, 20 * MS];
/// What turns may add to an objective.
pub const TURN_NS: u64 = 5 * MS;
/// A connection whose client does nothing more is gone after this.
pub const ENDS_WITHIN_NS: u64 =
    KEEP_ALIVE_IDLE_NS + HEAD_TIME_NS + BODY_GRACE_NS + LINGER_NS + 5 * S;
/// A drain is over after this.
pub const DRAINED_WITHIN_NS: u64 = DRAIN_NS_MAX + LINGER_NS + S;
/// What arrives so shortly before the engine ends an idle connection may have crossed its end.
const CROSSING_NS: u64 = 10 * MS;
/// Requests of one connection that are executed and not yet sent: those that are owed, and those
/// in the send that is in flight.
const EXECUTED_MAX: usize = 2 * PIPELINED_REQUESTS_MAX;
/// The shortest answer.
const ANSWER_BYTES_MIN: usize = 100;
/// Who reads slower than this may be cut off.
const READING_RATE_BYTES_PER_S: u64 = 2 * SEND_RATE_BYTES_PER_S;

/// What the rules depend on.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    pub now_ns: u64,
    pub draining_since_ns: Option<u64>,
    /// There are fewer places than clients.
    pub crowded: bool,
    pub accepted_ns: Option<u64>,
    pub turned_away: bool,
    /// When the engine ended its side.
    pub shut_ns: Option<u64>,
}

/// How often what was seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub predictions: u64,
    pub defaults: u64,
    pub batches: u64,
    pub problems: u64,
    pub refusals: u64,
    pub timeouts: u64,
    pub interims: u64,
    pub closes: u64,
    pub half_closed_served: u64,
    pub innocent_answers: u64,
    pub cut_off: u64,
}

impl Seen {
    pub fn entries(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("predictions", self.predictions),
            ("defaults", self.defaults),
            ("batches", self.batches),
            ("problems", self.problems),
            ("refusals", self.refusals),
            ("timeouts", self.timeouts),
            ("interims", self.interims),
            ("closes", self.closes),
            ("half_closed_served", self.half_closed_served),
            ("innocent_answers", self.innocent_answers),
            ("cut_off", self.cut_off),
        ]
    }
}

#[derive(Debug, Default)]
pub struct Oracle {
    executed: HashSet<i32>,
    pub seen: Seen,
}

impl Oracle {
    /// A model took this input.
    pub fn executed(&mut self, identity: i32, clients: &mut [Client]) {
        assert!(self.executed.insert(identity), "input {identity:#x} was executed twice");
        let (number, request, _) = client_of(identity);
        let client = &mut clients[number];
        let whole = client.ends[request] <= client.written;
        assert!(whole, "request {request} of client {number} was executed and not sent");
        let closed = client.closing && request >= client.answered;
        assert!(!closed, "request {request} of client {number} executed behind a close");
        if !client.executed.contains(&request) {
            client.executed.push(request);
        }
        let most = EXECUTED_MAX + client.script.window_bytes / ANSWER_BYTES_MIN;
        let ahead = client.executed.iter().filter(|one| **one >= client.answered).count();
        assert!(ahead <= most, "{ahead} requests were executed for client {number}, unread");
    }

    /// A batch of these inputs failed as a whole: each may be tried again.
    pub fn failed(&mut self, inputs: &[(i32, i32)]) {
        for (identity, _) in inputs {
            assert!(self.executed.remove(identity), "input {identity:#x} failed unexecuted");
        }
    }

    /// A client read an answer whole.
    pub fn answered(&mut self, number: usize, client: &mut Client, answer: &Answer, at: Context) {
        assert!(!client.closing, "client {number} got an answer behind a close: {answer:?}");
        let index = client.answered;
        let request = client.script.requests.get(index).copied();
        let behind = client.executed.iter().find(|one| answer.closes && **one > index);
        assert!(behind.is_none(), "client {number}: {behind:?} executed behind a close");
        if answer.is_interim() {
            self.seen.interims += 1;
            client.interims += 1;
            assert!(request.is_some_and(|r| r.expects), "client {number}: nobody expected a 100");
            assert_eq!(client.interims, 1, "client {number} got a second 100");
            return;
        }
        client.interims = 0;
        assert!(!answer.date.is_empty() || answer.closes, "an answer without a date");
        let whole = client.ends.get(index).is_some_and(|end| *end <= client.written);
        let fits = request.is_some_and(|r| whole && fits(r.ask, answer.status));
        if fits {
            self.fitting(number, client, answer, at);
        } else {
            self.refused(number, client, answer, at);
        }
        client.answered += 1;
        client.answered_ns = at.now_ns;
        client.closing |= answer.closes;
        self.seen.closes += u64::from(answer.closes);
    }

    fn fitting(&mut self, number: usize, client: &Client, answer: &Answer, at: Context) {
        let index = client.answered;
        let request = client.script.requests[index];
        let draining = at.draining_since_ns.is_some();
        let closes = request.closes || request.is_garbage();
        assert!(answer.closes || !closes, "client {number}: request {index} asked to close");
        assert!(
            closes || draining || !answer.closes,
            "client {number}: request {index} was well framed, its answer {} closes",
            answer.status
        );
        if let Ask::Predict { application, inputs, batch, size } = request.ask {
            let body = &answer.body;
            let read = self.body(number, index, (application, inputs, batch, size), body);
            let text = || String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
            assert!(read.is_some(), "client {number}, request {index}: wrong: {}", text());
        } else {
            self.seen.problems += 1;
            assert!(request.is_head() || answer.body.starts_with(b"{\"error\":"), "{answer:?}");
        }
        if client.script.innocent {
            self.seen.innocent_answers += 1;
            let slo_ns = match request.ask {
                Ask::Predict { application, .. } => SLO_NS[application],
                _ => 0,
            };
            let arrived_ns = client.arrived_ns(index).max(at.accepted_ns.unwrap_or(0));
            let took_ns = at.now_ns - arrived_ns;
            let most_ns = slo_ns + TURN_NS;
            assert!(took_ns <= most_ns, "innocent client {number} waited {took_ns} ns");
        }
    }

    /// An answer that no whole request asked for.
    fn refused(&mut self, number: usize, client: &mut Client, answer: &Answer, at: Context) {
        self.seen.refusals += 1;
        self.seen.timeouts += u64::from(answer.status == 408);
        assert!(!client.refused, "client {number} was refused twice");
        assert!(answer.closes, "client {number}: a refusal that does not close: {answer:?}");
        let known = [400, 408, 413, 414, 431, 501, 503, 505].contains(&answer.status);
        assert!(known, "client {number}, request {}: {answer:?}", client.answered);
        client.refused = true;
        let turned_away = at.crowded && answer.status == 503 && client.answered == 0;
        assert!(!client.script.innocent || turned_away, "innocent client {number}: {answer:?}");
    }

    /// A client's connection ended.
    pub fn ended(&mut self, number: usize, client: &Client, at: Context) {
        let end = client.end.expect("it ended");
        if end == End::Left || client.refused || client.closing {
            // Behind its last answer there is nothing, not even half of one.
            let part = client.has_part() && end == End::Finished && client.reads_well();
            assert!(!part, "client {number}: half an answer at the end");
            return;
        }
        let script = &client.script;
        let idle_ns = at.now_ns.saturating_sub(client.acted_ns);
        let spared = script.innocent && !at.crowded;
        let draining = at.draining_since_ns.is_some();
        let accepted = at.accepted_ns.is_some();
        if script.innocent {
            assert!(end != End::Reset || at.crowded || draining, "innocent client {number}: reset");
        }
        if !client.reads_well() || !accepted || at.turned_away {
            self.seen.cut_off += 1;
            return;
        }
        let shut_ns = at.shut_ns.unwrap_or(at.now_ns);
        // What was sent to an idle connection as it ended crossed that end.
        let crossing_ns = shut_ns.saturating_sub(CROSSING_NS);
        let quiet_ns =
            shut_ns.saturating_sub(client.heard_ns(at.accepted_ns.unwrap_or(0), crossing_ns));
        let idle = quiet_ns + S >= KEEP_ALIVE_IDLE_NS || draining || at.crowded;
        let owed = client.whole_by(if idle { crossing_ns } else { shut_ns });
        let answered = client.answered;
        assert!(answered >= owed, "client {number}: {answered} of {owed} answered, {end:?}");
        let part = client.has_part();
        assert!(!part, "client {number}: an answer was cut off");
        let asked = client.finished || draining || !spared || idle_ns >= KEEP_ALIVE_IDLE_NS;
        assert!(asked, "innocent client {number} was closed after {idle_ns} ns");
        self.seen.half_closed_served += u64::from(client.has_finished() && answered > 0);
    }

    /// The drain is over. Who reads has got everything that it asked for in time.
    pub fn drained(&self, number: usize, client: &Client, at: Context) {
        let since_ns = at.draining_since_ns.expect("it drains");
        let open = client.end.is_none() && at.accepted_ns.is_some();
        if open && client.reads_at_once() && !client.refused && !client.closing {
            let by_ns = at.now_ns.saturating_sub(CROSSING_NS).min(since_ns + DRAIN_NS_MAX);
            let (answered, owed) = (client.answered, client.whole_by(by_ns));
            assert!(answered >= owed, "client {number}: {answered} of {owed} answered, drained");
        }
    }

    fn body(
        &mut self,
        client: usize,
        request: usize,
        (application, inputs, batch, size): (usize, usize, bool, i32),
        body: &[u8],
    ) -> Option<()> {
        let mut rest = body;
        let mut item = |index, rest: &mut &[u8]| {
            let identity = identity(client, request, index);
            let predicted = take_item(rest, identity, size)?;
            let executable = matches!(application, QUICK | LARGE | LAZY) && size >= 0;
            assert!(executable || !predicted, "a prediction by nobody");
            // The answer of a model is that of an execution.
            assert!(!predicted || self.executed.contains(&identity));
            self.seen.predictions += u64::from(predicted);
            self.seen.defaults += u64::from(!predicted);
            Some(())
        };
        if !batch {
            item(0, &mut rest)?;
            return rest.is_empty().then_some(());
        }
        if inputs == 1 {
            // A batch of one is its item, unwrapped, and the batch.
            let at = find(body, b",\"batch_predictions\":[")?;
            let unwrapped = [&body[..at], b"}"].concat();
            item(0, &mut &unwrapped[..])?;
            rest = &body[at + 1..];
        } else {
            take(&mut rest, b"{")?;
        }
        take(&mut rest, b"\"batch_predictions\":[")?;
        for index in 0..inputs {
            if index > 0 {
                take(&mut rest, b",")?;
            }
            item(index, &mut rest)?;
        }
        self.seen.batches += 1;
        (rest == b"]}").then_some(())
    }
}

impl Client {
    /// It reads at least at the least rate, and always has.
    fn reads_well(&self) -> bool {
        let readings = self.script.readings();
        let well = |reading: Reading| match reading {
            Reading::AtOnce => true,
            Reading::Never => false,
            Reading::Paced { bytes, every_ns } => {
                bytes as u64 * S / every_ns >= READING_RATE_BYTES_PER_S
                    && self.script.window_bytes >= bytes
            }
        };
        readings.into_iter().all(well)
    }

    fn reads_at_once(&self) -> bool {
        self.script.readings().into_iter().all(|reading| reading == Reading::AtOnce)
    }

    fn has_finished(&self) -> bool {
        self.script.steps.iter().take(self.step).any(|step| *step == Step::Finish)
    }
}

/// Whether a whole request may be answered so.
fn fits(ask: Ask, status: u16) -> bool {
    match ask {
        Ask::Predict { .. } => status == 200,
        Ask::BadJson => status == 400,
        Ask::NotFound => status == 404,
        Ask::Get | Ask::Head => status == 405,
        Ask::Garbage(_, expected) => status == expected,
    }
}

/// Takes one item's answer. Says whether it is a prediction.
fn take_item(rest: &mut &[u8], identity: i32, size: i32) -> Option<bool> {
    take(rest, b"{\"query_id\":")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    *rest = &rest[digits..];
    take(rest, b",\"output\":")?;
    if take(rest, b"[").is_some() {
        take(rest, identity.to_string().as_bytes())?;
        let filler = format!(",{FILLER}");
        (0..size).try_for_each(|_| take(rest, filler.as_bytes()))?;
        take(rest, b"],\"default\":false}")?;
        return Some(true);
    }
    take(rest, b"-1,\"default\":true,\"default_explanation\":\"")?;
    let text = rest.iter().position(|byte| *byte == b'"')?;
    *rest = &rest[text..];
    take(rest, b"\",\"reason\":\"")?;
    let word = rest.iter().take_while(|byte| byte.is_ascii_lowercase() || **byte == b'_').count();
    *rest = &rest[word..];
    take(rest, b"\"}")?;
    Some(false)
}

fn take(rest: &mut &[u8], expected: &[u8]) -> Option<()> {
    *rest = rest.strip_prefix(expected)?;
    Some(())
}

fn find(bytes: &[u8], sought: &[u8]) -> Option<usize> {
    bytes.windows(sought.len()).position(|part| part == sought)
}
