//! The book of a run: a line for each request from the moment it is sent.
//!
//! Owner: the sending thread. A line is written when its request is sent, and completed once: by an
//! answer, by a failure, or by the time limit. Lines that are still open at the end of a run that
//! was interrupted are struck out; they would be neither answers nor failures.

use crate::limits::{ERROR_CHARS_MAX, REQUESTS_MAX};
use crate::load::recording::{Outcome, Recording, Sample};
use crate::reply::Verdict;

/// The latency of a line that is open.
const OPEN_NS: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Book {
    recording: Recording,
    start_ns: u64,
    end_ns: u64,
}

/// Names a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line(u32);

impl Book {
    /// `expected` lines get their memory now, so that none is asked for while requests are timed.
    pub(super) fn new(start_ns: u64, expected: u64) -> Self {
        let expected = usize::try_from(expected.min(REQUESTS_MAX)).expect("32 million fit");
        let recording = Recording { samples: Vec::with_capacity(expected), ..Default::default() };
        Self { recording, start_ns, end_ns: start_ns }
    }

    pub(super) fn is_full(&self) -> bool {
        self.recording.samples.len() as u64 >= REQUESTS_MAX
    }

    pub(super) fn len(&self) -> u64 {
        self.recording.samples.len() as u64
    }

    /// Opens a line. Times are those of the monotonic clock.
    pub(super) fn open(&mut self, due_ns: u64, question: u32) -> Line {
        let line = u32::try_from(self.recording.samples.len()).expect("REQUESTS_MAX fits");
        self.recording.samples.push(Sample {
            due_ns: due_ns.saturating_sub(self.start_ns),
            lag_ns: 0,
            latency_ns: OPEN_NS,
            question,
            outcome: Outcome::TimedOut,
            correct: None,
        });
        Line(line)
    }

    pub(super) fn sent(&mut self, line: Line, now_ns: u64) {
        let start_ns = self.start_ns;
        let sample = self.sample(line);
        sample.lag_ns = now_ns.saturating_sub(start_ns + sample.due_ns);
    }

    pub(super) fn blocked(&mut self) {
        self.recording.blocked += 1;
    }

    /// Completes a line with an answer.
    pub(super) fn answered(&mut self, line: Line, status: u16, verdict: Verdict<'_>, now_ns: u64) {
        let Verdict { outcome, reason, correct, error } = verdict;
        if let Some(reason) = reason {
            match self.recording.default_reasons.get_mut(&*reason) {
                Some(count) => *count += 1,
                None => drop(self.recording.default_reasons.insert(reason.into_owned(), 1)),
            }
        }
        if outcome == Outcome::HttpError {
            *self.recording.http_errors.entry(status).or_default() += 1;
        }
        if let Some(error) = error {
            self.note_error(&error);
        }
        self.close(line, outcome, now_ns);
        self.sample(line).correct = correct;
    }

    /// Completes a line without an answer.
    pub(super) fn failed(&mut self, line: Line, outcome: Outcome, why: &str, now_ns: u64) {
        self.note_error(why);
        self.close(line, outcome, now_ns);
    }

    pub(super) fn note_error(&mut self, why: &str) {
        if self.recording.first_error.is_none() {
            self.recording.first_error = Some(why.chars().take(ERROR_CHARS_MAX).collect());
        }
    }

    pub(super) fn finish(mut self, ended_early: bool) -> Recording {
        self.recording.samples.retain(|sample| sample.latency_ns != OPEN_NS);
        self.recording.elapsed_ns = self.end_ns - self.start_ns;
        self.recording.ended_early = ended_early;
        self.recording.start_ns = self.start_ns;
        self.recording
    }

    pub(super) fn recording_mut(&mut self) -> &mut Recording {
        &mut self.recording
    }

    fn close(&mut self, line: Line, outcome: Outcome, now_ns: u64) {
        self.end_ns = self.end_ns.max(now_ns);
        let start_ns = self.start_ns;
        let sample = self.sample(line);
        assert_eq!(sample.latency_ns, OPEN_NS, "a line is completed once");
        sample.latency_ns = now_ns.saturating_sub(start_ns + sample.due_ns);
        sample.outcome = outcome;
    }

    fn sample(&mut self, line: Line) -> &mut Sample {
        &mut self.recording.samples[line.0 as usize]
    }
}
