//! What is due when: one tree of minima over everything of the core that has a deadline.
//!
//! Each owner, an application (the first of its queries that is due) or a replica (its batch that
//! would hang), has a leaf with the time at which it is to be looked at. A deadline mostly moves
//! away, with each answer and each batch, and the tree is not told of that: it wakes us at the
//! earlier time, and whoever looks then sets the later one. Only a deadline that comes nearer is
//! told. So an idle core is woken once for nothing, and nothing looks at all owners each turn.
//!
//! ```text
//!                  20                       the root: when something is due
//!            ┌──────┴──────┐
//!           20             35
//!        ┌───┴───┐     ┌───┴───┐
//!        20    never   90      35           leaves: one for each owner
//! ```
//!
//! Invariant: a leaf is never later than what is due of its owner. Its size is fixed: unlike a heap
//! with outdated entries, no sequence of deadlines makes it grow.

/// No deadline.
pub(crate) const NEVER_NS: u64 = u64::MAX;

/// The tree.
#[derive(Debug)]
pub(crate) struct Deadlines {
    /// The root at 1, the children of `n` at `2n` and `2n + 1`, the leaves in the second half.
    minima: Box<[u64]>,
}

impl Deadlines {
    /// For so many owners, numbered from 0.
    pub fn new(owners: usize) -> Self {
        Self { minima: vec![NEVER_NS; Self::nodes(owners)].into() }
    }

    /// The bytes of the tree.
    pub const fn table_bytes(owners: usize) -> usize {
        Self::nodes(owners) * size_of::<u64>()
    }

    const fn nodes(owners: usize) -> usize {
        2 * owners.next_power_of_two()
    }

    /// An owner is to be looked at at this time, unless it will be earlier.
    #[inline]
    pub fn lower(&mut self, owner: usize, due_ns: u64) {
        if due_ns < self.minima[self.leaves() + owner] {
            self.set(owner, due_ns);
        }
    }

    /// An owner is to be looked at at this time, and not before.
    pub fn set(&mut self, owner: usize, due_ns: u64) {
        let mut node = self.leaves() + owner;
        self.minima[node] = due_ns;
        while node > 1 {
            node /= 2;
            let least = self.minima[2 * node].min(self.minima[2 * node + 1]);
            if self.minima[node] == least {
                return;
            }
            self.minima[node] = least;
        }
    }

    /// The owner to be looked at first, if that is now or before.
    pub fn due(&self, now_ns: u64) -> Option<usize> {
        if self.minima[1] > now_ns {
            return None;
        }
        let mut node = 1;
        while node < self.leaves() {
            node = if self.minima[2 * node] == self.minima[node] { 2 * node } else { 2 * node + 1 };
        }
        Some(node - self.leaves())
    }

    /// When the first owner is to be looked at.
    #[inline]
    pub fn next_ns(&self) -> Option<u64> {
        Some(self.minima[1]).filter(|due_ns| *due_ns != NEVER_NS)
    }

    fn leaves(&self) -> usize {
        self.minima.len() / 2
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_a_deadline_that_comes_nearer_is_taken() {
        let mut deadlines = Deadlines::new(1);
        [100, 150, 90, 95].into_iter().for_each(|due_ns| deadlines.lower(0, due_ns));
        assert_eq!((deadlines.due(89), deadlines.due(90)), (None, Some(0)));
        deadlines.set(0, NEVER_NS);
        assert_eq!((deadlines.due(u64::MAX - 1), deadlines.next_ns()), (None, None));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_list(
            owners in 1_usize..20,
            steps in prop::collection::vec((any::<prop::sample::Index>(), 0_u64..30), 0..100),
        ) {
            let mut deadlines = Deadlines::new(owners);
            let mut list = vec![NEVER_NS; owners];
            for (number, (owner, due_ns)) in steps.into_iter().enumerate() {
                let owner = owner.index(owners);
                if number % 2 == 0 {
                    deadlines.lower(owner, due_ns);
                    list[owner] = list[owner].min(due_ns);
                } else {
                    deadlines.set(owner, due_ns);
                    list[owner] = due_ns;
                }
                let least = list.iter().copied().min().filter(|due_ns| *due_ns != NEVER_NS);
                prop_assert_eq!(deadlines.next_ns(), least);
                match deadlines.due(15) {
                    Some(owner) => prop_assert_eq!(Some(list[owner]), least),
                    None => prop_assert!(least.is_none_or(|least| least > 15)),
                }
            }
        }
    }
}
