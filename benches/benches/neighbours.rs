//! `cargo bench -p cutter-benches --bench neighbours`: what a large body or a large output of one
//! application costs the queries of another.
//!
//! The application `bench` is asked 1,000 times a second, in open loop: `alone`, `beside_body`
//! while another client sends bodies of 64 MiB one after another to an application without a model,
//! and `beside_output` while it asks a model that gives each of them back, 64 MiB of JSON in and
//! out.
//!
//! The engine has a core; both clients and both models share the other. There the other client and
//! its model run only when nobody else wants to (SCHED_IDLE), so that what is compared is what the
//! engine does. Its own part is told by its stages, as it measures them (p99, µs): `parse` from
//! the arrival of a request to its admission, `queue` from there to the batch, `reply` from the
//! prediction to the answer in the kernel's hands. `service` is the model.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cutter_bench_support::ROUNDS;
use cutter_bench_support::containers::example;
use cutter_bench_support::cores::Cores;
use cutter_bench_support::measurement::{Exchanges, Measurement, Round, Rounds, median};
use cutter_bench_support::options::Options;
use cutter_bench_support::processes::{Running, build, free_address, limit_time};
use cutter_bench_support::report::{print_note, print_table, write_json};
use cutter_bench_support::served::{self, configuration, requests};
use cutter_machine::affinity::pin_current;
use cutter_tools::admin::{AdminClient, Window};
use cutter_tools::arrivals::{Arrivals, Schedule};
use cutter_tools::load::{Pace, Plan, Wait};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::gettid;

/// Bytes of the large input: with base64 and its frame just under a body's limit.
const BULK_BYTES: usize = 50_331_000;
/// What the other client writes and reads in one call.
const PIECE_BYTES: usize = 16 << 10;
const QUERIES: Exchanges = Exchanges { warm_up: 200, recorded: 4_000 };
const QUERIES_QPS: f64 = 1_000.0;
/// The other client has begun by then.
const SETTLE: Duration = Duration::from_millis(300);
const START_TIME_LIMIT: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(1);

/// What the neighbour does: its name, and the application that it asks.
const NEIGHBOURS: [(&str, Option<&str>); 3] =
    [("alone", None), ("beside_body", Some("sink")), ("beside_output", Some("bulk"))];

/// The stages of a query, in the order of [`Server::round`].
const STAGES: [&str; 4] = ["parse", "queue", "service", "reply"];

fn main() -> io::Result<()> {
    let options = Options::read();
    let cores = Cores::choose()?;
    let cutter = build("cutter-command", "cutter")?;
    let models = (example("noop")?, build("cutter-tests", "echo")?);
    limit_time();
    let server = Server::start(&cutter, (&models.0, &models.1), cores)?;
    let mut rounds = NEIGHBOURS.map(|(name, _)| Rounds::new(name));
    let mut stages = NEIGHBOURS.map(|_| STAGES.map(|_| Vec::new()));
    for _ in 0..ROUNDS {
        for (place, (_, neighbour)) in NEIGHBOURS.into_iter().enumerate() {
            let (round, p99s_us) = server.round(neighbour, cores)?;
            rounds[place].add(round);
            stages[place].iter_mut().zip(p99s_us).for_each(|(all, p99_us)| all.push(p99_us));
        }
    }
    server.end()?;
    let measurements: Vec<Measurement> = rounds.into_iter().map(Rounds::finish).collect();
    let alone = measurements[0].p99_ns as f64;
    let measurements: Vec<Measurement> = measurements
        .into_iter()
        .zip(stages)
        .map(|(measured, stages)| {
            let ratio = measured.p99_ns as f64 / alone;
            let measured = measured.with("p99_ratio", ratio);
            STAGES.iter().zip(stages).fold(measured, |measured, (stage, p99s_us)| {
                measured.with(stage, median(p99s_us.into_iter()))
            })
        })
        .collect();
    let columns: Vec<&str> = ["p99_ratio"].into_iter().chain(STAGES).collect();
    print_table("Queries of one application beside 64 MiB of another", &measurements, &columns);
    print_note("aim: ratios under 1.10");
    write_json(&options, &measurements)
}

/// A process `cutter` that has predicted.
struct Server {
    process: Running,
    address: SocketAddr,
    admin: AdminClient,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(cutter: &Path, models: (&PathBuf, &PathBuf), cores: Cores) -> io::Result<Self> {
        let (address, admin) = (free_address()?, free_address()?);
        let (echo, cpu) = (models.1.display(), cores.other);
        let text = configuration(models.0, cores, "adaptive", &address.to_string());
        let text = text.replace("admin = \"127.0.0.1:0\"", &format!("admin = \"{admin}\""));
        // Who yields the shared core while waiting gives it to the other client, for milliseconds.
        let (server, model) = text.split_once("[[model]]").expect("a model");
        let text = format!("{server}[[model]]{}", model.replace("adaptive", "block"));
        let bulk = format!(
            r#"
[[application]]
name = "sink"
input = {{ type = "bytes", max_bytes = {BULK_BYTES} }}
rows = 16
slo_us = 60000000
default_output = "none"

[[application]]
name = "bulk"
input = {{ type = "bytes", max_bytes = {BULK_BYTES} }}
rows = 16
slo_us = 60000000
default_output = "none"
models = ["echo"]

[[model]]
name = "echo"
command = ["chrt", "--idle", "0", "{echo}", "bytes", "max", "{BULK_BYTES}"]
cpus = [{cpu}]
wait = "block"
"#
        );
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("cutter.toml");
        std::fs::write(&file, text + &bulk)?;
        let mut command = Command::new(cutter);
        command.arg("serve").arg("--config").arg(&file).env("RUST_LOG", "error");
        let process = Running::start(command.stdout(Stdio::null()))?;
        let start = Instant::now();
        let small = bulk_request("bulk", 3);
        for request in [&requests()[0], &small] {
            while !served::ask(address, request).is_ok_and(|reply| is_predicted(&reply)) {
                if start.elapsed() > START_TIME_LIMIT {
                    return Err(io::Error::other("no prediction in time"));
                }
                sleep(RETRY);
            }
        }
        let admin = AdminClient::new(&admin.to_string()).map_err(io::Error::other)?;
        Ok(Self { process, address, admin, _folder: folder })
    }

