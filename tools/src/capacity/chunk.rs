//! One short run, read as the search needs it.

use super::Chunk;
use crate::limits::LAG_SHARE_MAX;
use crate::load::{Outcome, Recording, Sample};
use crate::result::load::QuantileState;
use crate::stats;

/// How a run is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChunkReading {
    /// What was due in this time does not count.
    pub warm_up_ns: u64,
    pub slo_ns: u64,
    pub quantile: f64,
    /// Whether a default output in time is no better than an answer that is late. Else it is an
    /// answer, and counted besides.
    pub default_is_miss: bool,
}

impl Chunk {
    pub fn of(recording: &Recording, reading: ChunkReading) -> Self {
        let ChunkReading { warm_up_ns, slo_ns, quantile, default_is_miss } = reading;
        let first = recording.samples.partition_point(|sample| sample.due_ns < warm_up_ns);
        let samples = &recording.samples[first..];
        let is_miss = |sample: &Sample| default_is_miss && sample.outcome == Outcome::Default;
        let answered = |sample: &Sample| sample.answered_ns().filter(|_| !is_miss(sample));
        let times: Vec<u64> =
            samples.iter().map(|sample| answered(sample).unwrap_or(u64::MAX)).collect();
        let latency = stats::distribution_in_order(samples.iter().map(answered), &[quantile]);
        let found = latency.quantiles.first();
        let found = found.filter(|found| found.state == QuantileState::Measured);
        let is_default = |sample: &&Sample| sample.outcome == Outcome::Default;
        let defaults = samples.iter().filter(is_default).count() as u64;
        Self {
            requests: samples.len() as u64,
            over_slo: times.iter().filter(|ns| **ns > slo_ns).count() as u64,
            defaults: if default_is_miss { 0 } else { defaults },
            failed: latency.failed,
            quantile_ns: found.and_then(|found| found.value_ns),
            inflation: stats::inflation(&times, slo_ns),
            is_valid: is_valid(samples, recording.blocked, slo_ns, quantile),
            duration_ns: duration_ns(samples),
            limit_rows: None,
        }
    }
}

/// Whether the generator was on time, as far as the SLO can tell. Requests that wait for a
/// connection wait for the server, and say nothing against the generator.
fn is_valid(samples: &[Sample], blocked: u64, slo_ns: u64, quantile: f64) -> bool {
    let late_ns = LAG_SHARE_MAX * slo_ns as f64;
    let late = samples.iter().filter(|sample| sample.lag_ns as f64 > late_ns).count();
    blocked > 0 || late as f64 <= ((1.0 - quantile) * samples.len() as f64).ceil()
}

/// From the first due time to the last, and one gap more for the last.
fn duration_ns(samples: &[Sample]) -> u64 {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return 0 };
    let due_ns = last.due_ns - first.due_ns;
    due_ns + due_ns.checked_div(samples.len() as u64 - 1).unwrap_or(last.latency_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    const READING: ChunkReading = ChunkReading {
        warm_up_ns: 100_000_000,
        slo_ns: 20_000_000,
        quantile: 0.9,
        default_is_miss: false,
    };

    /// 1,000 requests a second for 1.1 s, each answered in 5 ms and sent on time.
    fn recording() -> Recording {
        let sample = |index: u64| Sample {
            due_ns: index * 1_000_000,
            lag_ns: 1_000,
            latency_ns: 5_000_000,
            question: 0,
            outcome: Outcome::Answered,
            correct: None,
        };
        Recording { samples: (0..1_100).map(sample).collect(), ..Recording::default() }
    }

    #[test]
    fn what_was_due_in_the_warm_up_does_not_count() {
        let mut recording = recording();
        recording.samples[..100].iter_mut().for_each(|sample| sample.latency_ns = 50_000_000);
        let chunk = Chunk::of(&recording, READING);
        assert_eq!((chunk.requests, chunk.over_slo, chunk.is_valid), (1_000, 0, true));
        assert_eq!((chunk.quantile_ns, chunk.duration_ns), (Some(5_000_000), 1_000_000_000));
    }

    #[test]
    fn late_answers_and_those_that_never_came_are_over_the_slo() {
        let mut recording = recording();
        recording.samples[100].latency_ns = 20_000_001;
        recording.samples[101].outcome = Outcome::TimedOut;
        let chunk = Chunk::of(&recording, READING);
        assert_eq!((chunk.over_slo, chunk.failed, chunk.defaults), (2, 1, 0));
    }

    #[test]
    fn a_default_in_time_is_an_answer_or_a_miss_as_it_is_asked() {
        let mut recording = recording();
        recording.samples[100..300].iter_mut().for_each(|s| s.outcome = Outcome::Default);
        let of =
            |default_is_miss| Chunk::of(&recording, ChunkReading { default_is_miss, ..READING });
        let (answer, miss) = (of(false), of(true));
        assert_eq!((answer.over_slo, answer.defaults, answer.failed), (0, 200, 0));
        assert_eq!((miss.over_slo, miss.defaults, miss.failed), (200, 0, 200));
        assert_eq!((answer.quantile_ns, miss.quantile_ns), (Some(5_000_000), None));
    }

    #[test]
    fn a_generator_that_was_late_spoils_a_chunk_unless_the_server_held_it_up() {
        let mut recording = recording();
        recording.samples[100..300].iter_mut().for_each(|sample| sample.lag_ns = 2_000_000);
        assert!(!Chunk::of(&recording, READING).is_valid);
        recording.blocked = 1;
        assert!(Chunk::of(&recording, READING).is_valid);
    }
}
