//! How slow a client may be: pure rules, time passed in.
//!
//! Owner: the engine thread, one pace for each connection; the connection's timer is set to
//! [`Pace::deadline_ns`].
//!
//! - **A head** has a fixed time from its first byte. It is small: an honest client sends it at
//!   once.
//! - **A body** must keep a least rate. A fixed time would cut off a slow honest upload and let a
//!   drip hold a buffer for as long as it is; so the deadline slides with progress. Each byte moves
//!   it by what a byte may take, and never further than the grace from now, so that a fast start
//!   does not buy a long silence.
//! - **Idle** connections are kept for a while and closed without a word: a 408 that a client has
//!   not asked for can be taken for the answer to its next request.
//! - **While we owe answers** or have stopped receiving, the wait is ours and no clock runs.

use super::error::HttpError;
use super::request::Phase;
use crate::limits::{BODY_GRACE_NS, BODY_RATE_BYTES_PER_S, HEAD_TIME_NS, KEEP_ALIVE_IDLE_NS};

const BODY_NS_PER_BYTE: u64 = 1_000_000_000 / BODY_RATE_BYTES_PER_S;

/// What is to be done with a connection now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is late.
    Keep,
    /// It has been idle for too long: close it without an answer.
    CloseIdle,
    /// Answer this (behind the answers that are owed) and close.
    Refuse(HttpError),
}

/// The clock of one connection's client.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    phase: Phase,
    /// Meaningless while `paused`.
    deadline_ns: u64,
    paused: bool,
}

impl Pace {
    /// A connection that was just accepted.
    pub fn new(now_ns: u64) -> Pace {
        Pace { phase: Phase::Idle, deadline_ns: now_ns + KEEP_ALIVE_IDLE_NS, paused: false }
    }

    /// `received` bytes arrived, the reader has used them, and is now in `phase`.
    pub fn on_bytes(&mut self, now_ns: u64, received: usize, phase: Phase) {
        match (self.phase, phase) {
            (Phase::Body, Phase::Body) => {
                let received = u64::try_from(received).unwrap_or(u64::MAX);
                let earned_ns = received.saturating_mul(BODY_NS_PER_BYTE);
                self.deadline_ns =
                    self.deadline_ns.saturating_add(earned_ns).min(now_ns + BODY_GRACE_NS);
            }
            // Only bytes that belong to a request keep a connection.
            (Phase::Head, Phase::Head) | (Phase::Idle, Phase::Idle) => {}
            _ => self.start(now_ns, phase),
        }
    }

    /// The reader gave out a whole request: what follows it has a time of its own.
    ///
    /// To be called before the [`on_bytes`](Self::on_bytes) of the same bytes.
    pub fn on_request(&mut self, now_ns: u64) {
        self.start(now_ns, Phase::Idle);
    }

    /// The wait is ours from now on: answers are owed, or receiving has stopped.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// The wait is the client's again: the last answer went out, or receiving goes on. A client
    /// that was kept waiting gets a full measure of time for its `phase`.
    pub fn resume(&mut self, now_ns: u64, phase: Phase) {
        if self.paused {
            self.paused = false;
            self.start(now_ns, phase);
        }
    }

    /// When to look again; `None` while the wait is ours.
    pub fn deadline_ns(&self) -> Option<u64> {
        (!self.paused).then_some(self.deadline_ns)
    }

    pub fn check(&self, now_ns: u64) -> Verdict {
        if self.paused || now_ns < self.deadline_ns {
            return Verdict::Keep;
        }
        match self.phase {
            Phase::Idle => Verdict::CloseIdle,
            Phase::Head => Verdict::Refuse(HttpError::HeadTooSlow),
            Phase::Body => Verdict::Refuse(HttpError::BodyTooSlow),
        }
    }

