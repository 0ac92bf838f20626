//! A small plot of a number over time, as text.
//!
//! ```text
//!     20 ┤         ▂▄▄▄▄▄▄
//!        ┤   ▃▅▇████████████
//!      0 ┼───────────────────
//!        0 s           10.0 s
//! ```
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
        let columns = columns(self.samples);
        let top = round_up(self.samples.iter().copied().max().unwrap_or(0));
        let heights: Vec<usize> = columns.iter().map(|mean| height(*mean, top)).collect();
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

/// The mean of each column's samples; no column is without any.
fn columns(samples: &[u64]) -> Vec<f64> {
    let width = samples.len().min(COLUMNS_MAX);
    let of_column = |column: usize| {
        let first = column * samples.len() / width;
        let own = &samples[first..(column + 1) * samples.len() / width];
        own.iter().sum::<u64>() as f64 / own.len() as f64
    };
    (0..width).map(of_column).collect()
}

/// How many eighths of a line a value is high. Only nothing is nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and all eighths of all lines"
)]
fn height(value: f64, top: u64) -> usize {
    let eighths = (value / top as f64 * (LINES * EIGHTHS) as f64).round() as usize;
    if value > 0.0 { eighths.max(1) } else { 0 }
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
