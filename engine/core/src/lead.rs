//! How long before its deadline a query is decided, so that its answer is with the kernel by then.
//!
//! What is decided at the deadline is late: a thread wakes up, turns to the answer, renders it and
//! sends it. One per application, on the engine thread. An answer that was decided because it was
//! due tells how long all of that took, from when it was due until it was handed over. Of these
//! times one quantile is kept, by stochastic approximation (Robbins and Monro 1951): one above it
//! raises it by a step, one at or below it lowers it by a small part of that, so that it stands
//! still where the right share of them lies above.
//!
//! ```text
//!   arrived                                      due ◂── lead ──▸ deadline
//!   ├─────────── waits for its models ────────────┤                  │
//!                                                 └ wakes ▸ decides ▸ sends
//! ```
//!
//! It begins with nothing, and is never more than one part in [`LEAD_PARTS`] of the time that a
//! query has: what its models may still say is worth more than that. All that is decided in one
//! turn of the loop is one observation, or a single pause would count for each query that it met.

use crate::limits::{LEAD_NS_MAX, LEAD_PARTS, LEAD_STEPS, LEAD_WITHIN};

/// The running quantile of one application's times.
#[derive(Clone, Debug)]
pub(crate) struct Lead {
    learnt_ns: u64,
    most_ns: u64,
    /// The last turn that was learned from.
    learnt_at_ns: u64,
}

impl Lead {
    /// For queries that have so much time, if they do not say otherwise.
    pub fn new(slo_ns: u64) -> Self {
        Self { learnt_ns: 0, most_ns: most_ns(slo_ns), learnt_at_ns: 0 }
    }

    /// When a query is to be decided.
    #[inline]
    pub fn due_ns(&self, arrived_ns: u64, deadline_ns: u64) -> u64 {
        deadline_ns - self.learnt_ns.min(most_ns(deadline_ns.saturating_sub(arrived_ns)))
    }

    /// An answer that was due was decided at this time, and handed over `took_ns` after it was due.
    pub fn observe(&mut self, decided_ns: u64, took_ns: u64) {
        if std::mem::replace(&mut self.learnt_at_ns, decided_ns) == decided_ns {
            return;
        }
        let step_ns = self.most_ns / LEAD_STEPS;
        if took_ns > self.learnt_ns {
            self.learnt_ns = (self.learnt_ns + step_ns).min(self.most_ns);
        } else {
            self.learnt_ns = self.learnt_ns.saturating_sub(step_ns / LEAD_WITHIN);
        }
    }
}

/// The longest lead of a query that has so much time.
pub(crate) const fn most_ns(time_ns: u64) -> u64 {
    let part_ns = time_ns / LEAD_PARTS;
    if part_ns < LEAD_NS_MAX { part_ns } else { LEAD_NS_MAX }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SLO_NS: u64 = 20_000_000;

    /// Told of so many answers that took what this says of their numbers.
    fn taught(lead: &mut Lead, answers: u64, took_ns: impl Fn(u64) -> u64) -> u64 {
        let first = lead.learnt_at_ns + 1;
        (0..answers).for_each(|number| lead.observe(first + number, took_ns(number)));
        SLO_NS - lead.due_ns(0, SLO_NS)
    }

    #[test]
    fn with_nothing_known_a_query_is_due_at_its_deadline() {
        assert_eq!(Lead::new(SLO_NS).due_ns(7, SLO_NS), SLO_NS);
    }

    /// Times from 100 to 299 µs, each as often as any other, in an order that mixes them.
    #[test]
    fn it_finds_the_time_within_which_99_of_100_answers_are_handed_over() {
        let mut lead = Lead::new(SLO_NS);
        let found_ns = taught(&mut lead, 20_000, |number| (100 + number * 37 % 200) * 1_000);
        assert!((285_000..=315_000).contains(&found_ns), "{found_ns} ns");
        let found_ns = taught(&mut lead, 20_000, |_| 50_000);
        assert!((50_000..=66_000).contains(&found_ns), "what is long ago is forgotten: {found_ns}");
    }

    #[test]
    fn all_that_one_turn_decides_is_one_observation() {
        let (mut one, mut many) = (Lead::new(SLO_NS), Lead::new(SLO_NS));
        one.observe(1, 500_000);
        (0..1_000).for_each(|_| many.observe(1, 500_000));
        assert_eq!(one.due_ns(0, SLO_NS), many.due_ns(0, SLO_NS));
        assert!(one.due_ns(0, SLO_NS) < SLO_NS);
    }

    #[test]
    fn a_server_that_is_always_late_gives_up_a_small_part_of_the_time_and_no_more() {
        let mut lead = Lead::new(SLO_NS);
        assert_eq!(taught(&mut lead, 1_000, |_| u64::MAX), LEAD_NS_MAX);
        // Of a query in a hurry it is a part of the time that this one has.
        assert_eq!(lead.due_ns(5_000, 105_000), 105_000 - 100_000 / LEAD_PARTS);
    }

    proptest! {
        #[test]
        fn no_query_is_due_before_it_came_or_after_its_deadline(
            slo_ns in 0..1_u64 << 40,
            took in prop::collection::vec(any::<u64>(), 0..200),
            arrived_ns in 0..1_u64 << 40,
            time_ns in 0..1_u64 << 40,
        ) {
            let mut lead = Lead::new(slo_ns);
            (1..).zip(took).for_each(|(at_ns, took_ns)| lead.observe(at_ns, took_ns));
            let due_ns = lead.due_ns(arrived_ns, arrived_ns + time_ns);
            prop_assert!((arrived_ns..=arrived_ns + time_ns).contains(&due_ns));
            prop_assert!(arrived_ns + time_ns - due_ns <= most_ns(time_ns));
        }
    }
}
