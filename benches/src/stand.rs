//! A cell, served in this process and asked in open loop.
//!
//! ```text
//!  one replica     engine's core: engine, generator      other core: the model, busy
//!  several         engine's core: engine                 other core: generator, models that wait
//! ```
//!
//! A generator that shares its core sleeps between requests: it is let in as soon as it wakes.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cutter_server::config::{Config, Listen};
use cutter_server::server::{Host, Server};
use cutter_tools::admin::AdminClient;
use cutter_tools::arrivals::{Arrivals, Schedule};
use cutter_tools::bodies::Questions;
use cutter_tools::capacity::{
    CapacityResult, CapacitySettings, Chunk, ChunkReading, Progress as Searched, Run, StepResult,
    search,
};
use cutter_tools::load::{self, Pace, Plan, Progress, Recording, Wait, connections_for};
use cutter_tools::reply::Check;
use cutter_tools::target::Address;

use crate::cell::Cell;
use crate::containers::example;
use crate::cores::Cores;
use crate::processes::word;
use crate::served::request;

const QUESTIONS: u32 = 64;
/// An answer that is so late is not waited for.
const TIME_LIMIT_NS: u64 = 500_000_000;
/// Models that are not ready by then never will be.
const READY_TIME: Duration = Duration::from_secs(10);
const READY_PAUSE: Duration = Duration::from_millis(20);
/// Runs of a search: slices in which the server settles, and chunks that count.
const SLICE_NS: u64 = 200_000_000;
const CHUNK_NS: u64 = 500_000_000;
const CHUNKS_MAX: u32 = 5;
const SLICES_MAX: u32 = 12;

/// A cell that is served.
#[derive(Debug)]
pub struct Stand {
    cell: Cell,
    server: Server,
    address: SocketAddr,
    admin: AdminClient,
    questions: Questions,
    generator_cpu: usize,
}

/// Where a search for the goodput looks.
#[derive(Clone, Copy, Debug)]
pub struct Between {
    pub start_qps: f64,
    pub lowest_qps: f64,
    pub highest_qps: f64,
}

/// Builds the model.
pub fn model() -> io::Result<PathBuf> {
    example("synthetic")
}

impl Stand {
    /// `batch` is what the model's table of that name holds, as in `policy = "fixed", max = 8`.
    pub fn start(cell: Cell, model: &Path, cores: Cores, batch: &str) -> io::Result<Self> {
        let text = configuration(cell, model, cores, batch);
        let what = "the bench's configuration";
        let (config, _) = Config::from_toml(&text, &std::env::temp_dir(), what)
            .map_err(|error| io::Error::other(format!("{error}\n{text}")))?;
        let server = Server::start(config, Host::default()).map_err(io::Error::other)?;
        let Some(Listen::Tcp(address)) = server.addresses().first().cloned() else {
            return Err(io::Error::other("the server listens on no port"));
        };
        let admin = AdminClient::new(&server.admin().to_string()).map_err(io::Error::other)?;
        let generator_cpu = if cell.waits() { cores.other } else { cores.engine };
        let questions = questions();
        let stand = Self { cell, server, address, admin, questions, generator_cpu };
        stand.wait_until_ready()?;
        Ok(stand)
    }

    /// Sends requests at these times, whatever becomes of them.
    pub fn offer(&self, arrivals: &Arrivals, duration_ns: u64, seed: u64) -> io::Result<Recording> {
        let schedule = Schedule::new(arrivals, Some(duration_ns), None, seed);
        let schedule = schedule.map_err(io::Error::other)?;
        let plan = Plan {
            address: Address::Tcp(self.address),
            questions: self.questions.clone(),
            check: Check::Clipper,
            connections: connections_for(schedule.mean_rate_qps().unwrap_or(0.0)),
            pace: Pace::Open(schedule),
            pipeline: 1,
            time_limit_ns: TIME_LIMIT_NS,
            wait: Wait::Sleep,
            cpu: Some(self.generator_cpu),
        };
        load::run(&plan, &Progress::default()).map_err(io::Error::other)
    }

