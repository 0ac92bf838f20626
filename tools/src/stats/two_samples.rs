//! Whether the values of one sample tend to be larger than those of another.

use super::special::normal_two_sided;

/// Up to this many values on each side, and without ties, the distribution is computed.
const EXACT_MAX: usize = 20;

/// The chance of a difference as large as this one if there were none: the two-sided p-value of
/// Mann & Whitney's U ("On a Test of Whether one of Two Random Variables is Stochastically Larger
/// than the Other", 1947). Exact for small samples without ties, else by the normal distribution
/// with corrections for ties and continuity. 1 when a side is empty.
pub fn mann_whitney(a: &[f64], b: &[f64]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return 1.0;
    }
    let (n, m) = (a.len() as f64, b.len() as f64);
    let mut all: Vec<f64> = [a, b].concat();
    all.sort_by(f64::total_cmp);
    let groups: Vec<f64> = all.chunk_by(|x, y| x == y).map(|group| group.len() as f64).collect();
    let u = a_above_b(a, b);
    let distance = (u - n * m / 2.0).abs();
    if groups.len() == all.len() && a.len().max(b.len()) <= EXACT_MAX {
        return exact(a.len(), b.len(), n * m / 2.0 - distance);
    }
    let ties: f64 = groups.iter().map(|t| t * t * t - t).sum();
    let total = n + m;
    let variance = n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    normal_two_sided((distance - 0.5).max(0.0) / variance.sqrt())
}

/// Cliff's delta ("Dominance statistics", 1993): the share of pairs in which `b` is the larger,
/// less the share in which `a` is. From −1 to 1; 0 when a side is empty.
pub fn cliffs_delta(a: &[f64], b: &[f64]) -> f64 {
    let pairs = (a.len() * b.len()) as f64;
    if pairs == 0.0 { 0.0 } else { 1.0 - 2.0 * a_above_b(a, b) / pairs }
}

/// Pairs in which `a` is the larger; a tie is half of one.
fn a_above_b(a: &[f64], b: &[f64]) -> f64 {
    let of_pair = |x: &f64, y: &f64| match x.total_cmp(y) {
        _ if x == y => 0.5,
        std::cmp::Ordering::Greater => 1.0,
        _ => 0.0,
    };
    a.iter().map(|x| b.iter().map(|y| of_pair(x, y)).sum::<f64>()).sum()
}

/// Twice the share of all orders of `n` and `m` values in which U is at most `u`.
///
/// The orders with each U are the coefficients of a Gaussian binomial: the product of
/// (1 − x^(m + i)) / (1 − x^i) for i from 1 to n. Each is a whole number below 2^53.
fn exact(n: usize, m: usize, u: f64) -> f64 {
    let mut orders = vec![0.0; n * m + 1];
    orders[0] = 1.0;
    for i in 1..=n {
        for power in (m + i..orders.len()).rev() {
            orders[power] -= orders[power - m - i];
        }
        for power in i..orders.len() {
            orders[power] += orders[power - i];
        }
    }
    let at_most: f64 =
        orders.iter().zip(0_u32..).filter(|(_, k)| f64::from(*k) <= u).map(|(o, _)| o).sum();
    (2.0 * at_most / orders.iter().sum::<f64>()).min(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::Random;

    fn close(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 5e-5
    }

    #[test]
    fn small_samples_have_the_p_values_of_the_tables() {
        // All of 4 below all of 4: 2 of 70 orders. All of 3 below all of 3: 2 of 20.
        assert!(close(mann_whitney(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0]), 2.0 / 70.0));
        assert!(close(mann_whitney(&[4.0, 5.0, 6.0], &[1.0, 2.0, 3.0]), 0.1));
        // The tortoises and hares of the textbooks: U = 11 of 36 in a race of six each.
        let tortoises = [12.0, 6.0, 5.0, 4.0, 3.0, 2.0];
        let hares = [11.0, 10.0, 9.0, 8.0, 7.0, 1.0];
        assert!(close(mann_whitney(&tortoises, &hares), 0.3095));
    }

    #[test]
    fn the_critical_values_of_the_published_table_are_significant_and_the_next_are_not() {
        // Two-sided, 5 %: the largest U for n = m.
        for (n, critical) in [(5, 2.0), (8, 13.0), (10, 23.0), (15, 64.0), (20, 127.0)] {
            assert!(exact(n, n, critical) <= 0.05, "{n}");
            assert!(exact(n, n, critical + 1.0) > 0.05, "{n}");
        }
    }

    #[test]
    fn ties_and_large_samples_use_the_normal_distribution() {
        // Counted by hand: U = 3.5 of 25, ties of 2, 3 and 2; variance 25/12 · (11 − 36/90).
        let p = mann_whitney(&[1.0, 2.0, 2.0, 3.0, 5.0], &[3.0, 3.0, 5.0, 6.0, 7.0]);
        let z = (9.0 - 0.5) / (25.0 / 12.0 * (11.0 - 36.0 / 90.0_f64)).sqrt();
        assert!(close(p, normal_two_sided(z)), "{p}");
        assert_eq!(mann_whitney(&[2.0; 30], &[2.0; 30]), 1.0);
        assert_eq!(mann_whitney(&[], &[2.0; 30]), 1.0);
    }

    #[test]
    fn samples_of_one_distribution_seldom_differ() {
        let mut random = Random::new(1);
        for count in [8, 30] {
            let mut sample = || (0..count).map(|_| random.next_f64()).collect::<Vec<_>>();
            let found = (0..2_000).filter(|_| mann_whitney(&sample(), &sample()) < 0.05).count();
            assert!((50..130).contains(&found), "{found} of 2000 with {count}");
        }
    }

    #[test]
    fn cliffs_delta_counts_who_is_larger() {
        assert_eq!(cliffs_delta(&[1.0, 2.0], &[3.0, 4.0]), 1.0);
        assert_eq!(cliffs_delta(&[3.0, 4.0], &[1.0, 2.0]), -1.0);
        assert_eq!(cliffs_delta(&[1.0, 2.0], &[1.0, 2.0]), 0.0);
        assert_eq!(cliffs_delta(&[1.0, 3.0], &[2.0, 4.0]), 0.5);
        assert_eq!(cliffs_delta(&[], &[2.0]), 0.0);
    }

    proptest! {
        #[test]
        fn sides_can_be_exchanged(
            a in prop::collection::vec(-5_i8..5, 1..30),
            b in prop::collection::vec(-5_i8..5, 1..30),
        ) {
            let a: Vec<f64> = a.into_iter().map(f64::from).collect();
            let b: Vec<f64> = b.into_iter().map(f64::from).collect();
            let (p, back) = (mann_whitney(&a, &b), mann_whitney(&b, &a));
            prop_assert!((0.0..=1.0).contains(&p) && (p - back).abs() < 1e-9);
            prop_assert!((cliffs_delta(&a, &b) + cliffs_delta(&b, &a)).abs() < 1e-9);
        }
    }
}
