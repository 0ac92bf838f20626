//! Whom to evaluate: the policies of the core, by their names and parameters.

use std::collections::BTreeMap;

use cutter_core::limits::LINKS_MAX;
use cutter_core::policy::{
    BetaThompson, EpsilonGreedy, Exp3, Exp4, GaussianThompson, Policy, PolicyError, Static, Ucb1,
    Vote,
};
use cutter_server::decision_log::LogHeader;

/// The names that [`Target::parse`] knows.
const NAMES: [&str; 9] = [
    "exp3",
    "exp3_ix",
    "exp4",
    "epsilon_greedy",
    "ucb1",
    "thompson",
    "thompson_gaussian",
    "majority",
    "static",
];

/// A policy to evaluate.
#[derive(Debug)]
pub struct Target {
    pub name: String,
    pub policy: Box<dyn Policy>,
}

/// Why a name and its parameters are no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFault {
    #[error("there is no policy `{0}`; there are: {known}", known = NAMES.join(", "))]
    Unknown(String),
    #[error("`{0}` is no parameter; write NAME=VALUE with a number, such as eta=0.1")]
    Parameter(String),
    #[error("the policy `{policy}` has no parameter `{parameter}`")]
    Foreign { policy: String, parameter: String },
    #[error("the log has {models} models; give `model` a whole number below that")]
    Model { models: usize },
    #[error("the policy `{policy}`: {error}")]
    Value { policy: String, error: PolicyError },
}

impl Target {
    /// One model; while it cannot be asked, the first that can.
    pub fn always(model: usize, header: &LogHeader) -> Self {
        let name = format!("always {}", header.models[model]);
        Self { name, policy: Box::new(Static { model }) }
    }

    pub fn parse(
        name: &str,
        parameters: &[String],
        models: &[String],
    ) -> Result<Self, PolicyFault> {
        let mut given = Given::parse(parameters)?;
        let policy = given.policy(name, models.len())?;
        if let Some((parameter, _)) = given.0.pop_first() {
            return Err(PolicyFault::Foreign { policy: name.to_owned(), parameter });
        }
        let name = [&[name.to_owned()], parameters].concat().join(" ");
        Ok(Self { name, policy })
    }
}

/// The parameters that were given, and nobody has asked for yet.
struct Given(BTreeMap<String, f64>);

impl Given {
    fn parse(parameters: &[String]) -> Result<Self, PolicyFault> {
        let pair = |text: &String| {
            let fault = || PolicyFault::Parameter(text.clone());
            let (name, value) = text.split_once('=').ok_or_else(fault)?;
            Ok((name.to_owned(), value.parse().map_err(|_| fault())?))
        };
        parameters.iter().map(pair).collect::<Result<_, _>>().map(Self)
    }

    fn take(&mut self, name: &str, default: f64) -> f64 {
        self.0.remove(name).unwrap_or(default)
    }

    fn policy(&mut self, name: &str, models: usize) -> Result<Box<dyn Policy>, PolicyFault> {
        let made: Result<Box<dyn Policy>, PolicyError> = match name {
            "exp3" => {
                let [eta, floor, share] = self.exponential();
                Exp3::new(eta, floor, share).map(boxed)
            }
            "exp3_ix" => {
                let [eta, floor, share] = self.exponential();
                Exp3::ix(eta, floor, share).map(boxed)
            }
            "exp4" => Exp4::new(self.take("eta", 0.1), self.take("share", 0.0)).map(boxed),
            "epsilon_greedy" => {
                EpsilonGreedy::new(self.take("epsilon", 0.1), self.take("discount", 1.0)).map(boxed)
            }
            "ucb1" => Ucb1::new(self.take("discount", 1.0)).map(boxed),
            "thompson" => {
                BetaThompson::new(self.take("discount", 0.999), self.take("floor", 0.0)).map(boxed)
            }
            "thompson_gaussian" => {
                let deviation = self.take("deviation", 0.5);
                let (discount, floor) = (self.take("discount", 0.999), self.take("floor", 0.0));
                GaussianThompson::new(deviation, discount, floor).map(boxed)
            }
            "majority" => Ok(boxed(Vote::majority())),
            "static" => {
                let given = self.take("model", 0.0);
                let model = (0..models.min(LINKS_MAX)).find(|model| *model as f64 == given);
                let model = model.ok_or(PolicyFault::Model { models })?;
                Ok(boxed(Static { model }))
            }
            _ => return Err(PolicyFault::Unknown(name.to_owned())),
        };
        made.map_err(|error| PolicyFault::Value { policy: name.to_owned(), error })
    }

    fn exponential(&mut self) -> [f64; 3] {
        [self.take("eta", 0.1), self.take("floor", 0.0), self.take("share", 0.0)]
    }
}

fn boxed(policy: impl Policy + 'static) -> Box<dyn Policy> {
    Box::new(policy)
}
