//! Every limit: its value is taken, one beyond it is refused.

use super::{config, errors, with};

const INPUT: &str = "input = { type = \"s\" }";

fn assert_bounds(line: impl Fn(&str) -> String, inside: &[&str], outside: &[&str]) {
    for value in inside {
        config(&line(value));
    }
    for value in outside {
        assert_ne!(errors(&line(value)), "", "{value}");
    }
}

#[test]
fn numbers_of_the_server_are_taken_up_to_their_limits() {
    let line = |value: &str| with(&format!("cpu = {value}"), "", "");
    assert_bounds(line, &["0", "1023"], &["-1", "1024"]);
}

#[test]
fn numbers_of_an_application_are_taken_up_to_their_limits() {
    let line = |value: &str| with("", &format!("slo_us = {value}"), "");
    assert_bounds(line, &["100", "60000000"], &["99", "60000001"]);
    let line = |value: &str| with("", &format!("rows = {value}"), "");
    assert_bounds(line, &["16", "4096"], &["15", "4097"]);
    let line = |value: &str| {
        let input = "input = { type = \"b\", max_bytes = 67108864 }";
        format!("[[application]]\nname = \"a\"\n{input}\nrows = {value}")
    };
    assert_bounds(line, &["16", "64"], &["65"]);
    let line = |value: &str| {
        format!("[[application]]\nname = \"a\"\ninput = {{ type = \"b\", max_bytes = {value} }}")
    };
    assert_bounds(line, &["1", "67108864"], &["0", "67108865"]);
    let line = |value: &str| {
        format!("[[application]]\nname = \"a\"\ninput = {{ type = \"d\", shape = {value} }}")
    };
    let inside = ["[1]", "[8388608]", "[1, 1, 1, 1, 1, 1, 1, 1]"];
    let outside = ["[]", "[0]", "[8388609]", "[8, 1048577]", "[1, 1, 1, 1, 1, 1, 1, 1, 1]"];
    assert_bounds(line, &inside, &outside);
}

#[test]
fn numbers_of_a_model_are_taken_up_to_their_limits() {
    let line = |value: &str| with("", "", &format!("replicas = {value}"));
    assert_bounds(line, &["1", "64"], &["0", "65"]);
    let line = |value: &str| with("", "", &format!("cpus = [{value}]"));
    let (most, beyond) = (["1"; 64].join(","), ["1"; 65].join(","));
    assert_bounds(line, &["0", "1023", &most], &["", "-1", "1024", &beyond]);
    let line = |value: &str| with("", "", &format!("batch = {{ max = {value} }}"));
    assert_bounds(line, &["1", "4096"], &["0", "4097"]);
    let line = |value: &str| with("", "", &format!("batch = {{ wait_us = {value} }}"));
    assert_bounds(line, &["0", "1000000"], &["-1", "1000001"]);
    let cost = "cost = \"bytes\", max_cost_bytes";
    let line = |value: &str| with("", "", &format!("batch = {{ {cost} = {value} }}"));
    assert_bounds(line, &["1", "4294967295"], &["0", "4294967296"]);
    let line = |value: &str| with("", "", &format!("batch_timeout_us = {value}"));
    assert_bounds(line, &["1000", "600000000"], &["999", "600000001"]);
    let line = |value: &str| with("", "", &format!("load_timeout_us = {value}"));
    assert_bounds(line, &["0", "3600000000"], &["-1", "3600000001"]);
    let line = |value: &str| {
        let words = ["\"m\""; 255].join(",");
        format!("[[model]]\nname = \"m\"\ncommand = [{words}{value}]")
    };
    assert_bounds(line, &["", ",\"m\""], &[",\"m\",\"m\""]);
}

