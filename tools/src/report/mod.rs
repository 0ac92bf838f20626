//! Result files to one page of HTML with inline SVG: no script, nothing loaded from elsewhere, for
//! light, dark and paper.
//!
//! ```text
//!  page ─┬─ overview     a table of all results; charts that compare the load runs
//!        ├─ a section per result    text (verdict, tables) and its own charts
//!        └─ floors       of each machine once
//!
//!  charts ▸ plot (axes, legend, lines across) ▸ svg (shapes, escaping)      numbers, axis
//! ```
//!
//! Pure. Nothing is drawn that was not measured: a chart without data is absent, a value without
//! support is words. All text of a file is escaped; it may come from anywhere.

pub mod axis;
mod bars;
mod capacity;
mod cdf;
mod compare;
mod engine;
mod floors;
mod heat;
pub mod html;
pub mod numbers;
mod percentiles;
pub mod plot;
mod selection;
mod stages;
pub mod svg;
mod text;
mod throughput;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

use crate::result::{Environment, Finding, Floors, LoadResult, ResultFile};

use html::Page;

/// A load result among those of the page.
#[derive(Clone, Debug)]
struct Run<'a> {
    /// Among the load results, from 0: its colour.
    index: usize,
    label: String,
    load: &'a LoadResult,
    environment: &'a Environment,
}

/// The page of these results, in their order.
#[must_use]
pub fn page(results: &[ResultFile]) -> String {
    let runs = runs(results);
    let mut page = Page::new("Latency report");
    text::overview(&mut page, results);
    if !runs.is_empty() {
        page.charts([
            (percentiles::chart(&runs), PERCENTILES_CAPTION),
            (throughput::chart(&runs), THROUGHPUT_CAPTION),
            (cdf::chart(&runs), CDF_CAPTION),
        ]);
    }
    for (at, result) in results.iter().enumerate() {
        page.open_section(&text::heading(at, result));
        match &result.finding {
            Finding::Load(load) => load_section(&mut page, load),
            Finding::Floor(floors) => floors_section(&mut page, floors),
            Finding::Capacity(capacity) => {
                text::capacity(&mut page, capacity);
                page.charts([(capacity::chart(capacity), CAPACITY_CAPTION)]);
            }
            Finding::Selection(selection) => selection::section(&mut page, selection),
            Finding::Compare(compare) => {
                text::compare(&mut page, compare);
                page.charts([(compare::runs(compare), ""), (compare::ratio(compare), "")]);
            }
        }
        page.open_row();
        if let Finding::Load(load) = &result.finding {
            text::plan(&mut page, load);
        }
        text::machine(&mut page, result);
        page.close_row();
        page.close_section();
    }
    for floors in floors_beside(results) {
        page.open_section("Floors: what the machine did beside these results");
        floors_section(&mut page, floors);
        page.close_section();
    }
    page.finish()
}

const PERCENTILES_CAPTION: &str = "Each step to the right is ten times rarer. A line ends at the \
    highest percentile that its requests support; whiskers are intervals of 95 % confidence.";
const THROUGHPUT_CAPTION: &str = "A point is a run; a cross at the top is a percentile that lies \
    among requests that were never answered.";
const CDF_CAPTION: &str = "A line that ends below 100 % is of a run with failed requests, or with \
    too few to know its tail.";
const HEAT_CAPTION: &str = "Colour is the number of requests, on a logarithmic scale. A slanted \
    edge is a stall: each request that was due while it lasted waited for its end.";
const STAGES_CAPTION: &str = "As the engine measured them, warm-up included.";
const CAPACITY_CAPTION: &str = "Each step offered a rate until it was clear whether the objective \
    is kept.";
const FLOORS_CAPTION: &str = "The axis is logarithmic: a bar twice as long is not twice the time.";

fn load_section(page: &mut Page, load: &LoadResult) {
    text::load(page, load);
    page.charts([(heat::chart(load), HEAT_CAPTION)]);
    if let Some(series) = &load.engine {
        page.charts([
            (stages::chart(&series.stages), STAGES_CAPTION),
            (engine::batches(&series.samples), ""),
            (engine::queues(&series.samples), ""),
        ]);
    }
}

fn floors_section(page: &mut Page, floors: &Floors) {
    page.charts([(floors::figures(floors), FLOORS_CAPTION), (floors::hiccups(floors), "")]);
    text::floors(page, floors);
}

fn runs(results: &[ResultFile]) -> Vec<Run<'_>> {
    let loads = results.iter().enumerate().filter_map(|(at, result)| match &result.finding {
        Finding::Load(load) => Some((at, &**load, &result.environment)),
        _ => None,
    });
    let run = |(index, (at, load, environment))| {
        let label = text::label(at, load);
        Run { index, label, load, environment }
    };
    loads.enumerate().map(run).collect()
}

/// Floors that were measured beside other results, each once.
fn floors_beside(results: &[ResultFile]) -> Vec<&Floors> {
    let mut all: Vec<&Floors> = Vec::new();
    for floors in results.iter().filter_map(|result| result.environment.floors.as_ref()) {
        if !all.contains(&floors) {
            all.push(floors);
        }
    }
    all
}
