use proptest::prelude::*;

use super::*;

const SECOND: u64 = NS_PER_SECOND;
const MS: u64 = 1_000_000;

fn due_ns(arrivals: &Arrivals, seconds: u64, seed: u64) -> Vec<u64> {
    Schedule::new(arrivals, Some(seconds * SECOND), None, seed).unwrap().collect()
}

fn gaps_ns(due_ns: &[u64]) -> Vec<f64> {
    due_ns.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect()
}

fn mean_and_variance(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (mean, squares / (values.len() - 1) as f64)
}

#[test]
fn constant_arrivals_do_not_drift() {
    let thirds = Arrivals::Constant { rate_qps: 3.0 };
    let due_ns: Vec<u64> = Schedule::new(&thirds, Some(2 * SECOND), None, 0).unwrap().collect();
    assert_eq!(due_ns, [0, 333_333_333, 666_666_667, SECOND, 1_333_333_333, 1_666_666_667]);

    let odd = Arrivals::Constant { rate_qps: 7_777.0 };
    let last_ns = Schedule::new(&odd, None, Some(27_989_424), 0).unwrap().last().unwrap();
    assert_eq!(last_ns, 3_599 * SECOND);
}

#[test]
fn a_run_ends_with_its_time_or_its_requests_at_what_comes_first() {
    let arrivals = Arrivals::Constant { rate_qps: 1e3 };
    let count = |duration_ns, requests| {
        let schedule = Schedule::new(&arrivals, duration_ns, requests, 0).unwrap();
        let expected = schedule.expected_requests();
        (expected, schedule.count() as u64)
    };
    assert_eq!(count(Some(SECOND), None), (1_000, 1_000));
    assert_eq!(count(Some(SECOND), Some(10)), (10, 10));
    assert_eq!(count(Some(5 * MS), Some(10)), (5, 5));
    assert_eq!(count(None, Some(10)), (10, 10));
}

#[test]
fn poisson_gaps_are_exponential_and_counts_are_as_scattered_as_they_are_many() {
    let due_ns = due_ns(&Arrivals::Poisson { rate_qps: 20_000.0 }, 10, 1);
    let (mean, variance) = mean_and_variance(&gaps_ns(&due_ns));
    assert!((mean / 50_000.0 - 1.0).abs() < 0.01, "{mean}");
    assert!((variance / mean.powi(2) - 1.0).abs() < 0.02, "{variance}");

    let mut counts = vec![0.0; 2_000];
    due_ns.iter().for_each(|ns| counts[(ns / (5 * MS)) as usize] += 1.0);
    let (mean, variance) = mean_and_variance(&counts);
    assert!((mean - 100.0).abs() < 1.0, "{mean}");
    assert!((variance / mean - 1.0).abs() < 0.1, "{variance}");
}

#[test]
fn off_windows_are_empty_and_the_mean_rate_holds() {
    let arrivals = Arrivals::OnOff { rate_qps: 10_000.0, on_ns: 50 * MS, off_ns: 150 * MS };
    let due_ns = due_ns(&arrivals, 20, 2);
    assert!(due_ns.iter().all(|ns| ns % (200 * MS) < 50 * MS));
    assert!((due_ns.len() as f64 / 200_000.0 - 1.0).abs() < 0.01, "{}", due_ns.len());

    let mut counts = vec![0.0; 100];
    due_ns.iter().for_each(|ns| counts[(ns / (200 * MS)) as usize] += 1.0);
    let (mean, variance) = mean_and_variance(&counts);
    assert!((variance / mean) > 0.6 && (variance / mean) < 1.5, "{variance} {mean}");
}

#[test]
fn windows_without_any_request_are_passed_over() {
    let arrivals = Arrivals::OnOff { rate_qps: 1.0, on_ns: MS, off_ns: 9 * MS };
    let due_ns = due_ns(&arrivals, 2_000, 3);
    assert!(due_ns.iter().all(|ns| ns % (10 * MS) < MS));
    assert!((1_800..2_200).contains(&due_ns.len()), "{}", due_ns.len());
}

#[test]
fn the_expected_number_of_an_unfinished_cycle_counts_its_time_on() {
    let arrivals = Arrivals::OnOff { rate_qps: 1_000.0, on_ns: 100 * MS, off_ns: 900 * MS };
    let expected = |duration_ns| {
        Schedule::new(&arrivals, Some(duration_ns), None, 0).unwrap().expected_requests()
    };
    assert_eq!([50 * MS, 100 * MS, SECOND, 1_050 * MS].map(expected), [500, 1_000, 1_000, 1_500]);
}

#[test]
fn a_ramp_counts_as_the_integral_of_its_rate() {
    let arrivals = Arrivals::Ramp { from_qps: 100.0, to_qps: 1_900.0 };
    let due_ns = due_ns(&arrivals, 10, 0);
    assert_eq!(due_ns.len(), 10_000);
    for tenth in 1..100 {
        let t = f64::from(tenth) / 10.0;
        let integral = 100.0 * t + 90.0 * t * t;
        let counted = due_ns.partition_point(|&ns| (ns as f64) < t * 1e9) as f64;
        assert!((counted - integral).abs() <= 1.0, "{counted} {integral} at {t}");
    }
}

