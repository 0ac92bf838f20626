//! `cutter demo`: a whole server, a real model and a client, in one command.
//!
//! ```text
//!  main thread      container ▸ server ▸ first prediction ▸ samples, progress line ▸ report
//!  client thread                                            replay: queries out, answers in
//!  the server's     engine, control                         as in `cutter serve`
//!  softmax          a process, started by the server        reads rows, names digits
//! ```
//!
//! What is measured is what a client sees: time from when a query should have been sent to its
//! complete answer. What is checked is every class, against the same weights computed here. No
//! file is written (but the one that was asked for) and no process is left: the weights are handed
//! over as a memfd, and the server ends its replicas before it ends.

mod client;
mod container;
mod interrupt;
mod limits;
mod options;
mod plot;
mod replay;
mod report;
mod tally;

use std::io::{self, IsTerminal, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use cutter_protocol::clock::monotonic_ns;

use crate::config::{ConfigErrors, Listen};
use crate::server::{Server, StartError};
use crate::stats::{EngineStats, Snapshot, Stage};
use client::{Answer, ReplyReader};
use cutter_machine::affinity;
use cutter_tools::digits::{
    self, DIGITS_FILE, Digits, DigitsError, Softmax, SoftmaxError, WEIGHTS_FILE,
};
use limits::{READY_NS_MAX, SAMPLE_PERIOD_MS};
use replay::{Plan, Progress, replay};
use report::{BatchSizes, Cores, Report, StageTime, grouped};
use tally::Question;

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
        "the container is not at {}; build it with: cargo build --release -p cutter-examples \
         --bin softmax, or run the demo with: cargo run --release -- demo", path.display()
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
    #[error("lost the server: {0}")]
    Replay(#[source] io::Error),
    #[error("{0}")]
    System(#[source] io::Error),
    #[error("cannot write the figures to {}: {source}", path.display())]
    Json {
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
    let line = ProgressLine::new();
    line.show("building the softmax container");
    let program = container::find();
    line.clear();
    let cores = choose_cores(&affinity::allowed().map_err(DemoError::System)?);
    let weights = container::Weights::new().map_err(DemoError::System)?;
    let config = container::configure(&program?, &weights.path(), &cores)?;
    let progress = Arc::new(Progress::default());
    interrupt::watch(&progress).map_err(DemoError::System)?;

    let mut server = Server::start(config, false)?;
    let measured = measure(&server, options, cores, &progress, &line);
    line.clear();
    server.stop();
    let ended = server.join();
    let report = measured?;
    ended?;

    io::stdout().write_all(report.to_string().as_bytes()).map_err(DemoError::System)?;
    if let Some(path) = &options.json {
        let written = std::fs::write(path, report.to_json());
        written.map_err(|source| DemoError::Json { path: path.clone(), source })?;
    }
    judge(&report)
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

fn measure(
    server: &Server,
    options: &Options,
    cores: Cores,
    progress: &Progress,
    line: &ProgressLine,
) -> Result<Report, DemoError> {
    let Some(Listen::Tcp(address)) = server.addresses().first() else {
        unreachable!("the demo's configuration has one TCP address");
    };
    let questions = questions(*address)?;
    line.show("waiting for the first prediction");
    wait_until_ready(*address, &questions[0], progress)?;
    let rate_qps = u64::from(options.rate);
    let plan = Plan {
        address: *address,
        questions: &questions,
        rate_qps,
        queries: rate_qps * u64::from(options.seconds),
        cpu: cores.client,
    };
    let before = Seen::now(server.stats());
    let (tally, limits) = replay_and_watch(&plan, server.stats(), progress, line)?;
    let seen = Seen::now(server.stats()).since(&before);
    Ok(Report {
        cores,
        connections: plan.connections(),
        rate_qps,
        planned: plan.queries,
        tally,
        stages: seen.stages(),
        batch: seen.batch(),
        limits,
    })
}

/// All held-out images, as they are asked, and what is to be answered.
fn questions(address: SocketAddr) -> Result<Vec<Question>, DemoError> {
    let digits = Digits::from_bytes(DIGITS_FILE)?;
    let model = Softmax::from_bytes(WEIGHTS_FILE)?;
    let host = address.to_string();
    let question = |digit: digits::Digit<'_>| {
        let row = digit.row();
        let request = client::request(container::APPLICATION, &host, &row);
        Question { request, label: digit.label(), offline: model.predict(&row) }
    };
    Ok(digits.held_out().map(question).collect())
}

/// Asks until there is a prediction.
fn wait_until_ready(
    address: SocketAddr,
    question: &Question,
    progress: &Progress,
) -> Result<(), DemoError> {
    let until_ns = monotonic_ns() + READY_NS_MAX;
    loop {
        // Pairs with the store of `interrupt`.
        if progress.interrupted.load(Relaxed) {
            return Err(DemoError::Interrupted);
        }
        let last = match ask(address, question) {
            Ok(Answer::Prediction { .. }) => return Ok(()),
            Ok(answer) => format!("the last answer was {answer}"),
            Err(error) => error.to_string(),
        };
        if monotonic_ns() > until_ns {
            return Err(DemoError::NotReady { last });
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Asks once, over a connection of its own.
fn ask(address: SocketAddr, question: &Question) -> io::Result<Answer> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.write_all(&question.request)?;
    let mut reader = ReplyReader::default();
    let mut bytes = [0; 1024];
    loop {
        let received = socket.read(&mut bytes)?;
        if received == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        reader.push(&bytes[..received]);
        if let Some(answer) = reader.next().map_err(io::Error::other)? {
            return Ok(answer);
        }
    }
}

/// Replays on a thread of its own. Meanwhile, samples the AIMD limit and shows how far it is.
fn replay_and_watch(
    plan: &Plan<'_>,
    stats: &EngineStats,
    progress: &Progress,
    line: &ProgressLine,
) -> Result<(tally::Tally, Vec<u64>), DemoError> {
    let limit = &stats.models[0].replicas[0].batch_limit;
    let mut limits = Vec::new();
    let tally = std::thread::scope(|scope| {
        let client = std::thread::Builder::new().name("cutter-client".to_owned());
        let client = client.spawn_scoped(scope, || replay(plan, progress))?;
        while !client.is_finished() {
            std::thread::sleep(Duration::from_millis(SAMPLE_PERIOD_MS));
            limits.push(limit.get());
            let done = progress.done.load(Relaxed);
            line.show(&format!("{} of {} queries", grouped(done), grouped(plan.queries)));
        }
        client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    Ok((tally.map_err(DemoError::Replay)?, limits))
}

/// What the engine has counted up to some time.
struct Seen {
    stages: [Snapshot; Stage::ALL.len()],
    batch_size: Snapshot,
}

impl Seen {
    fn now(stats: &EngineStats) -> Self {
        let (application, model) = (&stats.applications[0], &stats.models[0]);
        let histogram = |stage| match stage {
            Stage::Parse => &application.parse,
            Stage::Queue => &model.queue,
            Stage::BatchWait => &model.batch_wait,
            Stage::Service => &model.service,
            Stage::Reply => &application.reply,
        };
        let stages = Stage::ALL.map(|stage| histogram(stage).snapshot());
        Self { stages, batch_size: model.batch_size.snapshot() }
    }

    fn since(&self, before: &Self) -> Self {
        let stages = std::array::from_fn(|stage| self.stages[stage].since(&before.stages[stage]));
        Self { stages, batch_size: self.batch_size.since(&before.batch_size) }
    }

    fn stages(&self) -> [StageTime; Stage::ALL.len()] {
        self.stages.each_ref().map(|stage| StageTime {
            p50_ns: stage.quantile(0.5).unwrap_or_default(),
            p99_ns: stage.quantile(0.99).unwrap_or_default(),
        })
    }

    fn batch(&self) -> BatchSizes {
        let mean = self.batch_size.mean().unwrap_or_default();
        BatchSizes { mean, max: self.batch_size.max() }
    }
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
        let questions = questions(([127, 0, 0, 1], 80).into()).unwrap();
        assert_eq!(questions.len(), 500);
        assert!(questions.iter().all(|question| question.request.starts_with(b"POST /digits/")));
    }
}
