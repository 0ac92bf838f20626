//! What it brings that queries wait for others: Figure 5 of the paper, which has 3.3 times the
//! throughput with a wait of 2 ms, for a model of high fixed cost.
//!
//! A server that gives an idle replica all that waits has little to gain. In closed loop each
//! client is answered with the second batch at the latest, so that no wait can bring more than
//! twice as much; in open loop beyond what small batches can do, what waits while a batch is under
//! way makes the next one larger. What waiting saves there is the model's core: a query costs a
//! fraction of a batch instead of a whole one, and what is left over others can use.

use std::io;

use cutter_bench_support::cell::Cell;
use cutter_bench_support::finding::{Aim, Finding, rounded};
use cutter_bench_support::processes::cpu_time_ns;
use cutter_bench_support::slices::goodput_qps;
use cutter_bench_support::stand::{Setting, Stand};
use cutter_tools::arrivals::Arrivals;
use cutter_tools::load::Recording;
use cutter_tools::text::rate;
use serde_json::{Value, json};

/// A wait as the paper's; and a model that costs what the paper's does in a batch, and next to
/// nothing for a row.
const WAIT_US: u32 = 2_000;
const CELL: Cell = Cell { alpha_us: 10, beta_us: 500, replicas: 1, slo_us: 20_000 };
/// What is aimed at, as the paper has it.
const GAIN: f64 = 3.0;
const LOADS: [Load; 3] = [
    Load { name: "closed", clients: Some(CLIENTS), rate_qps: 0.0 },
    Load { name: "paper", clients: None, rate_qps: 18_000.0 },
    Load { name: "light", clients: None, rate_qps: 2_000.0 },
];
/// All of them make a full batch.
const CLIENTS: usize = 64;

/// Who asks: clients in closed loop, or arrivals at a rate.
#[derive(Debug)]
struct Load {
    name: &'static str,
    clients: Option<usize>,
    rate_qps: f64,
}

/// A load with one wait.
#[derive(Debug)]
struct Found {
    load: &'static str,
    wait_us: u32,
    /// Predictions within the SLO.
    qps: f64,
    rows_per_batch: f64,
    /// Predictions for each second of the model's processor time.
    per_core_second: f64,
}

pub fn find(setting: &Setting, duration_ns: u64) -> io::Result<Finding> {
    let mut found = Vec::new();
    for load in &LOADS {
        for wait_us in [0, WAIT_US] {
            found.push(load.measure(wait_us, setting, duration_ns)?);
        }
    }
    let gains: Vec<(&str, Gain)> =
        found.chunks(2).map(|two| (two[0].load, Gain::of(&two[0], &two[1]))).collect();
    let note = |(load, gain): &(&str, Gain)| {
        let Gain { qps, per_core_second } = gain;
        format!(
            "{load}: {qps:.2} × the goodput, {per_core_second:.2} × for each second of its core"
        )
    };
    let best = |of: fn(&Gain) -> f64| gains.iter().map(|(_, gain)| of(gain)).fold(0.0, f64::max);
    let aim = |gain: f64, what: &str| {
        Aim::new(gain >= GAIN, format!("a wait of 2 ms: {gain:.2} × {what} (≥ {GAIN})"))
    };
    Ok(Finding {
        title: "A wait of 2 ms, beside none".to_owned(),
        records: found.iter().map(Found::record).collect(),
        head: vec!["load", "wait", "goodput", "rows a batch", "per core second"],
        rows: found.iter().map(Found::row).collect(),
        aims: vec![
            aim(best(|gain| gain.qps), "the goodput, under the load where it is most"),
            aim(best(|gain| gain.per_core_second), "the predictions for a second of its core"),
        ],
        notes: gains.iter().map(note).collect(),
        charts: Vec::new(),
    })
}

/// How many times as much with a wait.
#[derive(Debug)]
struct Gain {
    qps: f64,
    per_core_second: f64,
}

impl Gain {
    fn of(none: &Found, waited: &Found) -> Self {
        Self {
            qps: waited.qps / none.qps,
            per_core_second: waited.per_core_second / none.per_core_second,
        }
    }
}

impl Load {
    fn measure(&self, wait_us: u32, setting: &Setting, duration_ns: u64) -> io::Result<Found> {
        // As many clients as a batch may have: a batch of all of them waits for nobody.
        let batch = format!("policy = \"fixed\", max = {CLIENTS}, wait_us = {wait_us}");
        let stand = Stand::start(CELL, setting, &batch)?;
        let pids = stand.model_pids()?;
        let cpu_ns = || pids.iter().map(|pid| cpu_time_ns(*pid)).sum::<io::Result<u64>>();
        let counts = stand.counts();
        let before = (cpu_ns()?, counts.rows()?, counts.batches()?);
        let recording = self.run(&stand, duration_ns)?;
        let cpu_s = (cpu_ns()? - before.0) as f64 / 1e9;
        let rows = (counts.rows()? - before.1) as f64;
        let batches = (counts.batches()? - before.2) as f64;
        let qps = goodput_qps(&recording, (0, duration_ns), stand.slo_ns());
        stand.end()?;
        let (rows_per_batch, per_core_second) = (rows / batches, rows / cpu_s);
        Ok(Found { load: self.name, wait_us, qps, rows_per_batch, per_core_second })
    }

    fn run(&self, stand: &Stand, duration_ns: u64) -> io::Result<Recording> {
        match self.clients {
            Some(clients) => stand.ask_closed(clients, duration_ns),
            None => {
                let arrivals = Arrivals::Poisson { rate_qps: self.rate_qps };
                stand.offer(&arrivals, duration_ns, 1)
            }
        }
    }
}

impl Found {
    fn record(&self) -> Value {
        json!({
            "name": "delayed",
            "load": self.load,
            "wait_us": self.wait_us,
            "goodput_qps": self.qps.round(),
            "rows_per_batch": rounded(self.rows_per_batch),
            "per_core_second": self.per_core_second.round(),
        })
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.load.to_owned(),
            format!("{} ms", self.wait_us / 1_000),
            rate(self.qps),
            format!("{:.1}", self.rows_per_batch),
            rate(self.per_core_second),
        ]
    }
}
