//! How an application with a policy chooses, and what it has learned: a part of `/stats`.

use cutter_admin_api::selection::{Apprentice, Arm, Feedback, Selection};
use cutter_core::ids::ModelId;
use cutter_core::stats::{ArmStats, FeedbackStats, SelectionStats};

use super::super::estimates::{mean, of_millionths, regret, reward, share};
use super::super::registry::ApplicationEntry;
use super::distribution;
use crate::config::Mode;

/// Of an application that has a policy and models. Models are told by their places in the answer.
pub(super) fn selection(
    entry: &ApplicationEntry,
    place: impl Fn(&ModelId) -> Option<usize>,
) -> Option<Selection> {
    let (policy, counted) = entry.chooser()?;
    let mode = policy.learning.mode;
    let decisions = counted.decisions.get();
    let combined = counted.combined.get();
    let judged = counted.judged.get();
    let arms = entry.links.iter().zip(&counted.arms).enumerate();
    let arms = arms.filter_map(|(number, (model, counted))| {
        let enabled = !entry.arms_off.contains(number);
        Some(arm(place(model)?, enabled, counted, (decisions, combined)))
    });
    Some(Selection {
        policy: policy.name.clone(),
        mode: mode.name().to_owned(),
        decisions,
        combined,
        confidence: mean(counted.confidence.get(), combined),
        judged,
        effective_accuracy: mean(counted.earned.get(), judged),
        regret: regret(counted),
        apprentice: matches!(mode, Mode::Apprentice { .. }).then(|| apprentice(counted)),
        feedback: feedback(&counted.feedback, decisions),
        arms: arms.collect(),
    })
}

fn arm(model: usize, enabled: bool, counted: &ArmStats, (decisions, combined): (u64, u64)) -> Arm {
    let (asked, agreed) = (counted.asked.get(), counted.agreed.get());
    Arm {
        model,
        enabled,
        weight: of_millionths(counted.weight.get()),
        asked,
        share: share(asked, decisions),
        came: counted.came.get(),
        stragglers: counted.stragglers.get(),
        predicted_late: counted.predicted_late.get(),
        agreed,
        agreement: share(agreed, combined),
        learned: counted.learned.get(),
        reward: reward(counted),
    }
}

fn apprentice(counted: &SelectionStats) -> Apprentice {
    let judged = counted.beside_judged.get();
    Apprentice {
        judged,
        agreement: share(counted.beside_agreed.get(), judged),
        earned: mean(counted.beside_earned.get(), judged),
    }
}

fn feedback(counted: &FeedbackStats, decisions: u64) -> Feedback {
    let learned = counted.learned.get();
    Feedback {
        learned,
        share: share(learned, decisions),
        late: counted.late.get(),
        duplicate: counted.duplicate.get(),
        unknown: counted.unknown.get(),
        withdrawn: counted.withdrawn.get(),
        expired: counted.expired.get(),
        evaluated: counted.evaluated.get(),
        unusable: counted.unusable.get(),
        join_delay: distribution(&counted.join_delay),
    }
}
