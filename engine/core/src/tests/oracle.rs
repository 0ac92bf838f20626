//! What must hold whatever happens. The oracle sees every query, batch and answer, and keeps books
//! of its own, which share nothing with the core's.

use std::collections::BTreeSet;

use super::fleet::{BROKEN_MESSAGE, Input, output_of, read_output};
use crate::ids::ApplicationId;
use crate::limits::{CRASHES_MAX, LEAD_NS_MAX, LEAD_PARTS};
use crate::stats::Reason;
use crate::{Answer, Death, HandedOver, Outcome, Sink};

/// A query fails in halves, down to itself alone: once in each, once more in the first batch of
/// all, and once more alone on another replica.
const FIRST_AND_ALONE: u32 = 2;

/// What a query was answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    Prediction,
    Default(Reason, Vec<u8>),
}

/// One query, by its number.
#[derive(Clone, Debug)]
pub struct Record {
    pub application: usize,
    id: ApplicationId,
    pub input: Input,
    pub arrived_ns: u64,
    pub deadline_ns: u64,
    /// When it is decided at the latest.
    pub due_ns: u64,
    row: Option<u32>,
    /// The models asked, in order.
    pub calls: Vec<CallRecord>,
    pub answer: Option<(u64, Given)>,
    /// Its client has gone: it must not be answered.
    pub abandoned: bool,
}

/// One call of a query.
#[derive(Clone, Debug, Default)]
pub struct CallRecord {
    pub model: usize,
    /// The replicas that have it: two while it is hedged.
    held_by: Vec<usize>,
    pub sends: u32,
    /// It was sent twice at once.
    pub hedged: bool,
    /// It is in flight alone, since a container died with it.
    is_suspect: bool,
    /// Times that it came back undone and no other batch had it.
    returns: u32,
    pub crashes: u32,
    pub stops: u32,
    /// Batches that failed with it.
    pub failures: u32,
    /// The size of the first of these.
    first_batch: usize,
    /// The most that may be in its next batch, since a batch failed.
    batch_max: Option<usize>,
    /// What was said when it failed alone.
    own_failure: Option<Vec<u8>>,
    /// Its output came while somebody waited for it.
    brought: bool,
}

impl Record {
    pub fn is_open(&self) -> bool {
        self.answer.is_none() && !self.abandoned
    }

    fn call(&mut self, model: usize) -> &mut CallRecord {
        self.calls.iter_mut().find(|call| call.model == model).expect("a model that it asks")
    }
}

/// A batch that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub at_ns: u64,
    pub replica: usize,
    pub queries: Vec<usize>,
}

#[derive(Debug, Default)]
pub struct Oracle {
    pub now_ns: u64,
    pub queries: Vec<Record>,
    pub batches: Vec<Sent>,
    /// Answers on their way to the kernel.
    pub replied: Vec<HandedOver>,
    /// The last query in each row, by application and row: the input that stands there.
    rows: Vec<Vec<Option<usize>>>,
    /// Per model, what waits and is no suspect.
    waiting: Vec<BTreeSet<(u64, usize)>>,
    /// Per model, the suspects in flight.
    suspects: Vec<usize>,
    /// Per model, the largest share of its calls that may be sent twice.
    hedges: Vec<Option<f64>>,
}

impl Oracle {
    /// Of models, of which these shares of the calls may be sent twice.
    pub fn new(hedges: Vec<Option<f64>>, now_ns: u64) -> Self {
        let models = hedges.len();
        let waiting = vec![BTreeSet::new(); models];
        Self { now_ns, waiting, suspects: vec![0; models], hedges, ..Self::default() }
    }

    /// A query arrived; it gets the next number.
    pub fn arrived(
        &mut self,
        (application, id): (usize, ApplicationId),
        models: &[usize],
        input: Input,
        arrived_ns: u64,
        (deadline_ns, due_ns): (u64, u64),
    ) -> usize {
        let lead_ns = deadline_ns - due_ns;
        let part_ns = (deadline_ns - arrived_ns) / LEAD_PARTS;
        assert!(lead_ns <= part_ns.min(LEAD_NS_MAX), "more is given up than may be");
        let call = |model: &usize| CallRecord { model: *model, ..CallRecord::default() };
        self.queries.push(Record {
            application,
            id,
            input,
            arrived_ns,
            deadline_ns,
            due_ns,
            row: None,
            calls: models.iter().map(call).collect(),
            answer: None,
            abandoned: false,
        });
        self.queries.len() - 1
    }

