//! Predictions that a cache knows, over HTTP, beside an io_uring echo of the same bytes: what is
//! lost to finding what was said of a body that is known.

use std::io;
use std::net::SocketAddr;

use cutter_bench_support::ROUNDS;
use cutter_bench_support::cores::Cores;
use cutter_bench_support::finding::{Aim, Finding, percent};
use cutter_bench_support::measurement::{Exchanges, Measurement, Round, Rounds};
use cutter_bench_support::processes::word;
use cutter_bench_support::served;
use cutter_tools::floor::echo::{EchoConfig, EchoServer, Waiting};
use cutter_tools::load::{Pace, Plan};
use serde_json::json;

use super::stage::{Programs, Script, Stage};

/// Connections of the clients.
const CROWDS: [usize; 3] = [1, 32, 128];
/// The crowd whose figures are the part's: enough to keep both servers busy.
const CROWD: usize = 32;
const SLO_US: u64 = 1_000_000;
/// Of one round.
const TIME_LIMIT_NS: u64 = 60_000_000_000;
const SHARE_MIN: f64 = 0.9;

/// Rounds of one crowd.
struct Subject {
    connections: usize,
    hits: Rounds,
    echo: Rounds,
}

pub fn find(cores: Cores, programs: &Programs) -> io::Result<Finding> {
    let command = [word(&programs.noop)];
    let script = Script::new(cores, "adaptive")
        .plain_application("bench", &["noop"], SLO_US)
        .model("noop", &command, "cache = {}");
    let stage = Stage::start(&script)?;
    let requests = served::requests();
    let reply = first_reply(stage.address, &requests)?;
    let mut subjects = CROWDS.map(|connections| Subject {
        connections,
        hits: Rounds::new("hits"),
        echo: Rounds::new("echo"),
    });
    for _ in 0..ROUNDS {
        for subject in &mut subjects {
            let (hits, asked) = (stage.address, &requests);
            subject.hits.add(ask(hits, cores, asked, subject.connections)?);
            let config = EchoConfig {
                request_bytes: requests[0].len(),
                reply: reply.clone(),
                waiting: Waiting::Yield,
                cpu: cores.engine,
            };
            let echo = EchoServer::start(config)?;
            subject.echo.add(ask(echo.address(), cores, asked, subject.connections)?);
            echo.stop()?;
        }
    }
    stage.end()?;
    let bytes = (requests[0].len(), reply.len());
    Ok(finding(&subjects.map(|of| (of.connections, of.hits.finish(), of.echo.finish())), bytes))
}

/// Asks each question once, so that the cache knows them all, and says what a reply is like.
fn first_reply(address: SocketAddr, requests: &[Vec<u8>]) -> io::Result<Vec<u8>> {
    let mut reply = Vec::new();
    for request in requests {
        reply = served::ask(address, request)?;
    }
    let text = String::from_utf8_lossy(&reply);
    if text.starts_with("HTTP/1.1 200 ") && text.contains("\"default\":false") {
        return Ok(reply);
    }
    Err(io::Error::other(format!("not a prediction: {text}")))
}

/// Requests in closed loop: on each connection, the next one when the last was answered.
fn ask(
    address: SocketAddr,
    cores: Cores,
    requests: &[Vec<u8>],
    connections: usize,
) -> io::Result<Round> {
    let exchanges = match connections {
        1 => Exchanges { warm_up: 2_000, recorded: 10_000 },
        _ => Exchanges { warm_up: 5_000, recorded: 40_000 },
    };
    let total = Some(exchanges.total() as u64);
    let pace = Pace::Closed { requests: total, duration_ns: Some(TIME_LIMIT_NS) };
    let one = served::plan(address, requests, pace);
    served::run(&Plan { connections, cpu: Some(cores.other), ..one }, exchanges)
}

fn finding(figures: &[(usize, Measurement, Measurement)], bytes: (usize, usize)) -> Finding {
    let part = |hits: &Measurement, echo: &Measurement| hits.qps / echo.qps;
    let row = |(connections, hits, echo): &(usize, Measurement, Measurement)| {
        let us = |ns: u64| format!("{:.1}", ns as f64 / 1e3);
        let (of_hits, of_echo) = (format!("{:.0}", hits.qps), format!("{:.0}", echo.qps));
        let p99 = [us(hits.p99_ns), us(echo.p99_ns)];
        let p50 = [us(hits.p50_ns), us(echo.p50_ns)];
        let first = [connections.to_string(), of_hits, of_echo, percent(part(hits, echo))];
        first.into_iter().chain(p50).chain(p99).collect()
    };
    let at = figures.iter().find(|(connections, ..)| *connections == CROWD);
    let (_, hits, echo) = at.expect("one of the crowds");
    let found = part(hits, echo);
    // With one connection nothing is done side by side: the difference is the work of a hit.
    let (_, hit_alone, echo_alone) = &figures[0];
    let more_us = (hit_alone.p50_ns as f64 - echo_alone.p50_ns as f64) / 1e3;
    Finding {
        title: format!("Cache hits over HTTP, {} B there, {} B back", bytes.0, bytes.1),
        records: vec![json!({
            "name": "cache_hit",
            "qps": hits.qps.round(),
            "echo_qps": echo.qps.round(),
            "connections": CROWD,
        })],
        head: vec![
            "connections",
            "hits/s",
            "echo/s",
            "share",
            "hit p50 µs",
            "echo p50",
            "hit p99",
            "echo p99",
        ],
        rows: figures.iter().map(row).collect(),
        aims: vec![Aim::new(
            found >= SHARE_MIN,
            format!(
                "at {CROWD} connections {} of an echo, at least {}",
                percent(found),
                percent(SHARE_MIN)
            ),
        )],
        notes: vec![
            format!(
                "one at a time a hit takes {more_us:.1} µs more than an echo: reading a head, a \
                 keyed hash of the body, comparing that with the one that is kept, and writing the \
                 answer"
            ),
            "paper: 105,951 hits a second (unpublished, with 24 s from end to end)".to_owned(),
        ],
        charts: Vec::new(),
    }
}
