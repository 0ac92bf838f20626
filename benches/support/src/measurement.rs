//! Latencies of one round, and what several rounds come to.

use std::io;
use std::time::{Duration, Instant};

use cutter_tools::load::{Outcome, Recording, Sample};
use serde::Serialize;
use serde_json::{Map, Value};

/// How many exchanges a round has.
#[derive(Clone, Copy, Debug)]
pub struct Exchanges {
    /// Before the first one that is recorded.
    pub warm_up: usize,
    pub recorded: usize,
}

impl Exchanges {
    pub fn total(self) -> usize {
        self.warm_up + self.recorded
    }
}

/// What one round measured.
#[derive(Clone, Debug)]
pub struct Round {
    /// In the order of the requests.
    pub latencies_ns: Vec<u64>,
    /// The time of all requests together.
    pub elapsed: Duration,
}

impl Round {
    /// What a load recorded, without its warm-up. Every request must have been answered, and with a
    /// prediction.
    ///
    /// Latencies count from when the kernel began with a request: a bench compares servers, and
    /// what the client was late by is none of theirs.
    pub fn of(recording: &Recording, exchanges: Exchanges) -> io::Result<Self> {
        let Recording { samples, first_error, default_reasons, .. } = recording;
        let is_answered = |sample: &&Sample| sample.outcome == Outcome::Answered;
        let answered = samples.iter().filter(is_answered).count();
        if answered != exchanges.total() {
            let of = exchanges.total();
            return Err(io::Error::other(format!(
                "{answered} requests of {of} were answered with a prediction in time; first \
                 error: {first_error:?}, default outputs: {default_reasons:?}"
            )));
        }
        let recorded = &samples[exchanges.warm_up..];
        let begin_ns = recorded.iter().map(|sample| sample.due_ns).min();
        let end_ns = recorded.iter().map(|sample| sample.due_ns + sample.latency_ns).max();
        Ok(Self {
            latencies_ns: recorded.iter().map(|s| s.latency_ns - s.lag_ns).collect(),
            elapsed: Duration::from_nanos(end_ns.unwrap_or(0) - begin_ns.unwrap_or(0)),
        })
    }
}

/// A named figure, as it is printed and written.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    pub name: String,
    /// Requests of all rounds together.
    pub n: usize,
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
    /// Of all rounds.
    pub max_ns: u64,
    pub qps: f64,
    /// What only this bench has.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The rounds of one thing that is measured.
#[derive(Clone, Debug)]
pub struct Rounds {
    name: String,
    rounds: Vec<Quantiles>,
}

#[derive(Clone, Copy, Debug)]
struct Quantiles {
    n: usize,
    p50_ns: u64,
    p99_ns: u64,
    p999_ns: u64,
    max_ns: u64,
    qps: f64,
}

impl Rounds {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), rounds: Vec::new() }
    }

    /// Adds a round of at least one request.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    pub fn add(&mut self, round: Round) {
        let Round { mut latencies_ns, elapsed } = round;
        assert!(!latencies_ns.is_empty(), "{}: a round without requests", self.name);
        latencies_ns.sort_unstable();
        let n = latencies_ns.len();
        let at = |per_mille: usize| latencies_ns[(n * per_mille).div_ceil(1000).max(1) - 1];
        self.rounds.push(Quantiles {
            n,
            p50_ns: at(500),
            p99_ns: at(990),
            p999_ns: at(999),
            max_ns: at(1000),
            qps: n as f64 / elapsed.as_secs_f64(),
        });
    }

    /// The median of each figure over the rounds, of which there is at least one.
    pub fn finish(self) -> Measurement {
        let rounds = &self.rounds;
        let of = |figure: fn(&Quantiles) -> u64| median(rounds.iter().map(figure));
        Measurement {
            n: rounds.iter().map(|round| round.n).sum(),
            p50_ns: of(|round| round.p50_ns),
            p99_ns: of(|round| round.p99_ns),
            p999_ns: of(|round| round.p999_ns),
            max_ns: rounds.iter().map(|round| round.max_ns).max().unwrap_or(0),
            qps: median(rounds.iter().map(|round| round.qps)),
            extra: Map::new(),
            name: self.name,
        }
    }
}