    /// Its input is about to be written to a row, which nobody may need any more.
    pub fn written(&mut self, number: usize, row: u32) {
        let application = self.queries[number].application;
        if let Some(previous) = self.place(application, row).replace(number) {
            let previous = &self.queries[previous];
            assert!(!previous.is_open(), "row {row} was given to two queries");
            let is_read = previous.calls.iter().any(|call| !call.held_by.is_empty());
            assert!(!is_read, "row {row} was given away while a replica reads it");
        }
        let query = &mut self.queries[number];
        query.row = Some(row);
        for call in &query.calls {
            self.waiting[call.model].insert((query.due_ns, number));
        }
    }

    /// The client of a query goes away; gives its application and row if it is still open.
    pub fn abandoned(&mut self, number: usize) -> Option<(ApplicationId, u32)> {
        self.queries.get_mut(number).filter(|query| query.is_open())?.abandoned = true;
        self.waits_no_more(number);
        let Record { id, row, .. } = self.queries[number];
        Some((id, row.expect("one without a row is answered at once")))
    }

    /// The query whose input stands in a row.
    pub fn in_row(&self, application: usize, row: u32) -> usize {
        self.rows[application][row as usize].expect("a row that was written")
    }

    fn place(&mut self, application: usize, row: u32) -> &mut Option<usize> {
        let (place, applications) = (row as usize, self.rows.len().max(application + 1));
        self.rows.resize_with(applications, Vec::new);
        let rows = &mut self.rows[application];
        rows.resize(rows.len().max(place + 1), None);
        &mut rows[place]
    }

    /// A batch goes to a replica that has `others` batches in flight.
    pub fn sent(&mut self, replica: usize, model: usize, others: usize, queries: &[usize]) {
        if !self.queries[queries[0]].call(model).held_by.is_empty() {
            return self.sent_twice(replica, model, others, queries);
        }
        for &number in queries {
            let query = &mut self.queries[number];
            assert!(query.is_open(), "query {number} was sent though nobody waits for it");
            let due_ns = query.due_ns;
            let call = query.call(model);
            assert_eq!(call.held_by, [0; 0], "query {number} is twice at one model");
            call.held_by.push(replica);
            call.sends += 1;
            assert!(call.sends <= 1 + call.returns, "query {number} was sent again");
            let most = call.batch_max.unwrap_or(usize::MAX);
            assert!(queries.len() <= most, "query {number} is not in halves");
            self.waiting[model].remove(&(due_ns, number));
        }
        let kind = |call: &CallRecord| (call.crashes > 0, call.failures > 0);
        let (suspect, again) = kind(self.queries[queries[0]].call(model));
        for number in queries {
            let same = kind(self.queries[*number].call(model)) == (suspect, again);
            assert!(same, "those that go apart are with others: {queries:?}");
        }
        if suspect {
            assert_eq!((queries.len(), others), (1, 0), "a suspect shares its fate: {queries:?}");
            assert_eq!(self.suspects[model], 0, "two replicas are in quarantine");
            self.suspects[model] += 1;
            self.queries[queries[0]].call(model).is_suspect = true;
        } else if !again {
            self.check_order(model, queries);
        }
        self.batches.push(Sent { at_ns: self.now_ns, replica, queries: queries.to_vec() });
    }

