//! The families of applications with a policy: what was chosen, told and learned. Nothing where
//! there are none.
//!
//! Beside the counts there is what follows from them since the models were linked, as in `/stats`,
//! so that a page without computations shows it. What cannot be told yet has no sample.

use std::fmt;

use cutter_core::stats::{ArmStats, Counter, FeedbackStats, ModelStats, SelectionStats};

use super::super::estimates::{mean, of_millionths, regret, reward, share};
use super::{Families, Label, by_application, by_model};
use crate::counted::CountedSelection;

pub(super) fn encode(families: &mut Families<'_>, selections: &[CountedSelection]) -> fmt::Result {
    if selections.is_empty() {
        return Ok(());
    }
    encode_decisions(families, selections)?;
    encode_worth(families, selections)?;
    encode_apprentices(families, selections)?;
    encode_feedback(families, selections)?;
    encode_arm_counts(families, selections)?;
    encode_arm_choices(families, selections)?;
    encode_arm_rewards(families, selections)
}

fn encode_decisions(families: &mut Families<'_>, selections: &[CountedSelection]) -> fmt::Result {
    families.counters(
        "cutter_decisions",
        "Queries for which a policy chose models.",
        None,
        per_policy(selections, |stats| &stats.decisions),
    )?;
    families.counters(
        "cutter_combined_answers",
        "Answers that are the vote or the mean of several models.",
        None,
        per_policy(selections, |stats| &stats.combined),
    )?;
    families.counters(
        "cutter_judged_answers",
        "Answers of which it was told what they were worth, default outputs included.",
        None,
        per_policy(selections, |stats| &stats.judged),
    )
}

fn encode_worth(families: &mut Families<'_>, selections: &[CountedSelection]) -> fmt::Result {
    families.numbers(
        "cutter_confidence",
        "Mean share of all linked models that agreed with a combined answer.",
        per_policy(selections, |stats| mean(stats.confidence.get(), stats.combined.get())),
    )?;
    families.numbers(
        "cutter_effective_accuracy",
        "Mean of what judged answers earned: the share that was right and in time.",
        per_policy(selections, |stats| mean(stats.earned.get(), stats.judged.get())),
    )?;
    families.numbers(
        "cutter_regret",
        "What the best single model would have earned more in all judged answers, estimated.",
        per_policy(selections, regret),
    )
}

fn encode_apprentices(families: &mut Families<'_>, selections: &[CountedSelection]) -> fmt::Result {
    let apprentices = || selections.iter().filter(|of| of.is_apprentice);
    if apprentices().next().is_none() {
        return Ok(());
    }
    families.counters(
        "cutter_apprentice_judged_answers",
        "Judged answers of which it is known what an apprentice's choice said.",
        None,
        per_policy(apprentices(), |stats| &stats.beside_judged),
    )?;
    families.numbers(
        "cutter_apprentice_agreement",
        "Share of those in which an apprentice's choice said what the baseline said.",
        per_policy(apprentices(), |stats| {
            share(stats.beside_agreed.get(), stats.beside_judged.get())
        }),
    )?;
    families.numbers(
        "cutter_apprentice_earned",
        "Mean of what an apprentice's choices would have earned.",
        per_policy(apprentices(), |stats| {
            mean(stats.beside_earned.get(), stats.beside_judged.get())
        }),
    )
}

fn encode_feedback(families: &mut Families<'_>, selections: &[CountedSelection]) -> fmt::Result {
    families.counters(
        "cutter_feedback",
        "What became of feedback and of decisions that wait for it, by outcome.",
        None,
        selections.iter().flat_map(|of| {
            let [application] = by_application(&of.application);
            outcomes(&of.stats.feedback)
                .map(|(outcome, counter)| ([application, ("outcome", outcome)], counter))
        }),
    )?;
    families.numbers(
        "cutter_feedback_share",
        "Share of the decisions whose feedback was learned from.",
        per_policy(selections, |stats| share(stats.feedback.learned.get(), stats.decisions.get())),
    )?;
    families.times(
        "cutter_feedback_join_delay",
        "From an answer to the feedback that was learned from.",
        per_policy(selections, |stats| &stats.feedback.join_delay),
    )
}

