//! The line of service times over rows, from what a server counts of its batches.
//!
//! Least squares over all batches between two answers of `/stats`: the server adds up what that
//! takes (`service_sums`), so no batch is left out and none is counted twice. A line that its own
//! scatter does not support is refused, since a bound from it would be a guess.

use cutter_admin_api::stats::{Replica, ServiceSums};

use super::ServiceLine;

/// Batches that a line takes at least.
const BATCHES_MIN: f64 = 64.0;
/// How much batches must differ in rows: their deviation, as a share of the mean.
const ROWS_DEVIATION_MIN: f64 = 0.02;
/// How uncertain either cost may be: its standard error, as a share of it.
const ERROR_MAX: f64 = 0.1;
/// The share of the variance that the line must explain. With little of it unexplained the line is
/// right whatever its shape; below this it may be the wrong shape.
const R_SQUARED_MIN: f64 = 0.5;

/// A line and how good it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    pub line: ServiceLine,
    /// The share of the variance of service times that the line explains.
    pub r_squared: f64,
    /// The deviation of service times from the line.
    pub residual_ns: f64,
    pub batches: u64,
}

/// Why there is no line.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FitError {
    #[error(
        "the server does not tell sums of its service times; it is an older one: give --alpha and \
         --beta"
    )]
    Untold,
    #[error(
        "{batches:.0} batches are too few to fit a line to; ask the model at several rates, with \
         {BATCHES_MIN} batches at least"
    )]
    Few { batches: f64 },
    #[error(
        "batches had {rows:.1} rows and hardly differed (by {deviation:.2}): what a batch takes by \
         itself and what each row adds cannot be told apart; ask the model at several rates"
    )]
    OneSize { rows: f64, deviation: f64 },
    #[error(
        "service times fit no line: it explains {:.0} % of their variance, and batches of one size \
         differ by {:.2} ms; something else takes the model's time, or it is no line: give --alpha \
         and --beta", r_squared * 100.0, residual_ns / 1e6
    )]
    Scatter { r_squared: f64, residual_ns: f64 },
    #[error(
        "the line comes out as {:.1} µs and {:.1} µs for each row, and neither can be below 0: \
         service times do not grow with the batch, or grow faster than it; give --alpha and --beta",
        fixed_ns / 1e3, per_row_ns / 1e3
    )]
    Sign { fixed_ns: f64, per_row_ns: f64 },
    #[error(
        "{name} is known to ±{:.0} % only, and ±{:.0} % is wanted (R² {r_squared:.2}, {batches:.0} \
         batches of {rows:.1} rows); ask for longer, or at several rates",
        error * 100.0, ERROR_MAX * 100.0
    )]
    Uncertain { name: &'static str, error: f64, r_squared: f64, batches: f64, rows: f64 },
}

/// What was added up over all replicas of a model, between two answers or since the start.
pub fn sums<'a>(
    replicas: impl IntoIterator<Item = &'a Replica>,
    earlier: Option<&[Replica]>,
) -> Result<ServiceSums, FitError> {
    let mut all = ServiceSums::default();
    for (place, replica) in replicas.into_iter().enumerate() {
        let now = replica.service_sums.as_ref().ok_or(FitError::Untold)?;
        let was = earlier.and_then(|replicas| replicas.get(place)?.service_sums);
        all.add(&now.since(&was.unwrap_or_default()));
    }
    Ok(all)
}