impl Measurement {
    /// Adds a figure that only this bench has.
    #[must_use]
    pub fn with(mut self, name: &str, value: f64) -> Self {
        // Nobody reads more than four decimals of a figure that was measured.
        self.extra.insert(name.to_owned(), ((value * 1e4).round() / 1e4).into());
        self
    }

    /// A figure that was added, or nothing.
    pub fn figure(&self, name: &str) -> Option<f64> {
        self.extra.get(name).and_then(Value::as_f64)
    }
}

/// The middle of some values that can all be compared; the lower one of two.
pub fn median<T: Copy + PartialOrd>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_by(|a, b| a.partial_cmp(b).expect("no NaN is measured"));
    *values.get(values.len().saturating_sub(1) / 2).expect("at least one value")
}

/// The time since `start`, in ns.
pub fn elapsed_ns(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails here")]
mod tests {
    use super::*;

    fn round(latencies_ns: impl IntoIterator<Item = u64>) -> Round {
        let latencies_ns: Vec<u64> = latencies_ns.into_iter().collect();
        Round { latencies_ns, elapsed: Duration::from_secs(2) }
    }

    fn recording(outcome_of_last: Outcome) -> Recording {
        let sample = |(due_ns, lag_ns, latency_ns), outcome| Sample {
            due_ns,
            lag_ns,
            latency_ns,
            question: 0,
            outcome,
            correct: None,
        };
        let times = [(0, 1, 900), (10, 2, 30), (20, 3, 50), (30, 4, 20)];
        let outcomes = [Outcome::Answered, Outcome::Answered, Outcome::Answered, outcome_of_last];
        let samples =
            times.into_iter().zip(outcomes).map(|(times, outcome)| sample(times, outcome));
        Recording { samples: samples.collect(), ..Recording::default() }
    }

    #[test]
    fn a_round_begins_after_the_warm_up_and_ends_with_the_last_answer() {
        let exchanges = Exchanges { warm_up: 1, recorded: 3 };
        let round = Round::of(&recording(Outcome::Answered), exchanges).unwrap();
        assert_eq!(round.latencies_ns, [28, 47, 16]);
        assert_eq!(round.elapsed, Duration::from_nanos(60));
    }

    #[test]
    fn a_round_with_a_request_that_was_not_answered_or_not_sent_is_none() {
        let exchanges = Exchanges { warm_up: 1, recorded: 3 };
        for outcome in [Outcome::Default, Outcome::HttpError, Outcome::TimedOut, Outcome::Broken] {
            let error = Round::of(&recording(outcome), exchanges).unwrap_err().to_string();
            assert!(error.starts_with("3 requests of 4 were answered"), "{error}");
        }
        let more = Exchanges { recorded: 4, ..exchanges };
        assert!(Round::of(&recording(Outcome::Answered), more).is_err());
    }

    #[test]
    fn quantiles_are_those_of_the_nearest_rank() {
        let mut rounds = Rounds::new("x");
        rounds.add(round((1..=2000).rev()));
        let found = rounds.finish();
        assert_eq!((found.p50_ns, found.p99_ns, found.p999_ns), (1000, 1980, 1998));
        assert_eq!((found.n, found.max_ns, found.qps), (2000, 2000, 1000.0));
    }

    #[test]
    fn each_figure_is_the_median_of_the_rounds_and_the_maximum_is_of_all() {
        let mut rounds = Rounds::new("x");
        [3, 900, 5].into_iter().for_each(|latency_ns| rounds.add(round([latency_ns])));
        let found = rounds.finish();
        assert_eq!((found.n, found.p50_ns, found.p99_ns, found.max_ns), (3, 5, 5, 900));
    }

    #[test]
    fn added_figures_stand_beside_the_others_in_json() {
        let mut rounds = Rounds::new("x");
        rounds.add(round([7]));
        let json = serde_json::to_value(rounds.finish().with("cpu_percent", 0.123_456)).unwrap();
        let expected = serde_json::json!({
            "name": "x", "n": 1, "p50_ns": 7, "p99_ns": 7, "p999_ns": 7, "max_ns": 7, "qps": 0.5,
            "cpu_percent": 0.1235,
        });
        assert_eq!(json, expected);
    }
}
