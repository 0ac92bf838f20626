//! Who holds how many bytes: a share for each connection, and a pool for those that need more.
//!
//! Each connection may hold its share whatever the others do, so that a small request is never
//! refused for a neighbour's large one. What a connection holds beyond its share is drawn from a
//! pool that all have in common, and no connection holds more than a bound of its own. Who cannot
//! draw is refused; nobody else notices.
//!
//! ```text
//!   connection 0  [ share ]───┐
//!   connection 1  [ share ]   ├──▸ pool: what all hold beyond their shares
//!   connection 2  [ share ]───┘
//! ```
//!
//! Invariant: all together hold at most `places × share + pool` bytes, but for what was forced.

/// The bounds of a [`Ledger`], in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub share: usize,
    pub pool: usize,
    pub connection: usize,
}

/// The pool, or the connection's own bound, does not have so many bytes left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The bytes of all connections, in one direction.
#[derive(Debug)]
pub struct Ledger {
    bounds: Bounds,
    held: Box<[usize]>,
    total: usize,
    drawn: usize,
}

impl Ledger {
    pub fn new(places: usize, bounds: Bounds) -> Self {
        assert!(bounds.share <= bounds.connection);
        Self { bounds, held: vec![0; places].into(), total: 0, drawn: 0 }
    }

    /// Bytes that a connection holds.
    #[inline]
    pub fn held(&self, connection: usize) -> usize {
        self.held[connection]
    }

    /// Bytes that all connections hold.
    pub fn total(&self) -> usize {
        self.total
    }

    /// A connection is to hold so many more bytes. Nothing is changed when it may not.
    #[inline]
    pub fn charge(&mut self, connection: usize, bytes: usize) -> Result<(), Full> {
        let Some(held) = self.held[connection].checked_add(bytes) else { return Err(Full) };
        if held > self.bounds.share {
            let more = self.beyond(held) - self.beyond(self.held[connection]);
            let room = self.bounds.pool.saturating_sub(self.drawn);
            if held > self.bounds.connection || more > room {
                return Err(Full);
            }
        }
        self.force(connection, bytes);
        Ok(())
    }

    /// A connection holds so many more bytes, whether it may or not: for what is small and cannot
    /// be left out. Who forces sees to it that there is little of it.
    #[inline]
    pub fn force(&mut self, connection: usize, bytes: usize) {
        let before = self.held[connection];
        self.held[connection] = before + bytes;
        self.total += bytes;
        self.drawn += self.beyond(before + bytes) - self.beyond(before);
    }

    /// A connection holds so many bytes fewer.
    #[inline]
    pub fn release(&mut self, connection: usize, bytes: usize) {
        let before = self.held[connection];
        let after = before.checked_sub(bytes).expect("what is released was charged");
        self.held[connection] = after;
        self.total -= bytes;
        self.drawn -= self.beyond(before) - self.beyond(after);
    }

    /// A connection holds this many bytes now. It is written down even when it is too much.
    #[inline]
    pub fn set(&mut self, connection: usize, bytes: usize) -> Result<(), Full> {
        let before = self.held[connection];
        if bytes <= before {
            self.release(connection, before - bytes);
            return Ok(());
        }
        let charged = self.charge(connection, bytes - before);
        if charged.is_err() {
            self.force(connection, bytes - before);
        }
        charged
    }

    #[inline]
    fn beyond(&self, held: usize) -> usize {
        held.saturating_sub(self.bounds.share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUNDS: Bounds = Bounds { share: 10, pool: 100, connection: 80 };

    #[test]
    fn a_share_is_there_whatever_the_others_hold() {
        let mut ledger = Ledger::new(4, BOUNDS);
        ledger.charge(0, 80).unwrap();
        ledger.charge(1, 40).unwrap();
        assert_eq!(ledger.charge(2, 11), Err(Full), "the pool has nothing left");
        ledger.charge(2, 10).unwrap();
        ledger.charge(3, 10).unwrap();
        assert_eq!(ledger.total(), 140);
    }

    #[test]
    fn no_connection_holds_more_than_its_own_bound() {
        let mut ledger = Ledger::new(1, BOUNDS);
        assert_eq!(ledger.charge(0, 81), Err(Full));
        ledger.charge(0, 80).unwrap();
        assert_eq!(ledger.charge(0, 1), Err(Full));
    }

    #[test]
    fn what_is_too_much_is_written_down_and_told() {
        let mut ledger = Ledger::new(2, BOUNDS);
        assert_eq!(ledger.set(0, 200), Err(Full));
        assert_eq!((ledger.held(0), ledger.total()), (200, 200));
        ledger.set(0, 0).unwrap();
        ledger.set(1, 80).unwrap();
        assert_eq!(ledger.total(), 80);
    }

    proptest! {
        /// Against books that are added up anew each time.
        #[test]
        fn agrees_with_sums(
            steps in prop::collection::vec((0usize..4, 0usize..60, any::<bool>()), 0..200),
        ) {
            let mut ledger = Ledger::new(4, BOUNDS);
            let mut books = [0usize; 4];
            for (connection, bytes, charge) in steps {
                if charge {
                    let mut after = books;
                    after[connection] += bytes;
                    let drawn: usize = after.iter().map(|held| held.saturating_sub(10)).sum();
                    let within = after[connection] <= 10;
                    let fits = within || (drawn <= 100 && after[connection] <= 80);
                    prop_assert_eq!(ledger.charge(connection, bytes).is_ok(), fits);
                    if fits {
                        books = after;
                    }
                } else {
                    let bytes = bytes.min(books[connection]);
                    ledger.release(connection, bytes);
                    books[connection] -= bytes;
                }
                prop_assert_eq!(ledger.held(connection), books[connection]);
                prop_assert_eq!(ledger.total(), books.iter().sum::<usize>());
            }
        }
    }
}
