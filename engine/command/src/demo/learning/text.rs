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
            writeln!(f, "   {strip}")
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
        write!(f, "\n  {:<NAME_WIDTH$}", "share of")?;
        for policy in &self.0.policies {
            write!(f, "   {:<SHARE_COLUMNS$}", policy.name)?;
        }
        writeln!(f)?;
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
