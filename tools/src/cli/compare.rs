//! `cutter-bench compare`.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use cutter_tools::arrivals::Schedule;
use cutter_tools::compare::{CompareSettings, PAIRS_MIN, Side, decide, order};
use cutter_tools::limits::LAG_SHARE_MAX;
use cutter_tools::load::analysis::{Reading, WarmUpRule, analyse};
use cutter_tools::load::{self, Pace, Progress};
use cutter_tools::random::Random;
use cutter_tools::result::load::Distribution;
use cutter_tools::result::{Finding, LoadResult};
use cutter_tools::text;

use super::Failure;
use super::ask::{AskOptions, Asked, arrivals};
use super::console::{ProgressLine, interrupt_flag, print};
use super::output::FileOptions;
use super::units::{duration_ns, quantile, rate_qps, share};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// A target (http://…, unix:…), or a command whose run time is measured
    #[arg(long, value_name = "A")]
    a: String,
    /// The same, to be compared with A
    #[arg(long, value_name = "B")]
    b: String,
    /// Pairs of runs: A B, B A, A B …
    #[arg(long, value_name = "N", default_value_t = 10)]
    pairs: usize,
    /// How long a run of a target is
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration_ns)]
    run: u64,
    /// What of a target's latencies is compared
    #[arg(long, value_name = "QUANTILE", default_value = "p50", value_parser = quantile)]
    metric: f64,
    /// Open loop at this rate; without it, closed loop
    #[arg(long, value_name = "RATE", value_parser = rate_qps)]
    rate: Option<f64>,
    /// constant, poisson, onoff:ON_MS:OFF_MS
    #[arg(long, value_name = "FORM", default_value = "poisson", requires = "rate")]
    arrivals: String,
    /// A difference below this does not matter
    #[arg(long, value_name = "SHARE", default_value = "1%", value_parser = share)]
    least_effect: f64,
    /// A difference of this must be seen, or the runs are too noisy
    #[arg(long, value_name = "SHARE", default_value = "5%", value_parser = share)]
    detect: f64,
    #[command(flatten)]
    ask: AskOptions,
    #[command(flatten)]
    files: FileOptions,
}

const EXAMPLES: &str = "\
Examples:
  cutter-bench compare --a http://127.0.0.1:1337/old/predict \\
      --b http://127.0.0.1:1337/new/predict --input digits --metric p99 --rate 1k
  cutter-bench compare --a 'gzip -1 -k -c file' --b 'gzip -9 -k -c file'

Exit status: 0 when B is not slower than A, 1 when it is, 3 when that cannot be told.";

/// One side.
enum Subject {
    Target(Box<Asked>),
    Command(Vec<String>),
}

pub fn run(options: &Options) -> Result<(), Failure> {
    if options.pairs < PAIRS_MIN {
        let pairs = options.pairs;
        return Err(Failure::Usage(format!(
            "--pairs {pairs} is too few; {PAIRS_MIN} is the least"
        )));
    }
    let subjects = [options.subject(&options.a)?, options.subject(&options.b)?];
    let (metric, unit) = match &subjects {
        [Subject::Target(_), Subject::Target(_)] => (text::quantile(options.metric), "ns"),
        [Subject::Command(_), Subject::Command(_)] => ("run time".to_owned(), "ns"),
        _ => return Err(Failure::usage("a target and a command cannot be compared")),
    };
    let settings = CompareSettings {
        a: options.a.clone(),
        b: options.b.clone(),
        metric,
        unit: unit.to_owned(),
        least_effect: options.least_effect,
        detect: options.detect,
    };
    let interrupted = interrupt_flag()?;
    let line = ProgressLine::new();
    let stamp = options.files.stamp(&line)?;
    let [mut a, mut b] = [Vec::new(), Vec::new()];
    // The first pair warms up, and is not counted.
    for pair in 0..=options.pairs {
        for side in order(pair) {
            line.show(&format!("pair {pair} of {}", options.pairs));
            let (subject, values) = match side {
                Side::A => (&subjects[0], &mut a),
                Side::B => (&subjects[1], &mut b),
            };
            let value = options.measure(subject, pair, &interrupted)?;
            if pair > 0 {
                values.push(value);
            }
        }
    }
    line.clear();
    let result = decide(&a, &b, &settings, &mut Random::new(options.ask.seed));
    let result = result.map_err(Failure::failed)?;
    print(&format!("{result}\n"))?;
    let (text, code) = (result.sentence(), result.exit_status());
    let file = stamp.file(Finding::Compare(Box::new(result)));
    options.files.write(&[file])?;
    if code == 0 { Ok(()) } else { Err(Failure::Verdict { text, code }) }
}

