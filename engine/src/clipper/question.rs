//! What a request asks for.

use std::borrow::Cow;

use cutter_protocol::tensor::TensorSpec;

use super::size;
use crate::http::{BadEscape, Head, Method, Status, decode_path_segment};
use crate::json::render::embed_text;
use crate::json::{self, JsonError, PredictReader, Progress};
use crate::limits::{INPUT_BATCH_MAX, PIECE_BYTES, UNROUTED_BODY_BYTES_MAX};
use crate::pool::InputPool;
use crate::scheduler::Scheduler;

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
        let body_bytes_max = size::body_bytes_max_of(&input);
        Self { name, default_json, model, body_bytes_max, input, rows: 0, json_output: false }
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

/// Why a request is answered with something else than predictions. The request was framed well, so
/// its connection goes on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Problem {
    #[error("no application has the name {found:?}; there are: {known}")]
    UnknownApplication { found: String, known: String },
    #[error("there is nothing at {path:?}; predictions are at POST /{{application}}/predict")]
    UnknownPath { path: String },
    #[error(
        "the path {path:?} has a % without two hexadecimal digits behind it; write %25 for the \
         character itself"
    )]
    Escape { path: String },
    #[error("only POST is answered here")]
    Method,
    /// No error: the client asked which methods there are.
    #[error("POST is answered here")]
    Options,
    #[error("the body has a Content-Encoding; send it as it is, since nothing is decoded here")]
    Encoded,
    #[error("{0}")]
    Json(#[from] JsonError),
    #[error(
        "version {asked:?} was asked for; the application's model {model:?} has version {current:?}"
    )]
    Version { asked: String, model: String, current: String },
    #[error("version {asked:?} was asked for, but no model is linked to the application")]
    VersionOfNothing { asked: String },
}

impl Problem {
    pub fn status(&self) -> Status {
        match self {
            Self::UnknownApplication { .. } | Self::UnknownPath { .. } => Status::NotFound,
            Self::Method => Status::MethodNotAllowed,
            Self::Options => Status::NoContent,
            Self::Encoded => Status::UnsupportedMediaType,
            Self::Escape { .. }
            | Self::Json(_)
            | Self::Version { .. }
            | Self::VersionOfNothing { .. } => Status::BadRequest,
        }
    }

    /// Clipper's word for the kind of error.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::UnknownApplication { .. } | Self::UnknownPath { .. } => "Not found",
            Self::Escape { .. } => "Path error",
            Self::Method | Self::Options => "Method not allowed",
            Self::Encoded => "Unsupported content coding",
            Self::Json(_) => "Json error",
            Self::Version { .. } | Self::VersionOfNothing { .. } => "Query processing error",
        }
    }

    /// The methods that the target has.
    pub fn allow(&self) -> Option<&'static str> {
        matches!(self, Self::Method | Self::Options).then_some("POST")
    }

    /// The content codings that a body may have.
    pub fn accept_encoding(&self) -> Option<&'static str> {
        matches!(self, Self::Encoded).then_some("identity")
    }
}

/// The application that a target names: `/{application}/predict`, with or without a final slash.
pub fn application_of(path: &str, applications: &[Application]) -> Option<usize> {
    let known = |name: &[u8]| {
        applications.iter().position(|application| application.name.as_bytes() == name)
    };
    // No name has a percent sign, so that what is escaped is not found before it is decoded.
    named_in(path)
        .and_then(|name| known(name.as_bytes()))
        .or_else(|| known(&decoded_name_in(path).ok()??))
}

/// The largest body that a request to a path may have.
pub fn body_bytes_max_at(path: &str, applications: &[Application]) -> usize {
    let application = application_of(path, applications);
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
    let application = route(head, desk.applications)?;
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
        check_version(&desk.applications[application], body.version.as_deref())?;
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
            check_version(&desk.applications[application], body.version.as_deref())?;
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

fn route(head: &Head<'_>, applications: &[Application]) -> Result<usize, Problem> {
    let Some(application) = application_of(head.path, applications) else {
        return Err(unknown(head.path, applications));
    };
    match head.method {
        Method::Post if head.is_encoded => Err(Problem::Encoded),
        Method::Post => Ok(application),
        Method::Options => Err(Problem::Options),
        Method::Get | Method::Head | Method::Other => Err(Problem::Method),
    }
}

/// What is wrong with a path that names no application.
#[cold]
fn unknown(path: &str, applications: &[Application]) -> Problem {
    // Only OPTIONS can ask for the server as a whole.
    if path == "*" {
        return Problem::Options;
    }
    match decoded_name_in(path) {
        Err(BadEscape) => Problem::Escape { path: path.to_owned() },
        Ok(None) => Problem::UnknownPath { path: path.to_owned() },
        Ok(Some(name)) => {
            let known: Vec<&str> = applications.iter().map(|known| known.name.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let found = String::from_utf8_lossy(&name).into_owned();
            Problem::UnknownApplication { found, known }
        }
    }
}

fn named_in(path: &str) -> Option<&str> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    path.strip_suffix("/predict").filter(|name| !name.contains('/'))
}

/// The same for any path, percent-decoded.
fn decoded_name_in(path: &str) -> Result<Option<Cow<'_, [u8]>>, BadEscape> {
    let segments = path.split('/').map(decode_path_segment);
    let mut segments = segments.collect::<Result<Vec<_>, BadEscape>>()?;
    if segments.len() == 4 && segments[3].is_empty() {
        segments.pop();
    }
    match &mut segments[..] {
        [start, name, predict] if start.is_empty() && predict[..] == b"predict"[..] => {
            Ok(Some(std::mem::take(name)))
        }
        _ => Ok(None),
    }
}

