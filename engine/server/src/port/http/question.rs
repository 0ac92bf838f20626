//! What a request asks for, and the rows that it takes.
//!
//! The dialect reads a body; this room gives it rows of the application's pool, keeps what it wrote
//! until all of a request is there, and gives it back if the request turns out to be bad.

use cutter_core::cache::EntryId;
use cutter_core::ids::ApplicationId;
use cutter_core::{Core, Known};
use cutter_tensor::TensorSpec;
use cutter_wire::clipper::{Directory, Problem, Routed, Verb, check_request};
use cutter_wire::http::Head;
use cutter_wire::json::{
    self, Body, PredictReader, Progress, Rows, Update, UpdateProgress, UpdateReader,
};
use cutter_wire::limits::INPUT_BATCH_MAX;

use super::asking::{Brought, Told, check_told};
use super::endpoint::{Endpoint, Endpoints, Route};
use super::memo::Recalled;
use crate::limits::{AT_ONCE_BYTES_MAX, PIECE_BYTES};

/// Where one input of a question went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// It stands in this row of the pool, reserved, with so many bytes.
    Row { row: u32, bytes: u32 },
    /// Nowhere: what is said of it is known.
    Known(Known),
    /// The pool was full. The input was read all the same, to see that it is well formed.
    Overloaded,
}

/// What was read of a request beside what it asks: in lists that are used again.
#[derive(Debug)]
pub struct Lists {
    /// Where its inputs went, in order.
    pub slots: Vec<Slot>,
    /// Its updates, in order.
    pub told: Vec<Told>,
    /// What it brings for a policy.
    pub brought: Brought,
}

/// Updates that were read whole: they are in the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Updates {
    pub application: ApplicationId,
    pub is_batch: bool,
}

/// What a request that was read whole asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Predictions(Question),
    Updates(Updates),
}

/// A prediction request. The slots were put into the list that [`ask`] was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    pub application: ApplicationId,
    pub is_batch: bool,
    /// How long the answer may take, if the client says so.
    pub timeout_ns: Option<u64>,
    /// Whether it brings something for a policy.
    pub has_policy: bool,
}

/// What reading a question takes besides its bytes.
#[derive(Debug)]
pub struct Resources<'a> {
    pub endpoints: &'a mut Endpoints,
    pub core: &'a mut Core,
    /// A place for inputs for which there is no row.
    pub spare: &'a mut Vec<u8>,
    /// When the request had arrived.
    pub arrived_ns: u64,
}

/// What became of a request.
#[derive(Debug)]
pub enum Asked {
    /// It was read whole; its inputs are in the lists given.
    Whole(Wanted),
    /// Its body is to be read in pieces.
    Large(Box<Reading>),
}

