//! The head of a request (RFC 9112, section 3; RFC 9110, section 5).

use std::io::Write;

use super::{BodiesError, BodyOptions, Input, Protocol};
use crate::target::Target;

const INFERENCE_LENGTH: &str = "Inference-Header-Content-Length";
/// Fields that say where a body ends, or whether another request follows: a user who set them
/// would get a broken run.
const RESERVED: [&str; 4] = ["Content-Length", "Transfer-Encoding", "Connection", INFERENCE_LENGTH];

/// What the heads of a run have in common.
#[derive(Debug)]
pub struct Head {
    /// All but the lengths and the empty line.
    common: Vec<u8>,
    is_head: bool,
    /// Whether a body of no bytes has a Content-Length: not so for methods that have no body.
    tells_zero: bool,
}

impl Head {
    pub fn new(
        target: &Target,
        protocol: Protocol,
        input: &Input,
        options: &BodyOptions,
    ) -> Result<Self, BodiesError> {
        let has_body = *input != Input::None;
        let method = options.method.as_deref().unwrap_or(if has_body { "POST" } else { "GET" });
        if !is_token(method) {
            return Err(BodiesError::Method { method: method.to_owned() });
        }
        options.headers.iter().try_for_each(check_field)?;
        let host = one(options, "Host")?.unwrap_or(&target.host);
        let content_type = one(options, "Content-Type")?.unwrap_or(type_of(protocol, input));
        let mut common = format!("{method} {} HTTP/1.1\r\nHost: {host}\r\n", target.path);
        if has_body {
            common += &format!("Content-Type: {content_type}\r\n");
        }
        for (name, value) in &options.headers {
            if !["Host", "Content-Type"].iter().any(|own| own.eq_ignore_ascii_case(name)) {
                common += &format!("{name}: {value}\r\n");
            }
        }
        if options.close {
            common += "Connection: close\r\n";
        }
        let tells_zero = has_body || !matches!(method, "GET" | "HEAD" | "DELETE" | "OPTIONS");
        Ok(Self { common: common.into_bytes(), is_head: method == "HEAD", tells_zero })
    }

    pub fn is_head(&self) -> bool {
        self.is_head
    }

    /// Writes the head of a body of `body_bytes`, of which `json_bytes` are JSON if there is more.
    pub fn write(&self, out: &mut Vec<u8>, body_bytes: usize, json_bytes: Option<usize>) {
        const INVARIANT: &str = "writing to a Vec cannot fail";
        out.extend_from_slice(&self.common);
        if let Some(json_bytes) = json_bytes {
            write!(out, "{INFERENCE_LENGTH}: {json_bytes}\r\n").expect(INVARIANT);
        }
        if body_bytes > 0 || self.tells_zero {
            write!(out, "Content-Length: {body_bytes}\r\n").expect(INVARIANT);
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn type_of(protocol: Protocol, input: &Input) -> &'static str {
    const JSON: &str = "application/json";
    const BYTES: &str = "application/octet-stream";
    let is_json_file = |path: &std::path::Path| path.extension().is_some_and(|end| end == "json");
    match (protocol, input) {
        (Protocol::Clipper | Protocol::OipJson, _) => JSON,
        (Protocol::OipBinary, Input::File(_) | Input::Folder(_)) => JSON,
        (Protocol::OipBinary, _) => BYTES,
        (Protocol::Raw, Input::File(path)) if is_json_file(path) => JSON,
        (Protocol::Raw, _) => BYTES,
    }
}

fn check_field((name, value): &(String, String)) -> Result<(), BodiesError> {
    if !is_token(name) {
        return Err(BodiesError::HeaderName { name: name.clone() });
    }
    if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
        return Err(BodiesError::HeaderReserved { name: name.clone() });
    }
    if value.bytes().any(|byte| byte != b'\t' && byte.is_ascii_control()) {
        Err(BodiesError::HeaderValue { name: name.clone(), value: value.clone() })
    } else {
        Ok(())
    }
}

/// The value of a field that may stand once.
fn one<'a>(options: &'a BodyOptions, name: &str) -> Result<Option<&'a str>, BodiesError> {
    let mut found = options.headers.iter().filter(|field| field.0.eq_ignore_ascii_case(name));
    let first = found.next().map(|field| &*field.1);
    match found.next() {
        Some(_) => Err(BodiesError::HeaderTwice { name: name.to_owned() }),
        None => Ok(first),
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_of_token)
}
