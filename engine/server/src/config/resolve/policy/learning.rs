//! From what the policy learns, for whom, and how long.

use super::{Entry, check};
use crate::config::error::Problem;
use crate::config::keys::ModeName;
use crate::config::report::{Report, shown};
use crate::config::settings::{Arms, Learning, Mode};
use crate::limits::{CONTEXTS_DEFAULT, FEEDBACK_WAIT_US_DEFAULT, FEEDBACK_WINDOW_DEFAULT};

pub(super) fn resolve(entry: &Entry<'_>, arms: &Arms, report: &mut Report<'_>) -> Learning {
    let (file, of) = (entry.file, &entry.of);
    let wait_us = check::large(&file.feedback_wait_us(), of, report);
    let window = check::number(&file.feedback_window(), of, report);
    Learning {
        mode: mode(entry, arms, report),
        feedback_wait_ns: wait_us.unwrap_or(FEEDBACK_WAIT_US_DEFAULT) * 1_000,
        feedback_window: window.unwrap_or(FEEDBACK_WINDOW_DEFAULT),
        seed: check::large(&file.seed(), of, report).unwrap_or(0),
        contexts: check::number(&file.contexts(), of, report).unwrap_or(CONTEXTS_DEFAULT),
    }
}

fn mode(entry: &Entry<'_>, arms: &Arms, report: &mut Report<'_>) -> Mode {
    let (mode, key) = (entry.file.mode(), entry.file.baseline());
    let name = check::word(&mode, &entry.of, report);
    match name {
        None if mode.value.is_some() => Mode::Online,
        None | Some(ModeName::Online) => {
            if let Some(written) = key.value {
                let only_for = "`mode = \"apprentice\"` or `\"log_only\"`";
                entry.misplaced(key.name, written.span().start, only_for, report);
            }
            Mode::Online
        }
        Some(beside) => {
            let at = mode.value.map_or(entry.at, |mode| mode.span().start);
            let baseline = baseline(entry, arms, at, report).unwrap_or(0);
            if matches!(beside, ModeName::Apprentice) {
                Mode::Apprentice { baseline }
            } else {
                Mode::LogOnly { baseline }
            }
        }
    }
}

/// `at` is where it becomes required.
fn baseline(entry: &Entry<'_>, arms: &Arms, at: usize, report: &mut Report<'_>) -> Option<usize> {
    let key = entry.file.baseline();
    let expected = "the model that is asked, as in `baseline = \"softmax\"`";
    let text = check::required(&key, &entry.of, at, expected, report)?;
    let model = entry.model(key.name, text, report)?;
    if arms.off.contains(model) {
        let (of, model) = (entry.of.clone(), shown(&entry.label(model)));
        report.problem(text.span().start, Problem::BaselineOff { of, model });
    }
    Some(model)
}
