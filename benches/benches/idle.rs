//! `cargo bench -p cutter-benches --bench idle`: what a server costs while nobody asks, and how
//! soon it answers after its start.
//!
//! `spin`, `yield`, `adaptive`, `block`: the engine and its replica (the C model `noop`) both wait
//! by that strategy. `cpu_percent` is the processor time of the whole server and its replica while
//! nothing is asked, in percent of a core; the latencies are those of single queries that come
//! after a pause, which is what sleeping costs. Who asks sleeps between and meanwhile, on whichever
//! core is free: yielding would hand its core to a replica that spins.
//!
//! `start`: from starting the process `cutter` to the first correct prediction of the C model
//! `sum`.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cutter_bench_support::ROUNDS;
use cutter_bench_support::containers::example;
use cutter_bench_support::cores::Cores;
use cutter_bench_support::inputs::{rows, sum};
use cutter_bench_support::measurement::{Exchanges, Measurement, Round, Rounds, median};
use cutter_bench_support::options::Options;
use cutter_bench_support::processes::{
    Running, build, children_of, cpu_time_ns, free_address, limit_time,
};
use cutter_bench_support::report::{print_note, print_table, write_json};
use cutter_bench_support::served::{self, configuration, requests};
use cutter_tools::arrivals::{Arrivals, Schedule};
use cutter_tools::load::{Pace, Plan, Wait};
use rustix::process::{Pid, Signal, kill_process};

const STRATEGIES: [&str; 4] = ["spin", "yield", "adaptive", "block"];
/// How long nothing is asked, in each round.
const IDLE: Duration = Duration::from_millis(500);
/// Single queries, 10 ms apart; the first opens the way.
const QUERIES: Exchanges = Exchanges { warm_up: 1, recorded: 20 };
const QUERIES_QPS: f64 = 100.0;
/// From the first prediction to when the server has surely gone idle.
const SETTLE: Duration = Duration::from_millis(50);
const START_TIME_LIMIT: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_micros(200);

/// The programs, and where they run.
struct Setting {
    cutter: PathBuf,
    noop: PathBuf,
    sum: PathBuf,
    cores: Cores,
    folder: tempfile::TempDir,
}

/// A process `cutter` that has predicted.
struct Served {
    process: Running,
    address: SocketAddr,
    first_prediction: Duration,
}

fn main() -> io::Result<()> {
    let options = Options::read();
    let setting = Setting {
        cutter: build("cutter-command", "cutter")?,
        noop: example("noop")?,
        sum: example("sum")?,
        cores: Cores::choose()?,
        folder: tempfile::tempdir()?,
    };
    limit_time();
    let mut starts = Rounds::new("start");
    let mut rounds = STRATEGIES.map(Rounds::new);
    let mut percents = STRATEGIES.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        starts.add(start_round(&setting)?);
        for (place, strategy) in STRATEGIES.into_iter().enumerate() {
            let (round, percent) = idle_round(&setting, strategy)?;
            rounds[place].add(round);
            percents[place].push(percent);
        }
    }
    let percents = percents.map(|percents| median(percents.into_iter()));
    let mut measurements: Vec<Measurement> = rounds
        .into_iter()
        .zip(percents)
        .map(|(rounds, percent)| rounds.finish().with("cpu_percent", percent))
        .collect();
    let start = starts.finish();
    let first_prediction_ms = start.p50_ns as f64 / 1e6;
    measurements.push(start.with("first_prediction_ms", first_prediction_ms));
    let title = "An idle server and its replica; a single query after a pause; a start";
    print_table(title, &measurements, &["cpu_percent", "first_prediction_ms"]);
    print_note("aims: adaptive under 1 % of a core, start under 300 ms");
    write_json(&options, &measurements)
}

/// The time from the start of the process to the first correct prediction.
fn start_round(setting: &Setting) -> io::Result<Round> {
    let expected = format!("\"output\":{:?},\"default\":false", sum(&rows()[0]));
    let served = Served::start(setting, &setting.sum, "adaptive", &expected)?;
    let elapsed = served.first_prediction;
    served.end()?;
    let latency_ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
    Ok(Round { latencies_ns: vec![latency_ns], elapsed })
}

/// Latencies of single queries, and the percentage of a core that the idle server took.
fn idle_round(setting: &Setting, strategy: &str) -> io::Result<(Round, f64)> {
    let served = Served::start(setting, &setting.noop, strategy, "\"default\":false")?;
    sleep(SETTLE);
    let (begin, before_ns) = (Instant::now(), served.cpu_time_ns()?);
    sleep(IDLE);
    let (idle, cpu_ns) = (begin.elapsed(), served.cpu_time_ns()? - before_ns);
    let round = single_queries(served.address)?;
    served.end()?;
    Ok((round, cpu_ns as f64 * 1e-7 / idle.as_secs_f64()))
}

fn single_queries(address: SocketAddr) -> io::Result<Round> {
    let arrivals = Arrivals::Constant { rate_qps: QUERIES_QPS };
    let total = Some(QUERIES.total() as u64);
    let schedule = Schedule::new(&arrivals, None, total, 0).map_err(io::Error::other)?;
    let adaptive = served::plan(address, &requests(), Pace::Open(schedule));
    let round = served::run(&Plan { wait: Wait::Sleep, ..adaptive }, QUERIES)?;
    // The pauses are not counted: how many there could be in a second, one after the other.
    let elapsed = Duration::from_nanos(round.latencies_ns.iter().sum());
    Ok(Round { elapsed, ..round })
}

impl Served {
    fn start(setting: &Setting, model: &Path, strategy: &str, expected: &str) -> io::Result<Self> {
        let address = free_address()?;
        let text = configuration(model, setting.cores, strategy, &address.to_string());
        let file = setting.folder.path().join("cutter.toml");
        std::fs::write(&file, text)?;
        let mut command = Command::new(&setting.cutter);
        command.arg("serve").arg("--config").arg(&file).env("RUST_LOG", "error");
        command.stdout(Stdio::null());
        let query = &requests()[0];
        let start = Instant::now();
        let process = Running::start(&mut command)?;
        loop {
            let reply = served::ask(address, query);
            let text = reply.map(|reply| String::from_utf8_lossy(&reply).into_owned());
            if text.as_ref().is_ok_and(|text| text.contains(expected)) {
                return Ok(Self { process, address, first_prediction: start.elapsed() });
            }
            if start.elapsed() > START_TIME_LIMIT {
                return Err(io::Error::other(format!("no {expected} in time, but {text:?}")));
            }
            sleep(RETRY);
        }
    }

    /// Of the server and its replicas.
    fn cpu_time_ns(&self) -> io::Result<u64> {
        let server = self.process.id();
        let replicas = children_of(server)?.into_iter().map(cpu_time_ns);
        Ok(cpu_time_ns(server)? + replicas.sum::<io::Result<u64>>()?)
    }

    fn end(self) -> io::Result<()> {
        kill_process(Pid::from_child(self.process.child()), Signal::TERM)?;
        self.process.wait()
    }
}
