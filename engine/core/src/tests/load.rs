//! Experiments under load, open loop, in simulated time: what share of the queries is in time.
//!
//! Arrivals are a Poisson process with a fixed seed. The first second, in which the batch limits
//! find their place, does not count. *Capacity* is the rate of the largest batches that keep the
//! objective which the core uses, one after another.

use std::time::Duration;

use super::fleet::{Input, MachinePlan, Service};
use super::oracle::Score;
use super::world::{ApplicationSetup, Event, MS, ModelSetup, START_NS, Setup, US, World};
use crate::LimitPlan;
use crate::batching::Forming;

const SLO_NS: u64 = 20 * MS;
const SECOND_NS: u64 = 1_000 * MS;
const ROWS: u32 = 1_024;
/// More than wait within the SLO at any rate that is offered.
const ROWS_AMPLE: u32 = 4_096;

/// A small fixed cost: batches gain little.
const LIGHT: Service = Service { fixed_ns: 800 * US, per_item_ns: 20 * US };
/// A fixed cost of a fifth of the SLO: batches are everything.
const HEAVY: Service = Service { fixed_ns: 4_000 * US, per_item_ns: 100 * US };

fn setup(depth: u32, services: &[Service]) -> Setup {
    setup_with(ROWS, depth, services)
}

fn setup_with(rows: u32, depth: u32, services: &[Service]) -> Setup {
    let replicas = u32::try_from(services.len()).expect("few");
    let machine = |service: &Service| MachinePlan {
        service: *service,
        items_max: rows,
        restart_ns: Some(100 * MS),
        warms_up: None,
    };
    Setup {
        applications: vec![ApplicationSetup::of(SLO_NS, rows, Some(0))],
        models: vec![ModelSetup {
            replicas,
            depth,
            limit: LimitPlan::Aimd { max: rows },
            batch_timeout_ns: SECOND_NS,
            forming: Forming::default(),
            core: None,
            hedge: None,
        }],
        machines: services.iter().map(machine).collect(),
        reply_ns: 0,
    }
}

/// Queries per second, when every batch is the largest that keeps this objective.
fn capacity(service: Service, objective_ns: u64) -> f64 {
    let items = service.items_within(objective_ns);
    items as f64
        / Duration::from_nanos(service.fixed_ns + service.per_item_ns * items).as_secs_f64()
}

/// One replica's capacity under the objective that the core uses at this depth.
fn capacity_at(depth: u32, service: Service) -> f64 {
    let world = setup(depth, &[service]).build();
    capacity(service, world.core.models[world.model(0)].objective().usual_ns)
}

/// Plans arrivals at this rate from one time to another.
fn offer(world: &mut World, per_second: f64, from_ns: u64, until_ns: u64) {
    let mut state = from_ns;
    let mut at_ns = from_ns;
    loop {
        let gap = Duration::from_secs_f64(-unit(&mut state).ln() / per_second);
        at_ns += u64::try_from(gap.as_nanos()).expect("gaps are short");
        if at_ns >= until_ns {
            return;
        }
        world.query_at(at_ns, Input::Good);
    }
}

