//! The queries of one application: a query lives as long as its row is in use.
//!
//! A query is indexed by its row. It is *open* until it is answered or its client goes, and it
//! keeps its row until then, or until the batches come back in which its calls are: replicas may
//! read the row as long. Where a call waits does not hold the row: an entry there names the query
//! by its number too, and is dead when that query is closed.
//!
//! ```text
//!   row      0            1            2
//!         [ query ]    [ query ]    [ query ]
//!         [ c c c ]    [ c c c ]    [ c c c ]     calls: as many as models can be asked
//! ```
//!
//! Which query is due first is known by a queue of the times. All but those with a deadline of
//! their own come in order, which costs one step each. A closed query's entry is dropped when it
//! comes to the head, and the next query looks for that: so the queue is about as long as there are
//! open queries, and stays in the cache.

use cutter_tensor::{KeptOutput, TensorSpec};

use crate::batching::DeadlineQueue;
use crate::call::{Back, Call, Place};
use crate::limits::QUEUE_ROOM_PER_ROW;
use crate::rows::Pool;

/// Where the answer goes: opaque here, given back with the answer.
pub type ReplyTo = u64;

/// One query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query {
    pub id: u64,
    pub reply_to: ReplyTo,
    pub arrived_ns: u64,
    pub deadline_ns: u64,
    /// When it is decided at the latest, so that its answer is handed over by the deadline.
    pub due_ns: u64,
    /// Bytes of the input.
    pub bytes: u32,
    pub is_open: bool,
    /// Models asked.
    pub asked: u8,
    /// Calls that may still bring an output.
    pub pending: u8,
    /// Calls in batches: replicas that may read the row.
    holders: u8,
}

const VACANT: Query = Query {
    id: 0,
    reply_to: 0,
    arrived_ns: 0,
    deadline_ns: 0,
    due_ns: 0,
    bytes: 0,
    is_open: false,
    asked: 0,
    pending: 0,
    holders: 0,
};

/// What is known of a query when it is admitted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewQuery {
    pub id: u64,
    pub reply_to: ReplyTo,
    pub arrived_ns: u64,
    pub deadline_ns: u64,
    pub due_ns: u64,
    pub bytes: u32,
}

impl NewQuery {
    /// The query, open, that asks nobody yet.
    #[inline]
    pub fn opened(self) -> Query {
        let Self { id, reply_to, arrived_ns, deadline_ns, due_ns, bytes } = self;
        Query { id, reply_to, arrived_ns, deadline_ns, due_ns, bytes, is_open: true, ..VACANT }
    }
}

/// An output that waits for others of its query.
#[derive(Debug)]
pub(crate) struct Kept {
    pub output: KeptOutput,
    pub spec: TensorSpec,
    /// When it came.
    pub at_ns: u64,
}

/// An open query and the number by which it is told from the next in its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Due {
    row: u32,
    id: u64,
}

/// The queries of one application.
#[derive(Debug)]
pub(crate) struct Queries {
    table: Box<[Query]>,
    /// Those of a query lie together: `width` for each row.
    calls: Box<[Call]>,
    /// The same for outputs that wait; without any where one model can be asked.
    kept: Box<[Option<Kept>]>,
    width: usize,
    due: DeadlineQueue<Due>,
    open: usize,
}

impl Queries {
    /// For so many rows, and so many models that can be asked by one query.
    pub fn new(rows: u32, width: usize) -> Self {
        let kept = Self::kept_room(rows, width);
        let rows = rows as usize;
        Self {
            table: vec![VACANT; rows].into(),
            calls: vec![Call::VACANT; rows * width].into(),
            kept: (0..kept).map(|_| None).collect(),
            width,
            due: DeadlineQueue::new(QUEUE_ROOM_PER_ROW * rows),
            open: 0,
        }
    }

