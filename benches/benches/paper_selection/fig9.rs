//! Figure 9: ensembles of 1 to 20 models, each five trees of one forest, of which now and then one
//! takes 80 ms for a batch; every query is to be answered within 20 ms.
//!
//! Queries are due at even distances, whatever became of earlier ones, and a latency counts from
//! when its query was due until its client has the answer: nothing is subtracted. The same models
//! are also asked by applications with all the time there is, which wait for every one of them.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use cutter_bench_support::cores::Cores;
use cutter_bench_support::finding::{Aim, Chart, Finding, percent, rounded, share};
use cutter_bench_support::measurement::elapsed_ns;
use cutter_core::stats::Histogram;
use rustix::process::Signal;
use serde_json::json;

use super::asked::{Asked, held_out};
use super::client::{Answer, Client};
use super::stage::{Programs, Script, Stage, digits_file};

const SIZES: [usize; 7] = [1, 2, 4, 8, 12, 16, 20];
const MODELS: usize = 20;
const TREES: usize = 5;
const SLO_US: u64 = 20_000;
/// For those that wait for all.
const PATIENT_US: u64 = 5_000_000;
/// A batch takes so much longer, with such a chance.
const SLOW_MS: u64 = 80;
const SLOW_SHARE: f64 = 0.01;
const RATE_QPS: u64 = 300;
const QUERIES: usize = 3_000;
const QUERIES_PATIENT: usize = 900;
/// More than are ever under way: each has one query at a time.
const CLIENTS: usize = 24;
const CLIENTS_PATIENT: usize = 100;
const OVER_MAX_US: f64 = 1_000.0;
/// So often a thread sleeps so long, to see how late it is woken.
const SLEEPS: usize = 2_000;
const SLEEP: Duration = Duration::from_millis(1);

/// Of the paper, by size: with mitigation mean and P99, waiting for all mean and P99, in ms, and
/// predictions missing at the deadline, in percent.
const PAPER: [(usize, [&str; 5]); 7] = [
    (1, ["17.0", "17.0", "9.8", "17.9", "1"]),
    (2, ["17.0", "17.0", "12.8", "42", "3"]),
    (4, ["17.0", "17.1", "19.1", "120", "11"]),
    (8, ["17.1", "17.5", "23.2", "137", "15"]),
    (12, ["17.3", "19.8", "38.4", "129", "37"]),
    (16, ["17.6", "23.1", "66.8", "161", "72"]),
    (20, ["238", "923", "322", "997", "96"]),
];

/// One query.
#[derive(Clone, Copy, Debug)]
struct Reply {
    latency_ns: u64,
    /// Of that, how long the client was late itself.
    lag_ns: u64,
    is_right: bool,
    missing: usize,
}

/// What came of one size.
#[derive(Debug)]
struct Ensemble {
    models: usize,
    replies: Vec<Reply>,
    in_server_us: f64,
    patient: Vec<Reply>,
}

/// The models are distributed over these cores.
pub fn find(cores: Cores, model_cpus: &[usize], programs: &Programs) -> io::Result<Finding> {
    let asked = held_out()?;
    let sleeper_late_us = sleeper_late_us();
    let quick = ask_all((cores, model_cpus), programs, &asked, (SLO_US, QUERIES, CLIENTS))?;
    let patience = (PATIENT_US, QUERIES_PATIENT, CLIENTS_PATIENT);
    let patient = ask_all((cores, model_cpus), programs, &asked, patience)?;
    let both = SIZES.into_iter().zip(quick).zip(patient);
    let ensembles = both.map(|((models, (replies, in_server_us)), (patient, _))| Ensemble {
        models,
        replies,
        in_server_us,
        patient,
    });
    Ok(finding(&ensembles.collect::<Vec<_>>(), sleeper_late_us))
}

/// How late a thread is woken that only sleeps, at the P99.9, before anything is served: no server
/// that sleeps is sooner.
fn sleeper_late_us() -> f64 {
    let late_ns = (0..SLEEPS).map(|_| {
        let due = Instant::now() + SLEEP;
        sleep(SLEEP);
        elapsed_ns(due)
    });
    times_us(late_ns)[2]
}

