//! One exchange at a time, timed by itself, and what many come to.

use std::io;

use cutter_machine::clock::monotonic_ns;

use crate::result::FloorFigure;

/// Samples that it takes for p99.9 to be told from the maximum with 95 % confidence.
const P999_SAMPLES_MIN: usize = 3_689;

/// How many exchanges a round has, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Before the first one that is recorded.
    pub warm_up: usize,
    pub recorded: usize,
    /// The recording ends then, and the warm-up after a quarter of it: a machine with much else to
    /// do makes fewer exchanges.
    pub time_ns_max: u64,
}

/// Times each exchange. At least one is recorded.
pub fn record(
    sampling: Sampling,
    mut exchange: impl FnMut() -> io::Result<()>,
) -> io::Result<Vec<u64>> {
    let begin_ns = monotonic_ns();
    for _ in 0..sampling.warm_up {
        exchange()?;
        if monotonic_ns() - begin_ns > sampling.time_ns_max / 4 {
            break;
        }
    }
    let mut latencies_ns = Vec::with_capacity(sampling.recorded);
    let begin_ns = monotonic_ns();
    loop {
        let start_ns = monotonic_ns();
        exchange()?;
        let end_ns = monotonic_ns();
        latencies_ns.push(end_ns - start_ns);
        if latencies_ns.len() >= sampling.recorded || end_ns - begin_ns > sampling.time_ns_max {
            return Ok(latencies_ns);
        }
    }
}

/// What the rounds of one floor come to: p50 and p99 are medians over the rounds, so that one
/// disturbed round does not count; p99.9 and the maximum are of all exchanges together, since no
/// round alone may have enough of them.
///
/// # Panics
/// When there is no round, or one without exchanges.
pub fn figure(name: &str, meaning: &str, mut rounds: Vec<Vec<u64>>) -> FloorFigure {
    rounds.iter_mut().for_each(|round| round.sort_unstable());
    let median_of = |per_mille| {
        let mut of_rounds: Vec<u64> = rounds.iter().map(|round| rank(round, per_mille)).collect();
        of_rounds.sort_unstable();
        rank(&of_rounds, 500)
    };
    let (p50_ns, p99_ns) = (median_of(500), median_of(990));
    let mut all = rounds.concat();
    all.sort_unstable();
    FloorFigure {
        name: name.to_owned(),
        meaning: meaning.to_owned(),
        n: all.len() as u64,
        p50_ns,
        p99_ns,
        p999_ns: (all.len() >= P999_SAMPLES_MIN).then(|| rank(&all, 999)),
        max_ns: rank(&all, 1_000),
    }
}

/// The nearest rank; of an even number in the middle, the lower one.
fn rank(sorted: &[u64], per_mille: usize) -> u64 {
    sorted[(sorted.len() * per_mille).div_ceil(1_000).max(1) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLING: Sampling = Sampling { warm_up: 3, recorded: 5, time_ns_max: u64::MAX };

    #[test]
    fn the_warm_up_is_exchanged_and_not_recorded() {
        let mut exchanges = 0;
        let count = || {
            exchanges += 1;
            Ok(())
        };
        assert_eq!(record(SAMPLING, count).unwrap().len(), 5);
        assert_eq!(exchanges, 8);
    }

    #[test]
    fn a_round_whose_time_is_over_has_one_exchange_at_least() {
        let sampling = Sampling { time_ns_max: 0, ..SAMPLING };
        let slow = || {
            std::thread::sleep(std::time::Duration::from_micros(1));
            Ok(())
        };
        assert_eq!(record(sampling, slow).unwrap().len(), 1);
    }

    #[test]
    fn an_exchange_that_fails_ends_the_round() {
        assert!(record(SAMPLING, || Err(io::Error::other("gone"))).is_err());
    }

    #[test]
    fn quantiles_are_medians_over_the_rounds_and_the_maximum_is_of_all() {
        let round = |scale: u64| (1..=1_000).rev().map(|rank| rank * scale).collect();
        let found = figure("x", "words", vec![round(1), round(900), round(2)]);
        assert_eq!((found.n, found.p50_ns, found.p99_ns), (3_000, 1_000, 1_980));
        assert_eq!((found.p999_ns, found.max_ns), (None, 900_000));
    }

    #[test]
    fn three_nines_are_told_only_when_the_samples_support_them() {
        let of = |n: u64| figure("x", "words", vec![(1..=n).collect()]).p999_ns;
        assert_eq!((of(3_688), of(3_689)), (None, Some(3_686)));
    }
}