    /// The bytes of its tables.
    pub const fn table_bytes(rows: u32, width: usize) -> usize {
        let kept = Self::kept_room(rows, width);
        let rows = rows as usize;
        rows * size_of::<Query>()
            + rows * width * size_of::<Call>()
            + kept * size_of::<Option<Kept>>()
            + DeadlineQueue::<Due>::table_bytes(QUEUE_ROOM_PER_ROW * rows)
    }

    /// How many outputs can wait.
    const fn kept_room(rows: u32, width: usize) -> usize {
        if width > 1 { rows as usize * width } else { 0 }
    }

    /// The most models that one query can ask.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How many are open.
    pub fn open_count(&self) -> usize {
        self.open
    }

    /// Opens the query of a reserved row.
    pub fn open(&mut self, row: u32, query: NewQuery) {
        assert!(!self.table[row as usize].is_open);
        let NewQuery { id, due_ns, .. } = query;
        self.table[row as usize] = query.opened();
        self.open += 1;
        let table = &self.table;
        self.due.drop_first_dead(|due| is_open(table, due));
        let pushed = self.due.push(due_ns, Due { row, id }, |due| is_open(table, due));
        assert!(pushed.is_ok(), "each open query has a row, and there is room for twice as many");
    }

    /// Adds a call to an open query; gives its place among the query's calls.
    #[inline]
    pub fn ask(&mut self, row: u32, call: Call) -> u32 {
        let query = &mut self.table[row as usize];
        let link = query.asked;
        assert!(usize::from(link) < self.width);
        query.asked += 1;
        query.pending += 1;
        self.calls[row as usize * self.width + usize::from(link)] = call;
        u32::from(link)
    }

    #[inline]
    pub fn get(&self, row: u32) -> &Query {
        &self.table[row as usize]
    }

    #[inline]
    pub fn call(&self, row: u32, link: u32) -> &Call {
        &self.calls[row as usize * self.width + link as usize]
    }

    #[inline]
    pub fn call_mut(&mut self, row: u32, link: u32) -> &mut Call {
        &mut self.calls[row as usize * self.width + link as usize]
    }

    /// The calls of a query, in the order in which the models were asked.
    #[inline]
    pub fn calls(&self, row: u32) -> &[Call] {
        let first = row as usize * self.width;
        &self.calls[first..first + usize::from(self.table[row as usize].asked)]
    }

    /// Whether an entry that was made for a call of the query with this number is one to be served.
    #[inline]
    pub fn is_waiting(&self, row: u32, link: u32, query_id: u64) -> bool {
        let query = &self.table[row as usize];
        query.is_open && query.id == query_id && self.call(row, link).is_pending
    }

    /// A call of an open query moves. Says where it was.
    #[inline]
    pub fn put(&mut self, row: u32, link: u32, place: Place) -> Place {
        let call = &mut self.calls[row as usize * self.width + link as usize];
        assert!(call.is_pending, "only who may bring an output waits or goes into a batch");
        let left = std::mem::replace(&mut call.place, place);
        let query = &mut self.table[row as usize];
        assert!(query.is_open, "only who is open waits or goes into a batch");
        if place == Place::Batch {
            call.batches += 1;
            query.holders += 1;
        } else {
            let waits = place != Place::Nowhere;
            assert!(!waits || call.batches == 0, "only who is in no batch waits");
        }
        left
    }

    /// A batch with a call is no longer in flight. If the query is closed, and no other batch reads
    /// the row, that is free now.
    #[inline]
    pub fn take_back(&mut self, row: u32, link: u32, pool: &mut Pool) -> Back {
        let call = &mut self.calls[row as usize * self.width + link as usize];
        assert!(call.batches > 0, "a call comes back from a batch");
        call.batches -= 1;
        let has_copy = call.batches > 0;
        if !has_copy {
            call.place = Place::Nowhere;
        }
        let is_pending = call.is_pending;
        let query = &mut self.table[row as usize];
        query.holders -= 1;
        if !query.is_open && query.holders == 0 {
            pool.give_back(row);
        }
        Back { is_awaited: query.is_open && is_pending, has_copy }
    }

