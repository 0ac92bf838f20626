//! Latency over time: how many requests took how long, when, with the warm-up that was cut off,
//! the failed requests, and the course of p50 and p99.

use crate::result::LoadResult;
use crate::result::load::Slice;

use super::axis::{Axis, range};
use super::numbers::{count, time, time_tick};
use super::plot::{LegendEntry, Mark, Plot};
use super::svg::{Anchor, Drawing};

const HEIGHT: f64 = 300.0;
/// Columns that can be told apart.
const COLUMNS_MAX: usize = 400;
/// Colours of the map, few to many requests.
const LEVELS: usize = 8;
const CROSS: f64 = 3.0;

/// A place in the map with anything in it.
struct Tile {
    column: usize,
    bucket: usize,
    requests: u64,
}

/// Slices that share a column.
struct Column<'a> {
    from_ns: f64,
    to_ns: f64,
    slices: &'a [Slice],
}

#[must_use]
pub fn chart(load: &LoadResult) -> Option<Drawing> {
    let slices = &load.slices;
    if slices.slices.iter().all(|slice| slice.requests == 0) || slices.slice_ns == 0 {
        return None;
    }
    let columns = columns(load);
    let tiles = tiles(&columns, slices.edges_ns.len());
    let end_ns = columns.last()?.to_ns;
    let y = latency_axis(load, &tiles);
    let most = tiles.iter().map(|tile| tile.requests).max().unwrap_or(0);
    let x = Axis::linear(0.0, end_ns, time_tick);
    let mut plot = Plot::new("Latency over time", HEIGHT, x, y, &legend(load, most));
    plot.drawing.description = description(load, end_ns);
    plot.draw_axes("time from the start of the schedule, when a request was due", "latency");
    draw_tiles(&mut plot, load, &columns, &tiles, most);
    draw_warm_up(&mut plot, &columns);
    if let Some(slo_ns) = load.slo_ns {
        let label = format!("SLO {}", time_tick(slo_ns as f64));
        plot.across(&[("reference slo", slo_ns as f64, label)]);
    }
    draw_quantiles(&mut plot, &columns);
    draw_failed(&mut plot, &columns);
    Some(plot.drawing)
}

fn columns(load: &LoadResult) -> Vec<Column<'_>> {
    let slices = &load.slices.slices;
    let width = slices.len().div_ceil(COLUMNS_MAX).max(1);
    let end_ns = |slice: &Slice| slice.start_ns.saturating_add(load.slices.slice_ns) as f64;
    let chunks = slices.chunks(width);
    chunks
        .map(|slices| Column {
            from_ns: slices[0].start_ns as f64,
            to_ns: end_ns(&slices[slices.len() - 1]),
            slices,
        })
        .collect()
}

/// What lies in known buckets, summed by column.
fn tiles(columns: &[Column<'_>], buckets: usize) -> Vec<Tile> {
    let of_column = |(index, column): (usize, &Column<'_>)| {
        let mut sums = std::collections::BTreeMap::<usize, u64>::new();
        for (bucket, requests) in column.slices.iter().flat_map(|slice| &slice.heat) {
            *sums.entry(*bucket).or_default() += requests;
        }
        let is_known = move |(bucket, requests): &(usize, u64)| *bucket < buckets && *requests > 0;
        let tile = move |(bucket, requests)| Tile { column: index, bucket, requests };
        sums.into_iter().filter(is_known).map(tile)
    };
    columns.iter().enumerate().flat_map(of_column).collect()
}

/// The latencies of a bucket: its own edge up to the next one's.
fn edges_of(edges_ns: &[u64], bucket: usize) -> (f64, f64) {
    let low = edges_ns[bucket] as f64;
    let next = edges_ns.get(bucket + 1).map(|ns| *ns as f64);
    let before = bucket.checked_sub(1).map(|before| edges_ns[before] as f64);
    let grown =
        before.filter(|before| *before > 0.0).map_or(low * 2.0, |before| low / before * low);
    (low, next.unwrap_or(grown))
}

fn latency_axis(load: &LoadResult, tiles: &[Tile]) -> Axis {
    let edges_ns = &load.slices.edges_ns;
    let of_tiles = tiles.iter().flat_map(|tile| {
        let (low, high) = edges_of(edges_ns, tile.bucket);
        [low, high]
    });
    let of_lines = load.slices.slices.iter().flat_map(|slice| [slice.p50_ns, slice.p99_ns]);
    let of_lines = of_lines.flatten().map(|ns| ns as f64);
    let known: Vec<f64> = of_tiles.chain(of_lines).filter(|ns| *ns > 0.0).collect();
    let (low, high) = range(known.iter().copied());
    let axis = Axis::log(low, high, time_tick);
    // Of a run without any answer there is no latency to number the axis by.
    if known.is_empty() { axis.with_ticks(Vec::new()) } else { axis }
}

fn draw_tiles(
    plot: &mut Plot,
    load: &LoadResult,
    columns: &[Column<'_>],
    tiles: &[Tile],
    most: u64,
) {
    let mut by_level = vec![Vec::new(); LEVELS];
    for tile in tiles {
        let column = &columns[tile.column];
        let (low, high) = edges_of(&load.slices.edges_ns, tile.bucket);
        let (left, bottom) = plot.at(column.from_ns, low);
        let (right, top) = plot.at(column.to_ns, high);
        by_level[level(tile.requests, most)].push((left, top, right - left, bottom - top));
    }
    for (level, tiles) in by_level.iter().enumerate() {
        plot.drawing.tiles(&format!("h{level}"), tiles);
    }
}

/// By the logarithm of the count, since a stall's few requests are what one looks for.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and LEVELS, and then cut"
)]
fn level(requests: u64, most: u64) -> usize {
    let share = (requests as f64).ln() / (most.max(2) as f64).ln();
    ((share * LEVELS as f64) as usize).min(LEVELS - 1)
}

