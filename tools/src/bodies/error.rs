//! Why there is nothing to ask.

use std::path::PathBuf;

use super::Protocol;
use crate::limits::{BODIES_BYTES_MAX, BODIES_MAX, BODY_BYTES_MAX};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no protocol; write clipper, oip-json, oip-binary or raw")]
pub struct UnknownProtocol {
    pub text: String,
}

/// Why text names no input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    #[error(
        "{text:?} is no input: there is no such file; write digits, none, a path, or an element \
         type and a shape such as float32:784 or int32:4x4"
    )]
    Unknown { text: String },
    #[error("{text:?} is neither a file nor a folder, so no body can be read from it")]
    NoFile { text: String },
    #[error(
        "{text:?} has no shape; write dimensions from 1 with an x between them, such as 784 or 4x4"
    )]
    Shape { text: String },
    #[error(
        "{element}:{shape} is more than {BODY_BYTES_MAX} bytes, the most of one body; ask for a \
         smaller shape"
    )]
    TooLarge { element: &'static str, shape: String },
}

/// Why requests could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum BodiesError {
    #[error("the protocol {protocol} asks with a body and none is given; name an input")]
    NoInput { protocol: Protocol },
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("{distinct} different tensors cannot be made; ask for 1 to {BODIES_MAX}")]
    Distinct { distinct: usize },
    #[error("{method:?} is no method of HTTP; write one word such as POST")]
    Method { method: String },
    #[error("{name:?} is no name of a header field; write letters, digits and hyphens")]
    HeaderName { name: String },
    #[error("the header field {name} has a control byte in its value {value:?}; leave it out")]
    HeaderValue { name: String, value: String },
    #[error("the header field {name} is written by this tool itself; leave it out")]
    HeaderReserved { name: String },
    #[error("the header field {name} is given twice; give it once")]
    HeaderTwice { name: String },
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the folder {} has no files; put one body into each file", path.display())]
    NoFiles { path: PathBuf },
    #[error("{} is not the JSON that {protocol} asks with: {why}", path.display())]
    NoJson { path: PathBuf, protocol: Protocol, why: String },
    #[error("{of} has {bytes} bytes; a body may have {BODY_BYTES_MAX}")]
    BodyTooLong { of: String, bytes: u64 },
    #[error("there are more than {BODIES_MAX} bodies; give fewer")]
    TooMany,
    #[error(
        "the first {bodies} requests have more than {BODIES_BYTES_MAX} bytes together, which is \
         the most; give fewer or smaller bodies"
    )]
    TooManyBytes { bodies: usize },
}
