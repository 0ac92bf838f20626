//! What came of a replay.

use std::collections::BTreeMap;

use cutter_tools::load::{Outcome, Recording};
use hdrhistogram::Histogram;

use super::limits::LATENCY_NS_MAX;

/// What is known of one image.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The digit that was written.
    pub label: u8,
    /// The class that the same weights give it here, without a server.
    pub offline: u8,
}

/// Counts and times of a replay. Each query that was sent is counted once: as a prediction, as a
/// default, or as an error.
#[derive(Clone, Debug)]
pub struct Tally {
    pub queries: u64,
    pub predictions: u64,
    /// Predictions that are the digit.
    pub correct: u64,
    /// Offline classes that are the digit, for the images that got a prediction.
    pub offline_correct: u64,
    /// Predictions that are not the offline class.
    pub differing: u64,
    pub errors: u64,
    /// What the first error was.
    pub first_error: Option<String>,
    /// From a query's scheduled send to its complete answer, in ns.
    pub latency_ns: Histogram<u64>,
    /// From a query's scheduled send to its real one, in ns.
    pub send_lag_ns: Histogram<u64>,
    /// From the first scheduled send to the last answer.
    pub elapsed_ns: u64,
    /// Queries answered with the default output, by reason.
    pub defaults: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts a recording whose answers were compared with the offline classes.
    pub fn of(recording: &Recording, known: &[Known]) -> Self {
        let mut tally = Self {
            queries: recording.samples.len() as u64,
            predictions: 0,
            correct: 0,
            offline_correct: 0,
            differing: 0,
            errors: 0,
            first_error: recording.first_error.clone(),
            latency_ns: new_histogram(),
            send_lag_ns: new_histogram(),
            elapsed_ns: recording.elapsed_ns,
            defaults: recording.default_reasons.clone(),
        };
        for sample in &recording.samples {
            tally.send_lag_ns.saturating_record(sample.lag_ns);
            if let Some(latency_ns) = sample.answered_ns() {
                tally.latency_ns.saturating_record(latency_ns);
            }
            match sample.outcome {
                Outcome::Answered => {
                    let is_offline_class = sample.correct == Some(true);
                    tally.predicted(known[sample.question as usize], is_offline_class);
                }
                Outcome::Default => {}
                Outcome::HttpError | Outcome::TimedOut | Outcome::Broken => tally.errors += 1,
            }
        }
        tally
    }

    fn predicted(&mut self, known: Known, is_offline_class: bool) {
        let is_offline_right = known.offline == known.label;
        self.predictions += 1;
        self.offline_correct += u64::from(is_offline_right);
        // A class that differs is an error of ours, right or wrong, and is not counted as right.
        self.correct += u64::from(is_offline_right && is_offline_class);
        self.differing += u64::from(!is_offline_class);
    }

    /// Queries answered with the default output.
    pub fn defaults(&self) -> u64 {
        self.defaults.values().sum()
    }

    /// The share of predictions that are the digit; 0 without any.
    pub fn accuracy(&self) -> f64 {
        share(self.correct, self.predictions)
    }

    /// The share that the same weights get right offline, on the very images that got predictions.
    pub fn offline_accuracy(&self) -> f64 {
        share(self.offline_correct, self.predictions)
    }
}

fn share(part: u64, of: u64) -> f64 {
    part as f64 / of.max(1) as f64
}

/// Three significant digits.
fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_NS_MAX, 3).expect("bounds that a histogram can have")
}

#[cfg(test)]
pub mod tests {
    use cutter_tools::load::Sample;

    use super::*;

    /// A query that ended so. `correct`: it got the offline class.
    pub fn sample(question: u32, outcome: Outcome, correct: bool, latency_ns: u64) -> Sample {
        let correct = (outcome == Outcome::Answered).then_some(correct);
        Sample { due_ns: 0, lag_ns: 7, latency_ns, question, outcome, correct }
    }

    fn tally(samples: Vec<Sample>, known: &[Known]) -> Tally {
        Tally::of(&Recording { samples, ..Recording::default() }, known)
    }

    #[test]
    fn accuracy_is_taken_over_the_images_that_got_predictions() {
        let known = [(3, 3), (4, 9), (5, 5)].map(|(label, offline)| Known { label, offline });
        let mut samples = vec![
            sample(0, Outcome::Answered, true, 5),
            sample(1, Outcome::Answered, true, 5),
            sample(2, Outcome::Default, false, 5),
        ];
        let found = tally(samples.clone(), &known);
        assert_eq!((found.accuracy(), found.offline_accuracy(), found.differing), (0.5, 0.5, 0));
        samples.push(sample(2, Outcome::Answered, false, 5));
        samples.push(sample(1, Outcome::Answered, false, 5));
        let found = tally(samples, &known);
        assert_eq!((found.accuracy(), found.offline_accuracy(), found.differing), (0.25, 0.5, 2));
        assert_eq!((found.queries, found.predictions, found.errors), (5, 4, 0));
    }

    #[test]
    fn times_up_to_an_hour_are_told_apart_and_longer_ones_count_as_that() {
        let times = [7, 60_000_000_000, u64::MAX];
        let found = tally(times.map(|ns| sample(0, Outcome::Default, false, ns)).into(), &[]);
        let [short, long, longest] = [0.0, 0.5, 1.0].map(|q| found.latency_ns.value_at_quantile(q));
        assert_eq!(short, 7);
        assert!((60_000_000_000..60_060_000_000).contains(&long), "{long}");
        assert!((LATENCY_NS_MAX..LATENCY_NS_MAX / 1_000 * 1_001).contains(&longest), "{longest}");
    }

    #[test]
    fn nothing_predicted_is_nothing_right() {
        let found = tally(Vec::new(), &[]);
        assert_eq!((found.accuracy(), found.offline_accuracy()), (0.0, 0.0));
    }

    #[test]
    fn what_got_no_answer_is_an_error_and_has_no_latency() {
        let failed = [Outcome::HttpError, Outcome::TimedOut, Outcome::Broken];
        let found = tally(failed.map(|outcome| sample(0, outcome, false, 5)).into(), &[]);
        assert_eq!((found.errors, found.latency_ns.len(), found.send_lag_ns.len()), (3, 0, 3));
    }
}
