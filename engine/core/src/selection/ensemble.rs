//! What several models say, made one answer: a vote of classes, a mean of values, a mean of scores.
//!
//! The weights are the policy's, over the models that count: those that have said something, and
//! those for which something is substituted. A mean of scores is the class with the largest one of
//! it, told as scores: a weighted linear ensemble (Clipper, NSDI 2017, section 5.2).

use cutter_tensor::{ElementType, OutputBytes, TensorSpec};

use super::learner::LearnerPlan;
use crate::feedback::{Reading, Said, largest, numbers};
use crate::limits::LINKS_MAX;
use crate::policy::combine::{self, Output, Outputs};
use crate::policy::{Models, PerModel, State};

/// What is told of a query that was decided by a policy, beside its answer.
#[derive(Clone, Copy, Debug)]
pub struct Ensemble<'a> {
    /// The share of all linked models that agree with the answer, where several were asked.
    pub confidence: Option<f64>,
    /// What each model that was asked said; nothing unless the client wants to know.
    pub members: &'a [Member<'a>],
}

/// One model that was asked.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Its place among the linked models.
    pub arm: usize,
    /// What it said, and when; nothing if it did not in time.
    pub output: Option<(OutputBytes<'a>, &'a TensorSpec)>,
    pub came_ns: Option<u64>,
    /// Its part in the answer.
    pub weight: f64,
}

impl Member<'_> {
    pub(super) const SILENT: Self = Self { arm: 0, output: None, came_ns: None, weight: 0.0 };
}

/// What is known of what one model says of an input.
#[derive(Clone, Copy, Debug)]
pub(super) enum Heard<'a> {
    Nothing,
    /// It said this.
    Came(Spoken<'a>),
    /// It said this of the same input before.
    Before(Spoken<'a>),
    /// It said this on average.
    Mean(&'a [f64]),
}

/// An output, and what it says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spoken<'a> {
    pub output: OutputBytes<'a>,
    pub spec: &'a TensorSpec,
    pub said: Said,
    pub at_ns: u64,
}

/// What the models' outputs come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict<'a> {
    pub said: Said,
    pub output: OutputBytes<'a>,
    pub spec: &'a TensorSpec,
    pub weights: PerModel,
    pub confidence: f64,
}

/// Room for a mean and its bytes; it grows to the largest one.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    numbers: Vec<f64>,
    bytes: Vec<u8>,
}

/// Combines what was heard of each linked model, by what was learned of them; `None` when that is
/// nothing.
pub(super) fn combine<'a>(
    plan: &LearnerPlan,
    state: &State,
    heard: &[Heard<'a>],
    scratch: &'a mut Scratch,
) -> Option<Verdict<'a>> {
    match plan.reading {
        Reading::Class => vote(plan, state, heard),
        Reading::Value => value(plan, state, heard, scratch),
        Reading::Scores => scores(plan, state, heard, scratch),
    }
}

fn vote<'a>(plan: &LearnerPlan, state: &State, heard: &[Heard<'a>]) -> Option<Verdict<'a>> {
    let mut classes = [Output::Missing; LINKS_MAX];
    for (class, heard) in classes.iter_mut().zip(heard) {
        *class = match heard {
            Heard::Came(spoken) => class_of(spoken.said).map_or(Output::Missing, Output::Came),
            Heard::Before(spoken) => {
                class_of(spoken.said).map_or(Output::Missing, Output::Substituted)
            }
            Heard::Mean(_) | Heard::Nothing => Output::Missing,
        };
    }
    let outputs = Outputs::Classes(&classes[..heard.len()]);
    let combined = plan.policy.combine(state, outputs)?;
    let combine::Answer::Class(class) = combined.answer else { return None };
    let says = |heard: &Heard<'a>| match heard {
        Heard::Came(spoken) | Heard::Before(spoken) => {
            (class_of(spoken.said) == Some(class)).then_some(*spoken)
        }
        Heard::Mean(_) | Heard::Nothing => None,
    };
    let Spoken { output, spec, said, .. } = heard.iter().find_map(says)?;
    let combine::Combined { weights, confidence, .. } = combined;
    Some(Verdict { said, output, spec, weights, confidence })
}

