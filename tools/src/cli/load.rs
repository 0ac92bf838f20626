//! `cutter-bench load`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, SystemTime};

use cutter_tools::admin::{AdminClient, Sampler};
use cutter_tools::arrivals::{Arrivals, Schedule};
use cutter_tools::limits::SECONDS_MAX;
use cutter_tools::load::analysis::{Reading, WarmUpRule, analyse};
use cutter_tools::load::{self, Pace, Plan, Progress, Recording};
use cutter_tools::result::{Finding, LoadResult, hgrm, hlog};
use cutter_tools::text;

use super::Failure;
use super::ask::{AskOptions, Asked, arrivals};
use super::console::{ProgressLine, interrupt_flag, print};
use super::output::{FileOptions, write};
use super::units::{duration_ns, rate_qps};

/// How often the progress line is drawn.
const PROGRESS_PERIOD: Duration = Duration::from_millis(200);
/// How often an engine is asked how it is.
const SAMPLE_PERIOD_MS: u64 = 250;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// http://HOST:PORT/PATH or unix:SOCKET:/PATH
    target: String,
    /// Requests per second; several, as in 1k,2k,4k, are run one after the other
    #[arg(
        long, value_name = "RATE", value_delimiter = ',', value_parser = rate_qps,
        help_heading = "Schedule"
    )]
    rate: Vec<f64>,
    /// constant, poisson, onoff:ON_MS:OFF_MS, ramp:FROM:TO, trace:FILE (one due time in seconds on
    /// each line)
    #[arg(long, value_name = "FORM", default_value = "poisson", help_heading = "Schedule")]
    arrivals: String,
    /// Closed loop: each connection asks as soon as it is answered
    #[arg(long, conflicts_with_all = ["rate", "arrivals"], help_heading = "Schedule")]
    closed: bool,
    /// How long to send [default: 10, unless --requests is given]
    #[arg(long, value_name = "N", help_heading = "Schedule")]
    seconds: Option<f64>,
    /// How many requests to send
    #[arg(long, value_name = "N", help_heading = "Schedule")]
    requests: Option<u64>,
    #[command(flatten)]
    ask: AskOptions,
    /// What is not counted at the start: `auto` (cut by a stationarity test), `none`, or a time
    #[arg(
        long, value_name = "TIME", default_value = "auto", value_parser = warm_up,
        help_heading = "Reading"
    )]
    warm_up: WarmUpRule,
    /// Also tell the goodput: predictions per second within this time
    #[arg(long, value_name = "TIME", value_parser = duration_ns, help_heading = "Reading")]
    slo: Option<u64>,
    /// Cutter's admin address: its stages, batches and queues go into the result
    #[arg(long, value_name = "ADDRESS", help_heading = "Reading")]
    admin: Option<String>,
    #[command(flatten)]
    files: FileOptions,
    /// Write the percentiles as HdrHistogram's text
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    hgrm: Option<PathBuf>,
    /// Write a histogram for each second as an HdrHistogram log, V2
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    hlog: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  cutter-bench load --rate 2000 --input digits http://127.0.0.1:1337/digits/predict
  cutter-bench load --rate 5k --arrivals onoff:50:150 --slo 20ms --input float32:4 \\
      unix:cutter.sock:/sums/predict
  cutter-bench load --closed --connections 32 --input float32:784 \\
      --protocol oip-binary http://127.0.0.1:8000/v2/models/m/infer

Latency counts from when a request was due. A run whose generator was late by more than 5 % of the
latency (both at p99) is INVALID, and the exit status is 3.";

pub fn run(options: &Options) -> Result<(), Failure> {
    if !options.closed && options.rate.is_empty() && needs_rate(&options.arrivals) {
        return Err(Failure::usage(
            "how many requests per second? Give --rate, or --closed for a closed loop",
        ));
    }
    let asked = options.ask.ask(&options.target)?;
    let rates: Vec<Option<f64>> = match options.rate.as_slice() {
        [] => vec![None],
        rates => rates.iter().copied().map(Some).collect(),
    };
    let plans = rates.into_iter().map(|rate| options.plan(&asked, rate));
    let plans: Vec<(Plan, Option<Arrivals>)> = plans.collect::<Result<_, _>>()?;
    let interrupted = interrupt_flag()?;
    let line = ProgressLine::new();
    let stamp = options.files.stamp(&line)?;
    let mut results = Vec::new();
    let mut last = Recording::default();
    for (plan, arrivals) in &plans {
        let (result, recording) = options.measure(&asked, plan, arrivals, &interrupted, &line)?;
        print(&format!("{}{result}", if results.is_empty() { "" } else { "\n" }))?;
        results.push(stamp.file(Finding::Load(Box::new(result))));
        last = recording;
        if interrupted.load(Relaxed) {
            break;
        }
    }
    options.files.write(&results)?;
    options.write_histograms(&last)?;
    judge(results.iter().filter_map(|result| match &result.finding {
        Finding::Load(result) => Some(&**result),
        _ => None,
    }))
}