/// Asks ensembles of all sizes, each an application over the first so many models, that promise an
/// answer by then. With what came, the P99.9 of the server's own times, from the complete request
/// to the answer handed to the kernel, as far as its buckets tell.
fn ask_all(
    cores: (Cores, &[usize]),
    programs: &Programs,
    asked: &[Asked],
    (slo_us, queries, clients): (u64, usize, usize),
) -> io::Result<Vec<(Vec<Reply>, f64)>> {
    let stage = start(cores, programs, slo_us)?;
    stage.wait_for(&name_of(MODELS), MODELS, &asked[0])?;
    stage.signal("forest.bin", Signal::USR2)?;
    let mut all = Vec::new();
    for (place, models) in SIZES.into_iter().enumerate() {
        let replies = ask(&stage, models, (queries, clients), asked)?;
        let counted = stage.server.counted();
        let in_server_ns = p999_of(&counted.applications[place].end_to_end);
        all.push((replies, in_server_ns as f64 / 1e3));
    }
    stage.end()?;
    Ok(all)
}

fn p999_of(times: &Histogram) -> u64 {
    let all = times.count();
    let mut so_far = 0;
    let bucket = times.buckets().find(|(_, count)| {
        so_far += count;
        so_far >= all - all / 1_000
    });
    bucket.map_or(0, |(edge_ns, _)| edge_ns.min(times.max()))
}

fn name_of(models: usize) -> String {
    format!("ensemble-{models}")
}

