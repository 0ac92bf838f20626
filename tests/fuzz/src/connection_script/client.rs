//! A client as its side of the connection sees it: what it sent, what that means to a reader that
//! is given all of it in order, and what it gets.

use cutter_server::port::http::{Endpoint, Endpoints, Route};
use cutter_wire::http::{Head, Method, Phase, RequestReader, Step, decode_path_segment};
use cutter_wire::json::read_predict;
use cutter_wire::json::render::TextRule;
use cutter_wire::limits::INPUT_BATCH_MAX;
use serde_json::value::RawValue;

use super::model;
use crate::json_body::KeptRows;
use crate::raw::{Entries, array, text};
use crate::rendered;

/// What a request asks for, if it is one for predictions.
#[derive(Clone, Debug)]
pub struct Question {
    pub application: usize,
    pub is_batch: bool,
    pub inputs: Vec<Vec<u8>>,
}

/// A request that came whole.
#[derive(Clone, Debug)]
struct Request {
    keeps_alive: bool,
    is_head: bool,
    expects: bool,
    question: Option<Question>,
}

#[derive(Debug)]
struct Response {
    status: u16,
    closes: bool,
    body: String,
}

/// A client, and the connection that it has.
#[derive(Debug, Default)]
pub struct Client {
    /// What is to be sent next.
    pub pending: Vec<u8>,
    reader: RequestReader<Route>,
    unread: Vec<u8>,
    requests: Vec<Request>,
    /// The status of the refusal that the stream asks for.
    bad: Option<u16>,
    got: Vec<u8>,
    answered: usize,
    interims: usize,
    /// The last answer said that the connection ends.
    pub closing: bool,
    /// A send is under way.
    pub sending: bool,
    /// It will send nothing more.
    pub finished: bool,
    /// Everything owed is out, and the connection ends.
    pub ended: bool,
}

impl Client {
    /// These bytes go to the server.
    pub fn sent(&mut self, bytes: &[u8], endpoints: &Endpoints) {
        self.unread.extend_from_slice(bytes);
        while self.bad.is_none() {
            let consumed = match self.reader.read(&self.unread, endpoints) {
                Step::NeedMore { consumed, .. } => {
                    self.unread.drain(..consumed);
                    return;
                }
                Step::Continue100 { consumed } => consumed,
                Step::Request { head, body, consumed, .. } => {
                    self.requests.push(Request {
                        keeps_alive: head.keep_alive,
                        is_head: head.method == Method::Head,
                        expects: head.expect_continue,
                        question: question(&head, body, endpoints),
                    });
                    consumed
                }
                Step::Bad(error) => {
                    self.bad = Some(error.status().code());
                    0
                }
            };
            self.unread.drain(..consumed);
        }
    }

    /// Whether it waits for the answer to a request with this input.
    pub fn waits_for(&self, application: usize, input: &[u8]) -> bool {
        let open = self.requests.iter().skip(self.answered);
        let mut asked = open.filter_map(|request| request.question.as_ref());
        !self.closing
            && asked.any(|question| {
                question.application == application
                    && question.inputs.iter().any(|other| other == input)
            })
    }

    /// Whether every whole request was answered, and a stream that makes no sense refused.
    pub fn is_answered(&self) -> bool {
        self.closing || (self.answered == self.requests.len() && self.bad.is_none())
    }

    /// Whether it got nothing but whole answers.
    pub fn has_part(&self) -> bool {
        !self.got.is_empty()
    }

    /// These bytes come from the server.
    pub fn got(&mut self, bytes: &[u8], draining: bool) {
        self.got.extend_from_slice(bytes);
        while !self.got.is_empty() {
            assert!(
                !self.closing,
                "behind the last answer: {}",
                String::from_utf8_lossy(&self.got)
            );
            let is_head = self.requests.get(self.answered).is_some_and(|request| request.is_head);
            let Some((response, consumed)) = parse(&self.got, is_head) else { return };
            self.got.drain(..consumed);
            if response.status == 100 {
                self.check_interim();
            } else {
                self.check(&response, draining);
                self.answered += 1;
                self.interims = 0;
                self.closing = response.closes;
            }
        }
    }

    fn check_interim(&mut self) {
        self.interims += 1;
        assert_eq!(self.interims, 1, "one request is told twice to go on");
        let expects = match self.requests.get(self.answered) {
            Some(request) => request.expects,
            None => self.bad.is_some() || self.reader.phase() == Phase::Body,
        };
        assert!(expects, "nobody waits to be told to go on");
    }

    fn check(&self, response: &Response, draining: bool) {
        let &Response { status, closes, .. } = response;
        let Some(request) = self.requests.get(self.answered) else {
            return self.check_refusal(response);
        };
        let fits = match &request.question {
            Some(_) => status == 200,
            None => [204, 400, 404, 405, 415].contains(&status),
        };
        if !fits {
            return self.check_refusal(response);
        }
        assert!(closes || request.keeps_alive, "it was to be the last: {response:?}");
        assert!(!closes || !request.keeps_alive || draining, "it asked to go on: {response:?}");
        if let Some(question) = &request.question {
            check_predictions(&response.body, question);
        }
    }

    /// An answer that no whole request asked for is the last.
    fn check_refusal(&self, response: &Response) {
        assert!(response.closes, "a refusal that does not close: {response:?}");
        let is_bad = self.answered == self.requests.len() && self.bad == Some(response.status);
        assert!(is_bad || [408, 503].contains(&response.status), "{response:?}");
    }
}

