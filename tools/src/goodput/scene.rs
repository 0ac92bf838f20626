//! What is known of a model before anybody asks it: its service time, its SLO, its replicas.

use crate::limits::{LATENCY_NS_MAX, REPLICAS_MAX};

/// Rounding that may not cost a row of a batch.
const ROWS_ROUNDING: f64 = 1e-9;

/// What a replica takes for a batch, as a line over its rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServiceLine {
    /// β: what a batch takes, however small.
    pub fixed_ns: f64,
    /// α: what each row adds.
    pub per_row_ns: f64,
}

impl ServiceLine {
    pub fn service_ns(self, rows: u64) -> f64 {
        self.fixed_ns + self.per_row_ns * rows as f64
    }

    /// The rows of the largest batch that takes no longer than this; 0 when none does.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates at 0")]
    pub fn rows_within(self, ns: f64) -> u64 {
        ((ns - self.fixed_ns) / self.per_row_ns + ROWS_ROUNDING).floor() as u64
    }

    /// As if so many replicas were one that is as much faster.
    #[must_use]
    pub fn pooled(self, replicas: u32) -> Self {
        let factor = f64::from(replicas);
        Self { fixed_ns: self.fixed_ns / factor, per_row_ns: self.per_row_ns / factor }
    }
}

/// Why there is nothing to bound.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SceneError {
    #[error(
        "{name} is {ns} ns, and a service time is above 0: give what a batch takes by itself as \
         --beta, and what each row adds as --alpha"
    )]
    Service { name: &'static str, ns: f64 },
    #[error("the overhead of {overhead_ns} ns leaves nothing of the SLO of {slo_ns} ns")]
    Overhead { overhead_ns: u64, slo_ns: u64 },
    #[error(
        "a batch of one row takes {} ms, and there are {} ms for it: no query can be in time; \
         loosen the SLO",
        service_ns / 1e6, budget_ns / 1e6
    )]
    Slow { service_ns: f64, budget_ns: f64 },
    #[error("{replicas} replicas are not possible; give 1 to {REPLICAS_MAX}")]
    Replicas { replicas: u32 },
    #[error("the quantile {quantile} is not possible; give one above 0 and below 1, as in p99")]
    Quantile { quantile: f64 },
}

/// A model under an SLO. Made by [`Scene::new`] alone: one row at least is always in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scene {
    line: ServiceLine,
    budget_ns: f64,
    replicas: u32,
}

impl Scene {
    /// `overhead_ns` is what receiving, parsing and replying take of the SLO.
    pub fn new(
        line: ServiceLine,
        slo_ns: u64,
        overhead_ns: u64,
        replicas: u32,
    ) -> Result<Self, SceneError> {
        let most_ns = LATENCY_NS_MAX as f64;
        for (name, ns) in [("alpha", line.per_row_ns), ("beta", line.fixed_ns)] {
            if !(ns > 0.0 && ns <= most_ns) {
                return Err(SceneError::Service { name, ns });
            }
        }
        if !(1..=REPLICAS_MAX).contains(&replicas) {
            return Err(SceneError::Replicas { replicas });
        }
        let left_ns = slo_ns.checked_sub(overhead_ns).filter(|left_ns| *left_ns > 0);
        let budget_ns = left_ns.ok_or(SceneError::Overhead { overhead_ns, slo_ns })? as f64;
        if line.rows_within(budget_ns) == 0 {
            return Err(SceneError::Slow { service_ns: line.service_ns(1), budget_ns });
        }
        Ok(Self { line, budget_ns, replicas })
    }

    pub fn line(&self) -> ServiceLine {
        self.line
    }

    /// S: the SLO without the overhead.
    pub fn budget_ns(&self) -> f64 {
        self.budget_ns
    }

    pub fn replicas(&self) -> u32 {
        self.replicas
    }

    /// B0: the largest batch of which any query can be in time.
    pub fn rows_max(&self) -> u64 {
        self.line.rows_within(self.budget_ns)
    }

    /// The same with all replicas taken for one that is as much faster.
    #[must_use]
    pub fn pooled(&self) -> Self {
        Self { line: self.line.pooled(self.replicas), replicas: 1, ..*self }
    }
}

/// A quantile between 0 and 1, both excluded.
pub(super) fn check_quantile(quantile: f64) -> Result<f64, SceneError> {
    let is_one = quantile > 0.0 && quantile < 1.0;
    is_one.then_some(quantile).ok_or(SceneError::Quantile { quantile })
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// With times in ms, as the tables of the literature have them.
    pub(crate) fn scene(per_row_ms: f64, fixed_ms: f64, slo_ms: u64, replicas: u32) -> Scene {
        let line = ServiceLine { fixed_ns: fixed_ms * 1e6, per_row_ns: per_row_ms * 1e6 };
        Scene::new(line, slo_ms * 1_000_000, 0, replicas).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: ServiceLine = ServiceLine { fixed_ns: 4e6, per_row_ns: 1e5 };

    #[test]
    fn the_largest_batch_in_time_is_exact() {
        assert_eq!(
            [3e6, 4e6, 4.1e6, 4.19e6, 20e6].map(|ns| LINE.rows_within(ns)),
            [0, 0, 1, 1, 160]
        );
        let scene = Scene::new(LINE, 20_000_000, 200_000, 1).unwrap();
        assert_eq!((scene.rows_max(), scene.budget_ns()), (158, 19.8e6));
    }

    #[test]
    fn replicas_taken_for_one_are_as_much_faster() {
        let pooled = Scene::new(LINE, 20_000_000, 0, 4).unwrap().pooled();
        assert_eq!((pooled.replicas(), pooled.line().service_ns(10)), (1, 1.25e6));
    }

    #[test]
    fn what_makes_no_scene_is_refused_in_one_line_that_says_why() {
        let line = |fixed_ns, per_row_ns| ServiceLine { fixed_ns, per_row_ns };
        let wrong = [
            (line(0.0, 1.0), 20, 0, 1, "beta is 0 ns"),
            (line(1.0, 0.0), 20, 0, 1, "alpha is 0 ns"),
            (line(-1.0, 1.0), 20, 0, 1, "beta is -1 ns"),
            (line(1.0, f64::NAN), 20, 0, 1, "alpha is NaN ns"),
            (line(f64::INFINITY, 1.0), 20, 0, 1, "beta is inf ns"),
            (line(20.0, 1.0), 20, 0, 1, "loosen the SLO"),
            (line(19.5, 1.0), 20, 0, 1, "no query can be in time"),
            (line(1.0, 1.0), 20, 20, 1, "leaves nothing of the SLO"),
            (line(1.0, 1.0), 20, 21, 1, "leaves nothing of the SLO"),
            (line(1.0, 1.0), 20, 0, 0, "0 replicas"),
            (line(1.0, 1.0), 20, 0, u32::MAX, "replicas are not possible"),
        ];
        for (line, slo_ns, overhead_ns, replicas, part) in wrong {
            let error = Scene::new(line, slo_ns, overhead_ns, replicas).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains('\n'), "{error}");
        }
        for quantile in [0.0, 1.0, -0.5, 99.0, f64::NAN] {
            let error = check_quantile(quantile).unwrap_err().to_string();
            assert!(error.contains("as in p99"), "{error}");
        }
    }
}
