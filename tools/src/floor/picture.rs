//! The floors as a picture: bars up to p50 on a logarithmic axis, a line on to p99, and below them,
//! on the same axis, the longest gaps of each core. One SVG that needs nothing else.

use std::fmt::Write;

use super::table::verdict;
use super::times::{ns_text, time};
use crate::result::{FloorFigure, Floors, Hiccups};

const WIDTH: f64 = 1_080.0;
const PLOT_LEFT: f64 = 480.0;
const PLOT_RIGHT: f64 = 940.0;
const TOP: f64 = 70.0;
const ROW: f64 = 32.0;
/// Between the floors and the gaps.
const BREAK: f64 = 44.0;

/// Draws them.
pub fn picture(floors: &Floors) -> String {
    let axis = Axis::over(floors);
    #[expect(clippy::cast_precision_loss, reason = "a few rows")]
    let (bars, gaps) = (floors.figures.len() as f64 * ROW, floors.hiccups.len() as f64 * ROW);
    let gaps_top = TOP + bars + BREAK;
    let bottom = gaps_top + gaps;
    let mut svg = String::new();
    svg.push_str(&head(bottom + 60.0));
    text(&mut svg, (20.0, 28.0), "h", "What this machine can do, and how quiet it is");
    text(&mut svg, (20.0, 46.0), "m", "bar: p50 · line and tick: p99 · dots: the longest gaps");
    axis.draw(&mut svg, bottom);
    let mut y = TOP;
    for figure in &floors.figures {
        bar(&mut svg, &axis, figure, y);
        y += ROW;
    }
    let what = "Gaps in a loop that only reads the clock, from 10 µs on";
    text(&mut svg, (20.0, gaps_top - 12.0), "n", what);
    y = gaps_top;
    for hiccups in &floors.hiccups {
        dots(&mut svg, &axis, hiccups, y);
        y += ROW;
    }
    if !floors.hiccups.is_empty() {
        text(&mut svg, (20.0, bottom + 44.0), "m", &verdict(&floors.hiccups));
    }
    svg.push_str("</svg>\n");
    svg
}

/// A logarithmic axis over whole decades.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    /// Powers of ten, in ns.
    low: f64,
    high: f64,
}

impl Axis {
    /// Holds every time that is drawn. Bars begin at its lower end, so it is below each of them.
    fn over(floors: &Floors) -> Self {
        let of_figures = floors.figures.iter().flat_map(|figure| [figure.p50_ns, figure.p99_ns]);
        let of_gaps = floors.hiccups.iter().flat_map(|hiccups| hiccups.longest_ns.iter().copied());
        let times: Vec<f64> = of_figures.chain(of_gaps).map(decades).collect();
        let least = times.iter().copied().fold(3.0, f64::min);
        let most = times.iter().copied().fold(5.0, f64::max);
        Self { low: (least - 0.1).floor(), high: most.ceil() }
    }

    fn x(&self, ns: u64) -> f64 {
        let share = (decades(ns) - self.low) / (self.high - self.low);
        PLOT_LEFT + share * (PLOT_RIGHT - PLOT_LEFT)
    }

    fn draw(&self, svg: &mut String, bottom: f64) {
        let mut decade = self.low;
        while decade <= self.high {
            let share = (decade - self.low) / (self.high - self.low);
            let x = PLOT_LEFT + share * (PLOT_RIGHT - PLOT_LEFT);
            line(svg, "g", (x, TOP - 8.0), (x, bottom + 6.0));
            for y in [TOP - 14.0, bottom + 20.0] {
                text(svg, (x, y), "a", &time(10_f64.powf(decade)));
            }
            decade += 1.0;
        }
    }
}

fn head(height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <style>.h{{font-size:17px;font-weight:600}}.n{{font-weight:600}}.m{{fill:#666;\
         font-size:11px}}.a{{fill:#666;text-anchor:middle;font-size:11px}}.v{{font-size:11px}}\
         .b{{fill:#4a7fb5}}.w{{stroke:#1f3f63;stroke-width:2}}.g{{stroke:#ddd}}\
         .d{{fill:#c2543c;fill-opacity:.65}}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    )
}

fn bar(svg: &mut String, axis: &Axis, figure: &FloorFigure, y: f64) {
    label(svg, &figure.name, &figure.meaning, y);
    let (p50, p99) = (axis.x(figure.p50_ns), axis.x(figure.p99_ns));
    let (top, middle, width) = (y + 6.0, y + 13.0, p50 - PLOT_LEFT);
    add(
        svg,
        format_args!(
            "<rect class=\"b\" x=\"{PLOT_LEFT}\" y=\"{top}\" width=\"{width:.1}\" height=\"14\"/>"
        ),
    );
    line(svg, "w", (p50, middle), (p99, middle));
    line(svg, "w", (p99, middle - 6.0), (p99, middle + 6.0));
    let values = format!("{} · {}", ns_text(figure.p50_ns), ns_text(figure.p99_ns));
    text(svg, (PLOT_RIGHT + 14.0, y + 17.0), "v", &values);
}

fn dots(svg: &mut String, axis: &Axis, hiccups: &Hiccups, y: f64) {
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    let lost = hiccups.lost_ns as f64 * 100.0 / hiccups.duration_ns.max(1) as f64;
    let gaps = hiccups.counts.first().map_or(0, |(_, count)| *count);
    label(svg, &format!("core {}", hiccups.cpu), &format!("{gaps} gaps, {lost:.3} % lost"), y);
    for gap_ns in &hiccups.longest_ns {
        let (x, y) = (axis.x(*gap_ns), y + 13.0);
        add(svg, format_args!("<circle class=\"d\" cx=\"{x:.1}\" cy=\"{y}\" r=\"5\"/>"));
    }
    if let Some(longest_ns) = hiccups.longest_ns.first() {
        text(svg, (PLOT_RIGHT + 14.0, y + 17.0), "v", &ns_text(*longest_ns));
    }
}

fn label(svg: &mut String, name: &str, meaning: &str, y: f64) {
    text(svg, (20.0, y + 12.0), "n", name);
    text(svg, (20.0, y + 25.0), "m", meaning);
}

fn text(svg: &mut String, (x, y): (f64, f64), class: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    add(svg, format_args!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"));
}

fn line(svg: &mut String, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    add(
        svg,
        format_args!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        ),
    );
}

fn add(svg: &mut String, element: std::fmt::Arguments<'_>) {
    writeln!(svg, "{element}").expect("a String takes all text");
}

#[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
fn decades(ns: u64) -> f64 {
    (ns.max(1) as f64).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_spans_whole_decades_around_everything_that_is_drawn() {
        let hiccups = Hiccups {
            cpu: 0,
            duration_ns: 1,
            lost_ns: 0,
            longest_ns: vec![30_000_000],
            counts: Vec::new(),
        };
        let figure = super::super::exchange::figure("a", "b", vec![vec![250, 280]]);
        let axis = Axis::over(&Floors { figures: vec![figure], hiccups: vec![hiccups] });
        assert_eq!(axis, Axis { low: 2.0, high: 8.0 });
        assert_eq!((axis.x(100), axis.x(100_000_000)), (PLOT_LEFT, PLOT_RIGHT));
    }

    #[test]
    fn text_cannot_break_out_of_its_element() {
        let mut svg = String::new();
        text(&mut svg, (0.0, 0.0), "n", "a<b & c");
        assert!(svg.contains(">a&lt;b &amp; c</text>"), "{svg}");
    }
}
