//! The tables about applications with a policy. Nothing where there are none.

use cutter_admin_api::Stats;
use cutter_admin_api::inspect::Engine;

use super::NONE;
use super::table::Table;
use crate::admin::arms::{arms, cached, choosing, percent, reward};
use crate::text::counted;

/// What each policy holds and waits for.
pub(super) fn policies(engine: &Engine) -> String {
    let columns =
        ["application", "policy", "mode", "contexts", "loading", "changed", "waiting", "lost"];
    let mut table = Table::new("POLICIES", &columns);
    let mut is_empty = true;
    for app in &engine.applications {
        let Some(policy) = &app.policy else { continue };
        is_empty = false;
        table.row([
            app.name.clone(),
            policy.name.clone(),
            policy.mode.clone(),
            policy.contexts_held.to_string(),
            policy.contexts_loading.to_string(),
            policy.contexts_changed.to_string(),
            counted(policy.decisions_waiting as u64, "decision"),
            counted(policy.lessons_lost, "lesson"),
        ]);
    }
    if is_empty { String::new() } else { table.text() }
}

/// What each policy makes of its models.
pub(super) fn choices(stats: &Stats) -> String {
    let columns = [
        "application",
        "arm",
        "chosen",
        "weight",
        "share",
        "reward",
        "agrees",
        "stragglers",
        "too late",
        "cached",
    ];
    let mut table = Table::new("ARMS", &columns);
    let mut is_empty = true;
    for (app, selection) in choosing(stats) {
        for (name, arm) in arms(stats, selection) {
            is_empty = false;
            table.row([
                app.name.clone(),
                name,
                if arm.enabled { "yes" } else { "taken out" }.to_owned(),
                format!("{:.3}", arm.weight),
                percent(arm.share),
                reward(arm.reward.as_ref()),
                percent(arm.agreement),
                arm.stragglers.to_string(),
                arm.predicted_late.to_string(),
                cached(stats, arm).unwrap_or_else(|| NONE.to_owned()),
            ]);
        }
    }
    if is_empty { String::new() } else { table.text() }
}

/// What the answers of each policy were worth.
pub(super) fn worth(stats: &Stats) -> String {
    let columns = [
        "application",
        "decisions",
        "judged",
        "right and in time",
        "regret",
        "confidence",
        "feedback",
        "would have agreed",
        "would have earned",
    ];
    let mut table = Table::new("WORTH", &columns);
    let mut is_empty = true;
    for (app, selection) in choosing(stats) {
        is_empty = false;
        let apprentice = selection.apprentice.as_ref();
        let regret = selection.regret.map(|regret| format!("{regret:.1}"));
        table.row([
            app.name.clone(),
            selection.decisions.to_string(),
            selection.judged.to_string(),
            percent(selection.effective_accuracy),
            regret.unwrap_or_else(|| NONE.to_owned()),
            percent(selection.confidence),
            percent(selection.feedback.share),
            percent(apprentice.and_then(|it| it.agreement)),
            percent(apprentice.and_then(|it| it.earned)),
        ]);
    }
    if is_empty { String::new() } else { table.text() }
}
