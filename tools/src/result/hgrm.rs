//! The percentile distribution of a histogram as text (`.hgrm`), as HdrHistogram prints it in Java
//! (`AbstractHistogram.outputPercentileDistribution`), for the plotters that read it.
//!
//! ```text
//!        Value     Percentile TotalCount 1/(1-Percentile)
//!
//!     0.027007 0.000000000000          1           1.00
//!     0.029407 0.500000000000        512           2.00
//!   104.857599 1.000000000000       1024
//! #[Mean    =     0.131072, StdDeviation   =     3.276112]
//! ```
//!
//! Values are in ms. They have six decimals, where Java prints as many as the histogram has
//! significant digits: three of them would cut a latency of 27 µs down to two digits. The last
//! line has no fourth column, as in Java: plotters take lines of four numbers alone, and infinity
//! is none.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;

use crate::load::Sample;

use super::histogram_of_times;

/// Lines per halving of what is left up to 100 %.
const TICKS_PER_HALF_DISTANCE: u32 = 5;
const NS_PER_MS: f64 = 1e6;

/// Why the text of a histogram could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("the histogram is not base64 ({0}); the result file was cut or changed")]
    Base64(#[from] base64::DecodeError),
    #[error(
        "the histogram is not in HdrHistogram's V2 format ({0:?}); the result file was changed"
    )]
    Format(hdrhistogram::serialization::DeserializeError),
}

/// Writes the distribution of a histogram of ns.
///
/// # Errors
/// Those of `out`.
pub fn write(histogram: &Histogram<u64>, out: &mut impl Write) -> io::Result<()> {
    let ms = |ns: f64| ns / NS_PER_MS;
    writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    let mut count = 0;
    for step in histogram.iter_quantiles(TICKS_PER_HALF_DISTANCE) {
        count += step.count_since_last_iteration();
        let value_ms = ms(step.value_iterated_to() as f64);
        let quantile = step.quantile_iterated_to();
        write!(out, "{value_ms:12.6} {quantile:.12} {count:10}")?;
        if quantile < 1.0 {
            write!(out, " {:14.2}", 1.0 / (1.0 - quantile))?;
        }
        writeln!(out)?;
    }
    let (mean_ms, deviation_ms) = (ms(histogram.mean()), ms(histogram.stdev()));
    writeln!(out, "#[Mean    = {mean_ms:12.6}, StdDeviation   = {deviation_ms:12.6}]")?;
    let max_ms = ms(histogram.max() as f64);
    writeln!(out, "#[Max     = {max_ms:12.6}, Total count    = {:12}]", histogram.len())?;
    let halves = sub_buckets(histogram);
    writeln!(out, "#[Buckets = {:12}, SubBuckets     = {halves:12}]", histogram.buckets())
}

/// The latencies of the requests that were answered.
#[must_use]
pub fn of_samples(samples: &[Sample]) -> Histogram<u64> {
    let mut histogram = histogram_of_times();
    samples.iter().filter_map(Sample::answered_ns).for_each(|ns| histogram.saturating_record(ns));
    histogram
}

/// Reads the histogram of a result file's distribution: V2, DEFLATE, base64.
///
/// # Errors
/// When the text is not one.
pub fn decode(text: &str) -> Result<Histogram<u64>, DecodeError> {
    let bytes = STANDARD.decode(text)?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(DecodeError::Format)
}

