//! What a model is expected to earn, for the doubly robust estimate.
//!
//! The mean of what the model earned in the same context; else its mean; else the mean of all; else
//! one half. At each decision only those before it are known: an expectation that had seen the
//! decision's own reward, or any that followed from it through a policy that learns, would make the
//! estimate biased.

use std::collections::BTreeMap;

use cutter_core::limits::LINKS_MAX;

const UNKNOWN: f64 = 0.5;

/// What was earned so far.
#[derive(Debug, Default)]
pub struct Rewards<'a> {
    of_all: Mean,
    of_models: [Mean; LINKS_MAX],
    of_contexts: BTreeMap<(&'a [u8], usize), Mean>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    fn add(&mut self, reward: f64) {
        self.sum += reward;
        self.count += 1.0;
    }

    fn get(self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }
}

impl<'a> Rewards<'a> {
    pub fn expected(&self, context: &'a [u8], model: usize) -> f64 {
        let of_context = self.of_contexts.get(&(context, model)).and_then(|mean| mean.get());
        let known = of_context.or_else(|| self.of_models[model].get()).or(self.of_all.get());
        known.unwrap_or(UNKNOWN)
    }

    pub fn add(&mut self, context: &'a [u8], model: usize, reward: f64) {
        self.of_all.add(reward);
        self.of_models[model].add(reward);
        self.of_contexts.entry((context, model)).or_default().add(reward);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mean_that_is_known_is_expected() {
        let mut rewards = Rewards::default();
        assert_eq!(rewards.expected(b"a", 0), UNKNOWN);
        rewards.add(b"a", 0, 1.0);
        rewards.add(b"a", 0, 0.0);
        rewards.add(b"b", 0, 1.0);
        rewards.add(b"b", 1, 0.0);
        assert_eq!(rewards.expected(b"a", 0), 0.5);
        assert_eq!(rewards.expected(b"c", 0), 2.0 / 3.0);
        assert_eq!(rewards.expected(b"c", 2), 0.5);
        assert_eq!(rewards.expected(b"a", 1), 0.0);
    }
}
