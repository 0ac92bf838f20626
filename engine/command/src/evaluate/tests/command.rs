//! What is said of words that make no evaluation: one line each.

use std::fs;
use std::path::Path;

use clap::Parser;

use super::super::{Options, run};
use super::uniform;
use super::uses::{folder, header, write};

#[derive(Debug, Parser)]
struct Evaluate {
    #[command(flatten)]
    options: Options,
}

fn parse(log: &Path, words: &[&str]) -> Result<Options, clap::Error> {
    let words = [&["evaluate", log.to_str().unwrap()], words].concat();
    Evaluate::try_parse_from(words).map(|evaluate| evaluate.options)
}

/// The line that is said.
fn refused(log: &Path, words: &[&str]) -> String {
    let line = run(&parse(log, words).unwrap()).unwrap_err().to_string();
    assert!(!line.contains('\n'), "{line}");
    line
}

#[test]
fn paths_that_lead_to_no_log_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("none");
    assert!(refused(&none, &[]).contains("none: No such file"));
    assert!(refused(folder.path(), &[]).contains("no file that ends in .cutterlog"));
    let text = folder.path().join("text.cutterlog");
    fs::write(&text, "[server]\n").unwrap();
    assert!(refused(&text, &[]).contains("is not a decision log"));
    assert!(refused(folder.path(), &[]).contains("is not a decision log"));
}

#[test]
fn a_log_without_decisions_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &header(), &[], |_| true);
    assert!(refused(folder.path(), &[]).contains("no decision is in"));
    let cut = folder.path().join("decisions-000001.cutterlog");
    fs::write(&cut, "").unwrap();
    assert!(refused(folder.path(), &[]).contains("no decision is in"));
    assert!(refused(&cut, &[]).contains("no decision is in"));
}

#[test]
fn policies_parameters_and_applications_that_there_are_not_are_refused() {
    let folder = folder(&uniform(), 100);
    let refused = |words: &[&str]| refused(folder.path(), words);
    assert!(refused(&["--application", "cats"]).contains("`cats` is in the log; it has: digits"));
    assert!(refused(&["--policy", "exp5"]).contains("expected one of: static, exp3, exp3_ix"));
    let with = |policy, parameter| refused(&["--policy", policy, "--parameter", parameter]);
    assert!(with("exp3", "eta").starts_with("--policy: not valid TOML"));
    assert!(with("exp3", "eta=nan").contains("`eta` of the policy is NaN"));
    assert!(with("exp3", "epsilon=0.1").contains("takes no `epsilon`; it takes `eta`, `floor`"));
    assert!(with("static", "model=5").contains("unknown key \"model\""));
    assert!(with("weighted", "weights=[1, 0.5]").contains("expected 5: one for each of `models`"));
}

#[test]
fn a_policy_that_looks_at_what_the_log_does_not_have_is_refused() {
    let folder = folder(&uniform(), 100);
    let words = ["--policy", "lin_ucb", "--parameter", "context_numbers=3"];
    let line = refused(folder.path(), &words);
    let expected = "the policy `lin_ucb context_numbers=3` cannot be evaluated: it looks at 3";
    assert!(line.starts_with(expected), "{line}");
}

#[test]
fn several_applications_have_to_be_told_apart() {
    let folder = folder(&uniform(), 10);
    let other = cutter_server::decision_log::LogHeader { name: "cats".to_owned(), ..header() };
    write(folder.path(), &other, &super::simulate(&uniform(), 1, 10, 0), |_| true);
    assert!(refused(folder.path(), &[]).contains("--application: cats, digits"));
    run(&parse(folder.path(), &["--application", "cats"]).unwrap()).unwrap();
}

#[test]
fn an_end_that_is_cut_off_is_no_error_and_the_figures_are_written() {
    let folder = folder(&uniform(), 100);
    let log = folder.path().join("decisions-000001.cutterlog");
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..bytes.len() - 5]).unwrap();
    let json = folder.path().join("figures.json");
    run(&parse(folder.path(), &["--json", json.to_str().unwrap()]).unwrap()).unwrap();
    let figures: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert!(figures["notes"][0].as_str().unwrap().contains("is cut off"), "{figures}");
    assert_eq!(figures["left_out"]["without_feedback"], 1);
}

#[test]
fn an_export_takes_no_policy_and_a_parameter_needs_one() {
    let log = Path::new("log");
    assert!(parse(log, &["--export", "csv", "--policy", "exp3"]).is_err());
    assert!(parse(log, &["--parameter", "eta=1"]).is_err());
    assert!(parse(log, &["--export", "xml"]).is_err());
    assert!(parse(log, &["--export", "dsjson"]).is_ok());
}
