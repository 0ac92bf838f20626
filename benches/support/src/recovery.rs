//! How long a policy takes until it is good again: one of selection until it is as good as the best
//! model that there is, one of batching until it serves as much as it should.

/// Queries over which accuracy is averaged.
pub const WINDOW: usize = 200;
/// An average that is below the model's by no more than this is as good.
pub const WITHIN: f64 = 0.01;

/// Queries from `start` on until the moving average of the last [`WINDOW`] answers, which had
/// fallen below the aim, has come back to it: 0 if it never fell, `None` if it was still below at
/// `end`.
///
/// The average reaches back to before `start`, so that at first it is too good after a failure and
/// too bad after a healing; both make the time longer, if anything.
pub fn recovery(is_right: &[bool], (start, end): (usize, usize), aim: f64) -> Option<usize> {
    let mut below = false;
    for (query, average) in moving_averages(&is_right[..end], WINDOW) {
        if query < start {
            continue;
        }
        if average < aim {
            below = true;
        } else if below {
            return Some(query + 1 - start);
        }
    }
    (!below).then_some(0)
}

/// The average of the last `window` answers at each query that has as many.
pub fn moving_averages(
    is_right: &[bool],
    window: usize,
) -> impl Iterator<Item = (usize, f64)> + '_ {
    let mut right: usize = is_right.iter().take(window - 1).map(|is| usize::from(*is)).sum();
    let places = window - 1..is_right.len();
    places.map(move |query| {
        right += usize::from(is_right[query]);
        let average = right as f64 / window as f64;
        right -= usize::from(is_right[query + 1 - window]);
        (query, average)
    })
}

/// Batches since a change until goodput had come to the aim for two slices in a row: those that had
/// come back at the end of the first. `batches` counts them at the end of each slice. `None` if it
/// never had.
pub fn batches_until(slices_qps: &[f64], batches: &[u64], aim_qps: f64) -> Option<u64> {
    let pairs = slices_qps.windows(2).zip(batches);
    pairs
        .into_iter()
        .find_map(|(two, batches)| two.iter().all(|qps| *qps >= aim_qps).then_some(*batches))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All right but these.
    fn answers(wrong: std::ops::Range<usize>) -> Vec<bool> {
        (0..2_000).map(|query| !wrong.contains(&query)).collect()
    }

    #[test]
    fn an_average_is_of_the_last_answers_alone() {
        let averages: Vec<_> = moving_averages(&[true, false, false, true], 2).collect();
        assert_eq!(averages, [(1, 0.5), (2, 0.0), (3, 0.5)]);
    }

    #[test]
    fn recovery_ends_when_the_average_is_back() {
        // At 1,019 twenty of two hundred are wrong; the first eleven have to leave the average.
        let found = recovery(&answers(1_000..1_020), (1_000, 2_000), 0.955);
        assert_eq!(found, Some(211));
    }

    #[test]
    fn what_never_falls_needs_no_time() {
        assert_eq!(recovery(&answers(1_000..1_005), (1_000, 2_000), 0.95), Some(0));
    }

    #[test]
    fn what_is_not_back_at_the_end_has_not_recovered() {
        assert_eq!(recovery(&answers(1_000..1_020), (1_000, 1_100), 0.95), None);
    }

    #[test]
    fn goodput_is_back_with_the_first_of_two_good_slices() {
        let batches = [6, 12, 18, 24, 30];
        let until = |slices_qps: &[f64]| batches_until(slices_qps, &batches, 95.0);
        assert_eq!(until(&[10.0, 96.0, 90.0, 95.0, 99.0]), Some(24));
        assert_eq!(until(&[95.0, 95.0]), Some(6));
        assert_eq!(until(&[10.0, 96.0, 90.0, 94.0, 99.0]), None);
    }
}
