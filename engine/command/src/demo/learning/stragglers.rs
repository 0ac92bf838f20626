//! The third act: the best model is slower than answers may be.

use cutter_tools::result::selection::StragglersResult;

use super::connection::Connection;
use super::course::mean;
use super::faults::{Fault, toggle};
use super::pupil::{Answer, Question, ask_and_tell};
use super::{LearningError, Stage};
use crate::demo::limits::{CLIENT_WAY_NS, SLO_US, UNSURE_BELOW};
use crate::demo::models::BEST;
use crate::demo::serving::STRAGGLERS;

/// Asks every image once, each when the one before is answered and told. `None`: interrupted.
pub fn run(
    stage: &Stage<'_>,
    connection: &mut Connection,
    questions: &[Question],
) -> Result<Option<StragglersResult>, LearningError> {
    (stage.show)(&format!("{BEST} is slow"));
    toggle(stage.admin, BEST, Fault::Slow)?;
    let mut answers = Vec::with_capacity(questions.len());
    for question in questions {
        if stage.progress.is_interrupted() {
            return Ok(None);
        }
        answers.push((ask_and_tell(connection, STRAGGLERS, question)?, question.label));
    }
    toggle(stage.admin, BEST, Fault::Slow)?;
    Ok(Some(count(&answers)))
}

/// Answers and the digits that were written.
fn count(answers: &[(Answer, i64)]) -> StragglersResult {
    let count = |is: &dyn Fn(&Answer, i64) -> bool| -> u64 {
        answers.iter().filter(|(answer, label)| is(answer, *label)).count() as u64
    };
    let slo_ns = SLO_US * 1_000;
    let is_unsure = |answer: &Answer| answer.reason.as_deref() == Some("unsure");
    let is_missing = |answer: &Answer| answer.of(BEST).is_some_and(|said| said.output.is_none());
    let mut times: Vec<u64> = answers.iter().map(|(answer, _)| answer.latency_ns).collect();
    times.sort_unstable();
    let confidences: Vec<f64> = answers.iter().map(|(answer, _)| answer.confidence).collect();
    StragglersResult {
        model: BEST.to_owned(),
        slo_ns,
        queries: answers.len() as u64,
        in_time: count(&|answer, _| answer.latency_ns <= slo_ns + CLIENT_WAY_NS),
        p50_ns: percentile(&times, 50),
        p99_ns: percentile(&times, 99),
        max_ns: percentile(&times, 100),
        asked: count(&|answer, _| answer.of(BEST).is_some()),
        missing: count(&|answer, _| is_missing(answer)),
        confidence: mean(&confidences),
        unsure_below: UNSURE_BELOW,
        sure: count(&|answer, _| !answer.default),
        sure_correct: count(&|answer, label| !answer.default && answer.output == label),
        unsure: count(&|answer, _| is_unsure(answer)),
        unsure_correct: count(&|answer, label| is_unsure(answer) && answer.vote() == Some(label)),
    }
}

/// The least of the sorted times that so many percent do not exceed; 0 without any.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    rank.checked_sub(1).map_or(0, |at| sorted[at])
}

#[cfg(test)]
mod tests {
    use super::super::pupil::tests::answer;
    use super::*;

    #[test]
    fn what_is_unsure_is_told_apart_with_what_would_have_been_said() {
        let late = [(BEST, 0.0, None), ("forest", 0.6, Some(4)), ("linear", 0.4, Some(5))];
        let sure =
            |output| Answer { output, confidence: 0.8, latency_ns: 300_000, ..answer(&late[1..]) };
        let unsure = Answer {
            output: -1,
            default: true,
            reason: Some("unsure".to_owned()),
            confidence: 0.4,
            latency_ns: 20_100_000,
            ..answer(&late)
        };
        let found = count(&[(sure(4), 4), (sure(4), 9), (unsure.clone(), 4), (unsure, 5)]);
        assert_eq!(
            (found.sure, found.sure_correct, found.unsure, found.unsure_correct),
            (2, 1, 2, 1)
        );
        assert_eq!((found.asked, found.missing, found.in_time, found.queries), (2, 2, 4, 4));
        assert_eq!((found.p50_ns, found.max_ns), (300_000, 20_100_000));
        assert!((found.confidence - 0.6).abs() < 1e-9, "{}", found.confidence);
    }

    #[test]
    fn the_percentiles_of_nothing_are_0() {
        assert_eq!([50, 99, 100].map(|percent| percentile(&[], percent)), [0; 3]);
        assert_eq!([50, 99, 100].map(|percent| percentile(&[1, 2, 3], percent)), [2, 3, 3]);
    }
}
