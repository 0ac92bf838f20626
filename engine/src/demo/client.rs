//! The client's side of HTTP: a request for the class of an image, and answers out of bytes.
//!
//! Owner: the replaying thread. Pure: bytes in, answers out, however they were split on their way.
//! What the server sends is judged here and not trusted: the demo is also a test of the server.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter, Write as _};

use serde::Deserialize;

use super::limits::{REPLY_BYTES_MAX, REPLY_HEADERS_MAX};
use crate::stats::Reason;
use cutter_tools::digits::Row;

/// The bytes that ask for the class of one image, with six decimals for each value.
pub fn request(application: &str, host: &str, row: &Row) -> Vec<u8> {
    let mut body = String::with_capacity(row.len() * 9 + 16);
    for (index, value) in row.iter().enumerate() {
        let before = if index == 0 { r#"{"input":["# } else { "," };
        write!(body, "{before}{value:.6}").expect("writing to a String cannot fail");
    }
    body.push_str("]}");
    let head = format!(
        "POST /{application}/predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

/// What the server said to one query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The model's class.
    Prediction { class: i64 },
    /// The default output, and why.
    Default { reason: Reason },
    /// An error of HTTP.
    Refused { status: u16, body: String },
}

impl Display for Answer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prediction { class } => write!(f, "the class {class}"),
            Self::Default { reason } => {
                write!(f, "the default, for the reason {}", reason.as_str())
            }
            Self::Refused { status, body } => write!(f, "status {status}: {body}"),
        }
    }
}

/// Why bytes are not an answer of this server.
#[derive(Debug, thiserror::Error)]
pub enum ReplyError {
    #[error("an answer's head is not HTTP: {0}")]
    Head(#[from] httparse::Error),
    #[error("an answer has no Content-Length that makes sense: {found:?}")]
    Length { found: String },
    #[error("an answer is longer than {REPLY_BYTES_MAX} bytes")]
    TooLong,
    #[error("an answer's body is not the JSON of a prediction ({source}): {body}")]
    Body {
        body: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("a prediction is no class: {output}")]
    Class { output: String },
    #[error("a default was answered for an unknown reason: {found:?}")]
    Reason { found: String },
}

/// Puts answers together from the bytes of one connection.
#[derive(Debug, Default)]
pub struct ReplyReader {
    bytes: Vec<u8>,
}

impl ReplyReader {
    /// Takes bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next answer, when all of it is there.
    pub fn next(&mut self) -> Result<Option<Answer>, ReplyError> {
        let Some(frame) = frame(&self.bytes)? else {
            let is_too_long = self.bytes.len() > REPLY_BYTES_MAX;
            return if is_too_long { Err(ReplyError::TooLong) } else { Ok(None) };
        };
        let answer = read_answer(frame.status, &self.bytes[frame.body.clone()])?;
        self.bytes.drain(..frame.body.end);
        Ok(Some(answer))
    }

