//! `cargo bench -p cutter-benches --bench http`: queries over HTTP in closed loop, JSON of 784
//! floats, the no-op C model, beside an io_uring echo of the same bytes.
//!
//! The engine, or the echo, has one core; the model and the client share the other, and all of them
//! wait as they would in use: the engine and the model by `adaptive`, the others by yielding. The
//! client is the generator of `cutter-bench load`.
//!
//! `syscalls_per_request` counts what the server's thread calls: `io_uring_enter`, `sched_yield`,
//! and wakes of the model. Turns in which it finds nothing to do are in it; they are most of the
//! calls at one connection.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use cutter_bench_support::ROUNDS;
use cutter_bench_support::containers::example;
use cutter_bench_support::cores::Cores;
use cutter_bench_support::measurement::{Exchanges, Measurement, Round, Rounds, median};
use cutter_bench_support::options::Options;
use cutter_bench_support::processes::limit_time;
use cutter_bench_support::report::{
    p50, p99, print_note, print_ratio, print_table, qps, write_json,
};
use cutter_bench_support::served::{self, configuration, requests};
use cutter_server::config::{Config, Listen};
use cutter_server::limits::GAUGE_PERIOD_NS;
use cutter_server::server::{Host, Server};
use cutter_tools::floor::cores::pin;
use cutter_tools::floor::echo::{EchoConfig, EchoServer, Waiting};
use cutter_tools::load::{Pace, Plan};

/// Connections of the clients.
const CROWDS: [usize; 3] = [1, 32, 128];
/// Of one round.
const TIME_LIMIT_NS: u64 = 10_000_000_000;
const FIGURES: [&str; 4] =
    ["syscalls_per_request", "enters_per_request", "yields_per_request", "wakes_per_request"];

/// One row of the table.
struct Subject {
    connections: usize,
    is_echo: bool,
    rounds: Rounds,
    calls: Vec<Calls>,
}

/// System calls of a server's thread for each request.
#[derive(Clone, Copy, Default)]
struct Calls {
    enters: f64,
    yields: f64,
    wakes: f64,
}

/// A server, and where it is.
struct Cutter {
    server: Server,
    address: SocketAddr,
    cores: Cores,
    requests: Vec<Vec<u8>>,
}

fn main() -> io::Result<()> {
    let options = Options::read();
    let cores = Cores::choose()?;
    let noop = example("noop")?;
    limit_time();
    let cutter = Cutter::start(cores, &noop)?;
    pin(cores.other)?;
    let reply = cutter.first_reply()?;
    let mut subjects: Vec<Subject> = CROWDS.into_iter().flat_map(Subject::pair).collect();
    for _ in 0..ROUNDS {
        for subject in &mut subjects {
            let (round, calls) = if subject.is_echo {
                echo_round(cores, &cutter.requests, &reply, subject.connections)?
            } else {
                cutter.round(subject.connections)?
            };
            subject.rounds.add(round);
            subject.calls.push(calls);
        }
    }
    let request_bytes = cutter.requests[0].len();
    cutter.end()?;
    let measurements: Vec<Measurement> = subjects.into_iter().map(Subject::finish).collect();
    let title = format!("HTTP in closed loop, {request_bytes} B there, {} B back", reply.len());
    print_table(&title, &measurements, &FIGURES);
    print_ratio(&measurements, ("cutter_c1", "echo_c1"), ("p50", p50), "≤ 2.0");
    print_ratio(&measurements, ("cutter_c1", "echo_c1"), ("p99", p99), "");
    print_ratio(&measurements, ("cutter_c32", "echo_c32"), ("throughput", qps), "");
    print_ratio(&measurements, ("cutter_c128", "echo_c128"), ("throughput", qps), "");
    print_note("aims: cutter_c32 ≤ 1.5 system calls a request, cutter_c128 ≥ 99,200 a second");
    print_note("system calls of idle turns are included");
    write_json(&options, &measurements)
}

impl Cutter {
    fn start(cores: Cores, model: &Path) -> io::Result<Self> {
        let text = configuration(model, cores, "adaptive", "127.0.0.1:0");
        let (config, _) =
            Config::from_toml(&text, &std::env::temp_dir(), "the bench's configuration")
                .map_err(io::Error::other)?;
        let server = Server::start(config, Host::default()).map_err(io::Error::other)?;
        let Some(Listen::Tcp(address)) = server.addresses().first().cloned() else {
            return Err(io::Error::other("the server listens on no port"));
        };
        Ok(Self { server, address, cores, requests: requests() })
    }

