//! The second and the third act as text.

use std::fmt::{self, Display, Formatter};

use cutter_tools::result::SelectionResult;
use cutter_tools::text::{grouped, time};

use crate::demo::plot::Strip;

/// Accuracies are drawn from here up: all but a model that fails are better.
const ACCURACY_LOW: f64 = 0.5;
/// Characters of a line of accuracies, and of one of shares.
const ACCURACY_COLUMNS: usize = 30;
const SHARE_COLUMNS: usize = 20;
const NAME_WIDTH: usize = 12;

/// What people read.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a>(pub &'a SelectionResult);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write_heading(f)?;
        self.write_accuracies(f)?;
        self.write_shares(f)?;
        self.write_stragglers(f)
    }
}

impl Text<'_> {
    fn write_heading(self, f: &mut Formatter<'_>) -> fmt::Result {
        let SelectionResult { queries, failing, failing_from, failing_until, .. } = self.0;
        let (queries, from, until) =
            (grouped(*queries), grouped(failing_from + 1), grouped(*failing_until));
        let models = self.0.arms.len();
        writeln!(
            f,
            "\nSelection: {models} models in C++, the same {queries} digits to each policy"
        )?;
        writeln!(
            f,
            "  {failing} answers at random from {from} to {until}; each label is told at once\n"
        )
    }

    fn write_accuracies(self, f: &mut Formatter<'_>) -> fmt::Result {
        let head = ["all", "before", "failing", "healed"].map(|head| format!("{head:>9}")).concat();
        writeln!(f, "  {:<NAME_WIDTH$}{head}   over time, 50 to 100 %", "accuracy")?;
        let row = |f: &mut Formatter<'_>, name: &str, all: f64, phases: [f64; 3], over: &[f64]| {
            write!(f, "  {name:<NAME_WIDTH$}{}", percent(all))?;
            phases.iter().try_for_each(|share| f.write_str(&percent(*share)))?;
            let strip = Strip { values: over, low: ACCURACY_LOW, columns: ACCURACY_COLUMNS };
            writeln!(f, "   {}", strip.to_string().trim_end())
        };
        for one in &self.0.policies {
            row(f, &one.name, one.accuracy, one.phases, &one.over_time)?;
        }
        for one in &self.0.arms {
            row(f, &one.model, one.accuracy, one.phases, &one.over_time)?;
        }
        match self.0.best_single() {
            Some(best) => {
                let accuracy = percent(best.accuracy);
                writeln!(f, "  {:<NAME_WIDTH$}{accuracy}   {}", "to beat", best.model)
            }
            None => Ok(()),
        }
    }

    fn write_shares(self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut head = format!("  {:<NAME_WIDTH$}", "share of");
        for policy in &self.0.policies {
            head += &format!("   {:<SHARE_COLUMNS$}", policy.name);
        }
        writeln!(f, "\n{}", head.trim_end())?;
        for (arm, one) in self.0.arms.iter().enumerate() {
            let mut line = format!("  {:<NAME_WIDTH$}", one.model);
            for policy in &self.0.policies {
                let values = policy.shares.get(arm).map(Vec::as_slice).unwrap_or_default();
                line += &format!("   {}", Strip { values, low: 0.0, columns: SHARE_COLUMNS });
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }

    fn write_stragglers(self, f: &mut Formatter<'_>) -> fmt::Result {
        let found = &self.0.stragglers;
        let of = |part: u64, whole: u64| percent(part as f64 / whole.max(1) as f64);
        let line = |f: &mut Formatter<'_>, name: &str, count: u64, note: &str| {
            writeln!(f, "  {name:<NAME_WIDTH$}{:>9}   {note}", grouped(count))
        };
        let slo = time(found.slo_ns);
        writeln!(f, "\nStragglers: {} takes longer than the SLO of {slo}, exp4\n", found.model)?;
        line(
            f,
            "queries",
            found.queries,
            &format!("the mean confidence is {:.2}", found.confidence),
        )?;
        let times = [found.p50_ns, found.p99_ns, found.max_ns].map(time);
        let [p50, p99, max] = &times;
        line(f, "in time", found.in_time, &format!("p50 {p50}, p99 {p99}, max {max}"))?;
        let missing = format!("{} of them answered without it", grouped(found.missing));
        line(f, "asked it", found.asked, &missing)?;
        let right = of(found.sure_correct, found.sure);
        line(f, "sure", found.sure, &format!("{} right", right.trim_start()))?;
        let right = of(found.unsure_correct, found.unsure);
        let below = format!("of {:.0} % or more", found.unsure_below * 100.0);
        let note = format!("no agreement {below}; the vote was right in {}", right.trim_start());
        line(f, "unsure", found.unsure, &note)
    }
}

fn percent(share: f64) -> String {
    format!("{:>7.1} %", share * 100.0)
}

#[cfg(test)]
pub mod tests {
    use cutter_tools::result::selection::{ArmResult, PolicyResult, StragglersResult};

    use super::*;

    /// A policy over two models, of which the better one fails in the middle.
    pub fn found() -> SelectionResult {
        let arm = |model: &str, accuracy: f64, phases: [f64; 3]| ArmResult {
            model: model.to_owned(),
            accuracy,
            phases,
            over_time: phases.to_vec(),
        };
        SelectionResult {
            queries: 3_000,
            failing: "large".to_owned(),
            failing_from: 1_000,
            failing_until: 2_000,
            window: 1_000,
            policies: vec![PolicyResult {
                name: "exp4".to_owned(),
                accuracy: 0.9,
                phases: [0.95, 0.8, 0.95],
                over_time: vec![0.95, 0.8, 0.95],
                shares: vec![vec![0.1, 1.0, 0.2], vec![0.9, 0.0, 0.8]],
            }],
            arms: vec![arm("small", 0.8, [0.8; 3]), arm("large", 0.68, [0.97, 0.1, 0.97])],
            stragglers: StragglersResult {
                model: "large".to_owned(),
                slo_ns: 20_000_000,
                queries: 500,
                in_time: 499,
                p50_ns: 350_000,
                p99_ns: 20_100_000,
                max_ns: 21_300_000,
                asked: 6,
                missing: 6,
                confidence: 0.7,
                unsure_below: 0.6,
                sure: 440,
                sure_correct: 429,
                unsure: 60,
                unsure_correct: 30,
            },
        }
    }

    #[test]
    fn the_text_shows_every_figure() {
        let expected = "
Selection: 2 models in C++, the same 3,000 digits to each policy
  large answers at random from 1,001 to 2,000; each label is told at once

  accuracy          all   before  failing   healed   over time, 50 to 100 %
  exp4           90.0 %   95.0 %   80.0 %   95.0 %   ▇▅▇
  small          80.0 %   80.0 %   80.0 %   80.0 %   ▅▅▅
  large          68.0 %   97.0 %   10.0 %   97.0 %   █ █
  to beat        80.0 %   small

  share of       exp4
  small          ▁█▂
  large          ▇ ▆

Stragglers: large takes longer than the SLO of 20.0 ms, exp4

  queries           500   the mean confidence is 0.70
  in time           499   p50 350 µs, p99 20.1 ms, max 21.3 ms
  asked it            6   6 of them answered without it
  sure              440   97.5 % right
  unsure             60   no agreement of 60 % or more; the vote was right in 50.0 %
";
        assert_eq!(Text(&found()).to_string(), expected);
    }
}
