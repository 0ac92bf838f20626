//! From a recording to a result: the warm-up is cut, quantiles get their intervals, and the run is
//! audited. Pure.

use crate::limits::{
    HEAT_BUCKETS_PER_DECADE, HEAT_DECADES, HEAT_LOWEST_NS, SLICE_NS_MIN, SLICES_MAX,
};
use crate::load::recording::{Outcome, Recording, Sample};
use crate::result::load::{
    Accuracy, Counts, LoadResult, PlanResult, Slice, Slices, Validity, WarmUp,
};
use crate::stats;

/// The quantiles that are told of every run.
pub const QUANTILES: [f64; 6] = [0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999];

/// What of a run's beginning is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WarmUpRule {
    /// What a stationarity test finds to be different from the rest.
    #[default]
    Auto,
    /// What was due in this time.
    Fixed {
        duration_ns: u64,
    },
    None,
}

/// How a recording is to be read.
#[derive(Clone, Debug)]
pub struct Reading {
    pub target: String,
    pub plan: PlanResult,
    pub warm_up: WarmUpRule,
    pub slo_ns: Option<u64>,
}

/// Reads a recording.
pub fn analyse(recording: &Recording, reading: Reading) -> LoadResult {
    let Reading { target, plan, warm_up, slo_ns } = reading;
    let (cut, warm_up) = cut(recording, warm_up);
    let samples = &recording.samples[cut..];
    let latencies = samples.iter().map(Sample::answered_ns);
    let latency = stats::distribution_in_order(latencies, &QUANTILES);
    let lags = samples.iter().map(|sample| Some(sample.lag_ns));
    let send_lag = stats::distribution_in_order(lags, &QUANTILES);
    let counts = counts(recording, samples);
    let duration_ns = duration_ns(samples, plan.loop_kind == "open");
    let per_second = |count: u64| count as f64 * 1e9 / duration_ns.max(1) as f64;
    let in_time = |slo_ns: u64| {
        let in_time = samples
            .iter()
            .filter(|sample| sample.outcome == Outcome::Answered && sample.latency_ns <= slo_ns);
        per_second(in_time.count() as u64)
    };
    let mut result = LoadResult {
        target,
        validity: Validity::default(),
        ended_early: recording.ended_early,
        warm_up,
        duration_ns,
        offered_qps: per_second(counts.requests),
        answered_qps: per_second(counts.answered),
        goodput_qps: slo_ns.map(in_time),
        slo_ns,
        accuracy: accuracy(samples),
        latency,
        send_lag,
        generator: recording.generator,
        slices: slices(&recording.samples, cut),
        engine: None,
        counts,
        plan,
    };
    result.validity = super::audit::audit(&result, samples);
    result
}

fn cut(recording: &Recording, asked: WarmUpRule) -> (usize, WarmUp) {
    let samples = &recording.samples;
    let (method, cut, stationary) = match asked {
        WarmUpRule::None => ("none", 0, true),
        WarmUpRule::Fixed { duration_ns } => {
            let cut = samples.partition_point(|sample| sample.due_ns < duration_ns);
            ("fixed", cut, true)
        }
        WarmUpRule::Auto => {
            let times = samples.iter().map(|sample| sample.answered_ns().unwrap_or(u64::MAX));
            let found = stats::warm_up(&times.collect::<Vec<u64>>());
            ("mser", found.samples, found.is_stationary)
        }
    };
    let duration_ns = match (samples.first(), samples.get(cut)) {
        (Some(first), Some(left)) => left.due_ns - first.due_ns,
        _ => samples.last().map_or(0, |last| last.due_ns),
    };
    (cut, WarmUp { method: method.to_owned(), requests: cut as u64, duration_ns, stationary })
}

