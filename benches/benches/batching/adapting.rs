//! How soon policies find the best size, at their start and when the model changes.

use std::io;

use cutter_bench_support::cell::Cell;
use cutter_bench_support::finding::{Aim, Chart, Finding, percent, rounded};
use cutter_bench_support::recovery::batches_until;
use cutter_bench_support::report::print_note;
use cutter_bench_support::sizing::{adaptive, fixed, fixed_sizes, policy};
use cutter_bench_support::slices::SLICE_NS;
use cutter_bench_support::stand::Setting;
use cutter_tools::goodput::fluid_optimum;
use cutter_tools::text::rate;
use serde_json::{Value, json};

use super::adapted::{Phase, Run};

/// The share of the best fixed size that is aimed at, and the batches within which.
const OF_FIXED: f64 = 0.95;
const WITHIN_BATCHES: u64 = 1_000;
/// Sizes that are tried, in quarters of the bound's batch.
const QUARTERS: [u64; 5] = [2, 3, 4, 5, 6];
const SLO_US: u32 = 20_000;

const HIGH: Cell = Cell { alpha_us: 100, beta_us: 4_000, replicas: 1, slo_us: SLO_US };
/// A microsecond stands for no fixed cost.
const LINEAR: Cell = Cell { alpha_us: 200, beta_us: 1, replicas: 1, slo_us: SLO_US };
const FAST: Cell = Cell { alpha_us: 100, beta_us: 400, replicas: 1, slo_us: SLO_US };
const SLOW: Cell = Cell { alpha_us: 1_000, beta_us: 4_000, replicas: 1, slo_us: SLO_US };

const CASES: [Case; 3] = [
    Case { name: "high", phases: &[("start", HIGH)] },
    Case { name: "linear", phases: &[("start", LINEAR)] },
    Case { name: "slow_down", phases: &[("start", FAST), ("slowed", SLOW), ("restored", FAST)] },
];

/// A model, and what becomes of it.
#[derive(Debug)]
struct Case {
    name: &'static str,
    phases: &'static [(&'static str, Cell)],
}

/// For how long each model and size is served.
#[derive(Clone, Copy, Debug)]
pub struct Lengths {
    /// Of a policy, from a change to the next.
    phase_ns: u64,
    /// Of a fixed size.
    fixed_ns: u64,
}

/// A policy from one change to the next, beside the best fixed size.
#[derive(Debug)]
struct Found {
    case: &'static str,
    phase: &'static str,
    policy: &'static str,
    offered_qps: f64,
    fixed_best: (f64, u64),
    came: Phase,
}

impl Lengths {
    pub const LONG: Self = Self { phase_ns: 8_000_000_000, fixed_ns: 3_000_000_000 };
    pub const SHORT: Self = Self { phase_ns: 1_000_000_000, fixed_ns: 500_000_000 };

    pub fn phase_ns(self) -> u64 {
        self.phase_ns
    }
}

pub fn find(setting: &Setting, lengths: Lengths) -> io::Result<Finding> {
    let policies = adaptive(HIGH, setting);
    let mut found = Vec::new();
    for case in &CASES {
        let of_case = case.measure(&policies, setting, lengths)?;
        of_case.iter().for_each(|one| print_note(&one.told()));
        found.extend(of_case);
    }
    Ok(Finding {
        title: "Policies that adapt, beside the best fixed size".to_owned(),
        records: found.iter().map(Found::record).collect(),
        head: vec!["model", "goodput", "best fixed", "of it", "reached"],
        rows: found.iter().map(Found::row).collect(),
        aims: found.iter().map(Found::aim).collect(),
        notes: vec![
            "Predictions in time, per second, in the second half of a phase. Reached: two slices \
             of 100 ms in a row with 95 % of the best fixed size."
                .to_owned(),
        ],
        charts: CASES.iter().map(|case| case.chart(&found)).collect(),
    })
}

