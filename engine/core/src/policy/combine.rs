//! What several models say, made one answer: a weighted vote of classes, a weighted mean of real
//! values.
//!
//! Confidence is Clipper's (NSDI 2017, section 5.2.1): the share of all linked models that agree
//! with the answer. One that has said nothing does not agree, and so lowers it; nor does one for
//! which something was substituted.

use super::models::{Models, PerModel};

/// What came of one linked model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Output<T> {
    /// It said this.
    Came(T),
    /// It said nothing, and this stands for it: its running mean, what it said of this input
    /// before. It counts in the answer like what came.
    Substituted(T),
    /// Nothing; the others share its weight.
    Missing,
}

/// What all linked models said, in their order.
#[derive(Clone, Copy, Debug)]
pub enum Outputs<'a> {
    /// Labels. Two are the same class if their numbers are the same.
    Classes(&'a [Output<u64>]),
    /// Real values, which agree if they are at most `tolerance` apart. A value that is not finite
    /// counts as missing.
    Values { outputs: &'a [Output<f64>], tolerance: f64 },
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    Class(u64),
    Value(f64),
}

/// An answer, and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Combined {
    pub answer: Answer,
    /// The part that each model has in the answer. They add up to 1.
    pub weights: PerModel,
    /// The share of all linked models that agree with it.
    pub confidence: f64,
}

impl<T: Copy> Output<T> {
    /// What counts in the answer.
    fn said(self) -> Option<T> {
        match self {
            Self::Came(said) | Self::Substituted(said) => Some(said),
            Self::Missing => None,
        }
    }

    fn came(self) -> Option<T> {
        if let Self::Came(said) = self { Some(said) } else { None }
    }
}

impl Outputs<'_> {
    /// One for each linked model.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Classes(outputs) => outputs.len(),
            Self::Values { outputs, .. } => outputs.len(),
        }
    }

    /// The models of which there is something.
    pub(super) fn there(&self) -> Models {
        let is_there = |model: &usize| match self {
            Self::Classes(outputs) => outputs[*model].said().is_some(),
            Self::Values { outputs, .. } => finite(outputs[*model].said()).is_some(),
        };
        (0..self.len()).filter(is_there).collect()
    }

    /// Combines them by these weights, of which those of [`there`](Self::there) add up to 1.
    pub(super) fn combine(&self, weights: &PerModel) -> Combined {
        match self {
            Self::Classes(outputs) => vote(outputs, self.there(), weights),
            Self::Values { outputs, tolerance } => mean(outputs, *tolerance, self.there(), weights),
        }
    }
}

/// The class with the most weight; of several the one that is said first.
fn vote(outputs: &[Output<u64>], there: Models, weights: &PerModel) -> Combined {
    let with = |class: Option<u64>| -> Models {
        there.iter().filter(|model| outputs[*model].said() == class).collect()
    };
    let votes = |model: usize| -> f64 {
        with(outputs[model].said()).iter().map(|voter| weights[voter]).sum()
    };
    let winner = there.most(votes).expect("something is there");
    let class = outputs[winner].said();
    Combined {
        answer: Answer::Class(class.expect("it is there")),
        weights: with(class).shares(weights),
        confidence: share(outputs, |output| output.came() == class),
    }
}

fn mean(outputs: &[Output<f64>], tolerance: f64, there: Models, weights: &PerModel) -> Combined {
    let said = |model: usize| outputs[model].said().unwrap_or_default();
    let mean: f64 = there.iter().map(|model| weights[model] * said(model)).sum();
    let agrees = |value: f64| (value - mean).abs() <= tolerance;
    Combined {
        answer: Answer::Value(mean),
        weights: *weights,
        confidence: share(outputs, |output| finite(output.came()).is_some_and(agrees)),
    }
}

fn share<T: Copy>(outputs: &[Output<T>], agrees: impl Fn(Output<T>) -> bool) -> f64 {
    let agreeing = outputs.iter().filter(|output| agrees(**output)).count();
    agreeing as f64 / outputs.len() as f64
}

fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}
