//! What came of an evaluation, as text and as JSON.

use std::fmt;

use cutter_server::decision_log::LogHeader;
use cutter_server::printable;
use serde_json::{Value, json};

use super::estimate::{Estimate, Estimates, Interval, estimates, of_mean};
use super::log::{LeftOut, Log};
use super::policies::Target;
use super::replay::{Refusal, replay};

/// One policy, and what is told of it.
#[derive(Debug)]
pub struct Evaluated {
    pub name: String,
    pub used: usize,
    pub is_direct: bool,
    pub estimates: Result<Estimates, Refusal>,
}

impl Evaluated {
    pub fn of(target: Target, log: &Log) -> Self {
        let Target { name, policy } = target;
        match replay(policy.as_ref(), log.header.models.len(), &log.usable) {
            Ok(replay) => {
                let (used, is_direct) = (replay.terms.len(), replay.is_direct);
                Self { name, used, is_direct, estimates: Ok(estimates(&replay.terms)) }
            }
            Err(refusal) => Self { name, used: 0, is_direct: false, estimates: Err(refusal) },
        }
    }
}

/// All that is printed.
#[derive(Debug)]
pub struct Report {
    header: LogHeader,
    decisions: u64,
    used: usize,
    left_out: LeftOut,
    pass_probabilities: (f64, f64),
    notes: Vec<String>,
    /// What was answered earned this; `None` where all answers were defaults.
    logged: Option<Estimate>,
    evaluated: Vec<Evaluated>,
}

impl Report {
    pub fn new(log: &Log, evaluated: Vec<Evaluated>) -> Self {
        let losses = log.judged().filter_map(|usable| usable.answer_loss);
        let rewards: Vec<f64> = losses.map(|loss| 1.0 - loss).collect();
        let logged = of_mean(rewards.iter().copied(), 1.0, Interval::Normal);
        let passed = log.judged().map(|usable| usable.pass_probability);
        let least = passed.clone().fold(1.0, f64::min);
        Self {
            header: log.header.clone(),
            decisions: log.decisions,
            used: log.judged().count(),
            left_out: log.left_out,
            pass_probabilities: (least, passed.fold(0.0, f64::max)),
            notes: log.notes.clone(),
            logged: (!rewards.is_empty()).then_some(logged),
            evaluated,
        }
    }

    pub fn to_json(&self) -> String {
        let policies: Vec<Value> = self.evaluated.iter().map(policy_json).collect();
        let LeftOut {
            of_other_models,
            without_propensities,
            of_unknown_servable_set,
            without_feedback,
        } = self.left_out;
        let json = json!({
            "application": self.header.name,
            "models": self.header.models,
            "logged_policy": {
                "name": self.header.policy,
                "version": self.header.policy_version,
                "parameters": self.header.parameters,
                "mean_reward": self.logged.map(estimate_json),
            },
            "decisions": self.decisions,
            "used": self.used,
            "left_out": {
                "without_feedback": without_feedback,
                "without_propensities": without_propensities,
                "of_unknown_servable_set": of_unknown_servable_set,
                "of_other_models": of_other_models,
            },
            "pass_probability": self.pass_probabilities.0,
            "policies": policies,
            "notes": self.notes,
        });
        format!("{json:#}\n")
    }
}

fn policy_json(of: &Evaluated) -> Value {
    match &of.estimates {
        Err(refusal) => json!({"name": of.name, "refused": refusal.to_string()}),
        Ok(estimates) => json!({
            "name": of.name,
            "used": of.used,
            "direct": of.is_direct,
            "ips": estimate_json(estimates.ips),
            "snips": estimates.snips.map(estimate_json),
            "dr": estimate_json(estimates.doubly_robust),
            "effective_sample_size": estimates.effective,
            "unsupported_share": estimates.unsupported,
            "interval": interval_name(estimates.interval),
        }),
    }
}

fn estimate_json(of: Estimate) -> Value {
    json!({"mean": of.mean, "least": of.least, "most": of.most})
}

fn interval_name(interval: Interval) -> &'static str {
    match interval {
        Interval::Normal => "normal",
        Interval::Bernstein => "empirical Bernstein",
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LogHeader { name, models, policy, policy_version, parameters, .. } = &self.header;
        let line = |text: &str| printable::line(text).to_string();
        writeln!(f, "application {}: {}", line(name), line(&models.join(", ")))?;
        writeln!(
            f,
            "decisions {}, used {}; left out: {}",
            self.decisions, self.used, self.left_out
        )?;
        let (least, most) = self.pass_probabilities;
        if least < 1.0 {
            writeln!(f, "the log is a sample: a query is in it with probability {least}")?;
        }
        if least < most {
            writeln!(f, "or {most} in other files; means are over what is in the log")?;
        }
        for note in &self.notes {
            writeln!(f, "note: {}", line(note))?;
        }
        let logged = line(&format!("{policy} version {policy_version} {parameters}"));
        writeln!(f, "\nmean reward, with the interval that holds in 95 of 100 logs")?;
        if let Some(of) = self.logged {
            writeln!(f, "  {:<34}{}  as logged", logged.trim_end(), Shown(of))?;
        }
        writeln!(f, "\n  {:<34}{:<26}{:<26}{:<26}effective", "policy", "IPS", "SNIPS", "DR")?;
        self.evaluated.iter().try_for_each(|of| print_policy(of, self.used, f))
    }
}

fn print_policy(of: &Evaluated, used: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "  {:<34}", printable::line(&of.name).to_string())?;
    let estimates = match &of.estimates {
        Ok(estimates) => estimates,
        Err(refusal) => return writeln!(f, "refused: {refusal}"),
    };
    let snips = estimates.snips.map_or_else(|| "none".to_owned(), |of| Shown(of).to_string());
    write!(f, "{:<26}{snips:<26}", Shown(estimates.ips).to_string())?;
    write!(f, "{:<26}{:.0}", Shown(estimates.doubly_robust).to_string(), estimates.effective)?;
    if of.is_direct {
        write!(f, "  all models were asked: seen directly")?;
    }
    if of.used < used {
        write!(f, "  from {} decisions", of.used)?;
    }
    if estimates.interval == Interval::Bernstein {
        write!(f, "  few: empirical Bernstein")?;
    }
    if estimates.unsupported > 0.0 {
        write!(f, "  {:.2} % of its choices untold", estimates.unsupported * 100.0)?;
    }
    writeln!(f)
}

struct Shown(Estimate);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Estimate { mean, least, most, .. } = self.0;
        write!(f, "{mean:.4} [{least:.4}, {most:.4}]")
    }
}
