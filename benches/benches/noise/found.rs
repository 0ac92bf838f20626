//! What was found: records, a table, goodput over time as a chart, and what was aimed at.

use cutter_bench_support::finding::{Aim, Chart, Finding, percent, rounded};
use cutter_bench_support::slices::SLICE_NS;
use cutter_tools::text::rate;
use serde_json::{Value, json};

use super::disturbance::Case;
use super::measured::{Adapted, CaseFound};

/// The share of the best fixed size that is aimed at.
const OF_FIXED: f64 = 0.8;
/// Batches after the noise within which goodput should be back.
const BACK_BATCHES: u64 = 200;

impl CaseFound {
    /// A line for each policy, as soon as the case is done.
    pub fn told(&self) -> impl Iterator<Item = String> {
        self.adapted.iter().map(|adapted| {
            format!(
                "{}, {}: {} in time under noise, {} of the best fixed size; back {}",
                self.case.name(),
                adapted.policy,
                rate(adapted.goodput_qps),
                percent(self.of_fixed(adapted)),
                adapted.back()
            )
        })
    }

    fn of_fixed(&self, adapted: &Adapted) -> f64 {
        adapted.goodput_qps / self.fixed_best_qps
    }

    fn records(&self) -> impl Iterator<Item = Value> {
        self.adapted.iter().map(|adapted| {
            json!({
                "name": "noise",
                "case": self.case.name(),
                "policy": adapted.policy,
                "goodput_qps": adapted.goodput_qps.round(),
                "fixed_best_qps": self.fixed_best_qps.round(),
                "back_after_batches": adapted.back_after_batches,
                "of_fixed_best": rounded(self.of_fixed(adapted)),
                "fixed_best_rows": self.fixed_best_rows,
                "offered_qps": self.offered_qps.round(),
                "before_qps": adapted.before_qps.round(),
                "after_qps": adapted.after_qps.round(),
                "batches_after": adapted.batches_after,
            })
        })
    }

    fn rows(&self) -> impl Iterator<Item = Vec<String>> {
        self.adapted.iter().map(|adapted| {
            vec![
                format!("{} {}", self.case.name(), adapted.policy),
                rate(adapted.before_qps),
                rate(adapted.goodput_qps),
                format!("{} ({} rows)", rate(self.fixed_best_qps), self.fixed_best_rows),
                percent(self.of_fixed(adapted)),
                rate(adapted.after_qps),
                adapted.back(),
            ]
        })
    }

    fn aims(&self) -> impl Iterator<Item = Aim> {
        self.adapted.iter().flat_map(|adapted| {
            let of = format!("{}, {}", self.case.name(), adapted.policy);
            let share = self.of_fixed(adapted);
            let is_back = adapted.back_after_batches.is_some_and(|count| count <= BACK_BATCHES);
            [
                Aim::new(
                    share >= OF_FIXED,
                    format!("{of}: {} of the best fixed size (≥ 80 %)", percent(share)),
                ),
                Aim::new(is_back, format!("{of}: back {} (≤ {BACK_BATCHES})", adapted.back())),
            ]
        })
    }

    fn chart(&self) -> Chart {
        let curve = |adapted: &Adapted| (adapted.policy.to_owned(), adapted.curve());
        Chart {
            title: match self.case {
                Case::Busy => "A busy process on the model's core, and after it",
                Case::Stalls => "Stalls, and after them",
            },
            x: "s since the start of the load",
            y: "goodput per second",
            curves: self.adapted.iter().map(curve).collect(),
            across: vec![(self.fixed_best_qps, "best fixed size under noise".to_owned())],
        }
    }
}

impl Adapted {
    fn back(&self) -> String {
        match self.back_after_batches {
            Some(batches) => format!("after {batches} batches"),
            None => format!("not within {} batches", self.batches_after),
        }
    }

    fn curve(&self) -> Vec<(f64, f64)> {
        let middle_s = |slice: usize| (slice as f64 + 0.5) * SLICE_NS as f64 / 1e9;
        self.slices_qps.iter().enumerate().map(|(slice, qps)| (middle_s(slice), *qps)).collect()
    }
}

pub fn finding(found: &[CaseFound]) -> Finding {
    Finding {
        title: "Goodput under noise, and after it".to_owned(),
        records: found.iter().flat_map(CaseFound::records).collect(),
        head: vec!["noise", "before", "goodput", "best fixed", "of it", "after", "back"],
        rows: found.iter().flat_map(CaseFound::rows).collect(),
        aims: found.iter().flat_map(CaseFound::aims).collect(),
        notes: vec![
            "Predictions in time, per second. Back: two slices of 100 ms in a row with 95 % of the \
             goodput before."
                .to_owned(),
        ],
        charts: found.iter().map(CaseFound::chart).collect(),
    }
}
