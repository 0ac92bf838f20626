//! The due times of one run, one by one: read by the sending thread, so each is cheap.

use std::sync::Arc;

use super::{Arrivals, ArrivalsError, NS_PER_SECOND, burst_qps, checked_ramp, checked_rate};
use crate::limits::{RATE_QPS_MAX, REQUESTS_MAX, SECONDS_MAX};
use crate::random::Random;

/// By how many standard deviations more requests than expected there is room for.
const DEVIATIONS: f64 = 8.0;

/// Due times in ns from the start of the run, ascending.
#[derive(Clone, Debug)]
pub struct Schedule {
    pace: Pace,
    /// Nothing is due from here on.
    end_ns: u64,
    requests_left: u64,
    expected_requests: u64,
    mean_rate_qps: Option<f64>,
}

impl Schedule {
    /// The schedule of a run that ends after a time, or after a number of requests, or at what
    /// comes first. A trace ends by itself, too.
    pub fn new(
        arrivals: &Arrivals,
        duration_ns: Option<u64>,
        requests: Option<u64>,
        seed: u64,
    ) -> Result<Self, ArrivalsError> {
        check(arrivals, duration_ns, requests)?;
        let end_ns = duration_ns.unwrap_or(u64::MAX);
        let by_time = match duration_ns {
            Some(duration_ns) => requests_within(arrivals, duration_ns),
            None => f64::INFINITY,
        };
        let by_time = match arrivals {
            Arrivals::Trace(due_ns) => by_time.min(due_ns.len() as f64),
            _ => by_time,
        };
        let expected = requests.map_or(by_time, |requests| by_time.min(requests as f64));
        let expected_requests = whole(expected);
        if expected_requests == 0 {
            return Err(ArrivalsError::NoRequests);
        }
        if expected_requests > REQUESTS_MAX {
            return Err(ArrivalsError::TooMany { requests: expected_requests });
        }
        let pace = Pace::new(arrivals, duration_ns, seed);
        let mean_rate_qps = mean_rate_qps(arrivals, expected_requests, &pace, duration_ns);
        if let (Some(rate_qps), None) = (mean_rate_qps, duration_ns) {
            let seconds = expected / rate_qps;
            if seconds > SECONDS_MAX as f64 {
                return Err(ArrivalsError::TooLong { seconds: whole(seconds.ceil()) });
            }
        }
        let room = requests.unwrap_or(u64::MAX).min(with_room(expected_requests));
        Ok(Self { pace, end_ns, requests_left: room, expected_requests, mean_rate_qps })
    }

    /// How many requests there will be, on average over all seeds.
    pub fn expected_requests(&self) -> u64 {
        self.expected_requests
    }

    /// What there will never be more of; what to make room for before the run. Before the first
    /// request is taken.
    pub fn requests_max(&self) -> u64 {
        self.requests_left
    }

    /// Requests per second of the whole schedule, on average. A trace at one instant has none.
    pub fn mean_rate_qps(&self) -> Option<f64> {
        self.mean_rate_qps
    }
}

impl Iterator for Schedule {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.requests_left = self.requests_left.checked_sub(1)?;
        match self.pace.next_ns() {
            Some(due_ns) if due_ns < self.end_ns => Some(due_ns),
            _ => {
                self.requests_left = 0;
                None
            }
        }
    }
}

/// Where the next request comes from. Numbers that repeat are computed from the request's index,
/// not from the request before, so that no error adds up.
#[derive(Clone, Debug)]
enum Pace {
    Constant {
        next: u64,
        rate_qps: f64,
    },
    Poisson {
        at_ns: f64,
        mean_gap_ns: f64,
        random: Random,
    },
    OnOff {
        window_ns: u64,
        within_ns: f64,
        mean_gap_ns: f64,
        on_ns: u64,
        off_ns: u64,
        random: Random,
    },
    Ramp {
        next: u64,
        from_qps: f64,
        to_qps: f64,
        seconds: f64,
    },
    Trace {
        next: usize,
        due_ns: Arc<[u64]>,
    },
}

