//! Weights that are multiplied again and again, as their logarithms: none overflows or becomes 0.
//!
//! Invariant: after [`settle`] each is between `LOG_WEIGHT_MIN` and 0, and the weights add up to 1
//! but for those that were raised to the least.

use super::models::{Models, PerModel};
use super::state::{Format, State};
use crate::limits::LOG_WEIGHT_MIN;

/// Equal weights.
pub(super) fn equal(format: Format, models: usize) -> State {
    let log_weight = -(models as f64).ln();
    State::new(format, models, std::iter::repeat_n(log_weight, models))
}

pub(super) fn are_sound(log_weights: &[f64]) -> bool {
    log_weights.iter().all(|log_weight| (LOG_WEIGHT_MIN..=0.0).contains(log_weight))
}

/// Weights as parts of their sum over some models, of which there is at least one.
pub(super) fn shares(log_weights: &[f64], of: Models) -> PerModel {
    let most = of.iter().map(|model| log_weights[model]).fold(f64::NEG_INFINITY, f64::max);
    of.shares(&of.map(|model| (log_weights[model] - most).exp()))
}

/// The logarithm of the sum of the weights of some models, of which there is at least one.
pub(super) fn log_sum(log_weights: &[f64], of: Models) -> f64 {
    let most = of.iter().map(|model| log_weights[model]).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = of.iter().map(|model| (log_weights[model] - most).exp()).sum();
    most + sum.ln()
}

/// Multiplies a weight by `e` to the power of `-by`, which is at least 0.
pub(super) fn lower(log_weight: &mut f64, by: f64) {
    *log_weight = (*log_weight - by).max(LOG_WEIGHT_MIN);
}

/// Makes the weights add up to 1, and gives each its part of `share`, so that none is further from
/// the top than it can come back from: the fixed share of Herbster and Warmuth, "Tracking the best
/// expert" (Machine Learning 32, 1998).
pub(super) fn settle(log_weights: &mut [f64], share: f64) {
    let shares = shares(log_weights, Models::first(log_weights.len()));
    let least = share / log_weights.len() as f64;
    for (log_weight, part) in log_weights.iter_mut().zip(shares) {
        *log_weight = ((1.0 - share) * part + least).ln().clamp(LOG_WEIGHT_MIN, 0.0);
    }
}
