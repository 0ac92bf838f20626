//! What a request asks for, and the rows that it takes.
//!
//! The dialect reads a body; this room gives it rows of the application's pool, keeps what it wrote
//! until all of a request is there, and gives it back if the request turns out to be bad.

use cutter_core::Core;
use cutter_core::ids::ApplicationId;
use cutter_tensor::TensorSpec;
use cutter_wire::clipper::{Directory, Problem, Routed, Verb, check_request};
use cutter_wire::http::Head;
use cutter_wire::json::{self, Body, PredictReader, Progress};
use cutter_wire::limits::INPUT_BATCH_MAX;

use super::endpoint::{Endpoints, Route};
use crate::limits::{AT_ONCE_BYTES_MAX, PIECE_BYTES};

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
    pub application: ApplicationId,
    pub is_batch: bool,
    /// How long the answer may take, if the client says so.
    pub timeout_ns: Option<u64>,
}

/// What reading a question takes besides its bytes.
#[derive(Debug)]
pub struct Resources<'a> {
    pub endpoints: &'a Endpoints,
    pub core: &'a mut Core,
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

/// Reads a request, which goes where `route` says; if its body is no large one, in one go. The
/// inputs go straight into reserved rows, which `slots` lists in order; after a problem none is
/// reserved.
pub fn ask(
    (head, route): (&Head<'_>, Route),
    body: &[u8],
    resources: &mut Resources<'_>,
    slots: &mut Vec<Slot>,
) -> Result<Asked, Problem> {
    slots.clear();
    let Routed { application, verb } = check_request(head, route.routed, resources.endpoints)?;
    if verb == Verb::Update {
        return Err(Problem::UnknownPath { path: head.path.to_owned() });
    }
    let input = resources.endpoints[application].input;
    if body.len() > AT_ONCE_BYTES_MAX {
        return Ok(Asked::Large(Box::new(Reading::new(application, input))));
    }
    let mut row = None;
    let mut rows = PoolRows::new(application, &input, resources, slots, &mut row);
    let read = json::read_predict(body, &input, INPUT_BATCH_MAX, &mut rows);
    rows.cancel_uncommitted();
    let is_cleared = rows.is_cleared;
    let asked = read.map_err(Problem::from).and_then(|body| {
        let question = question(&body, application, resources.endpoints)?;
        if is_cleared {
            return Ok(Asked::Whole(question));
        }
        let slots = std::mem::take(slots);
        let reading = Reading::new(application, input);
        Ok(Asked::Large(Box::new(Reading { slots, read: Some(question), ..reading })))
    });
    if asked.is_err() {
        cancel(application, slots, resources.core);
    }
    asked
}

/// What a body asks of an application. That may have gone while the body was read.
fn question(
    body: &Body<'_>,
    application: ApplicationId,
    endpoints: &Endpoints,
) -> Result<Question, Problem> {
    let Some(endpoint) = endpoints.get(application).filter(|endpoint| !endpoint.is_draining) else {
        let known = endpoints.names().join(", ");
        return Err(Problem::Gone { known });
    };
    endpoint.check_version(body.version.as_deref())?;
    let timeout_ns = body.timeout_us.map(|timeout_us| u64::from(timeout_us) * 1_000);
    Ok(Question { application, is_batch: body.is_batch, timeout_ns })
}

/// Gives back the rows of a question that is not asked.
pub fn cancel(application: ApplicationId, slots: &mut Vec<Slot>, core: &mut Core) {
    for slot in slots.drain(..) {
        if let Slot::Row { row, .. } = slot {
            core.cancel(application, row, 0);
        }
    }
}

/// A large body that is read in pieces, or rows that are cleared in pieces behind their inputs.
#[derive(Debug)]
pub struct Reading {
    application: ApplicationId,
    input: TensorSpec,
    reader: PredictReader,
    row: Option<u32>,
    slots: Vec<Slot>,
    /// What it asks, once it is read.
    read: Option<Question>,
    /// Slots whose rows show nothing but their input.
    cleared: usize,
}

impl Reading {
    fn new(application: ApplicationId, input: TensorSpec) -> Self {
        let reader = PredictReader::new(input, INPUT_BATCH_MAX);
        Self { application, input, reader, row: None, slots: Vec::new(), read: None, cleared: 0 }
    }

    /// Reads on in the same body, about so many bytes of it. `None`: there is more to read. After
    /// a problem no row is reserved; else `slots` lists where the inputs went.
    pub fn read_on(
        &mut self,
        body: &[u8],
        budget_bytes: usize,
        resources: &mut Resources<'_>,
        slots: &mut Vec<Slot>,
    ) -> Result<Option<Question>, Problem> {
        let application = self.application;
        if let Some(question) = self.read {
            let is_cleared = self.clear_on(resources.core, budget_bytes);
            return Ok(is_cleared.then(|| self.finish(question, slots)));
        }
        let mut rows =
            PoolRows::new(application, &self.input, resources, &mut self.slots, &mut self.row);
        let read = match self.reader.read(body, budget_bytes, &mut rows) {
            Ok(Progress::Paused) => return Ok(None),
            Ok(Progress::Done(body)) => Ok(body),
            Err(error) => Err(Problem::from(error)),
        };
        rows.cancel_uncommitted();
        let is_cleared = rows.is_cleared;
        let asked = read.and_then(|body| question(&body, application, resources.endpoints));
        match asked {
            Ok(question) if is_cleared => Ok(Some(self.finish(question, slots))),
            Ok(question) => {
                self.read = Some(question);
                Ok(None)
            }
            Err(problem) => {
                self.cancel(resources.core);
                slots.clear();
                Err(problem)
            }
        }
    }

    /// Clears a piece of what earlier inputs left. Says whether that was all.
    fn clear_on(&mut self, core: &mut Core, mut budget_bytes: usize) -> bool {
        while let Some(slot) = self.slots.get(self.cleared) {
            if let Slot::Row { row, bytes } = *slot
                && !core.commit(self.application, row, bytes as usize, &mut budget_bytes)
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
    pub fn cancel(&mut self, core: &mut Core) {
        if let Some(row) = self.row.take() {
            core.cancel(self.application, row, self.input.bytes_max());
        }
        cancel(self.application, &mut self.slots, core);
    }
}

/// Gives the JSON reader rows of a pool, and a spare place when the pool is full.
struct PoolRows<'a> {
    application: ApplicationId,
    row_bytes: usize,
    core: &'a mut Core,
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
        application: ApplicationId,
        input: &TensorSpec,
        resources: &'a mut Resources<'_>,
        slots: &'a mut Vec<Slot>,
        row: &'a mut Option<u32>,
    ) -> Self {
        let Resources { core, spare, .. } = resources;
        Self {
            application,
            row_bytes: input.bytes_max(),
            core,
            slots,
            spare,
            row,
            clear_budget_bytes: PIECE_BYTES,
            is_cleared: true,
        }
    }

    fn cancel_uncommitted(&mut self) {
        if let Some(row) = self.row.take() {
            self.core.cancel(self.application, row, self.row_bytes);
        }
    }
}

impl json::Rows for PoolRows<'_> {
    #[inline]
    fn next_row(&mut self) -> &mut [u8] {
        self.cancel_uncommitted();
        *self.row = self.core.reserve(self.application);
        self.row()
    }

    fn row(&mut self) -> &mut [u8] {
        match *self.row {
            Some(row) => self.core.row_mut(self.application, row, self.row_bytes),
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
            let budget_bytes = &mut self.clear_budget_bytes;
            self.is_cleared &= self.core.commit(self.application, row, bytes, budget_bytes);
        }
        let bytes = u32::try_from(bytes).expect("bounded by ITEM_BYTES_MAX");
        self.slots.push(row.map_or(Slot::Overloaded, |row| Slot::Row { row, bytes }));
    }
}
