//! What follows from the counts of a policy: shares, mean rewards and their intervals, regret.
//!
//! Control thread. Pure. The counts are read one after another while they grow, so that sums may be
//! a little ahead of what they are divided by: no share is told as more than 1.

use cutter_admin_api::selection::Reward;
use cutter_core::stats::{ArmStats, MILLIONTHS, SelectionStats};

/// Standard errors on either side of a mean that make a 95 % interval of a normal distribution.
const ERRORS_OF_95: f64 = 1.96;

/// A part of a whole that is not empty.
pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| unit(part as f64 / whole as f64))
}

/// The mean of so many numbers from 0 to 1 whose sum is in millionths.
pub(super) fn mean(sum: u64, count: u64) -> Option<f64> {
    (count > 0).then(|| unit(sum as f64 / MILLIONTHS / count as f64))
}

/// A number from 0 to 1 that is kept in millionths.
pub(super) fn of_millionths(number: u64) -> f64 {
    number as f64 / MILLIONTHS
}

/// What a model has earned, and how well that is known.
pub(super) fn reward(arm: &ArmStats) -> Option<Reward> {
    let count = arm.learned.get();
    let reward = 1.0 - mean(arm.losses.get(), count)?;
    let interval = standard_error(arm, count).map(|error| {
        let half = ERRORS_OF_95 * error;
        (unit(reward - half), unit(reward + half))
    });
    Some(Reward { mean: unit(reward), interval })
}

/// By how much the best single model would have earned more, in all answers that were judged.
pub(super) fn regret(stats: &SelectionStats) -> Option<f64> {
    let judged = stats.judged.get();
    let earned = mean(stats.earned.get(), judged)?;
    let rewards = stats.arms.iter().filter_map(reward).map(|reward| reward.mean);
    let best = rewards.reduce(f64::max)?;
    Some(rounded((best - earned) * judged as f64))
}

/// Of the mean of the rewards; of one alone nothing can be said. The losses vary as they do.
fn standard_error(arm: &ArmStats, count: u64) -> Option<f64> {
    if count < 2 {
        return None;
    }
    let count = count as f64;
    let (sum, squares) = (of_millionths(arm.losses.get()), of_millionths(arm.squared_losses.get()));
    let variance = (squares - sum * sum / count) / (count - 1.0);
    Some((variance.max(0.0) / count).sqrt())
}

fn unit(number: f64) -> f64 {
    rounded(number.clamp(0.0, 1.0))
}

/// To what it is counted in: more digits would say nothing.
fn rounded(number: f64) -> f64 {
    (number * MILLIONTHS).round() / MILLIONTHS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(losses: &[f64]) -> ArmStats {
        let arm = ArmStats::default();
        losses.iter().for_each(|loss| learn(&arm, *loss));
        arm
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1")]
    fn learn(arm: &ArmStats, loss: f64) {
        arm.learned.increment();
        arm.losses.add((loss * MILLIONTHS).round() as u64);
        arm.squared_losses.add((loss * loss * MILLIONTHS).round() as u64);
    }

    fn interval(losses: &[f64]) -> Option<(f64, f64)> {
        reward(&arm(losses)).and_then(|reward| reward.interval)
    }

    #[test]
    fn a_reward_is_what_is_left_of_one_by_the_losses() {
        assert_eq!(reward(&arm(&[])), None);
        assert_eq!(reward(&arm(&[0.25])), Some(Reward { mean: 0.75, interval: None }));
        assert_eq!(reward(&arm(&[0.25, 0.75, 1.0])).map(|reward| reward.mean), Some(0.333333));
    }

    #[test]
    fn the_interval_is_so_many_standard_errors_wide_and_stays_between_0_and_1() {
        // Each is 0.1 from the mean: a variance of 0.02, and so an error of 0.1.
        assert_eq!(interval(&[0.4, 0.6]), Some((0.304, 0.696)));
        // Of 32 of them: a variance of 0.32 / 31.
        let many = [0.4, 0.6].repeat(16);
        assert_eq!(interval(&many), Some((0.464797, 0.535203)));
        assert_eq!(interval(&[0.3; 9]), Some((0.7, 0.7)));
        assert_eq!(interval(&[0.0, 1.0]), Some((0.0, 1.0)));
    }

    #[test]
    fn regret_is_what_the_best_model_would_have_earned_more() {
        let stats = SelectionStats { arms: [arm(&[0.5]), arm(&[0.0, 0.2])].into(), ..none(2) };
        assert_eq!(regret(&stats), None);
        stats.judged.add(10);
        stats.earned.add(6_000_000);
        assert_eq!(regret(&stats), Some(3.0));
        stats.earned.add(3_500_000);
        assert_eq!(regret(&stats), Some(-0.5));
        assert_eq!(regret(&SelectionStats { judged: stats.judged, ..none(2) }), None);
    }

    fn none(arms: usize) -> SelectionStats {
        SelectionStats::new(arms)
    }

    #[test]
    fn a_share_of_nothing_is_none_and_no_share_is_more_than_all() {
        assert_eq!((share(0, 0), share(1, 4), share(5, 4)), (None, Some(0.25), Some(1.0)));
        assert_eq!((mean(0, 0), mean(1_500_000, 2)), (None, Some(0.75)));
    }
}
