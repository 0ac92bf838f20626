//! What the limits and the estimate come to together: one replica under Poisson arrivals, in
//! simulated time, and how many queries it answers in time.
//!
//! Batches are formed when the replica is free, from the queries that wait, oldest first. Those
//! that a batch could not answer in time are passed over, as long as another one could be.

use std::collections::VecDeque;

use super::{Aimd, BatchLimit, Objective, Quantile, ServiceEstimate};

const MS: u64 = 1_000_000;
const SECOND_NS: u64 = 1_000 * MS;
const SLO_NS: u64 = 20 * MS;
/// Half of the SLO: there is one replica.
const OBJECTIVE_NS: u64 = SLO_NS / 2;

/// How long batches take.
#[derive(Clone, Copy, Debug)]
struct Service {
    fixed_ns: u64,
    per_row_ns: u64,
    /// The standard deviation, as a share of the whole.
    noise: f64,
    /// Stalls of 10 to 20 ms.
    stalls_per_second: f64,
    /// Batches are padded to powers of two.
    is_stepped: bool,
    /// Ten times slower from here to there.
    slow_ns: (u64, u64),
}

const LINEAR: Service = Service {
    fixed_ns: 0,
    per_row_ns: MS / 10,
    noise: 0.0,
    stalls_per_second: 0.0,
    is_stepped: false,
    slow_ns: (0, 0),
};
const HEAVY: Service = Service { fixed_ns: 4 * MS, ..LINEAR };
const LIGHT: Service = Service { fixed_ns: MS / 2, ..LINEAR };

impl Service {
    fn usual_ns(&self, rows: u64) -> u64 {
        let rows = if self.is_stepped { rows.next_power_of_two() } else { rows };
        self.fixed_ns + self.per_row_ns * rows
    }

    /// The highest rate at which even arrivals are all in time: the largest batch that keeps the
    /// objective, one after another.
    fn bound_qps(&self) -> f64 {
        let largest = (1..).take_while(|rows| self.usual_ns(*rows) <= OBJECTIVE_NS).last();
        let largest = largest.expect("one row keeps the objective");
        largest as f64 * SECOND_NS as f64 / self.usual_ns(largest) as f64
    }
}

/// A run: what is served, by which limit, and what became of it.
struct World {
    service: Service,
    limit: BatchLimit,
    estimate: ServiceEstimate,
    random: u64,
    next_stall_ns: u64,
    /// When the queries came that were answered in time.
    in_time_ns: Vec<u64>,
    stalls_told: u32,
}

impl World {
    fn new(service: Service, limit: BatchLimit) -> Self {
        let estimate = ServiceEstimate::new(SLO_NS);
        let (in_time_ns, random) = (Vec::new(), 1);
        let (next_stall_ns, stalls_told) = (0, 0);
        Self { service, limit, estimate, random, next_stall_ns, in_time_ns, stalls_told }
    }

    /// Offers this many queries per second.
    fn run(mut self, offered_qps: f64, until_ns: u64) -> Self {
        let (mut waiting, mut arrivals) = (VecDeque::new(), 7);
        let (mut now_ns, mut next_ns) = (0, 0);
        while now_ns < until_ns {
            while next_ns <= now_ns {
                waiting.push_back(next_ns);
                next_ns += gap_ns(&mut arrivals, offered_qps);
            }
            self.pass_over(now_ns, &mut waiting);
            if waiting.is_empty() {
                now_ns = next_ns.max(now_ns);
            } else {
                now_ns = self.serve(now_ns, &mut waiting);
            }
        }
        self
    }

    fn pass_over(&self, now_ns: u64, waiting: &mut VecDeque<u64>) {
        let worst_ns = |rows: usize| self.estimate.predict(size(rows), now_ns);
        let rows = |waiting: &VecDeque<u64>| waiting.len().min(self.limit.limit() as usize);
        let is_late = |came_ns: &u64, rows| came_ns + SLO_NS < now_ns + worst_ns(rows);
        // When all would be late by what is predicted, a batch has to tell.
        let is_hopeless = waiting.back().is_none_or(|came_ns| is_late(came_ns, 1));
        let is_passed_over = |came_ns: &u64, rows| {
            came_ns + SLO_NS < now_ns || (!is_hopeless && is_late(came_ns, rows))
        };
        while waiting.front().is_some_and(|came_ns| is_passed_over(came_ns, rows(waiting))) {
            waiting.pop_front();
        }
    }

