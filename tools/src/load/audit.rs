//! Whether a run can be believed: the generator's own faults, found in its own record.

use crate::limits::{GAP_NS, LAG_SHARE_MAX};
use crate::load::recording::Sample;
use crate::result::load::{LoadResult, Validity};
use crate::text::times;

/// Audits a result whose numbers are in; `samples` are those that were counted.
pub(super) fn audit(result: &LoadResult, samples: &[Sample]) -> Validity {
    let mut reasons = Vec::new();
    if result.plan.loop_kind == "open"
        && let Some(lag) = too_much_lag(samples)
    {
        reasons.push(lag.told(result));
    }
    if result.counts.requests > 0 && result.counts.answered + result.counts.defaults == 0 {
        reasons.push("no request was answered".to_owned());
    }
    Validity { valid: reasons.is_empty(), reasons, warnings: warnings(result) }
}

/// The generator's lag, beside the latency that it is part of.
struct Lag {
    lag_p99_ns: u64,
    latency_p99_ns: u64,
}

fn too_much_lag(samples: &[Sample]) -> Option<Lag> {
    let lag_p99_ns = p99(samples.iter().map(|sample| sample.lag_ns))?;
    let latency_p99_ns = p99(samples.iter().map(|sample| sample.latency_ns))?;
    let is_too_much = lag_p99_ns as f64 > LAG_SHARE_MAX * latency_p99_ns as f64;
    is_too_much.then_some(Lag { lag_p99_ns, latency_p99_ns })
}

impl Lag {
    fn told(&self, result: &LoadResult) -> String {
        let Self { lag_p99_ns, latency_p99_ns } = self;
        let why = if result.counts.blocked > 0 {
            format!(
                "every one of the {} connections was taken {}: raise --connections",
                result.plan.connections,
                times(result.counts.blocked)
            )
        } else if result.generator.gaps_over_1ms > 0 {
            format!(
                "its core was taken from it {}, for up to {:.1} ms: give it a core of its own \
                 (--cpu), or a quieter machine",
                times(result.generator.gaps_over_1ms),
                result.generator.longest_gap_ns as f64 / 1e6
            )
        } else {
            "lower the rate, or wait by --wait spin or yield".to_owned()
        };
        format!(
            "the generator was late: its send lag has a p99 of {:.1} µs, more than {} % of the \
             latency's {:.1} µs; {why}",
            *lag_p99_ns as f64 / 1e3,
            LAG_SHARE_MAX * 100.0,
            *latency_p99_ns as f64 / 1e3,
        )
    }
}

fn warnings(result: &LoadResult) -> Vec<String> {
    let mut warnings = Vec::new();
    let counts = &result.counts;
    if result.ended_early {
        warnings.push("ended early: less was sent than was planned".to_owned());
    }
    if !result.warm_up.stationary {
        warnings.push(
            "latency was still changing when the run ended: what it settles at is not known; run \
             longer"
                .to_owned(),
        );
    }
    let unanswered = counts.http_errors + counts.timed_out + counts.broken;
    if unanswered > 0 {
        let first = counts.first_error.as_deref().unwrap_or("not noted");
        warnings.push(format!("{unanswered} requests were not answered; the first: {first}"));
    }
    if counts.reopened > 0 {
        warnings.push(format!(
            "{} connections were opened again, which takes its time{}",
            counts.reopened,
            if unanswered == 0 { ": does the server close them?" } else { "" }
        ));
    }
    if result.plan.loop_kind == "closed" {
        warnings.push(
            "closed loop: while the server stalls nothing is sent, so stalls are hardly seen"
                .to_owned(),
        );
    }
    if result.generator.longest_gap_ns > GAP_NS {
        warnings.push(format!(
            "the generator stood still {} for more than 1 ms, at most for {:.1} ms",
            times(result.generator.gaps_over_1ms),
            result.generator.longest_gap_ns as f64 / 1e6
        ));
    }
    warnings
}

/// By nearest rank.
fn p99(times_ns: impl Iterator<Item = u64>) -> Option<u64> {
    let mut times_ns: Vec<u64> = times_ns.collect();
    let rank = (times_ns.len() * 99).div_ceil(100).checked_sub(1)?;
    Some(*times_ns.select_nth_unstable(rank).1)
}
