//! Goodput over the time of a run: predictions within the SLO, slice by slice of when they were
//! due.

use cutter_tools::load::{Outcome, Recording};

/// Several batches of every cell, and far less than anything takes to adapt.
pub const SLICE_NS: u64 = 100_000_000;

/// Predictions within the SLO, per second, of what was due in this time.
pub fn goodput_qps(recording: &Recording, (from_ns, to_ns): (u64, u64), slo_ns: u64) -> f64 {
    let due = |ns: u64| recording.samples.partition_point(|sample| sample.due_ns < ns);
    let samples = &recording.samples[due(from_ns)..due(to_ns)];
    let is_in_time = samples
        .iter()
        .filter(|sample| sample.outcome == Outcome::Answered && sample.latency_ns <= slo_ns);
    is_in_time.count() as f64 * 1e9 / (to_ns - from_ns) as f64
}

/// The goodput of each whole slice of this time.
pub fn slices_qps(recording: &Recording, (from_ns, to_ns): (u64, u64), slo_ns: u64) -> Vec<f64> {
    let slices = (to_ns - from_ns) / SLICE_NS;
    let goodput_qps = |slice: u64| {
        let from_ns = from_ns + slice * SLICE_NS;
        goodput_qps(recording, (from_ns, from_ns + SLICE_NS), slo_ns)
    };
    (0..slices).map(goodput_qps).collect()
}

#[cfg(test)]
mod tests {
    use cutter_tools::load::Sample;

    use super::*;

    const SLO_NS: u64 = 20;

    /// One due each 10 ms, in this time and with this outcome.
    fn recording(answers: &[(u64, Outcome)]) -> Recording {
        let sample = |(index, (latency_ns, outcome)): (usize, &(u64, Outcome))| Sample {
            due_ns: index as u64 * 10_000_000,
            lag_ns: 0,
            latency_ns: *latency_ns,
            question: 0,
            outcome: *outcome,
            correct: None,
        };
        let samples = answers.iter().enumerate().map(sample).collect();
        Recording { samples, ..Recording::default() }
    }

    #[test]
    fn only_predictions_in_time_are_goodput() {
        let answers = [
            (20, Outcome::Answered),
            (21, Outcome::Answered),
            (1, Outcome::Default),
            (1, Outcome::HttpError),
        ];
        let found = goodput_qps(&recording(&answers), (0, 40_000_000), SLO_NS);
        assert!((found - 25.0).abs() < 1e-9, "{found}");
    }

    #[test]
    fn slices_begin_where_they_are_asked_to_and_are_whole() {
        let mut answers = vec![(1, Outcome::Answered); 35];
        answers[20] = (1, Outcome::Default);
        let found = slices_qps(&recording(&answers), (50_000_000, 350_000_000), SLO_NS);
        assert_eq!(found, [100.0, 90.0, 100.0]);
        assert!(slices_qps(&recording(&answers), (0, SLICE_NS - 1), SLO_NS).is_empty());
    }
}