impl Options {
    fn plan(
        &self,
        asked: &Asked,
        rate_qps: Option<f64>,
    ) -> Result<(Plan, Option<Arrivals>), Failure> {
        let duration_ns = self.duration_ns()?;
        if self.closed {
            let pace = Pace::Closed { requests: self.requests, duration_ns };
            return Ok((self.ask.plan(asked, pace), None));
        }
        let arrivals = arrivals(&self.arrivals, rate_qps)?;
        let schedule = Schedule::new(&arrivals, duration_ns, self.requests, self.ask.seed);
        let schedule = schedule.map_err(Failure::usage)?;
        Ok((self.ask.plan(asked, Pace::Open(schedule)), Some(arrivals)))
    }

    fn duration_ns(&self) -> Result<Option<u64>, Failure> {
        /// How long a run takes that does not say.
        const SECONDS: f64 = 10.0;
        let is_bounded = self.requests.is_some() || self.arrivals.starts_with("trace:");
        let seconds = match (self.seconds, is_bounded) {
            (None, true) => return Ok(None),
            (seconds, _) => seconds.unwrap_or(SECONDS),
        };
        if !(seconds > 0.0 && seconds <= SECONDS_MAX as f64) {
            return Err(Failure::Usage(format!(
                "--seconds {seconds} is not above 0 and at most {SECONDS_MAX}"
            )));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        Ok(Some((seconds * 1e9) as u64))
    }

    fn measure(
        &self,
        asked: &Asked,
        plan: &Plan,
        arrivals: &Option<Arrivals>,
        interrupted: &Arc<AtomicBool>,
        line: &ProgressLine,
    ) -> Result<(LoadResult, Recording), Failure> {
        let sampler = self.admin.as_deref().map(sampler).transpose()?;
        let progress = Progress::ended_by(interrupted);
        let recording = watched(plan, &progress, line)?;
        let engine = sampler.map(|sampler| sampler.stop(recording.start_ns)).transpose();
        let reading = Reading {
            target: asked.text.clone(),
            plan: self.ask.told(asked, plan, arrivals.as_ref()),
            warm_up: self.warm_up,
            slo_ns: self.slo,
        };
        let engine = engine.map_err(Failure::failed)?;
        let result = LoadResult { engine, ..analyse(&recording, reading) };
        Ok((result, recording))
    }

    fn write_histograms(&self, recording: &Recording) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        if let Some(path) = &self.hgrm {
            let histogram = hgrm::of_samples(&recording.samples);
            hgrm::write(&histogram, &mut bytes).map_err(Failure::failed)?;
            write(path, &bytes)?;
            bytes.clear();
        }
        if let Some(path) = &self.hlog {
            let elapsed = Duration::from_nanos(recording.elapsed_ns);
            let started = SystemTime::now() - elapsed;
            hlog::write(&recording.samples, started, &mut bytes).map_err(Failure::failed)?;
            write(path, &bytes)?;
        }
        Ok(())
    }
}

fn sampler(admin: &str) -> Result<Sampler, Failure> {
    let client = AdminClient::new(admin).map_err(Failure::usage)?;
    Sampler::start(client, SAMPLE_PERIOD_MS).map_err(Failure::failed)
}

/// Runs a plan, and shows how far it is.
pub fn watched(
    plan: &Plan,
    progress: &Progress,
    line: &ProgressLine,
) -> Result<Recording, Failure> {
    let recording = thread::scope(|scope| {
        let run = scope.spawn(|| load::run(plan, progress));
        while !run.is_finished() {
            // Both are written by the sending thread; see `Progress`.
            let (sent, done) = (progress.sent.load(Relaxed), progress.done.load(Relaxed));
            if sent > 0 {
                let (sent, waiting) =
                    (text::grouped(sent), text::grouped(sent.saturating_sub(done)));
                line.show(&format!("{sent} sent, {waiting} under way"));
            }
            thread::park_timeout(PROGRESS_PERIOD);
        }
        run.join()
    });
    line.clear();
    let recording = recording.map_err(|_| Failure::failed("the run panicked"))?;
    recording.map_err(Failure::failed)
}

/// A run without an answer has failed; one that cannot be believed is invalid.
fn judge<'a>(results: impl Iterator<Item = &'a LoadResult>) -> Result<(), Failure> {
    for result in results {
        let counts = &result.counts;
        if counts.answered + counts.defaults == 0 {
            let first = counts.first_error.as_deref().unwrap_or("nothing was sent");
            return Err(Failure::Failed(format!("no request was answered: {first}")));
        }
        if !result.validity.valid {
            return Err(Failure::Invalid(result.validity.reasons.join("; ")));
        }
    }
    Ok(())
}

fn needs_rate(arrivals: &str) -> bool {
    !arrivals.starts_with("trace:") && !arrivals.starts_with("ramp:")
}

fn warm_up(text: &str) -> Result<WarmUpRule, String> {
    match text {
        "auto" => Ok(WarmUpRule::Auto),
        "none" => Ok(WarmUpRule::None),
        time => duration_ns(time).map(|duration_ns| WarmUpRule::Fixed { duration_ns }),
    }
}
