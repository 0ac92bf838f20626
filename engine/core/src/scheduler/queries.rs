//! The queries of one application: a query lives as long as its row is in use.
//!
//! A query is indexed by its row. It is *open* until it is answered or its client goes, and it
//! keeps its row until then, or until the batch comes back in which it is: a replica may read the
//! row as long. Where it waits does not hold the row: an entry there names the query by its number
//! too ([`Queries::is_waiting`]), and is dead when the query is closed. Open queries stand in a
//! list in order of arrival, which is the order of their deadlines, since one SLO holds for all of
//! an application.

use super::rows::RowAllocator;

/// Where the answer goes: opaque here, given back with the answer.
pub type ReplyTo = u64;

const NONE: u32 = u32::MAX;

/// Where a query is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On its way from one place to another, or closed.
    Nowhere,
    /// In the queue of its model.
    Queue,
    /// Among those that were in flight when a container died.
    Suspects,
    /// Among those whose batch failed.
    Retries,
    /// In a batch in flight, or in one that is being formed.
    Batch,
}

/// One query.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    pub id: u64,
    pub reply_to: ReplyTo,
    pub arrived_ns: u64,
    pub admitted_ns: u64,
    pub deadline_ns: u64,
    /// Bytes of the input.
    pub bytes: u32,
    pub place: Place,
    /// Containers that died with this query in flight.
    pub crashes: u8,
    /// Batches that failed with this query in them.
    pub failures: u8,
    /// Whether a batch of it alone has failed.
    pub failed_alone: bool,
    open: bool,
    previous: u32,
    next: u32,
}

const VACANT: Query = Query {
    id: 0,
    reply_to: 0,
    arrived_ns: 0,
    admitted_ns: 0,
    deadline_ns: 0,
    bytes: 0,
    place: Place::Nowhere,
    crashes: 0,
    failures: 0,
    failed_alone: false,
    open: false,
    previous: NONE,
    next: NONE,
};

/// The queries of one application.
#[derive(Debug)]
pub struct Queries {
    rows: RowAllocator,
    table: Box<[Query]>,
    /// The open query that arrived first, and the one that arrived last.
    first: u32,
    last: u32,
}

impl Queries {
    pub fn new(rows: u32) -> Self {
        let table = vec![VACANT; rows as usize].into();
        Self { rows: RowAllocator::new(rows), table, first: NONE, last: NONE }
    }

    pub fn rows_in_use(&self) -> u32 {
        self.rows.in_use()
    }

    /// Where the search for the next row begins.
    pub fn next_row(&self) -> u32 {
        self.rows.cursor()
    }

    /// The rows of the pool.
    pub fn rows(&self) -> u32 {
        u32::try_from(self.table.len()).expect("made of a u32 of rows")
    }

    /// Takes a row for an input that is yet to be read.
    pub fn reserve(&mut self) -> Option<u32> {
        self.rows.take()
    }

    /// Gives back a row that was reserved and not admitted.
    pub fn cancel(&mut self, row: u32) {
        assert!(!self.table[row as usize].open);
        self.rows.give_back(row);
    }

    /// Opens the query of a reserved row. Deadlines never decrease from one to the next.
    pub fn open(&mut self, row: u32, query: NewQuery) {
        assert!(!self.table[row as usize].open);
        let NewQuery { id, reply_to, arrived_ns, admitted_ns, deadline_ns, bytes } = query;
        let previous = self.last;
        self.table[row as usize] = Query {
            id,
            reply_to,
            arrived_ns,
            admitted_ns,
            deadline_ns,
            bytes,
            open: true,
            previous,
            ..VACANT
        };
        match self.at(previous) {
            Some(previous) => previous.next = row,
            None => self.first = row,
        }
        self.last = row;
    }

    pub fn get(&self, row: u32) -> &Query {
        &self.table[row as usize]
    }

    pub fn is_open(&self, row: u32) -> bool {
        self.table[row as usize].open
    }

    /// The open query with the earliest deadline.
    pub fn earliest(&self) -> Option<(u32, &Query)> {
        (self.first != NONE).then(|| (self.first, self.get(self.first)))
    }

    /// Whether an entry that was made for the query with this number is one to be served.
    #[inline]
    pub fn is_waiting(&self, row: u32, id: u64) -> bool {
        let query = &self.table[row as usize];
        query.open && query.id == id
    }

