//! What is refused by its size and what is not, and what is told of it before: `cutter check`.

use cutter_tests::server::{Plan, cutter};
use cutter_tests::{Server, application, command, model};
use serde_json::json;

#[test]
fn a_whole_batch_written_with_indentation_is_predicted() {
    let floats = "type = \"floats\", shape = [4]";
    let server = Server::start(
        &(application("sums", floats, 10_000, "sum", "") + &model("sum", &["sum"], "")),
    );
    // As `json.dumps(body, indent=4)` writes it.
    let numbers = "            1.50000000000000000,\n".repeat(3) + "            7.5\n";
    let inputs = vec![format!("        [\n{numbers}        ]"); 1024].join(",\n");
    let body = format!("{{\n    \"input_batch\": [\n{inputs}\n    ]\n}}");
    assert!(body.len() > 131_072);
    let answer = server.client().post("/sums/predict", body).json();
    let items = answer["batch_predictions"].as_array().unwrap();
    assert_eq!(items.iter().filter(|item| item["output"] == 12.0).count(), 1024);
}

#[test]
fn a_hundred_short_inputs_at_once_fit_into_rows_that_are_large() {
    let input = "type = \"strings\", max_bytes = 6291456";
    let echo = ["echo", "strings", "max", "6291456"];
    let server = Server::start(
        &(application("echo", input, 10_000, "echo", "") + &model("echo", &echo, "")),
    );
    let body = json!({ "input_batch": vec!["hello"; 100] }).to_string();
    let answer = server.client().post("/echo/predict", body).json();
    let items = answer["batch_predictions"].as_array().unwrap();
    assert_eq!(items.iter().filter(|item| item["output"] == "hello").count(), 100, "{answer}");
}

#[test]
fn a_query_without_a_row_is_told_of_the_key_that_gives_more() {
    let floats = "type = \"floats\", shape = [4]";
    let server = Server::start(
        &(application("sums", floats, 10_000, "sum", "rows = 16") + &model("sum", &["sum"], "")),
    );
    let body = json!({ "input_batch": vec![[1, 2, 3, 4]; 17] }).to_string();
    let answer = server.client().post("/sums/predict", body).json();
    let refused = &answer["batch_predictions"][16];
    assert_eq!(refused["reason"], "overloaded");
    assert_eq!(
        refused["default_explanation"],
        "All 16 rows of application sums hold queries that wait; send fewer at once, or raise its \
         `rows` in the configuration"
    );
}

/// A core that no machine has on which this is tested.
const NO_CORE: usize = 1023;

#[test]
fn check_counts_what_the_machine_lacks_and_serve_logs_the_same() {
    let body = application("sums", "type = \"floats\", shape = [4]", 10_000, "sum", "")
        + &model("sum", &["sum"], &format!("cpus = [{NO_CORE}]"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cutter.toml");
    let server = format!("[server]\ncpu = {NO_CORE}\nquery = [\"unix:nowhere/cutter.sock\"]\n");
    std::fs::write(&path, server + &body).unwrap();
    let ended = command::run(cutter(&["check", "--config"]).arg(&path));
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let (_, warnings) = ended.stdout.rsplit_once("\n\n").unwrap();
    let count: usize = warnings.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(warnings.lines().count(), 1 + count, "{warnings}");
    for due in [
        format!("  core {NO_CORE} of the engine is not among the cores"),
        format!("  core {NO_CORE} of model sum is not among the cores"),
        format!("  the folder {}/nowhere of `query` is not there", folder.path().display()),
    ] {
        assert!(warnings.contains(&due), "{due:?} is missing in {warnings}");
    }
    let served = Plan::new(&body).with(&format!("cpu = {NO_CORE}")).start();
    served.wait_log(&format!("core {NO_CORE} of the engine is not among the cores"));
    served.wait_log(&format!("core {NO_CORE} of model sum is not among the cores"));
}