    /// The goodput: the highest rate of Poisson arrivals at which this share of the requests is
    /// answered with a prediction within the SLO, once the server has settled. `tell` hears of each
    /// rate that was tried.
    pub fn goodput(
        &self,
        quantile: f64,
        between: Between,
        mut tell: impl FnMut(&StepResult),
    ) -> io::Result<CapacityResult> {
        let settings = CapacitySettings {
            target: self.cell.to_string(),
            arrivals: "poisson".to_owned(),
            slo_ns: self.slo_ns(),
            quantile,
            // Those count as misses.
            defaults_share_max: 1.0,
            start_qps: between.start_qps,
            lowest_qps: between.lowest_qps,
            highest_qps: between.highest_qps,
            precision: 0.025,
            margin: CapacitySettings::MARGIN,
            chunks_max: CHUNKS_MAX,
            slices_max: SLICES_MAX,
        };
        settings.check().map_err(io::Error::other)?;
        search(
            &settings,
            |run| self.chunk(run, quantile),
            |progress| {
                if let Searched::Step(step) = progress {
                    tell(step);
                }
            },
        )
    }

    fn chunk(&self, run: Run, quantile: f64) -> io::Result<Chunk> {
        let arrivals = Arrivals::Poisson { rate_qps: run.rate_qps };
        let duration_ns = if run.is_slice { SLICE_NS } else { CHUNK_NS };
        let recording = self.offer(&arrivals, duration_ns, u64::from(run.number))?;
        let slo_ns = self.slo_ns();
        let reading = ChunkReading { warm_up_ns: 0, slo_ns, quantile, default_is_miss: true };
        let limit_rows = Some(self.limit_rows()?);
        Ok(Chunk { limit_rows, ..Chunk::of(&recording, reading) })
    }

    /// What batches may have now, all replicas together.
    pub fn limit_rows(&self) -> io::Result<u64> {
        let stats = self.admin.stats().map_err(io::Error::other)?;
        let replicas = stats.models.iter().flat_map(|model| &model.replicas);
        Ok(replicas.map(|replica| replica.batch_limit).sum())
    }

    pub fn slo_ns(&self) -> u64 {
        u64::from(self.cell.slo_us) * 1_000
    }

    pub fn end(mut self) -> io::Result<()> {
        self.server.stop();
        self.server.join().map_err(io::Error::other)
    }

    fn wait_until_ready(&self) -> io::Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < READY_TIME {
            let readiness = self.admin.readiness().map_err(io::Error::other)?;
            let replicas = readiness.models.iter().flat_map(|model| &model.replicas);
            if replicas.filter(|replica| replica.state == "up").count()
                == self.cell.replicas as usize
            {
                return Ok(());
            }
            sleep(READY_PAUSE);
        }
        Err(io::Error::other(format!("not all replicas of {} got ready", self.cell)))
    }
}

fn configuration(cell: Cell, model: &Path, cores: Cores, batch: &str) -> String {
    let Cell { alpha_us, beta_us, replicas, slo_us } = cell;
    let Cores { engine, other } = cores;
    let mut command = vec![word(model), beta_us.to_string(), alpha_us.to_string()];
    if cell.waits() {
        command.push("wait".to_owned());
    }
    let cpus = vec![other; replicas as usize];
    format!(
        r#"
[server]
query = ["127.0.0.1:0"]
admin = "127.0.0.1:0"
cpu = {engine}
wait = "block"
state = "none"

[[application]]
name = "bench"
input = {{ type = "floats", shape = [4] }}
slo_us = {slo_us}
default_output = "-1"
models = ["model"]

[[model]]
name = "model"
command = {command:?}
replicas = {replicas}
cpus = {cpus:?}
wait = "block"
batch = {{ {batch} }}
"#
    )
}

fn questions() -> Questions {
    let body = |index: u32| format!("{{\"input\":[{index}.0,1.0,2.0,3.0]}}").into_bytes();
    let requests: Vec<_> =
        (0..QUESTIONS).map(|index| request("/bench/predict", &body(index))).collect();
    Questions::of(&requests)
}
