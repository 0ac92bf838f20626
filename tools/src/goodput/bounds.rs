//! All that is known of a scene, in one table.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::clairvoyant::Clairvoyant;
use super::scene::check_quantile;
use super::simulation::{Noise, Policy, Traffic, goodput_at};
use super::{Scene, SceneError, ceiling_qps, fluid_optimum, mean_latency_max_ns, poisson_qps};
use crate::text::{grouped, quantile, rate, time};

/// Arrivals of the simulation, and their seed.
const SIMULATED_QUERIES: usize = 64_000;
const SIMULATED_SEED: u64 = 1;

/// How the figure for Poisson arrivals was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PoissonBy {
    /// Solved: one replica that takes all that waits.
    Chain,
    /// Simulated: the look-ahead policy.
    LookAhead,
}

/// What there is to be had.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bounds {
    /// U0.
    pub ceiling_qps: f64,
    /// T*.
    pub bound_qps: f64,
    /// At this quantile, under Poisson arrivals; the name is that of the usual one.
    pub poisson_p99_qps: f64,
    pub poisson_by: PoissonBy,
    pub quantile: f64,
    /// α, β and S.
    pub per_row_ns: f64,
    pub fixed_ns: f64,
    pub budget_ns: f64,
    pub replicas: u32,
    /// Rows of a batch at the ceiling and at the bound.
    pub ceiling_rows: u64,
    pub bound_rows: u64,
    /// An upper bound of the mean latency at the rate of the chain; for one replica.
    pub mean_latency_max_ns: Option<f64>,
    /// Of a trace, when there is one.
    pub clairvoyant: Option<Clairvoyant>,
}

impl Bounds {
    pub fn of(scene: &Scene, at: f64) -> Result<Self, SceneError> {
        let at = check_quantile(at)?;
        let (bound_qps, bound_rows) = fluid_optimum(scene);
        let chain_qps = poisson_qps(scene, at);
        let poisson_p99_qps = chain_qps.unwrap_or_else(|| look_ahead_qps(scene, at));
        Ok(Self {
            ceiling_qps: ceiling_qps(scene),
            bound_qps,
            poisson_p99_qps,
            poisson_by: if chain_qps.is_some() { PoissonBy::Chain } else { PoissonBy::LookAhead },
            quantile: at,
            per_row_ns: scene.line().per_row_ns,
            fixed_ns: scene.line().fixed_ns,
            budget_ns: scene.budget_ns(),
            replicas: scene.replicas(),
            ceiling_rows: scene.rows_max(),
            bound_rows,
            mean_latency_max_ns: chain_qps.and_then(|qps| mean_latency_max_ns(scene, qps)),
            clairvoyant: None,
        })
    }
}

/// What a good policy can be held against: the better of the chain and the look-ahead simulation.
pub fn reference_qps(scene: &Scene, quantile: f64) -> f64 {
    poisson_qps(scene, quantile).unwrap_or(0.0).max(look_ahead_qps(scene, quantile))
}

fn look_ahead_qps(scene: &Scene, quantile: f64) -> f64 {
    let traffic = Traffic::poisson(SIMULATED_QUERIES, SIMULATED_SEED);
    goodput_at(scene, Policy::LookAhead, quantile, &traffic, Noise::default())
}

impl Display for Bounds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [fixed, per_row, budget] = [self.fixed_ns, self.per_row_ns, self.budget_ns]
            .map(|ns| time(crate::stats::whole(ns)));
        let replicas = crate::text::counted(u64::from(self.replicas), "replica");
        writeln!(
            f,
            "a batch of b rows takes {fixed} + {per_row} × b; {budget} for a query; {replicas}\n"
        )?;
        let of_rows = |rows: u64| format!("batches of {}", crate::text::counted(rows, "row"));
        let share = |qps: f64| format!("{:.1} % of T*", qps / self.bound_qps * 100.0);
        let by = match self.poisson_by {
            PoissonBy::Chain => "solved: takes all that waits",
            PoissonBy::LookAhead => "simulated: look-ahead",
        };
        let poisson = format!("Poisson, {}", quantile(self.quantile));
        line(
            f,
            "U0",
            self.ceiling_qps,
            &format!("nobody exceeds it; {}", of_rows(self.ceiling_rows)),
        )?;
        line(
            f,
            "T*",
            self.bound_qps,
            &format!("even arrivals, none lost; {}", of_rows(self.bound_rows)),
        )?;
        line(f, &poisson, self.poisson_p99_qps, &format!("{}; {by}", share(self.poisson_p99_qps)))?;
        if let Some(mean_ns) = self.mean_latency_max_ns {
            let mean = time(crate::stats::whole(mean_ns));
            writeln!(f, "  at that rate a query takes {mean} on average, or a little less")?;
        }
        let Some(trace) = &self.clairvoyant else { return Ok(()) };
        let (dropped, queries) = (grouped(trace.dropped), grouped(trace.queries));
        let note =
            format!("of {} offered; {dropped} of {queries} dropped", rate(trace.offered_qps));
        line(f, "this trace", trace.goodput_qps, &note)?;
        if trace.is_pooled {
            writeln!(f, "  with the replicas taken for one that is as much faster")?;
        }
        Ok(())
    }
}

fn line(f: &mut Formatter<'_>, name: &str, qps: f64, note: &str) -> fmt::Result {
    writeln!(f, "  {name:<14}{:>12}   {note}", rate(qps))
}

#[cfg(test)]
mod tests {
    use super::super::clairvoyant::clairvoyant;
    use super::super::scene::testing::scene;
    use super::*;

    #[test]
    fn a_table_tells_each_figure_and_how_it_was_found() {
        let one = Bounds::of(&scene(0.1, 4.0, 20, 1), 0.99).unwrap();
        let text = one.to_string();
        for part in [
            "takes 4.00 ms + 100 µs × b; 20.0 ms for a query; 1 replica",
            "U0                 8,000/s   nobody exceeds it; batches of 160 rows",
            "T*                 6,000/s   even arrivals, none lost; batches of 60 rows",
            "Poisson, p99",
            "solved",
            "on average, or a little less",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        let scene = scene(0.1, 4.0, 20, 4);
        let trace = clairvoyant(&scene, &[0, 1_000_000]).unwrap();
        let four = Bounds { clairvoyant: Some(trace), ..Bounds::of(&scene, 0.999).unwrap() };
        let text = four.to_string();
        for part in ["p99.9", "simulated", "this trace", "0 of 2 dropped", "as much faster"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn the_figures_are_in_their_order() {
        for replicas in [1, 2, 4] {
            let scene = scene(0.1, 2.0, 20, replicas);
            let bounds = Bounds::of(&scene, 0.99).unwrap();
            assert!(bounds.poisson_p99_qps < bounds.bound_qps, "{bounds:?}");
            assert!(bounds.bound_qps < bounds.ceiling_qps, "{bounds:?}");
            assert!(reference_qps(&scene, 0.99) >= bounds.poisson_p99_qps, "{bounds:?}");
        }
    }

    #[test]
    fn a_quantile_that_is_none_is_refused() {
        assert!(Bounds::of(&scene(0.1, 2.0, 20, 1), 1.0).is_err());
    }
}
