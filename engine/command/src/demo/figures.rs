//! What was learned, for programs: a part of the demo's JSON.

use std::collections::BTreeMap;

use cutter_tools::result::SelectionResult;
use cutter_tools::result::selection::StragglersResult;
use serde::Serialize;

/// Mean accuracies over the run.
#[derive(Debug, Serialize)]
pub struct Selection<'a> {
    queries: u64,
    failing: &'a str,
    /// By the name of the policy.
    #[serde(flatten)]
    policies: BTreeMap<&'a str, f64>,
    best_single: Option<f64>,
    /// By the name of the model.
    arms: BTreeMap<&'a str, f64>,
}

impl<'a> Selection<'a> {
    pub fn of(found: &'a SelectionResult) -> Self {
        let policies = found.policies.iter().map(|one| (one.name.as_str(), one.accuracy));
        let arms = found.arms.iter().map(|one| (one.model.as_str(), one.accuracy));
        Self {
            queries: found.queries,
            failing: &found.failing,
            policies: policies.collect(),
            best_single: found.best_single().map(|best| best.accuracy),
            arms: arms.collect(),
        }
    }
}

/// Answers while a model was too slow.
#[derive(Debug, Serialize)]
pub struct Stragglers<'a> {
    slow: &'a str,
    queries: u64,
    in_time: u64,
    slo_us: f64,
    latency_us: Latency,
    asked: u64,
    missing: u64,
    confidence: f64,
    unsure_below: f64,
    sure: u64,
    /// Of nothing there is none.
    accuracy_sure: Option<f64>,
    unsure: u64,
    accuracy_unsure: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Latency {
    p50: f64,
    p99: f64,
    max: f64,
}

impl<'a> Stragglers<'a> {
    pub fn of(found: &'a StragglersResult) -> Self {
        let us = |ns: u64| ns as f64 / 1e3;
        let share = |part: u64, of: u64| (of > 0).then(|| part as f64 / of as f64);
        let [p50, p99, max] = [found.p50_ns, found.p99_ns, found.max_ns].map(us);
        Self {
            slow: &found.model,
            queries: found.queries,
            in_time: found.in_time,
            slo_us: us(found.slo_ns),
            latency_us: Latency { p50, p99, max },
            asked: found.asked,
            missing: found.missing,
            confidence: found.confidence,
            unsure_below: found.unsure_below,
            sure: found.sure,
            accuracy_sure: share(found.sure_correct, found.sure),
            unsure: found.unsure,
            accuracy_unsure: share(found.unsure_correct, found.unsure),
        }
    }
}
