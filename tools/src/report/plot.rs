//! A drawing with two axes.
//!
//! ```text
//!   0 ┌───────────────────────────────┐
//!     │  legend                       │
//!  top│ ┌───────────────────────────┐ │
//!     │ │ y ticks    the area       │ │
//!     │ └───────────────────────────┘ │bottom
//!     │   x ticks, title              │
//!     └───────────────────────────────┘
//!       left                      right
//! ```

use super::axis::Axis;
use super::svg::{Anchor, Drawing};

/// All drawings are as wide, in points of the page.
pub const WIDTH: f64 = 880.0;
/// Between the lines of a legend, and between labels that would else cover each other.
pub const LINE_HEIGHT: f64 = 16.0;

const LEFT: f64 = 74.0;
const RIGHT: f64 = 30.0;
const BOTTOM: f64 = 46.0;
const TOP: f64 = 12.0;
/// A character of a legend, about.
const CHARACTER_WIDTH: f64 = 6.6;
const LEGEND_MARK: f64 = 22.0;
const LABEL_CHARACTERS_MAX: usize = 90;
/// Colours that lines can have; then they are dashed as well.
const COLOURS: usize = 6;

#[derive(Clone, Debug)]
pub struct Plot {
    pub drawing: Drawing,
    pub x: Axis,
    pub y: Axis,
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

/// How a legend shows an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Line,
    Box,
    Dot,
    Cross,
}

/// (how it is shown, class, label)
pub type LegendEntry = (Mark, String, String);

impl Plot {
    /// A plot whose area is `height` high, under a legend.
    #[must_use]
    pub fn new(title: &str, height: f64, x: Axis, y: Axis, legend: &[LegendEntry]) -> Self {
        let rows = legend_rows(legend);
        let top = TOP + rows.len() as f64 * LINE_HEIGHT + if rows.is_empty() { 0.0 } else { 6.0 };
        let bottom = top + height;
        let mut drawing = Drawing::new(title, WIDTH, bottom + BOTTOM);
        for (row, entries) in rows.iter().enumerate() {
            let y = TOP + row as f64 * LINE_HEIGHT + 4.0;
            let mut x = LEFT;
            for (mark, class, label) in entries {
                legend_mark(&mut drawing, *mark, class, (x, y));
                drawing.text("label", Anchor::Start, (x + LEGEND_MARK, y + 4.0), label);
                x += legend_width(label);
            }
        }
        Self { drawing, x, y, left: LEFT, right: WIDTH - RIGHT, top, bottom }
    }

    /// Gives more room to labels at the left.
    pub fn widen_left(&mut self, width: f64) {
        self.left = LEFT.max(width);
    }

    #[must_use]
    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.at_x(x), self.at_y(y))
    }

    #[must_use]
    pub fn at_x(&self, value: f64) -> f64 {
        self.left + self.x.place(value) * (self.right - self.left)
    }

    #[must_use]
    pub fn at_y(&self, value: f64) -> f64 {
        self.bottom - self.y.place(value) * (self.bottom - self.top)
    }

    /// The grid, the numbers and the titles of both axes.
    pub fn draw_axes(&mut self, x_title: &str, y_title: &str) {
        self.draw_x_axis(x_title);
        for (value, label) in self.y.ticks.clone() {
            let y = self.at_y(value);
            self.drawing.line("grid", (self.left, y), (self.right, y));
            self.drawing.text("tick", Anchor::End, (self.left - 8.0, y + 4.0), label);
        }
        self.drawing.line("axis", (self.left, self.top), (self.left, self.bottom));
        let middle = f64::midpoint(self.top, self.bottom);
        self.drawing.text_upwards("axis-title", (14.0, middle), y_title);
    }

    pub fn draw_x_axis(&mut self, title: &str) {
        for (value, label) in self.x.ticks.clone() {
            let x = self.at_x(value);
            self.drawing.line("grid", (x, self.top), (x, self.bottom));
            self.drawing.text("tick", Anchor::Middle, (x, self.bottom + 17.0), label);
        }
        self.drawing.line("axis", (self.left, self.bottom), (self.right, self.bottom));
        let middle = f64::midpoint(self.left, self.right);
        self.drawing.text("axis-title", Anchor::Middle, (middle, self.bottom + 37.0), title);
    }

    /// A line through points of the axes' values.
    pub fn curve(&mut self, class: &str, points: impl Iterator<Item = Option<(f64, f64)>>) {
        let points: Vec<_> = points.map(|point| point.map(|(x, y)| self.at(x, y))).collect();
        self.drawing.curve(class, &points);
    }

    /// Lines across, each with its words above its right end. Where words would cover each other,
    /// they are moved up; a line beyond the axis is not drawn.
    pub fn across(&mut self, lines: &[(&str, f64, String)]) {
        let mut lines: Vec<_> = lines.iter().filter(|(_, value, _)| self.y.holds(*value)).collect();
        lines.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut free = f64::INFINITY;
        for (class, value, label) in lines {
            let y = self.at_y(*value);
            self.drawing.line(class, (self.left, y), (self.right, y));
            let text_y = (y - 4.0).min(free).max(self.top + 9.0);
            let place = (self.right - 4.0, text_y);
            self.drawing.text("reference-label", Anchor::End, place, label);
            free = text_y - 12.0;
        }
    }
}