fn counts(recording: &Recording, samples: &[Sample]) -> Counts {
    let of = |outcome| samples.iter().filter(|sample| sample.outcome == outcome).count() as u64;
    Counts {
        requests: samples.len() as u64,
        answered: of(Outcome::Answered),
        defaults: of(Outcome::Default),
        default_reasons: recording.default_reasons.clone(),
        http_errors: of(Outcome::HttpError),
        http_statuses: recording.http_errors.clone(),
        timed_out: of(Outcome::TimedOut),
        broken: of(Outcome::Broken),
        blocked: recording.blocked,
        reopened: recording.reopened,
        first_error: recording.first_error.clone(),
    }
}

/// The time that the samples stand for. In open loop: their due times, and one gap for the last; in
/// closed loop: until the last answer.
fn duration_ns(samples: &[Sample], is_open: bool) -> u64 {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return 0 };
    let due_ns = last.due_ns - first.due_ns;
    if is_open {
        let gaps = samples.len() as u64 - 1;
        return due_ns + due_ns.checked_div(gaps).unwrap_or(last.latency_ns);
    }
    let end = samples.iter().map(|sample| sample.due_ns + sample.latency_ns).max();
    end.unwrap_or(last.due_ns) - first.due_ns
}

fn accuracy(samples: &[Sample]) -> Option<Accuracy> {
    let checked = samples.iter().filter_map(|sample| sample.correct);
    let (checked, correct) = checked.fold((0, 0), |(checked, correct), is_correct| {
        (checked + 1, correct + u64::from(is_correct))
    });
    (checked > 0).then_some(Accuracy { checked, correct })
}

fn slices(samples: &[Sample], cut: usize) -> Slices {
    let Some(last) = samples.last() else { return Slices::default() };
    let slice_ns = (last.due_ns / SLICES_MAX + 1).max(SLICE_NS_MIN);
    let edges_ns = heat_edges_ns();
    let warm_up_end_ns = samples.get(cut).map_or(last.due_ns, |sample| sample.due_ns);
    let of = samples.chunk_by(|a, b| a.due_ns / slice_ns == b.due_ns / slice_ns);
    let slices = of.map(|samples| {
        let start_ns = samples[0].due_ns / slice_ns * slice_ns;
        slice(samples, start_ns, start_ns + slice_ns <= warm_up_end_ns, &edges_ns)
    });
    Slices { slice_ns, slices: slices.collect(), edges_ns }
}

fn slice(samples: &[Sample], start_ns: u64, is_warm_up: bool, edges_ns: &[u64]) -> Slice {
    let mut answered: Vec<u64> = samples.iter().filter_map(Sample::answered_ns).collect();
    answered.sort_unstable();
    let mut heat: Vec<(usize, u64)> = Vec::new();
    for ns in &answered {
        let bucket = edges_ns.partition_point(|edge| edge <= ns).saturating_sub(1);
        match heat.last_mut() {
            Some((last, count)) if *last == bucket => *count += 1,
            _ => heat.push((bucket, 1)),
        }
    }
    let at = |per_cent: usize| {
        let rank = (answered.len() * per_cent).div_ceil(100).max(1);
        answered.get(rank - 1).copied()
    };
    Slice {
        start_ns,
        requests: samples.len() as u64,
        failed: (samples.len() - answered.len()) as u64,
        defaults: samples.iter().filter(|s| s.outcome == Outcome::Default).count() as u64,
        p50_ns: at(50),
        p99_ns: at(99),
        max_ns: answered.last().copied(),
        heat,
        is_warm_up,
    }
}

/// Edges at even distances on a logarithmic axis.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "up to an hour in ns")]
fn heat_edges_ns() -> Vec<u64> {
    let edge = |step: u32| {
        let decades = f64::from(step) / f64::from(HEAT_BUCKETS_PER_DECADE);
        (HEAT_LOWEST_NS as f64 * 10f64.powf(decades)).round() as u64
    };
    (0..HEAT_DECADES * HEAT_BUCKETS_PER_DECADE).map(edge).collect()
}