    /// An open query moves. Says where it was.
    #[inline]
    pub fn put(&mut self, row: u32, place: Place) -> Place {
        let query = &mut self.table[row as usize];
        assert!(query.open, "only who is open waits or goes into a batch");
        std::mem::replace(&mut query.place, place)
    }

    /// The batch is no longer in flight. Says whether the query is still open; if not, its row is
    /// free now.
    #[inline]
    pub fn take_back(&mut self, row: u32) -> bool {
        let query = &mut self.table[row as usize];
        assert!(query.place == Place::Batch, "a query comes back from a batch");
        query.place = Place::Nowhere;
        if !query.open {
            self.rows.give_back(row);
        }
        query.open
    }

    pub fn count_failure(&mut self, row: u32) {
        let query = &mut self.table[row as usize];
        query.failures = query.failures.saturating_add(1);
    }

    /// Says whether it is the first time.
    pub fn mark_failed_alone(&mut self, row: u32) -> bool {
        !std::mem::replace(&mut self.table[row as usize].failed_alone, true)
    }

    pub fn count_crash(&mut self, row: u32) -> u8 {
        let query = &mut self.table[row as usize];
        query.crashes = query.crashes.saturating_add(1);
        query.crashes
    }

    /// Closes an open query, which is being answered or abandoned. Its row is free, unless it is in
    /// a batch.
    pub fn close(&mut self, row: u32) -> Query {
        let query = self.table[row as usize];
        assert!(query.open, "a query is closed once");
        self.table[row as usize].open = false;
        match self.at(query.previous) {
            Some(previous) => previous.next = query.next,
            None => self.first = query.next,
        }
        match self.at(query.next) {
            Some(next) => next.previous = query.previous,
            None => self.last = query.previous,
        }
        if query.place != Place::Batch {
            self.table[row as usize].place = Place::Nowhere;
            self.rows.give_back(row);
        }
        query
    }

    fn at(&mut self, row: u32) -> Option<&mut Query> {
        (row != NONE).then(|| &mut self.table[row as usize])
    }
}

/// What is known of a query when it is admitted.
#[derive(Clone, Copy, Debug)]
pub struct NewQuery {
    pub id: u64,
    pub reply_to: ReplyTo,
    pub arrived_ns: u64,
    pub admitted_ns: u64,
    pub deadline_ns: u64,
    pub bytes: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(queries: &mut Queries, id: u64) -> u32 {
        let row = queries.reserve().unwrap();
        let query = NewQuery {
            id,
            reply_to: id,
            arrived_ns: id,
            admitted_ns: id,
            deadline_ns: id + 10,
            bytes: 4,
        };
        queries.open(row, query);
        row
    }

    #[test]
    fn the_earliest_is_the_first_that_is_still_open() {
        let mut queries = Queries::new(4);
        let rows: Vec<u32> = (0..4).map(|id| opened(&mut queries, id)).collect();
        queries.close(rows[1]);
        assert_eq!(queries.earliest().unwrap().0, rows[0]);
        queries.close(rows[0]);
        assert_eq!(queries.earliest().unwrap().0, rows[2]);
        queries.close(rows[3]);
        queries.close(rows[2]);
        assert!(queries.earliest().is_none());
        assert_eq!(queries.rows_in_use(), 0);
    }

    #[test]
    fn a_closed_query_keeps_its_row_while_it_is_in_a_batch() {
        let mut queries = Queries::new(2);
        let row = opened(&mut queries, 1);
        queries.put(row, Place::Batch);
        assert_eq!(queries.close(row).id, 1);
        assert_eq!(queries.rows_in_use(), 1);
        assert!(!queries.take_back(row));
        assert_eq!(queries.rows_in_use(), 0);
    }

    #[test]
    fn a_row_that_has_a_new_query_is_not_taken_for_the_one_before() {
        let mut queries = Queries::new(1);
        let row = opened(&mut queries, 1);
        queries.put(row, Place::Queue);
        assert!(queries.is_waiting(row, 1));
        queries.close(row);
        assert!(!queries.is_waiting(row, 1));
        assert_eq!(opened(&mut queries, 2), row);
        assert_eq!([1, 2].map(|id| queries.is_waiting(row, id)), [false, true]);
    }

    #[test]
    #[should_panic(expected = "closed once")]
    fn a_query_cannot_be_closed_twice() {
        let mut queries = Queries::new(2);
        let row = opened(&mut queries, 1);
        queries.put(row, Place::Batch);
        queries.close(row);
        queries.close(row);
    }
}
