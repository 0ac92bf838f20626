//! The second and the third act: policies that learn from labels while the best model fails, and
//! answers that come in time while it is slow.
//!
//! ```text
//!  pupil ── a digit ──▶ exp3, exp4, thompson ── answer, and what the models said ──▶ course
//!        ── its label ─▶                                              faults ──▶ a signal
//! ```
//!
//! All applications are asked the same digits in turn, so that they meet the same failure. What a
//! model would have got alone is what it said to `exp4`, which asks all.
//!
//! Owner: the main thread. The server is the one of the first act, and everything goes over HTTP.

mod connection;
mod course;
mod faults;
mod pupil;
mod stragglers;
mod text;

use std::io;
use std::net::SocketAddr;

use cutter_tools::admin::{AdminClient, AdminError};
use cutter_tools::digits::DigitsError;
use cutter_tools::load::Progress;
use cutter_tools::reply::ReplyError;
use cutter_tools::result::SelectionResult;
use cutter_tools::result::selection::StragglersResult;

use super::limits::{POINTS, WINDOW_POINTS};
use super::models::BEST;
use super::serving::POLICIES;

use connection::Connection;
use course::Course;
use faults::{Fault, toggle};
use pupil::{Question, ask_and_tell};

pub use text::Text;
#[cfg(test)]
pub use text::tests::found;

/// Why the acts failed.
#[derive(Debug, thiserror::Error)]
pub enum LearningError {
    #[error("the connection broke: {0}")]
    Connection(#[from] io::Error),
    #[error("the server closed the connection")]
    Closed,
    #[error(transparent)]
    Reply(#[from] ReplyError),
    #[error("a request was answered with HTTP status {status}: {said}")]
    Refused { status: u16, said: String },
    #[error("an answer was not understood ({source}): {said}")]
    Unreadable {
        #[source]
        source: serde_json::Error,
        said: String,
    },
    #[error("a label was told at once, and its update came out as {status:?}, not as learned")]
    NotLearned { status: String },
    #[error("{BEST} has no replica that is up; see the log above")]
    Gone,
    #[error("the server does not say how it is: {0}")]
    Admin(#[from] AdminError),
    #[error("the committed images are broken: {0}")]
    Digits(#[from] DigitsError),
}

/// Where the server is, and how far the acts are to go.
#[derive(Clone, Copy)]
pub struct Stage<'a> {
    pub query: SocketAddr,
    pub admin: AdminClient,
    /// Of each policy.
    pub queries: u64,
    pub progress: &'a Progress,
    /// Told what goes on.
    pub show: &'a dyn Fn(&str),
}

/// Both acts. `None`: they were interrupted.
pub fn run(stage: &Stage<'_>) -> Result<Option<SelectionResult>, LearningError> {
    let questions = pupil::questions()?;
    let mut connection = Connection::open(stage.query)?;
    let Some(courses) = learn(stage, &mut connection, &questions)? else { return Ok(None) };
    let stragglers = stragglers::run(stage, &mut connection, &questions)?;
    Ok(stragglers.map(|stragglers| result(stage.queries, &courses, stragglers)))
}

fn learn(
    stage: &Stage<'_>,
    connection: &mut Connection,
    questions: &[Question],
) -> Result<Option<[Course; POLICIES.len()]>, LearningError> {
    let mut courses: [Course; POLICIES.len()] = Default::default();
    let [from, until] = failure(stage.queries);
    for (query, question) in (0..stage.queries).zip(questions.iter().cycle()) {
        if stage.progress.is_interrupted() {
            return Ok(None);
        }
        if query == from || query == until {
            toggle(stage.admin, BEST, Fault::Sick)?;
        }
        for ((policy, _), course) in POLICIES.iter().zip(&mut courses) {
            let answer = ask_and_tell(connection, policy, question)?;
            course.add(&answer, question.label);
        }
        if query % stage.queries.div_ceil(POINTS as u64) == 0 {
            (stage.show)(&format!("learning: {query} of {} digits", stage.queries));
        }
    }
    Ok(Some(courses))
}

/// The first query of the failure, and the first one after it.
fn failure(queries: u64) -> [u64; 2] {
    [queries / 3, 2 * queries / 3]
}

fn result(
    queries: u64,
    courses: &[Course; POLICIES.len()],
    stragglers: StragglersResult,
) -> SelectionResult {
    let [failing_from, failing_until] = failure(queries);
    let of = |name: &str| POLICIES.iter().zip(courses).find(|((policy, _), _)| *policy == name);
    let (_, all_asked) = of("exp4").expect("it is one of them");
    SelectionResult {
        queries,
        failing: BEST.to_owned(),
        failing_from,
        failing_until,
        window: queries * WINDOW_POINTS as u64 / POINTS as u64,
        policies: POLICIES.iter().zip(courses).map(|((name, _), one)| one.policy(name)).collect(),
        arms: all_asked.arms(),
        stragglers,
    }
}
