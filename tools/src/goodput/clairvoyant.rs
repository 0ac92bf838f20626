//! The fewest losses on one very trace, by one who knew all of it before.
//!
//! Dynamic programming over the trace, exact for one replica. All queries have the same SLO, so
//! some best schedule serves them in their order, and drops before the first of a batch and never
//! within it: whoever drops a later one may drop the first instead, and the batch has more time.
//! With `r` the arrivals and `E[j][d]` the earliest time at which the first `j` are done with when
//! `d` of them were dropped:
//!
//! ```text
//!  E[j][d] = min( E[j-1][d-1],                                     the j-th is dropped
//!                 min over b of max(E[j-b][d], r_j) + l(b) )       the last b are one batch,
//!                                  if that is ≤ r_{j-b+1} + S     when its first is in time
//! ```
//!
//! More drops only help until the replica is idle when the next query comes, so few `d` are kept
//! for each `j`: those after the least that is possible, each with an earlier end than the one
//! before.

use std::collections::VecDeque;

use super::Scene;
use crate::limits::CLAIRVOYANT_STEPS_MAX;

/// What comes of a trace at best.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Clairvoyant {
    pub queries: u64,
    /// The fewest that must be dropped so that all others are in time.
    pub dropped: u64,
    /// Those in time, over the time from the first arrival to the last and one gap more.
    pub goodput_qps: f64,
    /// What came, over the same time.
    pub offered_qps: f64,
    /// Whether several replicas were taken for one that is as much faster. What several of them
    /// reach is then about that, and not exactly.
    pub is_pooled: bool,
}

/// Why it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClairvoyantError {
    #[error("the trace has no times")]
    Empty,
    #[error(
        "{queries} queries take more than {CLAIRVOYANT_STEPS_MAX} steps to look through; cut the \
         trace"
    )]
    TooLong { queries: usize },
}

/// Looks through a trace of ascending times.
pub fn clairvoyant(scene: &Scene, arrivals_ns: &[u64]) -> Result<Clairvoyant, ClairvoyantError> {
    let (Some(first_ns), Some(last_ns)) = (arrivals_ns.first(), arrivals_ns.last()) else {
        return Err(ClairvoyantError::Empty);
    };
    let dropped = fewest_drops(&scene.pooled(), arrivals_ns)?;
    let queries = arrivals_ns.len() as u64;
    let gaps = (queries - 1).max(1) as f64;
    // Queries at one instant have no rate: they count for the time that the SLO gives them.
    let span_ns = (last_ns - first_ns) as f64 * (1.0 + 1.0 / gaps);
    let seconds = if span_ns > 0.0 { span_ns } else { scene.budget_ns() } / 1e9;
    Ok(Clairvoyant {
        queries,
        dropped,
        goodput_qps: (queries - dropped) as f64 / seconds,
        offered_qps: queries as f64 / seconds,
        is_pooled: scene.replicas() > 1,
    })
}

/// The ends that are possible after so many queries, by drops: from `least` on, each earlier.
#[derive(Clone, Debug, Default)]
struct Ends {
    least: usize,
    ends_ns: Vec<f64>,
}

impl Ends {
    /// The earliest end with so many drops or fewer; never with fewer than the least.
    fn at(&self, dropped: usize) -> f64 {
        match dropped.checked_sub(self.least) {
            Some(place) => self.ends_ns[place.min(self.ends_ns.len() - 1)],
            None => f64::INFINITY,
        }
    }
}

fn fewest_drops(scene: &Scene, arrivals_ns: &[u64]) -> Result<u64, ClairvoyantError> {
    let queries = arrivals_ns.len();
    let line = scene.line();
    // Of the last batch's length of queries; none before them can be in a batch with the next.
    let mut recent: VecDeque<Ends> = VecDeque::from([Ends { least: 0, ends_ns: vec![0.0] }]);
    let mut steps = 0_u64;
    for (index, arrival_ns) in arrivals_ns.iter().enumerate() {
        let now_ns = *arrival_ns as f64;
        // Batches that end with this query: their rows, and when they must begin.
        let batches: Vec<(usize, f64, f64)> = (1..=recent.len())
            .map(|rows| {
                let first_ns = arrivals_ns[index + 1 - rows] as f64;
                let service_ns = line.service_ns(rows as u64);
                (rows, service_ns, first_ns + scene.budget_ns() - service_ns)
            })
            .take_while(|(_, _, latest_ns)| *latest_ns >= now_ns)
            .collect();
        let next_ns = arrivals_ns.get(index + 1).map_or(f64::INFINITY, |ns| *ns as f64);
        let ends = ends_after(&recent, &batches, now_ns, next_ns, &mut steps);
        if steps > CLAIRVOYANT_STEPS_MAX {
            return Err(ClairvoyantError::TooLong { queries });
        }
        recent.push_back(ends);
        if recent.len() as u64 > scene.rows_max() {
            recent.pop_front();
        }
    }
    Ok(recent.back().map_or(0, |ends| ends.least as u64))
}