/// Fits the line.
pub fn fit(sums: &ServiceSums) -> Result<Fit, FitError> {
    let batches = sums.batches as f64;
    if batches < BATCHES_MIN {
        return Err(FitError::Few { batches });
    }
    let mean_of = |sum: u64| sum as f64 / batches;
    let (rows, service_ns) = (mean_of(sums.rows), mean_of(sums.service_ns));
    let variance_rows = (mean_of(sums.rows_squared) - rows * rows).max(0.0);
    let covariance = mean_of(sums.rows_service_ns) - rows * service_ns;
    let variance_ns = (mean_of(sums.service_us_squared) * 1e6 - service_ns * service_ns).max(0.0);
    let deviation = variance_rows.sqrt();
    if deviation < ROWS_DEVIATION_MIN * rows {
        return Err(FitError::OneSize { rows, deviation });
    }
    let per_row_ns = covariance / variance_rows;
    let fixed_ns = service_ns - per_row_ns * rows;
    let unexplained = (variance_ns - per_row_ns * covariance).max(0.0);
    let r_squared = if variance_ns > 0.0 { 1.0 - unexplained / variance_ns } else { 1.0 };
    let residual_ns = unexplained.sqrt();
    if r_squared < R_SQUARED_MIN {
        return Err(FitError::Scatter { r_squared, residual_ns });
    }
    if fixed_ns <= 0.0 || per_row_ns <= 0.0 {
        return Err(FitError::Sign { fixed_ns, per_row_ns });
    }
    let per_row_error_ns = residual_ns / (deviation * batches.sqrt());
    let fixed_error_ns = per_row_error_ns * mean_of(sums.rows_squared).sqrt();
    for (name, ns, error_ns) in
        [("alpha", per_row_ns, per_row_error_ns), ("beta", fixed_ns, fixed_error_ns)]
    {
        let error = error_ns / ns;
        if error > ERROR_MAX {
            return Err(FitError::Uncertain { name, error, r_squared, batches, rows });
        }
    }
    let line = ServiceLine { fixed_ns, per_row_ns };
    Ok(Fit { line, r_squared, residual_ns, batches: sums.batches })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::stats::whole;

    /// Of batches with these rows and service times.
    fn of(batches: &[(u64, f64)]) -> ServiceSums {
        let mut sums = ServiceSums::default();
        for (rows, ns) in batches {
            sums.add(&ServiceSums {
                batches: 1,
                rows: *rows,
                rows_squared: rows * rows,
                service_ns: whole(*ns),
                rows_service_ns: rows * whole(*ns),
                service_us_squared: whole(ns * ns / 1e6),
            });
        }
        sums
    }

    /// Batches of 1 to `most` rows that take 4 ms and 0.1 ms for each, and noise beside.
    fn noisy(most: u64, noise_ns: f64) -> Vec<(u64, f64)> {
        let mut random = Random::new(3);
        let batch = |index: u64| {
            let rows = 1 + index % most;
            (rows, 4e6 + 1e5 * rows as f64 + noise_ns * (random.next_f64() - 0.5))
        };
        (0..1_000).map(batch).collect()
    }

    #[test]
    fn batches_on_a_line_give_that_line() {
        let found = fit(&of(&noisy(50, 0.0))).unwrap();
        assert!((found.line.fixed_ns / 4e6 - 1.0).abs() < 1e-4, "{found:?}");
        assert!((found.line.per_row_ns / 1e5 - 1.0).abs() < 1e-4, "{found:?}");
        assert!(found.r_squared > 0.999 && found.batches == 1_000, "{found:?}");
    }

    #[test]
    fn noise_is_told_as_what_the_line_does_not_explain() {
        let found = fit(&of(&noisy(50, 1e6))).unwrap();
        assert!((found.line.fixed_ns / 4e6 - 1.0).abs() < 0.05, "{found:?}");
        // A uniform distribution over 1 ms has a deviation of 0.289 ms.
        assert!((found.residual_ns / 289e3 - 1.0).abs() < 0.05, "{found:?}");
    }

    #[test]
    fn a_line_that_is_not_known_well_is_refused_and_said_why() {
        let quadratic: Vec<(u64, f64)> =
            (1..=500).map(|rows: u64| (rows, 1e3 * (rows as f64).powi(2))).collect();
        let flat: Vec<(u64, f64)> =
            noisy(50, 0.0).iter().map(|(rows, _)| (*rows, 1e6 - *rows as f64)).collect();
        let two_kinds: Vec<(u64, f64)> = noisy(50, 0.0)
            .iter()
            .map(|(rows, _)| (*rows, 1e6 * (1 + rows % 2 * 9) as f64))
            .collect();
        let wrong = [
            (of(&noisy(50, 0.0)[..40]), "40 batches are too few"),
            (of(&noisy(1, 0.0)), "hardly differed"),
            (of(&two_kinds), "fit no line"),
            (of(&flat), "neither can be below 0"),
            (of(&quadratic), "neither can be below 0"),
            (of(&noisy(50, 1.5e7)[..100]), "fit no line"),
            (of(&noisy(3, 3.2e5)[..66]), "is known to ±"),
        ];
        for (sums, part) in wrong {
            let told = fit(&sums).unwrap_err().to_string();
            assert!(told.contains(part) && !told.contains('\n'), "{told}");
        }
    }
}
