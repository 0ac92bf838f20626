//! How often `compare` is right: A against A, and A against A with 5 % more service time.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cutter_bench_support::cores::pin_child;
use cutter_bench_support::processes::{Running, free_address, word};
use cutter_bench_support::report::print_note;

use super::Setting;

const SERVICE_US: f64 = 1_000.0;
const SLOWER_US: f64 = 1_050.0;
const COMPARISONS: usize = 20;
/// How each verdict is worded.
const VERDICTS: [&str; 4] = ["No difference", "is slower", "is faster", "Too noisy"];
const START_TIME: Duration = Duration::from_secs(10);

/// A server with some models, each behind an application of its name.
#[derive(Debug)]
pub struct Served {
    _process: Running,
    folder: tempfile::TempDir,
    address: SocketAddr,
}

/// The configuration of an application and its `synthetic` model.
pub fn model(setting: &Setting, name: &str, fixed_us: f64, per_item_us: f64, more: &str) -> String {
    let (program, cpu) = (word(&setting.synthetic), setting.cores.engine);
    format!(
        "[[application]]\nname = \"{name}\"\ninput = {{ type = \"floats\", shape = [4] }}\n\
         slo_us = 60000\ndefault_output = \"-1\"\nmodels = [\"{name}\"]\n\n[[model]]\n\
         name = \"{name}\"\ncommand = [\"{program}\", \"{fixed_us}\", \"{per_item_us}\"]\n\
         cpus = [{cpu}]\n{more}\n\n"
    )
}

impl Served {
    pub fn start(setting: &Setting, models: &str) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (address, admin) = (free_address()?, free_address()?);
        let cpu = setting.cores.engine;
        let text = format!(
            "[server]\nquery = [\"{address}\"]\nadmin = \"{admin}\"\ncpu = {cpu}\n\n{models}"
        );
        let path = folder.path().join("cutter.toml");
        std::fs::File::create(&path)?.write_all(text.as_bytes())?;
        let mut command = Command::new(&setting.cutter);
        command.args(["serve", "--config"]).arg(&path).env("RUST_LOG", "error");
        let process = Running::start(&mut command)?;
        pin_child(process.child(), cpu)?;
        let served = Self { _process: process, folder, address };
        served.wait_until_ready(admin)?;
        Ok(served)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn target(&self, name: &str) -> String {
        format!("http://{}/{name}/predict", self.address)
    }

    fn wait_until_ready(&self, admin: SocketAddr) -> io::Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < START_TIME {
            let mut curl = Command::new("curl");
            curl.args(["-sf", "-o", "/dev/null", &format!("http://{admin}/readyz")]);
            if curl.status()?.success() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(io::Error::other("the server did not get ready"))
    }
}

pub fn run(setting: &Setting) -> io::Result<()> {
    let models = model(setting, "a", SERVICE_US, 0.0, "")
        + &model(setting, "same", SERVICE_US, 0.0, "")
        + &model(setting, "slower", SLOWER_US, 0.0, "");
    let served = Served::start(setting, &models)?;
    for (b, aim) in [("same", "no difference in ≥ 19"), ("slower", "slower")] {
        let mut counts = VERDICTS.map(|verdict| (verdict, 0));
        for seed in 0..COMPARISONS {
            let said = compare(setting, &served, b, seed)?;
            let found = counts.iter_mut().find(|(verdict, _)| said.contains(verdict));
            found.ok_or_else(|| io::Error::other(format!("no verdict: {said}")))?.1 += 1;
        }
        let counts = counts.map(|(verdict, count)| format!("{count} {verdict:?}")).join(", ");
        print_note(&format!("compare, {COMPARISONS} times with {b}: {counts} (aim: {aim})"));
    }
    Ok(())
}

fn compare(setting: &Setting, served: &Served, b: &str, seed: usize) -> io::Result<String> {
    let mut command = Command::new(&setting.bench);
    command.args(["compare", "--no-floors", "--pairs", "8", "--run", "300ms"]);
    command.args(["--input", "float32:4", "--seed", &seed.to_string()]);
    command.args(["--a", &served.target("a"), "--b", &served.target(b)]);
    command.arg("--cpu").arg(setting.cores.other.to_string());
    let output = command.output()?;
    // A comparison that could not be made ends with 1 as well, and prints no table.
    match output.status.code() {
        Some(0 | 1 | 3) if !output.stdout.is_empty() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        _ => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}
