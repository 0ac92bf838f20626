//! The words and tables of the page.

use super::html::{Page, Tone};
use super::numbers::{NOTHING, bytes, count, number, quantile, rate, share, time, time_or_nothing};
use super::plot::shortened;
use crate::capacity::{CapacityResult, DecidedBy, StepResult};
use crate::compare::{CompareResult, Verdict};
use crate::result::load::{Distribution, QuantileResult, QuantileState};
use crate::result::{Environment, Finding, Floors, Hiccups, LoadResult, ResultFile};

const TARGET_CHARACTERS_MAX: usize = 60;

/// A load run in a legend: its place on the page, and what sets it apart.
#[must_use]
pub fn label(at: usize, load: &LoadResult) -> String {
    let target = shortened(&load.target, TARGET_CHARACTERS_MAX);
    format!("{}: {target}, {}", at + 1, schedule(load))
}

#[must_use]
pub fn heading(at: usize, result: &ResultFile) -> String {
    let what = match &result.finding {
        Finding::Load(load) => format!("load on {}", load.target),
        Finding::Floor(_) => "floor".to_owned(),
        Finding::Capacity(capacity) => format!("capacity of {}", capacity.target),
        Finding::Compare(compare) => format!("compare {} with {}", compare.a, compare.b),
        Finding::Selection(_) => "policies that learn".to_owned(),
    };
    format!("{}: {what}", at + 1)
}

/// All results in one table, when there are several.
pub fn overview(page: &mut Page, results: &[ResultFile]) {
    if results.is_empty() {
        page.paragraph("There are no results.");
    }
    let row = |(at, result): (usize, &ResultFile)| {
        let mut row = vec![heading(at, result)];
        row.extend(match &result.finding {
            Finding::Load(load) => load_summary(load),
            Finding::Floor(_) => vec![],
            Finding::Capacity(capacity) => vec![super::capacity::answer(capacity)],
            Finding::Compare(compare) => vec![verdict_words(compare.verdict).to_owned()],
            Finding::Selection(selection) => vec![super::selection::answer(selection)],
        });
        // Rates and quantiles are of loads alone.
        row.resize(LOAD_SUMMARY.len() + 1, String::new());
        row
    };
    if results.len() > 1 {
        let head: Vec<&str> = [&["result"], &LOAD_SUMMARY[..]].concat();
        let rows: Vec<Vec<String>> = results.iter().enumerate().map(row).collect();
        page.table("Results", &head, &rows);
    }
}

/// The verdict, and everything that was counted.
pub fn load(page: &mut Page, load: &LoadResult) {
    let validity = &load.validity;
    let (tone, verdict) =
        if validity.valid { (Tone::Good, "VALID") } else { (Tone::Bad, "INVALID") };
    page.verdict(tone, verdict, &validity.reasons);
    page.list("warnings", &validity.warnings);
    page.table("Latency, from when a request was due", &QUANTILE_HEAD, &quantiles(&load.latency));
    page.open_row();
    page.table("Rates", &[], &rates(load));
    page.table("Extremes and warm-up", &[], &extremes(load));
    page.table("Requests", &[], &counts(load));
    page.close_row();
}

/// What a search found, and its steps.
pub fn capacity(page: &mut Page, capacity: &CapacityResult) {
    let mut notes = Vec::new();
    if capacity.limited_by_generator {
        notes.push(
            "the generator could not keep the next rate: the capacity may be higher".to_owned(),
        );
    }
    page.verdict(Tone::Neutral, &super::capacity::answer(capacity), &notes);
    let rows = [
        ("arrivals", capacity.arrivals.clone()),
        ("defaults at most", share_of(capacity.defaults_share_max)),
    ];
    page.table("Asked for", &[], &named(rows));
    let row = |(index, step): (usize, &StepResult)| {
        vec![
            (index + 1).to_string(),
            rate(step.rate_qps),
            super::capacity::outcome(step).to_owned(),
            decided_by(step.decided_by).to_owned(),
            time_or_nothing(step.quantile_ns),
            count(step.requests),
            share(step.over_slo, step.requests),
            share(step.defaults, step.requests),
            share(step.failed, step.requests),
        ]
    };
    let quantile = quantile(capacity.quantile);
    let head =
        ["step", "rate", "", "decided by", &quantile, "requests", "over SLO", "defaults", "failed"];
    let rows: Vec<_> = capacity.steps.iter().enumerate().map(row).collect();
    page.table("Steps", &head, &rows);
}

