//! The share of requests that were answered within a time. A run with failed requests never
//! reaches 100 %.

use super::Run;
use super::axis::{Axis, range};
use super::numbers::{percentage, time_tick};
use super::percentiles::{has_curve, references};
use super::plot::{Mark, Plot, line_class};
use super::svg::{Anchor, Drawing};

const HEIGHT: f64 = 240.0;

#[must_use]
pub fn chart(runs: &[Run<'_>]) -> Option<Drawing> {
    let drawn: Vec<&Run<'_>> = runs.iter().filter(|run| has_curve(run)).collect();
    if drawn.is_empty() {
        return None;
    }
    let points = || drawn.iter().flat_map(|run| &run.load.latency.curve);
    let (low_ns, high_ns) = range(points().map(|(_, ns)| *ns as f64).filter(|ns| *ns > 0.0));
    let x = Axis::log(low_ns, high_ns, time_tick);
    let y = Axis::linear(0.0, 1.0, |share| format!("{} %", percentage(share)));
    let entry = |run: &Run<'_>| (Mark::Line, line_class(run.index), run.label.clone());
    let legend: Vec<_> = drawn.iter().map(|run| entry(run)).collect();
    let mut plot = Plot::new("Share of requests answered within a time", HEIGHT, x, y, &legend);
    plot.drawing.description = "The cumulative distribution of the latency of each run.".into();
    plot.draw_axes("latency", "share of all requests");
    let slos = references(&drawn).into_iter().filter(|(class, ..)| class.contains("slo"));
    for (class, ns, label) in slos.filter(|(_, ns, _)| plot.x.holds(*ns)).collect::<Vec<_>>() {
        let x = plot.at_x(ns);
        plot.drawing.line(class, (x, plot.top), (x, plot.bottom));
        plot.drawing.text("reference-label", Anchor::End, (x - 5.0, plot.bottom - 7.0), label);
    }
    for run in drawn {
        let curve = run.load.latency.curve.iter();
        plot.curve(&line_class(run.index), curve.map(|(q, ns)| Some((*ns as f64, *q))));
    }
    Some(plot.drawing)
}
