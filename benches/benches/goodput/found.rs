//! What was found: records, a table, and what was aimed at.

use std::io;

use cutter_bench_support::cell::Cell;
use cutter_bench_support::finding::{Aim, Finding};
use cutter_bench_support::stand::Setting;
use cutter_tools::goodput::bounds::reference_qps;
use cutter_tools::goodput::fluid_optimum;
use cutter_tools::text::rate;
use serde::Serialize;
use serde_json::json;

use super::policy::Measured;

/// Of all requests, those that are answered with a prediction within the SLO.
pub const QUANTILE: f64 = 0.99;
/// The share of the reference, and that of T* with batches of so many rows, that are aimed at.
const OF_REFERENCE: f64 = 0.95;
const OF_BOUND: f64 = 0.9;
const OF_BOUND_ROWS: u64 = 50;
/// The policies of the server that adapt by themselves.
const OURS: [&str; 3] = ["aimd", "quantile", "aimd_defer"];

/// One policy in one cell.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    name: &'static str,
    alpha_us: u32,
    beta_us: u32,
    replicas: u32,
    policy: &'static str,
    qps: f64,
    bound_qps: f64,
    reference_qps: f64,
}

/// All policies in one cell.
#[derive(Debug)]
pub struct FoundCell {
    cell: Cell,
    /// The rows of a batch at T*.
    bound_rows: u64,
    bound_qps: f64,
    reference_qps: f64,
    /// By policy; nothing where it does not suit the cell.
    goodputs_qps: Vec<(&'static str, Option<f64>)>,
}

impl FoundCell {
    pub fn measure(cell: Cell, policies: &[Measured], setting: &Setting) -> io::Result<Self> {
        let scene = cell.scene().map_err(io::Error::other)?;
        let (bound_qps, bound_rows) = fluid_optimum(&scene);
        let reference_qps = reference_qps(&scene, QUANTILE);
        let goodput_of = |policy: &Measured| {
            let measure = || policy.goodput_qps(cell, &scene, reference_qps, setting);
            let qps = policy.suits(cell.replicas).then(measure).transpose()?;
            Ok((policy.name(), qps))
        };
        let goodputs_qps = policies.iter().map(goodput_of).collect::<io::Result<_>>()?;
        Ok(Self { cell, bound_rows, bound_qps, reference_qps, goodputs_qps })
    }

    pub fn records(&self) -> impl Iterator<Item = Record> {
        let measured = self.goodputs_qps.iter().filter_map(|(policy, qps)| Some((policy, (*qps)?)));
        measured.map(|(policy, qps)| Record {
            name: "goodput",
            alpha_us: self.cell.alpha_us,
            beta_us: self.cell.beta_us,
            replicas: self.cell.replicas,
            policy,
            qps: qps.round(),
            bound_qps: self.bound_qps.round(),
            reference_qps: self.reference_qps.round(),
        })
    }

    /// The best of the server's own policies, when one of them was measured.
    fn ours_qps(&self) -> Option<f64> {
        let ours = self.goodputs_qps.iter().filter(|(name, _)| OURS.contains(name));
        ours.filter_map(|(_, qps)| *qps).max_by(f64::total_cmp)
    }

    fn row(&self) -> Vec<String> {
        let share = |qps: f64| format!("{} {:>5.1} %", rate(qps), qps / self.bound_qps * 100.0);
        let figures = [rate(self.bound_qps), share(self.reference_qps)];
        let goodputs = self.goodputs_qps.iter();
        let goodputs = goodputs.map(|(_, qps)| qps.map_or_else(|| "–".to_owned(), share));
        [self.cell.to_string()].into_iter().chain(figures).chain(goodputs).collect()
    }

    fn aims(&self) -> Vec<Aim> {
        let Some(ours_qps) = self.ours_qps() else { return Vec::new() };
        let aim = |of_qps: f64, least: f64, what: &str| {
            let share = ours_qps / of_qps;
            let (per_cent, least_per_cent) = (share * 100.0, least * 100.0);
            let text = format!("{}: {per_cent:.1} % of {what} (≥ {least_per_cent} %)", self.cell);
            Aim::new(share >= least, text)
        };
        let mut aims = vec![aim(self.reference_qps, OF_REFERENCE, "the reference")];
        if self.bound_rows >= OF_BOUND_ROWS {
            aims.push(aim(self.bound_qps, OF_BOUND, "T*"));
        }
        aims
    }
}

impl Record {
    /// In a line, as soon as it is known.
    pub fn told(&self) -> String {
        let Self { alpha_us, beta_us, replicas, policy, qps, bound_qps, reference_qps, .. } = self;
        format!(
            "alpha {alpha_us} µs, beta {beta_us} µs, {replicas} × {policy}: {} ({:.1} % of T*, \
             {:.1} % of the reference)",
            rate(*qps),
            qps / bound_qps * 100.0,
            qps / reference_qps * 100.0
        )
    }
}

pub fn finding(found: &[FoundCell], policies: &[Measured]) -> Finding {
    let names = policies.iter().map(|policy| policy.name());
    Finding {
        title: "Goodput per second, and its share of T*".to_owned(),
        records: found.iter().flat_map(FoundCell::records).map(|record| json!(record)).collect(),
        head: ["cell", "T*", "reference"].into_iter().chain(names).collect(),
        rows: found.iter().map(FoundCell::row).collect(),
        aims: found.iter().flat_map(FoundCell::aims).collect(),
        notes: vec![
            "One replica is busy on a core of its own; four wait for their time to pass, and share \
             a core with the generator unless the machine has a core for each."
                .to_owned(),
            "aimd_defer: batches begin as late as their first query allows, but not later than \
             another replica is free."
                .to_owned(),
            "fixed_best is the best of five sizes; a peer has the best of its settings, and no \
             cost but the model's."
                .to_owned(),
        ],
        charts: Vec::new(),
    }
}
