//! When requests are due. Pure: the clock of a run is somebody else's.
//!
//! ```text
//!  constant   │ · · · · · · · · · │     poisson  │ ··  ·  ··· ·    · ·│
//!  onoff      │·····    ···· ·    │     ramp     │ ·   ·  · · ······· │     trace   as it was
//!              └on─┘└off┘└on─┘└off┘
//! ```
//!
//! A schedule never waits for answers: what is due is due (open loop).

mod schedule;
mod trace;

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

pub use schedule::Schedule;
pub use trace::{TraceError, parse_trace};

use crate::limits::{RATE_QPS_MAX, REQUESTS_MAX, SECONDS_MAX};

const NS_PER_MS: u64 = 1_000_000;
const NS_PER_SECOND: u64 = 1_000_000_000;
const WINDOW_MS_MAX: u64 = SECONDS_MAX * 1_000;

/// Why there is no such schedule.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ArrivalsError {
    #[error(
        "{text:?} names no arrivals; write constant, poisson, onoff:ON_MS:OFF_MS or \
         ramp:FROM_QPS:TO_QPS, for example onoff:50:150"
    )]
    Form { text: String },
    #[error(
        "the window {text:?} is not possible; give whole milliseconds from 1 to {WINDOW_MS_MAX}"
    )]
    Window { text: String },
    #[error(
        "a rate of {rate_qps} requests per second is not possible; give one above 0 and up to \
         {RATE_QPS_MAX}"
    )]
    Rate { rate_qps: f64 },
    #[error(
        "bursts at {rate_qps} requests per second are too fast for this tool (up to \
         {RATE_QPS_MAX}); lower the rate or make the ON window longer"
    )]
    Burst { rate_qps: f64 },
    #[error("{form} arrivals need a rate; give one in requests per second")]
    NoRate { form: String },
    #[error("{form} says its rates itself; leave the other rate out")]
    RateTwice { form: String },
    #[error("the run has no end; give it seconds or a number of requests")]
    Unbounded,
    #[error("a ramp needs to know its length; give it seconds")]
    RampUnbounded,
    #[error("the run has no requests; give it more time, a higher rate or more requests")]
    NoRequests,
    #[error(
        "the run would have {requests} requests, of which {REQUESTS_MAX} can be recorded; shorten \
         --seconds or lower the rate"
    )]
    TooMany { requests: u64 },
    #[error(
        "the run would take {seconds} s, and {SECONDS_MAX} s is the limit; shorten --seconds, or \
         ask for fewer requests"
    )]
    TooLong { seconds: u64 },
}

/// How requests arrive.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// At even distances.
    Constant { rate_qps: f64 },
    /// As from many clients that know nothing of each other.
    Poisson { rate_qps: f64 },
    /// Poisson while on, nothing while off. `rate_qps` is the mean over both.
    OnOff { rate_qps: f64, on_ns: u64, off_ns: u64 },
    /// At distances that change evenly with the rate, from the start of the run to its end.
    Ramp { from_qps: f64, to_qps: f64 },
    /// Due times in ns from the start, ascending.
    Trace(Arc<[u64]>),
}

impl Arrivals {
    /// Reads `constant`, `poisson`, `onoff:ON_MS:OFF_MS` or `ramp:FROM_QPS:TO_QPS`. A ramp has its
    /// rates in its text; the others take `rate_qps`. Traces come from [`parse_trace`].
    pub fn parse(text: &str, rate_qps: Option<f64>) -> Result<Self, ArrivalsError> {
        let form = || ArrivalsError::Form { text: text.to_owned() };
        let words: Vec<&str> = text.split(':').collect();
        let rate = || match rate_qps {
            Some(rate_qps) => checked_rate(rate_qps),
            None => Err(ArrivalsError::NoRate { form: words[0].to_owned() }),
        };
        match words[..] {
            ["constant"] => Ok(Self::Constant { rate_qps: rate()? }),
            ["poisson"] => Ok(Self::Poisson { rate_qps: rate()? }),
            ["onoff", on_ms, off_ms] => {
                let (on_ns, off_ns) = (window_ns(on_ms)?, window_ns(off_ms)?);
                let rate_qps = rate()?;
                let burst_qps = burst_qps(rate_qps, on_ns, off_ns);
                if burst_qps <= RATE_QPS_MAX {
                    Ok(Self::OnOff { rate_qps, on_ns, off_ns })
                } else {
                    Err(ArrivalsError::Burst { rate_qps: burst_qps })
                }
            }
            ["ramp", from, to] => {
                let number = |word: &str| word.parse::<f64>().map_err(|_| form());
                let (from_qps, to_qps) = (number(from)?, number(to)?);
                if rate_qps.is_some() {
                    return Err(ArrivalsError::RateTwice { form: text.to_owned() });
                }
                checked_ramp(from_qps, to_qps)?;
                Ok(Self::Ramp { from_qps, to_qps })
            }
            _ => Err(form()),
        }
    }
}

