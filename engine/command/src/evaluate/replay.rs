//! What a policy would have done with the queries of a log.
//!
//! The log is gone through as it happened: a policy chooses when a query arrives, from its state
//! then, and learns when it was told what was right. It learns as a server does
//! (`cutter_core::selection`):
//!
//! - From the losses that are known, of whoever was asked and said something, with the propensities
//!   that are logged: 1 of a baseline.
//! - What a context's decisions teach, its own state learns, and the application's too. The state
//!   of a context begins, at its first lesson, as the application's is before it.
//! - What it learned of silence, and of inputs about which it asked its models again, is in the log
//!   too, and is learned here.
//!
//! Nothing is drawn: the probabilities of a choice are all that is needed, and so a replay is the
//! same each time.
//!
//! A policy that asks all models can be told only from decisions that asked all of them. Then it is
//! seen directly: what it would have answered was said by some model, whose loss is known.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use cutter_core::feedback::Said;
use cutter_core::policy::combine::{Answer, Output, Outputs};
use cutter_core::policy::{Ask, Choice, Feedback, PerModel, Policy, PolicyError, Seen, State};

use super::estimate::Term;
use super::log::Usable;
use super::rewards::Rewards;
use crate::limits::{PROPENSITY_MIN, UNSUPPORTED_MAX};

/// What a policy would have done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replay {
    pub terms: Vec<Term>,
    /// With which probability it would have asked each model, of the decisions that have a term.
    pub chances: Vec<PerModel>,
    /// Whether each decision asked all that could be asked: what follows is then no estimate.
    pub is_direct: bool,
}

/// Why a log tells nothing of a policy.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "{percent:.1} % of what it would ask was asked with a probability below {PROPENSITY_MIN} \
         or never; log with a floor of exploration"
    )]
    Unsupported { percent: f64 },
    #[error(
        "it asks all models, and no decision of the log asked all of them; log with a policy that \
         does"
    )]
    NeedsAll,
    #[error(
        "it answers with a mean of values, whose loss is not in the log; evaluate policies that \
         choose"
    )]
    Values,
    #[error(
        "it looks at {expected} numbers of each query, and {found} are in the log; give it as many \
         (`context` of a query), or evaluate policies that need none"
    )]
    Numbers { expected: usize, found: usize },
    #[error("{0}")]
    Policy(PolicyError),
}

impl From<PolicyError> for Refusal {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::ContextLength { expected, given: found } => {
                Self::Numbers { expected, found }
            }
            other => Self::Policy(other),
        }
    }
}

/// Goes through a log with a policy.
pub fn replay(policy: &dyn Policy, models: usize, log: &[Usable]) -> Result<Replay, Refusal> {
    let mut states = States::new(policy, models);
    let mut rewards = Rewards::default();
    let mut untold = Untold::default();
    let mut replay = Replay { is_direct: !log.is_empty(), ..Replay::default() };
    for (place, decision) in log.iter().enumerate() {
        while let Some(told) = untold.pop(decision.arrived_ns) {
            let told = &log[told];
            match states.learn(told) {
                // A server does not either where an input came without numbers.
                Err(PolicyError::ContextLength { .. }) if told.is_evaluation => {}
                learned => learned?,
            }
            told.known().for_each(|(model, loss)| rewards.add(&told.context, model, 1.0 - loss));
        }
        let is_judged = decision.is_judged();
        let seen = if is_judged { look(&states, decision, &rewards)? } else { None };
        if let Some((term, chances)) = seen {
            replay.is_direct &= decision.asks_all();
            replay.terms.push(term);
            replay.chances.push(chances);
        }
        untold.push(decision, place);
    }
    if replay.terms.is_empty() {
        return Err(Refusal::NeedsAll);
    }
    let unsupported: f64 = replay.terms.iter().map(|term| term.unsupported).sum();
    let unsupported = unsupported / replay.terms.len() as f64;
    if unsupported > UNSUPPORTED_MAX {
        return Err(Refusal::Unsupported { percent: unsupported * 100.0 });
    }
    Ok(replay)
}

/// Decisions whose lessons are still to come, the earliest lesson first.
#[derive(Default)]
struct Untold(BinaryHeap<Reverse<(i128, usize)>>);

impl Untold {
    fn push(&mut self, decision: &Usable, place: usize) {
        self.0.push(Reverse((decision.told_ns, place)));
    }

    /// The place of one whose lesson has come by then.
    fn pop(&mut self, now_ns: i128) -> Option<usize> {
        let Reverse((told_ns, _)) = self.0.peek()?;
        let has_come = *told_ns <= now_ns;
        let Reverse((_, place)) = if has_come { self.0.pop()? } else { return None };
        Some(place)
    }
}

