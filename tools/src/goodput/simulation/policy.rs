//! What a policy does when a replica is free: which queries it gives up, which it takes.

use super::super::Scene;

/// Sizes of which Clockwork remembers how long they took, and how many of the last times.
const MEASUREMENTS: usize = 10;
/// Clipper's steps up, and down (NSDI '17, section 4.3).
const CLIPPER_STEP_ROWS: u64 = 2;
const CLIPPER_BACK_OFF: f64 = 0.9;

/// How batches are formed. Those that drop, drop what cannot be in time any more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Policy {
    /// The fewest drops such that the head's batch is in time and those behind it still can be.
    LookAhead,
    /// Takes as many as may be, and drops heads until the rest is in time; what is taken is
    /// computed anew after each drop. The early drop of Nexus (Shen et al., SOSP '19), with batches
    /// of no more than `rows_max`.
    Window { rows_max: u64 },
    /// Drops only what is late even alone, then takes what the head has time for.
    Earliest,
    /// Takes all that waits, and drops nothing.
    Greedy,
    /// Takes up to so many, and drops nothing.
    Fixed { rows: u64 },
    /// Batches of fixed sizes, powers of two: the largest that is full of queries that it serves in
    /// time by the worst of its last times. What it passes over is dropped. Clockwork (Gujarati et
    /// al., OSDI '20), by its source.
    Clockwork,
    /// Waits until so many are there, or the oldest has waited for so long; knows no deadline.
    /// Triton's dynamic batcher with one preferred size.
    Triton { rows: u64, delay_ns: f64 },
    /// Grows its batches by steps while they take no longer than the whole SLO, cuts them by a
    /// tenth when they do; drops nothing. Clipper (Crankshaw et al., NSDI '17, section 4.3).
    Clipper,
}

/// How everything stands when a replica is to be given a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'a> {
    pub(super) arrivals_ns: &'a [f64],
    /// Those that wait: from `head` on, before `tail`. There is one at least.
    pub(super) head: usize,
    pub(super) tail: usize,
    pub(super) now_ns: f64,
    /// When another replica is free; absent when there is no other.
    pub(super) next_free_ns: Option<f64>,
}

/// What was decided. Queries before `first` are dropped; without rows nothing is served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    pub(super) first: usize,
    pub(super) rows: usize,
    pub(super) start_ns: f64,
}

/// A policy at work, with what it remembers.
#[derive(Debug)]
pub(super) struct Batcher<'a> {
    scene: &'a Scene,
    policy: Policy,
    /// How much longer than the line a batch is thought to take.
    margin: f64,
    /// Clipper's limit of each replica.
    limits: Vec<u64>,
    /// Clockwork's last times, by the power of two.
    times: Vec<[f64; MEASUREMENTS]>,
    measured: usize,
}

impl<'a> Batcher<'a> {
    pub(super) fn new(scene: &'a Scene, policy: Policy, margin: f64) -> Self {
        let powers = scene.rows_max().ilog2() + 1;
        // As after a profile: Clockwork measures its models before they serve.
        let profile = |power: u32| [scene.line().service_ns(1 << power); MEASUREMENTS];
        Self {
            scene,
            policy,
            margin,
            // As after they have grown.
            limits: vec![scene.rows_max(); scene.replicas() as usize],
            times: (0..powers).map(profile).collect(),
            measured: 0,
        }
    }

    pub(super) fn form(&self, replica: usize, moment: &Moment<'_>) -> Batch {
        let most = usize::try_from(self.rows_within(self.scene.budget_ns())).unwrap_or(usize::MAX);
        let up_to = |rows: u64| usize::try_from(rows).unwrap_or(usize::MAX);
        match self.policy {
            Policy::LookAhead => self.look_ahead(moment, most.max(1)),
            Policy::Window { rows_max } => self.window(moment, most.min(up_to(rows_max)).max(1)),
            Policy::Earliest => self.earliest(moment, most.max(1)),
            Policy::Greedy => moment.take(moment.head, usize::MAX),
            Policy::Fixed { rows } => moment.take(moment.head, up_to(rows)),
            Policy::Clockwork => self.clockwork(moment),
            Policy::Triton { rows, delay_ns } => moment.wait_for(up_to(rows), delay_ns),
            Policy::Clipper => moment.take(moment.head, up_to(self.limits[replica])),
        }
    }

    /// Learns how long a batch took.
    pub(super) fn served(&mut self, replica: usize, rows: usize, service_ns: f64) {
        match self.policy {
            Policy::Clipper => {
                let limit = &mut self.limits[replica];
                *limit = next_limit(*limit, rows as u64, service_ns > self.scene.budget_ns());
            }
            Policy::Clockwork => {
                self.times[rows.ilog2() as usize][self.measured % MEASUREMENTS] = service_ns;
                self.measured += 1;
            }
            _ => {}
        }
    }

