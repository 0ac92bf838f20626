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

const SLO_NS: u64 = 20 * MS;
const SECOND_NS: u64 = 1_000 * MS;
const ROWS: u32 = 4_096;

/// A small fixed cost: batches gain little.
const LIGHT: Service = Service { fixed_ns: 200 * US, per_item_ns: 5 * US };
/// A fixed cost of a fifth of the SLO: batches are everything.
const HEAVY: Service = Service { fixed_ns: 4_000 * US, per_item_ns: 100 * US };

fn setup(depth: u32, services: &[Service]) -> Setup {
    let replicas = u32::try_from(services.len()).expect("few");
    let machine = |service: &Service| MachinePlan {
        service: *service,
        items_max: ROWS,
        restart_ns: Some(100 * MS),
    };
    Setup {
        applications: vec![ApplicationSetup::of(SLO_NS, ROWS, Some(0))],
        models: vec![ModelSetup {
            replicas,
            depth,
            limit: LimitPlan::Aimd { max: ROWS },
            batch_timeout_ns: SECOND_NS,
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
    capacity(service, world.core.models[world.model(0)].objective_ns())
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

/// The same with the objective set to the SLO divided by this, whatever the core's rule is.
fn share_late_when_divided_by(divisor: u64, service: Service, per_second: f64) -> f64 {
    let mut world = setup(2, &[service]).build_up();
    let model = world.model(0);
    let model = &mut world.core.models[model];
    // The objective is proportional to the SLO, so this changes it to SLO / divisor.
    model.tightest_slo_ns = SLO_NS * SLO_NS / divisor / model.objective_ns();
    assert!(model.objective_ns().abs_diff(SLO_NS / divisor) < US);
    second_under(&mut world, per_second).share_late()
}

#[test]
fn at_95_percent_of_capacity_practically_every_query_is_in_time() {
    let mut world = setup(2, &[LIGHT]).build_up();
    let score = second_under(&mut world, 0.95 * capacity_at(2, LIGHT));
    assert!(score.share_in_time() >= 0.999, "{score:?}");
}

/// Dividing the SLO by depth + 1 leaves room for a batch that runs, one that waits, and one's own.
/// At the same offered load it puts no more queries in time than dividing by the depth: a query
/// that would be late is not sent, so the batches behind full ones become smaller by themselves.
/// With a light fixed cost there is no difference.
#[test]
fn with_a_light_fixed_cost_the_divisor_of_the_objective_makes_no_difference() {
    let per_second = 0.95 * capacity(LIGHT, SLO_NS / 3);
    let [by_depth, by_one_more] =
        [2, 3].map(|divisor| share_late_when_divided_by(divisor, LIGHT, per_second));
    println!("late, SLO / 2: {by_depth:.5}; SLO / 3: {by_one_more:.5}");
    assert!(by_depth <= 0.001 && by_one_more <= 0.001, "{by_depth} and {by_one_more}");
}

/// With a heavy one, the smaller batches that depth + 1 asks for lack the capacity.
#[test]
fn with_a_heavy_fixed_cost_dividing_by_the_depth_makes_less_late_than_by_one_more() {
    let per_second = 0.95 * capacity(HEAVY, SLO_NS / 3);
    let [by_depth, by_one_more] =
        [2, 3].map(|divisor| share_late_when_divided_by(divisor, HEAVY, per_second));
    println!("late, SLO / 2: {by_depth:.5}; SLO / 3: {by_one_more:.5}");
    assert!(by_depth < 0.5 * by_one_more, "{by_depth} and {by_one_more}");
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
