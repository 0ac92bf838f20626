//! What a request asks for, and the rows that it takes.
//!
//! The dialect reads a body; this room gives it rows of the application's pool, keeps what it wrote
//! until all of a request is there, and gives it back if the request turns out to be bad.

use cutter_core::scheduler::Scheduler;
use cutter_tensor::TensorSpec;
use cutter_wire::clipper::{
    Directory, Problem, application_at, body_bytes_max_of, check_version, route,
};
use cutter_wire::http::Head;
use cutter_wire::json::render::embed_text;
use cutter_wire::json::{self, PredictReader, Progress};
use cutter_wire::limits::{INPUT_BATCH_MAX, UNROUTED_BODY_BYTES_MAX};

use crate::limits::PIECE_BYTES;
use crate::pool::InputPool;

/// An application as its clients see it.
#[derive(Clone, Debug)]
pub struct Application {
    pub name: String,
    pub input: TensorSpec,
    /// The default output as JSON, rendered once.
    pub default_json: Vec<u8>,
    /// Name and version of the linked model.
    pub model: Option<(String, String)>,
    /// The largest body that a request may have.
    pub body_bytes_max: usize,
    /// The rows of its input pool: the queries that may wait.
    pub rows: u32,
    /// Whether a string output that is JSON is embedded as JSON, not as a string.
    pub json_output: bool,
}

impl Application {
    /// `default_output` is as it stands in the configuration: JSON if it is JSON, else a text.
    /// Without rows; outputs that are strings stay strings.
    pub fn new(
        name: String,
        input: TensorSpec,
        default_output: &str,
        model: Option<(String, String)>,
    ) -> Self {
        let mut default_json = Vec::new();
        embed_text(&mut default_json, default_output);
        let body_bytes_max = body_bytes_max_of(&input);
        Self { name, default_json, model, body_bytes_max, input, rows: 0, json_output: false }
    }

    fn check_version(&self, asked: Option<&str>) -> Result<(), Problem> {
        let model = self.model.as_ref();
        check_version(asked, model.map(|(name, version)| (name.as_str(), version.as_str())))
    }
}

/// Where one input of a question went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// It stands in this row of the pool, reserved, with so many bytes.
    Row { row: u32, bytes: u32 },
    /// The pool was full. The input was read all the same, to see that it is well formed.
    Overloaded,
}

/// A prediction request. The slots were put into the list that [`ask`] was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    pub application: usize,
    pub is_batch: bool,
}

/// The applications by their names.
#[derive(Debug)]
pub(super) struct Names<'a>(pub &'a [Application]);

impl Directory for Names<'_> {
    type Id = usize;

    #[inline]
    fn find(&self, name: &[u8]) -> Option<usize> {
        self.0.iter().position(|application| application.name.as_bytes() == name)
    }

    fn names(&self) -> Vec<&str> {
        self.0.iter().map(|known| known.name.as_str()).collect()
    }
}

/// The largest body that a request to a path may have.
pub fn body_bytes_max_at(path: &str, applications: &[Application]) -> usize {
    let application = application_at(path, &Names(applications));
    application.map_or(UNROUTED_BODY_BYTES_MAX, |index| applications[index].body_bytes_max)
}

/// What reading a question takes besides its bytes.
#[derive(Debug)]
pub struct Desk<'a> {
    pub applications: &'a [Application],
    pub pools: &'a mut [InputPool],
    pub scheduler: &'a mut Scheduler,
    /// A place for inputs for which there is no row.
    pub spare: &'a mut Vec<u8>,
}

/// What became of a request.
#[derive(Debug)]
pub enum Asked {
    /// It was read whole; its inputs are in the slots given.
    Whole(Question),
    /// Its body is to be read in pieces.
    Large(Box<Reading>),
}

/// Reads a request, if its body has at most `bytes_max` bytes in one go. The inputs go straight
/// into reserved rows, which `slots` lists in order; after a problem none is reserved.
pub fn ask(
    head: &Head<'_>,
    body: &[u8],
    bytes_max: usize,
    desk: &mut Desk<'_>,
    slots: &mut Vec<Slot>,
) -> Result<Asked, Problem> {
    slots.clear();
    let application = route(head, &Names(desk.applications))?;
    let input = desk.applications[application].input;
    if body.len() > bytes_max {
        return Ok(Asked::Large(Box::new(Reading::new(application, input))));
    }
    let mut row = None;
    let mut rows = PoolRows::new(application, desk, slots, &mut row);
    let read = json::read_predict(body, &input, INPUT_BATCH_MAX, &mut rows);
    rows.cancel_uncommitted();
    let is_cleared = rows.is_cleared;
    let asked = read.map_err(Problem::from).and_then(|body| {
        desk.applications[application].check_version(body.version.as_deref())?;
        let question = Question { application, is_batch: body.is_batch };
        if is_cleared {
            return Ok(Asked::Whole(question));
        }
        let slots = std::mem::take(slots);
        let reading = Reading::new(application, input);
        Ok(Asked::Large(Box::new(Reading { slots, read: Some(question), ..reading })))
    });
    if asked.is_err() {
        cancel(application, slots, desk.scheduler);
    }
    asked
}

/// Gives back the rows of a question that is not asked.
pub fn cancel(application: usize, slots: &mut Vec<Slot>, scheduler: &mut Scheduler) {
    for slot in slots.drain(..) {
        if let Slot::Row { row, .. } = slot {
            scheduler.cancel(application, row);
        }
    }
}

