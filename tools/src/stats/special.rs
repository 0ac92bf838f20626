//! The functions behind probabilities: the binomial distribution and the normal one.

/// Terms of a continued fraction. It takes about the root of the number of samples, thus a few
/// thousand for the longest run.
const TERMS_MAX: u32 = 200_000;
/// Where a denominator would vanish (Thompson & Barnett's change of Lentz's method).
const TINY: f64 = 1e-300;
const PRECISION: f64 = 1e-14;

/// The chance that of `n` tries that each succeed with chance `p`, at least `k` do.
pub fn binomial_at_least(k: u64, n: u64, p: f64) -> f64 {
    match k {
        0 => 1.0,
        _ if k > n => 0.0,
        _ => incomplete_beta(p, k as f64, (n - k) as f64 + 1.0),
    }
}

/// The chance that a normal number lies at least `z` standard deviations from its mean, on either
/// side.
pub fn normal_two_sided(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let scale = 2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp();
    if x > 3.0 {
        // erfc as a continued fraction (Abramowitz & Stegun, 7.1.14), from its far end.
        let tail = (1..=60).rev().fold(x, |below, k| x + f64::from(k) / 2.0 / below);
        return scale / 2.0 / tail;
    }
    // erf as a series of terms that are all positive (Abramowitz & Stegun, 7.1.6).
    let (mut term, mut sum) = (x, x);
    for k in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * k + 1);
        sum += term;
    }
    (1.0 - scale * sum).max(0.0)
}

/// The regularized incomplete beta function I_x(a, b): DLMF 8.17.22, by Lentz's method.
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    // The fraction converges quickly below the mean of the distribution.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let ln_beta = ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b);
    let front = (a * x.ln() + b * (-x).ln_1p() - ln_beta).exp() / a;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut c, mut d, mut fraction) = (1.0, 0.0, 1.0);
    for step in 0..TERMS_MAX {
        let m = f64::from(step / 2);
        let term = match step {
            0 => 1.0,
            _ if step.is_multiple_of(2) => m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            _ => -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        };
        d = 1.0 / away_from_zero(1.0 + term * d);
        c = away_from_zero(1.0 + term / c);
        fraction *= c * d;
        if step > 0 && (c * d - 1.0).abs() < PRECISION {
            break;
        }
    }
    // The method needs a first term that is not 0, so it began with 1.
    front * (fraction - 1.0)
}

/// The logarithm of the gamma function: Stirling's series (Abramowitz & Stegun, 6.1.41), after
/// small arguments have been moved up.
fn ln_gamma(x: f64) -> f64 {
    if x < 12.0 {
        return ln_gamma(x + 1.0) - x.ln();
    }
    let square = x * x;
    let series = (1.0 / 12.0
        - (1.0 / 360.0 - (1.0 / 1_260.0 - 1.0 / 1_680.0 / square) / square) / square)
        / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_gamma_function_gives_factorials() {
        let factorial = |n: u32| (1..=n).map(|k| f64::from(k).ln()).sum::<f64>();
        for n in [0, 1, 2, 5, 11, 12, 50, 170] {
            let found = ln_gamma(f64::from(n) + 1.0);
            assert!((found - factorial(n)).abs() < 1e-9, "{n}: {found}");
        }
        let half = ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln();
        assert!(half.abs() < 1e-10, "{half}");
    }

    #[test]
    fn normal_tails_are_those_of_the_tables() {
        let table = [
            (0.0, 1.0),
            (1.0, 0.317_310_507_9),
            (1.959_963_985, 0.05),
            (3.290_526_731, 0.001),
            (4.0, 6.334_248_4e-5),
            (5.0, 5.733_031_4e-7),
            (8.0, 1.244_192_1e-15),
        ];
        for (z, p) in table {
            assert!((normal_two_sided(z) / p - 1.0).abs() < 1e-6, "{z}");
            assert_eq!(normal_two_sided(z), normal_two_sided(-z));
        }
    }

    #[test]
    fn long_runs_have_the_binomial_tails_of_the_normal_distribution() {
        let n = 32_000_000_u64;
        let deviation = (n as f64 * 0.5 * 0.5).sqrt();
        let upper = n / 2 + super::super::whole(1.959_964 * deviation);
        let tail = binomial_at_least(upper, n, 0.5);
        assert!((tail - 0.025).abs() < 1e-4, "{tail}");
    }

    proptest! {
        #[test]
        fn binomial_tails_are_the_sums_of_their_terms(
            n in 1_u64..60,
            k in 0_u64..60,
            p in 0.001..0.999_f64,
        ) {
            let choose = |k: u64| (1..=k).map(|i| (n - k + i) as f64 / i as f64).product::<f64>();
            let term = |k: u64| {
                choose(k) * p.powf(k as f64) * (1.0 - p).powf((n - k) as f64)
            };
            let sum: f64 = (k..=n).map(term).sum();
            let found = binomial_at_least(k, n, p);
            prop_assert!((found - sum).abs() < 1e-9, "{} {}", found, sum);
        }
    }
}
