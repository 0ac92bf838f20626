//! Whether a server has adapted to a rate: short runs that do not count, until it stands still.
//!
//! A server that learns how large its batches may be fails a rate at first that it keeps a second
//! later. So a step begins with slices; it is judged when the last few of them say that nothing
//! moves: the limits of its batches, where they can be read, and whether it misses less from slice
//! to slice. A queue that only grows does not move in this sense: it will not get better.

use super::Chunk;

/// Slices that are looked at, and the least that there are.
const SLICES: usize = 3;
/// Limits may swing: AIMD goes up by steps and down by a tenth, for ever.
const LIMIT_SWING: f64 = 0.25;
const LIMIT_SWING_ROWS: u64 = 4;
/// What the share of misses must fall by to be a change: by this, and by this part of it.
const MISSES_FALL: f64 = 0.02;
const MISSES_FALL_PART: f64 = 0.25;
/// What the latency must fall by, as a part of it.
const LATENCY_FALL_PART: f64 = 0.2;

/// The slices of one step so far.
#[derive(Debug, Default)]
pub(super) struct Settling {
    slices: Vec<Chunk>,
}

impl Settling {
    /// Adds a slice; says whether the server stands still.
    pub(super) fn add(&mut self, slice: Chunk) -> bool {
        self.slices.push(slice);
        let from = self.slices.len().checked_sub(SLICES);
        from.is_some_and(|from| is_still(&self.slices[from..]))
    }

    pub(super) fn duration_ns(&self) -> u64 {
        self.slices.iter().map(|slice| slice.duration_ns).sum()
    }
}

fn is_still(slices: &[Chunk]) -> bool {
    let limits = || slices.iter().filter_map(|slice| slice.limit_rows);
    let (low, high) = (limits().min().unwrap_or(0), limits().max().unwrap_or(0));
    let swing = (high - low) as f64;
    let limits_move = high - low > LIMIT_SWING_ROWS && swing > LIMIT_SWING * high as f64;
    let (first, last) = (&slices[0], &slices[slices.len() - 1]);
    let misses =
        |slice: &Chunk| (slice.over_slo + slice.defaults) as f64 / slice.requests.max(1) as f64;
    let fall = misses(first) - misses(last);
    let misses_fall = fall > MISSES_FALL.max(MISSES_FALL_PART * misses(first));
    let latency_falls = first.quantile_ns.zip(last.quantile_ns).is_some_and(|(was, is)| {
        let fall_ns = was.saturating_sub(is) as f64;
        fall_ns > LATENCY_FALL_PART * was as f64
    });
    // Where limits are told, a latency says nothing that they do not.
    let is_told = slices.iter().all(|slice| slice.limit_rows.is_some());
    !limits_move && !misses_fall && (is_told || !latency_falls)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (limit, misses of a thousand, latency)
    fn is_settled_after(slices: &[(Option<u64>, u64, u64)]) -> Vec<bool> {
        let mut settling = Settling::default();
        let slice = |(limit_rows, over_slo, latency_ns): &(Option<u64>, u64, u64)| Chunk {
            requests: 1_000,
            over_slo: *over_slo,
            defaults: 0,
            failed: 0,
            quantile_ns: Some(*latency_ns),
            inflation: 1.0,
            is_valid: true,
            duration_ns: 1,
            limit_rows: *limit_rows,
        };
        slices.iter().map(|of| settling.add(slice(of))).collect()
    }

    #[test]
    fn three_slices_alike_are_stillness() {
        assert_eq!(is_settled_after(&[(Some(8), 0, 5); 3]), [false, false, true]);
        assert_eq!(is_settled_after(&[(None, 0, 5); 3]), [false, false, true]);
    }

    #[test]
    fn a_limit_that_grows_is_waited_for_and_one_that_swings_is_not() {
        let grows = [8, 16, 32, 60, 62, 58].map(|limit| (Some(limit), 500, 5));
        assert_eq!(is_settled_after(&grows), [false, false, false, false, false, true]);
        let swings = [40, 36, 38, 40, 36].map(|limit| (Some(limit), 0, 5));
        assert!(is_settled_after(&swings)[2..].iter().all(|is_settled| *is_settled));
        assert!(is_settled_after(&[1, 3, 2].map(|limit| (Some(limit), 0, 5)))[2]);
    }

    #[test]
    fn misses_that_fall_are_waited_for_and_those_that_stay_or_grow_are_not() {
        let of = |misses: [u64; 3]| is_settled_after(&misses.map(|of| (None, of, 5)))[2];
        assert!(!of([900, 500, 300]) && !of([60, 50, 10]));
        assert!(of([900, 900, 890]) && of([100, 500, 900]) && of([30, 10, 15]));
    }

    #[test]
    fn a_latency_that_falls_is_waited_for_where_nothing_else_is_told() {
        let of = |limit| is_settled_after(&[9, 7, 5].map(|ns| (limit, 0, ns)))[2];
        assert!(!of(None) && of(Some(8)));
        assert!(is_settled_after(&[5, 7, 9].map(|ns| (None, 0, ns)))[2], "an endless queue");
    }
}