    fn serve(&mut self, now_ns: u64, waiting: &mut VecDeque<u64>) -> u64 {
        let rows = waiting.len().min(self.limit.limit() as usize);
        let cut_off = rows < waiting.len();
        let service_ns = self.service_ns(now_ns, rows as u64);
        let done_ns = now_ns + service_ns;
        let in_time = waiting.drain(..rows).filter(|came_ns| came_ns + SLO_NS >= done_ns);
        self.in_time_ns.extend(in_time);
        let lesson = self.estimate.observe(size(rows), service_ns, done_ns);
        self.stalls_told += u32::from(lesson.is_stall);
        self.limit.observe(size(rows), cut_off && !lesson.is_stall, lesson.usual_ns);
        done_ns
    }

    fn service_ns(&mut self, now_ns: u64, rows: u64) -> u64 {
        let Service { noise, stalls_per_second, slow_ns, .. } = self.service;
        let is_slow = (slow_ns.0..slow_ns.1).contains(&now_ns);
        let usual_ns = self.service.usual_ns(rows) * if is_slow { 10 } else { 1 };
        // The sum of twelve has a deviation of 1.
        let deviations = (0..12).map(|_| unit(&mut self.random)).sum::<f64>() - 6.0;
        let mut service_ns = whole(usual_ns as f64 * (1.0 + noise * deviations).max(0.2));
        while stalls_per_second > 0.0 && self.next_stall_ns < now_ns + service_ns {
            let stall_ns = 10 * MS + whole(unit(&mut self.random) * (10 * MS) as f64);
            service_ns += if self.next_stall_ns >= now_ns { stall_ns } else { 0 };
            self.next_stall_ns += gap_ns(&mut self.random, stalls_per_second);
        }
        service_ns
    }

    /// Queries answered in time, per second, of those that came from one time to the other.
    fn goodput_qps(&self, from_ns: u64, until_ns: u64) -> f64 {
        let came = self.in_time_ns.iter().filter(|came_ns| (from_ns..until_ns).contains(*came_ns));
        came.count() as f64 * SECOND_NS as f64 / (until_ns - from_ns) as f64
    }
}

fn size(rows: usize) -> u32 {
    u32::try_from(rows).expect("few")
}

