//! Why a request is answered with something else than predictions.

use crate::http::Status;
use crate::json::JsonError;

/// Why a request is answered with something else than predictions. The request was framed well, so
/// its connection goes on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Problem {
    #[error("no application has the name {found:?}; there are: {known}")]
    UnknownApplication { found: String, known: String },
    #[error("the application was removed while its input was received; there are: {known}")]
    Gone { known: String },
    #[error(
        "there is nothing at {path:?}; predictions are at POST /{{application}}/predict, and what \
         became of them is told at POST /{{application}}/update"
    )]
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
    #[error(
        "application {application} has no policy, so that nothing is learned; give it one in the \
         configuration"
    )]
    NoPolicy { application: String },
    #[error("a reward of {found}; the application declares {least} to {most}")]
    Reward { found: f64, least: f64, most: f64 },
    #[error("a context of {found} numbers; the application's policy looks at {expected}")]
    ContextVector { expected: usize, found: usize },
    #[error("{found} in the context; scale its numbers to -1 to 1")]
    ContextNumber { found: f64 },
}

impl Problem {
    pub fn status(&self) -> Status {
        match self {
            Self::UnknownApplication { .. } | Self::Gone { .. } | Self::UnknownPath { .. } => {
                Status::NotFound
            }
            Self::Method => Status::MethodNotAllowed,
            Self::Options => Status::NoContent,
            Self::Encoded => Status::UnsupportedMediaType,
            Self::Escape { .. }
            | Self::Json(_)
            | Self::Version { .. }
            | Self::VersionOfNothing { .. }
            | Self::Reward { .. }
            | Self::ContextVector { .. }
            | Self::ContextNumber { .. } => Status::BadRequest,
            Self::NoPolicy { .. } => Status::Conflict,
        }
    }

    /// Clipper's word for the kind of error.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::UnknownApplication { .. } | Self::Gone { .. } | Self::UnknownPath { .. } => {
                "Not found"
            }
            Self::Escape { .. } => "Path error",
            Self::Method | Self::Options => "Method not allowed",
            Self::Encoded => "Unsupported content coding",
            Self::Json(_) => "Json error",
            Self::Version { .. } | Self::VersionOfNothing { .. } => "Query processing error",
            Self::NoPolicy { .. } => "No policy",
            Self::Reward { .. } => "Feedback error",
            Self::ContextVector { .. } | Self::ContextNumber { .. } => "Context error",
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
