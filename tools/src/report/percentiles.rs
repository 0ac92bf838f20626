//! Latency by percentile, on HdrHistogram's axis: each step to the right is the same factor in
//! 1 / (1 − quantile), so that the tail has as much room as the rest.

use crate::result::load::{QuantileResult, QuantileState};

use super::Run;
use super::axis::{Axis, range};
use super::numbers::{percentage, quantile, time, time_tick};
use super::plot::{Mark, Plot, line_class};
use super::svg::Drawing;

const HEIGHT: f64 = 340.0;
/// The tail that is always shown, and the farthest that can be.
const TAIL_MIN: f64 = 100.0;
const TAIL_MAX: f64 = 1e9;
/// Half the width of a whisker's ends.
const CAP: f64 = 4.0;

/// One line for each run that was measured, with the intervals of its quantiles.
#[must_use]
pub fn chart(runs: &[Run<'_>]) -> Option<Drawing> {
    let drawn: Vec<&Run<'_>> = runs.iter().filter(|run| has_curve(run)).collect();
    if drawn.is_empty() {
        return None;
    }
    let latencies = || drawn.iter().map(|run| &run.load.latency);
    let tails = latencies().flat_map(|latency| latency.curve.iter().map(|(q, _)| tail(*q)));
    let x = axis_of_tail(range(tails).1);
    let references = references(&drawn);
    let times = latencies().flat_map(|latency| latency.curve.iter().map(|(_, ns)| *ns as f64));
    let times: Vec<f64> = times.chain(references.iter().map(|(_, ns, _)| *ns)).collect();
    let y = Axis::of_times(times.into_iter(), time_tick);
    let entry = |run: &Run<'_>| (Mark::Line, line_class(run.index), run.label.clone());
    let legend: Vec<_> = drawn.iter().map(|run| entry(run)).collect();
    let mut plot = Plot::new("Latency by percentile", HEIGHT, x, y, &legend);
    plot.drawing.description = description(&drawn);
    plot.draw_axes("percentile of all requests", "latency");
    plot.across(&references);
    for run in drawn {
        let class = line_class(run.index);
        let curve = run.load.latency.curve.iter();
        plot.curve(&class, curve.map(|(q, ns)| Some((tail(*q), *ns as f64))));
        for one in &run.load.latency.quantiles {
            draw_interval(&mut plot, &class, one);
        }
    }
    Some(plot.drawing)
}

/// Whether anything can be drawn of a run's latencies.
#[must_use]
pub fn has_curve(run: &Run<'_>) -> bool {
    let latency = &run.load.latency;
    latency.count > latency.failed && !latency.curve.is_empty()
}

/// The lines across: SLOs, and what the machine does without a server over the same transport.
#[must_use]
pub fn references(runs: &[&Run<'_>]) -> Vec<(&'static str, f64, String)> {
    let mut slos_ns: Vec<u64> = runs.iter().filter_map(|run| run.load.slo_ns).collect();
    slos_ns.sort_unstable();
    slos_ns.dedup();
    let slo = |ns: u64| ("reference slo", ns as f64, format!("SLO {}", time_tick(ns as f64)));
    let mut lines: Vec<_> = slos_ns.into_iter().map(slo).collect();
    let with_floors = runs.iter().find_map(|run| Some((run, run.environment.floors.as_ref()?)));
    if let Some((run, floors)) = with_floors {
        let transport = if run.load.target.starts_with("unix:") { "unix" } else { "tcp" };
        let own = floors.figures.iter().filter(|figure| figure.name.starts_with(transport));
        lines.extend(own.map(|figure| {
            let label = format!("floor {} {}", figure.name, time(figure.p50_ns as f64));
            ("reference floor", figure.p50_ns as f64, label)
        }));
    }
    lines
}

/// The value and its interval; an interval that is open upwards ends at the top.
fn draw_interval(plot: &mut Plot, class: &str, one: &QuantileResult) {
    let at = tail(one.quantile);
    if !plot.x.holds(at) {
        return;
    }
    let x = plot.at_x(at);
    if one.state == QuantileState::Failed {
        let hint = format!("{} lies among the failed requests", quantile(one.quantile));
        plot.drawing.cross("failed", (x, plot.top + 6.0), 4.0, &hint);
    }
    let (QuantileState::Measured, Some(value_ns)) = (one.state, one.value_ns) else { return };
    let y = plot.at_y(value_ns as f64);
    let low = one.low_ns.map_or(y, |ns| plot.at_y(ns as f64));
    let high = one.high_ns.map_or(plot.top, |ns| plot.at_y(ns as f64));
    let whisker = format!("{class} whisker");
    plot.drawing.line(&whisker, (x, low), (x, high));
    let ends = [one.low_ns.map(|_| low), one.high_ns.map(|_| high)];
    for end in ends.into_iter().flatten() {
        plot.drawing.line(&whisker, (x - CAP, end), (x + CAP, end));
    }
    let hint = format!("{} = {}", quantile(one.quantile), time(value_ns as f64));
    plot.drawing.dot(&class.replace("curve c", "fill f"), (x, y), 3.0, &hint);
}

fn axis_of_tail(longest: f64) -> Axis {
    let nines = (1..=9).map(|nines| (10_f64.powi(nines), 1.0 - 10_f64.powi(-nines)));
    let places = [(1.0, 0.0), (2.0, 0.5), (4.0, 0.75)].into_iter().chain(nines);
    let ticks: Vec<_> = places
        .filter(|(tail, _)| *tail <= longest.clamp(TAIL_MIN, TAIL_MAX) * 1.001)
        .map(|(tail, quantile)| (tail, format!("{} %", percentage(quantile))))
        .collect();
    Axis::log_exact(1.0, longest.clamp(TAIL_MIN, TAIL_MAX)).with_ticks(ticks)
}

/// 1 / (1 − quantile).
fn tail(quantile: f64) -> f64 {
    if quantile < 1.0 { (1.0 / (1.0 - quantile)).min(TAIL_MAX) } else { TAIL_MAX }
}

fn description(runs: &[&Run<'_>]) -> String {
    let of_run = |run: &&Run<'_>| {
        let quantiles = run.load.latency.quantiles.iter();
        let known = quantiles.filter_map(|one| {
            Some(format!("{} {}", quantile(one.quantile), time(one.value_ns? as f64)))
        });
        format!("{}: {}.", run.label, known.collect::<Vec<_>>().join(", "))
    };
    runs.iter().map(of_run).collect::<Vec<_>>().join(" ")
}
