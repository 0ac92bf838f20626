//! How an application chooses among its models, combines what they say, and learns from feedback.
//!
//! A model is its position in [`Application::models`](super::Application::models) here.

use cutter_core::feedback::{Loss, Reading};
use cutter_core::limits::{CONTEXT_NUMBERS_MAX, LINKS_MAX};
use cutter_core::policy::{Models, Policy as CorePolicy, PolicyPlan};

use crate::config::policies::{MakePolicy, PolicyParameters};

/// An application's `policy`.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// As it is written.
    pub name: String,
    pub plan: Plan,
    pub ensemble: Ensemble,
    pub judging: Judging,
    pub learning: Learning,
    pub arms: Arms,
    /// The largest share of calls that are also sent to a second replica; `None`: none are.
    pub hedge_share: Option<f64>,
}

/// What the policy is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    BuiltIn(PolicyPlan),
    Registered(Registered),
}

impl Plan {
    /// Makes it. Of a plan of a [`Config`](super::Config) this was tried when the text was read.
    ///
    /// # Errors
    /// A parameter is out of bounds, or a program's own function refuses its parameters; in words.
    pub fn build(&self) -> Result<Box<dyn CorePolicy>, String> {
        match self {
            Self::BuiltIn(plan) => plan.build().map_err(|error| error.to_string()),
            Self::Registered(Registered { make, parameters }) => make(parameters),
        }
    }

    /// Makes it for so many models. What a program brings along is not taken at its word: it must
    /// begin with a state of its own for as many models, and with the same one each time.
    ///
    /// # Errors
    /// It cannot be made, not for so many, or does not begin so; in words.
    pub fn build_for(&self, models: usize) -> Result<Box<dyn CorePolicy>, String> {
        if !(1..=LINKS_MAX).contains(&models) {
            return Err(format!("it is for {models} models; give it 1 to {LINKS_MAX}"));
        }
        let policy = self.build()?;
        let first = policy.init(models);
        let begun = first.models();
        if begun != models {
            return Err(format!(
                "its `init` gives a state of {begun} models; give one of {models}"
            ));
        }
        if !first.words().iter().all(|word| word.is_finite()) || !policy.is_sound(&first) {
            return Err("its `init` gives a state that its `is_sound` refuses".to_owned());
        }
        if self.build()?.init(models) != first {
            return Err("its `init` gives another state each time".to_owned());
        }
        Ok(policy)
    }

    /// The numbers of a query that it looks at. Of a program's own policy it is not known: as many
    /// as there may be.
    pub fn numbers(&self) -> usize {
        match self {
            Self::BuiltIn(PolicyPlan::LinUcb { numbers, .. }) => *numbers,
            Self::BuiltIn(_) => 0,
            Self::Registered(_) => CONTEXT_NUMBERS_MAX,
        }
    }

    /// Its parameters, as `name=value` separated by spaces: as [`Plan::parse`] takes them.
    pub fn parameters(&self) -> String {
        let pairs: Vec<(&str, f64)> = match self {
            Self::BuiltIn(plan) => match plan {
                PolicyPlan::Static | PolicyPlan::Vote => vec![],
                PolicyPlan::Weighted { weights } => {
                    let weights: Vec<String> = weights.iter().map(f64::to_string).collect();
                    return format!("weights=[{}]", weights.join(","));
                }
                &(PolicyPlan::Exp3 { eta, floor, share }
                | PolicyPlan::Exp3Ix { eta, floor, share }) => {
                    vec![("eta", eta), ("floor", floor), ("share", share)]
                }
                &PolicyPlan::Exp4 { eta, share } => vec![("eta", eta), ("share", share)],
                &PolicyPlan::EpsilonGreedy { epsilon, discount } => {
                    vec![("epsilon", epsilon), ("discount", discount)]
                }
                &PolicyPlan::Ucb1 { discount } => vec![("discount", discount)],
                &PolicyPlan::BetaThompson { discount, floor } => {
                    vec![("discount", discount), ("floor", floor)]
                }
                &PolicyPlan::GaussianThompson { deviation, discount, floor } => {
                    vec![("deviation", deviation), ("discount", discount), ("floor", floor)]
                }
                &PolicyPlan::LinUcb { numbers, alpha, floor } => {
                    let numbers = numbers as f64;
                    vec![("context_numbers", numbers), ("alpha", alpha), ("floor", floor)]
                }
            },
            Self::Registered(registered) => registered.parameters.iter().collect(),
        };
        let written = pairs.iter().map(|(name, value)| format!("{name}={value}"));
        written.collect::<Vec<_>>().join(" ")
    }