    /// A call of an open query is over, with an output that waits or with none. Says how many are
    /// not.
    #[inline]
    pub fn finish(&mut self, row: u32, link: u32, kept: Option<Kept>) -> u8 {
        let call = self.call_mut(row, link);
        assert!(call.is_pending, "a call is over once");
        call.is_pending = false;
        if let Some(place) = self.kept.get_mut(row as usize * self.width + link as usize) {
            *place = kept;
        }
        let query = &mut self.table[row as usize];
        query.pending -= 1;
        query.pending
    }

    /// The first of a query's calls whose output waits.
    pub fn first_kept(&self, row: u32) -> Option<usize> {
        let asked = usize::from(self.table[row as usize].asked);
        let first = row as usize * self.width;
        self.kept.get(first..first + asked)?.iter().position(Option::is_some)
    }

    /// An output that waits.
    pub fn kept(&self, row: u32, link: usize) -> Option<&Kept> {
        self.kept.get(row as usize * self.width + link)?.as_ref()
    }

    /// Takes an output that waits.
    pub fn take_kept(&mut self, row: u32, link: usize) -> Option<Kept> {
        self.kept.get_mut(row as usize * self.width + link)?.take()
    }

    /// Closes an open query, which is being answered or abandoned. Its row is free, unless a batch
    /// has it. Its calls that wait are over.
    pub fn close(&mut self, row: u32, pool: &mut Pool) -> Query {
        let query = self.table[row as usize];
        assert!(query.is_open, "a query is closed once");
        self.table[row as usize].is_open = false;
        self.open -= 1;
        if query.holders == 0 {
            pool.give_back(row);
        }
        query
    }

    /// The first query that is due, which is open, and when. Those closed before it are
    /// dropped.
    pub fn first_due(&mut self) -> Option<(u32, u64)> {
        let table = &self.table;
        self.due.drop_dead(|due| is_open(table, due));
        self.due.peek().map(|head| (head.value.row, head.deadline_ns))
    }

    /// The same for a report, which changes nothing.
    pub fn find_due(&self) -> Option<u32> {
        self.due.first_live(|due| is_open(&self.table, due)).map(|head| head.value.row)
    }
}

