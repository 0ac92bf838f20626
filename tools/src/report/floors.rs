//! What the machine can do without a server, and how quiet its cores are.

use crate::result::{FloorFigure, Floors, Hiccups};

use super::axis::{Axis, range};
use super::bars::{self, Bar};
use super::numbers::{count, time, time_tick};
use super::plot::Plot;
use super::svg::{Anchor, Drawing};

const ROW_HEIGHT: f64 = 26.0;

/// The exchanges, on a logarithmic axis: they differ by orders of magnitude.
#[must_use]
pub fn figures(floors: &Floors) -> Option<Drawing> {
    let bar = |figure: &FloorFigure| Bar {
        name: figure.name.clone(),
        hint: format!("{}, {} times", figure.meaning, count(figure.n)),
        p50_ns: figure.p50_ns,
        p99_ns: figure.p99_ns,
        p999_ns: figure.p999_ns,
        max_ns: Some(figure.max_ns),
    };
    let measured = floors.figures.iter().filter(|figure| figure.n > 0);
    let bars: Vec<Bar> = measured.map(bar).collect();
    let x = bars::log_axis(&bars);
    bars::chart("What this machine can do", x, "there and back", &bars)
}

/// The longest gaps of a loop that does nothing but read the clock, one line for each core.
#[must_use]
pub fn hiccups(floors: &Floors) -> Option<Drawing> {
    let watched: Vec<&Hiccups> =
        floors.hiccups.iter().filter(|core| !core.longest_ns.is_empty()).collect();
    if watched.is_empty() {
        return None;
    }
    let gaps = watched.iter().flat_map(|core| &core.longest_ns).filter(|ns| **ns > 0);
    let (low_ns, high_ns) = range(gaps.map(|ns| *ns as f64));
    let x = Axis::log(low_ns, high_ns, time_tick);
    let rows = Axis::linear(0.0, watched.len() as f64, |_| String::new());
    let height = watched.len() as f64 * ROW_HEIGHT;
    let mut plot = Plot::new("The longest hiccups of each core", height, x, rows, &[]);
    let words = |core: &&Hiccups| {
        let longest = core.longest_ns.first().map_or(0.0, |ns| *ns as f64);
        format!("core {}: longest {} in {}", core.cpu, time(longest), time(core.duration_ns as f64))
    };
    plot.drawing.description = watched.iter().map(words).collect::<Vec<_>>().join("; ");
    plot.draw_x_axis("a gap in a loop that only reads the clock");
    plot.drawing.line("axis", (plot.left, plot.top), (plot.left, plot.bottom));
    for (row, core) in watched.iter().enumerate() {
        let y = plot.top + (row as f64 + 0.5) * ROW_HEIGHT;
        let name = format!("core {}", core.cpu);
        plot.drawing.text("row-label", Anchor::End, (plot.left - 8.0, y + 4.0), name);
        plot.drawing.line("grid", (plot.left, y), (plot.right, y));
        for ns in core.longest_ns.iter().filter(|ns| **ns > 0) {
            let place = (plot.at_x(*ns as f64), y);
            plot.drawing.dot("fill f0 seen-through", place, 5.0, &time(*ns as f64));
        }
    }
    Some(plot.drawing)
}
