//! Numbers as people read them.

/// Three digits and a unit.
pub fn time(ns: u64) -> String {
    let units = [("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)];
    for (unit, unit_ns) in units {
        let value = ns as f64 / unit_ns;
        // What rounds to a thousand of one unit is one of the next.
        if value < 999.5 || unit == "s" {
            return match (unit, value) {
                ("ns", _) => format!("{ns} ns"),
                (_, ..9.995) => format!("{value:.2} {unit}"),
                (_, ..99.95) => format!("{value:.1} {unit}"),
                _ => format!("{value:.0} {unit}"),
            };
        }
    }
    unreachable!("seconds take every time")
}

/// How often: `once`, `7 times`.
pub fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// How many of something: `1 restart`, `7 restarts`.
pub fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// With a comma before every three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate per second: whole when it is large.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
pub fn rate(qps: f64) -> String {
    if qps < 100.0 { format!("{qps:.1}/s") } else { format!("{}/s", grouped(qps.round() as u64)) }
}

/// `p99.9` of 0.999.
pub fn quantile(quantile: f64) -> String {
    // Rounded where a product such as 0.999 × 100 is off.
    let per_cent = format!("{:.6}", quantile * 100.0);
    format!("p{}", per_cent.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_a_unit() {
        let times =
            [0, 999, 1_000, 9_994, 9_996, 99_960, 999_400, 999_600, 1_234_567, 75_000_000_000];
        assert_eq!(
            times.map(time),
            [
                "0 ns", "999 ns", "1.00 µs", "9.99 µs", "10.0 µs", "100 µs", "999 µs", "1.00 ms",
                "1.23 ms", "75.0 s"
            ]
        );
    }

    #[test]
    fn long_numbers_have_commas() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.25, 99.94, 2_000.4].map(rate), ["0.2/s", "99.9/s", "2,000/s"]);
    }

    #[test]
    fn quantiles_are_named_as_they_are_spoken() {
        let named = [0.5, 0.99, 0.999, 0.9999, 0.99999].map(quantile);
        assert_eq!(named, ["p50", "p99", "p99.9", "p99.99", "p99.999"]);
    }
}