fn draw_warm_up(plot: &mut Plot, columns: &[Column<'_>]) {
    let slices = columns.iter().filter(|column| column.slices.iter().any(|one| one.is_warm_up));
    let Some(end_ns) = slices.map(|column| column.to_ns).next_back() else { return };
    let x = plot.at_x(end_ns);
    plot.drawing.bar("warm-up", (plot.left, plot.top), (x, plot.bottom), "warm-up, cut off");
    plot.drawing.line("reference", (x, plot.top), (x, plot.bottom));
    let is_late = x > f64::midpoint(plot.left, plot.right);
    let (anchor, off) = if is_late { (Anchor::End, -5.0) } else { (Anchor::Start, 5.0) };
    let place = (x + off, plot.top + 11.0);
    plot.drawing.text("reference-label", anchor, place, "warm-up ends");
}

fn draw_quantiles(plot: &mut Plot, columns: &[Column<'_>]) {
    let worst = |column: &Column<'_>, of: fn(&Slice) -> Option<u64>| {
        let middle_ns = f64::midpoint(column.from_ns, column.to_ns);
        let slowest_ns = column.slices.iter().filter_map(of).max()?;
        Some((middle_ns, slowest_ns as f64))
    };
    let p50: Vec<_> = columns.iter().map(|column| worst(column, |slice| slice.p50_ns)).collect();
    let p99: Vec<_> = columns.iter().map(|column| worst(column, |slice| slice.p99_ns)).collect();
    // The halo keeps them apart from the map, whatever its colour is.
    for (class, points) in
        [("course halo", &p50), ("course halo", &p99), ("course p50", &p50), ("course p99", &p99)]
    {
        plot.curve(class, points.iter().copied());
    }
}

fn draw_failed(plot: &mut Plot, columns: &[Column<'_>]) {
    for column in columns {
        let failed: u64 = column.slices.iter().map(|slice| slice.failed).sum();
        if failed > 0 {
            let x = plot.at_x(f64::midpoint(column.from_ns, column.to_ns));
            let hint = format!("{} failed at {}", count(failed), time(column.from_ns));
            plot.drawing.cross("failed", (x, plot.top + CROSS + 1.0), CROSS, &hint);
        }
    }
}

fn legend(load: &LoadResult, most: u64) -> Vec<LegendEntry> {
    let slices = &load.slices.slices;
    let most_label = format!("{} in one place", count(most));
    let entries = [
        (most > 0, Mark::Box, "h0", "1 request".to_owned()),
        (most > 1, Mark::Box, "h7", most_label),
        (slices.iter().any(|slice| slice.p50_ns.is_some()), Mark::Line, "course p50", "p50".into()),
        (slices.iter().any(|slice| slice.p99_ns.is_some()), Mark::Line, "course p99", "p99".into()),
        (slices.iter().any(|slice| slice.failed > 0), Mark::Cross, "failed", "failed".into()),
        (slices.iter().any(|slice| slice.is_warm_up), Mark::Box, "warm-up", "warm-up".into()),
    ];
    let present = entries.into_iter().filter(|(is_present, ..)| *is_present);
    present.map(|(_, mark, class, label)| (mark, class.to_owned(), label)).collect()
}

fn description(load: &LoadResult, end_ns: f64) -> String {
    let slices = &load.slices.slices;
    let failed: u64 = slices.iter().map(|slice| slice.failed).sum();
    let worst = slices.iter().max_by_key(|slice| slice.max_ns);
    let worst = worst.and_then(|slice| Some((slice.start_ns, slice.max_ns?)));
    let worst = worst.map_or_else(String::new, |(at_ns, ns)| {
        format!(" The slowest answer took {}, at {}.", time(ns as f64), time(at_ns as f64))
    });
    format!("A heat map of {}; {} requests failed.{worst}", time(end_ns), count(failed))
}
