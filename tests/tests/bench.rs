//! `cutter-bench load`, against servers whose latencies are known.

#![allow(clippy::unwrap_used, reason = "a test fails here")]

use std::process::Command;
use std::time::Duration;

use cutter_tests::command::{Ended, run};
use cutter_tests::{Responder, binary, undisturbed};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn bench(words: &[&str]) -> Command {
    let mut command = Command::new(binary("cutter-bench"));
    command.args(words).env_remove("RUST_LOG");
    command
}

/// Runs `load` without floors and reads its result, whatever its exit status.
fn load(responder: &Responder, path: &str, words: &[&str]) -> (Ended, Value) {
    let json = responder.path("result.json");
    let mut command = bench(&["load", "--no-floors", "--json"]);
    command.arg(&json).args(words).arg(responder.target(path));
    let ended = run(&mut command);
    let text = std::fs::read_to_string(&json).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    let result: Value = serde_json::from_str(&text).unwrap();
    (ended, result["finding"].clone())
}

fn quantile_us(finding: &Value, quantile: f64) -> f64 {
    let all = finding["latency"]["quantiles"].as_array().unwrap();
    let found = all.iter().find(|found| found["quantile"] == quantile).unwrap();
    found["value_ns"].as_f64().unwrap_or_else(|| panic!("not measured: {found}")) / 1e3
}

fn count(finding: &Value, name: &str) -> u64 {
    finding["counts"][name].as_u64().unwrap()
}

/// By nearest rank; the quantile in thousandths.
fn rank(times: &mut [u64], per_mille: usize) -> f64 {
    times.sort_unstable();
    times[(times.len() * per_mille).div_ceil(1_000) - 1] as f64
}

/// Delays between 5 and 25 ms, and one in fifty of 60 ms, in an order without a pattern.
fn delays_us() -> Vec<u64> {
    let delay = |i: u64| if i % 50 == 17 { 60_000 } else { 5_000 + i * 7_919 % 20_000 };
    (0..500).map(delay).collect()
}

#[test]
fn reported_quantiles_are_those_that_the_server_knows() {
    undisturbed(compare_quantiles);
}

fn compare_quantiles() -> Result<(), String> {
    let responder = Responder::start(&delays_us(), &[]);
    let words = ["--rate", "400", "--requests", "2000", "--warm-up", "none", "--slo", "40ms"];
    let (ended, finding) = load(&responder, "/x", &words);
    assert_eq!(count(&finding, "answered"), 2_000, "{ended:?}");
    let truth = responder.stop();
    assert_eq!(truth.len(), 2_000);
    let mut known: Vec<u64> =
        truth.iter().map(|truth| (truth.answered_ns - truth.arrived_ns) / 1_000).collect();
    for (quantile, per_mille) in [(0.5, 500), (0.9, 900), (0.99, 990)] {
        let (known, reported) = (rank(&mut known, per_mille), quantile_us(&finding, quantile));
        // What is above is the way there and back, on a machine that does other things as well.
        assert!(reported >= known, "p{quantile}: {reported} is less than the server took, {known}");
        if reported > known * 1.1 + 3_000.0 {
            return Err(format!("p{quantile}: {reported} against {known}"));
        }
    }
    let in_time = known.iter().filter(|us| **us <= 40_000).count() as f64 / 2_000.0;
    let goodput = finding["goodput_qps"].as_f64().unwrap();
    let answered = finding["answered_qps"].as_f64().unwrap();
    if (goodput / answered - in_time).abs() >= 0.05 {
        return Err(format!("{goodput} of {answered}, {in_time}"));
    }
    Ok(())
}

/// 1,000 requests a second for 4 s, and 200 ms in which a server that answers at once does nothing:
/// 200 of 4,000 requests wait, evenly for 0 to 200 ms. So one in a hundred waits for more than 160
/// ms, and one in a thousand for more than 196 ms.
#[test]
fn a_stall_is_in_the_tail_of_an_open_loop_and_hardly_in_that_of_a_closed_one() {
    undisturbed(stall_in_both_loops);
}

