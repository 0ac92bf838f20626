//! Whom to evaluate: one model alone, or a policy as a configuration names it.

use cutter_core::policy::{Policy, Static};
use cutter_server::config::{Plan, Problem};
use cutter_server::decision_log::LogHeader;

/// A policy to evaluate.
#[derive(Debug)]
pub struct Target {
    pub name: String,
    pub policy: Box<dyn Policy>,
}

/// Why a name and its parameters are no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFault {
    #[error("--policy: {0}")]
    Wrong(#[from] Box<Problem>),
    #[error("--policy: {0} cannot be made: {1}")]
    Refused(String, String),
}

impl Target {
    /// One model; while it cannot be asked, the first that can.
    pub fn always(model: usize, header: &LogHeader) -> Self {
        let name = format!("always {}", header.models[model]);
        Self { name, policy: Box::new(Static { model }) }
    }

    /// A policy for the models of the log, by its name and parameters such as `eta=0.1`.
    pub fn parse(
        name: &str,
        parameters: &[String],
        header: &LogHeader,
    ) -> Result<Self, PolicyFault> {
        let plan = Plan::parse(name, parameters, header.models.len())?;
        let name = [&[name.to_owned()], parameters].concat().join(" ");
        match plan.build() {
            Ok(policy) => Ok(Self { name, policy }),
            Err(reason) => Err(PolicyFault::Refused(name, reason)),
        }
    }
}
