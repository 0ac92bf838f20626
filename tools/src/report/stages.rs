//! Where a query's time goes in the engine: its stages, in the order in which it passes them.

use crate::result::load::StageResult;

use super::axis::Axis;
use super::bars::{self, Bar};
use super::numbers::{time, time_tick};
use super::svg::Drawing;

#[must_use]
pub fn chart(stages: &[StageResult]) -> Option<Drawing> {
    let bar = |stage: &StageResult| Bar {
        name: stage.name.clone(),
        hint: format!("{}: {} on average", stage.name, time(stage.mean_ns)),
        p50_ns: stage.p50_ns,
        p99_ns: stage.p99_ns,
        p999_ns: None,
        max_ns: None,
    };
    let bars: Vec<Bar> = stages.iter().map(bar).collect();
    // From zero: lengths are compared, and a stage that takes nothing shall look like it.
    let longest_ns = bars.iter().map(|bar| bar.p99_ns).max().unwrap_or(0);
    let x = Axis::from_zero(longest_ns as f64, time_tick);
    bars::chart("Stages of a query in the engine", x, "time in the stage", &bars)
}
