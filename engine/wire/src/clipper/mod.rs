//! Clipper's prediction REST: what a request asks for, and how it is answered.
//!
//! Owner: the engine thread. Pure: a request's head in, the application out that it asks; an answer
//! in, JSON out. It knows neither connections nor time, and the queries that come of it do not know
//! it.
//!
//! `POST /{application}/predict` with `{"input": X}` or `{"input_batch": [X, …]}`, and optionally
//! `"version"`, as in Clipper 0.4. Where we differ from it, on purpose:
//! - An unknown application or path gets a 404 with a body; Clipper closes the connection.
//! - Integer literals are accepted for floats and doubles.
//! - Each item of a batch is answered; Clipper drops failed ones. A batch of one is answered both
//!   as a batch and, as Clipper does, unwrapped.
//! - An answer that is not a prediction says why in `reason`, for machines.
//! - `POST /{application}/update` takes, beside Clipper's input and label, the id of a query, a
//!   reward, the withdrawal of an answer, and several updates at once. It answers what became of
//!   each; Clipper answers that it came.
//! - Outputs have types: numbers and arrays of them are JSON as they are. A string is a string,
//!   unless the application declares that its outputs are JSON (`json_output`), as Clipper takes
//!   them to be.

mod problem;
mod reply;
mod route;
mod size;
mod updated;

pub use problem::Problem;
pub use reply::{
    DefaultAnswer, Spoke, begin_model, close_prediction, end_models, open_prediction,
    write_confidence, write_default, write_model, write_problem,
};
pub use route::{Directory, Routed, Verb, check_request, check_version, routed};
pub use size::{body_bytes_max_of, input_json_bytes_max, update_bytes_max_of};
pub use updated::{Learning, Updated, write_updated, write_updates};