fn start(
    (cores, model_cpus): (Cores, &[usize]),
    programs: &Programs,
    slo_us: u64,
) -> io::Result<Stage> {
    let names: Vec<String> = (0..MODELS).map(|model| format!("trees-{model}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // Queries are few: an engine that yields its core to others gets it back late.
    let mut script = Script::new(cores, "block");
    for models in SIZES {
        script = script.application(&name_of(models), &names[..models], slo_us, "name = \"vote\"");
    }
    for (model, name) in names.iter().enumerate() {
        let slow = ["/usr/bin/env".to_owned(), format!("DEMO_SLOW_MS={SLOW_MS}")];
        let share = format!("DEMO_SLOW_SHARE={SLOW_SHARE}");
        let trees = [(model * TREES).to_string(), TREES.to_string()];
        let program = programs.command("forest", &digits_file("forest.bin"), &trees);
        let command: Vec<String> = slow.into_iter().chain([share]).chain(program).collect();
        script = script.model_at(model_cpus[model % model_cpus.len()], name, &command, "");
    }
    Stage::start(&script)
}

/// Open loop: clients take the next query that is due, each its own, and sleep until it is.
fn ask(
    stage: &Stage,
    models: usize,
    (queries, clients): (usize, usize),
    asked: &[Asked],
) -> io::Result<Vec<Reply>> {
    let more = ",\"explain\":true";
    let requests: Vec<Vec<u8>> = asked.iter().map(|of| of.query(&name_of(models), more)).collect();
    let next = AtomicUsize::new(0);
    let start = Instant::now() + Duration::from_millis(50);
    let one = || -> io::Result<Vec<Reply>> {
        let mut client = Client::connect(stage.address)?;
        let mut replies = Vec::new();
        loop {
            // It counts only: relaxed.
            let query = next.fetch_add(1, Relaxed);
            if query >= queries {
                return Ok(replies);
            }
            let due = start + Duration::from_nanos(query as u64 * 1_000_000_000 / RATE_QPS);
            sleep(due.saturating_duration_since(Instant::now()));
            let lag_ns = elapsed_ns(due);
            let place = query % asked.len();
            let answer: Answer = client.ask(&requests[place])?;
            let is_right = answer.output == asked[place].label;
            let missing = answer.missing(models);
            replies.push(Reply { latency_ns: elapsed_ns(due), lag_ns, is_right, missing });
        }
    };
    scope(|scope| {
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(one)).collect();
        let mut replies = Vec::with_capacity(queries);
        for client in clients {
            let of_client = client.join().map_err(|_| io::Error::other("a client panicked"))?;
            replies.extend(of_client?);
        }
        Ok(replies)
    })
}

/// Mean and quantiles of latencies, in µs: mean, P99, P99.9.
fn latencies_us(replies: &[Reply]) -> [f64; 3] {
    times_us(replies.iter().map(|reply| reply.latency_ns))
}

fn times_us(times_ns: impl Iterator<Item = u64>) -> [f64; 3] {
    let mut sorted: Vec<u64> = times_ns.collect();
    sorted.sort_unstable();
    let at = |per_mille: usize| {
        let place = (sorted.len() * per_mille).div_ceil(1000).max(1) - 1;
        sorted[place] as f64 / 1e3
    };
    let mean = sorted.iter().sum::<u64>() as f64 / sorted.len() as f64 / 1e3;
    [mean, at(990), at(999)]
}

impl Ensemble {
    fn accuracy(&self) -> f64 {
        share(self.replies.iter().map(|reply| reply.is_right))
    }

    fn missing_share(&self) -> f64 {
        let missing: usize = self.replies.iter().map(|reply| reply.missing).sum();
        missing as f64 / (self.replies.len() * self.models) as f64
    }

    /// How long those took on average of which nothing was missing; nothing where none was whole.
    fn complete_mean_us(&self) -> Option<f64> {
        let complete = self.replies.iter().filter(|reply| reply.missing == 0);
        let times_ns: Vec<u64> = complete.map(|reply| reply.latency_ns).collect();
        (!times_ns.is_empty()).then(|| times_us(times_ns.into_iter())[0])
    }

    /// By how much the clients were late at the P99.9.
    fn lag_us(&self) -> f64 {
        times_us(self.replies.iter().map(|reply| reply.lag_ns))[2]
    }

    fn record(&self) -> serde_json::Value {
        let [mean, p99, p999] = latencies_us(&self.replies);
        let [patient_mean, patient_p99, _] = latencies_us(&self.patient);
        json!({
            "name": "fig9", "models": self.models, "slo_us": SLO_US,
            "p999_us": p999.round(), "p99_us": p99.round(), "mean_us": mean.round(),
            "accuracy": rounded(self.accuracy()), "missing_share": rounded(self.missing_share()),
            "accuracy_waiting": rounded(share(self.patient.iter().map(|reply| reply.is_right))),
            "server_p999_us": self.in_server_us.round(),
            "client_lag_p999_us": self.lag_us().round(),
            "complete_mean_us": self.complete_mean_us().map(f64::round),
            "waiting_mean_us": patient_mean.round(), "waiting_p99_us": patient_p99.round(),
        })
    }

    fn row(&self) -> Vec<String> {
        let ms = |us: f64| format!("{:.1}", us / 1e3);
        let (quick, patient) = (latencies_us(&self.replies), latencies_us(&self.patient));
        let incomplete = share(self.replies.iter().map(|reply| reply.missing > 0));
        let times = quick.into_iter().chain([self.in_server_us, self.lag_us()]);
        let ours = times.map(ms).chain([
            percent(self.accuracy()),
            percent(self.missing_share()),
            percent(incomplete),
            ms(patient[0]),
            ms(patient[1]),
        ]);
        let paper = PAPER.iter().find(|(models, _)| *models == self.models);
        let [mean, p99, all_mean, all_p99, missing] = paper.expect("all sizes are there").1;
        let paper =
            [format!("{mean} / {p99}"), format!("{all_mean} / {all_p99}"), format!("{missing} %")];
        std::iter::once(self.models.to_string()).chain(ours).chain(paper).collect()
    }
}

fn finding(ensembles: &[Ensemble], sleeper_late_us: f64) -> Finding {
    let over = |of: &&Ensemble| latencies_us(&of.replies)[2] > SLO_US as f64 + OVER_MAX_US;
    let late: Vec<_> = ensembles.iter().filter(over).map(|of| of.models.to_string()).collect();
    let slowest = ensembles.iter().map(|of| latencies_us(&of.replies)[2]).fold(0.0, f64::max);
    let complete_us = ensembles.iter().filter_map(Ensemble::complete_mean_us).fold(0.0, f64::max);
    let mut notes = vec![
        format!(
            "{RATE_QPS} queries/s in open loop; a batch of a model takes {SLOW_MS} ms longer with \
             a chance of {} %; clients count from when a query was due; \"waiting\" asks the same \
             models with all the time there is",
            100.0 * SLOW_SHARE
        ),
        "paper: mean / P99 with mitigation, the same waiting for all, and what was missing at \
         the deadline; its reply always waited for 17 ms"
            .to_owned(),
        format!(
            "a thread that only sleeps is woken {:.1} ms late at the P99.9, before any of this \
             runs",
            sleeper_late_us / 1e3
        ),
    ];
    if !late.is_empty() {
        notes.push(format!(
            "over at {} models: \"in server\" is the P99.9 from the complete request to the answer \
             handed to the kernel, \"client late\" that of sending; what is left is waiting for \
             a core",
            late.join(", ")
        ));
    }
    Finding {
        title: format!("Figure 9: ensembles with stragglers, {} ms", SLO_US / 1_000),
        records: ensembles.iter().map(Ensemble::record).collect(),
        head: vec![
            "models",
            "mean ms",
            "p99",
            "p99.9",
            "in server",
            "client late",
            "right",
            "missing",
            "incomplete",
            "waiting mean",
            "p99",
            "paper",
            "waiting",
            "missing",
        ],
        rows: ensembles.iter().map(Ensemble::row).collect(),
        aims: vec![
            Aim::new(
                late.is_empty(),
                format!("P99.9 at most 21 ms at every size; at most {:.2} ms", slowest / 1e3),
            ),
            Aim::new(
                complete_us < SLO_US as f64 / 2.0,
                format!(
                    "answered as soon as complete: where nothing is missing, after {:.2} ms on \
                     average at most",
                    complete_us / 1e3
                ),
            ),
        ],
        notes,
        charts: charts(ensembles),
    }
}

fn charts(ensembles: &[Ensemble]) -> Vec<Chart> {
    let largest = ensembles.last().map(|of| of.replies.as_slice()).unwrap_or_default();
    let by_missing = accuracy_by_missing(largest);
    let of_each = |of: fn(&Ensemble) -> f64| {
        ensembles.iter().map(|one| (one.models as f64, of(one) / 1e3)).collect::<Vec<_>>()
    };
    vec![
        Chart {
            title: "Latency of ensembles with stragglers",
            x: "models",
            y: "ms",
            curves: vec![
                ("P99.9".to_owned(), of_each(|of| latencies_us(&of.replies)[2])),
                ("mean".to_owned(), of_each(|of| latencies_us(&of.replies)[0])),
                ("mean, waiting for all".to_owned(), of_each(|of| latencies_us(&of.patient)[0])),
            ],
            across: vec![(SLO_US as f64 / 1e3, "SLO".to_owned())],
        },
        Chart {
            title: "Right answers of the largest ensemble, by what was missing",
            x: "share of predictions missing",
            y: "right",
            curves: vec![("right".to_owned(), by_missing)],
            across: Vec::new(),
        },
    ]
}

/// How often an ensemble of all models is right when so many of them are missing, where that was
/// seen often enough.
fn accuracy_by_missing(replies: &[Reply]) -> Vec<(f64, f64)> {
    let of = |missing: usize| replies.iter().filter(move |reply| reply.missing == missing);
    let seen = (0..=MODELS).filter(|&missing| of(missing).count() >= 50);
    seen.map(|missing| {
        (missing as f64 / MODELS as f64, share(of(missing).map(|reply| reply.is_right)))
    })
    .collect()
}
