use std::convert::Infallible;

use super::*;
use crate::random::Random;
use crate::stats::{inflation, rank, whole};

const SERVICE_NS: f64 = 100_000.0;
const SLO_NS: u64 = 2_000_000;

fn settings() -> CapacitySettings {
    CapacitySettings {
        target: "a queue".into(),
        arrivals: "poisson".into(),
        slo_ns: SLO_NS,
        quantile: 0.99,
        defaults_share_max: 0.01,
        start_qps: 1_000.0,
        lowest_qps: 10.0,
        highest_qps: 1e6,
        precision: CapacitySettings::PRECISION,
        margin: CapacitySettings::MARGIN,
        chunks_max: CapacitySettings::CHUNKS_MAX,
        slices_max: 0,
    }
}

/// A chunk of a server with one queue and a constant service time, under Poisson arrivals.
fn queue(rate_qps: f64, requests: usize, random: &mut Random) -> Chunk {
    let settled = 2_000;
    let mut wait_ns = 0.0;
    let mut next = || {
        let latency_ns = wait_ns + SERVICE_NS;
        wait_ns = (latency_ns - random.exponential(1e9 / rate_qps)).max(0.0);
        whole(latency_ns)
    };
    let mut latencies_ns: Vec<u64> =
        (0..settled + requests).map(|_| next()).skip(settled).collect();
    let inflation = inflation(&latencies_ns, SLO_NS);
    let over_slo = latencies_ns.iter().filter(|&&ns| ns > SLO_NS).count() as u64;
    let at = usize::try_from(rank(0.99, requests as u64)).unwrap() - 1;
    let (_, quantile_ns, _) = latencies_ns.select_nth_unstable(at);
    Chunk {
        requests: requests as u64,
        over_slo,
        defaults: 0,
        failed: 0,
        quantile_ns: Some(*quantile_ns),
        inflation,
        is_valid: true,
        duration_ns: 2_000_000_000,
        limit_rows: None,
    }
}

/// The chance that a request of such a queue waits for longer than `services` service times
/// (Erlang 1909, as in Tijms, "A First Course in Stochastic Models", section 9.6).
fn waits_longer(load: f64, services: f64) -> f64 {
    let mut sum = 0.0;
    let mut k = 0.0;
    let mut factorial = 1.0;
    while k <= services {
        let x = load * (k - services);
        sum += x.powf(k) / factorial * (-x).exp();
        k += 1.0;
        factorial *= k;
    }
    1.0 - (1.0 - load) * sum
}

fn true_capacity_qps() -> f64 {
    let services = SLO_NS as f64 / SERVICE_NS - 1.0;
    let (mut low, mut high) = (0.5, 0.999);
    for _ in 0..50 {
        let load = (low + high) / 2.0;
        let passes = waits_longer(load, services) <= 0.01;
        (low, high) = if passes { (load, high) } else { (low, load) };
    }
    low * 1e9 / SERVICE_NS
}

/// Searches a server whose chunks depend on the rate alone.
fn search_of(settings: &CapacitySettings, server: impl Fn(f64) -> Chunk) -> CapacityResult {
    search(settings, |run| Ok::<_, Infallible>(server(run.rate_qps)), |_| {}).unwrap()
}

/// Keeps the SLO below this rate, and not above.
fn edge(capacity_qps: f64) -> impl Fn(f64) -> Chunk {
    move |rate_qps| Chunk {
        requests: 5_000,
        over_slo: if rate_qps <= capacity_qps { 0 } else { 500 },
        defaults: 0,
        failed: 0,
        quantile_ns: Some(whole(rate_qps)),
        inflation: 2.0,
        is_valid: true,
        duration_ns: 1_000,
        limit_rows: None,
    }
}

#[test]
fn the_interval_holds_the_true_capacity_of_a_queue() {
    let capacity_qps = true_capacity_qps();
    assert!((8_600.0..9_200.0).contains(&capacity_qps), "{capacity_qps}");
    let settings = CapacitySettings { margin: 0.15, chunks_max: 60, ..settings() };
    let holds = |seed: &u64| {
        let mut random = Random::new(*seed);
        let run = |run: Run| Ok::<_, Infallible>(queue(run.rate_qps, 20_000, &mut random));
        let found = search(&settings, run, |_| {}).unwrap();
        let (pass, fail) = (found.highest_pass_qps.unwrap(), found.lowest_fail_qps.unwrap());
        assert!(fail / pass <= 1.05, "{pass} {fail}");
        (pass..fail).contains(&capacity_qps)
    };
    let held = (0..20).filter(holds).count();
    assert!(held >= 18, "{held} of 20");
}

