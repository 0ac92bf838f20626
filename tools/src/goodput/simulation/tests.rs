use proptest::prelude::*;

use super::super::clairvoyant::clairvoyant;
use super::super::scene::testing::scene;
use super::super::{ServiceLine, fluid_optimum};
use super::*;

const WINDOW: Policy = Policy::Window { rows_max: u64::MAX };
const ALL: [Policy; 8] = [
    Policy::LookAhead,
    WINDOW,
    Policy::Earliest,
    Policy::Greedy,
    Policy::Fixed { rows: 7 },
    Policy::Clockwork,
    Policy::Triton { rows: 9, delay_ns: 2e6 },
    Policy::Clipper,
];
const EXACT: Noise = Noise { deviation: 0.0, seed: 0 };

/// The share of T* at which 99 % are in time.
fn share(scene: &Scene, policy: Policy) -> f64 {
    let traffic = Traffic::poisson(16_000, 7);
    goodput_at(scene, policy, 0.99, &traffic, EXACT) / fluid_optimum(scene).0
}

#[test]
fn the_table_of_the_reference_comes_out_again() {
    // (per row, fixed, replicas, look-ahead, window), in ms and shares of T*.
    let table = [
        (0.1, 1.0, 1, 0.981, 0.990),
        (0.1, 4.0, 1, 0.875, 0.958),
        (0.1, 1.0, 4, 0.990, 0.910),
        (0.1, 4.0, 4, 0.933, 0.708),
        (1.0, 1.0, 1, 0.874, 0.841),
        (1.0, 4.0, 1, 0.729, 0.698),
        (1.0, 1.0, 4, 0.942, 0.847),
        (1.0, 4.0, 4, 0.850, 0.608),
    ];
    for (per_row_ms, fixed_ms, replicas, look_ahead, window) in table {
        let scene = scene(per_row_ms, fixed_ms, 20, replicas);
        for (policy, known) in [(Policy::LookAhead, look_ahead), (WINDOW, window)] {
            let found = share(&scene, policy);
            assert!(
                (found - known).abs() <= 0.03,
                "{scene:?} {policy:?}: {found:.3} is not {known}"
            );
        }
    }
}

#[test]
fn only_policies_that_drop_keep_their_goodput_in_overload() {
    let scene = scene(0.1, 4.0, 20, 1);
    let (bound_qps, _) = fluid_optimum(&scene);
    let arrivals_ns = Traffic::poisson(16_000, 7).at(2.0 * bound_qps);
    let of = |policy| simulate(&scene, policy, &arrivals_ns, EXACT).goodput_qps / bound_qps;
    assert!(of(Policy::LookAhead) > 1.0 && of(WINDOW) > 1.0, "{}", of(Policy::LookAhead));
    assert!(of(Policy::Greedy) < 0.01 && of(Policy::Clipper) < 0.01);
    assert!(of(Policy::Earliest) < 0.1);
}

#[test]
fn one_query_is_served_alone_at_once() {
    let scene = scene(1.0, 4.0, 20, 2);
    let immediate =
        [Policy::LookAhead, WINDOW, Policy::Earliest, Policy::Greedy, Policy::Clockwork];
    for policy in immediate {
        let outcome = simulate(&scene, policy, &[1e6], EXACT);
        let seen = (outcome.in_time, outcome.dropped, outcome.p50_ns, outcome.batches);
        assert_eq!(seen, (1, 0, Some(5e6), 1), "{policy:?}");
    }
    let waits = Policy::Triton { rows: 2, delay_ns: 3e6 };
    assert_eq!(simulate(&scene, waits, &[1e6], EXACT).p50_ns, Some(8e6));
    assert_eq!(simulate(&scene, waits, &[1e6, 2e6], EXACT).p50_ns, Some(6e6), "both at 2 ms");
}

