//! Times as people read them.

/// A time for people: three digits and a unit.
#[expect(clippy::cast_precision_loss, reason = "a time for people")]
pub(super) fn ns_text(ns: u64) -> String {
    time(ns as f64)
}

/// So many nanoseconds, which need be no whole number of them.
pub(super) fn time(ns: f64) -> String {
    let (value, unit) = match ns {
        ..999.5 => (ns, "ns"),
        ..999_500.0 => (ns / 1e3, "µs"),
        ..999_500_000.0 => (ns / 1e6, "ms"),
        _ => (ns / 1e9, "s"),
    };
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    let number = format!("{value:.decimals$}");
    let number = if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        &number
    };
    format!("{number} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_the_unit_that_fits() {
        let times = [100.0, 999.6, 1e3, 1_234.0, 45_670.0, 999_600.0, 2.5e6, 1e9, 7.25e10];
        let texts = times.map(time);
        let expected =
            ["100 ns", "1 µs", "1 µs", "1.23 µs", "45.7 µs", "1 ms", "2.5 ms", "1 s", "72.5 s"];
        assert_eq!(texts, expected);
    }
}