/// What a whole request asks for; nothing where it is answered with a problem.
fn question(head: &Head<'_>, body: &[u8], endpoints: &Endpoints) -> Option<Question> {
    let application = application_at(head.path, endpoints)?;
    if head.method != Method::Post || head.is_encoded {
        return None;
    }
    let (_, endpoint) = endpoints.iter().nth(application)?;
    let Endpoint { input, models, .. } = endpoint;
    let mut rows = KeptRows::new(input, false);
    let read = read_predict(body, input, INPUT_BATCH_MAX, &mut rows).ok()?;
    let current = models.first().map(|(_, version)| version.as_str());
    let is_served = read.version.is_none() || read.version.as_deref() == current;
    let question = Question { application, is_batch: read.is_batch, inputs: rows.rows };
    is_served.then_some(question)
}

fn application_at(path: &str, endpoints: &Endpoints) -> Option<usize> {
    let segments: Result<Vec<_>, _> = path.split('/').map(decode_path_segment).collect();
    let segments = segments.ok()?;
    let (start, name) = match &segments[..] {
        [start, name, predict] if predict[..] == *b"predict" => (start, name),
        [start, name, predict, end] if predict[..] == *b"predict" && end.is_empty() => {
            (start, name)
        }
        _ => return None,
    };
    let mut endpoints = endpoints.iter();
    let found = endpoints.position(|(_, endpoint)| endpoint.name.as_bytes() == &name[..]);
    found.filter(|_| start.is_empty())
}

/// The first response, if it is there whole, and how many bytes it has.
fn parse(bytes: &[u8], is_head: bool) -> Option<(Response, usize)> {
    let head_bytes = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = str::from_utf8(&bytes[..head_bytes - 4]).expect("a head is ASCII");
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line.strip_prefix("HTTP/1.1 ").expect(status_line);
    let (status, reason) = status.split_once(' ').expect(status_line);
    assert!(status.len() == 3 && !reason.is_empty(), "{status_line:?}");
    let status: u16 = status.parse().expect("three digits");
    let (mut closes, mut length) = (false, None);
    for line in lines {
        let (name, value) = line.split_once(": ").expect(line);
        match name {
            "Content-Length" => {
                let before = length.replace(value.trim_start().parse::<usize>().expect(line));
                assert_eq!(before, None, "two lengths");
            }
            "Connection" => closes = value == "close",
            "Date" | "Content-Type" | "Allow" | "Accept-Encoding" => {}
            _ => panic!("an unknown field {line:?}"),
        }
    }
    if [100, 204].contains(&status) {
        assert_eq!(length, None, "{head}");
        return Some((Response { status, closes, body: String::new() }, head_bytes));
    }
    let length = length.expect("an answer has a length");
    // A refusal comes in the place of an answer, and is none to a HEAD.
    let is_omitted = is_head && ![408, 503].contains(&status);
    let end = head_bytes + if is_omitted { 0 } else { length };
    let body = str::from_utf8(bytes.get(head_bytes..end)?).expect("a body is UTF-8").to_owned();
    Some((Response { status, closes, body }, end))
}

fn check_predictions(body: &str, question: &Question) {
    let inputs = &question.inputs;
    let Entries(entries) = serde_json::from_str(body).expect(body);
    if !question.is_batch {
        assert_eq!(inputs.len(), 1);
        return check_item(&entries, question.application, &inputs[0]);
    }
    let (batch, unwrapped) = match &entries[..] {
        [rest @ .., (name, batch)] if name == "batch_predictions" => (*batch, rest),
        _ => panic!("no batch in {body}"),
    };
    let items = array(batch).expect(body);
    assert_eq!(items.len(), inputs.len(), "{body}");
    for (item, input) in items.iter().zip(inputs) {
        let Entries(entries) = serde_json::from_str(item.get()).expect(body);
        check_item(&entries, question.application, input);
    }
    match (inputs.len(), unwrapped.is_empty()) {
        (1, false) => check_item(unwrapped, question.application, &inputs[0]),
        (_, is_empty) => assert!(is_empty && inputs.len() > 1, "{body}"),
    }
}

/// An item is the model's output for its input, or the default output and why.
fn check_item(entries: &[(String, &RawValue)], application: usize, input: &[u8]) {
    let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
    let values: Vec<&RawValue> = entries.iter().map(|(_, value)| *value).collect();
    assert!(values[0].get().parse::<u64>().is_ok(), "{entries:?}");
    if names == ["query_id", "output", "default"] {
        assert_eq!(values[2].get(), "false");
        let output = model::output(application, input).expect("a prediction by nobody");
        let spec = model::output_spec(application);
        return rendered::check(values[1], &spec, &output, TextRule::Json);
    }
    assert_eq!(names, ["query_id", "output", "default", "default_explanation", "reason"]);
    assert_eq!((values[1].get(), values[2].get()), ("-1", "true"));
    assert!(text(values[3]).is_some_and(|text| !text.is_empty()), "{entries:?}");
    let reason = text(values[4]).expect("a word");
    let is_word = |char: char| char.is_ascii_lowercase() || char == '_';
    assert!(!reason.is_empty() && reason.chars().all(is_word), "{reason}");
}
