//! An application as the clients of this port see it.
//!
//! Made by the control thread with everything that is told of the application rendered once, moved
//! in and out by the changes that add, link and remove it. The core's application and this one have
//! the same id.

use std::sync::Arc;

use cutter_core::slab::Slab;
use cutter_core::stats::ApplicationStats;
use cutter_core::{Application, Change, Id};
use cutter_tensor::TensorSpec;
use cutter_wire::clipper::{Directory, Problem, application_at, body_bytes_max_of, check_version};
use cutter_wire::json::render::{TextRule, embed_text};
use cutter_wire::limits::UNROUTED_BODY_BYTES_MAX;

use super::Frontend;

/// What clients see of an application.
#[derive(Clone, Debug)]
pub struct Face {
    pub name: String,
    pub input: TensorSpec,
    pub slo_ns: u64,
    /// The default output as JSON, rendered once.
    pub default_json: Vec<u8>,
    /// Name and version of the model that is asked first.
    pub model: Option<(String, String)>,
    /// The largest body that a request may have.
    pub body_bytes_max: usize,
    /// The rows of its input pool: the queries that may wait.
    pub rows: u32,
    /// Whether a string output that is JSON is embedded as JSON, not as a string.
    pub json_output: bool,
    pub stats: Arc<ApplicationStats>,
    /// It takes no questions any more.
    pub is_draining: bool,
    /// Answers of which an item is still to come.
    pub owed: usize,
}

impl Face {
    /// `default_output` is as it stands in the configuration: JSON if it is JSON, else a text.
    /// Without rows; outputs that are strings stay strings.
    pub fn new(
        name: String,
        input: TensorSpec,
        slo_ns: u64,
        default_output: &str,
        model: Option<(String, String)>,
        stats: Arc<ApplicationStats>,
    ) -> Self {
        let mut default_json = Vec::new();
        embed_text(&mut default_json, default_output);
        let body_bytes_max = body_bytes_max_of(&input);
        Self {
            name,
            input,
            slo_ns,
            default_json,
            model,
            body_bytes_max,
            rows: 0,
            json_output: false,
            stats,
            is_draining: false,
            owed: 0,
        }
    }

    /// How its string outputs are told.
    pub(super) fn text_rule(&self) -> TextRule {
        if self.json_output { TextRule::Json } else { TextRule::String }
    }

    pub(super) fn check_version(&self, asked: Option<&str>) -> Result<(), Problem> {
        let model = self.model.as_ref();
        check_version(asked, model.map(|(name, version)| (name.as_str(), version.as_str())))
    }
}

/// The faces of the applications that are there.
pub type Faces = Slab<Box<Face>, Application>;

/// The applications that take questions, by their names.
#[derive(Debug)]
pub struct Names<'a>(pub &'a Faces);

impl Directory for Names<'_> {
    type Id = Id<Application>;

    #[inline]
    fn find(&self, name: &[u8]) -> Option<Id<Application>> {
        let mut open = self.0.iter().filter(|(_, face)| !face.is_draining);
        open.find(|(_, face)| face.name.as_bytes() == name).map(|(id, _)| id)
    }

    fn names(&self) -> Vec<&str> {
        let open = self.0.iter().filter(|(_, face)| !face.is_draining);
        open.map(|(_, face)| face.name.as_str()).collect()
    }
}

/// The largest body that a request to a path may have.
pub fn body_bytes_max_at(path: &str, faces: &Faces) -> usize {
    let application = application_at(path, &Names(faces));
    application.map_or(UNROUTED_BODY_BYTES_MAX, |application| faces[application].body_bytes_max)
}

impl Frontend {
    /// What clients see of a change. Gives back the face that is not shown any more. A face that is
    /// linked anew keeps what is owed.
    pub fn change(&mut self, change: &Change, face: Option<Box<Face>>) -> Option<Box<Face>> {
        let faces = &mut self.replies.faces;
        match (change, face) {
            (Change::AddApplication { id, .. }, Some(face)) => {
                faces.put(*id, face);
                None
            }
            (Change::Link { application, .. }, Some(mut face)) => {
                let shown = &mut faces[*application];
                (face.is_draining, face.owed) = (shown.is_draining, shown.owed);
                Some(std::mem::replace(shown, face))
            }
            (Change::DrainApplication(id), _) => {
                faces[*id].is_draining = true;
                None
            }
            (Change::RemoveApplication(id), _) => faces.remove(*id),
            (_, face) => face,
        }
    }

    /// Whether an application is there and takes queries.
    pub fn takes_queries(&self, application: Id<Application>) -> bool {
        self.replies.faces.get(application).is_some_and(|face| !face.is_draining)
    }

    /// Whether an answer of an application is still to be completed here.
    pub fn owes(&self, application: Id<Application>) -> bool {
        self.replies.faces.get(application).is_some_and(|face| face.owed > 0)
    }
}