/// The next of a sequence of numbers above 0 and up to 1 (SplitMix64).
fn unit(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (((mixed ^ (mixed >> 31)) >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

/// Offers this rate for two seconds; gives what became of the second of them.
fn second_under(world: &mut World, per_second: f64) -> Score {
    offer(world, per_second, 0, 2 * SECOND_NS);
    world.finish();
    world.oracle.score(START_NS + SECOND_NS, START_NS + 2 * SECOND_NS)
}

#[test]
fn at_95_percent_of_capacity_practically_every_query_is_in_time() {
    let mut world = setup(2, &[LIGHT]).build_up();
    let score = second_under(&mut world, 0.95 * capacity_at(2, LIGHT));
    assert!(score.share_in_time() >= 0.999, "{score:?}");
}

/// A fixed cost and one for each row, in us, and so many replicas: what share of the bound a look-
/// ahead without any limit puts in time for 99 % of Poisson arrivals, in percent (or, if that is
/// more, one that takes all that waits).
const REFERENCE: [(u64, u64, usize, f64); 12] = [
    (1_000, 100, 1, 98.1),
    (2_000, 100, 1, 94.5),
    (4_000, 100, 1, 92.7),
    (1_000, 1_000, 1, 88.4),
    (2_000, 1_000, 1, 83.7),
    (4_000, 1_000, 1, 74.2),
    (1_000, 100, 4, 100.0),
    (2_000, 100, 4, 99.2),
    (4_000, 100, 4, 94.4),
    (1_000, 1_000, 4, 95.6),
    (2_000, 1_000, 4, 92.4),
    (4_000, 1_000, 4, 84.6),
];

/// The rate of the largest batches with which even arrivals at `n` replicas that begin one after
/// another are all in time.
fn bound(service: Service, replicas: usize) -> f64 {
    let n = replicas as f64;
    let seconds = |items: u64| Duration::from_nanos(service.fixed_ns + service.per_item_ns * items);
    let slo = Duration::from_nanos(SLO_NS).as_secs_f64();
    let is_in_time = |items: &u64| {
        let waits = (*items as f64 - 1.0) / (n * *items as f64);
        seconds(*items).as_secs_f64() * (1.0 + waits) <= slo
    };
    let items = (1..=service.items_within(SLO_NS)).filter(is_in_time).max().expect("one is");
    n * items as f64 / seconds(items).as_secs_f64()
}

/// What becomes of the second second under a load, as a share of what `replicas` are bound to.
fn under(load_of_bound: f64, service: Service, replicas: usize) -> Score {
    let mut world = setup_with(ROWS_AMPLE, 2, &vec![service; replicas]).build_up();
    second_under(&mut world, load_of_bound * bound(service, replicas))
}

#[test]
fn as_much_is_in_time_as_of_a_server_without_a_limit_and_without_a_doubt() {
    for (fixed_us, per_item_us, replicas, percent) in REFERENCE {
        let service = Service { fixed_ns: fixed_us * US, per_item_ns: per_item_us * US };
        let score = under(0.95 * percent / 100.0, service, replicas);
        assert!(score.share_in_time() >= 0.99, "{service:?}, {replicas} replicas: {score:?}");
    }
}

#[test]
fn in_overload_goodput_is_what_the_bound_is_for_even_arrivals() {
    for (fixed_us, per_item_us, replicas, _) in REFERENCE {
        let service = Service { fixed_ns: fixed_us * US, per_item_ns: per_item_us * US };
        for (load, least) in [(1.2, 0.96), (5.0, 0.99)] {
            let predictions = under(load, service, replicas).predictions as f64;
            let share = predictions / bound(service, replicas);
            assert!(share >= least, "{service:?}, {replicas} replicas, load {load}: {share:.3}");
        }
    }
}

/// With batches no larger than the bound's, there would be no more than the bound.
#[test]
fn in_overload_one_replica_with_a_large_fixed_cost_serves_more_than_the_bound() {
    let predictions = under(2.0, HEAVY, 1).predictions as f64;
    let share = predictions / bound(HEAVY, 1);
    assert!(share >= 1.1, "{share:.3}");
}

/// The share of the bound at which 99 % are still in time, of so many replicas whose batches take
/// up to 0.4 ms longer than they should.
fn in_time_up_to(service: Service, replicas: usize) -> f64 {
    let is_kept = |load: f64| {
        let mut world = setup_with(ROWS_AMPLE, 2, &vec![service; replicas]).build_up();
        for machine in &mut world.machines {
            machine.delays_ns = (1..=8).map(|eighth| eighth * 50 * US).collect();
        }
        second_under(&mut world, load * bound(service, replicas)).share_in_time() >= 0.99
    };
    let (mut kept, mut missed) = (0.6, 1.0);
    while missed - kept > 0.005 {
        let load = (kept + missed) / 2.0;
        *if is_kept(load) { &mut kept } else { &mut missed } = load;
    }
    kept
}

/// Where each begins as soon as it is free it is 0.875, 0.903, 0.828, 0.816 and 0.962 of the bound.
#[test]
fn replicas_that_take_turns_keep_the_slo_nearer_to_the_bound() {
    let steep = Service { per_item_ns: 1_000 * US, ..HEAVY };
    let light = Service { fixed_ns: 1_000 * US, ..HEAVY };
    let of = |(service, replicas)| in_time_up_to(service, replicas);
    let shares = [(HEAVY, 2), (HEAVY, 4), (HEAVY, 8), (steep, 4), (light, 4)].map(of);
    println!("{shares:.3?} of the bound");
    let least = [0.89, 0.92, 0.93, 0.85, 0.95];
    assert!(shares.iter().zip(least).all(|(share, least)| *share >= least), "{shares:.3?}");
}

fn goodput_under_three_times_the_capacity(depth: u32, service: Service) -> f64 {
    let per_second = capacity_at(depth, service);
    let mut world = setup(depth, &[service]).build_up();
    let score = second_under(&mut world, 3.0 * per_second);
    assert!(world.rows_in_use_max <= ROWS);
    score.predictions as f64 / per_second
}

#[test]
fn under_three_times_the_capacity_goodput_stays_above_80_percent_of_it() {
    let goodputs = [LIGHT, HEAVY].map(|service| goodput_under_three_times_the_capacity(2, service));
    assert!(goodputs.iter().all(|goodput| *goodput >= 0.8), "{goodputs:?}");
}

/// At depth 1 every batch is formed for a replica that has nothing to do.
#[test]
fn at_depth_1_overload_sheds_late_work_too() {
    let goodputs = [LIGHT, HEAVY].map(|service| goodput_under_three_times_the_capacity(1, service));
    assert!(goodputs.iter().all(|goodput| *goodput >= 0.8), "{goodputs:?}");
}

#[test]
fn when_overload_ends_queries_are_in_time_again_within_two_objectives() {
    let per_second = capacity_at(2, LIGHT);
    let mut world = setup(2, &[LIGHT]).build_up();
    offer(&mut world, 3.0 * per_second, 0, SECOND_NS);
    offer(&mut world, 0.5 * per_second, SECOND_NS, 2 * SECOND_NS);
    world.finish();
    let calm_ns = START_NS + SECOND_NS + 2 * SLO_NS;
    let score = world.oracle.score(calm_ns, START_NS + 2 * SECOND_NS);
    assert_eq!(score.predictions, score.queries);
}

#[test]
fn a_replica_that_was_ten_times_slower_for_a_while_recovers() {
    let mut world = setup(2, &[LIGHT]).build_up();
    world.at(500 * MS, Event::Pace { replica: 0, percent: 1_000 });
    world.at(1_000 * MS, Event::Pace { replica: 0, percent: 100 });
    offer(&mut world, 0.5 * capacity_at(2, LIGHT), 0, 2 * SECOND_NS);
    world.finish();
    let score = world.oracle.score(START_NS + 1_500 * MS, START_NS + 2 * SECOND_NS);
    assert_eq!(score.predictions, score.queries);
}

/// The fast one alone would do: one replica too slow to be of use must do no harm.
#[test]
fn a_slow_replica_does_not_shed_what_a_fast_one_would_answer_in_time() {
    let fast = Service { fixed_ns: 900 * US, per_item_ns: 90 * US };
    let slow = Service { fixed_ns: 9_000 * US, per_item_ns: 900 * US };
    let mut world = setup(2, &[slow, fast]).build_up();
    let score = second_under(&mut world, 0.5 * capacity_at(2, fast));
    assert!(score.share_in_time() >= 0.999, "{score:?}");
}

/// What a fast replica does alone is not held up by the turns of a slow one.
#[test]
fn a_fast_replica_does_not_wait_for_a_slow_one() {
    let fast = Service { fixed_ns: 900 * US, per_item_ns: 90 * US };
    let slow = Service { fixed_ns: 9_000 * US, per_item_ns: 900 * US };
    let mut world = setup_with(ROWS_AMPLE, 2, &[slow, fast]).build_up();
    let score = second_under(&mut world, bound(fast, 1));
    assert!(score.share_in_time() >= 0.998, "{score:?}");
}

/// The share of the bound that one replica answers in time under a load that is the bound, if its
/// batches are late by one of these times.
fn delayed(service: Service, limit: LimitPlan, delays_us: &[u64]) -> f64 {
    let mut setup = setup_with(ROWS_AMPLE, 2, &[service]);
    setup.models[0].limit = limit;
    let mut world = setup.build_up();
    world.machines[0].delays_ns = delays_us.iter().map(|delay_us| delay_us * US).collect();
    let score = second_under(&mut world, bound(service, 1));
    score.predictions as f64 / bound(service, 1)
}

/// The delays are those of a busy process that shares the core with the model, as they were seen.
#[test]
fn beside_a_busy_process_both_policies_serve_nearly_what_the_best_fixed_size_does() {
    let delays_us = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2_900, 2_900, 2_900, 2_900, 2_900];
    let delays_us = [delays_us.as_slice(), &[4_800, 4_800, 4_800, 4_800, 10_000]].concat();
    let steep = Service { per_item_ns: 1_000 * US, ..HEAVY };
    for (service, sizes) in [(HEAVY, [30, 45, 60, 75]), (steep, [3, 5, 6, 7])] {
        let of = |limit| delayed(service, limit, &delays_us);
        let fixed = sizes.map(|max| of(LimitPlan::Fixed { max })).into_iter().fold(0.0, f64::max);
        let adaptive =
            [LimitPlan::Aimd { max: ROWS_AMPLE }, LimitPlan::Quantile { max: ROWS_AMPLE }];
        let shares = adaptive.map(|limit| of(limit) / fixed);
        println!("{service:?}: {shares:.3?} of the best fixed size, {fixed:.3} of the bound");
        assert!(shares.iter().all(|share| *share >= 0.9), "{shares:.3?}");
    }
}
