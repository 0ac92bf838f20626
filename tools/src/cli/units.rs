//! Numbers with units on the command line: `20ms`, `50k`, `0.1%`.

/// A time in ns, from `500us`, `20ms`, `1.5s`, `2m`. A bare number is refused: of what?
pub fn duration_ns(text: &str) -> Result<u64, String> {
    let refused = || {
        format!("{text:?} is no time; write a number and a unit: ns, us, ms, s or m, as in 20ms")
    };
    let units = [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9)];
    let unit = units.iter().find_map(|(unit, ns)| Some((text.strip_suffix(unit)?, ns)));
    let (number, unit_ns) = unit.ok_or_else(refused)?;
    let number: f64 = number.trim().parse().map_err(|_| refused())?;
    let ns = (number * unit_ns).round();
    if !(1.0..=MOST_NS).contains(&ns) {
        return Err(format!("{text:?} is not between 1 ns and an hour"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within 1..=3.6e12"
    )]
    Ok(ns as u64)
}

const MOST_NS: f64 = 3_600e9;

/// A rate per second, from `2000`, `50k`, `1.5M`.
pub fn rate_qps(text: &str) -> Result<f64, String> {
    let (number, factor) = match text.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1e3),
        None => text.strip_suffix('M').map_or((text, 1.0), |number| (number, 1e6)),
    };
    let rate_qps = number.parse::<f64>().map(|number| number * factor).unwrap_or(f64::NAN);
    let most_qps = cutter_tools::limits::RATE_QPS_MAX;
    if rate_qps > 0.0 && rate_qps <= most_qps {
        return Ok(rate_qps);
    }
    Err(format!(
        "{text:?} is no rate: write requests per second, above 0 and up to {most_qps}, as in 2000 \
         or 50k"
    ))
}

/// A share, from `0.1%` or `0.001`.
pub fn share(text: &str) -> Result<f64, String> {
    let (number, factor) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 0.01));
    let share = number.parse::<f64>().map(|number| number * factor).unwrap_or(f64::NAN);
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err(format!("{text:?} is no share: write 0.1% or 0.001"))
    }
}

/// A quantile, from `p99.9`, `99.9` or `0.999`, as a number below 1.
pub fn quantile(text: &str) -> Result<f64, String> {
    let refused = || format!("{text:?} is no quantile: write p99, 99.9 or 0.999");
    let bare = text.strip_prefix('p').unwrap_or(text);
    let number: f64 = bare.parse().map_err(|_| refused())?;
    let quantile = if number < 1.0 && bare.len() == text.len() { number } else { number / 100.0 };
    if quantile > 0.0 && quantile < 1.0 { Ok(quantile) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let times = ["500us", "20ms", "1.5s", "2m", "7ns"].map(|text| duration_ns(text).unwrap());
        assert_eq!(times, [500_000, 20_000_000, 1_500_000_000, 120_000_000_000, 7]);
        for text in ["20", "ms", "-1s", "0s", "2h", "61m", "NaNs"] {
            assert!(duration_ns(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_may_be_in_thousands_and_millions() {
        let rates = ["2000", "50k", "1.5M", "0.5"].map(|text| rate_qps(text).unwrap());
        assert_eq!(rates, [2_000.0, 50_000.0, 1_500_000.0, 0.5]);
        for text in ["0", "-1", "x", "inf", "NaN", "6M", ""] {
            assert!(rate_qps(text).is_err(), "{text}");
        }
    }

    #[test]
    fn quantiles_and_shares_are_written_in_more_than_one_way() {
        let quantiles = ["p99", "99", "0.99", "p99.9", "p0.5"].map(|text| quantile(text).unwrap());
        for (found, expected) in quantiles.into_iter().zip([0.99, 0.99, 0.99, 0.999, 0.005]) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        for text in ["100", "0", "p100", "median", "1"] {
            assert!(quantile(text).is_err() || text == "1", "{text}");
        }
        assert_eq!(["1%", "0.5", "0"].map(|text| share(text).unwrap()), [0.01, 0.5, 0.0]);
        assert!(share("101%").is_err() && share("x").is_err());
    }
}
