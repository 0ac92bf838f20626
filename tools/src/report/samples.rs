//! Result files that look like real ones, for tests: always the same.

use std::collections::BTreeMap;

use crate::capacity::{CapacityResult, DecidedBy, ShareOfBound, StepResult};
use crate::compare::{CompareResult, Verdict};
use crate::load::recording::GeneratorUse;
use crate::result::load::{
    Accuracy, Counts, Distribution, EngineSample, EngineSeries, ModelSample, PlanResult,
    QuantileResult, QuantileState, Slice, Slices, StageResult, Validity, WarmUp,
};
use crate::result::selection::{ArmResult, PolicyResult, StragglersResult};
use crate::result::{
    Environment, Finding, FloorFigure, Floors, Hiccups, LoadResult, ResultFile, SCHEMA,
    SelectionResult, Tool,
};

pub const SECOND_NS: u64 = 1_000_000_000;
const SLICE_NS: u64 = 100_000_000;
const WARM_UP_NS: u64 = 1_200_000_000;
const STALL_AT_NS: u64 = 6_300_000_000;
const STALL_NS: u64 = 100_000_000;
const TIME_LIMIT_NS: u64 = 1_000_000_000;

/// (due, latency; absent: never answered)
type Request = (u64, Option<u64>);

pub fn file(finding: Finding) -> ResultFile {
    ResultFile {
        schema: SCHEMA.into(),
        tool: Tool { name: "cutter-bench".into(), version: "0.1.0".into() },
        started_at: "2026-03-01T12:00:00Z".into(),
        command: ["cutter-bench", "load", "--rate", "20000"].map(str::to_owned).into(),
        environment: Environment {
            kernel: "Linux 6.18.5 x86_64".into(),
            cpu: "A Virtual CPU @ 2.8 GHz".into(),
            cores: 2,
            allowed_cpus: vec![0, 1],
            governor: None,
            virtual_machine: Some(true),
            clock_source: Some("tsc".into()),
            memory_bytes: Some(8 << 30),
            load_average: [0.52, 0.4, 0.31],
            floors: Some(floors()),
        },
        finding,
    }
}

pub fn load_file(rate_qps: f64, slowness: f64) -> ResultFile {
    file(Finding::Load(Box::new(load(rate_qps, slowness))))
}

pub fn floors() -> Floors {
    let figure = |name: &str, meaning: &str, p50_ns: u64| FloorFigure {
        name: name.into(),
        meaning: meaning.into(),
        n: 100_000,
        p50_ns,
        p99_ns: p50_ns * 2,
        p999_ns: Some(p50_ns * 5),
        max_ns: p50_ns * 60,
    };
    let hiccups = |cpu: usize, factor: u64| Hiccups {
        cpu,
        duration_ns: 5 * SECOND_NS,
        lost_ns: 31_000_000 * factor,
        longest_ns: [4_100_000, 3_900_000, 1_200_000, 400_000, 90_000, 33_000]
            .map(|ns| ns * factor)
            .into(),
        counts: vec![(10_000, 420 * factor), (100_000, 31), (1_000_000, 3), (10_000_000, 0)],
    };
    Floors {
        figures: vec![
            figure("cache_line", "one cache line there and back, both spinning", 280),
            figure("futex", "a futex wake there and back, two cores", 70_000),
            figure("tcp_spin", "64 bytes over TCP loopback, both spinning", 5_800),
            figure("tcp_block", "64 bytes over TCP loopback, both blocking", 78_000),
            figure("unix_spin", "64 bytes over a Unix socket, both spinning", 3_900),
        ],
        hiccups: vec![hiccups(0, 1), hiccups(1, 3)],
    }
}

