//! What came of a replay.

use hdrhistogram::Histogram;

use super::client::Answer;
use super::limits::LATENCY_NS_MAX;
use crate::stats::Reason;

/// One image, as it is asked, and what is to be answered.
#[derive(Clone, Debug)]
pub struct Question {
    /// The whole request.
    pub request: Vec<u8>,
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
    defaults: [u64; Reason::ALL.len()],
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            queries: 0,
            predictions: 0,
            correct: 0,
            offline_correct: 0,
            differing: 0,
            errors: 0,
            first_error: None,
            latency_ns: new_histogram(),
            send_lag_ns: new_histogram(),
            elapsed_ns: 0,
            defaults: [0; Reason::ALL.len()],
        }
    }
}

impl Tally {
    /// A query is being sent.
    pub fn sent(&mut self, send_lag_ns: u64) {
        self.queries += 1;
        self.send_lag_ns.saturating_record(send_lag_ns);
    }

    /// A query got a prediction or a default.
    pub fn answered(&mut self, question: &Question, answer: &Answer, latency_ns: u64) {
        match answer {
            Answer::Prediction { class } => {
                self.predictions += 1;
                self.correct += u64::from(*class == i64::from(question.label));
                self.offline_correct += u64::from(question.offline == question.label);
                self.differing += u64::from(*class != i64::from(question.offline));
            }
            Answer::Default { reason } => self.defaults[reason.index()] += 1,
            Answer::Refused { .. } => return self.failed(format!("an answer is {answer}")),
        }
        self.latency_ns.saturating_record(latency_ns);
    }

    /// A query got no answer, or one that means nothing.
    pub fn failed(&mut self, text: String) {
        self.errors += 1;
        self.first_error.get_or_insert(text);
    }

    /// Queries answered with the default output.
    pub fn defaults(&self) -> u64 {
        self.defaults.iter().sum()
    }

    /// The same by reason, without those that did not occur.
    pub fn defaults_by_reason(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        let all = Reason::ALL.into_iter().map(|reason| (reason, self.defaults[reason.index()]));
        all.filter(|(_, count)| *count > 0)
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
mod tests {
    use super::*;

    fn question(label: u8, offline: u8) -> Question {
        Question { request: Vec::new(), label, offline }
    }

    #[test]
    fn accuracy_is_taken_over_the_images_that_got_predictions() {
        let mut tally = Tally::default();
        let predict = |tally: &mut Tally, label, offline, class| {
            tally.answered(&question(label, offline), &Answer::Prediction { class }, 5);
        };
        predict(&mut tally, 3, 3, 3);
        predict(&mut tally, 4, 9, 9);
        tally.answered(&question(5, 5), &Answer::Default { reason: Reason::Late }, 5);
        assert_eq!((tally.accuracy(), tally.offline_accuracy(), tally.differing), (0.5, 0.5, 0));
        predict(&mut tally, 1, 1, 7);
        predict(&mut tally, 2, 6, 2);
        assert_eq!((tally.accuracy(), tally.offline_accuracy(), tally.differing), (0.5, 0.5, 2));
        assert_eq!((tally.predictions, tally.defaults(), tally.errors), (4, 1, 0));
        assert_eq!(Vec::from_iter(tally.defaults_by_reason()), [(Reason::Late, 1)]);
    }

    #[test]
    fn times_up_to_an_hour_are_told_apart_and_longer_ones_count_as_that() {
        let mut tally = Tally::default();
        [7, 60_000_000_000, u64::MAX].into_iter().for_each(|ns| tally.sent(ns));
        let [short, long, longest] =
            [0.0, 0.5, 1.0].map(|q| tally.send_lag_ns.value_at_quantile(q));
        assert_eq!(short, 7);
        assert!((60_000_000_000..60_060_000_000).contains(&long), "{long}");
        assert!((LATENCY_NS_MAX..LATENCY_NS_MAX / 1_000 * 1_001).contains(&longest), "{longest}");
    }

    #[test]
    fn nothing_predicted_is_nothing_right() {
        assert_eq!((Tally::default().accuracy(), Tally::default().offline_accuracy()), (0.0, 0.0));
    }

    #[test]
    fn an_error_counts_as_one_and_the_first_is_told() {
        let mut tally = Tally::default();
        let refused = Answer::Refused { status: 503, body: "full".to_owned() };
        tally.answered(&question(1, 1), &refused, 5);
        tally.failed("broken".to_owned());
        assert_eq!(tally.errors, 2);
        assert_eq!(tally.first_error.as_deref(), Some("an answer is status 503: full"));
        assert_eq!(tally.latency_ns.len(), 0);
    }
}
