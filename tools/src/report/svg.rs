//! Writes SVG: a few shapes, by class, with all text escaped.
//!
//! Shapes have no colours of their own. Their classes are those of `style.css`, which knows light,
//! dark and paper. A shape whose place is not a finite number is left out.

use std::fmt::{Display, Write};

/// A picture, its title, and its description for those who cannot see it.
#[derive(Clone, Debug)]
pub struct Drawing {
    pub title: String,
    pub description: String,
    pub width: f64,
    pub height: f64,
    body: String,
}

/// Which end of a text its place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

impl Drawing {
    #[must_use]
    pub fn new(title: impl Into<String>, width: f64, height: f64) -> Self {
        let (title, description, body) = (title.into(), String::new(), String::new());
        Self { title, description, width, height, body }
    }

    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        if are_finite(&[from.0, from.1, to.0, to.1]) {
            let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(place);
            let ends = format!(r#"x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}""#);
            self.push(&format!(r#"<line class="{class}" {ends}/>"#));
        }
    }

    /// A rectangle between two corners, with words that show when one points at it.
    pub fn bar(&mut self, class: &str, from: (f64, f64), to: (f64, f64), hint: &str) {
        if are_finite(&[from.0, from.1, to.0, to.1]) {
            let (x, y) = (place(from.0.min(to.0)), place(from.1.min(to.1)));
            let (width, height) = (place((to.0 - from.0).abs()), place((to.1 - from.1).abs()));
            let sides = format!(r#"x="{x}" y="{y}" width="{width}" height="{height}""#);
            self.push(&with_hint("rect", &format!(r#"class="{class}" {sides}"#), hint));
        }
    }

    pub fn dot(&mut self, class: &str, (x, y): (f64, f64), radius: f64, hint: &str) {
        if are_finite(&[x, y]) {
            let (x, y) = (place(x), place(y));
            let attributes = format!(r#"class="{class}" cx="{x}" cy="{y}" r="{radius}""#);
            self.push(&with_hint("circle", &attributes, hint));
        }
    }

    /// A cross, for what failed.
    pub fn cross(&mut self, class: &str, (x, y): (f64, f64), reach: f64, hint: &str) {
        if are_finite(&[x, y]) {
            let [west, east, north, south] =
                [x - reach, x + reach, y - reach, y + reach].map(place);
            let strokes = format!("M{west} {north}L{east} {south}M{west} {south}L{east} {north}");
            self.push(&with_hint("path", &format!(r#"class="{class}" d="{strokes}""#), hint));
        }
    }

    /// Lines through points; an absent point breaks them, and a point alone becomes a dot.
    pub fn curve(&mut self, class: &str, points: &[Option<(f64, f64)>]) {
        let is_good = |point: &Option<(f64, f64)>| point.is_some_and(|(x, y)| are_finite(&[x, y]));
        let mut path = String::new();
        for stroke in points.split(|point| !is_good(point)) {
            let mut stroke = stroke.iter().flatten();
            let Some(&first) = stroke.next() else { continue };
            let rest: Vec<String> = stroke.map(|at| format!("L{}", pair(*at))).collect();
            // A line of no length shows as a dot under round caps.
            let rest = if rest.is_empty() { "h0".to_owned() } else { rest.concat() };
            let _ = write!(path, "M{}{rest}", pair(first));
        }
        self.path(class, &path);
    }

    /// Many rectangles of one class: (x, y, width, height).
    pub fn tiles(&mut self, class: &str, tiles: &[(f64, f64, f64, f64)]) {
        let good = tiles.iter().filter(|(x, y, w, h)| are_finite(&[*x, *y, *w, *h]));
        let tile = |(x, y, width, height): &(f64, f64, f64, f64)| {
            let (width, height) = (place(*width), place(*height));
            format!("M{}h{width}v{height}h-{width}z", pair((*x, *y)))
        };
        self.path(class, &good.map(tile).collect::<String>());
    }

    pub fn text(&mut self, class: &str, anchor: Anchor, (x, y): (f64, f64), text: impl Display) {
        if are_finite(&[x, y]) {
            let anchor = match anchor {
                Anchor::Start => "",
                Anchor::Middle => r#" text-anchor="middle""#,
                Anchor::End => r#" text-anchor="end""#,
            };
            let (x, y, text) = (place(x), place(y), escape(&text.to_string()));
            self.push(&format!(r#"<text class="{class}" x="{x}" y="{y}"{anchor}>{text}</text>"#));
        }
    }

    /// Text that reads upwards, as along a y axis.
    pub fn text_upwards(&mut self, class: &str, (x, y): (f64, f64), text: &str) {
        let (x, y, text) = (place(x), place(y), escape(text));
        let turn = format!(r#"transform="translate({x} {y}) rotate(-90)" text-anchor="middle""#);
        self.push(&format!(r#"<text class="{class}" {turn}>{text}</text>"#));
    }

    /// The element. `id` is its own on the page.
    #[must_use]
    pub fn finish(&self, id: &str) -> String {
        let (width, height) = (place(self.width), place(self.height));
        let (title, description) = (escape(&self.title), escape(&self.description));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             role=\"img\" aria-labelledby=\"{id}-title {id}-text\">\n\
             <title id=\"{id}-title\">{title}</title>\n\
             <desc id=\"{id}-text\">{description}</desc>\n\
             {}</svg>\n",
            self.body
        )
    }

    fn path(&mut self, class: &str, path: &str) {
        if !path.is_empty() {
            self.push(&format!(r#"<path class="{class}" d="{path}"/>"#));
        }
    }

    fn push(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }
}

/// Text that means itself in HTML, XML and their attributes. What XML has no character for becomes
/// the replacement character.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' => escaped.push(character),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ if character.is_control() => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

fn with_hint(name: &str, attributes: &str, hint: &str) -> String {
    match hint {
        "" => format!("<{name} {attributes}/>"),
        _ => format!("<{name} {attributes}><title>{}</title></{name}>", escape(hint)),
    }
}

fn pair((x, y): (f64, f64)) -> String {
    format!("{} {}", place(x), place(y))
}

/// A tenth of a point is finer than can be seen.
fn place(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

fn are_finite(values: &[f64]) -> bool {
    values.iter().all(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(drawing: &Drawing) -> String {
        let text = drawing.finish("x");
        roxmltree::Document::parse(&text).expect("well-formed XML");
        text
    }

    #[test]
    fn all_text_is_escaped() {
        let hostile = "<script>alert(\"&'\u{0}\u{ffff}\")</script>";
        let mut drawing = Drawing::new(hostile, 10.0, 10.0);
        drawing.description = hostile.to_owned();
        drawing.text("label", Anchor::End, (1.0, 2.0), hostile);
        drawing.text_upwards("label", (1.0, 2.0), hostile);
        drawing.bar("bar", (0.0, 0.0), (1.0, 1.0), hostile);
        drawing.dot("dot", (0.0, 0.0), 2.0, hostile);
        let text = parsed(&drawing);
        assert!(!text.contains("<script"));
        assert_eq!(text.matches("&lt;script&gt;").count(), 6);
    }

    #[test]
    fn absent_points_break_a_curve() {
        let mut drawing = Drawing::new("t", 10.0, 10.0);
        let points =
            [Some((0.0, 1.0)), Some((1.0, 1.26)), None, Some((f64::NAN, 1.0)), Some((4.0, 5.0))];
        drawing.curve("c", &points);
        assert!(parsed(&drawing).contains(r#"d="M0 1L1 1.3M4 5h0""#));
    }

    #[test]
    fn what_has_no_place_is_not_drawn() {
        let mut drawing = Drawing::new("t", 10.0, 10.0);
        drawing.line("l", (f64::INFINITY, 0.0), (1.0, 1.0));
        drawing.bar("b", (f64::NAN, 0.0), (1.0, 1.0), "");
        drawing.dot("d", (0.0, f64::NAN), 1.0, "");
        drawing.cross("x", (0.0, f64::NAN), 1.0, "");
        drawing.tiles("t", &[(0.0, f64::NAN, 1.0, 1.0)]);
        drawing.curve("c", &[None]);
        let text = parsed(&drawing);
        assert!(["<line", "<rect", "<circle", "<path"].iter().all(|shape| !text.contains(shape)));
    }

    #[test]
    fn a_bar_may_be_drawn_from_any_corner() {
        let mut drawing = Drawing::new("t", 10.0, 10.0);
        drawing.bar("b", (5.0, 7.0), (1.0, 2.0), "");
        assert!(parsed(&drawing).contains(r#"x="1" y="2" width="4" height="5""#));
    }
}
