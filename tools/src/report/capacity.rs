//! The search for the highest rate: its steps from first to last, and the interval that is left.

use crate::capacity::{CapacityResult, DecidedBy, StepResult};

use super::axis::{Axis, range};
use super::numbers::{count, quantile, rate, rate_tick, time_or_nothing, time_tick};
use super::plot::{LegendEntry, Mark, Plot};
use super::svg::{Anchor, Drawing};

const ROW_HEIGHT: f64 = 22.0;
const RADIUS: f64 = 5.0;
const PASSED: &str = "passed";
const FAILED: &str = "failed";
const UNDECIDED: &str = "undecided";
const WORDS_WIDTH: f64 = 190.0;

#[must_use]
pub fn chart(capacity: &CapacityResult) -> Option<Drawing> {
    let steps: Vec<&StepResult> =
        capacity.steps.iter().filter(|step| step.rate_qps > 0.0).collect();
    if steps.is_empty() {
        return None;
    }
    let (low_qps, high_qps) = range(steps.iter().map(|step| step.rate_qps));
    let x = Axis::log(low_qps / 1.2, high_qps * 1.2, rate_tick);
    let rows = Axis::linear(0.0, steps.len() as f64, |_| String::new());
    let height = steps.len() as f64 * ROW_HEIGHT;
    let mut plot = Plot::new("The search, step by step", height, x, rows, &legend(capacity));
    plot.drawing.description = answer(capacity);
    plot.right -= WORDS_WIDTH;
    draw_interval(&mut plot, capacity);
    plot.draw_x_axis("offered rate");
    plot.drawing.line("axis", (plot.left, plot.top), (plot.left, plot.bottom));
    for (row, step) in steps.iter().enumerate() {
        draw_step(&mut plot, row, step, capacity);
    }
    Some(plot.drawing)
}

/// What a step says of the server: nothing, when the generator could not keep the rate.
#[must_use]
pub fn outcome(step: &StepResult) -> &'static str {
    match (step.decided_by, step.passed) {
        (DecidedBy::Generator, _) => UNDECIDED,
        (_, true) => PASSED,
        (_, false) => FAILED,
    }
}

/// What was found, in words.
#[must_use]
pub fn answer(capacity: &CapacityResult) -> String {
    let promise =
        format!("{} within {}", quantile(capacity.quantile), time_tick(capacity.slo_ns as f64));
    match (capacity.highest_pass_qps, capacity.lowest_fail_qps) {
        (Some(pass), Some(fail)) => {
            format!("{promise} up to between {} and {}", rate(pass), rate(fail))
        }
        (Some(pass), None) => format!("{promise} at {} at least; no rate failed", rate(pass)),
        (None, Some(fail)) => format!("{promise} not even at {}; no rate passed", rate(fail)),
        (None, None) => format!("{promise}: nothing was decided"),
    }
}

fn draw_interval(plot: &mut Plot, capacity: &CapacityResult) {
    let ends = (capacity.highest_pass_qps, capacity.lowest_fail_qps);
    let (Some(pass), Some(fail)) = ends else { return };
    let hint = format!("capacity lies between {} and {}", rate(pass), rate(fail));
    // Two points wide at least, or the end of a long search would not be seen.
    let (left, right) = (plot.at_x(pass), plot.at_x(fail).max(plot.at_x(pass) + 2.0));
    plot.drawing.bar("between", (left, plot.top), (right, plot.bottom), &hint);
}

fn draw_step(plot: &mut Plot, row: usize, step: &StepResult, capacity: &CapacityResult) {
    let y = plot.top + (row as f64 + 0.5) * ROW_HEIGHT;
    let place = (plot.at_x(step.rate_qps), y);
    plot.drawing.line("grid", (plot.left, y), (plot.right, y));
    let number = format!("step {}", row + 1);
    plot.drawing.text("row-label", Anchor::End, (plot.left - 8.0, y + 4.0), number);
    let requests = count(step.requests);
    let hint = format!("{} {}, {requests} requests", rate(step.rate_qps), outcome(step));
    match outcome(step) {
        PASSED => plot.drawing.dot("passed", place, RADIUS, &hint),
        FAILED => plot.drawing.cross("failed", place, RADIUS, &hint),
        _ => plot.drawing.dot("undecided", place, RADIUS, &hint),
    }
    let words = format!(
        "{} · {} {}",
        rate(step.rate_qps),
        quantile(capacity.quantile),
        time_or_nothing(step.quantile_ns)
    );
    plot.drawing.text("label", Anchor::Start, (plot.right + 12.0, y + 4.0), words);
}

fn legend(capacity: &CapacityResult) -> Vec<LegendEntry> {
    let has = |words: &str| capacity.steps.iter().any(|step| outcome(step) == words);
    let between = capacity.highest_pass_qps.is_some() && capacity.lowest_fail_qps.is_some();
    let entries = [
        (has(PASSED), Mark::Dot, "passed", PASSED),
        (has(FAILED), Mark::Cross, "failed", FAILED),
        (has(UNDECIDED), Mark::Dot, "undecided", "the generator could not keep the rate"),
        (between, Mark::Box, "between", "the capacity lies in here"),
    ];
    let present = entries.into_iter().filter(|(is_present, ..)| *is_present);
    present.map(|(_, mark, class, label)| (mark, class.to_owned(), label.to_owned())).collect()
}
