//! The table that a bench prints, and the JSON that it writes.
#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::path::Path;

use serde::Serialize;

use crate::measurement::Measurement;
use crate::options::Options;

/// Prints all measurements as one table, with `figures` as further columns.
pub fn print_table(title: &str, measurements: &[Measurement], figures: &[&str]) {
    let names = measurements.iter().map(|measurement| measurement.name.chars().count());
    let width = names.max().unwrap_or(0).max(8);
    println!("\n{title}");
    print!("{:<width$}{:>10}{:>10}{:>10}{:>11}{:>12}", "µs", "p50", "p99", "p99.9", "max", "per s");
    figures.iter().for_each(|figure| print!("  {figure}"));
    println!();
    for measurement in measurements {
        let Measurement { name, p50_ns, p99_ns, p999_ns, max_ns, qps, .. } = measurement;
        print!(
            "{name:<width$}{:>10.2}{:>10.2}{:>10.2}{:>11.2}{qps:>12.0}",
            us(*p50_ns),
            us(*p99_ns),
            us(*p999_ns),
            us(*max_ns),
        );
        for figure in figures {
            let value = measurement.figure(figure).map(|value| format!("{value:.2}"));
            print!("  {:>1$}", value.unwrap_or_default(), figure.chars().count());
        }
        println!();
    }
}

/// Prints how one measurement compares with another: `cutter / floor p50: 1.32 (aim: ≤ 1.5)`.
pub fn print_ratio(
    measurements: &[Measurement],
    (over, under): (&str, &str),
    (what, figure): (&str, fn(&Measurement) -> f64),
    aim: &str,
) {
    let find = |name: &str| measurements.iter().find(|measurement| measurement.name == name);
    let (Some(above), Some(below)) = (find(over), find(under)) else { return };
    let aim = if aim.is_empty() { String::new() } else { format!(" (aim: {aim})") };
    println!("{over} / {under} {what}: {:.2}{aim}", figure(above) / figure(below));
}

/// Prints one line below a table.
pub fn print_note(text: &str) {
    println!("{text}");
}

/// Writes the measurements where the options ask for them.
pub fn write_json(options: &Options, measurements: &[impl Serialize]) -> std::io::Result<()> {
    let Some(file) = &options.json else { return Ok(()) };
    write(file, measurements).map_err(|error| {
        let text = format!("cannot write {}: {error}; give another --json", file.display());
        std::io::Error::new(error.kind(), text)
    })?;
    println!("written to {}", file.display());
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub fn p50(measurement: &Measurement) -> f64 {
    measurement.p50_ns as f64
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub fn p99(measurement: &Measurement) -> f64 {
    measurement.p99_ns as f64
}

pub fn qps(measurement: &Measurement) -> f64 {
    measurement.qps
}

fn write(file: &Path, measurements: &[impl Serialize]) -> std::io::Result<()> {
    let mut json = serde_json::to_vec_pretty(measurements)?;
    json.push(b'\n');
    std::fs::write(file, json)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn us(ns: u64) -> f64 {
    ns as f64 / 1000.0
}