/// The verdict of a comparison, and what it rests on.
pub fn compare(page: &mut Page, compare: &CompareResult) {
    let tone = match compare.verdict {
        Verdict::Faster => Tone::Good,
        Verdict::Slower => Tone::Bad,
        Verdict::NoDifference | Verdict::TooNoisy => Tone::Neutral,
    };
    page.verdict(tone, verdict_words(compare.verdict), &[]);
    let of = |value: f64| super::compare::value(compare, value);
    let rows = [
        ("A", compare.a.clone()),
        ("B", compare.b.clone()),
        ("compared by", compare.metric.clone()),
        ("runs", format!("{} of A, {} of B", compare.runs_a.len(), compare.runs_b.len())),
        ("median of A", of(compare.median_a)),
        ("median of B", of(compare.median_b)),
        ("B over A", super::compare::ratio_words(compare)),
        ("p (Mann-Whitney)", number(compare.p_value)),
        ("effect size (Cliff's delta)", number(compare.effect_size)),
        ("least difference that counts", share_of(compare.least_effect)),
        ("difference that these runs resolve", share_of(compare.resolution)),
    ];
    page.table("Comparison", &[], &named(rows));
}

/// What was asked for, and how the generator did.
pub fn plan(page: &mut Page, load: &LoadResult) {
    let plan = &load.plan;
    let optional = |value: Option<String>| value.unwrap_or_else(|| NOTHING.to_owned());
    let rows = [
        ("loop", plan.loop_kind.clone()),
        ("arrivals", optional(plan.arrivals.clone())),
        ("rate", optional(plan.rate_qps.map(rate))),
        ("length", optional(plan.seconds.map(|seconds| time(seconds * 1e9)))),
        ("requests at most", optional(plan.requests.map(count))),
        ("connections", plan.connections.to_string()),
        ("pipeline", plan.pipeline.to_string()),
        ("time limit", time(plan.time_limit_ns as f64)),
        ("protocol", plan.protocol.clone()),
        ("input", plan.input.clone()),
        ("different requests", count(plan.bodies as u64)),
        ("size of a request", bytes(plan.request_bytes)),
        ("seed", plan.seed.to_string()),
        ("waiting", plan.wait.clone()),
        ("core of the generator", optional(plan.cpu.map(|cpu| cpu.to_string()))),
    ];
    page.table("Plan", &[], &named(rows));
    let generator = &load.generator;
    let lag = |q: f64| {
        let found = load.send_lag.quantiles.iter().find(|one| (one.quantile - q).abs() < 1e-9);
        time_or_nothing(found.and_then(|one| one.value_ns))
    };
    let rows = [
        ("send lag p50", lag(0.5)),
        ("send lag p99", lag(0.99)),
        ("send lag p99.9", lag(0.999)),
        ("processor time", time(generator.cpu_ns as f64)),
        ("work per request", per_request(generator.busy_ns, load.counts.requests)),
        ("processor time per request", per_request(generator.cpu_ns, load.counts.requests)),
        ("system calls", count(generator.system_calls)),
        ("longest gap", time(generator.longest_gap_ns as f64)),
        ("gaps of more than 1 ms", count(generator.gaps_over_1ms)),
        ("its core ran others for", optional(generator.delayed_ns.map(|ns| time(ns as f64)))),
    ];
    page.table("The generator itself", &[], &named(rows));
}

/// Where and how the result was made.
pub fn machine(page: &mut Page, result: &ResultFile) {
    let environment = &result.environment;
    let rows = [
        ("started", result.started_at.clone()),
        ("made by", format!("{} {}", result.tool.name, result.tool.version)),
        ("command", result.command.join(" ")),
        ("kernel", or_unknown(Some(environment.kernel.clone()))),
        ("CPU", or_unknown(Some(environment.cpu.clone()))),
        ("cores", cores(environment)),
        ("governor", or_unknown(environment.governor.clone())),
        ("virtual machine", or_unknown(environment.virtual_machine.map(yes_or_no))),
        ("clock", or_unknown(environment.clock_source.clone())),
        ("memory", or_unknown(environment.memory_bytes.map(bytes))),
        ("load average", environment.load_average.map(number).join(" ")),
    ];
    page.table("Machine", &[], &named(rows));
}

