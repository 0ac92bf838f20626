//! Numbers as people read them: three significant digits, and a unit.

/// What stands where nothing was measured.
pub const NOTHING: &str = "–";

const SIGNIFICANT_DIGITS: i32 = 3;

/// A time: `280 ns`, `27.1 µs`, `1.00 ms`, `12.0 s`.
#[must_use]
pub fn time(ns: f64) -> String {
    scaled(ns, &[(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")], significant)
}

/// A time that may be absent.
#[must_use]
pub fn time_or_nothing(ns: Option<u64>) -> String {
    ns.map_or_else(|| NOTHING.to_owned(), |ns| time(ns as f64))
}

/// A time at a tick of an axis: as short as it can be, `50 µs`, `2.5 ms`.
#[must_use]
pub fn time_tick(ns: f64) -> String {
    if ns == 0.0 {
        return "0".to_owned();
    }
    scaled(ns, &[(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")], short)
}

/// A rate: `950 /s`, `12.5 k/s`.
#[must_use]
pub fn rate(qps: f64) -> String {
    scaled(qps, &[(1.0, "/s"), (1e3, "k/s"), (1e6, "M/s")], significant)
}

#[must_use]
pub fn rate_tick(qps: f64) -> String {
    scaled(qps, &[(1.0, "/s"), (1e3, "k/s"), (1e6, "M/s")], short)
}

/// A plain number at a tick: `0.5`, `20`, `5k`.
#[must_use]
pub fn number_tick(value: f64) -> String {
    let text = scaled(value, &[(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G")], short);
    text.replace(' ', "")
}

/// Bytes, in powers of 1,024.
#[must_use]
pub fn bytes(count: u64) -> String {
    let units = [(1.0, "B"), (1024.0, "KiB"), (1_048_576.0, "MiB"), (1_073_741_824.0, "GiB")];
    scaled(count as f64, &units, if count < 1_000 { short } else { significant })
}

/// A number with three significant digits.
#[must_use]
pub fn number(value: f64) -> String {
    significant(value)
}

/// A whole number, in groups of three: `1,234,567`.
#[must_use]
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let first = (digits.len() + 2) % 3 + 1;
    let (head, tail) = digits.split_at(first.min(digits.len()));
    let groups = tail.as_bytes().chunks(3).map(|group| String::from_utf8_lossy(group));
    groups.fold(head.to_owned(), |text, group| text + "," + &group)
}

/// A part of a whole: `12.5 %`; nothing of nothing is no share.
#[must_use]
pub fn share(part: u64, whole: u64) -> String {
    match whole {
        0 => NOTHING.to_owned(),
        _ => format!("{} %", significant(part as f64 / whole as f64 * 100.0)),
    }
}

/// A quantile by its percentage: `p50`, `p99.9`.
#[must_use]
pub fn quantile(quantile: f64) -> String {
    format!("p{}", percentage(quantile))
}

/// `99.9` of 0.999, with as many digits as it takes.
#[must_use]
pub fn percentage(share: f64) -> String {
    without_zeros(&format!("{:.7}", share * 100.0))
}

/// A value in the greatest unit of which there is at least one, after rounding.
fn scaled(value: f64, units: &[(f64, &str)], print: fn(f64) -> String) -> String {
    if !value.is_finite() {
        return NOTHING.to_owned();
    }
    let rounded = value.abs() * (1.0 + 0.5 * 10_f64.powi(-SIGNIFICANT_DIGITS));
    let fits = units.iter().rev().find(|(size, _)| rounded >= *size);
    let (size, unit) = fits.unwrap_or(&units[0]);
    format!("{} {unit}", print(value / size))
}

/// Three significant digits, zeros at the end kept: they were measured.
fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".to_owned() } else { NOTHING.to_owned() };
    }
    let text = format!("{value:.*e}", SIGNIFICANT_DIGITS.unsigned_abs() as usize - 1);
    let exponent = text.split_once('e').and_then(|(_, digits)| digits.parse::<i32>().ok());
    let decimals = SIGNIFICANT_DIGITS - 1 - exponent.unwrap_or(0);
    let factor = 10_f64.powi(-decimals.min(0));
    let value = (value / factor).round() * factor;
    match decimals {
        1.. => format!("{:.*}", decimals.unsigned_abs() as usize, text.parse().unwrap_or(value)),
        _ => format!("{value:.0}"),
    }
}

fn short(value: f64) -> String {
    without_zeros(&significant(value))
}

fn without_zeros(text: &str) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_the_unit_that_fits() {
        let times = [0.0, 280.0, 999.4, 999.6, 27_123.0, 999_600.0, 1e8, 12e9, 3.6e12].map(time);
        assert_eq!(
            times,
            [
                "0 ns", "280 ns", "999 ns", "1.00 µs", "27.1 µs", "1.00 ms", "100 ms", "12.0 s",
                "3600 s"
            ]
        );
        assert_eq!((time(f64::NAN), time_or_nothing(None)), (NOTHING.into(), NOTHING.into()));
    }

    #[test]
    fn ticks_are_as_short_as_they_can_be() {
        assert_eq!([1e3, 5e4, 2.5e6, 1e9].map(time_tick), ["1 µs", "50 µs", "2.5 ms", "1 s"]);
        assert_eq!([0.0, 500.0, 12_500.0].map(rate_tick), ["0 /s", "500 /s", "12.5 k/s"]);
        assert_eq!([0.0, 0.5, 20.0, 5_000.0].map(number_tick), ["0", "0.5", "20", "5k"]);
    }

    #[test]
    fn numbers_are_rounded_to_what_they_say() {
        assert_eq!(
            [0.012_345, 9.999, 1_234.0, -2.5].map(number),
            ["0.0123", "10.0", "1230", "-2.50"]
        );
        assert_eq!([7, 1_234, 1_234_567, 100].map(count), ["7", "1,234", "1,234,567", "100"]);
        assert_eq!([(1, 8), (0, 5), (3, 0)].map(|(a, b)| share(a, b)), ["12.5 %", "0 %", NOTHING]);
        assert_eq!([512, 3_400, 4 << 30].map(bytes), ["512 B", "3.32 KiB", "4.00 GiB"]);
    }

    #[test]
    fn quantiles_are_named_by_their_percentage() {
        let names = [0.5, 0.9, 0.99, 0.999, 0.9999, 1.0].map(quantile);
        assert_eq!(names, ["p50", "p90", "p99", "p99.9", "p99.99", "p100"]);
    }
}