    fn start(&mut self, now_ns: u64, phase: Phase) {
        let time_ns = match phase {
            Phase::Idle => KEEP_ALIVE_IDLE_NS,
            Phase::Head => HEAD_TIME_NS,
            Phase::Body => BODY_GRACE_NS,
        };
        self.phase = phase;
        self.deadline_ns = now_ns + time_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;
    const HEAD_LATE: Verdict = Verdict::Refuse(HttpError::HeadTooSlow);
    const BODY_LATE: Verdict = Verdict::Refuse(HttpError::BodyTooSlow);

    #[test]
    fn an_idle_connection_is_closed_without_an_answer() {
        let pace = Pace::new(7 * S);
        assert_eq!(pace.deadline_ns(), Some(7 * S + KEEP_ALIVE_IDLE_NS));
        assert_eq!(pace.check(7 * S + KEEP_ALIVE_IDLE_NS - 1), Verdict::Keep);
        assert_eq!(pace.check(7 * S + KEEP_ALIVE_IDLE_NS), Verdict::CloseIdle);
    }

    #[test]
    fn empty_lines_do_not_keep_a_connection() {
        let mut pace = Pace::new(0);
        pace.on_bytes(70 * S, 2, Phase::Idle);
        assert_eq!(pace.check(KEEP_ALIVE_IDLE_NS), Verdict::CloseIdle);
    }

    #[test]
    fn a_head_that_drips_is_refused_five_seconds_after_its_first_byte() {
        let mut pace = Pace::new(0);
        for second in 10..15 {
            pace.on_bytes(second * S, 1000, Phase::Head);
            assert_eq!(pace.check(second * S), Verdict::Keep);
        }
        assert_eq!(pace.check(10 * S + HEAD_TIME_NS - 1), Verdict::Keep);
        assert_eq!(pace.check(10 * S + HEAD_TIME_NS), HEAD_LATE);
    }

    #[test]
    fn each_pipelined_head_has_its_own_time() {
        let mut pace = Pace::new(0);
        pace.on_bytes(0, 10, Phase::Head);
        pace.on_request(4 * S);
        pace.on_bytes(4 * S, 100, Phase::Head);
        assert_eq!(pace.deadline_ns(), Some(4 * S + HEAD_TIME_NS));
    }

    #[test]
    fn a_slow_body_at_the_least_rate_is_never_late() {
        let mut pace = Pace::new(0);
        pace.on_bytes(0, 300, Phase::Body);
        for second in 1..1000 {
            pace.on_bytes(second * S, 1024, Phase::Body);
            assert_eq!(pace.check(second * S), Verdict::Keep);
        }
    }

    #[test]
    fn a_body_at_half_the_least_rate_is_late_after_twice_the_grace() {
        let mut pace = Pace::new(0);
        pace.on_bytes(0, 300, Phase::Body);
        for second in 1..10 {
            pace.on_bytes(second * S, 512, Phase::Body);
            assert_eq!(pace.check(second * S), Verdict::Keep);
        }
        assert_eq!(pace.check(10 * S), BODY_LATE);
    }

    #[test]
    fn a_fast_start_buys_no_more_than_the_grace() {
        let mut pace = Pace::new(0);
        pace.on_bytes(0, 300, Phase::Body);
        pace.on_bytes(S, usize::MAX, Phase::Body);
        assert_eq!(pace.check(S + BODY_GRACE_NS - 1), Verdict::Keep);
        assert_eq!(pace.check(S + BODY_GRACE_NS), BODY_LATE);
    }

    #[test]
    fn no_clock_runs_while_answers_are_owed() {
        let mut pace = Pace::new(0);
        pace.on_request(S);
        pace.on_bytes(S, 100, Phase::Idle);
        pace.pause();
        assert_eq!(pace.deadline_ns(), None);
        assert_eq!(pace.check(u64::MAX), Verdict::Keep);
        pace.resume(200 * S, Phase::Idle);
        assert_eq!(pace.deadline_ns(), Some(200 * S + KEEP_ALIVE_IDLE_NS));
    }

    #[test]
    fn a_head_begun_while_answers_are_owed_has_its_time_when_they_are_out() {
        let mut pace = Pace::new(0);
        pace.pause();
        pace.on_bytes(3 * S, 4, Phase::Head);
        assert_eq!(pace.check(3 * S + HEAD_TIME_NS), Verdict::Keep);
        pace.resume(60 * S, Phase::Head);
        assert_eq!(pace.check(60 * S + HEAD_TIME_NS - 1), Verdict::Keep);
        assert_eq!(pace.check(60 * S + HEAD_TIME_NS), HEAD_LATE);
    }
}
