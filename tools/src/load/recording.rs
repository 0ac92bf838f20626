//! What a run recorded: one sample for each request that was due, in the order of the schedule.
//!
//! Samples are kept raw (32 bytes each), not as a histogram: the warm-up is cut, intervals are
//! computed and slices are made afterwards, from the same numbers, by pure functions.

use serde::{Deserialize, Serialize};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Answered, as was asked for.
    Answered,
    /// Answered with the default output: the server promised an answer in time, and gave no
    /// prediction.
    Default,
    /// Answered with an HTTP status other than 2xx.
    HttpError,
    /// No complete answer within the time limit.
    TimedOut,
    /// The connection failed, or what came was not HTTP.
    Broken,
}

impl Outcome {
    /// Whether there was an answer that counts as one: its time is a latency. The others are slower
    /// than every answer, whatever the clock said when they were given up.
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Answered | Self::Default)
    }
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it was due, in ns from the start of the schedule. In closed loop: when it was sent.
    pub due_ns: u64,
    /// From then until the kernel began with it.
    pub lag_ns: u64,
    /// From when it was due until its complete answer, or until it was given up.
    pub latency_ns: u64,
    /// Which of the questions it asked.
    pub question: u32,
    pub outcome: Outcome,
    /// Whether the answer was right; `None` when that was not asked, or nothing was known.
    pub correct: Option<bool>,
}

impl Sample {
    /// Its latency, or nothing when it was never answered.
    pub fn answered_ns(&self) -> Option<u64> {
        self.outcome.is_answer().then_some(self.latency_ns)
    }
}

/// Everything that a run found out.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// By `due_ns`.
    pub samples: Vec<Sample>,
    /// When the schedule began, on the monotonic clock.
    pub start_ns: u64,
    /// From the first due time to the last answer.
    pub elapsed_ns: u64,
    /// Answers with the default output, by the reason that they gave.
    pub default_reasons: std::collections::BTreeMap<String, u64>,
    /// Answers that were errors of HTTP, by status.
    pub http_errors: std::collections::BTreeMap<u16, u64>,
    /// What the first request that failed met.
    pub first_error: Option<String>,
    /// The run was ended before its schedule was.
    pub ended_early: bool,
    /// Requests that had to wait because every connection was taken.
    pub blocked: u64,
    /// Connections that were opened again, because the server closed them, or said what it should
    /// not, or nothing in time.
    pub reopened: u64,
    pub generator: GeneratorUse,
}

/// What the generator took of the machine, and where it was held up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneratorUse {
    /// Processor time of the sending thread, in ns; a thread that looks without sleeping takes all
    /// there is.
    pub cpu_ns: u64,
    /// Of its time, the turns in which something was sent or came. In the others it only looked,
    /// and yielded its core.
    pub busy_ns: u64,
    /// Calls of `io_uring_enter` and of `sched_yield`.
    pub system_calls: u64,
    /// The longest time between two turns of the sending loop, in ns: time in which somebody else
    /// had its core.
    pub longest_gap_ns: u64,
    /// Turns that were more than 1 ms apart.
    pub gaps_over_1ms: u64,
    /// Time in which the sending thread could have run, and its core ran others, in ns; absent
    /// where the kernel does not tell.
    pub delayed_ns: Option<u64>,
}

impl Recording {
    /// This and another that was made at the same time, as one.
    #[must_use]
    pub fn beside(mut self, other: Self) -> Self {
        self.samples.extend(other.samples);
        self.samples.sort_by_key(|sample| sample.due_ns);
        self.start_ns = self.start_ns.min(other.start_ns);
        self.elapsed_ns = self.elapsed_ns.max(other.elapsed_ns);
        for (reason, count) in other.default_reasons {
            *self.default_reasons.entry(reason).or_default() += count;
        }
        for (status, count) in other.http_errors {
            *self.http_errors.entry(status).or_default() += count;
        }
        self.first_error = self.first_error.or(other.first_error);
        self.ended_early |= other.ended_early;
        self.blocked += other.blocked;
        self.reopened += other.reopened;
        self.generator = self.generator.beside(other.generator);
        self
    }
}

impl GeneratorUse {
    fn beside(self, other: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns + other.cpu_ns,
            busy_ns: self.busy_ns + other.busy_ns,
            system_calls: self.system_calls + other.system_calls,
            longest_gap_ns: self.longest_gap_ns.max(other.longest_gap_ns),
            gaps_over_1ms: self.gaps_over_1ms + other.gaps_over_1ms,
            delayed_ns: self.delayed_ns.zip(other.delayed_ns).map(|(one, two)| one + two),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(due_ns: u64, question: u32) -> Sample {
        let outcome = Outcome::Answered;
        Sample { due_ns, lag_ns: 1, latency_ns: 2, question, outcome, correct: None }
    }

    #[test]
    fn two_that_were_made_at_the_same_time_are_one_in_the_order_of_the_requests() {
        let of = |due_ns: [u64; 2], question, busy_ns, delayed_ns| Recording {
            samples: due_ns.map(|due_ns| sample(due_ns, question)).to_vec(),
            start_ns: 100 + u64::from(question),
            elapsed_ns: due_ns[1],
            default_reasons: [("late".to_owned(), 1)].into(),
            http_errors: [(503, u64::from(question))].into(),
            first_error: (question == 2).then(|| "refused".to_owned()),
            blocked: 1,
            generator: GeneratorUse { busy_ns, delayed_ns, ..GeneratorUse::default() },
            ..Recording::default()
        };
        let both = of([10, 30], 1, 5, Some(7)).beside(of([20, 40], 2, 6, Some(8)));
        let asked: Vec<u32> = both.samples.iter().map(|sample| sample.question).collect();
        assert_eq!((asked, both.start_ns, both.elapsed_ns), (vec![1, 2, 1, 2], 101, 40));
        assert_eq!((both.default_reasons["late"], both.http_errors[&503], both.blocked), (2, 3, 2));
        assert_eq!(both.first_error.as_deref(), Some("refused"));
        assert_eq!((both.generator.busy_ns, both.generator.delayed_ns), (11, Some(15)));
        let untold = of([10, 30], 1, 5, None).beside(of([20, 40], 2, 6, Some(8)));
        assert_eq!(untold.generator.delayed_ns, None);
    }
}
