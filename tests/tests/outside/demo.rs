//! The demo, as somebody sees it who has just cloned the repository.

use std::fs;
use std::path::Path;

use cutter_tests::binaries::cargo;
use cutter_tests::binary;
use cutter_tests::command::{Ended, run_within};
use cutter_tests::limits::INSTALL_TIME;
use cutter_tests::server::cutter;
use serde_json::Value;

const RATE: u64 = 300;
const SECONDS: u64 = 2;
/// Digits that each policy learns from: enough for the failure to be seen.
const LEARN: u64 = 600;

/// Runs a short demo in a folder of its own, whose temporary files would go there, too.
fn demo(folder: &Path, [rate, seconds, learn]: [u64; 3], under_cargo: bool) -> Ended {
    let mut command = cutter(&["demo", "--json", "figures.json", "--report", "report.html"]);
    command.args(["--rate", &rate.to_string(), "--seconds", &seconds.to_string()]);
    command.args(["--learn", &learn.to_string()]);
    command.current_dir(folder).env("TMPDIR", folder).env_remove("CARGO");
    if under_cargo {
        let cutter = binary("cutter");
        let target = cutter.ancestors().nth(2).unwrap();
        command.env("CARGO", cargo()).env("CARGO_TARGET_DIR", target);
    }
    run_within(&mut command, INSTALL_TIME)
}

/// Processes of the demo's models that are still there: they were given a file of the demo.
fn left(demo: &Ended) -> usize {
    let weights = format!("/proc/{}/fd/", demo.pid);
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(&weights)).count()
}

#[test]
fn the_demo_under_cargo_is_as_accurate_as_its_weights_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let ended = demo(folder.path(), [RATE, SECONDS, LEARN], true);
    assert_eq!(ended.code(), 0, "{}\n{}", ended.stdout, ended.stderr);
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
    let mut files: Vec<_> = files.iter().map(fs::DirEntry::file_name).collect();
    files.sort();
    assert_eq!(files, ["figures.json", "report.html"]);
    assert_eq!(left(&ended), 0);

    let text = fs::read_to_string(folder.path().join("figures.json")).unwrap();
    let figures: Value = serde_json::from_str(&text).unwrap();
    let number = |pointer: &str| {
        let value = figures.pointer(pointer).and_then(Value::as_f64);
        value.unwrap_or_else(|| panic!("{pointer} is not a number in {text}"))
    };
    assert_eq!(number("/queries"), (RATE * SECONDS) as f64);
    assert_eq!(number("/rate_qps"), RATE as f64);
    assert_eq!(number("/errors"), 0.0);
    assert_eq!(number("/predictions") + number("/defaults"), number("/queries"));
    assert!(number("/predictions") > 0.0);
    assert_eq!(number("/accuracy"), number("/offline_accuracy"));
    assert!(number("/accuracy") > 0.9);
    let latency = ["p50", "p99", "p999", "max"].map(|at| number(&format!("/latency_us/{at}")));
    assert!(latency[0] > 0.0 && latency.is_sorted(), "{latency:?}");
    for stage in ["parse", "queue", "batch_wait", "service", "reply"] {
        let [p50, p99] = ["p50", "p99"].map(|at| number(&format!("/stages_us/{stage}/{at}")));
        assert!(p50 <= p99, "{stage}: {p50} and {p99}");
    }
    assert!(number("/batch/mean") >= 1.0 && number("/batch/max") >= number("/batch/mean"));
    assert!(number("/batch/limit") >= 1.0);
    assert_eq!(number("/selection/queries"), LEARN as f64);
    let [linear, forest, failing] =
        ["linear", "forest", "mlp-large"].map(|arm| number(&format!("/selection/arms/{arm}")));
    assert!(failing < 0.8 && failing < forest, "{failing}: it fails for a third of the time");
    assert_eq!(number("/selection/best_single"), forest);
    for policy in ["exp3", "exp4", "thompson"] {
        let accuracy = number(&format!("/selection/{policy}"));
        assert!(accuracy > failing, "{policy}: {accuracy}");
    }
    assert!(number("/selection/exp4") > linear);
    let stragglers = |name: &str| number(&format!("/stragglers/{name}"));
    assert_eq!(stragglers("queries"), 500.0);
    assert!(stragglers("asked") >= 1.0);
    assert_eq!(stragglers("missing"), stragglers("asked"));
    assert!(stragglers("unsure") >= 1.0);
    assert!(stragglers("accuracy_sure") > stragglers("accuracy_unsure"));
    for word in ["accuracy", "p50", "p99.9", "max", "/s in", "batch", "limit", "defaults"] {
        assert!(ended.stdout.to_lowercase().contains(word), "{word}: {}", ended.stdout);
    }
    let page = fs::read_to_string(folder.path().join("report.html")).unwrap();
    for word in ["Selection", "exp3", "exp4", "thompson", "to beat", "Stragglers", "unsure"] {
        assert!(ended.stdout.contains(word), "{word}: {}", ended.stdout);
    }
    for word in [
        "<svg",
        "Latency over time",
        "softmax:1",
        "batch_wait",
        "Accuracy of the policies over the queries",
        "Shares of the models in thompson",
        "While a model was too slow",
    ] {
        assert!(page.contains(word), "{word} is not on the page");
    }
    assert!(!page.contains("<script"));
}

#[test]
fn the_demo_finds_its_models_beside_it_when_there_is_no_cargo() {
    let folder = tempfile::tempdir().unwrap();
    let ended = demo(folder.path(), [100, 1, 50], false);
    assert_eq!(ended.code(), 0, "{}\n{}", ended.stdout, ended.stderr);
    assert_eq!(left(&ended), 0);
}