/// The next of a sequence of numbers above 0 and up to 1 (SplitMix64).
fn unit(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (((mixed ^ (mixed >> 31)) >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

fn gap_ns(random: &mut u64, per_second: f64) -> u64 {
    whole(-unit(random).ln() / per_second * SECOND_NS as f64)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
fn whole(ns: f64) -> u64 {
    ns as u64
}

fn adaptive() -> [BatchLimit; 2] {
    let mut both = [
        BatchLimit::Aimd(Aimd::new(4_096, OBJECTIVE_NS)),
        BatchLimit::Quantile(Box::new(Quantile::new(4_096))),
    ];
    let objective = Objective { usual_ns: OBJECTIVE_NS, worst_ns: SLO_NS };
    both.iter_mut().for_each(|limit| limit.set_objective(objective));
    both
}

/// The goodput of AIMD, of quantile regression and of the best fixed limit, at a load that is a
/// share of the bound, in seconds 1 to 6.
fn goodputs_qps(service: Service, load: f64) -> [f64; 3] {
    let goodput_qps = |limit| {
        let world = World::new(service, limit).run(load * service.bound_qps(), 6 * SECOND_NS);
        world.goodput_qps(SECOND_NS, 6 * SECOND_NS)
    };
    let [aimd, quantile] = adaptive().map(goodput_qps);
    let sizes = std::iter::successors(Some(1), |max: &u32| Some(max * 5 / 4 + 1)).take(22);
    let fixed = sizes.map(|max| goodput_qps(BatchLimit::Fixed { max })).fold(0.0, f64::max);
    println!(
        "{service:?}, {load} of {:.0}/s: aimd {:.3}, quantile {:.3} of the best fixed, {fixed:.0}",
        service.bound_qps(),
        aimd / fixed,
        quantile / fixed,
    );
    [aimd, quantile, fixed]
}

#[test]
fn near_the_bound_both_are_within_five_percent_of_the_best_fixed_limit() {
    let noisy = Service { noise: 0.05, ..HEAVY };
    for service in [LINEAR, LIGHT, HEAVY, noisy] {
        let [aimd, quantile, fixed] = goodputs_qps(service, 0.95);
        assert!(aimd >= 0.95 * fixed && quantile >= 0.95 * fixed, "{service:?}");
    }
}

#[test]
fn at_twice_the_bound_both_keep_98_percent_of_it() {
    for service in [LINEAR, LIGHT, HEAVY] {
        let [aimd, quantile, _] = goodputs_qps(service, 2.0);
        let least_qps = 0.98 * service.bound_qps();
        assert!(aimd >= least_qps && quantile >= least_qps, "{service:?}");
    }
}

#[test]
fn stalls_several_times_a_second_cost_no_more_than_they_cost_a_fixed_limit() {
    for stalls_per_second in [3.0, 8.0, 15.0] {
        let [aimd, quantile, fixed] = goodputs_qps(Service { stalls_per_second, ..HEAVY }, 0.95);
        assert!(aimd >= 0.9 * fixed && quantile >= 0.8 * fixed, "{stalls_per_second} per second");
    }
}

#[test]
fn stalls_are_told_apart_from_size() {
    let stalled = Service { stalls_per_second: 5.0, ..HEAVY };
    for limit in adaptive() {
        let world = World::new(stalled, limit).run(12_000.0, 10 * SECOND_NS);
        assert!((30..=60).contains(&world.stalls_told), "{} stalls", world.stalls_told);
    }
}

#[test]
fn a_stepped_model_is_served_as_well_as_by_the_best_fixed_limit_with_aimd() {
    let stepped = Service { fixed_ns: MS, is_stepped: true, ..LINEAR };
    for load in [0.95, 2.0] {
        let [aimd, quantile, fixed] = goodputs_qps(stepped, load);
        assert!(aimd >= 0.9 * fixed && quantile >= 0.7 * fixed, "{load}");
    }
}

#[test]
fn ten_times_slower_for_a_while_both_keep_95_percent_of_what_can_be_had_within_1000_batches() {
    let slow = Service { slow_ns: (5 * SECOND_NS, 10 * SECOND_NS), ..LIGHT };
    let slow_bound_qps = 4.0 * SECOND_NS as f64 / (10 * LIGHT.usual_ns(4)) as f64;
    for limit in adaptive() {
        let world = World::new(slow, limit).run(1.5 * LIGHT.bound_qps(), 15 * SECOND_NS);
        let shares = [
            world.goodput_qps(SECOND_NS, 5 * SECOND_NS) / LIGHT.bound_qps(),
            world.goodput_qps(6 * SECOND_NS, 10 * SECOND_NS) / slow_bound_qps,
            world.goodput_qps(11 * SECOND_NS, 15 * SECOND_NS) / LIGHT.bound_qps(),
        ];
        println!("before, meanwhile, after: {shares:.3?}");
        assert!(shares.iter().all(|share| *share >= 0.95), "{shares:?}");
    }
}

#[test]
fn from_cold_at_twice_the_bound_the_first_half_second_keeps_nine_tenths_of_it() {
    for service in [LINEAR, LIGHT, HEAVY] {
        for limit in adaptive() {
            let world = World::new(service, limit).run(2.0 * service.bound_qps(), SECOND_NS);
            let share = world.goodput_qps(0, SECOND_NS / 2) / service.bound_qps();
            println!("{service:?}: {share:.3} of the bound in the first half second");
            assert!(share >= 0.9, "{service:?}: {share}");
        }
    }
}
