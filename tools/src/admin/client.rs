//! One question and one answer over HTTP/1.1, with a bound on everything.
//!
//! Each question has a connection of its own, since that is how the admin port serves. The whole
//! exchange has one deadline: a port that sends a byte now and then cannot hold anyone up.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use cutter_admin_api::{Inspection, Readiness, Stats, inspect, stats};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::limits::{
    ADMIN_ANSWER_BYTES_MAX, ADMIN_CONNECT_NS, ADMIN_EXCHANGE_NS, ADMIN_HEADERS_MAX,
};

/// Why an admin port told nothing. Each is one line.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("{text:?} is no admin address: {why}; write HOST:PORT, for example 127.0.0.1:1338")]
    Address { text: String, why: String },
    #[error(
        "no admin port at {address}: {why}; is the server running, and is this the `admin` address \
         of its configuration?"
    )]
    Unreachable { address: SocketAddr, why: String },
    #[error(
        "the admin port at {address} took more than {} ms to answer: the server is stopped, or its \
         control thread is stuck", within_ns / 1_000_000
    )]
    Silent { address: SocketAddr, within_ns: u64 },
    #[error(
        "{address} is no admin port of Cutter: GET {path} gave {why}; give the `admin` address of \
         the server's configuration, not one where it takes queries"
    )]
    NotAdmin { address: SocketAddr, path: &'static str, why: String },
    #[error(
        "the server at {address} speaks {found:?} at {path}, and this tool {expected:?}; use the \
         tool of the server's version"
    )]
    Schema { address: SocketAddr, path: &'static str, found: String, expected: &'static str },
    #[error("the server at {address} was started anew meanwhile; ask again")]
    Restarted { address: SocketAddr },
}

/// A server that is not ready says so in the status, too.
const READINESS_STATUSES: [u16; 2] = [200, 503];

/// The way to one admin port.
#[derive(Clone, Copy, Debug)]
pub struct AdminClient {
    address: SocketAddr,
}

impl AdminClient {
    /// Nothing is connected yet.
    pub fn new(text: &str) -> Result<Self, AdminError> {
        let refused = |why: String| AdminError::Address { text: text.to_owned(), why };
        let mut addresses = text.to_socket_addrs().map_err(|error| refused(error.to_string()))?;
        let address = addresses.next().ok_or_else(|| refused("it has no address".to_owned()))?;
        Ok(Self { address })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the engine has counted.
    pub fn stats(&self) -> Result<Stats, AdminError> {
        self.read("/stats", stats::SCHEMA).map(|(stats, _)| stats)
    }

    /// How the engine stands, and the same as the text that came.
    pub fn inspect(&self) -> Result<(Inspection, String), AdminError> {
        self.read("/inspect", inspect::SCHEMA)
    }

    /// Which models and replicas are ready.
    pub fn readiness(&self) -> Result<Readiness, AdminError> {
        let (address, path) = (self.address, "/readyz");
        let body = self.get(path, &READINESS_STATUSES)?;
        serde_json::from_str(&body).map_err(|error| {
            let why = format!("no readiness ({error})");
            AdminError::NotAdmin { address, path, why }
        })
    }

    fn read<T: DeserializeOwned>(
        &self,
        path: &'static str,
        expected: &'static str,
    ) -> Result<(T, String), AdminError> {
        #[derive(Deserialize)]
        struct Named {
            schema: String,
        }
        let not_admin = |why: String| AdminError::NotAdmin { address: self.address, path, why };
        let body = self.get(path, &[200])?;
        let named: Named = serde_json::from_str(&body)
            .map_err(|error| not_admin(format!("no JSON with a schema ({error})")))?;
        if named.schema != expected {
            let (address, found) = (self.address, named.schema);
            return Err(AdminError::Schema { address, path, found, expected });
        }
        let answer = serde_json::from_str(&body);
        let answer =
            answer.map_err(|error| not_admin(format!("an answer that is not whole ({error})")))?;
        Ok((answer, body))
    }

    fn get(&self, path: &'static str, statuses: &[u16]) -> Result<String, AdminError> {
        let address = self.address;
        let answer = exchange(address, path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                AdminError::Silent { address, within_ns: ADMIN_EXCHANGE_NS }
            }
            _ => AdminError::Unreachable { address, why: error.to_string() },
        })?;
        body_of(&answer, statuses).map_err(|why| AdminError::NotAdmin { address, path, why })
    }
}