/// The ends after one more query, which came at `now_ns`; the next comes at `next_ns`.
fn ends_after(
    recent: &VecDeque<Ends>,
    batches: &[(usize, f64, f64)],
    now_ns: f64,
    next_ns: f64,
    steps: &mut u64,
) -> Ends {
    let before = &recent[recent.len() - 1];
    let of_batches = batches.iter().map(|(rows, ..)| recent[recent.len() - rows].least);
    let mut dropped = of_batches.fold(before.least + 1, usize::min);
    let mut ends = Ends::default();
    let mut earliest_ns = f64::INFINITY;
    loop {
        // The query itself is dropped: possible from one more than before on.
        earliest_ns = earliest_ns.min(dropped.checked_sub(1).map_or(earliest_ns, |d| before.at(d)));
        for (rows, service_ns, latest_ns) in batches {
            let start_ns = recent[recent.len() - rows].at(dropped).max(now_ns);
            if start_ns <= *latest_ns {
                earliest_ns = earliest_ns.min(start_ns + service_ns);
            }
        }
        *steps += batches.len() as u64 + 1;
        if earliest_ns.is_finite() {
            ends.least = if ends.ends_ns.is_empty() { dropped } else { ends.least };
            ends.ends_ns.push(earliest_ns);
            // Idle when the next one comes: more drops gain nothing. It comes to that at last,
            // since all may be dropped.
            if earliest_ns <= next_ns {
                return ends;
            }
        }
        dropped += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scene::testing::scene;
    use super::*;

    const MS: u64 = 1_000_000;

    /// All ways to drop some and cut the rest into batches, tried one by one.
    fn by_trying(scene: &Scene, arrivals_ns: &[u64]) -> u64 {
        fn best(scene: &Scene, left: &[u64], free_ns: f64) -> u64 {
            let Some((_, rest)) = left.split_first() else { return 0 };
            let mut fewest = 1 + best(scene, rest, free_ns);
            // Members of a batch need not be neighbours: each set of later ones is tried.
            for members in 0..1_u32 << (left.len() - 1) {
                let is_in = |index: &usize| *index == 0 || members >> (index - 1) & 1 == 1;
                let chosen: Vec<usize> = (0..left.len()).filter(is_in).collect();
                let last = chosen[chosen.len() - 1];
                let start_ns = free_ns.max(left[last] as f64);
                let end_ns = start_ns + scene.line().service_ns(chosen.len() as u64);
                if end_ns <= left[0] as f64 + scene.budget_ns() {
                    let others = (last + 1 - chosen.len()) as u64;
                    fewest = fewest.min(others + best(scene, &left[last + 1..], end_ns));
                }
            }
            fewest
        }
        best(scene, arrivals_ns, 0.0)
    }

    fn dropped(scene: &Scene, arrivals_ms: &[u64]) -> u64 {
        let arrivals_ns: Vec<u64> = arrivals_ms.iter().map(|ms| ms * MS).collect();
        clairvoyant(scene, &arrivals_ns).unwrap().dropped
    }

    #[test]
    fn what_is_in_time_is_known_by_hand() {
        // A batch of b takes 4 + b ms, and each query has 10 ms: at most six in one batch.
        let scene = scene(1.0, 4.0, 10, 1);
        assert_eq!(dropped(&scene, &[0]), 0);
        assert_eq!(dropped(&scene, &[0; 6]), 0);
        assert_eq!(dropped(&scene, &[0; 7]), 1);
        // One alone until 5, then one until 10 in time, or both together.
        assert_eq!(dropped(&scene, &[0, 1]), 0);
        assert_eq!(dropped(&scene, &[0, 0, 0, 0, 0, 0, 9, 9, 9]), 0);
        // The first six leave no time for one that came with them, and enough for one of 5 ms.
        assert_eq!(dropped(&scene, &[0, 0, 0, 0, 0, 0, 5]), 0);
    }

    #[test]
    fn goodput_is_what_is_left_over_the_time_of_the_trace() {
        let scene = scene(1.0, 4.0, 10, 1);
        let even: Vec<u64> = (0..100).map(|index| index * 10 * MS).collect();
        let found = clairvoyant(&scene, &even).unwrap();
        assert_eq!((found.queries, found.dropped, found.is_pooled), (100, 0, false));
        assert!((found.goodput_qps - 100.0).abs() < 1e-9 && found.offered_qps == found.goodput_qps);
        let at_once = clairvoyant(&scene, &[MS; 8]).unwrap();
        assert_eq!((at_once.dropped, at_once.goodput_qps), (2, 600.0));
    }

    #[test]
    fn in_overload_it_stays_below_the_ceiling_and_comes_near_it() {
        let scene = scene(0.1, 4.0, 20, 1);
        let twice: Vec<u64> = (0..2_500).map(|index| index * 83_333).collect();
        let found = clairvoyant(&scene, &twice).unwrap();
        let share = found.goodput_qps / super::super::ceiling_qps(&scene);
        assert!((0.85..1.0).contains(&share), "{share}");
    }

    #[test]
    fn several_replicas_are_taken_for_a_faster_one_and_that_is_said() {
        let found = clairvoyant(&scene(1.0, 4.0, 10, 4), &[0; 30]).unwrap();
        assert_eq!((found.is_pooled, found.dropped), (true, 0));
    }

    #[test]
    fn no_times_are_refused() {
        let none = clairvoyant(&scene(1.0, 4.0, 10, 1), &[]);
        assert_eq!(none.unwrap_err(), ClairvoyantError::Empty);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn nothing_that_is_tried_drops_fewer(
            mut arrivals in prop::collection::vec(0_u64..40, 1..9),
            per_row_ms in 0.5_f64..3.0,
            fixed_ms in 0.5_f64..6.0,
        ) {
            arrivals.sort_unstable();
            let scene = scene(per_row_ms, fixed_ms, 10, 1);
            let arrivals_ns: Vec<u64> = arrivals.iter().map(|ms| ms * MS).collect();
            prop_assert_eq!(dropped(&scene, &arrivals), by_trying(&scene, &arrivals_ns));
        }
    }
}
