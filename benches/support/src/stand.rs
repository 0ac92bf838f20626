//! A cell, served in this process and asked, in open loop or closed.
//!
//! ```text
//!  two cores: one replica     engine's core: engine, generator     other core: the model, busy
//!             several         engine's core: engine                other core: generator, models
//!  a core for each of engine, generator and replicas: they have it; and one more for a second
//!  generator where there are several replicas
//! ```
//!
//! Several models wait for their time to pass. A generator that shares its core sleeps between
//! requests: it is let in as soon as it wakes.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use cutter_admin_api::Histogram;
use cutter_admin_api::stats::Replica;
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
use crate::cores::{Cores, Seats};
use crate::processes::{children_of, word};
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
/// A chunk takes longer where it would have fewer: of a few hundred, whether one of a hundred is
/// late is chance.
const CHUNK_REQUESTS: f64 = 600.0;
/// A search ends between two rates that are so near to each other: a few parts of a hundred are
/// what is asked for.
const PRECISION: f64 = 0.01;
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
    seats: Seats,
    model: PathBuf,
}

/// What a server counts; asked for anew each time.
#[derive(Clone, Copy, Debug)]
pub struct Counts(AdminClient);

/// Where a search for the goodput looks.
#[derive(Clone, Copy, Debug)]
pub struct Between {
    pub start_qps: f64,
    pub lowest_qps: f64,
    pub highest_qps: f64,
}

/// Where cells are served.
#[derive(Debug)]
pub struct Setting {
    pub cores: Cores,
    model: PathBuf,
    /// A file of the model's times, which can be changed while it runs.
    control: Option<PathBuf>,
    /// Whether each rate that a search tries is told.
    pub tells_steps: bool,
}

impl Setting {
    /// Builds the model.
    pub fn new() -> io::Result<Self> {
        let (cores, model) = (Cores::choose()?, example("synthetic")?);
        Ok(Self { cores, model, control: None, tells_steps: false })
    }

    /// The same, with times of the model that are as this file says. It is made by the first that
    /// is started, or is there.
    #[must_use]
    pub fn controlled_by(&self, file: &Path) -> Self {
        let (model, control) = (self.model.clone(), Some(file.to_owned()));
        Self { model, control, ..*self }
    }

    fn seats(&self, cell: Cell) -> io::Result<Seats> {
        self.cores.seats(cell.replicas as usize)
    }
}

/// Whether the server's configuration takes such a model, and why not. `batch` is what the model's
/// table of that name holds, as in `policy = "fixed", max = 8`.
pub fn check(cell: Cell, setting: &Setting, batch: &str) -> Result<(), String> {
    let seats = setting.seats(cell).map_err(|error| error.to_string())?;
    config(cell, setting, &seats, batch).map(|_| ())
}

impl Stand {
    pub fn start(cell: Cell, setting: &Setting, batch: &str) -> io::Result<Self> {
        let seats = setting.seats(cell)?;
        let config = config(cell, setting, &seats, batch).map_err(io::Error::other)?;
        let server = Server::start(config, Host::default()).map_err(io::Error::other)?;
        let Some(Listen::Tcp(address)) = server.addresses().first().cloned() else {
            return Err(io::Error::other("the server listens on no port"));
        };
        let admin = AdminClient::new(&server.admin().to_string()).map_err(io::Error::other)?;
        let questions = questions();
        let model = setting.model.clone();
        let stand = Self { cell, server, address, admin, questions, seats, model };
        stand.wait_until_ready()?;
        Ok(stand)
    }

    /// Sends requests at these times, whatever becomes of them.
    pub fn offer(&self, arrivals: &Arrivals, duration_ns: u64, seed: u64) -> io::Result<Recording> {
        self.offer_watched(arrivals, duration_ns, seed, &Progress::default())
    }

    pub fn offer_watched(
        &self,
        arrivals: &Arrivals,
        duration_ns: u64,
        seed: u64,
        progress: &Progress,
    ) -> io::Result<Recording> {
        let plan = self.open_plan(arrivals, duration_ns, seed)?;
        load::run(&plan, progress).map_err(io::Error::other)
    }

    /// So many clients, each of which asks again as soon as it is answered.
    pub fn ask_closed(&self, clients: usize, duration_ns: u64) -> io::Result<Recording> {
        let pace = Pace::Closed { requests: None, duration_ns: Some(duration_ns) };
        load::run(&self.plan(pace, clients), &Progress::default()).map_err(io::Error::other)
    }

    fn open_plan(&self, arrivals: &Arrivals, duration_ns: u64, seed: u64) -> io::Result<Plan> {
        let schedule = Schedule::new(arrivals, Some(duration_ns), None, seed);
        let schedule = schedule.map_err(io::Error::other)?;
        let connections = connections_for(schedule.mean_rate_qps().unwrap_or(0.0));
        Ok(self.plan(Pace::Open(schedule), connections))
    }

