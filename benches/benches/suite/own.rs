//! What the load generator itself costs.

use std::net::SocketAddr;
use std::{io, thread};

use cutter_bench_support::ROUNDS;
use cutter_bench_support::measurement::median;
use cutter_bench_support::report::print_note;
use cutter_tools::bodies::{self, BodyOptions, Input, Protocol, Questions};
use cutter_tools::floor::cores::pin;
use cutter_tools::floor::echo::{EchoConfig, EchoServer, Waiting};
use cutter_tools::floor::exchange::{Sampling, record};
use cutter_tools::floor::link::{self, Link};
use cutter_tools::load::{self, Pace, Plan, Progress, Recording, Wait};
use cutter_tools::target::{Address, Target};

use super::Setting;

const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
    Content-Length: 28\r\n\r\n{\"output\":7,\"default\":false}";
const EXCHANGES: u64 = 20_000;
const SECONDS_NS: u64 = 2_000_000_000;

pub fn run(setting: &Setting) -> io::Result<()> {
    added(setting)?;
    throughput(setting)
}

/// The raw client and `load`, by turns, at the same server with the same bytes.
fn added(setting: &Setting) -> io::Result<()> {
    let (mut raw, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let questions = questions()?;
        let config = EchoConfig {
            request_bytes: questions.range(0).len(),
            reply: REPLY.to_vec(),
            waiting: Waiting::Spin,
            cpu: setting.cores.engine,
        };
        let server = EchoServer::start(config)?;
        let request = &questions.slab()[questions.range(0)];
        let cpu = setting.cores.other;
        let asked =
            thread::scope(|scope| scope.spawn(|| ask(server.address(), request, cpu)).join());
        raw.push(p50(asked.map_err(|_| io::Error::other("the raw client panicked"))??));
        let pace = Pace::Closed { requests: Some(EXCHANGES), duration_ns: Some(SECONDS_NS) };
        let plan = plan(setting, Address::Tcp(server.address()), questions, pace);
        let recording = load(&Plan { wait: Wait::Spin, ..plan })?;
        ours.push(p50(recording.samples.iter().skip(1_000).map(|s| s.latency_ns).collect()));
        server.stop()?;
    }
    let [raw, ours] = [raw, ours].map(|rounds| median(rounds.into_iter()) as f64 / 1e3);
    print_note(&format!(
        "\nown: a closed-loop round trip has a p50 of {ours:.2} µs by load, and of {raw:.2} µs by \
         the raw client:\nload adds {:.2} µs (aim: below 2)",
        ours - raw
    ));
    Ok(())
}

/// The raw client, pinned, on a thread of its own.
fn ask(address: SocketAddr, request: &[u8], cpu: usize) -> io::Result<Vec<u64>> {
    pin(cpu)?;
    let link = Link::connect(address, link::Wait::Spin)?;
    let mut reply = vec![0; REPLY.len()];
    let recorded = usize::try_from(EXCHANGES).expect("few");
    let sampling = Sampling { warm_up: 1_000, recorded, time_ns_max: SECONDS_NS };
    record(sampling, || {
        link.send(request)?;
        link.receive(&mut reply).map(|_| ())
    })
}

/// Requests a second from one sending thread, against the trivial responder.
fn throughput(setting: &Setting) -> io::Result<()> {
    for (connections, pipeline) in [(128, 1), (32, 16)] {
        let mut rates = Vec::new();
        let mut busy = Vec::new();
        for _ in 0..ROUNDS {
            let responder = super::peers::Responder::start(setting)?;
            let pace = Pace::Closed { requests: None, duration_ns: Some(SECONDS_NS) };
            let target: Target = responder.target("/x").parse().map_err(io::Error::other)?;
            let plan = plan(setting, target.address, questions()?, pace);
            let recording = load(&Plan { connections, pipeline, ..plan })?;
            let count = recording.samples.len() as f64;
            rates.push(count * 1e9 / recording.elapsed_ns as f64);
            busy.push(recording.generator.busy_ns as f64 / count / 1e3);
        }
        print_note(&format!(
            "own: {:.0} requests/s over {connections} connections, {pipeline} under way on each, \
             {:.2} µs of work a request (aim: ≥ 200,000/s)",
            median(rates.into_iter()),
            median(busy.into_iter())
        ));
    }
    Ok(())
}

fn questions() -> io::Result<Questions> {
    let target: Target = "http://127.0.0.1:1/x".parse().map_err(io::Error::other)?;
    let input: Input = "float32:16".parse().map_err(io::Error::other)?;
    let options = BodyOptions::default();
    bodies::build(&target, Protocol::Raw, &input, &options).map_err(io::Error::other)
}

fn plan(setting: &Setting, address: Address, questions: Questions, pace: Pace) -> Plan {
    Plan {
        address,
        questions,
        check: Protocol::Raw.check(),
        pace,
        connections: 1,
        pipeline: 1,
        time_limit_ns: SECONDS_NS,
        wait: Wait::Adaptive,
        cpu: Some(setting.cores.other),
    }
}

fn load(plan: &Plan) -> io::Result<Recording> {
    let recording = load::run(plan, &Progress::default()).map_err(io::Error::other)?;
    match &recording.first_error {
        None => Ok(recording),
        Some(error) => Err(io::Error::other(error.clone())),
    }
}

fn p50(times_ns: Vec<u64>) -> u64 {
    median(times_ns.into_iter())
}
