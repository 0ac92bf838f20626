//! A comparison, for people.

use std::fmt::{self, Display, Formatter};

use super::{CompareResult, Verdict};

/// Columns of a number.
const WIDTH: usize = 12;
/// Of a label, the least.
const LABEL_WIDTH_MIN: usize = 6;

impl Display for CompareResult {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let heading = format!("{} ({})", self.metric, self.unit);
        let labels = [&heading, &self.a, &self.b].map(|label| label.chars().count());
        let width = labels.into_iter().max().unwrap_or(0).max(LABEL_WIDTH_MIN);
        writeln!(
            f,
            "{heading:width$} {:>6} {:>WIDTH$} {:>WIDTH$} {:>WIDTH$}",
            "runs", "least", "median", "most"
        )?;
        for (label, runs, median) in
            [(&self.a, &self.runs_a, self.median_a), (&self.b, &self.runs_b, self.median_b)]
        {
            let least = runs.iter().copied().fold(f64::INFINITY, f64::min);
            let most = runs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let [least, median, most] = [least, median, most].map(number);
            let count = runs.len();
            writeln!(
                f,
                "{label:width$} {count:>6} {least:>WIDTH$} {median:>WIDTH$} {most:>WIDTH$}"
            )?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "ratio {:.4}, between {:.4} and {:.4} with 95 % confidence; p = {:.4}; \
             effect size {:+.2}",
            self.ratio, self.ratio_low, self.ratio_high, self.p_value, self.effect_size
        )?;
        writeln!(f, "{}", self.sentence())
    }
}

impl CompareResult {
    /// The verdict in words.
    pub fn sentence(&self) -> String {
        let (a, b) = (&self.a, &self.b);
        let percent = (self.ratio - 1.0).abs() * 100.0;
        let resolution = self.resolution * 100.0;
        match self.verdict {
            Verdict::Slower => format!("{b} is slower than {a} by {percent:.1} %."),
            Verdict::Faster => format!("{b} is faster than {a} by {percent:.1} %."),
            Verdict::NoDifference => format!(
                "No difference between {a} and {b} was seen; these runs resolve about \
                 {resolution:.1} %."
            ),
            Verdict::TooNoisy => format!(
                "Too noisy to tell {a} and {b} apart: these runs resolve only about \
                 {resolution:.1} %; make more pairs or longer runs, or quieten the machine."
            ),
        }
    }
}

/// With as many decimals as people look at.
fn number(value: f64) -> String {
    match value.abs() {
        1_000.0.. => format!("{value:.0}"),
        10.0..1_000.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}