#[test]
fn a_ramp_may_begin_or_end_at_nothing() {
    let up = due_ns(&Arrivals::Ramp { from_qps: 0.0, to_qps: 1_000.0 }, 2, 0);
    let down = due_ns(&Arrivals::Ramp { from_qps: 1_000.0, to_qps: 0.0 }, 2, 0);
    assert_eq!((up.len(), down.len()), (1_000, 1_000));
    let half = |due_ns: &[u64]| due_ns.partition_point(|&ns| ns < SECOND);
    assert_eq!((half(&up), half(&down)), (250, 750));
}

#[test]
fn a_trace_is_kept_as_it_was() {
    let trace = Arrivals::Trace([0, 5, 5, 2_000].into());
    let all: Vec<u64> = Schedule::new(&trace, None, None, 0).unwrap().collect();
    assert_eq!(all, [0, 5, 5, 2_000]);
    let cut = Schedule::new(&trace, Some(2_000), None, 0).unwrap();
    assert_eq!(cut.expected_requests(), 3);
    assert_eq!(cut.collect::<Vec<u64>>(), [0, 5, 5]);
}

#[test]
fn mean_rates_are_those_of_the_schedule() {
    let rate = |arrivals: &Arrivals, duration_ns, requests| {
        Schedule::new(arrivals, duration_ns, requests, 0).unwrap().mean_rate_qps()
    };
    let ramp = Arrivals::Ramp { from_qps: 0.0, to_qps: 1_000.0 };
    assert_eq!(rate(&Arrivals::Poisson { rate_qps: 5.0 }, None, Some(10)), Some(5.0));
    assert_eq!(rate(&ramp, Some(2 * SECOND), None), Some(500.0));
    assert_eq!(rate(&ramp, Some(2 * SECOND), Some(250)), Some(250.0));
    assert_eq!(rate(&Arrivals::Trace([0, SECOND, 2 * SECOND].into()), None, None), Some(1.5));
    assert_eq!(rate(&Arrivals::Trace([0, 0].into()), None, None), None);
}

#[test]
fn runs_without_an_end_without_requests_and_beyond_the_limits_are_refused() {
    let error = |arrivals: &Arrivals, duration_ns, requests| {
        Schedule::new(arrivals, duration_ns, requests, 0).unwrap_err()
    };
    let constant = Arrivals::Constant { rate_qps: 10.0 };
    let fast = Arrivals::Poisson { rate_qps: 1e6 };
    let ramp = Arrivals::Ramp { from_qps: 1.0, to_qps: 2.0 };
    assert_eq!(error(&constant, None, None), ArrivalsError::Unbounded);
    assert_eq!(error(&ramp, None, Some(5)), ArrivalsError::RampUnbounded);
    assert_eq!(error(&constant, Some(0), None), ArrivalsError::NoRequests);
    assert_eq!(error(&constant, None, Some(0)), ArrivalsError::NoRequests);
    assert_eq!(error(&Arrivals::Trace([5].into()), Some(5), None), ArrivalsError::NoRequests);
    assert_eq!(error(&constant, None, Some(36_001)), ArrivalsError::TooLong { seconds: 3_601 });
    assert_eq!(
        error(&constant, Some(3_601 * SECOND), None),
        ArrivalsError::TooLong { seconds: 3_601 }
    );
    let too_many = error(&fast, Some(60 * SECOND), None);
    assert_eq!(too_many, ArrivalsError::TooMany { requests: 60_000_000 });
    assert!(too_many.to_string().contains("shorten --seconds or lower the rate"), "{too_many}");
    let nan = Arrivals::Constant { rate_qps: f64::NAN };
    assert!(matches!(error(&nan, None, Some(1)), ArrivalsError::Rate { .. }));
}

fn any_arrivals() -> impl Strategy<Value = Arrivals> {
    prop_oneof![
        (1.0..1e5).prop_map(|rate_qps| Arrivals::Constant { rate_qps }),
        (1.0..1e5).prop_map(|rate_qps| Arrivals::Poisson { rate_qps }),
        (1.0..1e4, 1..100_u64, 1..100_u64).prop_map(|(rate_qps, on_ms, off_ms)| {
            Arrivals::OnOff { rate_qps, on_ns: on_ms * MS, off_ns: off_ms * MS }
        }),
        (0.0..1e5, 1.0..1e5).prop_map(|(from_qps, to_qps)| Arrivals::Ramp { from_qps, to_qps }),
        prop::collection::vec(0..SECOND, 1..100).prop_map(|mut due_ns| {
            due_ns.sort_unstable();
            due_ns[0] = 0;
            Arrivals::Trace(due_ns.into())
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_schedule_ascends_keeps_its_bounds_and_comes_again_from_its_seed(
        arrivals in any_arrivals(),
        duration_ns in MS..SECOND,
        requests in prop::option::of(1..10_000_u64),
        seed in any::<u64>(),
    ) {
        let schedule = Schedule::new(&arrivals, Some(duration_ns), requests, seed).unwrap();
        let again = schedule.clone();
        let room = schedule.requests_max();
        let due_ns: Vec<u64> = schedule.collect();
        prop_assert!(due_ns.is_sorted());
        prop_assert!(due_ns.iter().all(|&ns| ns < duration_ns));
        prop_assert!(due_ns.len() as u64 <= room.min(requests.unwrap_or(u64::MAX)));
        prop_assert!(again.eq(due_ns.iter().copied()));
        let other: Vec<u64> =
            Schedule::new(&arrivals, Some(duration_ns), requests, seed).unwrap().collect();
        prop_assert_eq!(due_ns, other);
    }
}