fn reward(decision: &Usable, model: usize) -> f64 {
    1.0 - decision.losses[model].expect("it is judged, and this was asked")
}

impl Usable {
    /// Whether it is known what every model that could be asked would have earned.
    fn asks_all(&self) -> bool {
        self.asked_of_servable() == self.servable
            && self.servable.iter().all(|model| self.propensities[model] == 1.0)
    }

    fn vector(&self) -> Option<&[f64]> {
        (!self.vector.is_empty()).then_some(&*self.vector)
    }
}

/// The states of a policy as they were learned so far.
struct States<'a> {
    policy: &'a dyn Policy,
    own: State,
    of_contexts: BTreeMap<&'a [u8], State>,
}

impl<'a> States<'a> {
    fn new(policy: &'a dyn Policy, models: usize) -> Self {
        Self { policy, own: policy.init(models), of_contexts: BTreeMap::new() }
    }

    fn of(&self, context: &[u8]) -> &State {
        self.of_contexts.get(context).unwrap_or(&self.own)
    }

    fn learn(&mut self, decision: &'a Usable) -> Result<(), PolicyError> {
        let propensities = &decision.propensities;
        let seen = |(model, loss)| Seen { model, loss, propensity: propensities[model] };
        let seen: Vec<Seen> = decision.known().map(seen).collect();
        if !decision.context.is_empty() {
            let own = &self.own;
            let state = self.of_contexts.entry(&decision.context).or_insert_with(|| own.clone());
            let feedback = Feedback::new(state, &seen, decision.vector())?;
            self.policy.observe(state, &feedback)?;
        }
        let feedback = Feedback::new(&self.own, &seen, decision.vector())?;
        self.policy.observe(&mut self.own, &feedback)
    }
}

/// What the policy would do with a query, and what that tells; `None` where it tells nothing.
fn look<'a>(
    states: &States<'_>,
    decision: &'a Usable,
    rewards: &Rewards<'a>,
) -> Result<Option<(Term, PerModel)>, Refusal> {
    let state = states.of(&decision.context);
    let ask = Ask { servable: decision.servable, context: decision.vector() };
    match states.policy.choose(state, &ask)? {
        Choice::One(chances) => Ok(Some((term(decision, &chances, rewards), chances))),
        Choice::All if decision.asks_all() => {
            let reward = combined_reward(states.policy, state, decision)?;
            let term = Term {
                weight: 1.0,
                weighted_reward: reward,
                doubly_robust: reward,
                weight_most: 1.0,
                unsupported: 0.0,
            };
            Ok(Some((term, states.policy.weights(state, decision.servable))))
        }
        Choice::All => Ok(None),
    }
}

fn term<'a>(decision: &'a Usable, chances: &PerModel, rewards: &Rewards<'a>) -> Term {
    let is_supported = |model: &usize| decision.propensities[*model] >= PROPENSITY_MIN;
    let mut term = Term::default();
    for model in decision.servable.iter() {
        if !is_supported(&model) {
            term.unsupported += chances[model];
            continue;
        }
        let expected = rewards.expected(&decision.context, model);
        let weight = chances[model] / decision.propensities[model];
        term.doubly_robust += chances[model] * expected;
        // Of those that are asked together, the weights add up.
        let is_sure = decision.propensities[model] == 1.0;
        let more = if is_sure { term.weight_most + weight } else { term.weight_most.max(weight) };
        term.weight_most = more;
        if decision.asked.contains(model) {
            let reward = reward(decision, model);
            term.weight += weight;
            term.weighted_reward += weight * reward;
            term.doubly_robust += weight * (reward - expected);
        }
    }
    term
}

/// What the answer would have earned that the policy makes of what all said.
fn combined_reward(policy: &dyn Policy, state: &State, decision: &Usable) -> Result<f64, Refusal> {
    let mut outputs = vec![Output::Missing; state.models()];
    // Classes with names and with numbers are of different outputs, and are not both in one log.
    for model in decision.servable.iter() {
        outputs[model] = match decision.said[model] {
            Said::Nothing => Output::Missing,
            Said::Class(class) => Output::Came(class.cast_unsigned()),
            Said::Text(class) => Output::Came(class),
            Said::Value(_) => return Err(Refusal::Values),
        };
    }
    let combined = policy.combine(state, Outputs::Classes(&outputs));
    let answer = combined.map(|combined| combined.answer);
    let agrees = |model: &usize| match outputs[*model] {
        Output::Came(class) => answer == Some(Answer::Class(class)),
        _ => false,
    };
    let first = decision.servable.iter().find(agrees);
    // Where all are known and none said anything, none earned anything.
    Ok(first.map_or(0.0, |model| reward(decision, model)))
}
