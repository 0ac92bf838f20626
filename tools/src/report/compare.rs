//! Runs of A and of B beside each other, and how much B is of A.

use crate::compare::CompareResult;

use super::axis::{Axis, range};
use super::numbers::{number, number_tick, time, time_tick};
use super::plot::{LegendEntry, Mark, Plot, shortened};
use super::svg::{Anchor, Drawing};

const ROW_HEIGHT: f64 = 56.0;
/// Dots of a row lie at these heights in turn, so that equal ones are seen.
const JITTER: [f64; 5] = [0.0, -10.0, 10.0, -5.0, 5.0];
const MEDIAN_REACH: f64 = 18.0;
const NAME_CHARACTERS_MAX: usize = 90;
const RATIO_HEIGHT: f64 = 60.0;
/// Room at both ends of an axis, as a share of what it shows.
const MARGIN: f64 = 0.08;

/// Every run as a dot, and the medians.
#[must_use]
pub fn runs(compare: &CompareResult) -> Option<Drawing> {
    let all = || compare.runs_a.iter().chain(&compare.runs_b).copied();
    all().next()?;
    let (low, high) = range(all());
    let margin = (high - low).max(high.abs() * 0.01) * MARGIN;
    let x = Axis::linear(low - margin, high + margin, tick_of(compare));
    let rows = Axis::linear(0.0, 2.0, |_| String::new());
    let entry = |class: &str, letter: &str, name: &str| -> LegendEntry {
        let label = shortened(&format!("{letter}: {name}"), NAME_CHARACTERS_MAX);
        (Mark::Dot, class.to_owned(), label)
    };
    let legend = [entry("fill f0", "A", &compare.a), entry("fill f1", "B", &compare.b)];
    let mut plot = Plot::new("Runs of A and B", 2.0 * ROW_HEIGHT, x, rows, &legend);
    plot.drawing.description = format!(
        "{} of each run; the medians are {} and {}.",
        compare.metric,
        value(compare, compare.median_a),
        value(compare, compare.median_b)
    );
    plot.draw_x_axis(&format!("{} of a run", compare.metric));
    plot.drawing.line("axis", (plot.left, plot.top), (plot.left, plot.bottom));
    let rows = [
        ("A", "0", &compare.runs_a, compare.median_a),
        ("B", "1", &compare.runs_b, compare.median_b),
    ];
    for (row, (letter, colour, runs, median)) in rows.into_iter().enumerate() {
        let y = plot.top + (row as f64 + 0.5) * ROW_HEIGHT;
        plot.drawing.text("row-label", Anchor::End, (plot.left - 8.0, y + 4.0), letter);
        for (run, jitter) in runs.iter().zip(JITTER.iter().cycle()) {
            let class = format!("fill f{colour} seen-through");
            let place = (plot.at_x(*run), y + jitter);
            plot.drawing.dot(&class, place, 5.0, &value(compare, *run));
        }
        if !runs.is_empty() {
            let x = plot.at_x(median);
            let ends = ((x, y - MEDIAN_REACH), (x, y + MEDIAN_REACH));
            plot.drawing.line(&format!("curve c{colour}"), ends.0, ends.1);
            let words = format!("median {}", value(compare, median));
            let place = (x + 5.0, y - MEDIAN_REACH);
            plot.drawing.text("reference-label", Anchor::Start, place, words);
        }
    }
    Some(plot.drawing)
}

/// B over A with its interval, beside no difference and the least one that counts.
#[must_use]
pub fn ratio(compare: &CompareResult) -> Option<Drawing> {
    let (low, middle, high) = (compare.ratio_low, compare.ratio, compare.ratio_high);
    let is_known = [low, middle, high].iter().all(|ratio| ratio.is_finite() && *ratio > 0.0);
    if !is_known || compare.runs_a.is_empty() || compare.runs_b.is_empty() {
        return None;
    }
    let least = compare.least_effect.abs();
    let (left, right) = range([low, high, 1.0 - least, 1.0 + least].into_iter());
    let margin = (right - left).max(0.01) * MARGIN;
    let tick = |ratio: f64| number_tick((ratio * 1e6).round() / 1e6);
    let x = Axis::linear(left - margin, right + margin, tick);
    let y = Axis::linear(0.0, 1.0, |_| String::new());
    let legend = [(Mark::Box, "warm-up".to_owned(), "too small to count".to_owned())];
    let mut plot = Plot::new("B as a multiple of A", RATIO_HEIGHT, x, y, &legend);
    plot.drawing.description = ratio_words(compare);
    let (near, far) = (plot.at_x(1.0 - least), plot.at_x(1.0 + least));
    plot.drawing.bar("warm-up", (near, plot.top), (far, plot.bottom), "too small to count");
    plot.draw_x_axis("B over A: the median of the pairs, with its interval of 95 %");
    let one = plot.at_x(1.0);
    plot.drawing.line("reference", (one, plot.top), (one, plot.bottom));
    let (from, to) = (plot.at_x(low), plot.at_x(high));
    let y = f64::midpoint(plot.top, plot.bottom) + 6.0;
    plot.drawing.line("curve c1", (from, y), (to, y));
    for end in [from, to] {
        plot.drawing.line("curve c1", (end, y - 6.0), (end, y + 6.0));
    }
    plot.drawing.dot("fill f1", (plot.at_x(middle), y), 5.0, &ratio_words(compare));
    let place = (plot.at_x(middle), y - 14.0);
    plot.drawing.text("label", Anchor::Middle, place, ratio_words(compare));
    Some(plot.drawing)
}

/// `1.05 (1.03 to 1.08)`.
#[must_use]
pub fn ratio_words(compare: &CompareResult) -> String {
    let digits = |ratio: f64| format!("{ratio:.3}");
    let (low, high) = (digits(compare.ratio_low), digits(compare.ratio_high));
    format!("{} ({low} to {high})", digits(compare.ratio))
}

/// A value in the unit of the comparison.
#[must_use]
pub fn value(compare: &CompareResult, value: f64) -> String {
    match compare.unit.as_str() {
        "ns" => time(value),
        unit => format!("{} {unit}", number(value)),
    }
}

fn tick_of(compare: &CompareResult) -> fn(f64) -> String {
    if compare.unit == "ns" { time_tick } else { number_tick }
}
