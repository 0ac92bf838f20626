//! What was found: records, a table, the first seconds as a chart, and what was aimed at.

use cutter_bench_support::finding::{Aim, Chart, Finding, percent, rounded};
use cutter_bench_support::slices::SLICE_NS;
use cutter_tools::text::rate;
use serde_json::{Value, json};

use super::measured::{Overload, WARM_NS};

/// The share of T* that is aimed at.
const OF_BOUND: f64 = 0.98;
/// How much later than the SLO one answer of a thousand may be.
const BEYOND_SLO_NS: u64 = 1_000_000;
/// Memory by which a process may grow that does not grow: what an allocator keeps.
const GROWTH_BYTES: u64 = 4 << 20;

impl Overload {
    /// In a line, as soon as it is known.
    pub fn told(&self) -> String {
        let Self { cell, load, goodput_qps, warm_qps, p999_ns, server_p999_ns, .. } = self;
        format!(
            "{cell}, {load} × T*: {} ({} of T*), from cold {}; p99.9 {} ms, the server's {} ms",
            rate(*goodput_qps),
            percent(self.of_bound(*goodput_qps)),
            percent(self.of_bound(*warm_qps)),
            ms(*p999_ns),
            ms(*server_p999_ns),
        )
    }

    fn record(&self) -> Value {
        let us = |ns: u64| ns / 1_000;
        let cold: Vec<f64> = self.cold_qps.iter().map(|qps| rounded(self.of_bound(*qps))).collect();
        json!({
            "name": "overload",
            "alpha_us": self.cell.alpha_us,
            "beta_us": self.cell.beta_us,
            "replicas": self.cell.replicas,
            "load_of_bound": self.load,
            "goodput_of_bound": rounded(self.of_bound(self.goodput_qps)),
            "p999_us": us(self.p999_ns),
            "slo_us": self.cell.slo_us,
            "bound_qps": self.bound_qps.round(),
            "goodput_qps": self.goodput_qps.round(),
            "sent_p999_us": us(self.sent_p999_ns),
            "server_p999_us": us(self.server_p999_ns),
            "generator_on_time": self.is_on_time(),
            "lag_p999_us": us(self.lag_p999_ns),
            "blocked": self.blocked,
            "unanswered": self.unanswered,
            "cold_of_bound": rounded(self.of_bound(self.warm_qps)),
            "cold_slices_of_bound": cold,
            "rows_per_batch": rounded(self.rows_per_batch),
            "limit_rows": self.limit_rows,
            "busy": rounded(self.busy),
            "resident_bytes_before": self.resident_bytes.0,
            "resident_bytes_after": self.resident_bytes.1,
        })
    }

    fn row(&self) -> Vec<String> {
        let share = |qps: f64| percent(self.of_bound(qps));
        let (before_bytes, after_bytes) = self.resident_bytes;
        let mib = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1 << 20));
        vec![
            format!("{} at {} × T*", self.cell, self.load),
            rate(self.goodput_qps),
            share(self.goodput_qps),
            share(self.warm_qps),
            ms(self.p999_ns),
            ms(self.sent_p999_ns),
            ms(self.server_p999_ns),
            ms(self.lag_p999_ns),
            format!("{} → {}", mib(before_bytes), mib(after_bytes)),
            format!("{:.0} of {}", self.rows_per_batch, self.limit_rows),
            percent(self.busy),
        ]
    }

    fn aims(&self) -> [Aim; 4] {
        let of = format!("{} at {} × T*", self.cell, self.load);
        let (steady, warm) = (self.of_bound(self.goodput_qps), self.of_bound(self.warm_qps));
        let (before_bytes, after_bytes) = self.resident_bytes;
        let slowest_ns = u64::from(self.cell.slo_us) * 1_000 + BEYOND_SLO_NS;
        let grown_kib = after_bytes.saturating_sub(before_bytes) / 1_024;
        [
            Aim::new(steady >= OF_BOUND, format!("{of}: {} of T* (≥ 98 %)", percent(steady))),
            Aim::new(
                warm >= OF_BOUND,
                format!("{of}: from cold, {} of T* after 500 ms (≥ 98 %)", percent(warm)),
            ),
            Aim::new(
                self.p999_ns <= slowest_ns,
                format!("{of}: p99.9 of answers {} ms (≤ {} ms)", ms(self.p999_ns), ms(slowest_ns)),
            ),
            Aim::new(
                after_bytes <= before_bytes + GROWTH_BYTES,
                format!("{of}: memory grew by {grown_kib} KiB (flat, to 4 MiB)"),
            ),
        ]
    }

    /// What to know of the generator before the times are believed.
    fn note(&self) -> Option<String> {
        let of = format!("{} at {} × T*", self.cell, self.load);
        let lag = format!(
            "{of}: the generator did not keep its schedule (p99.9 of its lag {} ms, {} times no \
             connection was free): p99.9 is partly its own, see the server's",
            ms(self.lag_p999_ns),
            self.blocked
        );
        (!self.is_on_time()).then_some(lag)
    }
}

pub fn finding(found: &[Overload]) -> Finding {
    let about = "p99.9 in ms: from when a request was due, from when it was sent, as the server \
                 counts it; lag: of the generator; memory in MiB, after the first part of the load \
                 and after the last; rows of a batch and its limit; busy: the share of the time in \
                 which the model worked";
    Finding {
        title: "Goodput in overload".to_owned(),
        records: found.iter().map(Overload::record).collect(),
        head: vec![
            "load", "goodput", "of T*", "cold", "p99.9", "sent", "server", "lag", "memory", "rows",
            "busy",
        ],
        rows: found.iter().map(Overload::row).collect(),
        aims: found.iter().flat_map(Overload::aims).collect(),
        notes: found.iter().filter_map(Overload::note).chain([about.to_owned()]).collect(),
        charts: vec![Chart {
            title: "From cold",
            x: "ms since the server said that it is ready",
            y: "goodput, as a share of T*",
            curves: found.iter().map(|one| (one.row()[0].clone(), curve(one))).collect(),
            across: vec![(OF_BOUND, format!("aim, from {} ms on", WARM_NS / 1_000_000))],
        }],
    }
}

fn curve(of: &Overload) -> Vec<(f64, f64)> {
    let middle_ms = |slice: usize| (slice as f64 + 0.5) * SLICE_NS as f64 / 1e6;
    let slices = of.cold_qps.iter().enumerate();
    slices.map(|(slice, qps)| (middle_ms(slice), of.of_bound(*qps))).collect()
}

fn ms(ns: u64) -> String {
    format!("{:.1}", ns as f64 / 1e6)
}
