//! `cutter evaluate` as people run it, over a log that the server's own writer has written.

use std::path::Path;

use cutter_core::feedback::{Decided, Learned, Said};
use cutter_core::ids::ApplicationId;
use cutter_core::policy::{Exp3, Feedback, Models, Policy, Random, Seen};
use cutter_server::decision_log::{DecisionLog, LogHeader, LogSettings};
use cutter_tests::command::{self, Ended};
use cutter_tests::server::cutter;
use serde_json::Value;
use tempfile::TempDir;

/// With which chance each model is right.
const ARMS: [f64; 3] = [0.55, 0.7, 0.9];
const DECISIONS: u64 = 2_000;
const KEYS: [&[u8]; 2] = [b"ann", b"bob"];

fn header() -> LogHeader {
    LogHeader {
        name: "digits".to_owned(),
        models: ["small:1", "large:1", "large:2"].map(str::to_owned).to_vec(),
        policy: "exp3".to_owned(),
        policy_version: "1".to_owned(),
        parameters: "eta=0.05 floor=0.4".to_owned(),
        epoch: 1,
    }
}

/// A folder with the log of a policy that has learned, for two contexts in turn.
fn log() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let settings = LogSettings {
        directory: folder.path().to_owned(),
        file_bytes_max: 8 << 20,
        files_max: 10,
        sample: 1.0,
    };
    let (mut writer, thread) = DecisionLog::open(settings).unwrap();
    let application = ApplicationId::from_bits(1);
    writer.add_application(application, &header());
    let policy = Exp3::new(0.05, 0.4, 0.0).unwrap();
    let (mut state, mut random) = (policy.init(ARMS.len()), Random::new(7));
    let servable = Models::first(ARMS.len());
    for query_id in 0..DECISIONS {
        let ask = cutter_core::policy::Ask::of(servable);
        let chosen = policy.select(&state, ask, &mut random).unwrap();
        let model = chosen.models.iter().next().unwrap();
        let loss = f64::from(u8::from(random.uniform() >= ARMS[model]));
        let (mut said, mut losses) = ([Said::Nothing; ARMS.len()], [None; ARMS.len()]);
        (said[model], losses[model]) = (Said::Class(7), Some(loss));
        let arrived_ns = query_id * 1_000_000;
        writer.decided(&Decided {
            application,
            is_evaluation: false,
            query_id,
            arrived_ns,
            answered_ns: arrived_ns + 1_000,
            context: KEYS[usize::from(query_id % 2 == 1)],
            servable,
            asked: chosen.models,
            propensities: &chosen.propensities[..ARMS.len()],
            said: &said,
            answer: Said::Class(7),
            confidence: None,
            vector: &[],
        });
        let (losses, answer_loss, told_ns) = (&losses, Some(loss), arrived_ns + 2_000);
        writer.learned(&Learned { application, query_id, told_ns, losses, answer_loss });
        let seen = [Seen { model, loss, propensity: chosen.propensities[model] }];
        let feedback = Feedback::new(&state, &seen, None).unwrap();
        policy.observe(&mut state, &feedback).unwrap();
    }
    drop(writer);
    thread.join();
    folder
}

fn evaluate(log: &Path, words: &[&str]) -> Ended {
    command::run(cutter(&["evaluate"]).arg(log).args(words))
}

#[test]
fn the_estimates_are_printed_and_written_and_hold_the_truth() {
    let log = log();
    let json = log.path().join("figures.json");
    let words = ["--policy", "epsilon_greedy", "--parameter", "epsilon=0.1"];
    let words = [&words[..], &["--parameter", "discount=1", "--json", json.to_str().unwrap()]];
    let ended = evaluate(log.path(), &words.concat());
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines[0], "application digits: small:1, large:1, large:2");
    assert_eq!(lines[1], "decisions 2000, used 2000; left out: none");
    let json: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let policies = json["policies"].as_array().unwrap();
    let names = ["always small:1", "always large:1", "always large:2"];
    let names = [&names[..], &["epsilon_greedy epsilon=0.1 discount=1"]].concat();
    assert_eq!(policies.len(), names.len());
    for (policy, name) in policies.iter().zip(names) {
        assert_eq!(policy["name"], name);
        let line = lines.iter().find(|line| line.trim_start().starts_with(name)).unwrap();
        for estimate in ["ips", "snips", "dr"] {
            let printed = ["mean", "least", "most"].map(|number| &policy[estimate][number]);
            let [mean, least, most] = printed.map(|number| number.as_f64().unwrap());
            assert!(line.contains(&format!("{mean:.4} [{least:.4}, {most:.4}]")), "{line}");
        }
    }
    for (policy, arm) in policies.iter().zip(ARMS) {
        let [least, most] = ["least", "most"].map(|end| policy["dr"][end].as_f64().unwrap());
        // Half as wide again: all of them shall hold at once.
        let wider = (most - least) / 4.0;
        assert!((least - wider..=most + wider).contains(&arm), "{arm} {policy}");
    }
    let learned = policies[ARMS.len()]["dr"]["mean"].as_f64().unwrap();
    assert!(learned > 0.8, "who learns asks the best: {learned}");
}

#[test]
fn every_line_of_dsjson_is_what_vowpal_wabbit_reads() {
    let log = log();
    let ended = evaluate(log.path(), &["--export", "dsjson"]);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
    let lines: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len() as u64, DECISIONS);
    for (line, key) in lines.iter().zip(["ann", "bob"].iter().cycle()) {
        assert_eq!(line["c"]["context"]["key"], *key);
        assert_eq!(line["c"]["_multi"].as_array().unwrap().len(), ARMS.len());
        assert_eq!(line["a"][0], line["_label_Action"], "who was asked stands first");
        assert_eq!(line["p"][0], line["_label_probability"]);
        assert!([0.0, 1.0].contains(&line["_label_cost"].as_f64().unwrap()), "{line}");
        assert!(line["EventId"].is_string() && line["Timestamp"].is_string(), "{line}");
        let sum: f64 = line["p"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{line}");
        assert_eq!(line["pdrop"], 0.0);
    }
    let csv = evaluate(log.path(), &["--export", "csv"]);
    assert_eq!((csv.code(), csv.stdout.lines().count() as u64), (0, DECISIONS + 1));
}

#[test]
fn what_cannot_be_evaluated_is_one_line_and_a_status() {
    let (log, empty) = (log(), tempfile::tempdir().unwrap());
    let each: [(&Path, &[&str], &str); 6] = [
        (empty.path(), &[], "has no file that ends in .cutterlog"),
        (log.path(), &["--application", "cats"], "no application `cats` is in the log; it has"),
        (log.path(), &["--policy", "exp5"], "expected one of: static, exp3"),
        (log.path(), &["--policy", "ucb1", "--parameter", "eta=1"], "which takes no `eta`"),
        (log.path(), &["--policy", "vote"], "no decision of the log asked all of them"),
        (
            log.path(),
            &["--policy", "lin_ucb", "--parameter", "context_numbers=2"],
            "it looks at 2 numbers of each query, and 0 are in the log",
        ),
    ];
    for (log, words, expected) in each {
        let Ended { status, stdout, stderr, .. } = evaluate(log, words);
        assert_eq!((status.code(), stdout.as_str()), (Some(1), ""), "{stderr}");
        assert!(stderr.starts_with("cutter: ") && stderr.contains(expected), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    let unknown = evaluate(log.path(), &["--export", "xml"]);
    assert_eq!(unknown.code(), 2, "words that are no command: {}", unknown.stderr);
}