fn outcomes(feedback: &FeedbackStats) -> [(&'static str, &Counter); 8] {
    [
        ("learned", &feedback.learned),
        ("late", &feedback.late),
        ("duplicate", &feedback.duplicate),
        ("unknown", &feedback.unknown),
        ("withdrawn", &feedback.withdrawn),
        ("expired", &feedback.expired),
        ("evaluated", &feedback.evaluated),
        ("unusable", &feedback.unusable),
    ]
}

fn encode_arm_counts(families: &mut Families<'_>, selections: &[CountedSelection]) -> fmt::Result {
    let per_arm = |pick: fn(&ArmStats) -> &Counter| per_arm(selections, move |_, arm| pick(arm));
    families.counters(
        "cutter_arm_asked",
        "Queries that asked the model.",
        None,
        per_arm(|arm| &arm.asked),
    )?;
    families.counters(
        "cutter_arm_came",
        "Outputs of the model that came before the answer.",
        None,
        per_arm(|arm| &arm.came),
    )?;
    families.counters(
        "cutter_arm_stragglers",
        "Queries that were answered before the model's output came.",
        None,
        per_arm(|arm| &arm.stragglers),
    )?;
    families.counters(
        "cutter_arm_predicted_late",
        "Queries that did not ask the model, since it would have been late.",
        None,
        per_arm(|arm| &arm.predicted_late),
    )?;
    families.counters(
        "cutter_arm_agreed",
        "Combined answers with which the model agreed.",
        None,
        per_arm(|arm| &arm.agreed),
    )?;
    families.counters(
        "cutter_arm_learned",
        "Rewards that were learned of the model.",
        None,
        per_arm(|arm| &arm.learned),
    )
}

fn encode_arm_choices(families: &mut Families<'_>, selections: &[CountedSelection]) -> fmt::Result {
    families.numbers(
        "cutter_arm_enabled",
        "1 while the policy may choose the model, 0 while an operator has taken it out.",
        selections.iter().flat_map(|of| {
            let arms = of.models.iter().enumerate();
            arms.map(|(arm, model)| {
                let enabled = u8::from(!of.off.contains(arm));
                (by_arm(of, model), Some(f64::from(enabled)))
            })
        }),
    )?;
    families.numbers(
        "cutter_arm_weight",
        "With which probability the model was chosen last, or what it counted for.",
        per_arm(selections, |_, arm| Some(of_millionths(arm.weight.get()))),
    )?;
    families.numbers(
        "cutter_arm_share",
        "Share of the decisions that asked the model.",
        per_arm(selections, |stats, arm| share(arm.asked.get(), stats.decisions.get())),
    )?;
    families.numbers(
        "cutter_arm_agreement",
        "Share of the combined answers with which the model agreed.",
        per_arm(selections, |stats, arm| share(arm.agreed.get(), stats.combined.get())),
    )
}

fn encode_arm_rewards(families: &mut Families<'_>, selections: &[CountedSelection]) -> fmt::Result {
    families.numbers(
        "cutter_arm_reward",
        "Mean reward of the model.",
        per_arm(selections, |_, arm| reward(arm).map(|reward| reward.mean)),
    )?;
    families.numbers(
        "cutter_arm_reward_low",
        "Lower end of the 95 % interval of the model's mean reward.",
        per_arm(selections, |_, arm| Some(reward(arm)?.interval?.0)),
    )?;
    families.numbers(
        "cutter_arm_reward_high",
        "Upper end of the 95 % interval of the model's mean reward.",
        per_arm(selections, |_, arm| Some(reward(arm)?.interval?.1)),
    )
}

/// A sample for each application.
fn per_policy<'s, T>(
    selections: impl IntoIterator<Item = &'s CountedSelection>,
    pick: impl Fn(&'s SelectionStats) -> T,
) -> impl Iterator<Item = ([Label<'s>; 1], T)> {
    let selections = selections.into_iter();
    selections.map(move |of| (by_application(&of.application), pick(&of.stats)))
}

/// A sample for each application and model.
fn per_arm<'s, T>(
    selections: &'s [CountedSelection],
    pick: impl Fn(&'s SelectionStats, &'s ArmStats) -> T + Copy,
) -> impl Iterator<Item = ([Label<'s>; 3], T)> {
    selections.iter().flat_map(move |of| {
        let arms = of.models.iter().zip(&of.stats.arms);
        arms.map(move |(model, arm)| (by_arm(of, model), pick(&of.stats, arm)))
    })
}

fn by_arm<'s>(of: &'s CountedSelection, model: &'s ModelStats) -> [Label<'s>; 3] {
    let ([application], [name, version]) = (by_application(&of.application), by_model(model));
    [application, name, version]
}
