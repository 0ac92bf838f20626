//! Whether a run can be believed: the generator's own faults, found in its own record.

use crate::limits::{GAP_NS, LAG_SHARE_MAX};
use crate::load::recording::Sample;
use crate::result::load::{LoadResult, Validity};
use crate::text::times;

/// Others on the generator's core that are worth a word: the share of its time that they took.
const CROWDED_SHARE: f64 = 0.05;

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
    let mut warnings = warnings(result);
    if reasons.is_empty() {
        warnings.extend(crowd(result));
    }
    Validity { valid: reasons.is_empty(), reasons, warnings }
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
        // Connections are taken, too, while a generator without its core reads no answers: then
        // both are told.
        let taken = (result.counts.blocked > 0).then(|| {
            format!(
                "every one of the {} connections was taken {}: raise --connections",
                result.plan.connections,
                times(result.counts.blocked)
            )
        });
        let why = match (crowd(result), taken) {
            (Some(crowd), Some(taken)) => format!("{crowd}; {taken}"),
            (Some(why), None) | (None, Some(why)) => why,
            (None, None) if result.plan.wait == "sleep" => {
                "a thread that sleeps is late by a wake-up: wait by --wait yield, or lower the rate"
                    .to_owned()
            }
            (None, None) => "one sending thread does no more: lower the rate".to_owned(),
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

/// What to do when others ran on the generator's core for a time that shows. One that looks without
/// sleeping has used up its share when a request is due, and waits for a whole slice of the others;
/// one that has slept is let in at once.
fn crowd(result: &LoadResult) -> Option<String> {
    let delayed_ns = result.generator.delayed_ns?;
    let share = (delayed_ns as f64 / result.duration_ns.max(1) as f64).min(1.0);
    if share < CROWDED_SHARE {
        return None;
    }
    let core = result.plan.cpu.map_or_else(|| "its core".to_owned(), |cpu| format!("core {cpu}"));
    let sleeps = result.plan.wait == "sleep";
    let or_sleep = if sleeps { "" } else { "; where there is none, wait by --wait sleep" };
    let per_cent = share * 100.0;
    Some(format!(
        "others ran on {core} for {per_cent:.0} % of its time: give it a core where neither the \
         server nor a model runs (--cpu){or_sleep}"
    ))
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
