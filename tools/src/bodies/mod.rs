//! What is asked: requests as bytes, and what their answers should be.
//!
//! ```text
//!  Input ─▶ bodies ─▶ ┌ head, body ┬ head, body ┬ … ┐  one slab for all connections,
//!  Target, options ─▶ └ 0 ─────────┴ 1 ─────────┴ … ┘  with the place and the label of each
//! ```
//!
//! Owner: whoever prepares a run, before it begins; sending only reads. Pure, but for reading files
//! of bodies: a seed gives the same bytes again.
//!
//! Invariants: a request is whole and framed by its Content-Length. What a user adds to its head
//! can neither break the head nor say where the body ends.

mod error;
mod files;
mod head;
mod input;
mod tensor;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt::{self, Display, Formatter};
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

pub use error::{BodiesError, InputError, UnknownProtocol};
pub use input::Input;
pub use tensor::Element;

use crate::digits::{DIGITS_FILE, Digits};
use crate::limits::{BODIES_BYTES_MAX, BODIES_MAX, BODY_BYTES_MAX};
use crate::random::Random;
use crate::reply::{Check, Label};
use crate::target::Target;
use head::Head;
use tensor::Tensor;

/// How often a tensor is drawn anew when it is one that there was.
const DRAWS_MAX: usize = 64;

/// What requests and answers look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Clipper,
    OipJson,
    OipBinary,
    Raw,
}

impl Protocol {
    pub const ALL: [Self; 4] = [Self::Clipper, Self::OipJson, Self::OipBinary, Self::Raw];

    /// What a path of a target suggests.
    pub fn of_path(path: &str) -> Self {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        match path.rsplit_once('/') {
            Some((_, "predict")) => Self::Clipper,
            Some((_, "infer")) => Self::OipJson,
            _ => Self::Raw,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Clipper => "clipper",
            Self::OipJson => "oip-json",
            Self::OipBinary => "oip-binary",
            Self::Raw => "raw",
        }
    }

    /// How its answers are checked.
    pub fn check(self) -> Check {
        match self {
            Self::Clipper => Check::Clipper,
            Self::OipJson => Check::OipJson,
            Self::OipBinary => Check::OipBinary,
            Self::Raw => Check::Status,
        }
    }
}

impl Display for Protocol {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(text: &str) -> Result<Self, UnknownProtocol> {
        let found = Self::ALL.into_iter().find(|protocol| protocol.name() == text);
        found.ok_or_else(|| UnknownProtocol { text: text.to_owned() })
    }
}

/// The details of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyOptions {
    /// Else GET without a body, POST with one.
    pub method: Option<String>,
    /// Fields to add to each head. `Host` and `Content-Type` replace what would stand there.
    pub headers: Vec<(String, String)>,
    /// What Open Inference calls the one input.
    pub input_name: String,
    /// Whether the shapes of Open Inference begin with a batch of one, as Triton's do unless its
    /// `max_batch_size` is 0.
    pub batch: bool,
    pub seed: u64,
    /// Ask the server to close the connection after each answer.
    pub close: bool,
}

impl Default for BodyOptions {
    fn default() -> Self {
        Self {
            method: None,
            headers: Vec::new(),
            input_name: "input".to_owned(),
            batch: true,
            seed: 0,
            close: false,
        }
    }
}

/// Requests, ready to be sent. Never empty.
#[derive(Clone, Debug)]
pub struct Questions {
    slab: Arc<[u8]>,
    ranges: Vec<Range<usize>>,
    /// One for each request, or none at all.
    labels: Vec<Label>,
    is_head: bool,
}