    /// A batch that another replica has goes to one that has `others` batches in flight.
    fn sent_twice(&mut self, replica: usize, model: usize, others: usize, queries: &[usize]) {
        let hedges = self.hedges[model];
        assert!(hedges.is_some() && others == 0, "{queries:?} are twice at one model");
        for &number in queries {
            let query = &mut self.queries[number];
            assert!(query.is_open(), "query {number} was sent though nobody waits for it");
            let call = query.call(model);
            assert_eq!(call.held_by.len(), 1, "query {number} is with others that are twice");
            assert_ne!(call.held_by[0], replica, "query {number} is twice at one replica");
            assert_eq!((call.crashes, call.failures), (0, 0), "query {number} has failed before");
            assert!(!std::mem::replace(&mut call.hedged, true), "query {number} is hedged again");
            call.held_by.push(replica);
        }
        let due = queries.iter().map(|number| self.queries[*number].due_ns);
        assert!(due.is_sorted(), "a batch out of order");
        self.batches.push(Sent { at_ns: self.now_ns, replica, queries: queries.to_vec() });
        let calls = self.queries.iter().flat_map(|query| &query.calls);
        let calls = || calls.clone().filter(|call| call.model == model);
        let hedged = calls().filter(|call| call.hedged).count();
        let sends: u32 = calls().map(|call| call.sends).sum();
        let most = f64::from(sends) * hedges.unwrap_or(0.0);
        assert!(hedged as f64 <= most, "{hedged} of {sends} were hedged");
    }

    /// The batch is no longer in flight at a replica.
    pub fn landed(&mut self, replica: usize, model: usize, queries: &[usize]) {
        for &number in queries {
            let Record { application, row, .. } = self.queries[number];
            let row = row.expect("it was sent from a row");
            assert_eq!(self.in_row(application, row), number, "the input was overwritten");
            let call = self.queries[number].call(model);
            let before = call.held_by.len();
            call.held_by.retain(|other| *other != replica);
            assert_eq!(call.held_by.len() + 1, before, "query {number} was not there");
            if std::mem::take(&mut call.is_suspect) {
                self.suspects[model] -= 1;
            }
        }
    }

    /// An item came back with its output. To be called before the core hears of it.
    pub fn brought(&mut self, model: usize, number: usize) {
        let is_open = self.queries[number].is_open();
        self.queries[number].call(model).brought |= is_open;
    }

    /// The batch came back and failed. To be called before the core hears of it.
    pub fn failed(&mut self, model: usize, queries: &[usize], message: &[u8]) {
        for &number in queries {
            let call = self.queries[number].call(model);
            if queries.len() == 1 {
                call.own_failure = Some(message.to_vec());
            }
            if !call.held_by.is_empty() {
                continue;
            }
            call.returns += 1;
            if call.failures == 0 {
                call.first_batch = queries.len();
            }
            call.failures += 1;
            call.batch_max = Some(queries.len().div_ceil(2));
            let most = FIRST_AND_ALONE + usize::BITS - (call.first_batch - 1).leading_zeros();
            assert!(call.failures <= most, "query {number} failed too often");
        }
    }

    /// The batch was in flight when its incarnation ended. To be called before the core hears of
    /// it.
    pub fn lost(&mut self, replica: usize, model: usize, queries: &[usize], death: Death) {
        self.landed(replica, model, queries);
        for &number in queries {
            let query = &mut self.queries[number];
            let (is_open, due_ns) = (query.is_open(), query.due_ns);
            let call = query.call(model);
            match death {
                Death::Crash => call.crashes += 1,
                Death::Stopped => call.stops += 1,
            }
            if !call.held_by.is_empty() {
                continue;
            }
            call.returns += 1;
            if is_open && call.crashes == 0 && call.failures == 0 {
                self.waiting[model].insert((due_ns, number));
            }
        }
    }

    /// To be called after the core heard of it: who died too often is answered.
    pub fn check_lives(&mut self, model: usize, queries: &[usize]) {
        for &number in queries {
            let query = &mut self.queries[number];
            let is_over = !query.is_open() || query.calls.len() > 1;
            let crashes = query.call(model).crashes;
            let guilty = crashes >= u32::from(CRASHES_MAX);
            assert!(!guilty || is_over, "query {number} may kill a third time");
            assert!(crashes <= u32::from(CRASHES_MAX), "query {number} killed again");
        }
    }

    pub fn check_all_answered(&self) {
        for (number, query) in self.queries.iter().enumerate() {
            assert!(!query.is_open(), "query {number} was not answered: {query:?}");
            let is_in_flight = query.calls.iter().any(|call| !call.held_by.is_empty());
            assert!(!is_in_flight, "query {number} is still in flight");
        }
    }