/// Reads a request, which goes where `route` says; if its body is no large one, in one go. The
/// inputs go straight into reserved rows, which `lists` has in order; after a problem none is
/// reserved.
pub fn ask(
    (head, route): (&Head<'_>, Route),
    body: &[u8],
    resources: &mut Resources<'_>,
    lists: &mut Lists,
) -> Result<Asked, Problem> {
    lists.slots.clear();
    let Routed { application, verb } = check_request(head, route.routed, resources.endpoints)?;
    let input = resources.endpoints[application].input;
    if verb == Verb::Update || body.len() > AT_ONCE_BYTES_MAX {
        let mut reading = Box::new(Reading::new(application, input, verb));
        if body.len() > AT_ONCE_BYTES_MAX {
            return Ok(Asked::Large(reading));
        }
        let read = reading.read_on(body, usize::MAX, resources, lists)?;
        return Ok(read.map_or(Asked::Large(reading), Asked::Whole));
    }
    let new = match recall(application, body, resources, lists) {
        Ok(question) => return Ok(Asked::Whole(Wanted::Predictions(question))),
        Err(new) => new,
    };
    let mut row = None;
    let mut rows = PoolRows::new(application, &input, resources, &mut lists.slots, &mut row);
    let read = json::read_predict(body, &input, INPUT_BATCH_MAX, &mut rows);
    rows.cancel_uncommitted();
    let (is_cleared, is_bare) = (rows.is_cleared, read.as_ref().is_ok_and(Body::is_bare));
    let asked = read.map_err(Problem::from).and_then(|body| {
        let question = question(&body, application, resources.endpoints, &mut lists.brought)?;
        if is_cleared {
            return Ok(Asked::Whole(Wanted::Predictions(question)));
        }
        let mut reading = Reading::new(application, input, verb);
        std::mem::swap(&mut reading.lists, lists);
        reading.read = Some(Wanted::Predictions(question));
        Ok(Asked::Large(Box::new(reading)))
    });
    if let Some(new) = new {
        let is_known = is_bare && asked.is_ok();
        remember(application, new, lists.slots.first().filter(|_| is_known), resources);
    }
    if asked.is_err() {
        cancel(application, &mut lists.slots, resources.core);
    }
    asked
}

/// A body that is known is not read again: its row is copied, if the prediction is not known too.
/// If the body is not, what to remember it under, if it is to be known.
#[inline]
fn recall(
    application: ApplicationId,
    body: &[u8],
    resources: &mut Resources<'_>,
    lists: &mut Lists,
) -> Result<Question, Option<EntryId>> {
    let Resources { endpoints, core, arrived_ns, .. } = resources;
    let has_policy = endpoints[application].policy.is_some();
    let memo = endpoints.memo(application).ok_or(None)?;
    let entry = match memo.recall(body) {
        Recalled::Row(entry) => entry,
        Recalled::Nothing(new) => return Err(new),
    };
    let before = *memo.known_mut(entry);
    let known = core.known(*arrived_ns, application, || memo.row(entry), before);
    *memo.known_mut(entry) = known;
    lists.brought = Brought::NOTHING;
    let slot = known.map_or_else(|| copied(application, memo.row(entry), core), Slot::Known);
    lists.slots.push(slot);
    Ok(Question { application, is_batch: false, timeout_ns: None, has_policy })
}

/// Copies an input that was read before into a row, if there is one.
fn copied(application: ApplicationId, input: &[u8], core: &mut Core) -> Slot {
    let Some(row) = core.reserve(application) else { return Slot::Overloaded };
    core.row_mut(application, row, input.len()).copy_from_slice(input);
    let is_cleared = core.commit(application, row, input.len(), &mut 0);
    assert!(is_cleared, "all inputs of the application have one length");
    Slot::Row { row, bytes: u32::try_from(input.len()).expect("bounded by ITEM_BYTES_MAX") }
}

/// A body was read: if it is to be known, into this slot.
fn remember(
    application: ApplicationId,
    new: EntryId,
    slot: Option<&Slot>,
    Resources { endpoints, core, .. }: &mut Resources<'_>,
) {
    let Some(memo) = endpoints.memo(application) else { return };
    match slot {
        Some(&Slot::Row { row, bytes }) => {
            memo.learn(new, core.row_mut(application, row, bytes as usize));
        }
        Some(Slot::Known(_) | Slot::Overloaded) | None => memo.forget(new),
    }
}

/// What a body asks of an application.
fn question(
    body: &Body<'_>,
    application: ApplicationId,
    endpoints: &Endpoints,
    brought: &mut Brought,
) -> Result<Question, Problem> {
    let endpoint = endpoint(application, endpoints)?;
    endpoint.check_version(body.version.as_deref())?;
    let has_policy = endpoint.policy.is_some();
    if has_policy {
        *brought = Brought::of(body, endpoint)?;
    }
    let timeout_ns = body.timeout_us.map(|timeout_us| u64::from(timeout_us) * 1_000);
    Ok(Question { application, is_batch: body.is_batch, timeout_ns, has_policy })
}

/// What clients see of an application. It may have gone while a body was read.
fn endpoint(application: ApplicationId, endpoints: &Endpoints) -> Result<&Endpoint, Problem> {
    let there = endpoints.get(application).filter(|endpoint| !endpoint.is_draining);
    there.ok_or_else(|| Problem::Gone { known: endpoints.names().join(", ") })
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
    reader: Reader,
    row: Option<u32>,
    lists: Lists,
    /// What it asks, once it is read.
    read: Option<Wanted>,
    /// Slots whose rows show nothing but their input.
    cleared: usize,
}

#[derive(Debug)]
enum Reader {
    Predict(PredictReader),
    Update(UpdateReader),
}

impl Reading {
    fn new(application: ApplicationId, input: TensorSpec, verb: Verb) -> Self {
        let reader = match verb {
            Verb::Predict => Reader::Predict(PredictReader::new(input, INPUT_BATCH_MAX)),
            Verb::Update => Reader::Update(UpdateReader::new(input, INPUT_BATCH_MAX)),
        };
        let lists = Lists::default();
        Self { application, input, reader, row: None, lists, read: None, cleared: 0 }
    }

    /// Reads on in the same body, about so many bytes of it. `None`: there is more to read. After
    /// a problem no row is reserved; else `lists` has what was read.
    pub fn read_on(
        &mut self,
        body: &[u8],
        budget_bytes: usize,
        resources: &mut Resources<'_>,
        lists: &mut Lists,
    ) -> Result<Option<Wanted>, Problem> {
        if let Some(wanted) = self.read {
            let is_cleared = self.clear_on(resources.core, budget_bytes);
            return Ok(is_cleared.then(|| self.finish(wanted, lists)));
        }
        match self.read_piece(body, budget_bytes, resources) {
            Ok(None) => Ok(None),
            Ok(Some((wanted, true))) => Ok(Some(self.finish(wanted, lists))),
            Ok(Some((wanted, false))) => {
                self.read = Some(wanted);
                Ok(None)
            }
            Err(problem) => {
                self.cancel(resources.core);
                lists.slots.clear();
                Err(problem)
            }
        }
    }

    /// The same, and whether the rows show nothing but their inputs.
    fn read_piece(
        &mut self,
        body: &[u8],
        budget_bytes: usize,
        resources: &mut Resources<'_>,
    ) -> Result<Option<(Wanted, bool)>, Problem> {
        let Self { application, input, reader, row, lists, .. } = self;
        let application = *application;
        let mut rows = PoolRows::new(application, input, resources, &mut lists.slots, row);
        let (read, is_cleared) = match reader {
            Reader::Predict(reader) => {
                let read = reader.read(body, budget_bytes, &mut rows);
                if matches!(read, Ok(Progress::Paused)) {
                    return Ok(None);
                }
                rows.cancel_uncommitted();
                (read.map(Read::Predict), rows.is_cleared)
            }
            Reader::Update(reader) => {
                let mut updates = PoolUpdates { rows, told: &mut lists.told };
                let read = reader.read(body, budget_bytes, &mut updates);
                if matches!(read, Ok(UpdateProgress::Paused)) {
                    return Ok(None);
                }
                updates.rows.cancel_uncommitted();
                (read.map(Read::Update), updates.rows.is_cleared)
            }
        };
        let wanted = match read? {
            Read::Predict(Progress::Done(body)) => {
                let brought = &mut lists.brought;
                Wanted::Predictions(question(&body, application, resources.endpoints, brought)?)
            }
            Read::Update(UpdateProgress::Done { is_batch, .. }) => {
                check_told(&lists.told, endpoint(application, resources.endpoints)?)?;
                Wanted::Updates(Updates { application, is_batch })
            }
            Read::Predict(Progress::Paused) | Read::Update(UpdateProgress::Paused) => {
                return Ok(None);
            }
        };
        Ok(Some((wanted, is_cleared)))
    }

    /// Clears a piece of what earlier inputs left. Says whether that was all.
    fn clear_on(&mut self, core: &mut Core, mut budget_bytes: usize) -> bool {
        while let Some(slot) = self.lists.slots.get(self.cleared) {
            if let Slot::Row { row, bytes } = *slot
                && !core.commit(self.application, row, bytes as usize, &mut budget_bytes)
            {
                return false;
            }
            self.cleared += 1;
        }
        true
    }

    fn finish(&mut self, wanted: Wanted, lists: &mut Lists) -> Wanted {
        std::mem::swap(lists, &mut self.lists);
        wanted
    }

    /// Gives back the rows: nobody waits for an answer any more.
    pub fn cancel(&mut self, core: &mut Core) {
        if let Some(row) = self.row.take() {
            core.cancel(self.application, row, self.input.bytes_max());
        }
        cancel(self.application, &mut self.lists.slots, core);
    }
}

/// What a piece of a body came to.
enum Read<'a> {
    Predict(Progress<'a>),
    Update(UpdateProgress),
}

impl Default for Lists {
    fn default() -> Self {
        Self { slots: Vec::new(), told: Vec::new(), brought: Brought::NOTHING }
    }
}

/// Gives the reader of updates rows, and keeps what is told.
struct PoolUpdates<'a, 'b> {
    rows: PoolRows<'a>,
    told: &'b mut Vec<Told>,
}

impl Rows for PoolUpdates<'_, '_> {
    fn next_row(&mut self) -> &mut [u8] {
        self.rows.next_row()
    }

    fn row(&mut self) -> &mut [u8] {
        self.rows.row()
    }

    fn commit(&mut self, bytes: usize) {
        self.rows.commit(bytes);
    }
}

impl json::Updates for PoolUpdates<'_, '_> {
    fn push(&mut self, update: Update<'_>) {
        self.told.push(Told::of(&update, self.rows.slots.len()));
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

impl Rows for PoolRows<'_> {
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
