//! `cutter demo`: a whole server, real models and a client, in one command.
//!
//! ```text
//!  main thread      container ▸ server ▸ first prediction ▸ samples, progress line ▸ report
//!  client thread                                            replay: queries out, answers in
//!  the server's     engine, control                         as in `cutter serve`
//!  softmax          a process, started by the server        reads rows, names digits
//! ```
//!
//! Then, on the main thread, the acts of `learning`: policies that choose among five models.
//!
//! What is measured is what a client sees: time from when a query should have been sent to its
//! complete answer. What is checked is every class, against the same weights computed here. No
//! file is written (but the one that was asked for) and no process is left: the weights are handed
//! over as memfds, and the server ends its replicas before it ends.

mod container;
mod cores;
mod figures;
mod interrupt;
mod learning;
mod limits;
mod models;
mod options;
mod plot;
mod report;
mod serving;
mod tally;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use cutter_core::stats::Stage;
use cutter_machine::affinity;
use cutter_machine::clock::monotonic_ns;
use cutter_server::config::{ConfigErrors, Listen};
use cutter_server::counted::Counted;
use cutter_server::server::{Host, Server, StartError};
use cutter_tools::admin::{AdminClient, AdminError, Sampler, Window};
use cutter_tools::arrivals::{Arrivals, ArrivalsError, Schedule};
use cutter_tools::bodies::{self, BodiesError, BodyOptions, Input, Protocol, Questions};
use cutter_tools::digits::{DIGITS_FILE, Digits, DigitsError, Softmax, SoftmaxError, WEIGHTS_FILE};
use cutter_tools::floor::{self, Effort};
use cutter_tools::load::analysis::{Reading, WarmUpRule, analyse};
use cutter_tools::load::{
    LoadError, Outcome, Pace, Plan, Progress, Recording, Wait, connections_for,
};
use cutter_tools::printing::{PrintError, print};
use cutter_tools::reply::{Check, Label};
use cutter_tools::result::load::PlanResult;
use cutter_tools::result::{Finding, LoadResult, Stamp};
use cutter_tools::target::{Address, Target};
use cutter_tools::text::grouped;
use cutter_tools::{load, report as pages};

use cores::Cores;
use learning::{LearningError, Stage as LearningStage};
use limits::{ANSWER_NS_MAX, READY_NS_MAX, SAMPLE_PERIOD_MS, SLO_US};
use report::{BatchSizes, Report, StageTime};
use tally::{Known, Tally};

pub use options::Options;

