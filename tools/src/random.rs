//! Random numbers that are the same in every version: PCG-XSH-RR 64/32.
//!
//! O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random
//! Number Generation" (2014), section 6.3. A run names its seed, and the seed gives the run again.

const MULTIPLIER: u64 = 6_364_136_223_846_793_005;
const INCREMENT: u64 = 1_442_695_040_888_963_407;

/// A generator; a copy goes on alike.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut random = Self { state: seed.wrapping_add(INCREMENT) };
        random.next_u32();
        random
    }

    #[expect(clippy::cast_possible_truncation, reason = "the output function of PCG")]
    pub fn next_u32(&mut self) -> u32 {
        let old = self.state;
        self.state = old.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
        let shifted = (((old >> 18) ^ old) >> 27) as u32;
        shifted.rotate_right((old >> 59) as u32)
    }

    pub fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())
    }

    /// Uniform over [0, 1), with 53 bits.
    pub fn next_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform over 0..n, without bias.
    ///
    /// # Panics
    /// When `n` is 0.
    pub fn below(&mut self, n: u32) -> u32 {
        assert!(n > 0, "there is no number below 0");
        let threshold = n.wrapping_neg() % n;
        loop {
            let number = self.next_u32();
            if number >= threshold {
                return number % n;
            }
        }
    }

    /// Exponential with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.next_f64()).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_in_every_version() {
        let mut random = Random::new(42);
        let first: Vec<u32> = (0..3).map(|_| random.next_u32()).collect();
        let mut again = Random::new(42);
        assert_eq!(first, [again.next_u32(), again.next_u32(), again.next_u32()]);
        let mut other = Random::new(43);
        assert_ne!(first[0], other.next_u32());
    }

    #[test]
    fn uniform_numbers_have_the_moments_of_a_uniform() {
        let mut random = Random::new(1);
        let numbers: Vec<f64> = (0..100_000).map(|_| random.next_f64()).collect();
        let mean = numbers.iter().sum::<f64>() / 1e5;
        let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1e5;
        assert!((mean - 0.5).abs() < 0.005, "{mean}");
        assert!((variance - 1.0 / 12.0).abs() < 0.001, "{variance}");
        assert!(numbers.iter().all(|x| (0.0..1.0).contains(x)));
    }

    #[test]
    fn exponential_numbers_have_their_mean() {
        let mut random = Random::new(2);
        let mean = (0..100_000).map(|_| random.exponential(7.0)).sum::<f64>() / 1e5;
        assert!((mean - 7.0).abs() < 0.1, "{mean}");
    }

    #[test]
    fn numbers_below_n_take_every_value() {
        let mut random = Random::new(3);
        let mut seen = [0; 5];
        (0..10_000).for_each(|_| seen[random.below(5) as usize] += 1);
        assert!(seen.iter().all(|count| (1_800..2_200).contains(count)), "{seen:?}");
    }
}
