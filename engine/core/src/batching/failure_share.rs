//! What share of a replica's recent batches failed.
//!
//! One per replica, on the engine thread. Each batch that comes back moves the share a little
//! towards all or towards nothing. A replica whose share is high is *failing*: it gets batches of
//! one, others are preferred to it, and what fails there is not taken apart.
//!
//! The gain is small for this reason. To find one bad input in a batch, halves of it are tried, and
//! half of these fail. That must not look like a replica that fails whatever it is given: even the
//! eleven failures in a row that may lead to the first of 1,024 inputs make two thirds of the limit
//! only. A replica that fails everything is failing after 22 batches.
//!
//! It is trusted again when few fail, which is the same number of good batches later. Between the
//! two limits it stays what it is: where half of the inputs are bad, half of the batches of one
//! fail and nearly all of the larger ones would.

use crate::limits::{FAILING_SHARE_PERCENT, FAILURE_GAIN_SHIFT, RECOVERED_SHARE_PERCENT};

/// The share is kept in parts of this.
const WHOLE_PARTS: u32 = 1 << 16;
const FAILING_PARTS: u32 = WHOLE_PARTS / 100 * FAILING_SHARE_PERCENT;
const RECOVERED_PARTS: u32 = WHOLE_PARTS / 100 * RECOVERED_SHARE_PERCENT;

/// The share of one replica.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailureShare {
    parts: u32,
    is_failing: bool,
}

impl FailureShare {
    /// Tells how a batch ended.
    #[inline]
    pub fn observe(&mut self, failed: bool) {
        if failed {
            self.parts += (WHOLE_PARTS - self.parts) >> FAILURE_GAIN_SHIFT;
            self.is_failing |= self.parts > FAILING_PARTS;
        } else {
            self.parts -= self.parts >> FAILURE_GAIN_SHIFT;
            self.is_failing &= self.parts >= RECOVERED_PARTS;
        }
    }

    /// Whether most of the recent batches failed, and not few since.
    #[inline]
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.is_failing
    }

    /// Forgets everything, for a new incarnation.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many batches that end like this it takes until it is failing, or is not any more.
    fn batches_until(share: &mut FailureShare, failed: bool) -> u32 {
        let mut batches = 0;
        while share.is_failing() != failed {
            share.observe(failed);
            batches += 1;
        }
        batches
    }

    #[test]
    fn it_is_failing_after_22_failures_and_not_any_more_after_22_successes() {
        let mut share = FailureShare::default();
        assert_eq!(batches_until(&mut share, true), 22);
        (0..1_000).for_each(|_| share.observe(true));
        assert_eq!(batches_until(&mut share, false), 22);
        assert!(batches_until(&mut share, true) > 10);
    }

    #[test]
    fn one_bad_input_in_the_largest_batch_never_looks_like_a_replica_that_fails() {
        let mut share = FailureShare::default();
        // The bad one is the first: all halves on the way to it fail, and then the others succeed.
        for _ in 0..100 {
            (0..=12).for_each(|_| share.observe(true));
            assert!(!share.is_failing());
            (0..12).for_each(|_| share.observe(false));
        }
    }

    #[test]
    fn half_of_the_batches_may_fail() {
        let mut share = FailureShare::default();
        (0..10_000).for_each(|batch| share.observe(batch % 2 == 0));
        assert!(!share.is_failing());
    }

    #[test]
    fn where_half_fail_a_replica_stays_what_it_is() {
        let mut share = FailureShare::default();
        (0..1_000).for_each(|_| share.observe(true));
        (0..10_000).for_each(|batch| share.observe(batch % 2 == 0));
        assert!(share.is_failing());
    }

    #[test]
    fn a_new_incarnation_is_trusted() {
        let mut share = FailureShare::default();
        (0..1_000).for_each(|_| share.observe(true));
        share.reset();
        assert_eq!(batches_until(&mut share, true), 22);
    }
}
