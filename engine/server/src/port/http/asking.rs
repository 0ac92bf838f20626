//! What a request brings for the policy of its application, and what it tells it.

use cutter_core::contexts::ContextKey;
use cutter_core::feedback::{self, Truth, Vector};
use cutter_core::limits::CONTEXT_NUMBERS_MAX;
use cutter_core::selection::Asking;
use cutter_wire::clipper::Problem;
use cutter_wire::json::{Body, Context, Label, Lesson, Target, Update};

use super::endpoint::Endpoint;
use crate::port::policy::VectorError;

const _: () = {
    assert!(cutter_wire::limits::CONTEXT_NUMBERS_MAX == CONTEXT_NUMBERS_MAX);
    assert!(
        cutter_wire::limits::CONTEXT_KEY_BYTES_MAX == cutter_core::limits::CONTEXT_KEY_BYTES_MAX
    );
};

/// What a request brings for a policy.
#[derive(Clone, Copy, Debug)]
pub struct Brought {
    key: ContextKey,
    vector: Vector,
    explain: bool,
}

/// An update that was read.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub target: ToldOf,
    pub lesson: feedback::Lesson,
    pub key: ContextKey,
    pub vector: Vector,
}

/// What it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToldOf {
    Query(u64),
    /// The input in the slot with this number.
    Slot(usize),
}

impl Brought {
    pub const NOTHING: Self =
        Self { key: ContextKey::APPLICATION, vector: Vector::NONE, explain: false };

    /// What a body brings for the policy of an application; nothing for one without.
    pub fn of(body: &Body<'_>, endpoint: &Endpoint) -> Result<Self, Problem> {
        let Some(policy) = &endpoint.policy else { return Ok(Self::NOTHING) };
        let (key, vector) = context_of(&body.context);
        policy.check_vector(vector.numbers().unwrap_or_default()).map_err(problem)?;
        Ok(Self { key, vector, explain: body.explain })
    }

    pub fn asking(&self) -> Asking<'_> {
        let Self { key, vector, explain } = self;
        Asking { key: key.bytes(), vector: vector.numbers(), explain: *explain }
    }
}

impl Told {
    /// `slots`: how many inputs were read by now.
    pub fn of(update: &Update<'_>, slots: usize) -> Self {
        let (key, vector) = context_of(&update.context);
        let target = match update.target {
            Target::QueryId(id) => ToldOf::Query(id),
            Target::Input => ToldOf::Slot(slots - 1),
        };
        let lesson = match &update.lesson {
            Lesson::Label(Label::Number { value, written }) => {
                feedback::Lesson::Label(Truth::number(*value, written))
            }
            Lesson::Label(Label::Text(text)) => {
                feedback::Lesson::Label(Truth::text(text.as_bytes()))
            }
            Lesson::Reward(reward) => feedback::Lesson::Reward(*reward),
            Lesson::Withdrawn => feedback::Lesson::Withdrawn,
        };
        Self { target, lesson, key, vector }
    }
}

/// Whether an application can be told this.
pub fn check_told(told: &[Told], endpoint: &Endpoint) -> Result<(), Problem> {
    let Some(policy) = &endpoint.policy else {
        return Err(Problem::NoPolicy { application: endpoint.name.clone() });
    };
    // One without numbers is for a decision that has them, or teaches other policies.
    for numbers in told.iter().filter_map(|told| told.vector.numbers()) {
        policy.check_vector(numbers).map_err(problem)?;
    }
    let (least, most) = policy.rewards;
    let outside = told.iter().find_map(|told| match told.lesson {
        feedback::Lesson::Reward(reward) if !(least..=most).contains(&reward) => Some(reward),
        _ => None,
    });
    outside.map_or(Ok(()), |found| Err(Problem::Reward { found, least, most }))
}

fn context_of(context: &Context<'_>) -> (ContextKey, Vector) {
    match context {
        Context::None => (ContextKey::APPLICATION, Vector::NONE),
        Context::Key(key) => (key_of(key), Vector::NONE),
        Context::Vector(vector) => (ContextKey::APPLICATION, vector_of(vector.numbers())),
    }
}

/// Its length was checked when it was read.
fn key_of(key: &str) -> ContextKey {
    ContextKey::new(key.as_bytes()).unwrap_or(ContextKey::APPLICATION)
}

fn problem(error: VectorError) -> Problem {
    match error {
        VectorError::Length { expected, found } => Problem::ContextVector { expected, found },
        VectorError::Number { found } => Problem::ContextNumber { found },
    }
}

fn vector_of(written: impl Iterator<Item = f64>) -> Vector {
    let mut numbers = [0.0; CONTEXT_NUMBERS_MAX];
    let mut count = 0;
    for (place, number) in numbers.iter_mut().zip(written) {
        *place = number;
        count += 1;
    }
    Vector::new(&numbers[..count]).unwrap_or(Vector::NONE)
}
