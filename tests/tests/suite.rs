//! `cutter-bench` against a running Cutter, and its commands other than `load`.

#![allow(clippy::unwrap_used, reason = "a test fails here")]

use std::path::{Path, PathBuf};
use std::process::Command;

use cutter_tests::binaries::workspace;
use cutter_tests::command::{Ended, run};
use cutter_tests::server::Plan;
use cutter_tests::{Responder, Server, application, binary, model, undisturbed};
use serde_json::Value;

const FLOATS: &str = "type = \"floats\", shape = [4]";
/// The exit status of a comparison that could not be decided.
const TOO_NOISY: i32 = 3;

fn bench(words: &[&str]) -> Ended {
    let mut command = Command::new(binary("cutter-bench"));
    run(command.args(words).env_remove("RUST_LOG"))
}

fn word(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Reads a result file, which has to be one by the committed schema.
fn result(path: &Path) -> Value {
    let read = |path: &Path| {
        let text = std::fs::read_to_string(path);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let schema = read(&workspace().join("tools/schema/result.schema.json"));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let result = read(path);
    let errors: Vec<String> =
        validator.iter_errors(&result).map(|error| error.to_string()).collect();
    assert_eq!(errors, [""; 0]);
    result
}

/// The digits, and the softmax with its committed weights.
fn digits() -> Server {
    let weights = workspace().join("container-sdk/examples/digits/weights.bin");
    let weights = weights.canonicalize().unwrap();
    let input = "type = \"floats\", shape = [784]";
    Server::start(
        &(application("digits", input, 1_000, "softmax", "")
            + &model("softmax", &["softmax", word(&weights)], "")),
    )
}

fn count(finding: &Value, name: &str) -> u64 {
    finding["counts"][name].as_u64().unwrap()
}

#[test]
fn digits_are_asked_checked_and_reported_with_what_the_engine_says() {
    let server = digits();
    server.wait_ready();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let [json, page, hgrm, hlog] = ["r.json", "r.html", "r.hgrm", "r.hlog"].map(file);
    let target = server.target("digits");
    let admin = server.admin.to_string();
    let files = [("--json", &json), ("--report", &page), ("--hgrm", &hgrm), ("--hlog", &hlog)];
    let mut words = vec!["load", "--input", "digits", "--rate", "300", "--seconds", "3"];
    words.extend(["--admin", &admin, "--slo", "500ms", &target]);
    words.extend(files.iter().flat_map(|(option, path)| [*option, word(path)]));
    let ended = bench(&words);
    // On a machine that does other things the generator may be late; then it says so.
    assert!(matches!(ended.code(), 0 | 3), "{ended:?}");
    let result = result(&json);
    let finding = &result["finding"];
    let accuracy = &finding["accuracy"];
    assert_eq!(accuracy["checked"].as_u64().unwrap(), count(finding, "answered"));
    assert!(accuracy["correct"].as_f64().unwrap() / accuracy["checked"].as_f64().unwrap() > 0.9);
    let answers = count(finding, "answered") + count(finding, "defaults");
    assert_eq!(answers, count(finding, "requests"));
    let stages: Vec<&str> = finding["engine"]["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| stage["name"].as_str().unwrap())
        .collect();
    assert_eq!(stages, ["parse", "queue", "batch_wait", "service", "reply"]);
    let samples = finding["engine"]["samples"].as_array().unwrap();
    assert!(samples.iter().all(|sample| sample["models"][0]["limits"][0].as_u64().unwrap() >= 1));
    assert!(!samples.is_empty());
    let floors = result["environment"]["floors"]["figures"].as_array().unwrap();
    assert!(floors.iter().any(|floor| floor["name"] == "tcp_spin"), "{floors:?}");
    let all = answers + finding["warm_up"]["requests"].as_u64().unwrap();
    server.wait_metric("cutter_queries_total", &[("application", "digits")], all as f64);

    let page = std::fs::read_to_string(&page).unwrap();
    assert!(page.contains("<svg") && page.contains("batch_wait") && !page.contains("<script"));
    let first = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
    assert!(first(&hgrm).trim_start().starts_with("Value"), "{}", first(&hgrm));
    assert!(first(&hlog).starts_with('#'), "{}", first(&hlog));
}

#[test]
fn a_model_that_never_comes_is_answered_with_defaults_and_their_reason() {
    let body = application("sums", FLOATS, 200, "absent", "") + "[[model]]\nname = \"absent\"\n";
    let server = Plan::new(&body).with_container_socket().start();
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("r.json");
    let target = server.unix_target("sums");
    let words = ["load", "--no-floors", "--input", "float32:4", "--rate", "200", "--requests"];
    let ended = bench(&[&words[..], &["200", "--json", word(&json), &target]].concat());
    assert!(matches!(ended.code(), 0 | 3), "{ended:?}");
    let finding = &result(&json)["finding"];
    let reasons = finding["counts"]["default_reasons"].as_object().unwrap();
    assert_eq!(reasons.values().map(|n| n.as_u64().unwrap()).sum::<u64>(), 200);
    assert!(ended.stdout.contains("not_ready") || ended.stdout.contains("no_model"), "{ended:?}");
    assert_eq!(count(finding, "answered"), 0);
}

/// One request after the other, 2.5 ms each: 400 a second. How near the search comes to a known
/// capacity on a quiet machine is a bench, `suite -- capacity`.
#[test]
fn the_capacity_of_a_server_with_a_known_service_time_is_found() {
    let responder = Responder::start(&[2_500], &["--serial"]);
    let json = responder.path("r.json");
    let target = responder.target("/x");
    let mut words = vec!["capacity", "--no-floors", "--slo", "200ms", "--from", "160"];
    words.extend(["--arrivals", "constant", "--chunk", "300ms", "--defaults", "50%"]);
    words.extend(["--precision", "50%", "--quantile", "p90", "--json", word(&json), &target]);
    let ended = bench(&words);
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stdout.contains("requests/s pass"), "{ended:?}");
    let finding = &result(&json)["finding"];
    let pass = finding["highest_pass_qps"].as_f64().unwrap();
    assert!((80.0..560.0).contains(&pass), "{finding}");
    // On a busy machine the generator may be what ends the search; it then says so.
    let fail = finding["lowest_fail_qps"].as_f64();
    let is_limited = finding["limited_by_generator"] == true;
    assert!(is_limited || fail.is_some_and(|fail| fail > 240.0), "{finding}");
}

/// A model that takes 5 ms and 1 ms for each row: with 100 ms for a query, 900 a second are to be
/// had of it. What the engine sees of a service time is more, by a hop and what else the machine
/// does: it waits, so that it needs no core for that time.
#[test]
fn a_bound_is_fitted_to_what_a_server_has_counted_and_a_poor_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("r.json");
    // A server's sums are those of its whole life: what disturbed one stays in them.
    undisturbed(|| {
        let synthetic = model("m", &["synthetic", "5000", "1000", "wait"], "");
        let server = Server::start(&(application("sums", FLOATS, 100, "m", "") + &synthetic));
        let admin = server.admin.to_string();
        let bound = |model: &str| {
            bench(&["bound", "--admin", &admin, "--model", model, "--json", word(&json)])
        };
        let few = bound("m");
        assert_eq!(few.code(), 1, "{few:?}");
        assert!(few.stderr.contains("batches are too few"), "{few:?}");
        assert!(bound("other").stderr.contains("no model \"other\"; it has m:"));
        let target = server.target("sums");
        let words = ["load", "--no-floors", "--rate", "60,150,300,450", "--seconds", "1"];
        let asked = bench(&[&words[..], &["--input", "float32:4", &target]].concat());
        assert!(matches!(asked.code(), 0 | 3), "{asked:?}");
        let found = bound("m");
        let is_fitted = found.code() == 0 && found.stdout.contains("R²");
        let refused = || format!("{found:?}");
        let fitted = is_fitted.then(|| std::fs::read_to_string(&json).unwrap());
        let bounds: Value = serde_json::from_str(&fitted.ok_or_else(refused)?).unwrap();
        let bound_qps = bounds["bound_qps"].as_f64().unwrap();
        let is_near = (700.0..950.0).contains(&bound_qps);
        is_near.then_some(()).ok_or_else(|| format!("{bounds}"))
    });
}

#[test]
fn a_command_that_takes_longer_is_told_apart_and_one_that_does_not_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("r.json");
    let compare = |a: &str, b: &str| {
        let words = ["compare", "--no-floors", "--pairs", "6", "--json", word(&json)];
        bench(&[&words[..], &["--a", a, "--b", b]].concat())
    };
    undisturbed(|| {
        let slower = quiet(compare("sleep 0.05", "sleep 0.1"))?;
        assert_eq!(slower.code(), 1, "{slower:?}");
        assert!(slower.stdout.contains("is slower than"), "{slower:?}");
        assert_eq!(result(&json)["finding"]["verdict"], "slower");
        Ok(())
    });
    undisturbed(|| {
        let faster = quiet(compare("sleep 0.1", "sleep 0.05"))?;
        assert_eq!(faster.code(), 0, "{faster:?}");
        assert!(faster.stdout.contains("is faster than"), "{faster:?}");
        Ok(())
    });
    let failing = compare("true", "false");
    assert_eq!(failing.code(), 1, "{failing:?}");
    assert!(failing.stderr.contains("false ended with exit status: 1"), "{failing:?}");
    let few = bench(&["compare", "--pairs", "2", "--a", "true", "--b", "true"]);
    assert_eq!(few.code(), 2, "{few:?}");
}