/// Sends the question and receives until the other side closes.
fn exchange(address: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let until = Instant::now() + Duration::from_nanos(ADMIN_EXCHANGE_NS);
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_nanos(ADMIN_CONNECT_NS))?;
    stream.set_write_timeout(Some(left(until)?))?;
    let question = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: application/json\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(question.as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = vec![0; 64 << 10];
    while answer.len() <= ADMIN_ANSWER_BYTES_MAX {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// The body of an answer that was received whole. Else: what was wrong with it.
fn body_of(answer: &[u8], statuses: &[u16]) -> Result<String, String> {
    if answer.len() > ADMIN_ANSWER_BYTES_MAX {
        return Err(format!("more than {ADMIN_ANSWER_BYTES_MAX} bytes"));
    }
    let mut headers = [httparse::EMPTY_HEADER; ADMIN_HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let head_bytes = match head.parse(answer) {
        Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
        Ok(httparse::Status::Partial) => return Err("an answer that breaks off".to_owned()),
        Err(error) => return Err(format!("something that is not HTTP ({error})")),
    };
    let status = head.code.unwrap_or_default();
    if !statuses.contains(&status) {
        return Err(format!("HTTP status {status}"));
    }
    let body = &answer[head_bytes..];
    let length = head.headers.iter().find(|h| h.name.eq_ignore_ascii_case("content-length"));
    let length: Option<usize> =
        length.and_then(|field| std::str::from_utf8(field.value).ok()?.parse().ok());
    match length {
        Some(length) if body.len() == length => {}
        Some(length) => return Err(format!("{} bytes of {length}", body.len())),
        None => return Err("a body without a length".to_owned()),
    }
    String::from_utf8(body.to_vec()).map_err(|_| "a body that is not text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answering, http, stats_json};
    use super::*;

    fn failure(bytes: &[u8]) -> String {
        answering(bytes, |client| client.stats().unwrap_err().to_string())
    }

    #[test]
    fn an_answer_is_read_whole() {
        let stats = answering(&http(200, &stats_json().to_string()), |client| client.stats());
        let stats = stats.unwrap();
        assert_eq!((stats.applications[0].name.as_str(), stats.at_ns), ("digits", 1_000_000_000));
    }

    #[test]
    fn a_server_that_is_not_ready_tells_what_is_missing() {
        let body = r#"{"status": "not_ready", "models": [{"name": "a", "version": "1",
            "replicas": [{"replica": 0, "state": "loading", "for_ms": 1, "pid": 7,
            "incarnation": 1, "restarts": 0}]}]}"#;
        let found = answering(&http(503, body), |client| client.readiness()).unwrap();
        assert_eq!((found.is_ready(), found.models[0].replicas[0].pid), (false, Some(7)));
        let error = answering(&http(500, "{}"), |client| client.readiness()).unwrap_err();
        assert!(error.to_string().contains("HTTP status 500"), "{error}");
    }

    #[test]
    fn a_port_where_nobody_listens_is_named_with_what_to_check() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = AdminClient::new(&address.to_string()).unwrap().stats().unwrap_err();
        assert!(matches!(error, AdminError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("is the server running"), "{error}");
    }

    #[test]
    fn what_is_no_admin_port_is_told_by_what_it_answers() {
        let whole = stats_json().to_string();
        let long = format!("HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n{whole}");
        for (bytes, why) in [
            (&b"SSH-2.0-OpenSSH\r\n"[..], "something that is not HTTP"),
            (b"", "an answer that breaks off"),
            (&http(404, "{}"), "HTTP status 404"),
            (&http(200, "hello"), "no JSON with a schema"),
            (&http(200, "{\"schema\": \"cutter-stats/1\"}"), "an answer that is not whole"),
            (long.as_bytes(), "bytes of 9999999"),
            (b"HTTP/1.1 200 OK\r\n\r\n{}", "a body without a length"),
        ] {
            let error = failure(bytes);
            assert!(error.contains("is no admin port of Cutter"), "{error}");
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn another_version_of_the_format_is_refused_by_its_name() {
        let error = failure(&http(200, "{\"schema\": \"cutter-stats/2\"}"));
        assert!(error.contains("\"cutter-stats/2\"") && error.contains("use the tool"), "{error}");
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_to_write() {
        for text in ["", "here", "127.0.0.1:99999", "/tmp/x"] {
            let error = AdminClient::new(text).unwrap_err().to_string();
            assert!(error.contains("write HOST:PORT"), "{error}");
        }
    }
}
