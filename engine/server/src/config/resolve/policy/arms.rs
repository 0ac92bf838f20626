//! What the owner of the models has decided about them: caps, and models that are off.

use cutter_core::policy::Models;

use super::{Entry, check};
use crate::config::error::Problem;
use crate::config::report::{Report, shown};
use crate::config::settings::Arms;
use crate::config::value::Text;

pub(super) fn resolve(entry: &Entry<'_>, asks_all: Option<bool>, report: &mut Report<'_>) -> Arms {
    let off = off(entry, report);
    let caps = caps(entry, asks_all, off, report);
    Arms { caps, off }
}

fn off(entry: &Entry<'_>, report: &mut Report<'_>) -> Models {
    let key = entry.file.off();
    let mut off = Models::default();
    for text in check::texts(&key, &entry.of, report).unwrap_or_default() {
        if let Some(model) = named(entry, key.name, text, off, report) {
            off = off.with(model);
        }
    }
    let is_all = off.len() == entry.linked.models.len() && entry.linked.is_whole;
    if let (true, Some(list)) = (is_all, key.value) {
        report.problem(list.span().start, Problem::AllOff { of: entry.of.clone() });
    }
    off
}

fn caps(
    entry: &Entry<'_>,
    asks_all: Option<bool>,
    off: Models,
    report: &mut Report<'_>,
) -> Vec<f64> {
    let (key, models) = (entry.file.caps(), entry.linked.models.len());
    let mut caps = vec![1.0; models];
    let Some(table) = key.value else { return caps };
    let at = table.span().start;
    if asks_all == Some(true) {
        entry.misplaced(key.name, at, "policies that ask one model", report);
        return caps;
    }
    let mut capped = Models::default();
    for (text, cap) in check::by_name(&key, &entry.of, report) {
        if let Some(model) = named(entry, key.name, text, capped, report) {
            capped = capped.with(model);
            caps[model] = cap;
        }
    }
    let asked = caps.iter().enumerate().filter(|(model, _)| !off.contains(*model));
    let left: f64 = asked.map(|(_, cap)| cap).sum();
    // That all are off is told there.
    let is_told = off.len() == models || !entry.linked.is_whole;
    if left < Arms::least_left(models) && !is_told {
        report.problem(at, Problem::CapsTooLow { of: entry.of.clone(), left });
    }
    caps
}

/// A model that is not among those that were named before.
fn named(
    entry: &Entry<'_>,
    key: &'static str,
    text: &Text,
    before: Models,
    report: &mut Report<'_>,
) -> Option<usize> {
    let model = entry.model(key, text, report)?;
    if before.contains(model) {
        let (of, found) = (entry.of.clone(), shown(&entry.label(model)));
        report.problem(text.span().start, Problem::NamedTwice { key, of, found });
        return None;
    }
    Some(model)
}