impl Display for Arrivals {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let ms = |ns: u64| ns as f64 / NS_PER_MS as f64;
        match self {
            Self::Constant { .. } => f.write_str("constant"),
            Self::Poisson { .. } => f.write_str("poisson"),
            Self::OnOff { on_ns, off_ns, .. } => write!(f, "onoff:{}:{}", ms(*on_ns), ms(*off_ns)),
            Self::Ramp { from_qps, to_qps } => write!(f, "ramp:{from_qps}:{to_qps}"),
            Self::Trace(_) => f.write_str("trace"),
        }
    }
}

fn checked_rate(rate_qps: f64) -> Result<f64, ArrivalsError> {
    if rate_qps > 0.0 && rate_qps <= RATE_QPS_MAX {
        Ok(rate_qps)
    } else {
        Err(ArrivalsError::Rate { rate_qps })
    }
}

/// One end of a ramp may be 0.
fn checked_ramp(from_qps: f64, to_qps: f64) -> Result<(), ArrivalsError> {
    for rate_qps in [from_qps, to_qps] {
        if !(0.0..=RATE_QPS_MAX).contains(&rate_qps) {
            return Err(ArrivalsError::Rate { rate_qps });
        }
    }
    checked_rate(from_qps.max(to_qps)).map(|_| ())
}

fn window_ns(text: &str) -> Result<u64, ArrivalsError> {
    match text.parse() {
        Ok(ms @ 1..=WINDOW_MS_MAX) => Ok(ms * NS_PER_MS),
        _ => Err(ArrivalsError::Window { text: text.to_owned() }),
    }
}

/// The rate while on that gives the mean over on and off.
fn burst_qps(rate_qps: f64, on_ns: u64, off_ns: u64) -> f64 {
    rate_qps * (on_ns as f64 + off_ns as f64) / on_ns as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_alike() {
        for text in ["constant", "poisson", "onoff:50:150"] {
            assert_eq!(Arrivals::parse(text, Some(1e3)).unwrap().to_string(), text);
        }
        for text in ["ramp:100:2000", "ramp:0:0.5", "ramp:10:0"] {
            assert_eq!(Arrivals::parse(text, None).unwrap().to_string(), text);
        }
        assert_eq!(
            Arrivals::parse("onoff:50:150", Some(10.0)).unwrap(),
            Arrivals::OnOff { rate_qps: 10.0, on_ns: 50_000_000, off_ns: 150_000_000 }
        );
    }

    #[test]
    fn what_names_no_arrivals_is_refused_with_what_to_write() {
        for text in ["", "uniform", "constant:5", "onoff", "onoff:5", "ramp:1", "ramp:a:2"] {
            let error = Arrivals::parse(text, None).unwrap_err();
            assert!(matches!(error, ArrivalsError::Form { .. }), "{text}: {error}");
            assert!(error.to_string().contains("onoff:50:150"), "{error}");
        }
        for text in ["onoff:0:5", "onoff:5:0", "onoff:-1:5", "onoff:1.5:5", "onoff:5:3600001"] {
            let error = Arrivals::parse(text, Some(1.0)).unwrap_err();
            assert!(matches!(error, ArrivalsError::Window { .. }), "{text}: {error}");
        }
    }

    #[test]
    fn impossible_rates_are_refused() {
        for rate_qps in [0.0, -1.0, f64::NAN, f64::INFINITY, RATE_QPS_MAX * 1.001] {
            for text in ["constant", "poisson", "onoff:1:1"] {
                let error = Arrivals::parse(text, Some(rate_qps)).unwrap_err();
                assert!(matches!(error, ArrivalsError::Rate { .. }), "{text}: {error}");
            }
        }
        for text in ["ramp:0:0", "ramp:-1:5", "ramp:5:NaN", "ramp:inf:5", "ramp:1:6000000"] {
            let error = Arrivals::parse(text, None).unwrap_err();
            assert!(matches!(error, ArrivalsError::Rate { .. }), "{text}: {error}");
        }
        let error = Arrivals::parse("onoff:1:99", Some(RATE_QPS_MAX / 50.0)).unwrap_err();
        assert!(matches!(error, ArrivalsError::Burst { .. }), "{error}");
    }

    #[test]
    fn a_rate_is_needed_by_all_but_a_ramp_which_refuses_one() {
        for text in ["constant", "poisson", "onoff:1:1"] {
            let error = Arrivals::parse(text, None).unwrap_err();
            assert!(matches!(error, ArrivalsError::NoRate { .. }), "{text}: {error}");
        }
        let error = Arrivals::parse("ramp:1:2", Some(3.0)).unwrap_err();
        assert!(matches!(error, ArrivalsError::RateTwice { .. }), "{error}");
    }
}
