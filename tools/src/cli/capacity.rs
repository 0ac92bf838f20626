//! `cutter-bench capacity`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use cutter_admin_api::Stats;
use cutter_tools::admin::AdminClient;
use cutter_tools::arrivals::Schedule;
use cutter_tools::capacity::{
    CapacityResult, CapacitySettings, Chunk, ChunkReading, Progress as Searched, Run, ShareOfBound,
    search,
};
use cutter_tools::goodput::fluid_optimum;
use cutter_tools::goodput::served::{Served, find, find_asked};
use cutter_tools::load::{self, Pace, Progress};
use cutter_tools::result::Finding;

use super::Failure;
use super::ask::{AskOptions, Asked, arrivals};
use super::console::{ProgressLine, interrupt_flag, print};
use super::output::FileOptions;
use super::units::{duration_ns, quantile, rate_qps, share};

/// An answer that is this many SLOs late is not waited for …
const TIME_LIMIT_SLOS: u64 = 10;
/// … but for so long at least.
const TIME_LIMIT_NS_MIN: u64 = 500_000_000;
/// How long a slice is in which the server settles; all of it is looked at.
const SLICE_NS: u64 = 250_000_000;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Options {
    /// http://HOST:PORT/PATH or unix:SOCKET:/PATH
    target: String,
    /// What the latency must keep
    #[arg(long, value_name = "TIME", value_parser = duration_ns, help_heading = "Search")]
    slo: u64,
    /// The quantile of the latency that must keep it
    #[arg(
        long, value_name = "QUANTILE", default_value = "p99", value_parser = quantile,
        help_heading = "Search"
    )]
    quantile: f64,
    /// The largest share of answers that may be default outputs
    #[arg(
        long, value_name = "SHARE", default_value = "0.1%", value_parser = share,
        help_heading = "Search"
    )]
    defaults: f64,
    /// The rate to start from
    #[arg(
        long, value_name = "RATE", default_value = "100", value_parser = rate_qps,
        help_heading = "Search"
    )]
    from: f64,
    /// The highest rate to try
    #[arg(
        long, value_name = "RATE", default_value = "1M", value_parser = rate_qps,
        help_heading = "Search"
    )]
    to: f64,
    /// How far apart the highest rate that passed and the lowest that failed may be at the end
    #[arg(
        long, value_name = "SHARE", default_value = "5%", value_parser = share,
        help_heading = "Search"
    )]
    precision: f64,
    /// How long one run is; a step takes several until it is decided
    #[arg(
        long, value_name = "TIME", default_value = "1s", value_parser = duration_ns,
        help_heading = "Search"
    )]
    chunk: u64,
    /// How long the server may adapt to a rate before it is judged
    #[arg(
        long, value_name = "TIME", default_value = "5s", value_parser = duration_ns,
        help_heading = "Search"
    )]
    settle: u64,
    /// What is not counted at the start of each run
    #[arg(
        long, value_name = "TIME", default_value = "200ms", value_parser = duration_ns,
        help_heading = "Search"
    )]
    warm_up: u64,
    /// constant, poisson, onoff:ON_MS:OFF_MS
    #[arg(long, value_name = "FORM", default_value = "poisson", help_heading = "Search")]
    arrivals: String,
    /// Cutter's admin address: the server is judged when its batches do not grow any more, and the
    /// result is told as a share of what there is to be had
    #[arg(long, value_name = "ADDRESS", help_heading = "Server")]
    admin: Option<String>,
    /// The model that the target asks, NAME or NAME:VERSION [default: that of the application in
    /// the target's path]
    #[arg(long, value_name = "MODEL", requires = "admin", help_heading = "Server")]
    model: Option<String>,
    #[command(flatten)]
    ask: AskOptions,
    #[command(flatten)]
    files: FileOptions,
}

const EXAMPLE: &str = "\
Example: goodput, the highest rate at which 99 % are answered within 20 ms
  cutter-bench capacity --slo 20ms --input digits http://127.0.0.1:1337/digits/predict

The answer is an interval: the highest rate that passed, and the lowest that failed.";