fn value<'a>(
    plan: &LearnerPlan,
    state: &State,
    heard: &[Heard<'a>],
    scratch: &'a mut Scratch,
) -> Option<Verdict<'a>> {
    let mut values = [Output::Missing; LINKS_MAX];
    for (value, heard) in values.iter_mut().zip(heard) {
        *value = match heard {
            Heard::Came(Spoken { said: Said::Value(said), .. }) => Output::Came(*said),
            Heard::Before(Spoken { said: Said::Value(said), .. }) => Output::Substituted(*said),
            Heard::Mean([mean]) => Output::Substituted(*mean),
            _ => Output::Missing,
        };
    }
    let spec = heard.iter().find_map(spec_of)?;
    let tolerance = plan.tolerance;
    let outputs = Outputs::Values { outputs: &values[..heard.len()], tolerance };
    let combined = plan.policy.combine(state, outputs)?;
    let combine::Answer::Value(value) = combined.answer else { return None };
    scratch.numbers.clear();
    scratch.numbers.push(value);
    let output = scratch.encode(spec.element);
    let combine::Combined { weights, confidence, .. } = combined;
    Some(Verdict { said: Said::Value(value), output, spec, weights, confidence })
}

fn scores<'a>(
    plan: &LearnerPlan,
    state: &State,
    heard: &[Heard<'a>],
    scratch: &'a mut Scratch,
) -> Option<Verdict<'a>> {
    let spec = heard.iter().find_map(spec_of)?;
    let classes = spec.bytes_exact()? / spec.element.bytes();
    let counts = |heard: &Heard<'_>| match heard {
        Heard::Came(spoken) | Heard::Before(spoken) => spoken.spec == spec,
        Heard::Mean(mean) => mean.len() == classes,
        Heard::Nothing => false,
    };
    let there: Models = (0..heard.len()).filter(|arm| counts(&heard[*arm])).collect();
    let weights = plan.policy.weights(state, there);
    scratch.numbers.clear();
    scratch.numbers.resize(classes, 0.0);
    for arm in there.iter() {
        let mean = &mut scratch.numbers;
        match heard[arm] {
            Heard::Came(spoken) | Heard::Before(spoken) => {
                add(mean, weights[arm], numbers(spec.element, spoken.output.bytes())?);
            }
            Heard::Mean(scores) => add(mean, weights[arm], scores.iter().copied()),
            Heard::Nothing => {}
        }
    }
    let said = Said::Class(largest(scratch.numbers.iter().copied())?);
    let agrees = |heard: &&Heard<'_>| match heard {
        Heard::Came(spoken) => spoken.spec == spec && spoken.said == said,
        _ => false,
    };
    let confidence = heard.iter().filter(agrees).count() as f64 / heard.len() as f64;
    let output = scratch.encode(spec.element);
    Some(Verdict { said, output, spec, weights, confidence })
}

fn add(mean: &mut [f64], weight: f64, scores: impl Iterator<Item = f64>) {
    mean.iter_mut().zip(scores).for_each(|(mean, score)| *mean += weight * score);
}

fn spec_of<'a>(heard: &Heard<'a>) -> Option<&'a TensorSpec> {
    match heard {
        Heard::Came(spoken) | Heard::Before(spoken) => Some(spoken.spec),
        Heard::Mean(_) | Heard::Nothing => None,
    }
}

/// By what classes are told apart in a vote.
fn class_of(said: Said) -> Option<u64> {
    match said {
        Said::Class(class) => Some(class.cast_unsigned()),
        Said::Text(class) => Some(class),
        Said::Value(_) | Said::Nothing => None,
    }
}

impl Scratch {
    /// The numbers as elements of a tensor; for whole numbers the nearest.
    fn encode(&mut self, element: ElementType) -> OutputBytes<'_> {
        let Self { numbers, bytes } = self;
        bytes.clear();
        for number in numbers.iter() {
            #[expect(clippy::cast_possible_truncation, reason = "it is rounded, and saturates")]
            match element {
                ElementType::Int32 => {
                    bytes.extend_from_slice(&(number.round() as i32).to_le_bytes());
                }
                ElementType::Float32 => bytes.extend_from_slice(&(*number as f32).to_le_bytes()),
                ElementType::Float64 => bytes.extend_from_slice(&number.to_le_bytes()),
                ElementType::String | ElementType::Bytes => {}
            }
        }
        OutputBytes::borrowed(bytes)
    }
}
