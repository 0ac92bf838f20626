//! What a bench, or a part of one, has found out: printed as a table, written as JSON, drawn on a
//! page.

use std::io;

use cutter_tools::report::axis::{Axis, range};
use cutter_tools::report::html::{Page, Tone};
use cutter_tools::report::numbers::number_tick;
use cutter_tools::report::plot::{Mark, Plot, line_class};
use cutter_tools::report::svg::Drawing;
use serde_json::Value;

use crate::options::PageOptions;
use crate::report::{print_note, write_json};

const CHART_HEIGHT: f64 = 240.0;

#[derive(Debug, Default)]
pub struct Finding {
    pub title: String,
    /// What is written as JSON.
    pub records: Vec<Value>,
    pub head: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
    pub aims: Vec<Aim>,
    /// How it was measured, and where the time goes.
    pub notes: Vec<String>,
    pub charts: Vec<Chart>,
}

/// What should have been found, and whether it was.
#[derive(Debug)]
pub struct Aim {
    pub text: String,
    pub is_met: bool,
}

/// Lines over two linear axes. The first axis begins at 0.
#[derive(Debug)]
pub struct Chart {
    pub title: &'static str,
    pub x: &'static str,
    pub y: &'static str,
    pub curves: Vec<(String, Vec<(f64, f64)>)>,
    /// Lines across, each with its words.
    pub across: Vec<(f64, String)>,
}

impl Finding {
    pub fn print(&self) {
        print_note(&format!("\n{}", self.title));
        let head: Vec<String> = self.head.iter().map(|&name| name.to_owned()).collect();
        let lines: Vec<&Vec<String>> = std::iter::once(&head).chain(&self.rows).collect();
        let width = |column: usize| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        for line in &lines {
            let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
                if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") }
            });
            print_note(&cells.collect::<String>());
        }
        self.aims.iter().for_each(|aim| print_note(&aim.line()));
        self.notes.iter().for_each(|note| print_note(note));
    }

    fn show(&self, page: &mut Page) {
        page.open_section(&self.title);
        let missed = self.aims.iter().filter(|aim| !aim.is_met).count();
        let lines: Vec<String> = self.aims.iter().map(Aim::line).collect();
        match (lines.len(), missed) {
            (0, _) => {}
            (_, 0) => page.verdict(Tone::Good, "as aimed at", &lines),
            _ => page.verdict(Tone::Bad, &format!("{missed} missed"), &lines),
        }
        for chart in &self.charts {
            page.charts([(chart.drawing(), "")]);
        }
        page.table("", &self.head, &self.rows);
        page.list("neutral", &self.notes);
        page.close_section();
    }
}

impl Aim {
    pub fn new(is_met: bool, text: String) -> Self {
        Self { text, is_met }
    }

    fn line(&self) -> String {
        let came = if self.is_met { "met" } else { "MISSED" };
        format!("aim {came}: {}", self.text)
    }
}

impl Chart {
    fn drawing(&self) -> Option<Drawing> {
        let points = || self.curves.iter().flat_map(|(_, points)| points);
        points().next()?;
        let (_, right) = range(points().map(|(x, _)| *x));
        let lines = self.across.iter().map(|(y, _)| *y);
        let (low, high) = range(points().map(|(_, y)| *y).chain(lines));
        let room = 0.05 * (high - low);
        let y = if low <= 0.5 * high {
            Axis::from_zero(high, number_tick)
        } else {
            Axis::linear(low - room, high + room, number_tick)
        };
        let names = self.curves.iter().enumerate();
        let legend: Vec<_> =
            names.map(|(i, (name, _))| (Mark::Line, line_class(i), name.clone())).collect();
        let x = Axis::from_zero(right, number_tick);
        let mut plot = Plot::new(self.title, CHART_HEIGHT, x, y, &legend);
        plot.draw_axes(self.x, self.y);
        let across = self.across.iter().map(|(y, words)| ("reference", *y, words.clone()));
        plot.across(&across.collect::<Vec<_>>());
        for (index, (_, points)) in self.curves.iter().enumerate() {
            plot.curve(&line_class(index), points.iter().copied().map(Some));
        }
        Some(plot.drawing)
    }
}

/// Writes the records, and one page with all findings, where the options ask for them.
pub fn write(
    options: &PageOptions,
    title: &str,
    introduction: &str,
    findings: &[Finding],
) -> io::Result<()> {
    let records: Vec<_> = findings.iter().flat_map(|finding| &finding.records).collect();
    write_json(&options.options, &records)?;
    let Some(file) = &options.html else { return Ok(()) };
    std::fs::write(file, page(title, introduction, findings)).map_err(|error| {
        let text = format!("cannot write {}: {error}; give another --html", file.display());
        io::Error::new(error.kind(), text)
    })?;
    print_note(&format!("written to {}", file.display()));
    Ok(())
}

fn page(title: &str, introduction: &str, findings: &[Finding]) -> String {
    let mut page = Page::new(title);
    page.paragraph(introduction);
    findings.iter().for_each(|finding| finding.show(&mut page));
    page.finish()
}

/// A share, as people read it.
pub fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// What is written as JSON: nobody reads more than four decimals of a share.
pub fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// The mean of how often something is so.
pub fn share(of: impl IntoIterator<Item = bool>) -> f64 {
    let (so, all) =
        of.into_iter().fold((0_u32, 0_u32), |(so, all), is| (so + u32::from(is), all + 1));
    f64::from(so) / f64::from(all.max(1))
}