pub fn run(options: &Options) -> Result<(), Failure> {
    // The form is checked before anything is measured.
    let form = arrivals(&options.arrivals, Some(options.from))?.to_string();
    let settings = CapacitySettings {
        target: options.target.clone(),
        arrivals: form,
        slo_ns: options.slo,
        quantile: options.quantile,
        defaults_share_max: options.defaults,
        start_qps: options.from,
        lowest_qps: options.from.min(1.0),
        highest_qps: options.to,
        precision: options.precision,
        margin: CapacitySettings::MARGIN,
        chunks_max: CapacitySettings::CHUNKS_MAX,
        slices_max: u32::try_from(options.settle / SLICE_NS).unwrap_or(u32::MAX),
    };
    settings.check().map_err(Failure::usage)?;
    let asked = options.ask.ask(&options.target)?;
    let interrupted = interrupt_flag()?;
    let line = ProgressLine::new();
    let stamp = options.files.stamp(&line)?;
    let watched = options
        .admin
        .as_deref()
        .map(|admin| Watched::new(admin, options.model.as_deref(), &asked.target.path));
    let watched = watched.transpose()?;
    let run = |run: Run| {
        let mut chunk = options.chunk(&asked, run, &interrupted)?;
        chunk.limit_rows = watched.as_ref().map(Watched::limit_rows).transpose()?;
        Ok(chunk)
    };
    let mut result = search(&settings, run, |searched| match searched {
        Searched::Chunk { chunk, so_far } => line.show(&format!("{so_far} (run {chunk})")),
        Searched::Step(step) => line.say(&step.to_string()),
    })?;
    line.clear();
    let unknown = match &watched {
        Some(watched) => watched.bound(&mut result)?,
        None => Some("give the server's --admin address".to_owned()),
    };
    print(&format!("{result}\n"))?;
    if let Some(why) = unknown {
        line.say(&format!("which share of the bound that is cannot be told: {why}"));
    }
    let file = stamp.file(Finding::Capacity(Box::new(result.clone())));
    options.files.write(&[file])?;
    match (result.highest_pass_qps, result.limited_by_generator) {
        (None, true) => Err(Failure::Invalid("the generator could not keep any rate".to_owned())),
        (None, false) => Err(Failure::failed("no rate kept the SLO")),
        (Some(_), _) => Ok(()),
    }
}

impl Options {
    /// One short run.
    fn chunk(
        &self,
        asked: &Asked,
        run: Run,
        interrupted: &Arc<AtomicBool>,
    ) -> Result<Chunk, Failure> {
        let arrivals = arrivals(&self.arrivals, Some(run.rate_qps))?;
        let seed = self.ask.seed + u64::from(run.number);
        let (warm_up, counted) =
            if run.is_slice { (0, SLICE_NS) } else { (self.warm_up, self.chunk) };
        let duration_ns = warm_up + counted;
        let schedule = Schedule::new(&arrivals, Some(duration_ns), None, seed);
        let mut plan = self.ask.plan(asked, Pace::Open(schedule.map_err(Failure::usage)?));
        let enough_ns = (TIME_LIMIT_SLOS * self.slo).max(TIME_LIMIT_NS_MIN);
        plan.time_limit_ns = plan.time_limit_ns.min(enough_ns).max(self.slo);
        let progress = Progress::ended_by(interrupted);
        let recording = load::run(&plan, &progress).map_err(Failure::failed)?;
        if interrupted.load(Relaxed) {
            return Err(Failure::failed("ended before the search was"));
        }
        let reading = ChunkReading {
            warm_up_ns: warm_up,
            slo_ns: self.slo,
            quantile: self.quantile,
            default_is_miss: false,
        };
        Ok(Chunk::of(&recording, reading))
    }
}

/// The server's own view of the model that is asked.
struct Watched {
    client: AdminClient,
    model: String,
    place: usize,
    /// Before the search.
    earlier: Stats,
}

impl Watched {
    fn new(admin: &str, model: Option<&str>, path: &str) -> Result<Self, Failure> {
        let client = AdminClient::new(admin).map_err(Failure::usage)?;
        let earlier = client.stats().map_err(Failure::failed)?;
        let asked = find_asked(&earlier, path);
        let wanted = model.or(asked.as_deref());
        let place = find(&earlier.models, wanted).map_err(Failure::usage)?;
        let of = &earlier.models[place];
        let model = format!("{}:{}", of.model, of.version);
        Ok(Self { client, model, place, earlier })
    }

    /// Of all its replicas together.
    fn limit_rows(&self) -> Result<u64, Failure> {
        let stats = self.client.stats().map_err(Failure::failed)?;
        let model = stats.models.get(self.place);
        let model =
            model.ok_or_else(|| Failure::failed("the server was started anew meanwhile"))?;
        Ok(model.replicas.iter().map(|replica| replica.batch_limit).sum())
    }

    /// Adds the share of the bound. Else: why it is not known.
    fn bound(&self, result: &mut CapacityResult) -> Result<Option<String>, Failure> {
        let (now, _) = self.client.inspect().map_err(Failure::failed)?;
        let served = Served::of(&now, Some(&self.model), Some(&self.earlier));
        let known = served.map_err(|error| error.to_string()).and_then(|served| {
            let scene = served.scene(result.slo_ns).map_err(|error| error.to_string())?;
            Ok((served, fluid_optimum(&scene).0))
        });
        let (served, bound_qps) = match known {
            Ok(known) => known,
            Err(why) => return Ok(Some(why)),
        };
        result.bound = result.highest_pass_qps.map(|pass_qps| ShareOfBound {
            model: served.model,
            fixed_ns: served.fit.line.fixed_ns,
            per_row_ns: served.fit.line.per_row_ns,
            r_squared: served.fit.r_squared,
            overhead_ns: served.overhead_ns,
            replicas: served.replicas,
            bound_qps,
            share: pass_qps / bound_qps,
        });
        Ok(None)
    }
}