#[test]
fn texts_are_taken_up_to_their_limits() {
    let line = |value: &str| format!("[[application]]\nname = \"{value}\"\n{INPUT}");
    let (most, beyond) = ("n".repeat(63), "n".repeat(64));
    assert_bounds(line, &["0", "a-b_c", &most], &["", &beyond]);
    let line = |value: &str| format!("[[model]]\nname = \"{value}\"\ncommand = [\"m\"]");
    assert_bounds(line, &["0", "a-b_c", &most], &["", &beyond]);
    let line = |value: &str| with("", "", &format!("version = \"{value}\""));
    assert_bounds(line, &["1", "1.0-rc_1", &most], &["", &beyond]);
    let line = |value: &str| with("", &format!("default_output = \"{value}\""), "");
    let (most, beyond) = ("x".repeat(4096), "x".repeat(4097));
    assert_bounds(line, &["", &most], &[&beyond]);
}

#[test]
fn addresses_are_taken_up_to_their_limits() {
    let line = |value: &str| with(&format!("query = [{value}]"), "", "");
    let addresses = |count: u32| {
        let addresses = (1..=count).map(|port| format!("\"127.0.0.1:{port}\""));
        addresses.collect::<Vec<_>>().join(",")
    };
    assert_bounds(line, &[&addresses(1), &addresses(8)], &["", &addresses(9)]);
    let line = |value: &str| with(&format!("query = [\"unix:{value}\"]"), "", "");
    // With "/srv/" in front.
    let (most, beyond) = ("x".repeat(102), "x".repeat(103));
    assert_bounds(line, &["x", &most], &["", &beyond]);
    let line = |value: &str| with(&format!("socket = \"{value}\""), "", "");
    assert_bounds(line, &["x", &most], &["", &beyond]);
}

#[test]
fn a_model_is_named_by_as_many_applications_as_a_container_can_read() {
    let text = |applications: usize| {
        let application =
            |index| format!("[[application]]\nname = \"a{index}\"\n{INPUT}\nmodels = [\"m\"]\n");
        let applications: String = (0..applications).map(application).collect();
        format!("{applications}[[model]]\nname = \"m\"\ncommand = [\"m\"]\n")
    };
    config(&text(16));
    let expected =
        "c:69:1: found 17 applications that name one model; this version serves at most 16";
    assert_eq!(errors(&text(17)), expected);
}

#[test]
fn a_version_named_by_too_many_applications_is_refused_whatever_its_place_in_their_lists() {
    let application = |index| {
        let models = "models = [\"n\", \"m:2\"]";
        format!("[[application]]\nname = \"a{index}\"\n{INPUT}\n{models}\n")
    };
    let model = |name: &str, version: &str| {
        format!("[[model]]\nname = \"{name}\"\nversion = \"{version}\"\ncommand = [\"m\"]\n")
    };
    let applications: String = (0..17).map(application).collect();
    let text = format!("{applications}{}{}{}", model("m", "1"), model("m", "2"), model("n", "1"));
    let refused = "found 17 applications that name one model; this version serves at most 16";
    assert_eq!(errors(&text), format!("c:73:1: {refused}\nc:77:1: {refused}"));
}

#[test]
fn a_server_takes_at_most_64_applications_64_models_and_256_replicas() {
    let applications = |count: u32| -> String {
        let application = |index| format!("[[application]]\nname = \"a{index}\"\n{INPUT}\n");
        (0..count).map(application).collect()
    };
    let models = |count: u32, replicas: u32| -> String {
        let model = |index| {
            format!("[[model]]\nname = \"m{index}\"\ncommand = [\"m\"]\nreplicas = {replicas}\n")
        };
        (0..count).map(model).collect()
    };
    assert_eq!(config(&applications(64)).applications.len(), 64);
    assert_eq!(
        errors(&applications(65)),
        "c:193:1: found 65 applications; this version serves at most 64"
    );
    assert_eq!(config(&models(64, 4)).models.len(), 64);
    assert_eq!(errors(&models(65, 1)), "c:257:1: found 65 models; this version serves at most 64");
    assert_eq!(
        errors(&models(6, 64)),
        "c:17:1: found 320 replicas of all models so far; this version serves at most 256"
    );
}