#[test]
fn with_the_settings_that_people_get_the_capacity_is_found_within_five_percent() {
    let capacity_qps = true_capacity_qps();
    for seed in 100..120 {
        let mut random = Random::new(seed);
        let run = |run: Run| Ok::<_, Infallible>(queue(run.rate_qps, 20_000, &mut random));
        let found = search(&settings(), run, |_| {}).unwrap();
        let (pass, fail) = (found.highest_pass_qps.unwrap(), found.lowest_fail_qps.unwrap());
        let off = (pass * fail).sqrt() / capacity_qps - 1.0;
        assert!(off.abs() < 0.05, "{off} of seed {seed}");
    }
}

#[test]
fn a_search_doubles_then_halves_the_interval() {
    let found = search_of(&settings(), edge(5_000.0));
    let rates: Vec<u64> = found.steps.iter().map(|step| whole(step.rate_qps.round())).collect();
    assert_eq!(rates, [1_000, 2_000, 4_000, 8_000, 5_657, 4_757, 5_187, 4_967]);
    assert_eq!(found.highest_pass_qps.unwrap().round(), 4_967.0);
    assert_eq!(found.lowest_fail_qps.unwrap().round(), 5_187.0);
    assert!(found.steps.iter().all(|step| step.chunks == 2));
    assert!(found.steps.iter().all(|step| step.decided_by == DecidedBy::Sequential));
    assert_eq!(found.steps[0].quantile_ns, Some(1_000));
    assert_eq!(found.to_string(), "p99 within 2 ms: 4967 requests/s pass, 5187 requests/s fail");
}

#[test]
fn a_search_that_starts_too_high_halves_its_rate_down_to_the_lowest() {
    let found = search_of(&settings(), edge(300.0));
    assert_eq!(found.steps[1].rate_qps, 500.0);
    assert_eq!(found.steps[2].rate_qps, 250.0);
    assert!((found.highest_pass_qps.unwrap()..found.lowest_fail_qps.unwrap()).contains(&300.0));
    let none = search_of(&settings(), edge(1.0));
    assert_eq!((none.highest_pass_qps, none.lowest_fail_qps), (None, Some(10.0)));
    assert!(none.to_string().contains("no rate passed, down to 10"), "{none}");
}

#[test]
fn a_server_that_never_fails_passes_at_the_highest_rate() {
    let found = search_of(&settings(), edge(1e9));
    assert_eq!((found.highest_pass_qps, found.lowest_fail_qps), (Some(1e6), None));
    assert!(!found.limited_by_generator);
}

#[test]
fn a_generator_that_is_too_slow_ends_the_search_upward_and_is_named() {
    let weak = |rate_qps: f64| Chunk { is_valid: rate_qps < 6_000.0, ..edge(1e9)(rate_qps) };
    let found = search_of(&settings(), weak);
    assert!(found.limited_by_generator);
    assert_eq!(found.lowest_fail_qps, None);
    assert!((5_700.0..6_000.0).contains(&found.highest_pass_qps.unwrap()), "{found}");
    assert!(found.to_string().contains("generator was too slow"), "{found}");
    let step = &found.steps[3];
    assert_eq!((step.decided_by, step.passed, step.chunks), (DecidedBy::Generator, false, 2));
    assert!(step.to_string().contains("generator too slow"), "{step}");
}

#[test]
fn one_spoilt_chunk_is_made_again() {
    let run = |run: Run| {
        let is_valid = run.number != 1;
        Ok::<_, Infallible>(Chunk { is_valid, ..edge(5_000.0)(run.rate_qps) })
    };
    let found = search(&settings(), run, |_| {}).unwrap();
    let first = &found.steps[0];
    assert_eq!((first.passed, first.chunks, first.requests), (true, 3, 10_000));
    assert!(!found.limited_by_generator);
}

#[test]
fn too_many_defaults_fail_a_step() {
    let sheds = |rate_qps: f64| {
        let defaults = if rate_qps > 3_000.0 { 400 } else { 5 };
        Chunk { defaults, ..edge(1e9)(rate_qps) }
    };
    let found = search_of(&settings(), sheds);
    assert!((found.highest_pass_qps.unwrap()..found.lowest_fail_qps.unwrap()).contains(&3_000.0));
    assert_eq!(found.steps[2].decided_by, DecidedBy::Defaults);
    let strict = CapacitySettings { defaults_share_max: 0.0, ..settings() };
    assert_eq!(search_of(&strict, sheds).highest_pass_qps, None);
    let lenient = CapacitySettings { defaults_share_max: 1.0, ..settings() };
    assert_eq!(search_of(&lenient, sheds).highest_pass_qps, Some(1e6));
}

#[test]
fn a_share_at_the_limit_is_decided_when_the_chunks_are_used_up() {
    let at_limit =
        |over_slo| move |rate_qps: f64| Chunk { over_slo, inflation: 20.0, ..edge(1e9)(rate_qps) };
    let first = |over_slo| search_of(&settings(), at_limit(over_slo)).steps.remove(0);
    let (below, above) = (first(50), first(51));
    assert_eq!((below.passed, below.decided_by, below.chunks), (true, DecidedBy::Cap, 12));
    assert_eq!((above.passed, above.decided_by), (false, DecidedBy::Cap));
}

