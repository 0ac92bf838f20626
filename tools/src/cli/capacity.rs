//! `cutter-bench capacity`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use cutter_tools::arrivals::Schedule;
use cutter_tools::capacity::{CapacitySettings, Chunk, Progress as Searched, search};
use cutter_tools::limits::LAG_SHARE_MAX;
use cutter_tools::load::analysis::{Reading, WarmUpRule, analyse};
use cutter_tools::load::{self, Outcome, Pace, Progress, Recording, Sample};
use cutter_tools::result::Finding;
use cutter_tools::stats;

use super::Failure;
use super::ask::{AskOptions, Asked, arrivals};
use super::console::{ProgressLine, interrupt_flag, print};
use super::output::FileOptions;
use super::units::{duration_ns, quantile, rate_qps, share};

/// An answer that is this many SLOs late is not waited for …
const TIME_LIMIT_SLOS: u64 = 10;
/// … but for so long at least.
const TIME_LIMIT_NS_MIN: u64 = 500_000_000;

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
    /// What is not counted at the start of each run
    #[arg(
        long, value_name = "TIME", default_value = "200ms", value_parser = duration_ns,
        help_heading = "Search"
    )]
    warm_up: u64,
    /// constant, poisson, onoff:ON_MS:OFF_MS
    #[arg(long, value_name = "FORM", default_value = "poisson", help_heading = "Search")]
    arrivals: String,
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
    };
    settings.check().map_err(Failure::usage)?;
    let asked = options.ask.ask(&options.target)?;
    let interrupted = interrupt_flag()?;
    let line = ProgressLine::new();
    let stamp = options.files.stamp(&line)?;
    let run = |rate_qps, number| options.chunk(&asked, rate_qps, number, &interrupted);
    let result = search(&settings, run, |searched| match searched {
        Searched::Chunk { chunk, so_far } => line.show(&format!("{so_far} (run {chunk})")),
        Searched::Step(step) => line.say(&step.to_string()),
    })?;
    line.clear();
    print(&format!("{result}\n"))?;
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
        rate_qps: f64,
        number: u32,
        interrupted: &Arc<AtomicBool>,
    ) -> Result<Chunk, Failure> {
        let arrivals = arrivals(&self.arrivals, Some(rate_qps))?;
        let seed = self.ask.seed + u64::from(number);
        let duration_ns = self.warm_up + self.chunk;
        let schedule = Schedule::new(&arrivals, Some(duration_ns), None, seed);
        let mut plan = self.ask.plan(asked, Pace::Open(schedule.map_err(Failure::usage)?));
        let enough_ns = (TIME_LIMIT_SLOS * self.slo).max(TIME_LIMIT_NS_MIN);
        plan.time_limit_ns = plan.time_limit_ns.min(enough_ns).max(self.slo);
        let progress = Progress::ended_by(interrupted);
        let recording = load::run(&plan, &progress).map_err(Failure::failed)?;
        if interrupted.load(Relaxed) {
            return Err(Failure::failed("ended before the search was"));
        }
        let reading = Reading {
            target: self.target.clone(),
            plan: self.ask.told(asked, &plan, Some(&arrivals)),
            warm_up: WarmUpRule::Fixed { duration_ns: self.warm_up },
            slo_ns: Some(self.slo),
        };
        Ok(self.read(&recording, reading))
    }

    fn read(&self, recording: &Recording, reading: Reading) -> Chunk {
        let result = analyse(recording, reading);
        let first = recording.samples.partition_point(|sample| sample.due_ns < self.warm_up);
        let samples = &recording.samples[first..];
        let times: Vec<u64> =
            samples.iter().map(|sample| sample.answered_ns().unwrap_or(u64::MAX)).collect();
        let of = |outcome| samples.iter().filter(|sample| sample.outcome == outcome).count() as u64;
        let mut found = result.latency.quantiles.iter();
        let found = found.find(|found| (found.quantile - self.quantile).abs() < 1e-9);
        Chunk {
            requests: samples.len() as u64,
            over_slo: times.iter().filter(|ns| **ns > self.slo).count() as u64,
            defaults: of(Outcome::Default),
            failed: result.latency.failed,
            quantile_ns: found.and_then(|found| found.value_ns),
            inflation: stats::inflation(&times, self.slo),
            is_valid: self.is_valid(samples, recording.blocked),
            duration_ns: result.duration_ns,
        }
    }

    /// Whether the generator was on time, as far as the SLO can tell. Requests that wait for a
    /// connection wait for the server, and say nothing against the generator.
    fn is_valid(&self, samples: &[Sample], blocked: u64) -> bool {
        let late_ns = LAG_SHARE_MAX * self.slo as f64;
        let late = samples.iter().filter(|sample| sample.lag_ns as f64 > late_ns).count();
        blocked > 0 || late as f64 <= ((1.0 - self.quantile) * samples.len() as f64).ceil()
    }
}
