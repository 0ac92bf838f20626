//! Decisions as others read them.
//!
//! dsjson is what Vowpal Wabbit reads with `--dsjson`: actions are counted from 1 among those that
//! could be asked, costs are losses, and `pdrop` is the probability of not having been logged. A
//! decision that asked several models has a line for each of them whose loss is known. A context
//! vector is an array of numbers, which Vowpal Wabbit takes for a namespace of its own.

use std::fmt::Write;

use cutter_core::policy::Models;
use serde_json::{Value, json};

use super::log::{Log, Usable};
use super::options::Format;

/// All usable decisions as text.
pub fn export(log: &Log, format: Format) -> String {
    let mut out = String::new();
    if format == Format::Csv {
        out.push_str("event,timestamp,context,action:cost:probability\n");
    }
    for decision in log.usable.iter().filter(|decision| !decision.is_evaluation) {
        let is_action = |(model, _): &(usize, f64)| decision.servable.contains(*model);
        for (model, loss) in decision.known().filter(is_action) {
            let line = match format {
                Format::Dsjson => dsjson(decision, (model, loss), &log.header.models).to_string(),
                Format::Csv => csv(decision, (model, loss)),
            };
            out.push_str(&line);
            out.push('\n');
        }
    }
    out
}

fn dsjson(decision: &Usable, (model, loss): (usize, f64), names: &[String]) -> Value {
    let servable: Vec<usize> = decision.servable.iter().collect();
    let action = |model: usize| 1 + servable.iter().take_while(|other| **other != model).count();
    // What was chosen stands first.
    let others = decision.servable.without(model);
    let ranked: Vec<usize> = Models::only(model).iter().chain(others.iter()).collect();
    let probability = |model: usize| decision.propensities[model];
    let actions = servable.iter().map(|model| json!({"model": {"name": names[*model]}}));
    let mut shared = json!({ "key": context(decision) });
    if !decision.vector.is_empty() {
        shared["numbers"] = json!(decision.vector);
    }
    json!({
        "_label_cost": loss,
        "_label_probability": probability(model),
        "_label_Action": action(model),
        "_labelIndex": action(model) - 1,
        "Timestamp": timestamp(decision),
        "Version": "1",
        "EventId": decision.query_id.to_string(),
        "a": ranked.iter().map(|model| action(*model)).collect::<Vec<_>>(),
        "c": {
            "context": shared,
            "_multi": actions.collect::<Vec<_>>(),
        },
        "p": ranked.iter().map(|model| probability(*model)).collect::<Vec<_>>(),
        "pdrop": 1.0 - decision.pass_probability,
    })
}

fn csv(decision: &Usable, (model, loss): (usize, f64)) -> String {
    let (event, time) = (decision.query_id, timestamp(decision));
    let context = context(decision).replace('"', "\"\"");
    let probability = decision.propensities[model];
    format!("{event},{time},\"{context}\",{}:{loss}:{probability}", model + 1)
}

/// A key is text as a rule; bytes that are none are written as in a program.
fn context(decision: &Usable) -> String {
    let mut text = String::new();
    for chunk in decision.context.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// By the wall clock, as RFC 3339 has it.
fn timestamp(decision: &Usable) -> String {
    const DAY_S: u64 = 86_400;
    let since_ns = u64::try_from(decision.arrived_ns.max(0)).unwrap_or(u64::MAX);
    let (seconds, ns) = (since_ns / 1_000_000_000, since_ns % 1_000_000_000);
    let (year, month, day) = date(seconds / DAY_S);
    let (hour, minute, second) = (seconds % DAY_S / 3_600, seconds % 3_600 / 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:07}Z", ns / 100)
}

/// The date so many days after 1970-01-01: in years that begin in March a leap day is the last.
fn date(days: u64) -> (u64, u64, u64) {
    const ERA_DAYS: u64 = 146_097;
    let days = days + 719_468;
    let (era, of_era) = (days / ERA_DAYS, days % ERA_DAYS);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let civil = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(civil <= 2), civil, day)
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn days_are_dates() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(59), (1970, 3, 1));
        assert_eq!(date(11_016), (2000, 2, 29));
        assert_eq!(date(20_454), (2026, 1, 1));
    }
}
