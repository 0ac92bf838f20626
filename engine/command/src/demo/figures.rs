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

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::super::learning::found;
    use super::*;

    #[test]
    fn policies_and_arms_stand_by_their_names() {
        let expected = json!({
            "queries": 3_000,
            "failing": "large",
            "exp4": 0.9,
            "best_single": 0.8,
            "arms": { "small": 0.8, "large": 0.68 },
        });
        assert_eq!(to_value(Selection::of(&found())).unwrap(), expected);
    }

    #[test]
    fn of_no_answers_there_is_no_accuracy() {
        let mut found = found().stragglers;
        let json = to_value(Stragglers::of(&found)).unwrap();
        assert_eq!(
            (&json["accuracy_sure"], &json["accuracy_unsure"]),
            (&0.975.into(), &0.5.into())
        );
        assert_eq!(json["latency_us"]["p50"], 350.0);
        (found.unsure, found.unsure_correct) = (0, 0);
        assert!(to_value(Stragglers::of(&found)).unwrap()["accuracy_unsure"].is_null());
    }
}
