//! What is to be sent next: the schedule of an open loop, or what is left of a closed one.

use super::plan::Pace;
use crate::arrivals::Schedule;

/// Times are those of the monotonic clock.
#[derive(Debug)]
pub(super) enum Pacing {
    Open { schedule: Schedule, start_ns: u64, next_ns: Option<u64>, is_blocked: bool },
    Closed { left: u64, end_ns: u64 },
}

impl Pacing {
    /// And how many requests are to be expected.
    pub(super) fn new(pace: &Pace, start_ns: u64) -> (Self, u64) {
        match pace {
            Pace::Open(schedule) => {
                let expected = schedule.requests_max();
                let mut schedule = schedule.clone();
                let next_ns = schedule.next().map(|offset_ns| start_ns + offset_ns);
                let open = Self::Open { schedule, start_ns, next_ns, is_blocked: false };
                (open, expected)
            }
            Pace::Closed { requests, duration_ns } => {
                let end_ns = duration_ns.map_or(u64::MAX, |duration_ns| start_ns + duration_ns);
                let left = requests.unwrap_or(u64::MAX);
                (Self::Closed { left, end_ns }, requests.unwrap_or(0))
            }
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// The due time of the next request, if it has come.
    pub(super) fn due(&self, now_ns: u64) -> Option<u64> {
        match self {
            Self::Open { next_ns, .. } => next_ns.filter(|next_ns| now_ns >= *next_ns),
            Self::Closed { left, end_ns } => (*left > 0 && now_ns < *end_ns).then_some(now_ns),
        }
    }

    pub(super) fn next_ns(&self) -> Option<u64> {
        match self {
            Self::Open { next_ns, .. } => *next_ns,
            Self::Closed { .. } => None,
        }
    }

    /// The request that was due is taken.
    pub(super) fn advance(&mut self) {
        match self {
            Self::Open { schedule, start_ns, next_ns, is_blocked } => {
                *next_ns = schedule.next().map(|offset_ns| *start_ns + offset_ns);
                *is_blocked = false;
            }
            Self::Closed { left, .. } => *left -= 1,
        }
    }

    /// The next request finds no connection free. Says whether that is new.
    pub(super) fn block(&mut self) -> bool {
        match self {
            Self::Open { is_blocked, .. } => !std::mem::replace(is_blocked, true),
            Self::Closed { .. } => false,
        }
    }

    pub(super) fn is_over(&self, now_ns: u64) -> bool {
        match self {
            Self::Open { next_ns, .. } => next_ns.is_none(),
            Self::Closed { left, end_ns } => *left == 0 || now_ns >= *end_ns,
        }
    }

    pub(super) fn stop(&mut self) {
        match self {
            Self::Open { next_ns, .. } => *next_ns = None,
            Self::Closed { left, .. } => *left = 0,
        }
    }
}
