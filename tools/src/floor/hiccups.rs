//! How quiet a core is: a loop that does nothing but read the clock, and the gaps in it.
//!
//! In a gap somebody else had the core: the kernel, another process, a hypervisor. No server and no
//! load generator on this core can do better than this loop, so a tail latency that is not longer
//! than these gaps says nothing about a server. (After jHiccup, Gil Tene, and cyclictest.)
//!
//! One pinned thread for each core, all at the same time.

use std::sync::Barrier;
use std::{io, thread};

use cutter_machine::clock::monotonic_ns;

use super::cores::pin;
use crate::limits::HICCUPS_LONGEST_MAX;
use crate::result::Hiccups;

/// Gaps from here on are counted; reading the clock twice takes a hundredth of it. Each further
/// bound is ten times the one before.
const BOUNDS_NS: [u64; 4] = [10_000, 100_000, 1_000_000, 10_000_000];

/// Watches all these cores at the same time, for so long.
pub fn watch(cpus: &[usize], duration_ns: u64) -> io::Result<Vec<Hiccups>> {
    let together = Barrier::new(cpus.len());
    let watch_one = |cpu: usize| {
        let pinned = pin(cpu);
        // Whoever cannot be pinned keeps nobody waiting.
        together.wait();
        pinned.map(|()| meter(cpu, duration_ns, monotonic_ns))
    };
    thread::scope(|scope| {
        let started = |&cpu: &usize| scope.spawn(move || watch_one(cpu));
        let threads: Vec<_> = cpus.iter().map(started).collect();
        let joined = |thread: thread::ScopedJoinHandle<'_, io::Result<Hiccups>>| {
            thread.join().map_err(|_| io::Error::other("a hiccup meter panicked"))?
        };
        threads.into_iter().map(joined).collect()
    })
}

/// Reads the clock until the time is over.
fn meter(cpu: usize, duration_ns: u64, mut clock: impl FnMut() -> u64) -> Hiccups {
    let begin_ns = clock();
    let mut last_ns = begin_ns;
    let mut hiccups = Hiccups {
        cpu,
        duration_ns: 0,
        lost_ns: 0,
        // Room for one too many, so that the loop never allocates.
        longest_ns: Vec::with_capacity(HICCUPS_LONGEST_MAX + 1),
        counts: BOUNDS_NS.map(|bound_ns| (bound_ns, 0)).to_vec(),
    };
    while last_ns - begin_ns < duration_ns {
        let now_ns = clock();
        let gap_ns = now_ns - last_ns;
        if gap_ns >= BOUNDS_NS[0] {
            note(&mut hiccups, gap_ns);
        }
        last_ns = now_ns;
    }
    hiccups.duration_ns = last_ns - begin_ns;
    hiccups
}

fn note(hiccups: &mut Hiccups, gap_ns: u64) {
    hiccups.lost_ns += gap_ns;
    for (bound_ns, count) in &mut hiccups.counts {
        *count += u64::from(gap_ns >= *bound_ns);
    }
    let longest_ns = &mut hiccups.longest_ns;
    let place = longest_ns.partition_point(|longer_ns| *longer_ns >= gap_ns);
    longest_ns.insert(place, gap_ns);
    longest_ns.truncate(HICCUPS_LONGEST_MAX);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that goes on by these steps, and then by 100 ns each time.
    fn clock(steps_ns: impl IntoIterator<Item = u64>) -> impl FnMut() -> u64 {
        let mut steps_ns = steps_ns.into_iter();
        let mut now_ns = 7;
        move || {
            now_ns += steps_ns.next().unwrap_or(100);
            now_ns
        }
    }

    #[test]
    fn gaps_are_counted_by_their_length_and_summed() {
        let steps_ns = [0, 100, 10_000, 9_999, 12_000_000, 150_000];
        let found = meter(3, 13_000_000, clock(steps_ns));
        assert_eq!((found.cpu, found.duration_ns), (3, 13_000_099));
        assert_eq!(found.lost_ns, 12_160_000);
        assert_eq!(found.longest_ns, [12_000_000, 150_000, 10_000]);
        let expected = [(10_000, 3), (100_000, 2), (1_000_000, 1), (10_000_000, 1)];
        assert_eq!(found.counts, expected);
    }

    #[test]
    fn only_the_longest_gaps_are_kept_longest_first() {
        let gaps_ns = (1..=50).map(|number| 10_000 + number * 7 % 50);
        let found = meter(0, 600_000, clock(std::iter::once(0).chain(gaps_ns)));
        let longest_ns: Vec<u64> = (0..10).map(|number| 10_049 - number).collect();
        assert_eq!((found.counts[0].1, found.longest_ns), (50, longest_ns));
    }

    #[test]
    fn a_gap_at_the_very_end_is_not_lost() {
        let found = meter(0, 1_000, clock([0, 500, 30_000]));
        assert_eq!((found.duration_ns, found.lost_ns), (30_500, 30_000));
    }

    #[test]
    fn every_core_is_watched_for_its_time() {
        let cpus = cutter_machine::affinity::allowed().unwrap();
        let found = watch(&cpus, 2_000_000).unwrap();
        let watched: Vec<usize> = found.iter().map(|hiccups| hiccups.cpu).collect();
        assert_eq!(watched, cpus);
        assert!(found.iter().all(|hiccups| hiccups.duration_ns >= 2_000_000));
        assert!(found.iter().all(|hiccups| hiccups.lost_ns <= hiccups.duration_ns));
    }

    #[test]
    fn a_core_that_is_not_there_is_an_error_and_nobody_waits_for_it() {
        assert!(watch(&[1_023], 1_000).is_err());
    }
}