fn stall_in_both_loops() -> Result<(), String> {
    let stall = ["--stall-at-ms", "1500", "--stall-ms", "200"];
    let responder = Responder::start(&[0], &stall);
    let words = ["--rate", "1000", "--arrivals", "constant", "--seconds", "4", "--warm-up", "none"];
    let (ended, open) = load(&responder, "/x", &words);
    assert_eq!(count(&open, "answered"), 4_000, "{ended:?}");
    let (p99, p999) = (quantile_us(&open, 0.99), open["latency"]["max_ns"].as_f64().unwrap() / 1e3);
    assert!(p99 >= 145_000.0 && p999 >= 190_000.0, "{p99} {p999}");
    if p99 >= 180_000.0 || p999 >= 260_000.0 {
        return Err(format!("open loop: p99 {p99}, p99.9 {p999}"));
    }
    drop(responder);

    let responder = Responder::start(&[1_000], &stall);
    let words = ["--closed", "--seconds", "3", "--warm-up", "none"];
    let (_, closed) = load(&responder, "/x", &words);
    // One request of thousands met the stall: the tail does not know of it, the maximum does.
    let (p99, max) =
        (quantile_us(&closed, 0.99), closed["latency"]["max_ns"].as_f64().unwrap() / 1e3);
    // Unless the client stood still when the stall began, and asked into the middle of it.
    if p99 >= 100_000.0 || max <= 190_000.0 {
        return Err(format!("closed loop: p99 {p99}, maximum {max}"));
    }
    let warnings = closed["validity"]["warnings"].to_string();
    assert!(warnings.contains("closed loop"), "{warnings}");
    Ok(())
}

#[test]
fn a_generator_that_is_late_says_that_its_run_is_invalid() {
    // One connection takes 100 requests a second; 300 come.
    let responder = Responder::start(&[10_000], &[]);
    let words = ["--rate", "300", "--requests", "300", "--connections", "1"];
    let (ended, finding) = load(&responder, "/x", &words);
    assert_eq!(ended.code(), 3, "{ended:?}");
    assert_eq!(finding["validity"]["valid"], false);
    let reason = finding["validity"]["reasons"][0].as_str().unwrap();
    assert!(reason.contains("the generator was late"), "{reason}");
    assert!(reason.contains("raise --connections"), "{reason}");
    assert!(ended.stdout.contains("INVALID") && ended.stderr.contains("INVALID"), "{ended:?}");
}

#[test]
fn quantiles_that_the_samples_cannot_support_are_not_told() {
    let responder = Responder::start(&[500], &[]);
    let words = ["--closed", "--requests", "1000", "--warm-up", "none"];
    let (ended, finding) = load(&responder, "/x", &words);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let all = finding["latency"]["quantiles"].as_array().unwrap();
    let p9999 = all.iter().find(|found| found["quantile"] == 0.9999).unwrap();
    assert_eq!((&p9999["state"], &p9999["value_ns"]), (&"unsupported".into(), &Value::Null));
    assert!(p9999["needs"].as_u64().unwrap() >= 36_887, "{p9999}");
    assert!(!ended.stdout.contains("p99.999"), "{}", ended.stdout);
}

#[test]
fn answers_come_over_unix_sockets_in_chunks_and_on_new_connections_as_well() {
    let words = ["--rate", "300", "--requests", "300", "--warm-up", "none", "--timeout", "20s"];
    for arguments in [
        &["--unix", "r.sock"][..],
        &["--chunked"],
        &["--close-every", "7"],
        &["--unix", "r.sock", "--close-every", "1"],
    ] {
        let responder = Responder::start(&[200, 900], arguments);
        let (ended, finding) = load(&responder, "/x", &words);
        assert_eq!(count(&finding, "answered"), 300, "{arguments:?} {ended:?}");
        assert_eq!(responder.stop().len(), 300);
    }
}

