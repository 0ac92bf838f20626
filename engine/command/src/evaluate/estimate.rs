//! What a policy would have earned, from what it would have done in each logged decision.
//!
//! A decision gives a weight `w`, how much more often the policy would have asked what was asked,
//! and these terms (Dudík, Langford, Li, "Doubly robust policy evaluation and learning", ICML 2011;
//! Swaminathan and Joachims, "The self-normalized estimator", NIPS 2015):
//!
//! - IPS: the mean of `w · reward`. Unbiased.
//! - SNIPS: that, divided by the mean of `w`. Biased a little, and steadier.
//! - DR: the mean of `Σ π(a) · q(a) + w · (reward - q)`, with `q` what was expected. Unbiased
//!   whatever was expected, and the steadier the better that was.

use crate::limits::DECISIONS_FEW;

/// The part of all intervals that may miss the true mean.
const MISS: f64 = 0.05;
/// The deviations within which a normal mean lies in all but that part.
const NORMAL_QUANTILE: f64 = 1.959_963_984_540_054;

/// One decision, seen by the policy that is evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Term {
    /// `Σ π(a) / p(a)` over the models that were asked.
    pub weight: f64,
    /// The same with the reward of each.
    pub weighted_reward: f64,
    /// What is expected of the policy, put right by what was seen.
    pub doubly_robust: f64,
    /// The largest weight that could have come.
    pub weight_most: f64,
    /// The part of the policy's choices of which the log can tell nothing.
    pub unsupported: f64,
}

/// A mean, and where the true one lies in 95 of 100 logs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub mean: f64,
    pub least: f64,
    pub most: f64,
    /// Of the mean, as a standard deviation.
    pub error: f64,
}

/// All that is told of a policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimates {
    pub ips: Estimate,
    /// `None` where the policy would have asked nothing that was asked.
    pub snips: Option<Estimate>,
    pub doubly_robust: Estimate,
    /// As many decisions of the policy itself would tell as much: `(Σ w)² / Σ w²`.
    pub effective: f64,
    /// The mean part of its choices of which the log can tell nothing; as much may be missing from
    /// a mean.
    pub unsupported: f64,
    pub interval: Interval,
}

/// What intervals rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// That a mean of many is normal.
    Normal,
    /// Only that a term has a range: Maurer and Pontil, "Empirical Bernstein bounds" (COLT 2009),
    /// Theorem 4. Wide, and right for few.
    Bernstein,
}

/// The estimates of at least one term.
pub fn estimates(terms: &[Term]) -> Estimates {
    let weights = || terms.iter().map(|term| term.weight);
    let sum: f64 = weights().sum();
    let squares: f64 = weights().map(|weight| weight * weight).sum();
    let effective = if sum > 0.0 { sum * sum / squares } else { 0.0 };
    let is_few = effective < DECISIONS_FEW as f64;
    let interval = if is_few { Interval::Bernstein } else { Interval::Normal };
    let unsupported = mean(terms.iter().map(|term| term.unsupported));
    let weight_most = terms.iter().map(|term| term.weight_most).fold(0.0, f64::max);
    let of = |range: f64, number: fn(&Term) -> f64| {
        let estimate = of_mean(terms.iter().map(number), range, interval);
        Estimate { most: (estimate.most + unsupported).min(1.0), ..estimate }
    };
    let mean_weight = sum / terms.len() as f64;
    let ips = of(weight_most, |term| term.weighted_reward);
    let snips = (sum > 0.0).then(|| {
        let ratio = ips.mean / mean_weight;
        // The delta method: the deviation of a ratio is that of its numerator less the ratio times
        // its denominator.
        let residuals = terms.iter().map(|term| term.weighted_reward - ratio * term.weight);
        let spread = of_mean(residuals.map(|residual| residual / mean_weight), 0.0, interval);
        // Its range is that of a weight of either sign.
        let half = half_width(spread.error, terms.len(), 2.0 * weight_most / mean_weight, interval);
        let most = (ratio + half + unsupported).min(1.0);
        Estimate { mean: ratio, least: (ratio - half).max(0.0), most, error: spread.error }
    });
    // From all expected and the largest weight of too little, to the same of too much.
    let doubly_robust = of(1.0 + 2.0 * weight_most, |term| term.doubly_robust);
    Estimates { ips, snips, doubly_robust, effective, unsupported, interval }
}

/// The mean of numbers, at least one, with an interval within 0 and 1.
pub fn of_mean(
    numbers: impl Iterator<Item = f64> + Clone,
    range: f64,
    interval: Interval,
) -> Estimate {
    let count = numbers.clone().count();
    let mean = mean(numbers.clone());
    let squares: f64 = numbers.map(|number| (number - mean).powi(2)).sum();
    // Of a single number no deviation is known.
    let variance = if count > 1 { squares / (count - 1) as f64 } else { range * range };
    let error = (variance / count as f64).sqrt();
    let half = half_width(error, count, range, interval);
    Estimate { mean, least: (mean - half).max(0.0), most: (mean + half).min(1.0), error }
}

fn half_width(error: f64, count: usize, range: f64, interval: Interval) -> f64 {
    match interval {
        Interval::Normal => NORMAL_QUANTILE * error,
        Interval::Bernstein => {
            // The bound holds on one side: half of what may be missed is for the other.
            let log = (2.0 / (MISS / 2.0)).ln();
            let others = (count.max(2) - 1) as f64;
            (2.0 * log).sqrt() * error + 7.0 * range * log / (3.0 * others)
        }
    }
}

fn mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = numbers.fold((0.0, 0.0), |(sum, count), number| (sum + number, count + 1.0));
    sum / count
}
