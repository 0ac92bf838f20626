//! A small plot of a number over time, as text.
//!
//! ```text
//!     20 ┤         ▂▄▄▄▄▄▄
//!        ┤   ▃▅▇████████████
//!      0 ┼───────────────────
//!        0 s           10.0 s
//! ```
//!
//! A [`Strip`] is one in a single line, for several below each other.
//!
//! Samples are taken at even distances. When there are more of them than columns, a column shows
//! the mean of its own.

use std::fmt::{self, Display, Formatter};

const COLUMNS_MAX: usize = 60;
const LINES: usize = 4;
const LABEL_WIDTH: usize = 8;

/// A full character cell, and what it is cut into.
const EIGHTHS: usize = 8;
const BLOCKS: [char; EIGHTHS + 1] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Samples, and the time over which they were taken.
#[derive(Clone, Copy, Debug)]
pub struct Plot<'a> {
    pub samples: &'a [u64],
    pub seconds: f64,
}

impl Display for Plot<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let samples: Vec<f64> = self.samples.iter().map(|sample| *sample as f64).collect();
        let columns = columns(&samples, COLUMNS_MAX);
        let top = round_up(self.samples.iter().copied().max().unwrap_or(0));
        let heights: Vec<usize> =
            columns.iter().map(|mean| height(mean / top as f64, LINES)).collect();
        for line in (0..LINES).rev() {
            let label = if line + 1 == LINES { top.to_string() } else { String::new() };
            let cell = |height: &usize| BLOCKS[height.saturating_sub(line * EIGHTHS).min(EIGHTHS)];
            let cells: String = heights.iter().map(cell).collect();
            writeln!(f, "{label:>LABEL_WIDTH$} ┤{}", cells.trim_end())?;
        }
        let width = columns.len();
        writeln!(f, "{:>LABEL_WIDTH$} ┼{}", 0, "─".repeat(width))?;
        let end = format!("{:.1} s", self.seconds);
        let space = width.saturating_sub(3).max(end.len() + 2);
        writeln!(f, "{:LABEL_WIDTH$}  0 s{end:>space$}", "")
    }
}

/// Shares over time in one line: empty at `low` and below, full at 1.
#[derive(Clone, Copy, Debug)]
pub struct Strip<'a> {
    pub values: &'a [f64],
    pub low: f64,
    pub columns: usize,
}

impl Display for Strip<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let columns = columns(self.values, self.columns);
        let of_range = |mean: &f64| ((mean - self.low) / (1.0 - self.low)).max(0.0);
        let cells = columns.iter().map(|mean| BLOCKS[height(of_range(mean), 1).min(EIGHTHS)]);
        write!(f, "{:<width$}", cells.collect::<String>(), width = self.columns)
    }
}

/// The mean of each column's samples; no column is without any.
fn columns(samples: &[f64], columns_max: usize) -> Vec<f64> {
    let width = samples.len().min(columns_max);
    let of_column = |column: usize| {
        let first = column * samples.len() / width;
        let own = &samples[first..(column + 1) * samples.len() / width];
        own.iter().sum::<f64>() / own.len() as f64
    };
    (0..width).map(of_column).collect()
}

/// How many eighths a part of so many lines is high. Only nothing is nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and all eighths of all lines"
)]
fn height(part: f64, lines: usize) -> usize {
    let eighths = (part * (lines * EIGHTHS) as f64).round() as usize;
    if part > 0.0 { eighths.max(1) } else { 0 }
}

/// The next number that is easy to read: 1, 2 or 5, and zeros.
fn round_up(value: u64) -> u64 {
    let powers = (0..=18).map(|power| 10_u64.pow(power));
    let mut round = powers.flat_map(|power| [1, 2, 5].map(|digit| digit * power));
    round.find(|round| *round >= value).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(samples: &[u64], seconds: f64) -> Vec<String> {
        Plot { samples, seconds }.to_string().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_ramp_climbs_from_the_axis_to_the_top() {
        let samples: Vec<u64> = (0..=32).collect();
        assert_eq!(
            lines(&samples, 3.2),
            [
                "      50 ┤",
                "         ┤                          ▁▁▂▃▃▄▄",
                "         ┤              ▁▂▂▃▄▄▅▅▆▇▇████████",
                "         ┤ ▁▁▂▃▃▄▄▅▆▆▇█████████████████████",
                "       0 ┼─────────────────────────────────",
                "          0 s                         3.2 s",
            ]
        );
    }

    #[test]
    fn a_column_shows_the_mean_of_its_samples() {
        let samples: Vec<u64> = [0, 10].repeat(60);
        let lines = lines(&samples, 12.0);
        assert_eq!(lines[1].trim_end(), "         ┤");
        assert_eq!(lines[2], format!("         ┤{}", "█".repeat(60)));
    }

    #[test]
    fn the_smallest_value_is_seen_and_none_is_not() {
        let lines = lines(&[0, 1, 1_000], 0.3);
        assert_eq!(lines[3], "         ┤ ▁█");
        assert_eq!(lines[0], "    1000 ┤  █");
    }

    #[test]
    fn the_axis_says_how_long_it_took() {
        let lines = lines(&[1; 60], 10.0);
        assert_eq!(lines[4], format!("       0 ┼{}", "─".repeat(60)));
        assert_eq!(lines[5], format!("          0 s{}10.0 s", " ".repeat(51)));
    }

    #[test]
    fn a_strip_is_one_line_between_its_low_and_all() {
        let strip = |values: &[f64], low| Strip { values, low, columns: 6 }.to_string();
        assert_eq!(strip(&[0.0, 0.01, 0.5, 1.0], 0.0), " ▁▄█  ");
        assert_eq!(strip(&[0.2, 0.5, 0.75, 1.0], 0.5), "  ▄█  ");
        assert_eq!(strip(&[1.0, 0.0].repeat(6), 0.0), "▄".repeat(6));
    }

    #[test]
    fn few_samples_or_none_still_make_a_plot() {
        assert_eq!(lines(&[], 0.0)[5], "          0 s  0.0 s");
        assert_eq!(lines(&[2], 0.1)[0], "       2 ┤█");
    }

    #[test]
    fn the_top_is_a_round_number_that_is_not_exceeded() {
        let tops = [0, 1, 3, 5, 6, 11, 21, 1_024, u64::MAX].map(round_up);
        assert_eq!(tops, [1, 1, 5, 5, 10, 20, 50, 2_000, u64::MAX]);
    }
}