    /// Whether nothing is left of what came.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Where an answer's body lies.
struct Frame {
    status: u16,
    body: std::ops::Range<usize>,
}

fn frame(bytes: &[u8]) -> Result<Option<Frame>, ReplyError> {
    let mut headers = [httparse::EMPTY_HEADER; REPLY_HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = response.parse(bytes)? else { return Ok(None) };
    let mut lengths = response
        .headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("Content-Length"))
        .map(|header| String::from_utf8_lossy(header.value));
    let (length, another) = (lengths.next().unwrap_or_default(), lengths.next());
    let body_bytes: Option<usize> = length.trim().parse().ok();
    let (Some(body_bytes), None) = (body_bytes, another) else {
        return Err(ReplyError::Length { found: length.into_owned() });
    };
    if body_bytes > REPLY_BYTES_MAX {
        return Err(ReplyError::TooLong);
    }
    let status = response.code.unwrap_or_default();
    let body = head_bytes..head_bytes + body_bytes;
    Ok((bytes.len() >= body.end).then_some(Frame { status, body }))
}

#[derive(Deserialize)]
struct Body<'a> {
    output: serde_json::Value,
    default: bool,
    #[serde(default, borrow)]
    reason: Option<Cow<'a, str>>,
}

fn read_answer(status: u16, body: &[u8]) -> Result<Answer, ReplyError> {
    let text = || String::from_utf8_lossy(body).into_owned();
    if status != 200 {
        return Ok(Answer::Refused { status, body: text() });
    }
    let body: Body<'_> =
        serde_json::from_slice(body).map_err(|source| ReplyError::Body { body: text(), source })?;
    if body.default {
        let found = body.reason.unwrap_or_default();
        let reason = Reason::ALL.into_iter().find(|reason| reason.as_str() == found);
        let unknown = || ReplyError::Reason { found: found.clone().into_owned() };
        return reason.map(|reason| Answer::Default { reason }).ok_or_else(unknown);
    }
    let class = body.output.as_i64();
    let no_class = || ReplyError::Class { output: body.output.to_string() };
    class.map(|class| Answer::Prediction { class }).ok_or_else(no_class)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutter_tools::digits::INPUTS;

    const PREDICTION: &str = r#"{"query_id":17,"output":7,"default":false}"#;
    const DEFAULT: &str = concat!(
        r#"{"query_id":1,"output":-1,"default":true,"#,
        r#""default_explanation":"No \"x\"","reason":"late"}"#
    );

    fn reply(status: &str, body: &str) -> Vec<u8> {
        let bytes = body.len();
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: {bytes:>10}\r\n\r\n{body}");
        text.into_bytes()
    }

    fn read(pieces: &[&[u8]]) -> Vec<Answer> {
        let mut reader = ReplyReader::default();
        let mut answers = Vec::new();
        for piece in pieces {
            reader.push(piece);
            answers.extend(std::iter::from_fn(|| reader.next().unwrap()));
        }
        assert!(reader.is_empty());
        answers
    }

    fn error(bytes: &[u8]) -> String {
        let mut reader = ReplyReader::default();
        reader.push(bytes);
        reader.next().unwrap_err().to_string()
    }

    #[test]
    fn answers_split_at_any_two_places_are_the_same() {
        let bytes = [reply("200 OK", PREDICTION), reply("200 OK", DEFAULT)].concat();
        let expected = [Answer::Prediction { class: 7 }, Answer::Default { reason: Reason::Late }];
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(read(&pieces), expected, "split at {first} and {second}");
            }
        }
    }

    #[test]
    fn a_status_other_than_200_is_told_with_its_body() {
        let answers = read(&[&reply("503 Service Unavailable", "{\"error\":1}")]);
        assert_eq!(answers, [Answer::Refused { status: 503, body: "{\"error\":1}".to_owned() }]);
    }

    #[test]
    fn every_reason_of_a_default_is_known() {
        for reason in Reason::ALL {
            let body = DEFAULT.replace("late", reason.as_str());
            assert_eq!(read(&[&reply("200 OK", &body)]), [Answer::Default { reason }]);
        }
    }

    #[test]
    fn what_is_no_answer_is_refused_with_what_was_found() {
        assert!(error(b"SSH-2.0-x\r\n").starts_with("an answer's head is not HTTP"));
        let length = |head: &str| error(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes());
        let senseless = "an answer has no Content-Length that makes sense: ";
        assert_eq!(length("Server: x"), format!("{senseless}\"\""));
        assert_eq!(length("Content-Length: -1"), format!("{senseless}\"-1\""));
        assert_eq!(length("Content-Length: 1\r\ncontent-length: 1"), format!("{senseless}\"1\""));
        assert_eq!(length("Content-Length: 65537"), "an answer is longer than 65536 bytes");
        assert_eq!(error(&b"HTTP/1.1 200 OK\r\nA: b\r\n".repeat(4_000)), {
            "an answer's head is not HTTP: invalid header name"
        });
        let of_reason = DEFAULT.replace("late", "tired");
        let unknown = "a default was answered for an unknown reason: \"tired\"";
        assert_eq!(error(&reply("200 OK", &of_reason)), unknown);
        let of_class = PREDICTION.replace('7', "7.5");
        assert_eq!(error(&reply("200 OK", &of_class)), "a prediction is no class: 7.5");
        let no_json = error(&reply("200 OK", "hello"));
        assert!(no_json.starts_with("an answer's body is not the JSON"), "{no_json}");
        assert!(no_json.ends_with("hello"), "{no_json}");
    }

    #[test]
    fn a_head_without_an_end_is_refused_when_it_is_too_long() {
        let head = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(REPLY_BYTES_MAX));
        assert_eq!(error(head.as_bytes()), "an answer is longer than 65536 bytes");
    }

    #[test]
    fn a_request_says_how_long_it_is_and_has_six_decimals() {
        let mut row = [0.0; INPUTS];
        (row[0], row[783]) = (0.25, 1.0 / 3.0);
        let text = String::from_utf8(request("digits", "h:1", &row)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /digits/predict HTTP/1.1\r\nHost: h:1\r\n"), "{head}");
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{head}");
        assert!(body.starts_with(r#"{"input":[0.250000,0.000000,"#), "{body}");
        assert!(body.ends_with(",0.333333]}"), "{body}");
        let parsed: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(parsed["input"].as_array().unwrap().len(), INPUTS);
    }
}
