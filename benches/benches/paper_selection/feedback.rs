//! Observations a second with four models: each is an image and its class, of which no prediction
//! waits, so that what each model says of it has to be known before the policy learns from it.
//!
//! Without caches all four models are asked again of every image; with them they are asked once.
//! An image that was asked before, with its answer still waiting for feedback, needs neither, and
//! costs what one does with caches. Clients keep the engine busy, but never have more evaluations
//! under way than the application has rows: an observation that was refused is none.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use cutter_bench_support::ROUNDS;
use cutter_bench_support::cores::Cores;
use cutter_bench_support::finding::{Aim, Finding};
use cutter_bench_support::measurement::median;
use cutter_core::stats::ModelStats;
use serde_json::json;

use super::asked::{Asked, held_out};
use super::client::{Client, Learned};
use super::stage::{Programs, ROWS, Script, Stage};

/// The four best. Caches spare what models cost: of those that cost less than reading their input
/// from JSON, as the linear one does, there is nothing to be gained.
const MODELS: [&str; 4] = ["mlp-small", "neighbours", "forest", "mlp-large"];
const SLO_US: u64 = 1_000_000;
/// Evaluations under way at most.
const UNDER_WAY_MAX: u64 = ROWS as u64 / 2;
const PAUSE: Duration = Duration::from_micros(50);
/// A round is given up after this.
const TIME_LIMIT: Duration = Duration::from_secs(20);
const PER_S_MIN: f64 = 11_000.0;
const GAIN_MIN: f64 = 1.6;

/// One way to tell.
#[derive(Clone, Copy)]
struct Way {
    what: &'static str,
    /// Updates of one request.
    batch: usize,
    clients: usize,
    requests: usize,
}

const WAYS: [Way; 2] = [
    Way { what: "50 a request", batch: 50, clients: 3, requests: 400 },
    Way { what: "one a request", batch: 1, clients: 8, requests: 10_000 },
];

pub fn find(cores: Cores, programs: &Programs) -> io::Result<Finding> {
    let asked = held_out()?;
    // An answer to the first image waits for feedback, once somebody has asked of it.
    let (first, asked) = asked.split_at(WAYS[0].batch);
    let stage = start(cores, programs)?;
    stage.wait_for("cached", MODELS.len(), &first[0])?;
    stage.wait_for("uncached", MODELS.len(), &first[0])?;
    let mut figures = Vec::new();
    for way in &WAYS {
        let requests = ["cached", "uncached"].map(|application| requests(way, asked, application));
        // What the caches are to know, each image once: of two that are alike and under way only
        // one is asked, and the other would be waited for in vain.
        let once = Way { requests: requests[0].len(), ..*way };
        round(&stage, &once, &requests[0], "cached")?;
        let mut rates = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            rates[0].push(round(&stage, way, &requests[0], "cached")?);
            rates[1].push(round(&stage, way, &requests[1], "uncached")?);
        }
        figures.push(rates.map(|rates| median(rates.into_iter())));
    }
    stage.end()?;
    Ok(finding(&figures))
}

/// The same four models twice: with caches, and without.
fn start(cores: Cores, programs: &Programs) -> io::Result<Stage> {
    let plain = MODELS.map(|model| format!("{model}-plain"));
    let plain = plain.each_ref().map(String::as_str);
    let policy = "name = \"exp4\"";
    let mut script = Script::new(cores, "adaptive")
        .application("cached", &MODELS, SLO_US, policy)
        .application("uncached", &plain, SLO_US, policy);
    for (model, plain) in MODELS.into_iter().zip(plain) {
        let command = programs.of_model(model);
        script = script.model(model, &command, "cache = {}");
        script = script.model(plain, &command, "");
    }
    Stage::start(&script)
}

fn requests(way: &Way, asked: &[Asked], application: &str) -> Vec<Vec<u8>> {
    asked.chunks_exact(way.batch).map(|some| Asked::lessons(some, application)).collect()
}