/// Ten seconds against a server of two kinds of answers that stalls once, for 100 ms.
pub fn load(rate_qps: f64, slowness: f64) -> LoadResult {
    let requests = requests(rate_qps, slowness);
    let kept: Vec<Request> =
        requests.iter().copied().filter(|(due, _)| *due >= WARM_UP_NS).collect();
    let failed = kept.iter().filter(|(_, latency)| latency.is_none()).count() as u64;
    let latency = distribution(&kept);
    let n = kept.len() as u64;
    let duration_ns = 10 * SECOND_NS - WARM_UP_NS;
    let lags: Vec<Request> =
        kept.iter().map(|(due, ns)| (*due, Some(200 + ns.unwrap_or(0) % 700))).collect();
    let answered_qps = (n - failed) as f64 * 1e9 / duration_ns as f64;
    LoadResult {
        target: "http://127.0.0.1:1337/digits/predict".into(),
        plan: plan(rate_qps),
        validity: Validity {
            valid: true,
            reasons: vec![],
            warnings: vec!["the machine is a virtual one; its clock may stand still".into()],
        },
        ended_early: false,
        warm_up: WarmUp {
            method: "mser".into(),
            requests: requests.len() as u64 - n,
            duration_ns: WARM_UP_NS,
            stationary: true,
        },
        counts: Counts {
            requests: n,
            answered: (n - failed).saturating_sub(31),
            defaults: 31,
            default_reasons: BTreeMap::from([("deadline".into(), 29), ("queue_full".into(), 2)]),
            http_errors: 2,
            http_statuses: BTreeMap::from([(503, 2)]),
            timed_out: failed.saturating_sub(2),
            broken: 0,
            blocked: 12,
            reopened: 3,
            first_error: Some("503 Service Unavailable".into()),
        },
        duration_ns,
        offered_qps: n as f64 * 1e9 / duration_ns as f64,
        answered_qps,
        goodput_qps: Some(answered_qps * 0.994),
        slo_ns: Some(20_000_000),
        accuracy: Some(Accuracy { checked: n - failed, correct: (n - failed) * 96 / 100 }),
        latency,
        send_lag: distribution(&lags),
        generator: GeneratorUse {
            cpu_ns: 9_800_000_000,
            busy_ns: 1_200_000_000,
            system_calls: 812_345,
            longest_gap_ns: 3_400_000,
            gaps_over_1ms: 4,
            delayed_ns: Some(12_000_000),
        },
        slices: slices(&requests),
        engine: Some(engine()),
    }
}

fn plan(rate_qps: f64) -> PlanResult {
    PlanResult {
        loop_kind: "open".into(),
        arrivals: Some("poisson".into()),
        rate_qps: Some(rate_qps),
        seconds: Some(10.0),
        requests: None,
        connections: 32,
        pipeline: 1,
        time_limit_ns: TIME_LIMIT_NS,
        seed: 7,
        protocol: "clipper".into(),
        input: "digits".into(),
        bodies: 1_797,
        request_bytes: 3_412,
        wait: "spin".into(),
        cpu: Some(1),
    }
}

