//! Figure 8 over many seeds: the same questions in the same order, and what each model was seen to
//! say of them, put to the policies of `cutter_core` without a server.

use std::io;

use cutter_bench_support::finding::{percent, rounded, share};
use cutter_core::policy::{Ask, Feedback, Models, Policy, Random, Seen};
use cutter_server::config::Plan;
use serde_json::{Value, json};

use super::stage::MODELS;

pub const SEEDS: u64 = 100;

/// A policy over all seeds, each from the least on.
#[derive(Debug)]
pub struct Across {
    name: &'static str,
    accuracies: Vec<f64>,
    /// `None`, last, where it did not recover in time.
    recoveries: Vec<Option<usize>>,
}

impl Across {
    /// `settings`: as they stand in a configuration. `recovery`: of answers that are right or not.
    pub fn run(
        name: &'static str,
        settings: &str,
        of_models: &[Vec<bool>; MODELS.len()],
        recovery: impl Fn(&[bool]) -> Option<usize>,
    ) -> io::Result<Self> {
        let own = |line: &&str| !line.starts_with("name") && !line.starts_with("seed");
        let parameters: Vec<String> = settings.lines().filter(own).map(str::to_owned).collect();
        let plan = Plan::parse(name, &parameters, MODELS.len()).map_err(io::Error::other)?;
        let policy = plan.build().map_err(io::Error::other)?;
        let runs = (0..SEEDS).map(|seed| answers(&*policy, seed, of_models));
        let (mut accuracies, mut recoveries): (Vec<_>, Vec<_>) =
            runs.map(|is_right| (share(is_right.iter().copied()), recovery(&is_right))).unzip();
        accuracies.sort_by(f64::total_cmp);
        recoveries.sort_by_key(|queries| queries.unwrap_or(usize::MAX));
        Ok(Self { name, accuracies, recoveries })
    }

    /// Half of the seeds recover within so many queries.
    pub fn median(&self) -> Option<usize> {
        self.recovery_at(0.5)
    }

    /// Of all seeds, those that recover within so many.
    pub fn within(&self, queries: usize) -> f64 {
        share(self.recoveries.iter().map(|of| of.is_some_and(|of| of <= queries)))
    }

    pub fn row(&self) -> Vec<String> {
        let told = |share| self.recovery_at(share).map_or("never".to_owned(), |of| of.to_string());
        let mean = self.accuracies.iter().sum::<f64>() / self.accuracies.len() as f64;
        let recoveries = format!("{}, 90 %: {}", told(0.5), told(0.9));
        let none = || String::new();
        let name = format!("{}, {SEEDS} seeds, replayed", self.name);
        vec![name, percent(mean), none(), none(), none(), recoveries]
    }

    pub fn json(&self) -> Value {
        json!({
            "seeds": SEEDS,
            "accuracy_least": rounded(self.accuracies[0]),
            "accuracy_median": rounded(self.accuracies[self.accuracies.len() / 2]),
            "recovery_median": self.median(),
            "recovery_p90": self.recovery_at(0.9),
        })
    }

    /// So large a share of the seeds recovers within this.
    fn recovery_at(&self, share: f64) -> Option<usize> {
        let rank = (share * self.recoveries.len() as f64).ceil().max(1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
        self.recoveries[rank as usize - 1]
    }
}

/// Whether each answer is right of a policy that learns from each.
fn answers(policy: &dyn Policy, seed: u64, of_models: &[Vec<bool>; MODELS.len()]) -> Vec<bool> {
    let mut state = policy.init(MODELS.len());
    let mut random = Random::new(seed);
    let mut answer = |query: usize| {
        let ask = Ask { servable: Models::first(MODELS.len()), context: None };
        let selection = policy.select(&state, ask, &mut random).expect("all can be asked");
        let model = selection.models.iter().next().expect("one is asked");
        let is_right = of_models[model][query];
        let propensity = selection.propensities[model];
        let seen = [Seen { model, loss: f64::from(u8::from(!is_right)), propensity }];
        let feedback = Feedback::new(&state, &seen, None).expect("a loss of 0 or 1");
        policy.observe(&mut state, &feedback).expect("no context is needed");
        is_right
    };
    (0..of_models[0].len()).map(&mut answer).collect()
}
