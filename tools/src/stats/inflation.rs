//! How many samples count as one: latencies that follow each other resemble each other.
//!
//! By batch means (Law & Kelton, "Simulation Modeling and Analysis", section 9.5.3): the run is cut
//! into consecutive batches of equal count, and the number of samples above a threshold is taken of
//! each. Of independent samples these numbers are binomial. By how much their variance exceeds
//! the binomial one, by that the variance of the whole run's share exceeds that of independent
//! samples, as long as a batch is longer than the memory of the server.

/// Batches: enough for their variance to be known within 20 %, few enough to be long.
pub const BATCHES: usize = 50;
/// Runs with fewer samples per batch are taken as independent: there is nothing to measure it by.
const SAMPLES_PER_BATCH_MIN: usize = 10;

/// The variance of the share above `threshold_ns`, over that of independent samples; at least 1.
///
/// Samples are in the order in which they were due, failed ones as `u64::MAX`.
pub fn inflation(in_order_ns: &[u64], threshold_ns: u64) -> f64 {
    let batch = in_order_ns.len() / BATCHES;
    if batch < SAMPLES_PER_BATCH_MIN {
        return 1.0;
    }
    // What is left over belongs to no batch; the end is kept, since the start is the less settled.
    let used = &in_order_ns[in_order_ns.len() - batch * BATCHES..];
    let above = |samples: &[u64]| samples.iter().filter(|&&ns| ns > threshold_ns).count() as f64;
    let counts: Vec<f64> = used.chunks_exact(batch).map(above).collect();
    let mean = counts.iter().sum::<f64>() / BATCHES as f64;
    let squares: f64 = counts.iter().map(|count| (count - mean).powi(2)).sum();
    let variance = squares / (BATCHES - 1) as f64;
    let independent = mean * (1.0 - mean / batch as f64);
    if independent > 0.0 { (variance / independent).max(1.0) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn independent_samples_count_each() {
        let mut random = Random::new(1);
        let mut of_run = |_| {
            let run: Vec<u64> = (0..10_000).map(|_| u64::from(random.below(1_000))).collect();
            inflation(&run, 949)
        };
        let mean = (0..100).map(&mut of_run).sum::<f64>() / 100.0;
        assert!((1.0..1.15).contains(&mean), "{mean}");
    }

    #[test]
    fn samples_that_come_in_groups_count_as_one_per_group() {
        let mut random = Random::new(2);
        let mut of_run = |_| {
            let groups = (0..2_000).map(|_| u64::from(random.below(1_000)));
            let run: Vec<u64> = groups.flat_map(|value| [value; 5]).collect();
            inflation(&run, 899)
        };
        let mean = (0..100).map(&mut of_run).sum::<f64>() / 100.0;
        assert!((4.5..5.5).contains(&mean), "{mean}");
    }

    #[test]
    fn short_runs_and_runs_without_any_above_are_taken_as_independent() {
        assert_eq!(inflation(&[], 5), 1.0);
        assert_eq!(inflation(&[9; 499], 5), 1.0);
        assert_eq!(inflation(&[9; 5_000], 5), 1.0);
        assert_eq!(inflation(&[1; 5_000], 5), 1.0);
    }
}