impl Case {
    fn measure(
        &self,
        policies: &[&'static str],
        setting: &Setting,
        lengths: Lengths,
    ) -> io::Result<Vec<Found>> {
        let scene = self.phases[0].1.scene().map_err(io::Error::other)?;
        let (offered_qps, _) = fluid_optimum(&scene);
        let cells: Vec<Cell> = self.phases.iter().map(|(_, cell)| *cell).collect();
        let mut best = Vec::new();
        for cell in &cells {
            // A model that is as before is as good as before.
            let known = cells.iter().zip(&best).find(|(other, _)| *other == cell);
            let of_cell = match known {
                Some((_, best)) => *best,
                None => fixed_best(*cell, offered_qps, setting, lengths)?,
            };
            best.push(of_cell);
        }
        let run = Run { phases: &cells, phase_ns: lengths.phase_ns, offered_qps };
        let mut found = Vec::new();
        for name in policies {
            let phases = run.go(setting, &policy(name))?;
            let named = phases.into_iter().zip(self.phases).zip(&best);
            found.extend(named.map(|((came, (phase, _)), fixed_best)| Found {
                case: self.name,
                phase,
                policy: name,
                offered_qps,
                fixed_best: *fixed_best,
                came,
            }));
        }
        Ok(found)
    }

    fn chart(&self, found: &[Found]) -> Chart {
        let of_case = || found.iter().filter(|one| one.case == self.name);
        let mut policies: Vec<&str> = of_case().map(|one| one.policy).collect();
        policies.dedup();
        let curve = |policy: &str| {
            let phases = of_case().filter(|one| one.policy == policy);
            let slices = phases.flat_map(|one| one.came.slices_qps.iter().copied());
            let middle_s = |slice: usize| (slice as f64 + 0.5) * SLICE_NS as f64 / 1e9;
            slices.enumerate().map(|(slice, qps)| (middle_s(slice), qps)).collect()
        };
        let across = |one: &Found| (one.fixed_best.0, format!("best fixed, {}", one.phase));
        let first = policies.first().copied().unwrap_or_default();
        Chart {
            title: self.name,
            x: "s since the start of the load",
            y: "goodput per second",
            curves: policies.iter().map(|name| ((*name).to_owned(), curve(name))).collect(),
            across: of_case().filter(|one| one.policy == first).take(2).map(across).collect(),
        }
    }
}

/// The goodput of the best size, and its rows.
fn fixed_best(
    cell: Cell,
    offered_qps: f64,
    setting: &Setting,
    lengths: Lengths,
) -> io::Result<(f64, u64)> {
    let scene = cell.scene().map_err(io::Error::other)?;
    let run = Run { phases: &[cell], phase_ns: lengths.fixed_ns, offered_qps };
    let mut best = (0.0, 0);
    for rows in fixed_sizes(&scene, QUARTERS) {
        let goodput_qps = run.go(setting, &fixed(rows))?[0].settled_qps;
        if goodput_qps > best.0 {
            best = (goodput_qps, rows);
        }
    }
    Ok(best)
}

impl Found {
    fn reached_after(&self) -> Option<u64> {
        let aim_qps = OF_FIXED * self.fixed_best.0;
        batches_until(&self.came.slices_qps, &self.came.batches, aim_qps)
    }

    fn of_fixed(&self) -> f64 {
        self.came.settled_qps / self.fixed_best.0
    }

    fn name(&self) -> String {
        format!("{} {} {}", self.case, self.phase, self.policy)
    }

    fn reached(&self) -> String {
        match self.reached_after() {
            Some(batches) => format!("after {batches} batches"),
            None => format!("not within {}", self.came.batches.last().copied().unwrap_or(0)),
        }
    }

    fn told(&self) -> String {
        let share = percent(self.of_fixed());
        format!("{}: {share} of the best fixed size; reached {}", self.name(), self.reached())
    }

    fn record(&self) -> Value {
        json!({
            "name": "batching",
            "case": self.case,
            "phase": self.phase,
            "policy": self.policy,
            "goodput_qps": self.came.settled_qps.round(),
            "fixed_best_qps": self.fixed_best.0.round(),
            "fixed_best_rows": self.fixed_best.1,
            "of_fixed_best": rounded(self.of_fixed()),
            "reached_after_batches": self.reached_after(),
            "batches": self.came.batches.last(),
            "offered_qps": self.offered_qps.round(),
        })
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.name(),
            rate(self.came.settled_qps),
            format!("{} ({} rows)", rate(self.fixed_best.0), self.fixed_best.1),
            percent(self.of_fixed()),
            self.reached(),
        ]
    }

    fn aim(&self) -> Aim {
        let reached = self.reached_after().is_some_and(|batches| batches <= WITHIN_BATCHES);
        let text = format!(
            "{}: {} of the best fixed size (≥ 95 %), reached {} (≤ {WITHIN_BATCHES})",
            self.name(),
            percent(self.of_fixed()),
            self.reached(),
        );
        Aim::new(reached && self.of_fixed() >= OF_FIXED, text)
    }
}