impl Pace {
    fn new(arrivals: &Arrivals, duration_ns: Option<u64>, seed: u64) -> Self {
        let random = Random::new(seed);
        match arrivals {
            Arrivals::Constant { rate_qps } => Self::Constant { next: 0, rate_qps: *rate_qps },
            Arrivals::Poisson { rate_qps } => {
                Self::Poisson { at_ns: 0.0, mean_gap_ns: gap_ns(*rate_qps), random }
            }
            Arrivals::OnOff { rate_qps, on_ns, off_ns } => Self::OnOff {
                window_ns: 0,
                within_ns: 0.0,
                mean_gap_ns: gap_ns(burst_qps(*rate_qps, *on_ns, *off_ns)),
                on_ns: *on_ns,
                off_ns: *off_ns,
                random,
            },
            Arrivals::Ramp { from_qps, to_qps } => {
                let seconds = duration_ns.unwrap_or(0) as f64 / NS_PER_SECOND as f64;
                Self::Ramp { next: 0, from_qps: *from_qps, to_qps: *to_qps, seconds }
            }
            Arrivals::Trace(due_ns) => Self::Trace { next: 0, due_ns: Arc::clone(due_ns) },
        }
    }

    #[inline]
    fn next_ns(&mut self) -> Option<u64> {
        match self {
            Self::Constant { next, rate_qps } => {
                let due_ns = *next as f64 * NS_PER_SECOND as f64 / *rate_qps;
                *next += 1;
                Some(whole(due_ns))
            }
            Self::Poisson { at_ns, mean_gap_ns, random } => {
                *at_ns += random.exponential(*mean_gap_ns);
                Some(floor(*at_ns))
            }
            // The clock of the process runs only while it is on: a gap that reaches over the end
            // of a window goes on in the next.
            Self::OnOff { window_ns, within_ns, mean_gap_ns, on_ns, off_ns, random } => {
                *within_ns += random.exponential(*mean_gap_ns);
                let windows = (*within_ns / *on_ns as f64).floor();
                if windows > 0.0 {
                    *within_ns = (*within_ns - windows * *on_ns as f64).max(0.0);
                    let passed_ns = floor(windows).saturating_mul(*on_ns + *off_ns);
                    *window_ns = window_ns.saturating_add(passed_ns);
                }
                Some(window_ns.saturating_add(floor(*within_ns).min(*on_ns - 1)))
            }
            Self::Ramp { next, from_qps, to_qps, seconds } => {
                let index = *next as f64;
                *next += 1;
                ramp_seconds(index, *from_qps, *to_qps, *seconds)
                    .map(|seconds| whole(seconds * NS_PER_SECOND as f64))
            }
            Self::Trace { next, due_ns } => {
                let due_ns = due_ns.get(*next).copied();
                *next += 1;
                due_ns
            }
        }
    }
}

/// When a ramp reaches its request `index`: where the integral of the rate,
/// from·t + (to − from)·t² / 2T, is `index`. Nothing when it never does.
///
/// The usual formula of the root subtracts two numbers that are nearly the same; this form of it
/// does not.
fn ramp_seconds(index: f64, from_qps: f64, to_qps: f64, seconds: f64) -> Option<f64> {
    if index == 0.0 {
        return Some(0.0);
    }
    let square = from_qps * from_qps + 2.0 * (to_qps - from_qps) * index / seconds;
    (square >= 0.0).then(|| 2.0 * index / (from_qps + square.sqrt()))
}

