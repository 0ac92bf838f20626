//! Other load tools at the same server: what they say, and what they cost.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cutter_bench_support::ROUNDS;
use cutter_bench_support::measurement::median;
use cutter_bench_support::processes::word;
use cutter_bench_support::report::print_note;
use serde_json::Value;

use super::Setting;

const RATES: [&str; 3] = ["5000", "20000", "40000"];
const SECONDS: &str = "2";
const CONNECTIONS: &str = "64";
const BODY: &str = "0123456789012345678901234567890123456789012345678901234567890123";

/// The trivial responder, on the engine's core.
#[derive(Debug)]
pub struct Responder {
    process: Child,
    address: String,
}

impl Responder {
    pub fn start(setting: &Setting) -> io::Result<Self> {
        let cpu = setting.cores.engine.to_string();
        let mut command = Command::new(&setting.responder);
        command.args(["--fast", "--cpu", &cpu]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let mut address = String::new();
        let out = process.stdout.take().ok_or_else(|| io::Error::other("no standard output"))?;
        BufReader::new(out).read_line(&mut address)?;
        Ok(Self { process, address: address.trim().to_owned() })
    }

    pub fn target(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        // It fails when the responder has ended, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What one run said, and took.
#[derive(Debug)]
struct Run {
    rate_qps: f64,
    p50_us: f64,
    p99_us: f64,
    /// Processor time of the whole process per request.
    cpu_us: f64,
}

pub fn run(setting: &Setting) -> io::Result<()> {
    let oha = oha(setting)?;
    let wrk = wrk()?;
    print_note("\npeers, at the trivial responder, 64 connections; CPU of the whole process");
    print_note("µs                            rate        p50        p99  CPU a request");
    for rate in RATES {
        let ours = |wait: &str| cutter_bench(setting, &["--rate", rate, "--wait", wait]);
        row(&format!("oha -q {rate}"), || ask_oha(&oha, setting, &["-q", rate]))?;
        row(&format!("cutter-bench, {rate}"), || ours("adaptive"))?;
        row("… --wait sleep", || ours("sleep"))?;
    }
    row("oha, closed loop", || ask_oha(&oha, setting, &[]))?;
    row("wrk, closed loop", || ask_wrk(&wrk, setting))?;
    row("cutter-bench, closed loop", || cutter_bench(setting, &["--closed"]))?;
    print_note(
        "oha counts from the schedule (--latency-correction); wrk cannot. Between two requests \
         cutter-bench looks\nand yields its core: that is CPU too, up to a whole core; \
         `--wait sleep` gives it back, and is late by a wake-up.",
    );
    Ok(())
}

/// The medians of some rounds.
fn row(name: &str, run: impl Fn() -> io::Result<Run>) -> io::Result<()> {
    let runs = (0..ROUNDS).map(|_| run()).collect::<io::Result<Vec<Run>>>()?;
    let of = |figure: fn(&Run) -> f64| median(runs.iter().map(figure));
    print_note(&format!(
        "{name:<25}{:>9.0}{:>11.1}{:>11.1}{:>15.1}",
        of(|run| run.rate_qps),
        of(|run| run.p50_us),
        of(|run| run.p99_us),
        of(|run| run.cpu_us)
    ));
    Ok(())
}

fn ask_oha(oha: &Path, setting: &Setting, words: &[&str]) -> io::Result<Run> {
    let responder = Responder::start(setting)?;
    let mut all = vec![word(oha)];
    let fixed = ["--no-tui", "--output-format", "json", "-m", "POST", "-d", BODY];
    let time = format!("{SECONDS}s");
    let more = ["-c", CONNECTIONS, "-z", &time, "--latency-correction"];
    // Without a rate there is no schedule to count from.
    let more = if words.is_empty() { &more[..4] } else { &more[..] };
    all.extend(fixed.iter().chain(more).chain(words).map(|word| (*word).to_owned()));
    all.push(responder.target("/x"));
    let (text, cpu_us) = timed(setting, &all)?;
    let said: Value = serde_json::from_str(&text)?;
    let of = |pointer: &str| said.pointer(pointer).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let requests = of("/summary/requestsPerSec") * of("/summary/total");
    Ok(Run {
        rate_qps: of("/summary/requestsPerSec"),
        p50_us: of("/latencyPercentiles/p50") * 1e6,
        p99_us: of("/latencyPercentiles/p99") * 1e6,
        cpu_us: cpu_us / requests,
    })
}

fn ask_wrk(wrk: &Path, setting: &Setting) -> io::Result<Run> {
    let responder = Responder::start(setting)?;
    let script = tempfile::NamedTempFile::new()?;
    let done = "done = function(s, l) io.write(string.format('FIGURES %d %d %g %g\\n', \
                s.requests, s.duration, l:percentile(50), l:percentile(99))) end";
    let text = format!("wrk.method = 'POST'\nwrk.body = '{BODY}'\n{done}\n");
    std::fs::write(script.path(), text)?;
    let time = format!("-d{SECONDS}");
    let (path, target) = (word(script.path()), responder.target("/x"));
    let words = [&word(wrk), "-t1", "-c64", &time, "-s", &path, &target];
    let (text, cpu_us) = timed(setting, &words.map(str::to_owned))?;
    let line = text.lines().find_map(|line| line.strip_prefix("FIGURES "));
    let figures = line.unwrap_or_default().split_whitespace().map(|word| word.parse::<f64>());
    let figures: Vec<f64> = figures.collect::<Result<_, _>>().map_err(io::Error::other)?;
    let [requests, duration_us, p50_us, p99_us] = figures[..] else {
        return Err(io::Error::other(format!("wrk said {text:?}")));
    };
    let rate_qps = requests * 1e6 / duration_us;
    Ok(Run { rate_qps, p50_us, p99_us, cpu_us: cpu_us / requests })
}

fn cutter_bench(setting: &Setting, words: &[&str]) -> io::Result<Run> {
    let responder = Responder::start(setting)?;
    let folder = tempfile::tempdir()?;
    let json = folder.path().join("result.json");
    let mut all = vec![word(&setting.bench), "load".to_owned(), "--json".to_owned(), word(&json)];
    let fixed = ["--no-floors", "--warm-up", "none", "--protocol", "raw", "--input", "float32:16"];
    let more = ["--connections", CONNECTIONS, "--seconds", SECONDS];
    let arrivals = ["--arrivals", "constant"];
    let arrivals = if words.contains(&"--closed") { &[][..] } else { &arrivals[..] };
    let cpu = setting.cores.other.to_string();
    all.extend(fixed.iter().chain(&more).chain(arrivals).chain(words).map(|w| (*w).to_owned()));
    all.extend(["--cpu".to_owned(), cpu, responder.target("/x")]);
    let (_, cpu_us) = timed(setting, &all)?;
    let said: Value = serde_json::from_str(&std::fs::read_to_string(&json)?)?;
    let finding = &said["finding"];
    let quantile = |quantile: f64| {
        let all = finding["latency"]["quantiles"].as_array();
        let mut all = all.into_iter().flatten();
        let found = all.find(|found| found["quantile"] == quantile);
        found.and_then(|found| found["value_ns"].as_f64()).map_or(f64::NAN, |ns| ns / 1e3)
    };
    let requests = finding["counts"]["requests"].as_f64().unwrap_or(f64::NAN);
    Ok(Run {
        rate_qps: finding["answered_qps"].as_f64().unwrap_or(f64::NAN),
        p50_us: quantile(0.5),
        p99_us: quantile(0.99),
        cpu_us: cpu_us / requests,
    })
}

/// Runs a command on the core that is not the responder's; gives its standard output and its
/// processor time in µs. An invalid measurement (exit status 3) is one all the same: the machine is
/// what it is, for every tool alike.
fn timed(setting: &Setting, words: &[String]) -> io::Result<(String, f64)> {
    let mut command = Command::new("taskset");
    command.args(["-c", &setting.cores.other.to_string(), "bash"]);
    let script = "TIMEFORMAT='CPU %U %S'; time \"$@\"";
    command.args(["-c", script, "timed"]).args(words).stdin(Stdio::null());
    let output = command.output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let cpu = stderr.lines().find_map(|line| line.strip_prefix("CPU "));
    let seconds = cpu.map(|times| times.split(' ').filter_map(|word| word.parse::<f64>().ok()));
    let (Some(seconds), Some(0 | 3)) = (seconds, output.status.code()) else {
        return Err(io::Error::other(format!("{words:?}: {} {stderr}", output.status)));
    };
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), seconds.sum::<f64>() * 1e6))
}

fn wrk() -> io::Result<PathBuf> {
    if Command::new("wrk").arg("-v").output().is_err() {
        print_note("installing wrk");
        for words in [&["update", "-q"][..], &["install", "-y", "-q", "wrk"]] {
            Command::new("apt-get").args(words).stdout(Stdio::null()).status()?;
        }
    }
    Ok("wrk".into())
}

fn oha(setting: &Setting) -> io::Result<PathBuf> {
    if Command::new("oha").arg("--version").output().is_ok() {
        return Ok("oha".into());
    }
    let target = setting.bench.ancestors().nth(2).unwrap_or(Path::new("target"));
    let root = target.join("peers");
    let oha = root.join("bin/oha");
    if !oha.exists() {
        print_note("installing oha, which takes minutes");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut install = Command::new(cargo);
        install.args(["install", "oha", "--locked", "--quiet", "--root"]).arg(&root);
        let status = install.env("CARGO_TARGET_DIR", root.join("build")).status()?;
        if !status.success() {
            return Err(io::Error::other(format!("oha cannot be installed: {status}")));
        }
    }
    Ok(oha)
}