    /// Whether it asks every servable model; of a program's own policy that is not known.
    pub fn asks_all(&self) -> Option<bool> {
        match self {
            Self::BuiltIn(plan) => Some(plan.asks_all()),
            Self::Registered(_) => None,
        }
    }
}

/// A policy that the program has brought along.
#[derive(Clone, Debug)]
pub struct Registered {
    pub make: MakePolicy,
    pub parameters: PolicyParameters,
}

/// Which function it is, the name of the policy says.
impl PartialEq for Registered {
    fn eq(&self, other: &Self) -> bool {
        self.parameters == other.parameters
    }
}

/// How outputs are read and combined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ensemble {
    pub reading: Reading,
    /// How far apart values may be that agree. 0 unless values are read.
    pub tolerance: f64,
    pub substitute: Substitute,
    /// Below this confidence the default output is answered; 0: never.
    pub unsure_below: f64,
}

/// What stands for the output of a model that is late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Substitute {
    /// Nothing: the others are combined without it.
    #[default]
    Nothing,
    /// The mean of what it has said so far.
    Mean,
    /// What it said the last time that it was asked this.
    Last,
}

impl Substitute {
    /// The words that the configuration knows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Mean => "mean",
            Self::Last => "last",
        }
    }
}

/// How wrong an answer was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judging {
    /// Of an answer beside a label.
    pub loss: Loss,
    /// The rewards that may be reported: `low`, a loss of 1, is below `high`, a loss of 0.
    pub rewards: Rewards,
    /// The reward of a decision of which none was reported in time; `None`: it teaches nothing.
    pub unrewarded: Option<f64>,
    /// Whether a default output is a loss of 1 of the models that were asked.
    pub default_teaches: bool,
}

/// A range of rewards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rewards {
    pub low: f64,
    pub high: f64,
}

/// From what, and for whom, the policy learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learning {
    pub mode: Mode,
    /// Feedback that comes later is too late.
    pub feedback_wait_ns: u64,
    /// The decisions that are kept for their feedback.
    pub feedback_window: u32,
    /// Of the draws; 0: the epoch of the server's run.
    pub seed: u64,
    /// The contexts whose states are in memory; 0: there is one state for all.
    pub contexts: u32,
}

/// What the policy is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It chooses, and learns from what it chose.
    Online,
    /// It learns beside a model that is asked whatever it would have chosen.
    Apprentice { baseline: usize },
    /// A model is asked, decisions and feedback are logged, and nothing is learned.
    LogOnly { baseline: usize },
}

impl Mode {
    /// The words that the configuration knows.
    pub(in crate::config) const ONLINE: &str = "online";
    pub(in crate::config) const APPRENTICE: &str = "apprentice";
    pub(in crate::config) const LOG_ONLY: &str = "log_only";

    pub const fn name(self) -> &'static str {
        match self {
            Self::Online => Self::ONLINE,
            Self::Apprentice { .. } => Self::APPRENTICE,
            Self::LogOnly { .. } => Self::LOG_ONLY,
        }
    }

    /// The model that is asked instead of what the policy chooses.
    pub const fn baseline(self) -> Option<usize> {
        match self {
            Self::Online => None,
            Self::Apprentice { baseline } | Self::LogOnly { baseline } => Some(baseline),
        }
    }
}

/// What the owner of the models has decided about them.
#[derive(Clone, Debug, PartialEq)]
pub struct Arms {
    /// The largest share of choices of each model, in their order; 1 of one that has no cap. Those
    /// of the models that are not off add up to at least 1.
    pub caps: Vec<f64>,
    /// The models that are not asked. There are others.
    pub off: Models,
}

impl Arms {
    /// What the caps of so many models must add up to: 1, but decimal fractions may come to a
    /// little less than their sum.
    pub(in crate::config) fn least_left(models: usize) -> f64 {
        1.0 - f64::EPSILON * models as f64
    }
}