#[test]
fn pipelined_requests_are_answered_each_once() {
    let responder = Responder::start(&[100], &["--serial"]);
    let words =
        ["--closed", "--requests", "2000", "--connections", "3", "--pipeline", "8", "--input"];
    let (ended, finding) = load(&responder, "/x/predict", &[&words[..], &["float32:4"]].concat());
    assert_eq!(ended.code(), 0, "{ended:?}");
    let answered = count(&finding, "answered") + finding["warm_up"]["requests"].as_u64().unwrap();
    assert_eq!(answered, 2_000);
    assert_eq!(responder.stop().len(), 2_000);
}

#[test]
fn errors_and_time_outs_are_counted_and_are_the_slowest_of_all() {
    let responder = Responder::start(&[200], &["--status", "503"]);
    let words = ["--rate", "200", "--requests", "100", "--warm-up", "none"];
    let (ended, finding) = load(&responder, "/x", &words);
    assert_eq!(ended.code(), 1, "{ended:?}");
    assert!(ended.stderr.contains("no request was answered: status 503"), "{}", ended.stderr);
    assert_eq!(finding["counts"]["http_statuses"]["503"], 100);

    // Every tenth answer comes too late.
    let delays: Vec<u64> = (0..10).map(|i| if i == 3 { 2_000_000 } else { 300 }).collect();
    let responder = Responder::start(&delays, &[]);
    let words = [&words[..], &["--timeout", "300ms"]].concat();
    let (ended, finding) = load(&responder, "/x", &words);
    assert_eq!((count(&finding, "timed_out"), count(&finding, "answered")), (10, 90), "{ended:?}");
    let all = finding["latency"]["quantiles"].as_array().unwrap();
    let p99 = all.iter().find(|found| found["quantile"] == 0.99).unwrap();
    assert_ne!(p99["state"], "measured", "{p99}");
    assert_eq!(finding["latency"]["failed"], 10);
}

#[test]
fn a_run_that_is_interrupted_tells_what_it_has() {
    let responder = Responder::start(&[1_000], &[]);
    let json = responder.path("result.json");
    let mut command = bench(&["load", "--no-floors", "--rate", "500", "--seconds", "60", "--json"]);
    command.arg(&json).arg(responder.target("/x"));
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1_500));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ended = child.wait_with_output().unwrap();
    let stdout = String::from_utf8_lossy(&ended.stdout);
    assert!(stdout.contains("ended early"), "{ended:?}");
    let result: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let finding = &result["finding"];
    assert_eq!(finding["ended_early"], true);
    let sent = count(finding, "answered") + finding["warm_up"]["requests"].as_u64().unwrap();
    assert!((300..2_000).contains(&sent), "{sent}");
}

fn bound<'a>(alpha: &'a str, beta: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let words = ["bound", "--alpha", alpha, "--beta", beta, "--slo", "20ms"];
    [&words[..], more].concat()
}

#[test]
fn a_bound_is_told_and_written_with_what_a_trace_loses_at_least() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (json, trace) = (file("r.json"), file("trace"));
    // 200 at one instant: 160 of them are in time.
    std::fs::write(&trace, "0.5\n".repeat(200)).unwrap();
    let words = bound("100us", "4ms", &["--json", &json, "--trace", &trace]);
    let ended = run(&mut bench(&words));
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stdout.contains("T*                 6,000/s"), "{ended:?}");
    let found: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!((&found["ceiling_qps"], &found["bound_qps"]), (&8_000.0.into(), &6_000.0.into()));
    let poisson_qps = found["poisson_p99_qps"].as_f64().unwrap();
    assert!((5_500.0..5_620.0).contains(&poisson_qps), "{found}");
    assert_eq!(found["clairvoyant"]["dropped"], 40);
}

