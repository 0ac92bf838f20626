//! How outputs are read and combined, and how wrong they are called.

use cutter_core::feedback::{Loss, Reading};

use super::{Entry, check};
use crate::config::error::Problem;
use crate::config::keys::{LEAVE_OUT, LossName};
use crate::config::kinds::{DecimalOr, Key};
use crate::config::report::{Report, shown};
use crate::config::settings::{Ensemble, Judging, Rewards, Substitute};
use crate::config::value::RealOrText;

const REWARDS_DEFAULT: Rewards = Rewards { low: 0.0, high: 1.0 };

pub(super) fn ensemble(
    entry: &Entry<'_>,
    asks_all: Option<bool>,
    report: &mut Report<'_>,
) -> Ensemble {
    let (file, of) = (entry.file, &entry.of);
    let reading = check::word(&file.outputs(), of, report).unwrap_or_default();
    let tolerance = file.tolerance();
    if let (false, Some(written)) = (reading == Reading::Value, tolerance.value) {
        let only_for = "`outputs = \"value\"`";
        entry.misplaced(tolerance.name, written.span().start, only_for, report);
    }
    let substitute = file.substitute();
    let is_mean_of_classes =
        |substitute: Substitute| substitute == Substitute::Mean && reading == Reading::Class;
    let found = check::word(&substitute, of, report).unwrap_or_default();
    if let (true, Some(written)) = (is_mean_of_classes(found), substitute.value) {
        let only_for = "`outputs = \"value\"` or `\"scores\"` when it is \"mean\"";
        entry.misplaced(substitute.name, written.span().start, only_for, report);
    }
    let unsure_below = file.unsure_below();
    let threshold = check::decimal(&unsure_below, of, report).unwrap_or(0.0);
    let is_of_one = asks_all == Some(false) && threshold > 0.0;
    if let (true, Some(written)) = (is_of_one, unsure_below.value) {
        let only_for = "policies that ask all models: `exp4`, `vote`, `weighted`";
        entry.misplaced(unsure_below.name, written.span().start, only_for, report);
    }
    Ensemble {
        reading,
        tolerance: check::decimal(&tolerance, of, report).unwrap_or(0.0),
        substitute: found,
        unsure_below: threshold,
    }
}

pub(super) fn resolve(entry: &Entry<'_>, report: &mut Report<'_>) -> Judging {
    let rewards = rewards(entry, report);
    Judging {
        loss: loss(entry, report),
        rewards,
        unrewarded: unrewarded(entry, rewards, report),
        default_teaches: entry.file.default_teaches().value.copied().unwrap_or_default(),
    }
}

fn loss(entry: &Entry<'_>, report: &mut Report<'_>) -> Loss {
    let (name, key) = (entry.file.loss(), entry.file.range());
    let range = check::decimal(&key, &entry.of, report).unwrap_or(1.0);
    match check::word(&name, &entry.of, report) {
        None if name.value.is_some() => Loss::ZeroOne,
        None | Some(LossName::ZeroOne) => {
            if let Some(written) = key.value {
                let only_for = "`loss = \"absolute\"` or `\"squared\"`";
                entry.misplaced(key.name, written.span().start, only_for, report);
            }
            Loss::ZeroOne
        }
        Some(far) => {
            let at = name.value.map_or(entry.at, |name| name.span().start);
            let expected = "what is as wrong as can be, as in `range = 10`";
            check::required(&key, &entry.of, at, expected, report);
            if matches!(far, LossName::Squared) {
                Loss::Squared { range }
            } else {
                Loss::Absolute { range }
            }
        }
    }
}

fn rewards(entry: &Entry<'_>, report: &mut Report<'_>) -> Rewards {
    let key = entry.file.reward_range();
    let range = check::decimals(&key, &entry.of, report);
    let (Some(&[low, high]), Some(list)) = (range.as_deref(), key.value) else {
        return REWARDS_DEFAULT;
    };
    if low < high {
        return Rewards { low, high };
    }
    let problem = Problem::RewardsReversed { of: entry.of.clone(), low, high };
    report.problem(list.span().start, problem);
    REWARDS_DEFAULT
}

fn unrewarded(entry: &Entry<'_>, rewards: Rewards, report: &mut Report<'_>) -> Option<f64> {
    let Key { name: key, kind: DecimalOr(word), value } = entry.file.unrewarded();
    let value = value?;
    let (of, Rewards { low: min, high: max }) = (entry.of.clone(), rewards);
    let problem = match value.get_ref() {
        RealOrText::Text(text) if text == LEAVE_OUT => return None,
        RealOrText::Real(reward) if (min..=max).contains(reward) => return Some(*reward),
        RealOrText::Real(found) => {
            Problem::NumberOutOfRange { key: key.to_owned(), of, found: *found, min, max }
        }
        RealOrText::Text(text) => {
            let expected = format!("`{word}`, or a reward from {min} to {max}");
            Problem::BadText { key, of, found: shown(text), expected }
        }
    };
    report.problem(value.span().start, problem);
    None
}
