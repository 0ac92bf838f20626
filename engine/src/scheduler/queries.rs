//! The queries of one application: a query lives as long as its row is in use.
//!
//! A query is indexed by its row. It is *open* until it is answered, and it keeps its row until
//! nobody holds it: the queue, or a batch in flight. Open queries stand in a list in order of
//! arrival, which is the order of their deadlines, since one SLO holds for all of an application.

use super::rows::RowAllocator;

/// Where the answer goes: opaque here, given back with the answer.
pub type ReplyTo = u64;

const NONE: u32 = u32::MAX;

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
    /// Containers that died with this query in flight.
    pub crashes: u8,
    holders: u8,
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
    crashes: 0,
    holders: 0,
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
            crashes: 0,
            holders: 0,
            open: true,
            previous,
            next: NONE,
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

    pub fn hold(&mut self, row: u32) {
        self.table[row as usize].holders += 1;
    }

    /// Lets a hold go; the row is free when the query is answered and nobody holds it.
    pub fn let_go(&mut self, row: u32) {
        let query = &mut self.table[row as usize];
        query.holders = query.holders.checked_sub(1).expect("a hold is let go once");
        if query.holders == 0 && !query.open {
            self.rows.give_back(row);
        }
    }

    pub fn count_crash(&mut self, row: u32) -> u8 {
        let query = &mut self.table[row as usize];
        query.crashes = query.crashes.saturating_add(1);
        query.crashes
    }

    /// Closes an open query, which is being answered.
    pub fn close(&mut self, row: u32) -> Query {
        let query = self.table[row as usize];
        assert!(query.open, "a query is answered once");
        self.table[row as usize].open = false;
        match self.at(query.previous) {
            Some(previous) => previous.next = query.next,
            None => self.first = query.next,
        }
        match self.at(query.next) {
            Some(next) => next.previous = query.previous,
            None => self.last = query.previous,
        }
        if query.holders == 0 {
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
    fn an_answered_query_keeps_its_row_while_it_is_held() {
        let mut queries = Queries::new(2);
        let row = opened(&mut queries, 1);
        queries.hold(row);
        assert_eq!(queries.close(row).id, 1);
        assert_eq!(queries.rows_in_use(), 1);
        queries.let_go(row);
        assert_eq!(queries.rows_in_use(), 0);
    }

    #[test]
    #[should_panic(expected = "answered once")]
    fn a_query_cannot_be_answered_twice() {
        let mut queries = Queries::new(2);
        let row = opened(&mut queries, 1);
        queries.hold(row);
        queries.close(row);
        queries.close(row);
    }
}