#[test]
fn what_makes_no_sense_is_refused_with_what_to_do() {
    let trace = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&trace, "0.1\n0.3\n0.2\n").unwrap();
    let unsorted = trace.path().to_str().unwrap();
    let trace = format!("trace:{unsorted}");
    let body = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&body, "{\"input\": [1, 2").unwrap();
    let body = body.path().display().to_string();
    let http = "http://127.0.0.1:9/x";
    for (words, code, said) in [
        (vec!["load", http], 2, "Give --rate, or --closed"),
        (vec!["load", "--rate", "0", http], 2, "is no rate"),
        (vec!["load", "--rate", "9M", http], 2, "is no rate"),
        (vec!["load", "--rate", "1M", "--seconds", "3000", http], 2, "shorten --seconds"),
        (vec!["load", "--rate", "10", "https://localhost/"], 2, "TLS"),
        (vec!["load", "--rate", "10", "localhost:1"], 2, "http://HOST:PORT/PATH"),
        (vec!["load", "--rate", "10", "--arrivals", "sometimes", http], 2, "sometimes"),
        (vec!["load", "--arrivals", &trace, http], 2, "line 3"),
        (vec!["load", "--rate", "10", "--input", "/no/such/file", http], 2, "/no/such/file"),
        (
            vec!["load", "--rate", "10", "--protocol", "clipper", "--input", &body, http],
            2,
            "line 1",
        ),
        (vec!["load", "--rate", "10", "--header", "x", http], 2, "has no colon"),
        (vec!["load", "--no-floors", "--rate", "10", http], 1, "cannot connect to 127.0.0.1:9"),
        (vec!["load", "--no-floors", "--rate", "10", "unix:/no.sock:/x"], 1, "/no.sock"),
        (vec!["report", "/no/such/result"], 1, "/no/such/result"),
        (vec!["top", "--once", "--admin", "127.0.0.1:9"], 1, "127.0.0.1:9"),
        (vec!["inspect", "--admin", "127.0.0.1:9"], 1, "127.0.0.1:9"),
        (vec!["capacity", http], 2, "--slo"),
        (vec!["compare", "--a", http], 2, "--b"),
        (vec!["bound"], 2, "--alpha and --beta, or the --admin"),
        (vec!["bound", "--admin", "127.0.0.1:9"], 1, "127.0.0.1:9"),
        (bound("0us", "4ms", &[]), 2, "is not between"),
        (bound("-1us", "4ms", &[]), 2, "is not between"),
        (bound("1us", "NaNms", &[]), 2, "is not between"),
        (bound("100us", "20ms", &[]), 2, "no query can be in time"),
        (bound("100us", "4ms", &["--replicas", "0"]), 2, "0 replicas"),
        (bound("100us", "4ms", &["--quantile", "p100"]), 2, "is no quantile"),
        (bound("100us", "4ms", &["--overhead", "20ms"]), 2, "leaves nothing"),
        (bound("100us", "4ms", &["--trace", unsorted]), 2, "line 3"),
        (bound("100us", "4ms", &["--trace", "/dev/null"]), 2, "has no times"),
        (bound("100us", "4ms", &["--trace", "/no/such/file"]), 2, "cannot be read"),
    ] {
        let ended = run(&mut bench(&words));
        assert_eq!(ended.code(), code, "{words:?}: {ended:?}");
        assert!(ended.stderr.contains(said), "{words:?}: {}", ended.stderr);
    }
}

#[test]
fn every_command_has_an_example_in_its_help() {
    for command in ["load", "capacity", "bound", "compare", "report", "floor", "top", "inspect"] {
        let help = run(&mut bench(&[command, "--help"]));
        assert!(help.stdout.contains("Example"), "{command}: {}", help.stdout);
        assert!(help.stdout.contains(&format!("cutter-bench {command}")), "{command}");
    }
}
