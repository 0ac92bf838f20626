//! A run as an interval log of HdrHistogram (`.hlog`, V2): one histogram for each second of the
//! schedule, of the requests that were due in it and were answered.
//!
//! A second without answers has an empty histogram, so that plots show the gap. Requests that were
//! never answered have no latency; a comment at the top says how many there are.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, IntervalLogWriterError};
use hdrhistogram::serialization::{V2DeflateSerializeError, V2DeflateSerializer};

use crate::load::Sample;

use super::{hgrm, histogram_of_times};

const INTERVAL_NS: u64 = 1_000_000_000;
/// The log's column `Interval_Max` is in ms, by custom; its histograms stay in ns.
const MAX_DIVISOR: f64 = 1e6;
const HISTOGRAM_SMALL: &str = "a histogram of one second is serialised in memory";

/// Writes the samples of a run, in the order of `due_ns`, that was started at a time.
///
/// # Errors
/// Those of `out`.
pub fn write(samples: &[Sample], started: SystemTime, out: &mut impl Write) -> io::Result<()> {
    let unanswered = samples.iter().filter(|sample| sample.answered_ns().is_none()).count();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment(&format!(
            "[Latencies in ns from when a request was due; {unanswered} of {} requests were never \
             answered and are in no interval]",
            samples.len()
        ))
        .with_start_time(started)
        .with_base_time(started)
        .with_max_value_divisor(MAX_DIVISOR)
        .begin_log_with(out, &mut serializer)?;
    let second_of = |sample: &Sample| sample.due_ns / INTERVAL_NS;
    let seconds = samples.last().map_or(0, |last| second_of(last) + 1);
    let empty = histogram_of_times();
    let mut rest = samples;
    for second in 0..seconds {
        let (own, later) = rest.split_at(rest.partition_point(|one| second_of(one) <= second));
        rest = later;
        let histogram = if own.is_empty() { empty.clone() } else { hgrm::of_samples(own) };
        let interval = Duration::from_nanos(INTERVAL_NS);
        log.write_histogram(&histogram, Duration::from_secs(second), interval, None)
            .map_err(io_error)?;
    }
    Ok(())
}

fn io_error(error: IntervalLogWriterError<V2DeflateSerializeError>) -> io::Error {
    match error {
        IntervalLogWriterError::IoError(error) => error,
        IntervalLogWriterError::SerializeError(V2DeflateSerializeError::IoError(error)) => error,
        IntervalLogWriterError::SerializeError(error) => {
            io::Error::other(format!("{HISTOGRAM_SMALL}: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::load::Outcome;

    fn sample(due_ns: u64, latency_ns: u64, outcome: Outcome) -> Sample {
        Sample { due_ns, lag_ns: 0, latency_ns, question: 0, outcome, correct: None }
    }

    fn started() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250)
    }

    fn log_of(samples: &[Sample]) -> Vec<u8> {
        let mut out = Vec::new();
        write(samples, started(), &mut out).unwrap();
        out
    }

    /// (start in s, length in s, greatest in ms, histogram)
    fn intervals_of(log: &[u8]) -> Vec<(u64, f64, f64, Histogram<u64>)> {
        let interval = |entry| match entry {
            LogEntry::Interval(found) => Some((
                found.start_timestamp().as_secs(),
                found.duration().as_secs_f64(),
                found.max(),
                hgrm::decode(found.encoded_histogram()).unwrap(),
            )),
            LogEntry::StartTime(_) | LogEntry::BaseTime(_) => None,
        };
        IntervalLogIterator::new(log).filter_map(|entry| interval(entry.unwrap())).collect()
    }

    #[test]
    fn every_second_has_the_requests_that_were_due_in_it() {
        let samples = [
            sample(0, 30_000, Outcome::Answered),
            sample(999_999_999, 100_000_000, Outcome::Default),
            sample(1_500_000_000, 9_000_000_000, Outcome::TimedOut),
            sample(3_000_000_000, 40_000, Outcome::Answered),
        ];
        let intervals = intervals_of(&log_of(&samples));
        let counts: Vec<(u64, u64)> =
            intervals.iter().map(|(start, .., histogram)| (*start, histogram.len())).collect();
        assert_eq!(counts, [(0, 2), (1, 0), (2, 0), (3, 1)]);
        assert!(intervals.iter().all(|interval| interval.1 == 1.0));
        assert!((intervals[0].2 - 100.0).abs() < 0.1, "{}", intervals[0].2);
        assert_eq!(intervals[3].3.value_at_quantile(0.5), 40_031);
    }

    #[test]
    fn the_head_says_when_it_began_and_what_is_missing() {
        let log = log_of(&[sample(0, 1, Outcome::Broken), sample(1, 1, Outcome::Answered)]);
        let text = String::from_utf8(log).unwrap();
        assert!(text.contains("#[StartTime: 1700000000.250 (seconds since epoch)]\n"), "{text}");
        assert!(text.contains("#[BaseTime: 1700000000.250 (seconds since epoch)]\n"), "{text}");
        assert!(text.contains("1 of 2 requests were never answered"), "{text}");
    }

    #[test]
    fn a_run_without_requests_has_no_interval() {
        assert_eq!(intervals_of(&log_of(&[])).len(), 0);
    }

    #[test]
    fn a_full_disk_is_reported() {
        let mut full: &mut [u8] = &mut [0; 10];
        let error = write(&[], started(), &mut full).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }

    #[test]
    fn the_log_is_what_base64_readers_take() {
        let log = log_of(&[sample(0, 30_000, Outcome::Answered)]);
        let text = String::from_utf8(log).unwrap();
        let last = text.lines().last().unwrap().rsplit(',').next().unwrap().to_owned();
        let bytes = base64::engine::general_purpose::STANDARD.decode(last).unwrap();
        // The cookie of compressed V2, as HdrHistogram's readers ask for it.
        assert_eq!(bytes[..4], [0x1c, 0x84, 0x93, 0x14]);
    }
}