fn check(
    arrivals: &Arrivals,
    duration_ns: Option<u64>,
    requests: Option<u64>,
) -> Result<(), ArrivalsError> {
    match arrivals {
        Arrivals::Constant { rate_qps } | Arrivals::Poisson { rate_qps } => {
            checked_rate(*rate_qps)?;
        }
        Arrivals::OnOff { rate_qps, on_ns, off_ns } => {
            checked_rate(*rate_qps)?;
            let rate_qps = burst_qps(*rate_qps, *on_ns, *off_ns);
            if rate_qps.is_nan() || rate_qps > RATE_QPS_MAX {
                return Err(ArrivalsError::Burst { rate_qps });
            }
        }
        Arrivals::Ramp { from_qps, to_qps } => {
            checked_ramp(*from_qps, *to_qps)?;
            if duration_ns.is_none() {
                return Err(ArrivalsError::RampUnbounded);
            }
        }
        Arrivals::Trace(_) => {}
    }
    let ends_by_itself = matches!(arrivals, Arrivals::Trace(_));
    if duration_ns.is_none() && requests.is_none() && !ends_by_itself {
        return Err(ArrivalsError::Unbounded);
    }
    match duration_ns.map(|ns| ns.div_ceil(NS_PER_SECOND)) {
        Some(seconds) if seconds > SECONDS_MAX => Err(ArrivalsError::TooLong { seconds }),
        _ => Ok(()),
    }
}

/// Requests due within a time, on average.
fn requests_within(arrivals: &Arrivals, duration_ns: u64) -> f64 {
    let seconds = |ns: u64| ns as f64 / NS_PER_SECOND as f64;
    match arrivals {
        Arrivals::Constant { rate_qps } => (rate_qps * seconds(duration_ns)).ceil(),
        Arrivals::Poisson { rate_qps } => (rate_qps * seconds(duration_ns)).max(1.0),
        Arrivals::OnOff { rate_qps, on_ns, off_ns } => {
            let cycle_ns = on_ns + off_ns;
            let last_ns = (duration_ns % cycle_ns).min(*on_ns);
            let time_on_ns = duration_ns / cycle_ns * on_ns + last_ns;
            (burst_qps(*rate_qps, *on_ns, *off_ns) * seconds(time_on_ns)).max(1.0)
        }
        Arrivals::Ramp { from_qps, to_qps } => {
            ((from_qps + to_qps) / 2.0 * seconds(duration_ns)).ceil()
        }
        Arrivals::Trace(due_ns) => due_ns.partition_point(|&ns| ns < duration_ns) as f64,
    }
}

fn mean_rate_qps(
    arrivals: &Arrivals,
    requests: u64,
    pace: &Pace,
    duration_ns: Option<u64>,
) -> Option<f64> {
    match (arrivals, pace) {
        (Arrivals::Trace(due_ns), _) => {
            let last_ns = due_ns.get(usize::try_from(requests).ok()?.checked_sub(1)?)?;
            (*last_ns > 0).then(|| requests as f64 * NS_PER_SECOND as f64 / *last_ns as f64)
        }
        (_, Pace::Ramp { from_qps, to_qps, seconds, .. }) => {
            let cut = ramp_seconds(requests as f64, *from_qps, *to_qps, *seconds);
            let seconds = cut.unwrap_or(*seconds).min(*seconds);
            duration_ns.map(|_| requests as f64 / seconds)
        }
        (
            Arrivals::Constant { rate_qps }
            | Arrivals::Poisson { rate_qps }
            | Arrivals::OnOff { rate_qps, .. },
            _,
        ) => Some(*rate_qps),
        (Arrivals::Ramp { .. }, _) => None,
    }
}

/// Room for what chance adds to the expected number.
fn with_room(expected: u64) -> u64 {
    let more = DEVIATIONS * (expected as f64).sqrt();
    expected.saturating_add(whole(more) + 1).min(REQUESTS_MAX)
}

fn gap_ns(rate_qps: f64) -> f64 {
    NS_PER_SECOND as f64 / rate_qps
}

/// The nearest whole number.
fn whole(number: f64) -> u64 {
    floor(number + 0.5)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, and the cast saturates"
)]
fn floor(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests;