/// The class of the `index`th line.
#[must_use]
pub fn line_class(index: usize) -> String {
    let dash = match index / COLOURS {
        0 => "",
        1 => " dashed",
        _ => " dotted",
    };
    format!("curve c{}{dash}", index % COLOURS)
}

/// A label that fits: cut in the middle, where names differ least.
#[must_use]
pub fn shortened(label: &str, characters_max: usize) -> String {
    let count = label.chars().count();
    if count <= characters_max {
        return label.to_owned();
    }
    let tail = characters_max / 2;
    let head: String = label.chars().take(characters_max - tail - 1).collect();
    head + "…" + &label.chars().skip(count - tail).collect::<String>()
}

fn legend_rows(legend: &[LegendEntry]) -> Vec<Vec<LegendEntry>> {
    let mut rows: Vec<Vec<LegendEntry>> = Vec::new();
    let mut used = f64::INFINITY;
    for (mark, class, label) in legend {
        let label = shortened(label, LABEL_CHARACTERS_MAX);
        let width = legend_width(&label);
        if used + width > WIDTH - LEFT {
            rows.push(Vec::new());
            used = 0.0;
        }
        used += width;
        let row = rows.last_mut().expect("the first entry fits in no row before it makes one");
        row.push((*mark, class.clone(), label));
    }
    rows
}

fn legend_width(label: &str) -> f64 {
    LEGEND_MARK + label.chars().count() as f64 * CHARACTER_WIDTH + 18.0
}

fn legend_mark(drawing: &mut Drawing, mark: Mark, class: &str, (x, y): (f64, f64)) {
    match mark {
        Mark::Line => drawing.line(class, (x, y), (x + 16.0, y)),
        Mark::Box => drawing.bar(class, (x + 2.0, y - 5.0), (x + 14.0, y + 5.0), ""),
        Mark::Dot => drawing.dot(class, (x + 8.0, y), 4.0, ""),
        Mark::Cross => drawing.cross(class, (x + 8.0, y), 4.0, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::super::numbers::number_tick;
    use super::*;

    #[test]
    fn long_labels_are_cut_in_the_middle() {
        assert_eq!(shortened("abcdefghij", 10), "abcdefghij");
        assert_eq!(shortened("abcdefghijk", 5), "ab…jk");
        assert_eq!(shortened("ßßßßßßßßßßß", 4), "ß…ßß");
    }

    #[test]
    fn a_legend_that_is_too_wide_is_broken_into_lines() {
        let entry = |i: usize| (Mark::Line, line_class(i), "x".repeat(60));
        let legend: Vec<LegendEntry> = (0..3).map(entry).collect();
        assert_eq!(legend_rows(&legend).iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
        assert_eq!(legend_rows(&[]).len(), 0);
    }

    #[test]
    fn labels_of_near_lines_do_not_cover_each_other() {
        let axis = || Axis::from_zero(100.0, number_tick);
        let mut plot = Plot::new("t", 200.0, axis(), axis(), &[]);
        let line = |value: f64| ("reference", value, format!("at {value}"));
        plot.across(&[line(50.0), line(51.0), line(500.0)]);
        let text = plot.drawing.finish("p");
        let document = roxmltree::Document::parse(&text).unwrap();
        let of_labels = |node: &roxmltree::Node| node.attribute("class") == Some("reference-label");
        let places: Vec<f64> = document
            .descendants()
            .filter(of_labels)
            .map(|node| node.attribute("y").unwrap().parse().unwrap())
            .collect();
        assert_eq!(places.len(), 2);
        assert!(places[0] - places[1] >= 12.0, "{places:?}");
    }

    #[test]
    fn more_lines_than_colours_are_dashed() {
        assert_eq!(
            [0, 5, 6, 12].map(line_class),
            ["curve c0", "curve c5", "curve c0 dashed", "curve c0 dotted"]
        );
    }
}