/// Observations a second, from the first request until the last was learned.
fn round(stage: &Stage, way: &Way, requests: &[Vec<u8>], application: &str) -> io::Result<f64> {
    let counted = stage.server.counted();
    let is_of = |model: &&std::sync::Arc<ModelStats>| {
        model.model.ends_with("-plain") == (application == "uncached")
    };
    let models: Vec<_> = counted.models.iter().filter(is_of).collect();
    let done = || models.iter().map(|model| rows_of(model)).min().unwrap_or_default();
    let before = done();
    let (next, evaluating, learned) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let start = Instant::now();
    let one = || -> io::Result<()> {
        let mut client = Client::connect(stage.address)?;
        loop {
            // All three count only: relaxed.
            let request = next.fetch_add(1, Relaxed);
            if request >= way.requests {
                return Ok(());
            }
            wait_until(start, || evaluating.load(Relaxed) < done() - before + UNDER_WAY_MAX)?;
            let came: Learned = client.ask(&requests[request % requests.len()])?;
            evaluating.fetch_add(came.evaluating, Relaxed);
            learned.fetch_add(came.learned, Relaxed);
        }
    };
    scope(|scope| {
        let clients: Vec<_> = (0..way.clients).map(|_| scope.spawn(one)).collect();
        clients.into_iter().try_for_each(|client| {
            client.join().map_err(|_| io::Error::other("a client panicked"))?
        })
    })?;
    let evaluated = evaluating.load(Relaxed);
    wait_until(start, || done() - before >= evaluated)?;
    let all = evaluated + learned.load(Relaxed);
    let told = (way.requests * way.batch) as u64;
    if all != told {
        return Err(io::Error::other(format!("{all} of {told} observations were learned")));
    }
    Ok(all as f64 / start.elapsed().as_secs_f64())
}

fn wait_until(start: Instant, is_so: impl Fn() -> bool) -> io::Result<()> {
    while !is_so() {
        if start.elapsed() > TIME_LIMIT {
            return Err(io::Error::other("not all observations were evaluated in time"));
        }
        sleep(PAUSE);
    }
    Ok(())
}

/// Inputs of which a model has said something.
fn rows_of(model: &ModelStats) -> u64 {
    model.replicas.iter().map(|replica| replica.rows.get()).sum()
}

fn finding(figures: &[[f64; 2]]) -> Finding {
    let gain = |[cached, uncached]: [f64; 2]| cached / uncached;
    let mut rows: Vec<Vec<String>> = WAYS
        .iter()
        .zip(figures)
        .map(|(way, &rates)| {
            let [cached, uncached] = rates.map(|rate| format!("{rate:.0}"));
            vec![way.what.to_owned(), cached, uncached, format!("{:.2}", gain(rates))]
        })
        .collect();
    rows.push(["paper", "10,929", "6,708", "1.63"].map(str::to_owned).to_vec());
    let (batched, single) = (figures[0], figures[1]);
    Finding {
        title: format!("Feedback: observations a second with {} models", MODELS.len()),
        records: vec![json!({
            "name": "feedback",
            "per_s": batched[0].round(),
            "cache_gain": (gain(batched) * 100.0).round() / 100.0,
            "uncached_per_s": batched[1].round(),
            "single_per_s": single[0].round(),
            "single_uncached_per_s": single[1].round(),
        })],
        head: vec!["", "cached", "uncached", "gain"],
        rows,
        aims: vec![
            Aim::new(
                batched[0] > PER_S_MIN && single[0] > PER_S_MIN,
                format!(
                    "more than {PER_S_MIN} a second, at once {:.0} and single {:.0}",
                    batched[0], single[0]
                ),
            ),
            Aim::new(
                gain(batched) >= GAIN_MIN,
                format!("caches make it {GAIN_MIN} times as much: {:.2}", gain(batched)),
            ),
        ],
        notes: vec![
            "models: ".to_owned()
                + &MODELS.join(", ")
                + "; images of 784 floats as JSON; the \
             450 images come round again and again, so that caches know all of them",
        ],
        charts: Vec::new(),
    }
}
