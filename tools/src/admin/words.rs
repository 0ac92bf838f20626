//! Figures as people read them: three digits and a unit.

/// A time: `870 ns`, `1.23 ms`, `45.6 s`, `3 min 20 s`, `2 h 05 min`.
pub(crate) fn time(ns: u64) -> String {
    let exact = ns as f64;
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..999_500 => format!("{} µs", three(exact / 1e3)),
        999_500..999_500_000 => format!("{} ms", three(exact / 1e6)),
        999_500_000..60_000_000_000 => format!("{} s", three(exact / 1e9)),
        _ => {
            let seconds = ns / 1_000_000_000;
            let (minutes, hours) = (seconds / 60, seconds / 3_600);
            match hours {
                0 => format!("{minutes} min {:02} s", seconds % 60),
                1..24 => format!("{hours} h {:02} min", minutes % 60),
                _ => format!("{} d {:02} h", hours / 24, hours % 24),
            }
        }
    }
}

/// A time that may be past: `in 1.23 ms`, `4.5 ms ago`.
pub(crate) fn time_to(ns: i64) -> String {
    if ns < 0 {
        format!("{} ago", time(ns.unsigned_abs()))
    } else {
        format!("in {}", time(ns.unsigned_abs()))
    }
}

/// A rate or another figure: `0`, `0.04`, `1.25`, `12.5`, `8412`, `84.1k`, `1.25M`.
#[cfg(any(feature = "terminal", test))]
pub(crate) fn figure(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        ..9_999.5 => three(value),
        ..999_500.0 => format!("{}k", three(value / 1e3)),
        _ => format!("{}M", three(value / 1e6)),
    }
}

/// Bytes per second: `980 B/s`, `1.25 MB/s`.
#[cfg(any(feature = "terminal", test))]
pub(crate) fn byte_rate(bytes_per_s: f64) -> String {
    match bytes_per_s {
        ..999.5 => format!("{} B/s", three(bytes_per_s)),
        ..999_500.0 => format!("{} kB/s", three(bytes_per_s / 1e3)),
        ..999_500_000.0 => format!("{} MB/s", three(bytes_per_s / 1e6)),
        _ => format!("{} GB/s", three(bytes_per_s / 1e9)),
    }
}

/// `text` filled up with blanks to a width in characters, and never shortened.
pub(crate) fn left(text: &str, width: usize) -> String {
    format!("{text:<width$}")
}

#[cfg(any(feature = "terminal", test))]
pub(crate) fn right(text: &str, width: usize) -> String {
    format!("{text:>width$}")
}

/// Three digits, as far as they say anything.
fn three(value: f64) -> String {
    match value {
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_a_unit() {
        let times = [0, 870, 1_234, 999_499, 999_500, 12_345_678, 999_500_000, 59_990_000_000];
        assert_eq!(
            times.map(time),
            ["0 ns", "870 ns", "1.23 µs", "999 µs", "1.00 ms", "12.3 ms", "1.00 s", "60.0 s"]
        );
        let long = [60, 200, 3_600, 7_500, 86_400 * 3 + 7_200].map(|s| time(s * 1_000_000_000));
        assert_eq!(long, ["1 min 00 s", "3 min 20 s", "1 h 00 min", "2 h 05 min", "3 d 02 h"]);
    }

    #[test]
    fn what_is_past_is_said_to_be() {
        assert_eq!([-1_500, 1_500].map(time_to), ["1.50 µs ago", "in 1.50 µs"]);
    }

    #[test]
    fn figures_are_short() {
        let figures = [0.0, 0.04, 1.25, 12.5, 8_412.0, 84_100.0, 1_250_000.0].map(figure);
        assert_eq!(figures, ["0", "0.04", "1.25", "12.5", "8412", "84.1k", "1.25M"]);
        let rates = [0.0, 980.0, 1_250_000.0, 2e9].map(byte_rate);
        assert_eq!(rates, ["0.00 B/s", "980 B/s", "1.25 MB/s", "2.00 GB/s"]);
    }
}
