//! Bars of times, one for each thing: the median filled, up to p99 light, the greatest as a line.

use super::axis::Axis;
use super::numbers::{time, time_tick};
use super::plot::{Mark, Plot, shortened};
use super::svg::{Anchor, Drawing};

const ROW_HEIGHT: f64 = 24.0;
const BAR_HEIGHT: f64 = 13.0;
const NAME_CHARACTERS_MAX: usize = 30;
const NAME_CHARACTER_WIDTH: f64 = 7.0;

#[derive(Clone, Debug)]
pub struct Bar {
    pub name: String,
    pub hint: String,
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: Option<u64>,
    pub max_ns: Option<u64>,
}

#[must_use]
pub fn chart(title: &str, x: Axis, x_title: &str, bars: &[Bar]) -> Option<Drawing> {
    if bars.is_empty() {
        return None;
    }
    let with = |is_there: bool, mark, class: &str, label: &str| {
        is_there.then(|| (mark, class.to_owned(), label.to_owned()))
    };
    let legend: Vec<_> = [
        with(true, Mark::Box, "fill f0", "p50"),
        with(true, Mark::Box, "fill f0 light", "p99"),
        with(bars.iter().any(|bar| bar.p999_ns.is_some()), Mark::Dot, "fill f1", "p99.9"),
        with(bars.iter().any(|bar| bar.max_ns.is_some()), Mark::Cross, "slowest", "slowest"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let rows = Axis::linear(0.0, bars.len() as f64, |_| String::new());
    let mut plot = Plot::new(title, bars.len() as f64 * ROW_HEIGHT, x, rows, &legend);
    let longest = bars.iter().map(|bar| bar.name.chars().count()).max().unwrap_or(0);
    let characters = longest.min(NAME_CHARACTERS_MAX) as f64;
    plot.widen_left(characters * NAME_CHARACTER_WIDTH + 14.0);
    // Words at the end of a bar need room.
    plot.right -= 130.0;
    plot.draw_x_axis(x_title);
    plot.drawing.line("axis", (plot.left, plot.top), (plot.left, plot.bottom));
    let words = |bar: &Bar| {
        format!("{} {}, p99 {}", bar.name, time(bar.p50_ns as f64), time(bar.p99_ns as f64))
    };
    plot.drawing.description = bars.iter().map(words).collect::<Vec<_>>().join("; ");
    for (row, bar) in bars.iter().enumerate() {
        draw_bar(&mut plot, row, bar);
    }
    Some(plot.drawing)
}

fn draw_bar(plot: &mut Plot, row: usize, bar: &Bar) {
    let middle = plot.top + (row as f64 + 0.5) * ROW_HEIGHT;
    let (top, bottom) = (middle - BAR_HEIGHT / 2.0, middle + BAR_HEIGHT / 2.0);
    let name = shortened(&bar.name, NAME_CHARACTERS_MAX);
    plot.drawing.text("row-label", Anchor::End, (plot.left - 8.0, middle + 4.0), name);
    let (p50, p99) = (plot.at_x(bar.p50_ns as f64), plot.at_x(bar.p99_ns as f64));
    plot.drawing.bar("fill f0 light", (plot.left, top), (p99, bottom), &bar.hint);
    plot.drawing.bar("fill f0", (plot.left, top), (p50, bottom), &bar.hint);
    if let Some(p999_ns) = bar.p999_ns {
        let hint = format!("p99.9 {}", time(p999_ns as f64));
        plot.drawing.dot("fill f1", (plot.at_x(p999_ns as f64), middle), 3.5, &hint);
    }
    if let Some(max_ns) = bar.max_ns {
        let hint = format!("slowest {}", time(max_ns as f64));
        plot.drawing.cross("slowest", (plot.at_x(max_ns as f64), middle), 3.5, &hint);
    }
    let words = format!("{} · {}", time(bar.p50_ns as f64), time(bar.p99_ns as f64));
    plot.drawing.text("label", Anchor::Start, (plot.right + 10.0, middle + 4.0), words);
}

/// The axis of times from the least to the greatest of all bars.
#[must_use]
pub fn log_axis(bars: &[Bar]) -> Axis {
    let times = bars.iter().flat_map(|bar| {
        [Some(bar.p50_ns), Some(bar.p99_ns), bar.p999_ns, bar.max_ns].into_iter().flatten()
    });
    let (low, high) = super::axis::range(times.filter(|ns| *ns > 0).map(|ns| ns as f64));
    // Half a decade below, so that the least has a bar as well.
    Axis::log(low / 3.0, high, time_tick)
}