fn check_version(application: &Application, asked: Option<&str>) -> Result<(), Problem> {
    match (asked, &application.model) {
        (None, _) => Ok(()),
        (Some(asked), Some((_, current))) if asked == current => Ok(()),
        (Some(asked), Some((model, current))) => Err(Problem::Version {
            asked: asked.to_owned(),
            model: model.clone(),
            current: current.clone(),
        }),
        (Some(asked), None) => Err(Problem::VersionOfNothing { asked: asked.to_owned() }),
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

#[cfg(test)]
mod tests {
    use cutter_protocol::tensor::ElementType;

    use super::*;
    use crate::http::{RequestReader, Step};

    fn application(name: &str) -> Application {
        let input = TensorSpec::scalar(ElementType::Float32);
        Application::new(name.to_owned(), input, "", None)
    }

    /// What a request with this line, these fields and no body is routed to.
    fn routed(line: &str, fields: &str) -> Result<usize, Problem> {
        let stream = format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut reader = RequestReader::new();
        match reader.read(stream.as_bytes(), |_, _| 0) {
            Step::Request { head, .. } => route(&head, &[application("f4"), application("st")]),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn an_application_is_found_by_its_path_however_that_is_escaped() {
        for path in [
            "/st/predict",
            "/st/predict/",
            "/st/predict?f4",
            "/%73t/predict",
            "/%73%74/%70redict/",
            "/st/predic%74",
            "http://a/s%74/predict",
        ] {
            assert_eq!(routed(&format!("POST {path}"), ""), Ok(1), "{path}");
        }
        let mut applications = [application("f4"), application("st")];
        applications[1].body_bytes_max = 20;
        assert_eq!(body_bytes_max_at("/%73t/predict", &applications), 20);
        assert_eq!(body_bytes_max_at("/%73/predict", &applications), UNROUTED_BODY_BYTES_MAX);
    }

    #[test]
    fn what_an_escape_stands_for_is_no_separator_and_is_not_decoded_again() {
        let unknown = |path: &str| match routed(&format!("POST {path}"), "") {
            Err(Problem::UnknownApplication { found, .. }) => found,
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!(unknown("/st%2Fpredict/predict"), "st/predict");
        assert_eq!(unknown("/%2573t/predict"), "%73t");
        assert_eq!(unknown("/st%00/predict"), "st\0");
        assert_eq!(unknown("/%ff/predict"), "\u{fffd}");
        for path in ["/st%2Fpredict", "/st/predict%2F", "/a/%73t/predict", "/st/predict//", "/"] {
            let routed = routed(&format!("POST {path}"), "");
            assert_eq!(routed, Err(Problem::UnknownPath { path: path.to_owned() }));
        }
    }

    #[test]
    fn a_bad_escape_is_refused_wherever_it_stands() {
        for path in ["/%/predict", "/s%7/predict", "/%7gt/predict", "/a/b/c%", "/%%373t/predict"] {
            let refused = routed(&format!("POST {path}"), "").unwrap_err();
            assert_eq!(refused, Problem::Escape { path: path.to_owned() });
            assert_eq!(refused.status(), Status::BadRequest);
        }
    }

    #[test]
    fn methods_are_told_and_only_post_is_answered() {
        for target in ["*", "/st/predict", "/%73t/predict"] {
            let told = routed(&format!("OPTIONS {target}"), "").unwrap_err();
            assert_eq!((told.status(), told.allow()), (Status::NoContent, Some("POST")));
        }
        for method in ["GET", "HEAD", "PUT", "post"] {
            let refused = routed(&format!("{method} /st/predict"), "").unwrap_err();
            assert_eq!(
                (refused.status(), refused.allow()),
                (Status::MethodNotAllowed, Some("POST"))
            );
        }
        let nowhere = routed("OPTIONS /nobody/predict", "").unwrap_err();
        assert_eq!((nowhere.status(), nowhere.allow()), (Status::NotFound, None));
    }

    #[test]
    fn an_encoded_body_is_refused_with_what_is_possible() {
        let chunked = "Transfer-Encoding: chunked\r\n";
        let refused = |coding: &str| {
            let fields = format!("Content-Encoding: {coding}\r\n{chunked}\r\n0\r\n");
            routed("POST /st/predict", &fields)
        };
        let encoded = refused("gzip").unwrap_err();
        assert_eq!(encoded.status(), Status::UnsupportedMediaType);
        assert_eq!(encoded.accept_encoding(), Some("identity"));
        assert_eq!(refused("identity"), Ok(1));
        assert_eq!(Problem::Method.accept_encoding(), None);
    }
}