    fn plan(&self, pace: Pace, connections: usize) -> Plan {
        Plan {
            address: Address::Tcp(self.address),
            questions: self.questions.clone(),
            check: Check::Clipper,
            connections,
            pace,
            pipeline: 1,
            time_limit_ns: TIME_LIMIT_NS,
            wait: if self.seats.are_apart { Wait::Spin } else { Wait::Sleep },
            cpu: self.seats.generators.first().copied(),
        }
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
            precision: PRECISION,
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

    /// Requests by Poisson, from all generators: each of them has its share of the rate, and what
    /// several such streams come to is one.
    fn offer_poisson(&self, rate_qps: f64, duration_ns: u64, seed: u64) -> io::Result<Recording> {
        let generators = &self.seats.generators;
        let arrivals = Arrivals::Poisson { rate_qps: rate_qps / generators.len() as f64 };
        let seeds = seed * generators.len() as u64..;
        let offer = |(cpu, seed): (&usize, u64)| {
            let plan = self.open_plan(&arrivals, duration_ns, seed)?;
            let plan = Plan { cpu: Some(*cpu), ..plan };
            load::run(&plan, &Progress::default()).map_err(io::Error::other)
        };
        let recordings: io::Result<Vec<Recording>> = scope(|scope| {
            let offers = generators.iter().zip(seeds).map(|of| scope.spawn(move || offer(of)));
            let offers: Vec<_> = offers.collect();
            let panicked = |_| io::Error::other("a generator panicked");
            offers.into_iter().map(|offer| offer.join().map_err(panicked)?).collect()
        });
        let mut recordings = recordings?.into_iter();
        let first = recordings.next().unwrap_or_default();
        Ok(recordings.fold(first, Recording::beside))
    }

    fn chunk(&self, run: Run, quantile: f64) -> io::Result<Chunk> {
        let duration_ns = if run.is_slice { SLICE_NS } else { chunk_ns(run.rate_qps) };
        let recording = self.offer_poisson(run.rate_qps, duration_ns, run.number.into())?;
        let slo_ns = self.slo_ns();
        let reading = ChunkReading { warm_up_ns: 0, slo_ns, quantile, default_is_miss: true };
        let limit_rows = Some(self.counts().limit_rows()?);
        Ok(Chunk { limit_rows, ..Chunk::of(&recording, reading) })
    }

    /// What the server counts.
    pub fn counts(&self) -> Counts {
        Counts(self.admin)
    }

    /// The processes of the model.
    pub fn model_pids(&self) -> io::Result<Vec<u32>> {
        let model = word(&self.model);
        let is_model = |pid: &u32| {
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            command.starts_with(model.as_bytes())
        };
        Ok(children_of(std::process::id())?.into_iter().filter(is_model).collect())
    }

    /// Where the first replica runs.
    pub fn model_cpu(&self) -> usize {
        self.seats.models[0]
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

impl Counts {
    /// What batches may have now, all replicas together.
    pub fn limit_rows(self) -> io::Result<u64> {
        self.over_replicas(|replica| replica.batch_limit)
    }

    /// Batches that came back so far.
    pub fn batches(self) -> io::Result<u64> {
        self.over_replicas(|replica| replica.batches)
    }

    /// Rows of these.
    pub fn rows(self) -> io::Result<u64> {
        self.over_replicas(|replica| replica.rows)
    }

    /// Times of all answers so far, from when the server had the request.
    pub fn end_to_end(self) -> io::Result<Histogram> {
        let stats = self.0.stats().map_err(io::Error::other)?;
        let application = stats.applications.into_iter().next();
        application
            .map(|application| application.end_to_end)
            .ok_or_else(|| io::Error::other("the server has no application"))
    }

    fn over_replicas(self, count: fn(&Replica) -> u64) -> io::Result<u64> {
        let stats = self.0.stats().map_err(io::Error::other)?;
        Ok(stats.models.iter().flat_map(|model| &model.replicas).map(count).sum())
    }
}

fn chunk_ns(rate_qps: f64) -> u64 {
    let duration = Duration::from_secs_f64(CHUNK_REQUESTS / rate_qps);
    CHUNK_NS.max(u64::try_from(duration.as_nanos()).expect("rates are at least 1 a second"))
}

fn config(cell: Cell, setting: &Setting, seats: &Seats, batch: &str) -> Result<Config, String> {
    let text = configuration(cell, setting, seats, batch);
    let read = Config::from_toml(&text, &std::env::temp_dir(), "the bench's configuration");
    read.map(|(config, _)| config).map_err(|error| format!("{error}\n{text}"))
}

fn configuration(cell: Cell, setting: &Setting, seats: &Seats, batch: &str) -> String {
    let Cell { alpha_us, beta_us, replicas, slo_us } = cell;
    let Seats { engine, models: cpus, are_apart, .. } = seats;
    let mut command = vec![word(&setting.model), beta_us.to_string(), alpha_us.to_string()];
    if cell.waits() {
        command.push("wait".to_owned());
    }
    if let Some(file) = &setting.control {
        command.extend(["--control".to_owned(), word(file)]);
    }
    // Who has a core to itself looks for what is next, as it does unless told not to.
    let wait_of = |has_core: bool| if has_core { "adaptive" } else { "block" };
    let (engine_wait, wait) = (wait_of(*are_apart), wait_of(*are_apart || !cell.waits()));
    format!(
        r#"
[server]
query = ["127.0.0.1:0"]
admin = "127.0.0.1:0"
cpu = {engine}
wait = "{engine_wait}"
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
wait = "{wait}"
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
