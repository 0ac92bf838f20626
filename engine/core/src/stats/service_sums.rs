//! How service times depend on the size of batches, as sums: whoever reads them fits a line.

use super::Counter;

/// Sums over the batches of a replica. By least squares a line of service time over rows follows
/// from them, and how well it fits; for any stretch of time, from the differences. They may wrap.
#[derive(Debug, Default)]
pub struct ServiceSums {
    pub batches: Counter,
    pub rows: Counter,
    pub rows_squared: Counter,
    pub service_ns: Counter,
    /// Of each batch, its rows times its service time.
    pub rows_service_ns: Counter,
    /// In µs²: a thousand batches of a second are more ns² than fit.
    pub service_us_squared: Counter,
}

impl ServiceSums {
    /// Adds a batch. Writer only.
    pub fn add(&self, rows: u32, service_ns: u64) {
        let rows = u64::from(rows);
        self.batches.increment();
        self.rows.add(rows);
        self.rows_squared.add(rows * rows);
        self.service_ns.add(service_ns);
        self.rows_service_ns.add(rows.wrapping_mul(service_ns));
        self.service_us_squared.add(us_squared(service_ns));
    }
}

/// The square of so many ns in whole µs², or the largest number. By parts, since a division of 128
/// bits takes as long as all the rest.
fn us_squared(ns: u64) -> u64 {
    const NS_PER_US: u64 = 1_000;
    let (us, rest_ns) = (ns / NS_PER_US, ns % NS_PER_US);
    let parts = (2 * rest_ns).checked_mul(us * NS_PER_US).zip(us.checked_mul(us));
    let sum = parts.and_then(|(mixed, square)| {
        square.checked_add(mixed.checked_add(rest_ns * rest_ns)? / (NS_PER_US * NS_PER_US))
    });
    sum.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(sums: &ServiceSums) -> [u64; 6] {
        let ServiceSums { batches, rows, rows_squared, .. } = sums;
        let ServiceSums { service_ns, rows_service_ns, service_us_squared, .. } = sums;
        [batches, rows, rows_squared, service_ns, rows_service_ns, service_us_squared]
            .map(Counter::get)
    }

    #[test]
    fn each_batch_is_added_with_its_square_and_its_product() {
        let sums = ServiceSums::default();
        sums.add(3, 2_000);
        sums.add(10, 5_000);
        assert_eq!(all(&sums), [2, 13, 109, 7_000, 56_000, 4 + 25]);
    }

    #[test]
    fn squares_are_exact_as_far_as_they_fit() {
        for ns in [0, 1, 999, 1_000, 1_414_213, 20_000_001, 123_456_789_012, 4_294_967_295_999] {
            let square = u128::from(ns) * u128::from(ns) / 1_000_000;
            assert_eq!(u128::from(us_squared(ns)), square, "{ns}");
        }
        assert_eq!(us_squared(4_294_967_296_000), u64::MAX);
    }

    #[test]
    fn the_longest_batch_does_no_harm() {
        let sums = ServiceSums::default();
        sums.add(u32::MAX, u64::MAX);
        sums.add(1, 1);
        assert_eq!((sums.batches.get(), sums.service_us_squared.get()), (2, u64::MAX));
    }
}