/// Why a demo failed.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("the committed images are broken: {0}")]
    Digits(#[from] DigitsError),
    #[error("the committed weights are broken: {0}")]
    Softmax(#[from] SoftmaxError),
    #[error("cannot build the container with {command}:\n{why}")]
    Build { command: String, why: String },
    #[error(
        "the container is not at {}; build it with: cargo build --release -p cutter-examples, \
         or run the demo with: cargo run --release -- demo", path.display()
    )]
    NoContainer { path: PathBuf },
    #[error("the path {} is not UTF-8; move the container elsewhere", .0.display())]
    Path(PathBuf),
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(
        "no prediction within {} s of the start: {last}; see the log above",
        READY_NS_MAX / 1_000_000_000
    )]
    NotReady { last: String },
    #[error("ended before the first query")]
    Interrupted,
    #[error("so much cannot be replayed: {0}")]
    Arrivals(#[from] ArrivalsError),
    #[error("the digits cannot be asked: {0}")]
    Bodies(#[from] BodiesError),
    #[error("the replay failed: {0}")]
    Replay(#[from] LoadError),
    #[error("the server does not say how it is: {0}")]
    Admin(#[from] AdminError),
    #[error("the policies could not be shown: {0}")]
    Learning(#[from] LearningError),
    #[error("{0}")]
    System(#[source] io::Error),
    #[error(transparent)]
    Print(#[from] PrintError),
    #[error("cannot write {}: {source}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no query was answered with a prediction")]
    NoPrediction,
    #[error("{differing} of {predictions} predictions differ from the same weights offline")]
    Differing { differing: u64, predictions: u64 },
    #[error("{errors} queries ended in errors; the first: {first}")]
    Errors { errors: u64, first: String },
}

/// Runs the demo and prints what came of it. An error also when a prediction was not what the same
/// weights give offline, or when a query ended in an error.
pub fn run(options: &Options) -> Result<(), DemoError> {
    let schedule = schedule(options)?;
    let line = ProgressLine::new();
    line.show("building the containers");
    let programs = container::find();
    line.clear();
    let cores = choose_cores(&affinity::allowed().map_err(DemoError::System)?);
    let models = serving::load().map_err(DemoError::System)?;
    let config = serving::configure(&programs?, &models, &cores)?;
    let progress = Arc::new(Progress::default());
    interrupt::watch(&progress).map_err(DemoError::System)?;
    let stamp = options.report.as_ref().map(|_| take_stamp(&line)).transpose()?;

    let mut server = Server::start(config, Host::default())?;
    let measured = measure(&server, options, schedule, cores, &progress, &line);
    line.clear();
    server.stop();
    let ended = server.join();
    let (report, result) = measured?;
    ended?;

    print(&report.to_string())?;
    if let Some(path) = &options.json {
        write(path, &report.to_json())?;
    }
    if let (Some(path), Some(stamp)) = (&options.report, stamp) {
        let learned = report.selection.clone().map(|found| Finding::Selection(Box::new(found)));
        let findings = [Finding::Load(Box::new(result))].into_iter().chain(learned);
        let files: Vec<_> = findings.map(|finding| stamp.file(finding)).collect();
        write(path, &pages::page(&files))?;
    }
    judge(&report)
}

fn write(path: &Path, text: &str) -> Result<(), DemoError> {
    let written = std::fs::write(path, text);
    written.map_err(|source| DemoError::Write { path: path.to_owned(), source })
}

fn take_stamp(line: &ProgressLine) -> Result<Stamp, DemoError> {
    let stamp = Stamp::take();
    let cpus = floor::default_cpus().map_err(DemoError::System)?;
    let floors = floor::measure(&cpus, Effort::Quick, &mut |what| {
        line.show(&format!("measuring what the machine can do: {what}"));
    });
    Ok(stamp.with_floors(floors.map_err(DemoError::System)?))
}

/// The first two cores for the server and its model, and the third, when there is one, for the
/// client. On a single core nothing is pinned.
fn choose_cores(allowed: &[usize]) -> Cores {
    match *allowed {
        [engine, model] => Cores { engine: Some(engine), model: Some(model), client: Some(model) },
        [engine, model, client, ..] => {
            Cores { engine: Some(engine), model: Some(model), client: Some(client) }
        }
        _ => Cores { engine: None, model: None, client: None },
    }
}

fn arrivals(options: &Options) -> Arrivals {
    Arrivals::Constant { rate_qps: f64::from(options.rate) }
}

fn queries(options: &Options) -> u64 {
    u64::from(options.rate) * u64::from(options.seconds)
}

/// When each query is sent.
fn schedule(options: &Options) -> Result<Schedule, ArrivalsError> {
    Schedule::new(&arrivals(options), None, Some(queries(options)), 0)
}

fn measure(
    server: &Server,
    options: &Options,
    schedule: Schedule,
    cores: Cores,
    progress: &Progress,
    line: &ProgressLine,
) -> Result<(Report, LoadResult), DemoError> {
    let Some(Listen::Tcp(address)) = server.addresses().first() else {
        unreachable!("the demo's configuration has one TCP address");
    };
    let target = format!("http://{address}/{}/predict", serving::APPLICATION);
    let (questions, known) = questions(&target)?;
    let plan = Plan {
        address: Address::Tcp(*address),
        questions,
        check: Check::Clipper,
        pace: Pace::Open(schedule),
        connections: connections_for(f64::from(options.rate)),
        pipeline: 1,
        time_limit_ns: ANSWER_NS_MAX,
        wait: Wait::Adaptive,
        cpu: cores.client,
    };
    line.show("waiting for the first prediction");
    let admin = AdminClient::new(&server.admin().to_string())?;
    wait_until_ready(&plan, admin, progress)?;
    let before = admin.stats()?;
    let sampler = Sampler::start(admin, SAMPLE_PERIOD_MS)?;
    let (recording, limits) =
        replay_and_watch(&plan, queries(options), &server.counted(), progress, line)?;
    let engine = Some(sampler.stop(recording.start_ns)?);
    let window = Window::between(&before, &admin.stats()?);
    let window = window.ok_or(AdminError::Restarted { address: admin.address() })?;
    let reading = reading(&plan, target, &arrivals(options));
    let result = LoadResult { engine, ..analyse(&recording, reading) };
    let queries_of_each = u64::from(options.learn);
    let show = |text: &str| line.show(text);
    let stage =
        LearningStage { query: *address, admin, queries: queries_of_each, progress, show: &show };
    let selection = learning::run(&stage)?;
    let report = Report {
        cores,
        connections: plan.connections,
        rate_qps: u64::from(options.rate),
        planned: queries(options),
        tally: Tally::of(&recording, &known),
        doubts: result.validity.reasons.clone(),
        stages: stage_times(&window),
        batch: batch_sizes(&window),
        limits,
        selection,
    };
    Ok((report, result))
}

/// What was asked, and how it is to be read: every query counts.
fn reading(plan: &Plan, target: String, arrivals: &Arrivals) -> Reading {
    let rate_qps = match &plan.pace {
        Pace::Open(schedule) => schedule.mean_rate_qps(),
        Pace::Closed { .. } => None,
    };
    let plan = PlanResult {
        loop_kind: "open".to_owned(),
        arrivals: Some(arrivals.to_string()),
        rate_qps,
        seconds: None,
        requests: None,
        connections: plan.connections,
        pipeline: plan.pipeline,
        time_limit_ns: plan.time_limit_ns,
        seed: 0,
        protocol: Protocol::Clipper.to_string(),
        input: Input::Digits.to_string(),
        bodies: plan.questions.len(),
        request_bytes: plan.questions.request_bytes_mean(),
        wait: plan.wait.as_str().to_owned(),
        cpu: plan.cpu,
    };
    Reading { target, plan, warm_up: WarmUpRule::None, slo_ns: Some(SLO_US * 1_000) }
}

/// All held-out images, as they are asked. Answers are compared with what the same weights give
/// here, not with what was written: a server has to be as right as its model, and as wrong.
fn questions(target: &str) -> Result<(Questions, Vec<Known>), DemoError> {
    let target: Target = target.parse().expect("an address and a name make a target");
    let options = BodyOptions::default();
    let questions = bodies::build(&target, Protocol::Clipper, &Input::Digits, &options)?;
    let digits = Digits::from_bytes(DIGITS_FILE)?;
    let model = Softmax::from_bytes(WEIGHTS_FILE)?;
    let known = digits
        .held_out()
        .map(|digit| Known { label: digit.label(), offline: model.predict(&digit.row()) });
    let known: Vec<Known> = known.collect();
    let offline = known.iter().map(|known| Label { class: known.offline }).collect();
    Ok((questions.with_labels(offline), known))
}

/// Asks until every model is ready and there is a prediction.
fn wait_until_ready(plan: &Plan, admin: AdminClient, progress: &Progress) -> Result<(), DemoError> {
    let until_ns = monotonic_ns() + READY_NS_MAX;
    let once = Plan {
        pace: Pace::Closed { requests: Some(1), duration_ns: None },
        connections: 1,
        ..plan.clone()
    };
    loop {
        if progress.is_interrupted() {
            return Err(DemoError::Interrupted);
        }
        let readiness = admin.readiness()?;
        let last = match load::run(&once, &Progress::default()) {
            _ if !readiness.is_ready() => readiness.reasons.join("; "),
            Ok(recording) => match recording.samples.first() {
                Some(sample) if sample.outcome == Outcome::Answered => return Ok(()),
                _ => told(&recording),
            },
            Err(error) => error.to_string(),
        };
        if monotonic_ns() > until_ns {
            return Err(DemoError::NotReady { last });
        }
    }
}

/// What a query that got no prediction got.
fn told(recording: &Recording) -> String {
    match (recording.default_reasons.keys().next(), &recording.first_error) {
        (Some(reason), _) => format!("the last answer was the default, for the reason {reason}"),
        (None, Some(error)) => error.clone(),
        (None, None) => "no answer".to_owned(),
    }
}

/// Replays on a thread of its own. Meanwhile, samples the AIMD limit and shows how far it is.
fn replay_and_watch(
    plan: &Plan,
    queries: u64,
    counted: &Counted,
    progress: &Progress,
    line: &ProgressLine,
) -> Result<(Recording, Vec<u64>), DemoError> {
    let limit = &counted.models[0].replicas[0].batch_limit;
    let mut limits = Vec::new();
    let recording = std::thread::scope(|scope| {
        let client = scope.spawn(|| load::run(plan, progress));
        while !client.is_finished() {
            std::thread::sleep(Duration::from_millis(SAMPLE_PERIOD_MS));
            limits.push(limit.get());
            // Shown and nothing else: no other memory is read by it.
            let done = progress.done.load(Relaxed);
            line.show(&format!("{} of {} queries", grouped(done), grouped(queries)));
        }
        client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    Ok((recording?, limits))
}

/// The times of the window's queries, in the order of [`Stage::ALL`], which is theirs too.
fn stage_times(window: &Window) -> [StageTime; Stage::ALL.len()] {
    window.stages().map(|(_, times)| StageTime {
        p50_ns: times.quantile(0.5).unwrap_or_default(),
        p99_ns: times.quantile(0.99).unwrap_or_default(),
    })
}

/// Of the only model.
fn batch_sizes(window: &Window) -> BatchSizes {
    let rows = &window.models[0].batch_size;
    BatchSizes { mean: rows.mean().unwrap_or_default(), max: rows.max }
}

fn judge(report: &Report) -> Result<(), DemoError> {
    let tally = &report.tally;
    let (differing, predictions) = (tally.differing, tally.predictions);
    if let Some(first) = &tally.first_error {
        return Err(DemoError::Errors { errors: tally.errors, first: first.clone() });
    }
    match (differing, predictions) {
        (_, 0) => Err(DemoError::NoPrediction),
        (0, _) => Ok(()),
        _ => Err(DemoError::Differing { differing, predictions }),
    }
}

/// One line on a terminal that is written over and over; nothing elsewhere.
struct ProgressLine {
    is_terminal: bool,
}

impl ProgressLine {
    fn new() -> Self {
        Self { is_terminal: io::stderr().is_terminal() }
    }

    fn show(&self, text: &str) {
        self.write(&format!("\r\x1b[K{text} …"));
    }

    fn clear(&self) {
        self.write("\r\x1b[K");
    }

    fn write(&self, text: &str) {
        if self.is_terminal {
            // A terminal that is gone needs no progress.
            let _ = io::stderr().write_all(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_queries_than_can_be_planned_are_refused_before_anything_is_started() {
        let (json, report) = (None, None);
        let options = Options { seconds: 3_600, rate: 10_000, learn: 1, json, report };
        let refused = run(&options).unwrap_err();
        assert!(matches!(refused, DemoError::Arrivals(ArrivalsError::TooMany { .. })), "{refused}");
    }

    #[test]
    fn client_and_model_share_a_core_where_there_are_two() {
        let cores = |allowed: &[usize]| {
            let Cores { engine, model, client } = choose_cores(allowed);
            [engine, model, client]
        };
        assert_eq!(cores(&[4]), [None; 3]);
        assert_eq!(cores(&[2, 7]), [Some(2), Some(7), Some(7)]);
        assert_eq!(cores(&[0, 1, 2, 3]), [Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn every_held_out_image_is_asked() {
        let (questions, known) = questions("http://127.0.0.1:80/digits/predict").unwrap();
        assert_eq!((questions.len(), known.len()), (500, 500));
        let wrong = known.iter().filter(|known| known.label != known.offline).count();
        assert_eq!(wrong, 20);
        let asked = |question: usize| &questions.slab()[questions.range(question)];
        assert!((0..500).all(|question| asked(question).starts_with(b"POST /digits/predict ")));
    }
}
