//! Policies that learn: what each got right over time, and which models it trusted.

use crate::result::selection::{PolicyResult, SelectionResult, StragglersResult};

use super::axis::Axis;
use super::html::Page;
use super::numbers::{count, number_tick, share, time};
use super::plot::{LegendEntry, Mark, Plot, line_class};
use super::svg::Drawing;

const HEIGHT: f64 = 240.0;

/// What is drawn over the queries: its name, and a share at each point.
type Line<'a> = (&'a str, &'a [f64]);

/// All that there is to show.
pub fn section(page: &mut Page, result: &SelectionResult) {
    page.paragraph(&answer(result));
    page.table("Accuracy", &ACCURACY_HEAD, &accuracies(result));
    page.charts([(accuracy(result), ACCURACY_CAPTION), (arms(result), "")]);
    for policy in &result.policies {
        page.charts([(shares(result, policy), "")]);
    }
    page.table("While a model was too slow", &[], &stragglers(&result.stragglers));
}

const ACCURACY_HEAD: [&str; 5] = ["", "over all", "before", "while failing", "healed"];
const ACCURACY_CAPTION: &str = "The line across is the model that was best over the whole run. \
    Every policy was asked the same digits and told each label at once.";

/// What was done, in words.
#[must_use]
pub fn answer(result: &SelectionResult) -> String {
    let SelectionResult { queries, failing, failing_from, failing_until, window, .. } = result;
    let [queries, window] = [*queries, *window].map(count);
    let [from, until] = [failing_from + 1, *failing_until].map(count);
    format!(
        "{queries} queries each; {failing} failed from query {from} to {until}; \
         a point is the mean of {window}"
    )
}

fn accuracies(result: &SelectionResult) -> Vec<Vec<String>> {
    let row = |name: &str, accuracy: f64, phases: [f64; 3]| {
        let [before, during, after] = phases.map(percent);
        vec![name.to_owned(), percent(accuracy), before, during, after]
    };
    let policies = result.policies.iter().map(|one| row(&one.name, one.accuracy, one.phases));
    let arms = result.arms.iter().map(|one| row(&one.model, one.accuracy, one.phases));
    policies.chain(arms).collect()
}

fn accuracy(result: &SelectionResult) -> Option<Drawing> {
    let lines: Vec<Line<'_>> =
        result.policies.iter().map(|one| (one.name.as_str(), &*one.over_time)).collect();
    let best = result.best_single().map(|best| {
        let label = format!("{} {}", best.model, percent(best.accuracy));
        ("reference", best.accuracy, label)
    });
    chart("Accuracy of the policies over the queries", result, &lines, best.as_slice())
}

fn arms(result: &SelectionResult) -> Option<Drawing> {
    let lines: Vec<Line<'_>> =
        result.arms.iter().map(|one| (one.model.as_str(), &*one.over_time)).collect();
    chart("Accuracy of the models over the queries", result, &lines, &[])
}

fn shares(result: &SelectionResult, policy: &PolicyResult) -> Option<Drawing> {
    let names = result.arms.iter().map(|one| one.model.as_str());
    let lines: Vec<Line<'_>> = names.zip(policy.shares.iter().map(Vec::as_slice)).collect();
    chart(&format!("Shares of the models in {}", policy.name), result, &lines, &[])
}

fn chart(
    title: &str,
    result: &SelectionResult,
    lines: &[Line<'_>],
    across: &[(&str, f64, String)],
) -> Option<Drawing> {
    lines.iter().find(|(_, values)| !values.is_empty())?;
    let x = Axis::linear(0.0, result.queries as f64, number_tick);
    let y = Axis::linear(0.0, 1.0, percent);
    let entry = |(index, (name, _)): (usize, &Line<'_>)| -> LegendEntry {
        (Mark::Line, line_class(index), (*name).to_owned())
    };
    let legend: Vec<LegendEntry> = lines.iter().enumerate().map(entry).collect();
    let mut plot = Plot::new(title, HEIGHT, x, y, &legend);
    plot.drawing.description = answer(result);
    plot.draw_axes("queries", "share");
    plot.across(across);
    for (index, (_, values)) in lines.iter().enumerate() {
        let distance = result.queries as f64 / values.len().max(1) as f64;
        let at = |(point, value): (usize, &f64)| Some(((point + 1) as f64 * distance, *value));
        plot.curve(&line_class(index), values.iter().enumerate().map(at));
    }
    Some(plot.drawing)
}

fn stragglers(result: &StragglersResult) -> Vec<Vec<String>> {
    let of = |part: u64, whole: u64| format!("{} of {}", count(part), count(whole));
    [
        ("slow model", result.model.clone()),
        ("SLO", time(result.slo_ns as f64)),
        ("answers in time", of(result.in_time, result.queries)),
        ("p50", time(result.p50_ns as f64)),
        ("p99", time(result.p99_ns as f64)),
        ("slowest", time(result.max_ns as f64)),
        ("asked the slow model", of(result.asked, result.queries)),
        ("answered without it", of(result.missing, result.asked)),
        ("mean confidence", percent(result.confidence)),
        ("unsure below", percent(result.unsure_below)),
        ("sure", of(result.sure, result.queries)),
        ("of these right", share(result.sure_correct, result.sure)),
        ("unsure", of(result.unsure, result.queries)),
        ("of these would have been right", share(result.unsure_correct, result.unsure)),
    ]
    .map(|(name, value)| vec![name.to_owned(), value])
    .into()
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