    pub fn given(&self, number: usize) -> &Given {
        &self.queries[number].answer.as_ref().expect("it was answered").1
    }

    pub fn answered_ns(&self, number: usize) -> u64 {
        self.queries[number].answer.as_ref().expect("it was answered").0
    }

    /// How many queries that arrived in this time were answered, and how many with a prediction.
    pub fn score(&self, from_ns: u64, until_ns: u64) -> Score {
        let counted = |query: &&Record| (from_ns..until_ns).contains(&query.arrived_ns);
        let queries = self.queries.iter().filter(counted);
        let mut score = Score::default();
        for query in queries {
            score.queries += 1;
            match &query.answer {
                Some((_, Given::Prediction)) => score.predictions += 1,
                Some((_, Given::Default(Reason::Overloaded, _))) => score.overloaded += 1,
                _ => {}
            }
        }
        score
    }

    /// Earliest deadline first, within the batch and towards what goes on waiting. A query that
    /// asks others too may have been given up here: nobody tells.
    fn check_order(&self, model: usize, queries: &[usize]) {
        let due: Vec<u64> = queries.iter().map(|number| self.queries[*number].due_ns).collect();
        assert!(due.is_sorted(), "a batch out of order: {due:?}");
        let surely = |(_, number): &&(u64, usize)| self.queries[*number].calls.len() == 1;
        let waits = self.waiting[model].iter().find(surely);
        if let (Some(last), Some(waits)) = (due.last(), waits) {
            assert!(waits.0 >= *last, "query {} was overtaken by a later one", waits.1);
        }
    }

    fn waits_no_more(&mut self, number: usize) {
        let query = &self.queries[number];
        for call in &query.calls {
            self.waiting[call.model].remove(&(query.due_ns, number));
        }
    }
}

/// Queries counted by what became of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Score {
    pub queries: usize,
    pub predictions: usize,
    pub overloaded: usize,
}

impl Score {
    pub fn share_in_time(self) -> f64 {
        self.predictions as f64 / self.queries as f64
    }
}

impl Sink for Oracle {
    fn answer(&mut self, answer: &Answer<'_>) {
        let number = usize::try_from(answer.reply_to).expect("a number that was given out");
        let query = &mut self.queries[number];
        assert_eq!(query.answer, None, "query {number} was answered twice");
        assert!(!query.abandoned, "query {number} was answered though its client has gone");
        assert_eq!(answer.application, query.id);
        assert_eq!(answer.answered_ns, self.now_ns);
        let times_ns = (answer.arrived_ns, answer.deadline_ns, answer.due_ns);
        let is_refused = query.row.is_none();
        let due_ns = if is_refused { query.deadline_ns } else { query.due_ns };
        assert_eq!(times_ns, (query.arrived_ns, query.deadline_ns, due_ns));
        assert!(self.now_ns <= due_ns, "query {number} was decided too late");
        self.replied.push(HandedOver {
            application: answer.application,
            queries: 1,
            arrived_ns: answer.arrived_ns,
            deadline_ns: answer.deadline_ns,
            due_ns: answer.due_ns,
            answered_ns: answer.answered_ns,
        });
        let first_brought = query.calls.iter().find(|call| call.brought).map(|call| call.model);
        let given = match answer.outcome {
            Outcome::Prediction { output, .. } => {
                let (found, model) = read_output(output.bytes());
                assert_eq!(found, number, "the output of another query");
                assert_eq!(output.bytes(), output_of(number, model));
                assert_eq!(Some(model), first_brought, "not the first output that is there");
                Given::Prediction
            }
            Outcome::Default { reason, detail } => {
                assert_eq!(first_brought, None, "query {number} has an output that is not told");
                let is_own =
                    query.calls.iter().any(|call| call.own_failure.as_deref() == Some(detail));
                let words_of_another = [&b"the batch failed"[..], BROKEN_MESSAGE]
                    .iter()
                    .any(|words| detail.starts_with(words) && !is_own);
                assert!(!words_of_another, "query {number} was told of another");
                Given::Default(reason, detail.to_vec())
            }
        };
        query.answer = Some((self.now_ns, given));
        self.waits_no_more(number);
    }
}