/// A large body that is read in pieces, or rows that are cleared in pieces behind their inputs.
#[derive(Debug)]
pub struct Reading {
    application: usize,
    reader: PredictReader,
    row: Option<u32>,
    slots: Vec<Slot>,
    /// What it asks, once it is read.
    read: Option<Question>,
    /// Slots whose rows show nothing but their input.
    cleared: usize,
}

impl Reading {
    fn new(application: usize, input: TensorSpec) -> Self {
        let reader = PredictReader::new(input, INPUT_BATCH_MAX);
        Self { application, reader, row: None, slots: Vec::new(), read: None, cleared: 0 }
    }

    /// Reads on in the same body, about so many bytes of it. `None`: there is more to read. After
    /// a problem no row is reserved; else `slots` lists where the inputs went.
    pub fn read_on(
        &mut self,
        body: &[u8],
        budget_bytes: usize,
        desk: &mut Desk<'_>,
        slots: &mut Vec<Slot>,
    ) -> Result<Option<Question>, Problem> {
        let application = self.application;
        if let Some(question) = self.read {
            let is_cleared = self.clear_on(desk.pools, budget_bytes);
            return Ok(is_cleared.then(|| self.finish(question, slots)));
        }
        let mut rows = PoolRows::new(application, desk, &mut self.slots, &mut self.row);
        let read = match self.reader.read(body, budget_bytes, &mut rows) {
            Ok(Progress::Paused) => return Ok(None),
            Ok(Progress::Done(body)) => Ok(body),
            Err(error) => Err(Problem::from(error)),
        };
        rows.cancel_uncommitted();
        let is_cleared = rows.is_cleared;
        let asked = read.and_then(|body| {
            desk.applications[application].check_version(body.version.as_deref())?;
            Ok(Question { application, is_batch: body.is_batch })
        });
        match asked {
            Ok(question) if is_cleared => Ok(Some(self.finish(question, slots))),
            Ok(question) => {
                self.read = Some(question);
                Ok(None)
            }
            Err(problem) => {
                self.cancel(desk.pools, desk.scheduler);
                slots.clear();
                Err(problem)
            }
        }
    }

    /// Clears a piece of what earlier inputs left. Says whether that was all.
    fn clear_on(&mut self, pools: &mut [InputPool], mut budget_bytes: usize) -> bool {
        let pool = &mut pools[self.application];
        while let Some(slot) = self.slots.get(self.cleared) {
            if let Slot::Row { row, bytes } = *slot
                && !pool.commit(row, bytes as usize, &mut budget_bytes)
            {
                return false;
            }
            self.cleared += 1;
        }
        true
    }

    fn finish(&mut self, question: Question, slots: &mut Vec<Slot>) -> Question {
        std::mem::swap(slots, &mut self.slots);
        question
    }

    /// Gives back the rows: nobody waits for an answer any more.
    pub fn cancel(&mut self, pools: &mut [InputPool], scheduler: &mut Scheduler) {
        if let Some(row) = self.row.take() {
            let pool = &mut pools[self.application];
            pool.discard(row, pool.stride());
            scheduler.cancel(self.application, row);
        }
        cancel(self.application, &mut self.slots, scheduler);
    }
}

/// Gives the JSON reader rows of a pool, and a spare place when the pool is full.
struct PoolRows<'a> {
    application: usize,
    row_bytes: usize,
    pool: &'a mut InputPool,
    scheduler: &'a mut Scheduler,
    slots: &'a mut Vec<Slot>,
    spare: &'a mut Vec<u8>,
    /// Given to the reader and not committed yet.
    row: &'a mut Option<u32>,
    /// Bytes that may still be cleared behind inputs, and whether they were enough.
    clear_budget_bytes: usize,
    is_cleared: bool,
}

impl<'a> PoolRows<'a> {
    fn new(
        application: usize,
        desk: &'a mut Desk<'_>,
        slots: &'a mut Vec<Slot>,
        row: &'a mut Option<u32>,
    ) -> Self {
        let Desk { applications, pools, scheduler, spare } = desk;
        let row_bytes = applications[application].input.bytes_max();
        let pool = &mut pools[application];
        Self {
            application,
            row_bytes,
            pool,
            scheduler,
            slots,
            spare,
            row,
            clear_budget_bytes: PIECE_BYTES,
            is_cleared: true,
        }
    }

    fn cancel_uncommitted(&mut self) {
        if let Some(row) = self.row.take() {
            self.pool.discard(row, self.row_bytes);
            self.scheduler.cancel(self.application, row);
        }
    }
}

impl json::Rows for PoolRows<'_> {
    #[inline]
    fn next_row(&mut self) -> &mut [u8] {
        self.cancel_uncommitted();
        *self.row = self.scheduler.reserve(self.application);
        self.row()
    }

    fn row(&mut self) -> &mut [u8] {
        match *self.row {
            Some(row) => self.pool.row_mut(row, self.row_bytes),
            None => {
                self.spare.resize(self.row_bytes, 0);
                self.spare
            }
        }
    }

    #[inline]
    fn commit(&mut self, bytes: usize) {
        let row = self.row.take();
        if let Some(row) = row {
            self.is_cleared &= self.pool.commit(row, bytes, &mut self.clear_budget_bytes);
        }
        let bytes = u32::try_from(bytes).expect("bounded by ITEM_BYTES_MAX");
        self.slots.push(row.map_or(Slot::Overloaded, |row| Slot::Row { row, bytes }));
    }
}
