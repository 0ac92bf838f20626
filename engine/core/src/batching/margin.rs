//! How far above its line the service time of a batch must be expected to be, by size.
//!
//! One per estimate, on the engine thread. Sizes are told apart by powers of two, since a model
//! with steps (kernels that are chosen by size, padding) is off its line here more than there. For
//! each there is the greatest excess of late, in ns; with each batch of that size one part in 32 of
//! it fades, so that it stands for the worst of the last dozens: what Clockwork (OSDI '20) keeps
//! for each size that it serves. A size that was not served yet borrows from the nearest that was.
//!
//! It is a time and not a share of the line: a line that was far too low for a moment would leave a
//! share behind that is far too high for what it becomes.
//!
//! What is not served fades too, if slowly: a margin that keeps a size from being served would
//! never be corrected.

use crate::limits::{
    MARGIN_FADE, MARGIN_FADE_LARGE, MARGIN_FADE_UNSERVED, SERVICE_STALL_TIMES,
    SERVICE_TREND_BATCHES,
};

/// One for each power of two up to the first beyond 32 bits.
const BUCKETS: usize = u32::BITS as usize + 1;

/// The running margins of one replica.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Margins {
    excess_ns: [f64; BUCKETS],
    /// Batches of each that were far above the line, since one that was not.
    far_in_a_row: [u8; BUCKETS],
    /// A bit for each bucket that was served.
    served: u64,
}

impl Default for Margins {
    fn default() -> Self {
        Self { excess_ns: [0.0; BUCKETS], far_in_a_row: [0; BUCKETS], served: 0 }
    }
}

impl Margins {
    /// Learns that a batch of this size took `excess_ns` more than the line has it, which is
    /// `line_ns`; or learns nothing and says so, if that is an exception: a stall.
    pub fn learn(&mut self, size: u32, excess_ns: f64, line_ns: f64) -> bool {
        let bucket = bucket_of(size);
        let far_ns = (SERVICE_STALL_TIMES - 1.0) * line_ns;
        let is_far = excess_ns > far_ns + self.of(size);
        self.far_in_a_row[bucket] = if is_far { self.far_in_a_row[bucket] + 1 } else { 0 };
        if is_far && self.far_in_a_row[bucket] < SERVICE_TREND_BATCHES {
            return false;
        }
        self.far_in_a_row[bucket] = 0;
        self.served |= 1 << bucket;
        let is_large = self.excess_ns[bucket] > far_ns;
        let fade = if is_large { MARGIN_FADE_LARGE } else { MARGIN_FADE };
        let faded_ns = self.excess_ns[bucket] * (1.0 - fade);
        // Mostly one or two of them.
        let mut others = self.served & !(1 << bucket);
        while others > 0 {
            self.excess_ns[others.trailing_zeros() as usize] *= 1.0 - MARGIN_FADE_UNSERVED;
            others &= others - 1;
        }
        self.excess_ns[bucket] = faded_ns.max(excess_ns);
        true
    }

    /// All takes this share of what it did.
    pub fn shrink(&mut self, share: f64) {
        self.excess_ns.iter_mut().for_each(|excess_ns| *excess_ns *= share);
    }

    /// The margin of a size, in ns; at least 0.
    pub fn of(&self, size: u32) -> f64 {
        let bucket = bucket_of(size);
        let below = self.served & (u64::MAX >> (63 - bucket));
        let above = self.served >> bucket;
        let nearest_below = below.checked_ilog2().map(|nearest| bucket - nearest as usize);
        let nearest_above = (above > 0).then(|| above.trailing_zeros() as usize);
        match (nearest_below, nearest_above) {
            (Some(down), Some(up)) if down < up => self.known_ns(bucket - down),
            (_, Some(up)) => self.known_ns(bucket + up),
            (Some(down), None) => self.known_ns(bucket - down),
            (None, None) => 0.0,
        }
    }

    fn known_ns(&self, bucket: usize) -> f64 {
        self.excess_ns[bucket].max(0.0)
    }
}

/// Each ends with a power of two, as what is padded to one does.
fn bucket_of(size: u32) -> usize {
    (u32::BITS - size.saturating_sub(1).leading_zeros()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Excesses are told as shares of this.
    const LINE_NS: f64 = 1.0;

    #[test]
    fn a_size_that_was_not_served_borrows_from_the_nearest_that_was() {
        let mut margins = Margins::default();
        assert_eq!(margins.of(7), 0.0);
        assert!(margins.learn(8, 0.25, LINE_NS) && margins.learn(1_024, 0.125, LINE_NS));
        assert_eq!(margins.of(1), margins.of(8));
        assert_eq!(margins.of(17), margins.of(8));
        assert_eq!((margins.of(600), margins.of(u32::MAX)), (0.125, 0.125));
    }

    #[test]
    fn it_stands_for_the_worst_of_the_last_dozens() {
        let mut margins = Margins::default();
        margins.learn(50, 0.4, LINE_NS);
        (0..10).for_each(|_| {
            margins.learn(50, -0.1, LINE_NS);
        });
        assert!((0.25..0.4).contains(&margins.of(50)));
        (0..200).for_each(|_| {
            margins.learn(50, -0.1, LINE_NS);
        });
        assert!(margins.of(50) < 0.01);
    }

    #[test]
    fn what_is_far_off_counts_from_the_third_time_in_a_row() {
        let mut margins = Margins::default();
        let learned =
            [0.0, 2.0, 2.0, 0.0, 2.0, 2.0, 2.0].map(|excess| margins.learn(64, excess, LINE_NS));
        assert_eq!(learned, [true, false, false, true, false, false, true]);
        assert_eq!((margins.of(64), margins.of(33)), (2.0, 2.0));
    }

    #[test]
    fn a_margin_that_keeps_a_size_from_being_served_fades() {
        let mut margins = Margins::default();
        margins.learn(64, 0.4, LINE_NS);
        (0..1_000).for_each(|_| {
            margins.learn(32, 0.0, LINE_NS);
        });
        assert!(margins.of(64) < 0.02);
    }
}
