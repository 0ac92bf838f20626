//! What an engine said of itself over the run: its batches and their limits, and its queues.

use crate::result::load::{EngineSample, ModelSample};

use super::axis::Axis;
use super::numbers::{number_tick, time_tick};
use super::plot::{LegendEntry, Mark, Plot, line_class};
use super::svg::Drawing;

const HEIGHT: f64 = 180.0;
/// Samples that can be told apart. Of more, the greatest of each group is drawn.
const POINTS_MAX: usize = 800;

/// What is drawn of a model, and the class and name of its line.
struct Series {
    class: String,
    label: String,
    values: Vec<Option<(f64, f64)>>,
}

/// Rows per batch, and up to how many the engine would have put into one.
#[must_use]
pub fn batches(samples: &[EngineSample]) -> Option<Drawing> {
    let mut all = Vec::new();
    for (index, model) in models(samples).into_iter().enumerate() {
        let class = line_class(index);
        let label = format!("{model}: rows per batch");
        let values = series(samples, model, |sample| sample.batch_mean);
        all.push(Series { class: class.clone(), label, values });
        for replica in 0..replicas(samples, model) {
            let values = series(samples, model, |sample| Some(*sample.limits.get(replica)? as f64));
            let label = format!("{model}: limit of replica {replica}");
            all.push(Series { class: format!("{class} limit"), label, values });
        }
    }
    chart("Batch size and its limit over time", "rows", &all)
}

/// Queries that wait for a batch.
#[must_use]
pub fn queues(samples: &[EngineSample]) -> Option<Drawing> {
    let of_model = |(index, model): (usize, &str)| Series {
        class: line_class(index),
        label: format!("{model}: queued"),
        values: series(samples, model, |sample| Some(sample.queued as f64)),
    };
    let all: Vec<Series> = models(samples).into_iter().enumerate().map(of_model).collect();
    chart("Queue over time", "queries", &all)
}

fn chart(title: &str, y_title: &str, all: &[Series]) -> Option<Drawing> {
    let points = || all.iter().flat_map(|series| series.values.iter().flatten());
    points().next()?;
    let end_ns = points().map(|(at_ns, _)| *at_ns).fold(0.0, f64::max);
    let highest = points().map(|(_, value)| *value).fold(0.0, f64::max);
    let (x, y) = (Axis::linear(0.0, end_ns, time_tick), Axis::from_zero(highest, number_tick));
    let shown = all.iter().filter(|series| series.values.iter().any(Option::is_some));
    let entry = |one: &Series| (Mark::Line, one.class.clone(), one.label.clone());
    let legend: Vec<LegendEntry> = shown.map(entry).collect();
    let mut plot = Plot::new(title, HEIGHT, x, y, &legend);
    plot.drawing.description = format!("{title}; the highest is {}.", number_tick(highest));
    plot.draw_axes("time from the start of the schedule", y_title);
    for series in all {
        plot.curve(&series.class, series.values.iter().copied());
    }
    Some(plot.drawing)
}

fn models(samples: &[EngineSample]) -> Vec<&str> {
    let mut names = Vec::new();
    for sample in samples.iter().flat_map(|sample| &sample.models) {
        if !names.contains(&sample.model.as_str()) {
            names.push(&sample.model);
        }
    }
    names
}

fn replicas(samples: &[EngineSample], model: &str) -> usize {
    let own = samples.iter().filter_map(|sample| of_model(sample, model));
    own.map(|sample| sample.limits.len()).max().unwrap_or(0)
}

/// (ns, value) over time, the greatest of each group; absent where nothing was said.
fn series(
    samples: &[EngineSample],
    model: &str,
    value: impl Fn(&ModelSample) -> Option<f64>,
) -> Vec<Option<(f64, f64)>> {
    let group = samples.len().div_ceil(POINTS_MAX).max(1);
    let of_group = |group: &[EngineSample]| {
        let values = group.iter().filter_map(|sample| value(of_model(sample, model)?));
        let greatest = values.max_by(f64::total_cmp)?;
        Some((group[0].at_ns as f64, greatest))
    };
    samples.chunks(group).map(of_group).collect()
}

fn of_model<'a>(sample: &'a EngineSample, model: &str) -> Option<&'a ModelSample> {
    sample.models.iter().find(|one| one.model == model)
}