#[test]
fn progress_is_told_of_each_chunk_and_each_step() {
    let mut told = Vec::new();
    let run = |run: Run| Ok::<_, Infallible>(edge(1_500.0)(run.rate_qps));
    let wide = CapacitySettings { precision: 0.9, highest_qps: 2_000.0, ..settings() };
    let tell = |progress: Progress<'_>| {
        told.push(match progress {
            Progress::Chunk { chunk, so_far } => format!("{chunk}: {}", so_far.requests),
            Progress::Step(step) => step.passed.to_string(),
        });
    };
    search(&wide, run, tell).unwrap();
    assert_eq!(told[..6], ["1: 5000", "2: 10000", "true", "1: 5000", "2: 10000", "false"]);
}

#[test]
fn a_run_that_fails_ends_the_search_with_its_error() {
    let refused = search(&settings(), |_| Err::<Chunk, _>("refused"), |_| {});
    assert_eq!(refused.unwrap_err(), "refused");
}

#[test]
fn settings_that_make_no_search_are_refused() {
    assert_eq!(settings().check(), Ok(()));
    let error = |settings: CapacitySettings| settings.check().unwrap_err().to_string();
    let wrong = [
        (CapacitySettings { quantile: 1.0, ..settings() }, "quantile 1"),
        (CapacitySettings { quantile: f64::NAN, ..settings() }, "quantile NaN"),
        (CapacitySettings { defaults_share_max: 1.1, ..settings() }, "1.1 defaults"),
        (CapacitySettings { precision: 0.0, ..settings() }, "precision of 0"),
        (CapacitySettings { margin: 1.0, ..settings() }, "margin of 1"),
        (CapacitySettings { start_qps: 1.0, ..settings() }, "from 10 to 1000000 with 1 "),
        (CapacitySettings { highest_qps: 1e9, ..settings() }, "1000000000"),
        (CapacitySettings { chunks_max: 1, ..settings() }, "1 chunks"),
    ];
    for (settings, part) in wrong {
        let text = error(settings);
        assert!(text.contains(part), "{text}");
    }
}

/// Keeps 5,000/s, once its limit has grown by eight rows in each run to 40.
fn learner() -> impl FnMut(Run) -> Result<Chunk, Infallible> {
    let mut limit_rows = 0;
    move |run| {
        limit_rows = (limit_rows + 8).min(40);
        let kept_qps = 5_000.0 * limit_rows as f64 / 40.0;
        Ok(Chunk { limit_rows: Some(limit_rows), ..edge(kept_qps)(run.rate_qps) })
    }
}

#[test]
fn a_server_that_still_learns_is_given_time_to_and_then_judged() {
    let start = CapacitySettings { start_qps: 4_000.0, ..settings() };
    let hasty = search(&start, learner(), |_| {}).unwrap();
    assert!(!hasty.steps[0].passed, "{hasty}");
    let patient = CapacitySettings { slices_max: CapacitySettings::SLICES_MAX, ..start };
    let found = search(&patient, learner(), |_| {}).unwrap();
    let first = &found.steps[0];
    // Five slices until 40 rows, and one more of three that are alike.
    assert_eq!((first.passed, first.settled, first.settle_ns), (true, true, 6 * 1_000));
    assert_eq!(first.requests, 10_000, "slices do not count");
    assert!((found.highest_pass_qps.unwrap()..found.lowest_fail_qps.unwrap()).contains(&5_000.0));
}

#[test]
fn a_server_that_never_settles_is_judged_when_its_time_is_over_and_that_is_said() {
    let restless = |run: Run| {
        let limit_rows = Some(u64::from(run.number % 2 * 100));
        Ok::<_, Infallible>(Chunk { limit_rows, ..edge(1e9)(run.rate_qps) })
    };
    let patient = CapacitySettings { slices_max: 6, highest_qps: 1_000.0, ..settings() };
    let found = search(&patient, restless, |_| {}).unwrap();
    let step = &found.steps[0];
    assert_eq!((step.passed, step.settled, step.settle_ns), (true, false, 6_000));
    assert!(step.to_string().contains("had not settled after 0.0 s"), "{step}");
}

#[test]
fn the_share_of_the_bound_is_told_where_it_is_known() {
    let bound = ShareOfBound {
        model: "m:1".into(),
        fixed_ns: 4e6,
        per_row_ns: 1e5,
        r_squared: 0.98,
        overhead_ns: 50_000,
        replicas: 1,
        bound_qps: 6_000.0,
        share: 0.834,
    };
    let found = CapacityResult { bound: Some(bound), ..search_of(&settings(), edge(5_000.0)) };
    let told = "83.4 % of T* = 6000 requests/s of m:1: 4.00 ms + 100 µs × rows a batch (R² 0.980), \
                1 replica, 50.0 µs of overhead";
    assert!(found.to_string().ends_with(told), "{found}");
}
