//! `cutter evaluate`: what another policy would have earned, told from a decision log.
//!
//! ```text
//!  files ▸ log: decisions of one application, each with its lesson ▸ what can be used of them
//!                                                                        │
//!            export: dsjson, csv ◀───────────────────────────────────────┤
//!                                                                        ▼
//!   policies: whom to evaluate ▸ replay: what each would have done, decision by decision
//!                                    ▸ estimate: IPS, SNIPS, DR, intervals ▸ report: text, JSON
//! ```
//!
//! Only [`run`] reads files and prints; all else is pure. A reward is 1 less a loss.

mod estimate;
mod export;
mod log;
mod options;
mod policies;
mod replay;
mod report;
mod rewards;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use cutter_server::decision_log::ReadError;
use cutter_tools::printing::{PrintError, print};

pub use options::Options;

use log::Log;
use policies::{PolicyFault, Target};
use replay::Refusal;
use report::{Evaluated, Report};

/// Why nothing was evaluated.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    #[error("cannot read {}: {source}", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "{} has no file that ends in .cutterlog; give the folder of a decision log", .0.display()
    )]
    NoLog(PathBuf),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("no decision is in {}; nothing can be evaluated", .0.display())]
    Empty(PathBuf),
    #[error("no application `{name}` is in the log; it has: {known}")]
    Application { name: String, known: String },
    #[error("the log has several applications; choose one with --application: {known}")]
    Several { known: String },
    #[error("{0}")]
    Policy(#[from] PolicyFault),
    #[error("no decision can be evaluated: {0}")]
    Unusable(String),
    #[error("the policy `{policy}` cannot be evaluated: {refusal}")]
    Refused { policy: String, refusal: Refusal },
    #[error(transparent)]
    Print(#[from] PrintError),
    #[error("cannot write {}: {source}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Evaluates, or exports, and prints.
pub fn run(options: &Options) -> Result<(), EvaluateError> {
    let log = Log::read(&options.log, options.application.as_deref())?;
    if let Some(format) = options.export {
        return Ok(print(&export::export(&log, format))?);
    }
    let chosen = options.policy.as_deref();
    let chosen = chosen.map(|name| Target::parse(name, &options.parameters, &log.header));
    let report = evaluate(&log, chosen.transpose()?)?;
    print(&report.to_string())?;
    options.json.as_deref().map_or(Ok(()), |path| write(path, &report.to_json()))
}

/// The logged policy, each model alone, and the policy that was asked for.
fn evaluate(log: &Log, chosen: Option<Target>) -> Result<Report, EvaluateError> {
    if log.judged().next().is_none() {
        return Err(EvaluateError::Unusable(log.left_out.to_string()));
    }
    let always = (0..log.header.models.len()).map(|model| Target::always(model, &log.header));
    let mut evaluated: Vec<Evaluated> = always.map(|target| Evaluated::of(target, log)).collect();
    if let Some(target) = chosen {
        let of = Evaluated::of(target, log);
        if let Err(refusal) = of.estimates {
            return Err(EvaluateError::Refused { policy: of.name, refusal });
        }
        evaluated.push(of);
    }
    Ok(Report::new(log, evaluated))
}

fn write(path: &Path, text: &str) -> Result<(), EvaluateError> {
    let written = std::fs::write(path, text);
    written.map_err(|source| EvaluateError::Write { path: path.to_owned(), source })
}