fn is_open(table: &[Query], due: &Due) -> bool {
    let query = &table[due.row as usize];
    query.is_open && query.id == due.id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::HeapRows;

    fn rows(rows: u32) -> (Queries, Pool) {
        (Queries::new(rows, 2), Pool::new(rows, 64, Box::new(HeapRows::new(rows, 64))))
    }

    fn opened(queries: &mut Queries, pool: &mut Pool, id: u64, deadline_ns: u64) -> u32 {
        let row = pool.take().unwrap();
        let (reply_to, arrived_ns, due_ns) = (id, id, deadline_ns);
        queries.open(row, NewQuery { id, reply_to, arrived_ns, deadline_ns, due_ns, bytes: 4 });
        row
    }

    fn asked(queries: &mut Queries, row: u32) -> u32 {
        queries.ask(row, Call { is_pending: true, ..Call::VACANT })
    }

    #[test]
    fn the_first_due_is_the_earliest_that_is_still_open_whatever_order_they_came_in() {
        let (mut queries, mut pool) = rows(4);
        let due = [20, 30, 10, 40].map(|due| opened(&mut queries, &mut pool, due, due));
        queries.close(due[1], &mut pool);
        assert_eq!(queries.first_due(), Some((due[2], 10)));
        queries.close(due[2], &mut pool);
        assert_eq!(queries.first_due(), Some((due[0], 20)));
        queries.close(due[0], &mut pool);
        queries.close(due[3], &mut pool);
        assert_eq!((queries.first_due(), queries.open_count(), pool.in_use()), (None, 0, 0));
    }

    #[test]
    fn what_is_closed_leaves_the_queue_of_deadlines_when_the_next_comes() {
        let (mut queries, mut pool) = rows(4);
        for id in 1..=8 {
            let row = opened(&mut queries, &mut pool, id, id);
            assert_eq!(queries.due.len(), 1, "the dead before it are dropped");
            queries.close(row, &mut pool);
        }
    }

    #[test]
    fn its_tables_have_as_many_bytes_as_is_said_of_them() {
        for width in [1, 3] {
            let queries = Queries::new(5, width);
            let Queries { table, calls, kept, .. } = &queries;
            let tables = size_of_val(&**table) + size_of_val(&**calls) + size_of_val(&**kept);
            let due = DeadlineQueue::<Due>::table_bytes(QUEUE_ROOM_PER_ROW * 5);
            assert_eq!(Queries::table_bytes(5, width), tables + due);
        }
    }

    #[test]
    fn a_closed_query_keeps_its_row_while_a_batch_has_any_of_its_calls() {
        let (mut queries, mut pool) = rows(1);
        let row = opened(&mut queries, &mut pool, 1, 10);
        let links = [asked(&mut queries, row), asked(&mut queries, row)];
        links.iter().for_each(|link| {
            queries.put(row, *link, Place::Batch);
        });
        assert!(queries.take_back(row, links[1], &mut pool).is_stranded());
        assert_eq!(queries.put(row, links[1], Place::Batch), Place::Nowhere);
        assert_eq!(queries.close(row, &mut pool).id, 1);
        assert!(!queries.take_back(row, links[0], &mut pool).is_awaited);
        assert_eq!(pool.in_use(), 1);
        assert!(!queries.take_back(row, links[1], &mut pool).is_awaited);
        assert_eq!(pool.in_use(), 0);
    }

    #[test]
    fn a_call_in_two_batches_is_stranded_when_both_are_back_and_keeps_its_row_until_then() {
        let (mut queries, mut pool) = rows(1);
        let row = opened(&mut queries, &mut pool, 1, 10);
        let link = asked(&mut queries, row);
        assert_eq!(queries.put(row, link, Place::Batch), Place::Nowhere);
        assert_eq!(queries.put(row, link, Place::Batch), Place::Batch);
        let first = queries.take_back(row, link, &mut pool);
        assert_eq!(first, Back { is_awaited: true, has_copy: true });
        assert_eq!(queries.call(row, link).place, Place::Batch);
        assert!(queries.take_back(row, link, &mut pool).is_stranded());
        (0..2).for_each(|_| {
            queries.put(row, link, Place::Batch);
        });
        queries.close(row, &mut pool);
        let left = [0, 0].map(|_| {
            let back = queries.take_back(row, link, &mut pool);
            (back.is_awaited, back.has_copy, pool.in_use())
        });
        assert_eq!(left, [(false, true, 1), (false, false, 0)]);
    }

    #[test]
    fn a_row_that_has_a_new_query_is_not_taken_for_the_one_before() {
        let (mut queries, mut pool) = rows(1);
        let row = opened(&mut queries, &mut pool, 1, 10);
        let link = asked(&mut queries, row);
        assert!(queries.is_waiting(row, link, 1));
        queries.close(row, &mut pool);
        assert!(!queries.is_waiting(row, link, 1));
        assert_eq!(opened(&mut queries, &mut pool, 2, 10), row);
        asked(&mut queries, row);
        assert_eq!([1, 2].map(|id| queries.is_waiting(row, link, id)), [false, true]);
        queries.finish(row, link, None);
        assert!(!queries.is_waiting(row, link, 2));
    }

    #[test]
    #[should_panic(expected = "closed once")]
    fn a_query_cannot_be_closed_twice() {
        let (mut queries, mut pool) = rows(2);
        let row = opened(&mut queries, &mut pool, 1, 10);
        queries.close(row, &mut pool);
        queries.close(row, &mut pool);
    }
}
