//! Latency by offered rate: what a sweep of runs found.

use super::Run;
use super::axis::{Axis, range};
use super::numbers::{quantile, rate, rate_tick, time, time_tick};
use super::percentiles::references;
use super::plot::{LegendEntry, Mark, Plot, line_class, shortened};
use super::svg::Drawing;
use crate::result::LoadResult;
use crate::result::load::QuantileState;

const HEIGHT: f64 = 300.0;
const RUNS_MIN: usize = 2;
const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];
/// The greatest share of the rates above which their axis is logarithmic.
const SPREAD_OF_LINEAR: f64 = 30.0;
const TARGET_CHARACTERS_MAX: usize = 40;

/// What a run says of a quantile.
#[derive(Clone, Copy)]
enum Point {
    Measured { qps: f64, ns: f64 },
    Failed { qps: f64 },
    Unknown,
}

#[must_use]
pub fn chart(runs: &[Run<'_>]) -> Option<Drawing> {
    let mut sorted: Vec<&Run<'_>> = runs.iter().filter(|run| run.load.offered_qps > 0.0).collect();
    sorted.sort_by(|a, b| a.load.offered_qps.total_cmp(&b.load.offered_qps));
    let mut targets: Vec<&str> = Vec::new();
    for run in &sorted {
        if !targets.contains(&run.load.target.as_str()) {
            targets.push(&run.load.target);
        }
    }
    let all = || QUANTILES.iter().flat_map(|q| sorted.iter().map(|run| point(run.load, *q)));
    let times = all().filter_map(|point| match point {
        Point::Measured { ns, .. } => Some(ns),
        Point::Failed { .. } | Point::Unknown => None,
    });
    let times: Vec<f64> = times.collect();
    if sorted.len() < RUNS_MIN || times.is_empty() {
        return None;
    }
    let references = references(&sorted);
    let times = times.into_iter().chain(references.iter().map(|(_, ns, _)| *ns));
    let y = Axis::of_times(times.collect::<Vec<_>>().into_iter(), time_tick);
    let x = axis_of_rates(&sorted);
    let series = series(&targets);
    let entry = |(_, _, class, label): &(_, _, String, String)| -> LegendEntry {
        (Mark::Line, class.clone(), label.clone())
    };
    let legend: Vec<LegendEntry> = series.iter().map(entry).collect();
    let mut plot = Plot::new("Latency by offered rate", HEIGHT, x, y, &legend);
    plot.drawing.description = description(&sorted);
    plot.draw_axes("offered rate", "latency");
    plot.across(&references);
    for (target, q, class, _) in series {
        let own = sorted.iter().filter(|run| run.load.target == target);
        let points: Vec<Point> = own.map(|run| point(run.load, q)).collect();
        draw_series(&mut plot, &class, q, &points);
    }
    Some(plot.drawing)
}

fn draw_series(plot: &mut Plot, class: &str, q: f64, points: &[Point]) {
    let place = |point: &Point| match *point {
        Point::Measured { qps, ns } => Some((qps, ns)),
        Point::Failed { .. } | Point::Unknown => None,
    };
    plot.curve(class, points.iter().map(place));
    let dot = class.replace("curve c", "fill f");
    for point in points {
        match *point {
            Point::Measured { qps, ns } => {
                let hint = format!("{} at {}: {}", quantile(q), rate(qps), time(ns));
                let place = plot.at(qps, ns);
                plot.drawing.dot(&dot, place, 3.5, &hint);
            }
            Point::Failed { qps } => {
                let hint = format!("{} at {} lies among failed requests", quantile(q), rate(qps));
                let place = (plot.at_x(qps), plot.top + 6.0);
                plot.drawing.cross("failed", place, 4.0, &hint);
            }
            Point::Unknown => {}
        }
    }
}

/// (target, quantile, class, label): colours tell quantiles of one target apart; of several
/// targets, colours tell the targets, and dashes the quantiles.
fn series<'a>(targets: &[&'a str]) -> Vec<(&'a str, f64, String, String)> {
    let of_target = |(index, target): (usize, &&'a str)| {
        let target = *target;
        QUANTILES.into_iter().enumerate().map(move |(rank, q)| (index, target, rank, q))
    };
    let all = targets.iter().enumerate().flat_map(of_target);
    all.map(|(index, target, rank, q)| match targets.len() {
        1 => (target, q, line_class(rank), quantile(q)),
        _ => {
            let dash = ["", " dashed", " dotted"][rank];
            let name = shortened(target, TARGET_CHARACTERS_MAX);
            (target, q, line_class(index) + dash, format!("{name} {}", quantile(q)))
        }
    })
    .collect()
}

fn point(load: &LoadResult, q: f64) -> Point {
    let qps = load.offered_qps;
    let found = load.latency.quantiles.iter().find(|one| (one.quantile - q).abs() < 1e-9);
    match found.map(|one| (one.state, one.value_ns)) {
        Some((QuantileState::Measured, Some(ns))) => Point::Measured { qps, ns: ns as f64 },
        Some((QuantileState::Failed, _)) => Point::Failed { qps },
        _ => Point::Unknown,
    }
}

fn axis_of_rates(runs: &[&Run<'_>]) -> Axis {
    let (low, high) = range(runs.iter().map(|run| run.load.offered_qps));
    if high / low > SPREAD_OF_LINEAR {
        Axis::log(low, high, rate_tick)
    } else {
        Axis::from_zero(high, rate_tick)
    }
}

fn description(runs: &[&Run<'_>]) -> String {
    let of_run = |run: &&Run<'_>| match point(run.load, 0.99) {
        Point::Measured { qps, ns } => format!("{}: p99 {}", rate(qps), time(ns)),
        Point::Failed { qps } => format!("{}: p99 among failed requests", rate(qps)),
        Point::Unknown => format!("{}: p99 not known", rate(run.load.offered_qps)),
    };
    runs.iter().map(of_run).collect::<Vec<_>>().join("; ")
}
