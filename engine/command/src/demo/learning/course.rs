//! What comes of many answers, over time.

use cutter_tools::result::selection::{ArmResult, PolicyResult};

use super::pupil::Answer;
use crate::demo::limits::{POINTS, WINDOW_POINTS};
use crate::demo::models::ARMS;

/// How a number went over the queries.
#[derive(Clone, Debug, Default)]
struct Series(Vec<f64>);

impl Series {
    fn mean(&self) -> f64 {
        mean(&self.0)
    }

    /// Before, during and after the failure, each a third.
    fn phases(&self) -> [f64; 3] {
        let at = |part: usize| part * self.0.len() / 3;
        [0, 1, 2].map(|phase| mean(&self.0[at(phase)..at(phase + 1)]))
    }

    /// At even distances, the mean of the last few.
    fn over_time(&self) -> Vec<f64> {
        let points = POINTS.min(self.0.len());
        let end = |point: usize| point * self.0.len() / points;
        let window = |point: usize| end((point + 1).saturating_sub(WINDOW_POINTS))..end(point + 1);
        (0..points).map(|point| mean(&self.0[window(point)])).collect()
    }
}

/// What one policy answered, and by which of [`ARMS`].
#[derive(Clone, Debug, Default)]
pub struct Course {
    right: Series,
    shares: [Series; ARMS.len()],
    arms_right: [Series; ARMS.len()],
}

impl Course {
    pub fn add(&mut self, answer: &Answer, label: i64) {
        let is_right = !answer.default && answer.output == label;
        self.right.0.push(f64::from(u8::from(is_right)));
        for ((arm, shares), right) in ARMS.iter().zip(&mut self.shares).zip(&mut self.arms_right) {
            let said = answer.of(arm.name);
            shares.0.push(said.map_or(0.0, |said| said.weight));
            let is_right = said.is_some_and(|said| said.output == Some(label));
            right.0.push(f64::from(u8::from(is_right)));
        }
    }

    pub fn policy(&self, name: &str) -> PolicyResult {
        PolicyResult {
            name: name.to_owned(),
            accuracy: self.right.mean(),
            phases: self.right.phases(),
            over_time: self.right.over_time(),
            shares: self.shares.iter().map(Series::over_time).collect(),
        }
    }

    /// What each model said, of a policy that asks all.
    pub fn arms(&self) -> Vec<ArmResult> {
        let arm = |(arm, right): (&crate::demo::models::Model, &Series)| ArmResult {
            model: arm.name.to_owned(),
            accuracy: right.mean(),
            phases: right.phases(),
            over_time: right.over_time(),
        };
        ARMS.iter().zip(&self.arms_right).map(arm).collect()
    }
}

/// Of nothing 0.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::super::pupil::tests::answer;
    use super::*;

    #[test]
    fn a_policy_is_right_by_its_output_and_a_model_by_its_own() {
        let mut course = Course::default();
        let said = [("linear", 0.25, Some(3)), ("forest", 0.75, Some(4))];
        course.add(&Answer { output: 4, ..answer(&said) }, 4);
        course.add(&Answer { output: 4, ..answer(&said) }, 3);
        course.add(&Answer { output: -1, default: true, ..answer(&[]) }, -1);
        let policy = course.policy("exp4");
        assert!((policy.accuracy - 1.0 / 3.0).abs() < 1e-9, "{}", policy.accuracy);
        assert_eq!(policy.phases, [1.0, 0.0, 0.0]);
        let arms = course.arms();
        assert_eq!((arms[0].phases, arms[3].phases), ([0.0, 1.0, 0.0], [1.0, 0.0, 0.0]));
        assert_eq!(policy.shares[3], [0.75, 0.75, 0.5]);
    }

    #[test]
    fn a_point_is_the_mean_of_the_last_few() {
        let series = Series((0..POINTS * 10).map(|query| (query / 10) as f64).collect());
        let points = series.over_time();
        assert_eq!((points.len(), points[0]), (POINTS, 0.0));
        let last = (POINTS - WINDOW_POINTS..POINTS).map(|point| point as f64);
        assert_eq!(points[POINTS - 1], mean(&last.collect::<Vec<_>>()));
    }

    #[test]
    fn nothing_has_no_course() {
        let nothing = Course::default().policy("exp3");
        assert_eq!((nothing.accuracy, nothing.over_time.len()), (0.0, 0));
    }
}
