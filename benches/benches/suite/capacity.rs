//! The search against a model whose capacity is known: `synthetic`, whose service takes 2 ms and 1
//! ms for each item, in batches of up to 8. It serves 8 in 10 ms, and so 800 a second at most.

use std::io;
use std::process::Command;

use cutter_bench_support::processes::word;
use cutter_bench_support::report::print_note;
use serde_json::Value;

use super::Setting;
use super::compare::{Served, model};

const FIXED_US: f64 = 2_000.0;
const PER_ITEM_US: f64 = 1_000.0;
const BATCH: f64 = 8.0;

pub fn run(setting: &Setting) -> io::Result<()> {
    let known = BATCH * 1e6 / (FIXED_US + BATCH * PER_ITEM_US);
    let batch = format!("batch = {{ policy = \"fixed\", max = {BATCH} }}");
    let served = Served::start(setting, &model(setting, "m", FIXED_US, PER_ITEM_US, &batch))?;
    let json = served.folder().join("capacity.json");
    let mut command = Command::new(&setting.bench);
    command.args(["capacity", "--no-floors", "--slo", "60ms", "--from", "100", "--chunk", "2s"]);
    command.args(["--arrivals", "constant", "--input", "float32:4", "--precision", "3%"]);
    command.arg("--cpu").arg(setting.cores.other.to_string());
    command.arg("--json").arg(word(&json)).arg(served.target("m"));
    let output = command.output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(text));
    }
    let result: Value = serde_json::from_str(&std::fs::read_to_string(&json)?)?;
    let of = |name: &str| result["finding"][name].as_f64().unwrap_or(f64::NAN);
    let (pass, fail) = (of("highest_pass_qps"), of("lowest_fail_qps"));
    let found = f64::midpoint(pass, fail);
    print_note(&format!(
        "\ncapacity: {pass:.0} requests/s pass, {fail:.0} fail; the model's is {known:.0}: \
         {:+.1} % \
         (aim: within 5 %)",
        (found / known - 1.0) * 100.0
    ));
    Ok(())
}