/// The floors in numbers.
pub fn floors(page: &mut Page, floors: &Floors) {
    if floors.figures.is_empty() && floors.hiccups.is_empty() {
        page.paragraph("Nothing was measured.");
    }
    let row = |figure: &crate::result::FloorFigure| {
        vec![
            format!("{} ({})", figure.name, figure.meaning),
            count(figure.n),
            time(figure.p50_ns as f64),
            time(figure.p99_ns as f64),
            time_or_nothing(figure.p999_ns),
            time(figure.max_ns as f64),
        ]
    };
    let rows: Vec<_> = floors.figures.iter().map(row).collect();
    page.table("Floors", &["floor", "times", "p50", "p99", "p99.9", "slowest"], &rows);
    let row = |core: &Hiccups| {
        let longest = core.longest_ns.first().copied();
        vec![
            format!("core {}", core.cpu),
            time(core.duration_ns as f64),
            share(core.lost_ns, core.duration_ns),
            time_or_nothing(longest),
            core.counts.iter().map(gaps).collect::<Vec<_>>().join(", "),
        ]
    };
    let rows: Vec<_> = floors.hiccups.iter().map(row).collect();
    page.table("Hiccups", &["core", "watched", "lost", "longest", "gaps"], &rows);
}

const LOAD_SUMMARY: [&str; 7] = ["verdict", "offered", "answered", "failed", "p50", "p99", "p99.9"];
const QUANTILE_HEAD: [&str; 4] = ["quantile", "latency", "95 % interval", "requests needed"];

fn load_summary(load: &LoadResult) -> Vec<String> {
    let of = |q: f64| {
        let found = load.latency.quantiles.iter().find(|one| (one.quantile - q).abs() < 1e-9);
        found.map_or_else(|| NOTHING.to_owned(), short_value)
    };
    let verdict = if load.validity.valid { "VALID" } else { "INVALID" };
    let failed = share(load.latency.failed, load.latency.count);
    let rates = [rate(load.offered_qps), rate(load.answered_qps)];
    [&[verdict.to_owned()][..], &rates, &[failed, of(0.5), of(0.99), of(0.999)]].concat()
}

fn schedule(load: &LoadResult) -> String {
    let plan = &load.plan;
    match (&plan.arrivals, plan.rate_qps) {
        (Some(arrivals), Some(qps)) => format!("{arrivals} {}", rate(qps)),
        (Some(arrivals), None) => arrivals.clone(),
        (None, _) => format!("{} loop, {} connections", plan.loop_kind, plan.connections),
    }
}

fn quantiles(latency: &Distribution) -> Vec<Vec<String>> {
    let row = |one: &QuantileResult| {
        let interval = match (one.state, one.low_ns, one.high_ns) {
            (QuantileState::Measured, Some(low), Some(high)) => {
                format!("{} to {}", time(low as f64), time(high as f64))
            }
            (QuantileState::Measured, Some(low), None) => {
                format!("{} to beyond the slowest", time(low as f64))
            }
            _ => NOTHING.to_owned(),
        };
        let value = value_of(one, latency.count);
        vec![quantile(one.quantile), value, interval, count(one.needs)]
    };
    latency.quantiles.iter().map(row).collect()
}

fn value_of(one: &QuantileResult, requests: u64) -> String {
    match one.state {
        QuantileState::Measured => time_or_nothing(one.value_ns),
        QuantileState::Unsupported => {
            format!("needs {} requests, there were {}", count(one.needs), count(requests))
        }
        QuantileState::Failed => "never answered".to_owned(),
    }
}

fn short_value(one: &QuantileResult) -> String {
    match one.state {
        QuantileState::Measured => time_or_nothing(one.value_ns),
        QuantileState::Unsupported => format!("needs {}", count(one.needs)),
        QuantileState::Failed => "failed".to_owned(),
    }
}

