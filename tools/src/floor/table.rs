//! The floors as a table for people.

use std::fmt::{self, Display, Formatter};

use super::times::ns_text;
use crate::result::{Floors, Hiccups};

/// A share of a core's time below which it is called quiet, or fairly quiet; and gaps likewise.
const QUIET: (f64, u64) = (0.001, 200_000);
const FAIRLY_QUIET: (f64, u64) = (0.01, 2_000_000);

impl Display for Floors {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let names = self.figures.iter().map(|figure| figure.name.chars().count());
        let width = names.max().unwrap_or(0).max(8);
        writeln!(f, "{:<width$}{:>10}{:>10}{:>10}{:>11}", "µs", "p50", "p99", "p99.9", "max")?;
        for figure in &self.figures {
            let p999 = figure.p999_ns.map_or_else(|| "–".to_owned(), us);
            let [p50, p99, max] = [figure.p50_ns, figure.p99_ns, figure.max_ns].map(us);
            let name = &figure.name;
            write!(f, "{name:<width$}{p50:>10}{p99:>10}{p999:>10}{max:>11}")?;
            writeln!(f, "  {}", figure.meaning)?;
        }
        if self.hiccups.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nGaps in a loop that only reads the clock:")?;
        write!(f, "{:<width$}{:>10}{:>10}", "core", "watched", "lost")?;
        writeln!(
            f,
            "{:>10}{:>10}{:>10}{:>10}  longest, µs",
            "≥10 µs", "≥100 µs", "≥1 ms", "≥10 ms"
        )?;
        self.hiccups.iter().try_for_each(|hiccups| hiccup_line(f, hiccups, width))?;
        writeln!(f, "\n{}", verdict(&self.hiccups))?;
        if self.hiccups.len() == 1 {
            writeln!(f, "There was one core only: what takes two was not measured.")?;
        }
        Ok(())
    }
}

fn hiccup_line(f: &mut Formatter<'_>, hiccups: &Hiccups, width: usize) -> fmt::Result {
    let watched = format!("{:.1} s", seconds(hiccups.duration_ns));
    let lost = format!("{:.3} %", lost_share(hiccups) * 100.0);
    write!(f, "{:<width$}{watched:>10}{lost:>10}", hiccups.cpu)?;
    hiccups.counts.iter().try_for_each(|(_, count)| write!(f, "{count:>10}"))?;
    let longest: Vec<String> = hiccups.longest_ns.iter().take(5).map(|ns| us(*ns)).collect();
    writeln!(f, "  {}", longest.join(" "))
}

/// One sentence on what tails measured here are worth.
pub fn verdict(hiccups: &[Hiccups]) -> String {
    let shares = hiccups.iter().map(|hiccups| (lost_share(hiccups), hiccups.cpu));
    let (lost, cpu) = shares.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default();
    let longest_ns = hiccups.iter().filter_map(|hiccups| hiccups.longest_ns.first()).max();
    let longest_ns = longest_ns.copied().unwrap_or(0);
    let facts = format!(
        "core {cpu} was taken away for {:.3} % of its time, and the longest gap was {}",
        lost * 100.0,
        ns_text(longest_ns),
    );
    let below = |(share, gap_ns): (f64, u64)| lost < share && longest_ns < gap_ns;
    if below(QUIET) {
        format!("This machine is quiet: {facts}.")
    } else if below(FAIRLY_QUIET) {
        format!("This machine is fairly quiet: {facts}; p99.9 and above may be its own.")
    } else {
        format!("This machine is not quiet: {facts}; tails measured here are partly its own.")
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn lost_share(hiccups: &Hiccups) -> f64 {
    hiccups.lost_ns as f64 / hiccups.duration_ns.max(1) as f64
}

#[expect(clippy::cast_precision_loss, reason = "a time for people")]
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[expect(clippy::cast_precision_loss, reason = "a time for people")]
fn us(ns: u64) -> String {
    format!("{:.2}", ns as f64 / 1_000.0)
}
