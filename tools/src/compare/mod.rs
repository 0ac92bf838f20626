//! Compare: whether one of two is slower, by interleaved runs.
//!
//! ```text
//!  pair     0     1     2     3          A and B trade places from pair to pair: a machine that
//!  runs    A B   B A   A B   B A  …      gets slower evenly favours neither
//! ```
//!
//! One value per run (a quantile, a mean), larger is slower. Never the raw latencies: there are
//! millions, and with millions of samples every difference is significant and none has to matter.
//!
//! Two looks at the same runs must agree before anything is called different: the ratio within
//! pairs, whose runs share the machine's state, and the ranks of all runs, after an even drift has
//! been taken out.

mod table;

use serde::{Deserialize, Serialize};

use crate::random::Random;
use crate::stats::{bootstrap_ratio, cliffs_delta, mann_whitney, median_of};

/// Fewer pairs than this cannot tell anything: with 4 runs on each side, even when all of one are
/// above all of the other, p is 0.029.
pub const PAIRS_MIN: usize = 5;
/// Differences are believed below this. Of equal sides, a comparison at 0.05 alone would see one in
/// 20 as different; a gate that many changes pass through must be right more often.
pub const P_MAX: f64 = 0.02;

/// Why values cannot be compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CompareError {
    #[error("there are {pairs} pairs of runs, and a verdict takes {PAIRS_MIN}; ask for more pairs")]
    Pairs { pairs: usize },
    #[error("run {run} of {side} has the value {value}, of which there is no ratio")]
    Value { side: String, run: usize, value: f64 },
}

/// What is compared, and what counts as a difference.
#[derive(Clone, Debug, PartialEq)]
pub struct CompareSettings {
    pub a: String,
    pub b: String,
    /// What the values are: `p99`.
    pub metric: String,
    pub unit: String,
    /// A difference below this share does not matter.
    pub least_effect: f64,
    /// A difference of this share must be seen, or the runs are too noisy for a verdict.
    pub detect: f64,
}

impl CompareSettings {
    pub const LEAST_EFFECT: f64 = 0.01;
    pub const DETECT: f64 = 0.05;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    A,
    B,
}

/// What of the two is slower, as seen from A.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// B is faster than A.
    Faster,
    /// B is slower than A.
    Slower,
    /// None was seen, and one that matters would have been.
    NoDifference,
    /// None was seen, and one could have been missed.
    TooNoisy,
}

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompareResult {
    pub a: String,
    pub b: String,
    pub metric: String,
    pub unit: String,
    /// One value per run, by pair.
    pub runs_a: Vec<f64>,
    pub runs_b: Vec<f64>,
    pub median_a: f64,
    pub median_b: f64,
    /// B over A: the median of the pairs', with its interval of 95 % confidence.
    pub ratio: f64,
    pub ratio_low: f64,
    pub ratio_high: f64,
    /// Mann-Whitney, two-sided, over runs without their even drift.
    pub p_value: f64,
    /// Cliff's delta of the same: 1 when every run of B is slower than every run of A.
    pub effect_size: f64,
    pub least_effect: f64,
    /// Half of the interval's width: the difference that these runs can resolve.
    pub resolution: f64,
    pub verdict: Verdict,
}

impl CompareResult {
    /// What a program that compares ends with: 0 when B is not slower, 1 when it is, 3 when that
    /// cannot be told.
    pub fn exit_status(&self) -> u8 {
        match self.verdict {
            Verdict::Faster | Verdict::NoDifference => 0,
            Verdict::Slower => 1,
            Verdict::TooNoisy => 3,
        }
    }
}

/// Which side of a pair runs first, and which second.
pub fn order(pair: usize) -> [Side; 2] {
    if pair.is_multiple_of(2) { [Side::A, Side::B] } else { [Side::B, Side::A] }
}

/// Decides from one value per run. `a[i]` and `b[i]` ran one after the other, as [`order`] says.
pub fn decide(
    a: &[f64],
    b: &[f64],
    settings: &CompareSettings,
    random: &mut Random,
) -> Result<CompareResult, CompareError> {
    let pairs: Vec<(f64, f64)> = a.iter().copied().zip(b.iter().copied()).collect();
    if pairs.len() < PAIRS_MIN {
        return Err(CompareError::Pairs { pairs: pairs.len() });
    }
    let (a, b) = (&a[..pairs.len()], &b[..pairs.len()]);
    check(&settings.a, a)?;
    check(&settings.b, b)?;

    let (ratio, ratio_low, ratio_high) = bootstrap_ratio(&pairs, random);
    let (level_a, level_b) = without_drift(&pairs);
    let p_value = mann_whitney(&level_a, &level_b);
    let resolution = (ratio_high - ratio_low) / 2.0;
    let is_clear = (ratio_low > 1.0 || ratio_high < 1.0) && p_value < P_MAX;
    let verdict = if is_clear && (ratio - 1.0).abs() >= settings.least_effect {
        if ratio > 1.0 { Verdict::Slower } else { Verdict::Faster }
    } else if resolution > settings.detect {
        Verdict::TooNoisy
    } else {
        Verdict::NoDifference
    };
    Ok(CompareResult {
        a: settings.a.clone(),
        b: settings.b.clone(),
        metric: settings.metric.clone(),
        unit: settings.unit.clone(),
        runs_a: a.to_vec(),
        runs_b: b.to_vec(),
        median_a: median_of(a),
        median_b: median_of(b),
        ratio,
        ratio_low,
        ratio_high,
        p_value,
        effect_size: cliffs_delta(&level_a, &level_b),
        least_effect: settings.least_effect,
        resolution,
        verdict,
    })
}

fn check(side: &str, values: &[f64]) -> Result<(), CompareError> {
    match values.iter().position(|value| !(value.is_finite() && *value > 0.0)) {
        Some(at) => {
            Err(CompareError::Value { side: side.to_owned(), run: at + 1, value: values[at] })
        }
        None => Ok(()),
    }
}

/// The logarithms of the runs' values, less an even drift over the session.
///
/// Ranks know nothing of pairs, so a drift would spread both sides out until they overlap. Dividing
/// both runs of a pair by the pair's mean would take all of the drift away, but it makes each value
/// of A the mirror of one of B, and the rank test, which takes all values for independent, would
/// then find differences that are none three times too often. So only a line is taken away: the
/// median slope (Theil 1950, Sen 1968) of the pairs' means, each of which holds one run of either
/// side, so that a difference between the sides cannot pass for a drift.
fn without_drift(pairs: &[(f64, f64)]) -> (Vec<f64>, Vec<f64>) {
    let means: Vec<f64> = pairs.iter().map(|(a, b)| a.ln().midpoint(b.ln())).collect();
    let mut slopes = Vec::new();
    for (later, y) in means.iter().enumerate() {
        for (earlier, x) in means[..later].iter().enumerate() {
            slopes.push((y - x) / (2 * (later - earlier)) as f64);
        }
    }
    let slope_per_run = median_of(&slopes);
    let levels = pairs.iter().enumerate().map(|(pair, (a, b))| {
        let place = |side: Side| 2 * pair + usize::from(order(pair)[1] == side);
        let level = |value: f64, side: Side| value.ln() - slope_per_run * place(side) as f64;
        (level(*a, Side::A), level(*b, Side::B))
    });
    levels.unzip()
}

#[cfg(test)]
mod tests;