    /// Waits for the model, and says what a reply is like.
    fn first_reply(&self) -> io::Result<Vec<u8>> {
        let reply = served::ask(self.address, &self.requests[0])?;
        let text = String::from_utf8_lossy(&reply);
        if text.starts_with("HTTP/1.1 200 ") && text.contains("\"default\":false") {
            return Ok(reply);
        }
        Err(io::Error::other(format!("not a prediction: {text}")))
    }

    fn round(&self, connections: usize) -> io::Result<(Round, Calls)> {
        let (before, predicted) = (self.calls()?, self.predictions());
        let round = ask(self.address, self.cores, &self.requests, connections)?;
        let after = self.calls()?;
        let predictions = self.predictions() - predicted;
        let calls = [0, 1, 2].map(|kind| (after[kind] - before[kind]) as f64 / predictions as f64);
        Ok((round, Calls { enters: calls[0], yields: calls[1], wakes: calls[2] }))
    }

    fn predictions(&self) -> u64 {
        self.server.counted().applications[0].predictions.get()
    }

    /// System calls of the engine's thread so far: enters, yields, wakes.
    ///
    /// The engine publishes its enters now and then, in a turn with something to do.
    fn calls(&self) -> io::Result<[u64; 3]> {
        sleep(Duration::from_nanos(GAUGE_PERIOD_NS) + Duration::from_millis(10));
        self.first_reply()?;
        let stats = self.server.counted().engine;
        let counters =
            [&stats.system_calls_enter, &stats.system_calls_yield, &stats.system_calls_wake];
        Ok(counters.map(cutter_core::stats::Counter::get))
    }

    fn end(mut self) -> io::Result<()> {
        self.server.stop();
        self.server.join().map_err(io::Error::other)
    }
}

impl Subject {
    fn pair(connections: usize) -> [Self; 2] {
        [("echo", true), ("cutter", false)].map(|(who, is_echo)| {
            let name = format!("{who}_c{connections}");
            let rounds = Rounds::new(&name);
            Self { connections, is_echo, rounds, calls: Vec::new() }
        })
    }

    fn finish(self) -> Measurement {
        let middle = |kind: fn(&Calls) -> f64| median(self.calls.iter().map(kind));
        let all = |calls: &Calls| calls.enters + calls.yields + calls.wakes;
        let figures =
            [middle(all), middle(|c| c.enters), middle(|c| c.yields), middle(|c| c.wakes)];
        let named = FIGURES.into_iter().zip(figures);
        named.fold(self.rounds.finish(), |so_far, (name, value)| so_far.with(name, value))
    }
}

/// The same bytes as Cutter's, over the same ring.
fn echo_round(
    cores: Cores,
    requests: &[Vec<u8>],
    reply: &[u8],
    connections: usize,
) -> io::Result<(Round, Calls)> {
    let request_bytes = requests[0].len();
    let waiting = Waiting::Yield;
    let config = EchoConfig { request_bytes, reply: reply.to_vec(), waiting, cpu: cores.engine };
    let server = EchoServer::start(config)?;
    let round = ask(server.address(), cores, requests, connections)?;
    let report = server.stop()?;
    let each = |calls: u64| calls as f64 / report.requests.max(1) as f64;
    Ok((round, Calls { enters: each(report.enters), yields: each(report.yields), wakes: 0.0 }))
}

/// Requests in closed loop: on each connection, the next one when the last was answered.
fn ask(
    address: SocketAddr,
    cores: Cores,
    requests: &[Vec<u8>],
    connections: usize,
) -> io::Result<Round> {
    let exchanges = match connections {
        1 => Exchanges { warm_up: 2_000, recorded: 20_000 },
        _ => Exchanges { warm_up: 10_000, recorded: 50_000 },
    };
    let total = Some(exchanges.total() as u64);
    let pace = Pace::Closed { requests: total, duration_ns: Some(TIME_LIMIT_NS) };
    let one = served::plan(address, requests, pace);
    served::run(&Plan { connections, cpu: Some(cores.other), ..one }, exchanges)
}