/// Linear steps in a bucket: a power of two, enough for twice the significant digits.
fn sub_buckets(histogram: &Histogram<u64>) -> u64 {
    (2 * 10_u64.pow(histogram.sigfig().into())).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};
    use proptest::prelude::*;

    use super::*;
    use crate::load::Outcome;

    /// A line of four numbers, or the last one of three.
    type Row = (f64, f64, u64, Option<f64>);

    fn text_of(histogram: &Histogram<u64>) -> String {
        let mut out = Vec::new();
        write(histogram, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// As a plotter reads it: by white space, comments left out.
    fn rows_of(text: &str) -> Vec<Row> {
        let is_row = |line: &&str| !line.starts_with('#') && !line.is_empty();
        let row = |line: &str| -> Row {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |at: usize| words[at].parse::<f64>().unwrap();
            let fourth = words.get(3).map(|word| word.parse().unwrap());
            (number(0), number(1), words[2].parse().unwrap(), fourth)
        };
        text.lines().skip(1).filter(is_row).map(row).collect()
    }

    fn of_values(values: &[u64]) -> Histogram<u64> {
        let mut histogram = histogram_of_times();
        values.iter().for_each(|value| histogram.record(*value).unwrap());
        histogram
    }

    #[test]
    fn four_values_are_printed_as_hdrhistogram_prints_them() {
        let text = text_of(&of_values(&[1_000, 2_000, 3_000, 100_000_000]));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "       Value     Percentile TotalCount 1/(1-Percentile)");
        assert_eq!(lines[1], "");
        assert_eq!(lines[2], "    0.001000 0.000000000000          1           1.00");
        assert_eq!(lines[3], "    0.001000 0.100000000000          1           1.11");
        assert_eq!(lines[lines.len() - 4], "  100.007935 1.000000000000          4");
        assert!(lines[lines.len() - 3].starts_with("#[Mean    =    24.99"), "{text}");
        assert_eq!(
            lines[lines.len() - 2],
            "#[Max     =   100.007935, Total count    =            4]"
        );
        assert_eq!(
            lines[lines.len() - 1],
            "#[Buckets =           32, SubBuckets     =         2048]"
        );
    }

    #[test]
    fn an_empty_histogram_has_a_head_and_a_foot() {
        let text = text_of(&of_values(&[]));
        assert_eq!(rows_of(&text), []);
        assert!(text.contains("Total count    =            0]"));
    }

    #[test]
    fn requests_that_were_never_answered_are_in_no_histogram() {
        let sample = |latency_ns, outcome| Sample {
            due_ns: 0,
            lag_ns: 0,
            latency_ns,
            question: 0,
            outcome,
            correct: None,
        };
        let samples = [
            sample(5_000, Outcome::Answered),
            sample(6_000, Outcome::Default),
            sample(7_000_000_000, Outcome::TimedOut),
        ];
        let histogram = of_samples(&samples);
        assert_eq!((histogram.len(), histogram.max()), (2, 6_003));
    }

    #[test]
    fn a_histogram_of_a_result_file_is_read_back() {
        let histogram = of_values(&[1, 27_000, 99_000_000]);
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&histogram, &mut bytes).unwrap();
        assert_eq!(decode(&STANDARD.encode(&bytes)).unwrap(), histogram);
        assert!(matches!(decode("not base64!"), Err(DecodeError::Base64(_))));
        assert!(matches!(decode(&STANDARD.encode(b"HIST")), Err(DecodeError::Format(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn rows_climb_to_all_values_and_agree_with_the_histogram(
            values in prop::collection::vec(1_u64..10_000_000_000, 1..300),
        ) {
            let histogram = of_values(&values);
            let rows = rows_of(&text_of(&histogram));
            for pair in rows.windows(2) {
                prop_assert!(pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1);
                prop_assert!(pair[0].2 <= pair[1].2);
                prop_assert!((pair[0].3.unwrap() - 1.0 / (1.0 - pair[0].1)).abs() < 0.006);
            }
            let (last_ms, quantile, count, fourth) = *rows.last().unwrap();
            prop_assert_eq!((quantile, count, fourth), (1.0, values.len() as u64, None));
            prop_assert!((last_ms * NS_PER_MS - histogram.max() as f64).abs() < 1.0);
            for (value_ms, quantile, count, _) in rows {
                let is_below = |value: &&u64| **value as f64 <= value_ms * NS_PER_MS + 0.5;
                prop_assert_eq!(values.iter().filter(is_below).count() as u64, count);
                prop_assert!(count as f64 / values.len() as f64 >= quantile);
            }
        }
    }
}
