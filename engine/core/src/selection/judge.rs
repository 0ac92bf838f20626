//! From what a client says of an answer to the losses of the models that were asked.

use super::learner::{LearnerPlan, Mode};
use crate::feedback::{Decision, Lesson, Losses, Said};

/// What a lesson comes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    pub losses: Losses,
    /// The loss of what was answered; nothing where that was the default output.
    pub answer_loss: Option<f64>,
    /// Something was said that the label cannot be compared with.
    pub is_other_kind: bool,
}

impl Judged {
    pub(super) fn nothing(decision: &Decision<'_>) -> Self {
        Self { losses: Losses::of(decision.vector), answer_loss: None, is_other_kind: false }
    }
}

impl LearnerPlan {
    /// What a client says of a decision.
    pub(super) fn judge(&self, decision: &Decision<'_>, lesson: &Lesson) -> Judged {
        let mut judged = Judged::nothing(decision);
        match lesson {
            Lesson::Label(truth) => {
                for arm in decision.asked.iter() {
                    let said = decision.said[arm];
                    let loss = match self.loss.of(said, truth) {
                        None if said == Said::Nothing => self.default_teaches.then_some(1.0),
                        None => {
                            judged.is_other_kind = true;
                            None
                        }
                        some => some,
                    };
                    if let Some(loss) = loss {
                        judged.losses.put(arm, loss, decision.propensities[arm]);
                    }
                }
                judged.answer_loss = self.loss.of(decision.answer, truth);
            }
            Lesson::Reward(reward) => {
                let (least, most) = self.rewards;
                self.judge_answer(decision, (most - reward) / (most - least), &mut judged);
            }
            Lesson::Withdrawn => {}
        }
        judged
    }

    /// What is learned of a decision that got no feedback, if it is to lose so much.
    pub(super) fn judge_silence(&self, decision: &Decision<'_>, loss: f64) -> Judged {
        let mut judged = Judged::nothing(decision);
        self.judge_answer(decision, loss, &mut judged);
        judged
    }

    /// Whether a reward is in the range that was declared.
    pub(super) fn admits(&self, reward: f64) -> bool {
        (self.rewards.0..=self.rewards.1).contains(&reward)
    }

    /// The loss of an answer is that of each model that agreed with it.
    fn judge_answer(&self, decision: &Decision<'_>, loss: f64, judged: &mut Judged) {
        if decision.answer == Said::Nothing {
            for arm in decision.asked.iter().filter(|_| self.default_teaches) {
                judged.losses.put(arm, loss, decision.propensities[arm]);
            }
            return;
        }
        judged.answer_loss = Some(loss);
        let agrees = |arm: &usize| decision.said[*arm].agrees(decision.answer, self.tolerance);
        for arm in decision.asked.iter().filter(agrees) {
            judged.losses.put(arm, loss, decision.propensities[arm]);
        }
    }

    /// The model that the policy chose beside a baseline, where it chose one.
    pub(super) fn chosen_beside(&self, decision: &Decision<'_>) -> Option<usize> {
        let baseline = self.mode.baseline()?;
        let others = decision.asked.without(baseline);
        match others.len() {
            0 => Some(baseline),
            1 => others.iter().next(),
            _ => None,
        }
    }
}

impl Mode {
    /// The model that is answered, whatever the policy says.
    pub(super) fn baseline(self) -> Option<usize> {
        match self {
            Self::Online => None,
            Self::Apprentice { baseline } | Self::LogOnly { baseline } => Some(baseline.into()),
        }
    }
}