    /// The latencies of one round, and the p99 of each stage in µs.
    fn round(
        &self,
        neighbour: Option<&str>,
        cores: Cores,
    ) -> io::Result<(Round, [f64; STAGES.len()])> {
        let arrivals = Arrivals::Constant { rate_qps: QUERIES_QPS };
        let total = Some(QUERIES.total() as u64);
        let schedule = Schedule::new(&arrivals, None, total, 0).map_err(io::Error::other)?;
        let plan = served::plan(self.address, &requests(), Pace::Open(schedule));
        let plan = Plan { wait: Wait::Sleep, cpu: Some(cores.other), ..plan };
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let bulk = neighbour.map(|name| {
                let request = bulk_request(name, BULK_BYTES);
                let (address, over) = (self.address, &over);
                scope.spawn(move || ask_until(address, &request, over, cores))
            });
            sleep(SETTLE);
            let before = self.admin.stats().map_err(io::Error::other)?;
            let round = served::run(&plan, QUERIES);
            let after = self.admin.stats().map_err(io::Error::other)?;
            // The partner is the load in `ask_until`; nothing else is passed between the threads.
            over.store(true, Ordering::Relaxed);
            if let Some(bulk) = bulk {
                bulk.join().map_err(|_| io::Error::other("the other client ended"))??;
            }
            let window = Window::between(&before, &after);
            let window = window.ok_or_else(|| io::Error::other("the server started anew"))?;
            let bench = window.applications.iter().find(|app| app.name == "bench");
            let model = window.models.iter().find(|model| model.model == "model");
            let (Some(bench), Some(model)) = (bench, model) else {
                return Err(io::Error::other("the application and its model are not in the stats"));
            };
            let stages = [&bench.parse, &model.queue, &model.service, &bench.reply];
            Ok((round?, stages.map(|times| times.quantile(0.99).unwrap_or(0) as f64 / 1e3)))
        })
    }

    fn end(self) -> io::Result<()> {
        kill_process(Pid::from_child(self.process.child()), Signal::TERM)?;
        self.process.wait()
    }
}

/// Asks one after another until it is over; each answer must come whole.
fn ask_until(
    address: SocketAddr,
    request: &[u8],
    over: &AtomicBool,
    cores: Cores,
) -> io::Result<()> {
    pin_current(cores.other).map_err(io::Error::other)?;
    yield_to_others()?;
    let mut stream = TcpStream::connect(address)?;
    // The partner is the store in `round`.
    while !over.load(Ordering::Relaxed) {
        // Piece by piece: the kernel does not let others run within a call.
        for piece in request.chunks(PIECE_BYTES) {
            stream.write_all(piece)?;
        }
        read_message(&mut stream)?;
    }
    Ok(())
}

fn content_length(head: &[u8]) -> io::Result<usize> {
    let text = String::from_utf8_lossy(head);
    let field = text.split("Content-Length:").nth(1).and_then(|rest| rest.split("\r\n").next());
    let length = field.and_then(|digits| digits.trim().parse().ok());
    length.ok_or_else(|| io::Error::other(format!("no length in {text}")))
}

/// From now on this thread runs when nobody else wants its core.
fn yield_to_others() -> io::Result<()> {
    let thread = gettid().as_raw_nonzero().to_string();
    let done = Command::new("chrt").args(["--idle", "--pid", "0", &thread]).status()?;
    if done.success() { Ok(()) } else { Err(io::Error::other(format!("chrt: {done}"))) }
}

/// Reads a head and its body, and throws both away.
fn read_message(stream: &mut TcpStream) -> io::Result<()> {
    let (mut head, mut piece) = (Vec::new(), vec![0; PIECE_BYTES]);
    let body_start = loop {
        let bytes = stream.read(&mut piece)?;
        if bytes == 0 {
            return Err(io::Error::other("the peer closed the connection"));
        }
        head.extend_from_slice(&piece[..bytes]);
        if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let mut left = content_length(&head)? - (head.len() - body_start);
    while left > 0 {
        match stream.read(&mut piece)? {
            0 => return Err(io::Error::other("half a message")),
            bytes => left -= bytes,
        }
    }
    Ok(())
}

/// A query with so many bytes of input, in base64.
fn bulk_request(application: &str, bytes: usize) -> Vec<u8> {
    let text = "AAAA".repeat(bytes / 3);
    let length = text.len() + "{\"input\":\"\"}".len();
    format!(
        "POST /{application}/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\
         \r\n{{\"input\":\"{text}\"}}"
    )
    .into_bytes()
}

fn is_predicted(reply: &[u8]) -> bool {
    String::from_utf8_lossy(reply).contains("\"default\":false")
}