#[test]
fn what_cannot_be_in_time_is_dropped_by_those_who_know_deadlines() {
    let scene = scene(1.0, 4.0, 10, 1);
    let at_once = [0.0; 20];
    for policy in [Policy::LookAhead, WINDOW, Policy::Earliest, Policy::Clockwork] {
        let outcome = simulate(&scene, policy, &at_once, EXACT);
        assert_eq!(outcome.in_time + outcome.dropped, outcome.queries, "{policy:?}: {outcome:?}");
        assert!(outcome.p99_ns.unwrap() <= 10e6, "{policy:?}");
    }
    let greedy = simulate(&scene, Policy::Greedy, &at_once, EXACT);
    assert_eq!((greedy.in_time, greedy.dropped, greedy.p50_ns), (0, 0, Some(24e6)));
}

#[test]
fn noise_of_a_seed_is_the_same_again_and_costs_goodput() {
    let scene = scene(0.1, 4.0, 20, 1);
    let traffic = Traffic::poisson(16_000, 7);
    let noisy = Noise { deviation: 0.05, seed: 3 };
    let of = |noise| simulate(&scene, Policy::LookAhead, &traffic.at(5_000.0), noise);
    assert_eq!(of(noisy), of(noisy));
    assert!(of(noisy).in_time < of(EXACT).in_time);
}

#[test]
fn every_peer_keeps_something_and_none_the_ceiling() {
    let scene = scene(0.1, 4.0, 20, 1);
    let traffic = Traffic::poisson(8_000, 7);
    for peer in PEERS {
        let goodput_qps = peer.goodput_qps(&scene, 0.99, &traffic);
        assert!((1_000.0..8_000.0).contains(&goodput_qps), "{}: {goodput_qps}", peer.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_policy_beats_the_ceiling(
        per_row_ms in 0.05_f64..2.0,
        fixed_ms in 0.2_f64..8.0,
        replicas in 1_u32..5,
        load in 0.2_f64..3.0,
        seed in any::<u64>(),
    ) {
        let scene = scene(per_row_ms, fixed_ms, 20, replicas);
        let ceiling_qps = ceiling_qps(&scene);
        let arrivals_ns = Traffic::poisson(2_000, seed).at(load * ceiling_qps);
        let seconds = (arrivals_ns[1_999] - arrivals_ns[200] + scene.budget_ns()) / 1e9;
        for policy in ALL {
            let outcome = simulate(&scene, policy, &arrivals_ns, EXACT);
            // A batch that had begun before the first that counts.
            let begun = f64::from(replicas) * scene.rows_max() as f64;
            prop_assert!(outcome.in_time as f64 <= ceiling_qps * seconds + begun, "{:?}", policy);
            prop_assert!(outcome.in_time + outcome.dropped <= outcome.queries);
        }
    }

    #[test]
    fn nobody_beats_who_knew_the_trace(
        mut arrivals_ms in prop::collection::vec(0_u64..200, 1..60),
        per_row_ms in 0.1_f64..3.0,
        fixed_ms in 0.5_f64..9.0,
    ) {
        arrivals_ms.sort_unstable();
        let line = ServiceLine { fixed_ns: fixed_ms * 1e6, per_row_ns: per_row_ms * 1e6 };
        let scene = Scene::new(line, 20_000_000, 0, 1).unwrap();
        let times_ns: Vec<u64> = arrivals_ms.iter().map(|ms| ms * 1_000_000).collect();
        let arrivals_ns: Vec<f64> = times_ns.iter().map(|ns| *ns as f64).collect();
        let best = clairvoyant(&scene, &times_ns).unwrap();
        let warm_up = arrivals_ns.len() as u64 / 10;
        for policy in ALL {
            let outcome = simulate(&scene, policy, &arrivals_ns, EXACT);
            let lost = outcome.queries - outcome.in_time;
            // What is lost in the warm-up does not count for the policy.
            let at_least = best.dropped;
            prop_assert!(lost + warm_up >= at_least, "{:?}: {} < {}", policy, lost, at_least);
        }
    }
}