#[test]
fn a_slower_target_is_told_apart() {
    let words = ["compare", "--no-floors", "--pairs", "8", "--run", "500ms"];
    let [a, b] = [5_000, 25_000].map(|delay_us| Responder::start(&[delay_us], &[]));
    let targets = [&a, &b].map(|responder| responder.target("/x"));
    let words = [&words[..], &["--a", &targets[0], "--b", &targets[1]]].concat();
    undisturbed(|| {
        let ended = quiet(bench(&words))?;
        assert_eq!(ended.code(), 1, "{ended:?}");
        assert!(ended.stdout.contains("is slower than"), "{ended:?}");
        Ok(())
    });
}

/// What a comparison found, unless the machine was too noisy for it to say anything.
fn quiet(ended: Ended) -> Result<Ended, String> {
    if ended.code() == TOO_NOISY { Err(ended.stderr) } else { Ok(ended) }
}

#[test]
fn several_rates_make_one_page_with_their_curve() {
    let responder = Responder::start(&[500], &[]);
    let (json, page) = (responder.path("r.json"), responder.path("r.html"));
    let words = ["load", "--no-floors", "--rate", "100,200", "--seconds", "1", "--json"];
    let ended = bench(&[&words[..], &[word(&json), &responder.target("/x")]].concat());
    assert!(matches!(ended.code(), 0 | 3), "{ended:?}");
    let hgrm = responder.path("r.hgrm");
    let ended = bench(&["report", word(&json), "--output", word(&page), "--hgrm", word(&hgrm)]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let text = std::fs::read_to_string(&hgrm).unwrap();
    assert!(text.contains("#[Mean"), "{text}");
    let text = std::fs::read_to_string(&page).unwrap();
    assert!(text.contains("Latency by offered rate"), "the curve has its title");
    let no_result = responder.path("delays");
    let ended = bench(&["report", word(&no_result)]);
    assert_eq!(ended.code(), 1, "{ended:?}");
    assert!(ended.stderr.contains("schema"), "{ended:?}");
}

#[test]
fn the_floors_of_the_machine_are_a_table_a_file_and_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let (json, svg) = (folder.path().join("f.json"), folder.path().join("f.svg"));
    let ended = bench(&["floor", "--quick", "--json", word(&json), "--svg", word(&svg)]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let result = result(&json);
    assert_eq!(result["kind"], "floor");
    let figures = result["finding"]["figures"].as_array().unwrap();
    for name in ["line", "futex_two_cores", "tcp_spin", "tcp_block", "unix_spin", "uring_flag"] {
        assert!(figures.iter().any(|figure| figure["name"] == name), "{name}: {figures:?}");
        assert!(ended.stdout.contains(name), "{name}");
    }
    assert!(std::fs::read_to_string(&svg).unwrap().starts_with("<svg"));
}

#[test]
fn a_running_engine_is_watched_and_inspected_without_a_terminal() {
    let server = Server::start(
        &(application("sums", FLOATS, 1_000, "sum", "") + &model("sum", &["sum"], "")),
    );
    server.wait_ready();
    let admin = server.admin.to_string();
    let top = bench(&["top", "--admin", &admin, "--period-ms", "200"]);
    assert_eq!(top.code(), 0, "{top:?}");
    assert!(top.stdout.contains("sums") && top.stdout.contains("sum"), "{top:?}");
    assert!(!top.stdout.contains('\x1b'), "{top:?}");
    let dump = bench(&["inspect", "--admin", &admin]);
    assert_eq!(dump.code(), 0, "{dump:?}");
    assert!(dump.stdout.contains("sums"), "{dump:?}");
    let json = bench(&["inspect", "--json", "--admin", &admin]);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["schema"], "cutter-inspect/1");
}