#[expect(clippy::len_without_is_empty, reason = "there is always one")]
impl Questions {
    /// Requests that were written elsewhere, each of them whole, to be sent as they are. Their
    /// method is not HEAD, and no right answers are known.
    ///
    /// # Panics
    /// When there is none.
    pub fn of(requests: &[Vec<u8>]) -> Self {
        assert!(!requests.is_empty(), "at least one request");
        let ends = requests.iter().scan(0, |end, request| {
            *end += request.len();
            Some(*end)
        });
        let ranges = ends.zip(requests).map(|(end, request)| end - request.len()..end).collect();
        Self { slab: requests.concat().into(), ranges, labels: Vec::new(), is_head: false }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Where the bytes of one are.
    pub fn range(&self, index: usize) -> Range<usize> {
        self.ranges[index].clone()
    }

    /// The bytes of all.
    pub fn slab(&self) -> &Arc<[u8]> {
        &self.slab
    }

    pub fn label(&self, index: usize) -> Option<&Label> {
        self.labels.get(index)
    }

    /// The same requests, whose right answers are these; one for each.
    #[must_use]
    pub fn with_labels(self, labels: Vec<Label>) -> Self {
        assert_eq!(labels.len(), self.ranges.len(), "a label for each request");
        Self { labels, ..self }
    }

    /// Bytes of a request, head and body, on average.
    pub fn request_bytes_mean(&self) -> u64 {
        (self.slab.len() / self.ranges.len()) as u64
    }

    /// Whether the method is HEAD, so that answers have no body.
    pub fn is_head(&self) -> bool {
        self.is_head
    }
}

/// Prepares all requests of a run.
///
/// # Errors
/// When a limit is passed, a file cannot be read or is not what the protocol asks for, or the
/// options would break a head.
pub fn build(
    target: &Target,
    protocol: Protocol,
    input: &Input,
    options: &BodyOptions,
) -> Result<Questions, BodiesError> {
    let has_body = *input != Input::None;
    if !has_body && protocol != Protocol::Raw {
        return Err(BodiesError::NoInput { protocol });
    }
    let head = Head::new(target, protocol, input, options)?;
    let mut asked = Asked { head, slab: Vec::new(), ranges: Vec::new(), labels: Vec::new() };
    match input {
        Input::None => asked.add(&[], None, &"the empty body")?,
        Input::Digits => asked.add_digits(protocol, options)?,
        Input::Tensors { element, shape, distinct } => {
            asked.add_tensors(protocol, options, *element, shape, *distinct)?;
        }
        Input::File(path) => asked.add_file(protocol, path)?,
        Input::Folder(path) => {
            for file in files::in_folder(path)? {
                asked.add_file(protocol, &file)?;
            }
        }
    }
    let Asked { head, slab, ranges, labels } = asked;
    Ok(Questions { slab: slab.into(), ranges, labels, is_head: head.is_head() })
}

/// What has been prepared so far.
struct Asked {
    head: Head,
    slab: Vec<u8>,
    ranges: Vec<Range<usize>>,
    labels: Vec<Label>,
}

impl Asked {
    fn add(
        &mut self,
        body: &[u8],
        json_bytes: Option<usize>,
        source: &dyn Display,
    ) -> Result<(), BodiesError> {
        if body.len() > BODY_BYTES_MAX {
            let bytes = body.len() as u64;
            return Err(BodiesError::BodyTooLong { of: source.to_string(), bytes });
        }
        if self.ranges.len() == BODIES_MAX {
            return Err(BodiesError::TooMany);
        }
        let from = self.slab.len();
        self.head.write(&mut self.slab, body.len(), json_bytes);
        self.slab.extend_from_slice(body);
        if self.slab.len() > BODIES_BYTES_MAX {
            return Err(BodiesError::TooManyBytes { bodies: self.ranges.len() + 1 });
        }
        self.ranges.push(from..self.slab.len());
        Ok(())
    }

    fn add_tensor(
        &mut self,
        protocol: Protocol,
        options: &BodyOptions,
        tensor: &Tensor,
    ) -> Result<(), BodiesError> {
        let mut body = Vec::new();
        let json_bytes = match protocol {
            Protocol::Clipper => {
                tensor.write_clipper(&mut body);
                None
            }
            Protocol::OipJson => {
                tensor.write_inference(&mut body, &options.input_name, options.batch);
                None
            }
            Protocol::OipBinary => {
                Some(tensor.write_binary(&mut body, &options.input_name, options.batch))
            }
            Protocol::Raw => {
                tensor.write_bytes(&mut body);
                None
            }
        };
        self.add(&body, json_bytes, &"a tensor")
    }

    fn add_digits(&mut self, protocol: Protocol, options: &BodyOptions) -> Result<(), BodiesError> {
        let digits = Digits::from_bytes(DIGITS_FILE).expect("the built-in images are sound");
        for digit in digits.held_out() {
            self.add_tensor(protocol, options, &Tensor::of_row(&digit.row()))?;
            self.labels.push(Label { class: digit.label() });
        }
        Ok(())
    }

    /// As many as were asked for, or as there are: few bytes do not make many tensors.
    fn add_tensors(
        &mut self,
        protocol: Protocol,
        options: &BodyOptions,
        element: Element,
        shape: &[u64],
        distinct: usize,
    ) -> Result<(), BodiesError> {
        if !(1..=BODIES_MAX).contains(&distinct) {
            return Err(BodiesError::Distinct { distinct });
        }
        input::check_shape(element, shape)?;
        let mut random = Random::new(options.seed);
        let mut seen = HashSet::new();
        for _ in 0..distinct {
            let mut draws = (0..DRAWS_MAX).map(|_| Tensor::random(element, shape, &mut random));
            let Some(tensor) = draws.find(|tensor| seen.insert(tensor.hash())) else { break };
            self.add_tensor(protocol, options, &tensor)?;
        }
        Ok(())
    }

    fn add_file(&mut self, protocol: Protocol, path: &std::path::Path) -> Result<(), BodiesError> {
        let body = files::read(path)?;
        if protocol != Protocol::Raw {
            files::check_json(path, protocol, &body)?;
        }
        self.add(&body, None, &path.display())
    }
}