fn requests(rate_qps: f64, slowness: f64) -> Vec<Request> {
    let mut state = 42_u64;
    let mut uniform = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 11) as f64 / (1_u64 << 53) as f64).max(1e-12)
    };
    let mut all = Vec::new();
    let mut due = 0.0;
    while due < 10e9 {
        due += -uniform().ln() / rate_qps * 1e9;
        let slow = uniform() < 0.04;
        let base = if slow { 600_000.0 } else { 45_000.0 } * slowness;
        let spread = (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
        let cold =
            if due < WARM_UP_NS as f64 { 3.0 * (1.0 - due / WARM_UP_NS as f64) } else { 0.0 };
        let mut ns = base * (spread * 0.25 + cold).exp();
        let stall_end = (STALL_AT_NS + STALL_NS) as f64;
        let stalled = due >= STALL_AT_NS as f64 && due < stall_end;
        ns += if stalled { stall_end - due } else { 0.0 };
        let fails = stalled && uniform() < 0.02;
        all.push((whole(due), (!fails).then(|| whole(ns))));
    }
    all
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times of a test")]
fn whole(value: f64) -> u64 {
    value as u64
}

fn distribution(requests: &[Request]) -> Distribution {
    let mut sorted: Vec<u64> = requests.iter().filter_map(|(_, latency)| *latency).collect();
    sorted.sort_unstable();
    let n = requests.len();
    let rank = |q: f64| usize::try_from(whole((q * n as f64).ceil())).unwrap().clamp(1, n) - 1;
    let quantile = |q: f64| {
        let needs = whole((3.0 / (1.0 - q)).ceil());
        let reach = 2.0 * (q * (1.0 - q) / n as f64).sqrt();
        let supported = n as u64 >= needs;
        let value_ns = sorted.get(rank(q)).copied().filter(|_| supported);
        let state = match (supported, value_ns) {
            (false, _) => QuantileState::Unsupported,
            (true, Some(_)) => QuantileState::Measured,
            (true, None) => QuantileState::Failed,
        };
        QuantileResult {
            quantile: q,
            value_ns,
            low_ns: value_ns.and(sorted.get(rank(q - reach)).copied()),
            high_ns: value_ns.and(sorted.get(rank((q + reach).min(1.0))).copied()),
            state,
            needs,
        }
    };
    let curve = (0..=160).map(|i| 1.0 - 10_f64.powf(-f64::from(i) / 40.0));
    let curve = curve.filter_map(|q| Some((q, *sorted.get(rank(q))?)));
    Distribution {
        count: n as u64,
        failed: (n - sorted.len()) as u64,
        min_ns: sorted.first().copied().unwrap_or(0),
        mean_ns: sorted.iter().sum::<u64>() as f64 / sorted.len().max(1) as f64,
        max_ns: sorted.last().copied().unwrap_or(0),
        quantiles: [0.5, 0.9, 0.99, 0.999, 0.9999, 0.999_999].map(quantile).into(),
        curve: curve.collect(),
        histogram: String::new(),
    }
}

fn slices(requests: &[Request]) -> Slices {
    let edges_ns: Vec<u64> = (0..96).map(|i| whole(1e3 * 2_f64.powf(f64::from(i) / 4.0))).collect();
    let slice = |index: u64| {
        let start_ns = index * SLICE_NS;
        let own = requests.iter().filter(|(due, _)| due / SLICE_NS == index);
        let mut sorted: Vec<u64> = own.clone().filter_map(|(_, latency)| *latency).collect();
        sorted.sort_unstable();
        let mut heat = BTreeMap::<usize, u64>::new();
        for ns in &sorted {
            *heat.entry(edges_ns.partition_point(|edge| edge <= ns).max(1) - 1).or_default() += 1;
        }
        let n = own.count();
        Slice {
            start_ns,
            requests: n as u64,
            failed: (n - sorted.len()) as u64,
            defaults: 0,
            p50_ns: sorted.get(n / 2).copied(),
            p99_ns: sorted.get(n * 99 / 100).copied(),
            max_ns: sorted.last().copied(),
            heat: heat.into_iter().collect(),
            is_warm_up: start_ns < WARM_UP_NS,
        }
    };
    let slices = (0..100).map(slice).collect();
    Slices { slice_ns: SLICE_NS, edges_ns, slices }
}

fn engine() -> EngineSeries {
    let stage = |name: &str, p50_ns: u64| StageResult {
        name: name.into(),
        p50_ns,
        p99_ns: p50_ns * 7 / 2,
        mean_ns: p50_ns as f64 * 1.2,
    };
    let sample = |index: u64| EngineSample {
        at_ns: index * 250_000_000,
        models: vec![ModelSample {
            model: "softmax:1".into(),
            queued: (index * 7_919) % 13 + if index == 25 { 180 } else { 0 },
            batch_mean: (index != 26).then(|| 2.0 + (index * 31 % 17) as f64 / 4.0),
            limits: vec![1 + index.min(20) * 2, 1 + index.min(16) * 2],
        }],
    };
    EngineSeries {
        stages: vec![
            stage("parse", 5_600),
            stage("queue", 9_100),
            stage("batch", 1_300),
            stage("model", 21_000),
            stage("reply", 3_400),
        ],
        samples: (0..40).map(sample).collect(),
    }
}

/// Files of every kind, the poorest ones included.
pub fn all() -> Vec<ResultFile> {
    let mut bare = file(Finding::Load(Box::new(empty_load())));
    bare.environment = Environment { cores: 1, ..Environment::default() };
    vec![
        load_file(2_000.0, 1.0),
        bare,
        file(Finding::Load(Box::new(failed_load()))),
        file(Finding::Floor(floors())),
        file(Finding::Floor(Floors::default())),
        file(Finding::Capacity(Box::new(capacity()))),
        file(Finding::Compare(Box::new(compare()))),
        file(Finding::Selection(Box::new(selection()))),
    ]
}

/// Two policies over two models, of which the better one fails in the middle.
pub fn selection() -> SelectionResult {
    let policy = |name: &str, shares: [[f64; 3]; 2]| PolicyResult {
        name: name.into(),
        accuracy: 0.9,
        phases: [0.95, 0.8, 0.95],
        over_time: vec![0.95, 0.8, 0.95],
        shares: shares.map(Vec::from).into(),
    };
    let arm = |model: &str, accuracy: f64, phases: [f64; 3]| ArmResult {
        model: model.into(),
        accuracy,
        phases,
        over_time: phases.into(),
    };
    SelectionResult {
        queries: 3_000,
        failing: "large".into(),
        failing_from: 1_000,
        failing_until: 2_000,
        window: 1_000,
        policies: vec![
            policy("exp3", [[0.3, 0.9, 0.5], [0.7, 0.1, 0.5]]),
            policy("exp4", [[0.1, 0.9, 0.2], [0.9, 0.1, 0.8]]),
        ],
        arms: vec![arm("small", 0.8, [0.8; 3]), arm("large", 0.68, [0.97, 0.1, 0.97])],
        stragglers: StragglersResult {
            model: "large".into(),
            slo_ns: 20_000_000,
            queries: 500,
            in_time: 500,
            p50_ns: 350_000,
            p99_ns: 20_100_000,
            max_ns: 20_300_000,
            asked: 102,
            missing: 102,
            confidence: 0.7,
            unsure_below: 0.6,
            sure: 441,
            sure_correct: 424,
            unsure: 59,
            unsure_correct: 29,
        },
    }
}

/// A run that was ended before its first request.
pub fn empty_load() -> LoadResult {
    let nothing = || Distribution {
        count: 0,
        failed: 0,
        min_ns: 0,
        mean_ns: 0.0,
        max_ns: 0,
        quantiles: vec![QuantileResult {
            quantile: 0.5,
            value_ns: None,
            low_ns: None,
            high_ns: None,
            state: QuantileState::Unsupported,
            needs: 6,
        }],
        curve: vec![],
        histogram: String::new(),
    };
    LoadResult {
        plan: PlanResult {
            loop_kind: "closed".into(),
            arrivals: None,
            rate_qps: None,
            seconds: None,
            requests: Some(1_000),
            cpu: None,
            ..plan(1.0)
        },
        validity: Validity {
            valid: false,
            reasons: vec!["no request was sent".into()],
            warnings: vec![],
        },
        ended_early: true,
        warm_up: WarmUp { method: "none".into(), requests: 0, duration_ns: 0, stationary: false },
        counts: Counts::default(),
        duration_ns: 0,
        offered_qps: 0.0,
        answered_qps: 0.0,
        goodput_qps: None,
        slo_ns: None,
        accuracy: None,
        latency: nothing(),
        send_lag: nothing(),
        generator: GeneratorUse::default(),
        slices: Slices::default(),
        engine: None,
        ..load(200.0, 1.0)
    }
}

/// A run of which nothing was answered, in a single slice.
pub fn failed_load() -> LoadResult {
    let requests: Vec<Request> = (0..1_000).map(|i| (i * 50_000, None)).collect();
    let slices = slices(&requests);
    LoadResult {
        validity: Validity {
            valid: false,
            reasons: vec!["1,000 of 1,000 requests were never answered".into()],
            warnings: vec!["the warm-up could not be told".into()],
        },
        counts: Counts { requests: 1_000, timed_out: 1_000, ..Counts::default() },
        answered_qps: 0.0,
        accuracy: Some(Accuracy { checked: 0, correct: 0 }),
        latency: distribution(&requests),
        slices: Slices { slices: slices.slices[..1].to_vec(), ..slices },
        engine: Some(EngineSeries::default()),
        ..load(200.0, 1.0)
    }
}

pub fn capacity() -> CapacityResult {
    let step = |rate_qps: f64, quantile_ns: u64| StepResult {
        rate_qps,
        passed: quantile_ns <= 5_000_000,
        decided_by: DecidedBy::Sequential,
        requests: 20_000,
        over_slo: (quantile_ns / 50_000).min(20_000),
        defaults: 3,
        failed: 0,
        quantile_ns: (quantile_ns < 1_000_000_000).then_some(quantile_ns),
        duration_ns: 2_000_000_000,
        chunks: 4,
        settle_ns: 750_000_000,
        settled: true,
    };
    CapacityResult {
        target: "http://127.0.0.1:1337/digits/predict".into(),
        slo_ns: 5_000_000,
        quantile: 0.99,
        defaults_share_max: 0.01,
        arrivals: "poisson".into(),
        highest_pass_qps: Some(38_000.0),
        lowest_fail_qps: Some(39_000.0),
        limited_by_generator: false,
        bound: Some(ShareOfBound {
            model: "softmax:1".into(),
            fixed_ns: 210_000.0,
            per_row_ns: 20_500.0,
            r_squared: 0.97,
            overhead_ns: 12_000,
            replicas: 1,
            bound_qps: 43_500.0,
            share: 0.874,
        }),
        steps: vec![
            step(1_000.0, 310_000),
            step(2_000.0, 330_000),
            step(4_000.0, 350_000),
            step(8_000.0, 420_000),
            step(16_000.0, 610_000),
            step(32_000.0, 1_900_000),
            step(64_000.0, 2_000_000_000),
            step(48_000.0, 88_000_000),
            step(40_000.0, 9_400_000),
            step(36_000.0, 3_200_000),
            step(38_000.0, 4_300_000),
            step(39_000.0, 6_100_000),
            StepResult { decided_by: DecidedBy::Generator, ..step(38_500.0, 9_000_000) },
        ],
    }
}

pub fn compare() -> CompareResult {
    let runs = |median: f64| -> Vec<f64> {
        [-0.021, 0.004, 0.013, -0.008, 0.0, 0.019, -0.002, 0.007, 0.0]
            .map(|off| median * (1.0 + off))
            .into()
    };
    CompareResult {
        a: "cutter-bench load http://127.0.0.1:1337/a --rate 5000".into(),
        b: "cutter-bench load http://127.0.0.1:1338/b --rate 5000".into(),
        metric: "p99".into(),
        unit: "ns".into(),
        runs_a: runs(812_000.0),
        runs_b: runs(853_000.0),
        median_a: 812_000.0,
        median_b: 853_000.0,
        ratio: 1.0505,
        ratio_low: 1.034,
        ratio_high: 1.066,
        p_value: 0.0004,
        effect_size: 0.97,
        least_effect: 0.02,
        resolution: 0.016,
        verdict: Verdict::Slower,
    }
}