impl Options {
    fn subject(&self, text: &str) -> Result<Subject, Failure> {
        if text.starts_with("http://") || text.starts_with("https://") || text.starts_with("unix:")
        {
            return Ok(Subject::Target(Box::new(self.ask.ask(text)?)));
        }
        match shlex::split(text) {
            Some(words) if !words.is_empty() => Ok(Subject::Command(words)),
            _ => Err(Failure::Usage(format!("{text:?} is neither a target nor a command"))),
        }
    }

    /// One run, as one value in ns.
    fn measure(
        &self,
        subject: &Subject,
        pair: usize,
        interrupted: &Arc<AtomicBool>,
    ) -> Result<f64, Failure> {
        let value = match subject {
            Subject::Target(asked) => self.load(asked, pair, interrupted)?,
            Subject::Command(words) => time(words)?,
        };
        if interrupted.load(Relaxed) {
            Err(Failure::failed("ended before the comparison was"))
        } else {
            Ok(value)
        }
    }

    fn load(
        &self,
        asked: &Asked,
        pair: usize,
        interrupted: &Arc<AtomicBool>,
    ) -> Result<f64, Failure> {
        let duration_ns = Some(self.run);
        let arrivals = match self.rate {
            Some(rate_qps) => Some(arrivals(&self.arrivals, Some(rate_qps))?),
            None => None,
        };
        let pace = match &arrivals {
            None => Pace::Closed { requests: None, duration_ns },
            Some(arrivals) => {
                // Both sides of a pair meet the same arrivals.
                let seed = self.ask.seed + pair as u64;
                let schedule = Schedule::new(arrivals, duration_ns, None, seed);
                Pace::Open(schedule.map_err(Failure::usage)?)
            }
        };
        let plan = self.ask.plan(asked, pace);
        let recording =
            load::run(&plan, &Progress::ended_by(interrupted)).map_err(Failure::failed)?;
        let reading = Reading {
            target: asked.text.clone(),
            plan: self.ask.told(asked, &plan, arrivals.as_ref()),
            warm_up: WarmUpRule::Fixed { duration_ns: self.run / 10 },
            slo_ns: None,
        };
        self.value(&analyse(&recording, reading))
    }

    fn value(&self, result: &LoadResult) -> Result<f64, Failure> {
        let name = text::quantile(self.metric);
        let of = |distribution: &Distribution| {
            let mut found = distribution.quantiles.iter();
            found.find(|found| (found.quantile - self.metric).abs() < 1e-9).cloned()
        };
        let found = of(&result.latency).ok_or_else(|| {
            Failure::Usage(format!("--metric {name} is none of p50, p90, p99, p99.9, p99.99"))
        })?;
        let value_ns = found.value_ns.ok_or_else(|| {
            let first = result.counts.first_error.as_deref().unwrap_or("none failed");
            Failure::Failed(format!(
                "{}: a run of {} requests cannot tell its {name}, which takes {} (first error: \
                 {first}); give a longer --run",
                result.target, result.latency.count, found.needs
            ))
        })? as f64;
        // What is compared is this quantile: the others may be the generator's own.
        let lag_ns = of(&result.send_lag).and_then(|found| found.value_ns).unwrap_or(0) as f64;
        if self.rate.is_some() && lag_ns > LAG_SHARE_MAX * value_ns {
            return Err(Failure::Invalid(format!(
                "the generator was late: its send lag has a {name} of {:.1} µs, more than {} % of \
                 the latency's {:.1} µs; lower the rate, or give it a quieter core (--cpu)",
                lag_ns / 1e3,
                LAG_SHARE_MAX * 100.0,
                value_ns / 1e3
            )));
        }
        Ok(value_ns)
    }
}

/// The time of one run of a command that has to succeed.
fn time(words: &[String]) -> Result<f64, Failure> {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command
        .status()
        .map_err(|error| Failure::Failed(format!("cannot run {}: {error}", words[0])))?;
    let ns = start.elapsed().as_nanos() as f64;
    if status.success() {
        Ok(ns)
    } else {
        Err(Failure::Failed(format!("{} ended with {status}", words.join(" "))))
    }
}