fn rates(load: &LoadResult) -> Vec<Vec<String>> {
    let mut rows =
        vec![("offered", rate(load.offered_qps)), ("answered as asked", rate(load.answered_qps))];
    if let (Some(goodput_qps), Some(slo_ns)) = (load.goodput_qps, load.slo_ns) {
        rows.push(("within the SLO", rate(goodput_qps)));
        rows.push(("SLO", time(slo_ns as f64)));
    }
    if let Some(accuracy) = load.accuracy {
        let checked = format!(
            "{} ({} of {})",
            share(accuracy.correct, accuracy.checked),
            count(accuracy.correct),
            count(accuracy.checked)
        );
        rows.push(("correct", checked));
    }
    rows.push(("measured for", time(load.duration_ns as f64)));
    if load.ended_early {
        rows.push(("ended", "before its schedule was".to_owned()));
    }
    named(rows)
}

fn counts(load: &LoadResult) -> Vec<Vec<String>> {
    let counts = &load.counts;
    let part = |value: u64| match value {
        0 => "0".to_owned(),
        _ => format!("{} ({})", count(value), share(value, counts.requests)),
    };
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut rows = vec![
        row("due", count(counts.requests)),
        row("answered as asked", part(counts.answered)),
        row("answered with the default", part(counts.defaults)),
    ];
    rows.extend(counts.default_reasons.iter().map(|(why, n)| row(&format!("· {why}"), count(*n))));
    rows.push(row("HTTP errors", part(counts.http_errors)));
    rows.extend(
        counts.http_statuses.iter().map(|(status, n)| row(&format!("· {status}"), count(*n))),
    );
    rows.push(row("timed out", part(counts.timed_out)));
    rows.push(row("broken", part(counts.broken)));
    rows.push(row("had to wait for a connection", part(counts.blocked)));
    rows.push(row("connections opened again", count(counts.reopened)));
    rows.extend(counts.first_error.iter().map(|error| row("first error", error.clone())));
    rows
}

fn extremes(load: &LoadResult) -> Vec<Vec<String>> {
    let latency = &load.latency;
    let answered = latency.count > latency.failed;
    let of_answered = |ns: f64| if answered { time(ns) } else { NOTHING.to_owned() };
    let warm_up = &load.warm_up;
    named([
        ("fastest answer", of_answered(latency.min_ns as f64)),
        ("mean of answers", of_answered(latency.mean_ns)),
        ("slowest answer", of_answered(latency.max_ns as f64)),
        ("warm-up", format!("{} ({})", time(warm_up.duration_ns as f64), warm_up.method)),
        ("requests in the warm-up", count(warm_up.requests)),
        ("alike from beginning to end", yes_or_no(warm_up.stationary)),
    ])
}

fn decided_by(by: DecidedBy) -> &'static str {
    match by {
        DecidedBy::Sequential => "sequential test",
        DecidedBy::Cap => "what was found in the end",
        DecidedBy::Defaults => "too many defaults",
        DecidedBy::Generator => "generator too slow",
    }
}

fn verdict_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Faster => "B is faster",
        Verdict::Slower => "B is slower",
        Verdict::NoDifference => "no difference seen",
        Verdict::TooNoisy => "too noisy to tell",
    }
}

fn share_of(part: f64) -> String {
    format!("{} %", number(part * 100.0))
}

fn per_request(cpu_ns: u64, requests: u64) -> String {
    if requests == 0 { NOTHING.to_owned() } else { time(cpu_ns as f64 / requests as f64) }
}

fn cores(environment: &Environment) -> String {
    let allowed: Vec<String> = environment.allowed_cpus.iter().map(usize::to_string).collect();
    if allowed.is_empty() {
        environment.cores.to_string()
    } else {
        format!("{}, allowed: {}", environment.cores, allowed.join(" "))
    }
}

fn gaps((ns, gaps): &(u64, u64)) -> String {
    format!("{} of {} or more", count(*gaps), super::numbers::time_tick(*ns as f64))
}

fn or_unknown(value: Option<String>) -> String {
    value.filter(|value| !value.is_empty()).unwrap_or_else(|| "not known".to_owned())
}

fn yes_or_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

fn named(rows: impl IntoIterator<Item = (&'static str, String)>) -> Vec<Vec<String>> {
    rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect()
}
