//! What a request asks for.

use cutter_protocol::tensor::{ElementType, Extent, TensorSpec};

use crate::http::{Head, Method, Status};
use crate::json::{self, JsonError};
use crate::limits::{
    BODY_BYTES_MAX, BODY_BYTES_MIN, INPUT_BATCH_MAX, JSON_BYTES_PER_BASE64_GROUP,
    JSON_BYTES_PER_NUMBER, JSON_BYTES_PER_STRING_BYTE, UNROUTED_BODY_BYTES_MAX,
};
use crate::pool::InputPool;
use crate::scheduler::Scheduler;

/// An application as its clients see it.
#[derive(Clone, Debug)]
pub struct Application {
    pub name: String,
    pub input: TensorSpec,
    /// As it stands in the configuration.
    pub default_output: String,
    /// Name and version of the linked model.
    pub model: Option<(String, String)>,
}

impl Application {
    /// The largest body: as many inputs as a batch may have, written at length.
    pub fn body_bytes_max(&self) -> usize {
        let most = match (self.input.element, self.input.extent) {
            (ElementType::Bytes, _) => {
                self.input.bytes_max().div_ceil(3) * JSON_BYTES_PER_BASE64_GROUP
            }
            (ElementType::String, _) => self.input.bytes_max() * JSON_BYTES_PER_STRING_BYTE,
            (element, Extent::Exact(shape)) => {
                shape.elements().max(element.bytes()) * JSON_BYTES_PER_NUMBER
            }
            (element, Extent::AtMost { bytes }) => {
                bytes as usize / element.bytes() * JSON_BYTES_PER_NUMBER
            }
        };
        most.saturating_mul(INPUT_BATCH_MAX).clamp(BODY_BYTES_MIN, BODY_BYTES_MAX)
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

/// Why a request is answered with an error instead of predictions.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Problem {
    #[error("no application has the name {found:?}; there are: {known}")]
    UnknownApplication { found: String, known: String },
    #[error("there is nothing at {path:?}; predictions are at POST /{{application}}/predict")]
    UnknownPath { path: String },
    #[error("only POST is answered here")]
    Method,
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
            Self::Json(_) | Self::Version { .. } | Self::VersionOfNothing { .. } => {
                Status::BadRequest
            }
        }
    }

    /// Clipper's word for the kind of error.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::UnknownApplication { .. } | Self::UnknownPath { .. } => "Not found",
            Self::Method => "Method not allowed",
            Self::Json(_) => "Json error",
            Self::Version { .. } | Self::VersionOfNothing { .. } => "Query processing error",
        }
    }

    /// The methods that the target has.
    pub fn allow(&self) -> Option<&'static str> {
        matches!(self, Self::Method).then_some("POST")
    }
}

/// The application that a target names: `/{application}/predict`, with or without a final slash.
pub fn application_of(path: &str, applications: &[Application]) -> Option<usize> {
    let name = named_in(path)?;
    applications.iter().position(|application| application.name == name)
}

/// The largest body that a request may have.
pub fn body_bytes_max(path: &str, limits: &[usize], applications: &[Application]) -> usize {
    application_of(path, applications).map_or(UNROUTED_BODY_BYTES_MAX, |index| limits[index])
}

/// Reads a request. The inputs go straight into reserved rows, which `slots` lists in order; after
/// a problem none is reserved.
pub fn ask(
    head: &Head<'_>,
    body: &[u8],
    applications: &[Application],
    pools: &mut [InputPool],
    scheduler: &mut Scheduler,
    slots: &mut Vec<Slot>,
    spare: &mut Vec<u8>,
) -> Result<Question, Problem> {
    slots.clear();
    let application = route(head, applications)?;
    let (face, pool) = (&applications[application], &mut pools[application]);
    let row_bytes = face.input.bytes_max();
    let mut rows = PoolRows { application, row_bytes, pool, scheduler, slots, spare, row: None };
    let read = json::read_predict(body, &face.input, INPUT_BATCH_MAX, &mut rows);
    rows.cancel_uncommitted();
    let checked = read.map_err(Problem::from).and_then(|body| {
        check_version(face, body.version.as_deref())?;
        Ok(Question { application, is_batch: body.is_batch })
    });
    if checked.is_err() {
        for slot in slots.drain(..) {
            if let Slot::Row { row, .. } = slot {
                scheduler.cancel(application, row);
            }
        }
    }
    checked
}

fn route(head: &Head<'_>, applications: &[Application]) -> Result<usize, Problem> {
    let Some(name) = named_in(head.path) else {
        return Err(Problem::UnknownPath { path: head.path.to_owned() });
    };
    let Some(application) = application_of(head.path, applications) else {
        let known: Vec<&str> = applications.iter().map(|known| known.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(Problem::UnknownApplication { found: name.to_owned(), known });
    };
    if head.method != Method::Post {
        return Err(Problem::Method);
    }
    Ok(application)
}

fn named_in(path: &str) -> Option<&str> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    path.strip_suffix("/predict").filter(|name| !name.contains('/'))
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
    row: Option<u32>,
}

impl PoolRows<'_> {
    fn cancel_uncommitted(&mut self) {
        if let Some(row) = self.row.take() {
            self.scheduler.cancel(self.application, row);
        }
    }
}

impl json::Rows for PoolRows<'_> {
    fn next_row(&mut self) -> &mut [u8] {
        self.cancel_uncommitted();
        self.row = self.scheduler.reserve(self.application);
        match self.row {
            Some(row) => self.pool.row_mut(row, self.row_bytes),
            None => {
                self.spare.resize(self.row_bytes, 0);
                self.spare
            }
        }
    }

    fn commit(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).expect("bounded by ITEM_BYTES_MAX");
        self.slots.push(match self.row.take() {
            Some(row) => Slot::Row { row, bytes },
            None => Slot::Overloaded,
        });
    }
}
