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
        const NS2_PER_US2: u128 = 1_000_000;
        let us_squared = u128::from(service_ns) * u128::from(service_ns) / NS2_PER_US2;
        let rows = u64::from(rows);
        self.batches.increment();
        self.rows.add(rows);
        self.rows_squared.add(rows * rows);
        self.service_ns.add(service_ns);
        self.rows_service_ns.add(rows.wrapping_mul(service_ns));
        self.service_us_squared.add(u64::try_from(us_squared).unwrap_or(u64::MAX));
    }
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
    fn the_longest_batch_does_no_harm() {
        let sums = ServiceSums::default();
        sums.add(u32::MAX, u64::MAX);
        sums.add(1, 1);
        assert_eq!((sums.batches.get(), sums.service_us_squared.get()), (2, u64::MAX));
    }
}
