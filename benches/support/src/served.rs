//! What the benches over HTTP have served: one application of 784 floats, `bench`, and its model;
//! and how it is asked.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use cutter_tools::bodies::Questions;
use cutter_tools::load::{self, Pace, Plan, Progress, Wait};
use cutter_tools::reply::{Check, Framer};
use cutter_tools::target::Address;

use crate::cores::Cores;
use crate::inputs::bodies;
use crate::measurement::{Exchanges, Round};

/// The application's promise; far above what a query takes, so that none is answered late.
const SLO_US: u64 = 1_000_000;
/// A request that is not answered by then fails the bench.
const REPLY_TIME_LIMIT_NS: u64 = 10_000_000_000;

/// A configuration with free ports. The model runs on the clients' core.
pub fn configuration(model: &Path, cores: Cores, wait: &str, query: &str) -> String {
    let Cores { engine, other } = cores;
    let model = model.display();
    format!(
        r#"
[server]
query = ["{query}"]
admin = "127.0.0.1:0"
cpu = {engine}
wait = "{wait}"

[[application]]
name = "bench"
input = {{ type = "floats", shape = [784] }}
slo_us = {SLO_US}
default_output = "-1"
models = ["model"]

[[model]]
name = "model"
command = ["{model}"]
cpus = [{other}]
wait = "{wait}"
"#
    )
}

/// All inputs, as queries over HTTP.
pub fn requests() -> Vec<Vec<u8>> {
    bodies().iter().map(|body| request("/bench/predict", body)).collect()
}

/// A load on one connection, by a client that is pinned nowhere.
pub fn plan(address: SocketAddr, requests: &[Vec<u8>], pace: Pace) -> Plan {
    Plan {
        address: Address::Tcp(address),
        questions: Questions::of(requests),
        check: Check::Clipper,
        pace,
        connections: 1,
        pipeline: 1,
        time_limit_ns: REPLY_TIME_LIMIT_NS,
        wait: Wait::Adaptive,
        cpu: None,
    }
}

/// Runs a plan of so many requests.
pub fn run(plan: &Plan, exchanges: Exchanges) -> io::Result<Round> {
    let recording = load::run(plan, &Progress::default()).map_err(io::Error::other)?;
    Round::of(&recording, exchanges)
}

/// Asks once, on a connection of its own, and gives the whole reply, head and body.
pub fn ask(address: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_nanos(REPLY_TIME_LIMIT_NS)))?;
    stream.write_all(request)?;
    let (mut framer, mut reply, mut piece) = (Framer::new(false), Vec::new(), [0; 4096]);
    loop {
        let mut came = match stream.read(&mut piece)? {
            0 => return Err(io::Error::other("the server closed a connection")),
            bytes => &piece[..bytes],
        };
        reply.extend_from_slice(came);
        if framer.next(&mut came).map_err(io::Error::other)?.is_some() {
            return Ok(reply);
        }
    }
}

/// A request over HTTP with this body.
pub fn request(path: &str, body: &[u8]) -> Vec<u8> {
    let bytes = body.len();
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/json\r\nContent-Length: {bytes}\r\n\r\n"
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}