    fn look_ahead(&self, moment: &Moment<'_>, most: usize) -> Batch {
        let budget_ns = self.scene.budget_ns();
        for first in moment.head..moment.tail {
            let waiting = moment.tail - first;
            let time_ns = moment.arrivals_ns[first] + budget_ns - moment.now_ns;
            let rows = usize::try_from(self.rows_within(time_ns)).unwrap_or(usize::MAX);
            let rows = rows.min(waiting).min(most);
            let rest = waiting - rows;
            if rows > 0 && rest == 0 {
                return moment.take(first, rows);
            }
            if rows > 0 {
                let done_ns = moment.now_ns + self.predicted_ns(rows);
                let other_ns = moment.next_free_ns.unwrap_or(done_ns).max(moment.now_ns);
                let next_done_ns = other_ns.min(done_ns) + self.predicted_ns(rest.min(most));
                if moment.arrivals_ns[first + rows] + budget_ns >= next_done_ns {
                    return moment.take(first, rows);
                }
            }
        }
        moment.take(moment.tail, 0)
    }

    fn window(&self, moment: &Moment<'_>, most: usize) -> Batch {
        let is_in_time = |first: usize| {
            let rows = most.min(moment.tail - first);
            let done_ns = moment.now_ns + self.predicted_ns(rows);
            moment.arrivals_ns[first] + self.scene.budget_ns() >= done_ns
        };
        let first = (moment.head..moment.tail).find(|first| is_in_time(*first));
        moment.take(first.unwrap_or(moment.tail), most)
    }

    fn earliest(&self, moment: &Moment<'_>, most: usize) -> Batch {
        let time_ns =
            |first: usize| moment.arrivals_ns[first] + self.scene.budget_ns() - moment.now_ns;
        let alone_ns = self.predicted_ns(1);
        let first = (moment.head..moment.tail).find(|first| time_ns(*first) >= alone_ns);
        let Some(first) = first else { return moment.take(moment.tail, 0) };
        let rows = usize::try_from(self.rows_within(time_ns(first))).unwrap_or(usize::MAX);
        moment.take(first, rows.clamp(1, most))
    }

    fn clockwork(&self, moment: &Moment<'_>) -> Batch {
        let budget_ns = self.scene.budget_ns();
        for (power, times_ns) in self.times.iter().enumerate().rev() {
            let rows = 1_usize << power;
            let worst_ns = times_ns.iter().copied().fold(0.0, f64::max);
            let is_in_time = |arrival_ns: &f64| arrival_ns + budget_ns >= moment.now_ns + worst_ns;
            let waiting = &moment.arrivals_ns[moment.head..moment.tail];
            let first = moment.head + waiting.partition_point(|arrival_ns| !is_in_time(arrival_ns));
            if moment.tail - first >= rows {
                return moment.take(first, rows);
            }
        }
        moment.take(moment.tail, 0)
    }

    fn predicted_ns(&self, rows: usize) -> f64 {
        self.scene.line().service_ns(rows as u64) * self.margin
    }

    fn rows_within(&self, ns: f64) -> u64 {
        self.scene.line().rows_within(ns / self.margin)
    }
}

impl Moment<'_> {
    /// Up to so many of those that wait, from `first` on, at once.
    fn take(&self, first: usize, rows: usize) -> Batch {
        Batch { first, rows: rows.min(self.tail - first), start_ns: self.now_ns }
    }

    /// So many, when they are there, or fewer when the head has waited for so long.
    fn wait_for(&self, rows: usize, delay_ns: f64) -> Batch {
        let full_ns = rows
            .checked_sub(1)
            .and_then(|more| self.arrivals_ns.get(self.head.checked_add(more)?))
            .map_or(f64::INFINITY, |arrival_ns| arrival_ns.max(self.now_ns));
        let over_ns = (self.arrivals_ns[self.head] + delay_ns).max(self.now_ns);
        let start_ns = full_ns.min(over_ns);
        let arrivals = &self.arrivals_ns[self.head..];
        let there = arrivals.iter().take(rows).take_while(|ns| **ns <= start_ns).count();
        Batch { first: self.head, rows: there, start_ns }
    }
}

/// Clipper's step. A batch that the limit did not cut says nothing about larger ones.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few, from 0 on")]
fn next_limit(limit: u64, rows: u64, is_late: bool) -> u64 {
    if is_late {
        ((limit as f64 * CLIPPER_BACK_OFF) as u64).max(1)
    } else if rows == limit {
        limit + CLIPPER_STEP_ROWS
    } else {
        limit
    }
}
