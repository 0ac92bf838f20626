//! Which policy, and its parameters.

use std::collections::BTreeMap;

use cutter_core::limits::DISCOUNT_MAX;
use cutter_core::policy::PolicyPlan;

use super::check;
use crate::config::error::{OneOf, Problem};
use crate::config::keys::{self, PolicyName};
use crate::config::kinds::{Decimal, Key, Word};
use crate::config::policies::{MakePolicy, Policies, PolicyParameters};
use crate::config::report::{Report, shown};
use crate::config::settings::{Plan, Registered};
use crate::limits::{
    ALPHA_DEFAULT, DEVIATION_DEFAULT, DISCOUNT_DEFAULT, EPSILON_DEFAULT, EXP3_ETA_DEFAULT,
    EXP3_FLOOR_DEFAULT, EXP3_SHARE_DEFAULT, EXP4_ETA_DEFAULT, EXP4_SHARE_DEFAULT,
    LIN_UCB_FLOOR_DEFAULT,
};

/// Stands in for a policy that is wrong, until the report ends the start.
const STAND_IN: Plan = Plan::BuiltIn(PolicyPlan::Static);

/// What a policy is made of: its table, and for how many models it is.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Written<'a> {
    pub file: &'a keys::Policy,
    pub of: &'a str,
    pub at: usize,
    pub models: usize,
    /// Whether the list of them has no mistake: then there are no more.
    pub is_whole: bool,
}

/// The policy with its name.
pub(in crate::config) fn resolve(
    entry: &Written<'_>,
    policies: &Policies,
    report: &mut Report<'_>,
) -> (String, Plan) {
    let Key { name: key, kind: Word(words), value } = entry.file.name();
    let (words_of_default, _) = words[0];
    let name = value.map_or(words_of_default[0], |name| name.get_ref().as_str());
    let mut parameters = Parameters { entry, taken: Vec::new(), report };
    let known = words.iter().find(|(words, _)| words.contains(&name));
    let plan = match (policies.get(name), known) {
        (Some(make), _) => parameters.registered(make),
        (None, Some((_, known))) => Plan::BuiltIn(parameters.built_in(*known)),
        (None, None) => {
            let names = words.iter().map(|(words, _)| words[0]).chain(policies.names());
            let expected = OneOf::new(name, &names.collect::<Vec<_>>());
            let (of, found) = (entry.of.to_owned(), shown(name));
            let at = value.map_or(entry.at, |name| name.span().start);
            report.problem(at, Problem::UnknownWord { key, of, found, expected });
            return (name.to_owned(), STAND_IN);
        }
    };
    parameters.refuse_others(name);
    (name.to_owned(), plan)
}

/// The parameters of one policy, and which of them it takes.
struct Parameters<'a, 'r, 't> {
    entry: &'a Written<'a>,
    taken: Vec<&'static str>,
    report: &'r mut Report<'t>,
}

impl Parameters<'_, '_, '_> {
    fn built_in(&mut self, name: PolicyName) -> PolicyPlan {
        match name {
            PolicyName::Static => PolicyPlan::Static,
            PolicyName::Vote => PolicyPlan::Vote,
            PolicyName::Weighted => PolicyPlan::Weighted { weights: self.weights() },
            PolicyName::Exp3 => PolicyPlan::Exp3 {
                eta: self.eta(EXP3_ETA_DEFAULT),
                floor: self.floor(EXP3_FLOOR_DEFAULT),
                share: self.share(EXP3_SHARE_DEFAULT),
            },
            PolicyName::Exp3Ix => PolicyPlan::Exp3Ix {
                eta: self.eta(EXP3_ETA_DEFAULT),
                floor: self.floor(0.0),
                share: self.share(EXP3_SHARE_DEFAULT),
            },
            PolicyName::Exp4 => PolicyPlan::Exp4 {
                eta: self.eta(EXP4_ETA_DEFAULT),
                share: self.share(EXP4_SHARE_DEFAULT),
            },
            PolicyName::EpsilonGreedy => PolicyPlan::EpsilonGreedy {
                epsilon: self.take(self.entry.file.epsilon(), EPSILON_DEFAULT),
                discount: self.discount(1.0),
            },
            PolicyName::Ucb1 => PolicyPlan::Ucb1 { discount: self.discount(1.0) },
            PolicyName::Thompson => PolicyPlan::BetaThompson {
                discount: self.discount(DISCOUNT_MAX),
                floor: self.floor(0.0),
            },
            PolicyName::GaussianThompson => PolicyPlan::GaussianThompson {
                deviation: self.take(self.entry.file.deviation(), DEVIATION_DEFAULT),
                discount: self.discount(DISCOUNT_MAX),
                floor: self.floor(0.0),
            },
            PolicyName::LinUcb => PolicyPlan::LinUcb {
                numbers: self.context_numbers(),
                alpha: self.take(self.entry.file.alpha(), ALPHA_DEFAULT),
                floor: self.floor(LIN_UCB_FLOOR_DEFAULT),
            },
        }
    }

    /// Tried once: what it refuses is told now, and not when the application is made.
    fn registered(&mut self, make: MakePolicy) -> Plan {
        let key = self.entry.file.parameters();
        self.taken.push(key.name);
        let entries = check::by_name(&key, self.entry.of, self.report);
        let written = key.value.map_or(0, |table| table.get_ref().0.len());
        let is_whole = entries.len() == written && self.entry.is_whole;
        let numbers: BTreeMap<String, f64> =
            entries.into_iter().map(|(name, number)| (name.get_ref().clone(), number)).collect();
        let parameters = PolicyParameters::new(self.entry.models, numbers);
        let plan = Plan::Registered(Registered { make, parameters });
        if let (true, Err(reason)) = (is_whole, plan.build_for(self.entry.models)) {
            let of = self.entry.of.to_owned();
            let at = self.entry.file.name().value.map_or(self.entry.at, |name| name.span().start);
            self.report.problem(at, Problem::PolicyRefused { of, reason });
        }
        plan
    }

    fn eta(&mut self, default: f64) -> f64 {
        self.take(self.entry.file.eta(), default)
    }

    fn floor(&mut self, default: f64) -> f64 {
        self.take(self.entry.file.floor(), default)
    }

    fn share(&mut self, default: f64) -> f64 {
        self.take(self.entry.file.share(), default)
    }

    fn discount(&mut self, most: f64) -> f64 {
        let Key { name, kind: Decimal(least, _), value } = self.entry.file.discount();
        self.take(Key { name, kind: Decimal(least, most), value }, DISCOUNT_DEFAULT)
    }

    fn take(&mut self, key: Key<'_, Decimal>, default: f64) -> f64 {
        self.taken.push(key.name);
        check::decimal(&key, self.entry.of, self.report).unwrap_or(default)
    }

    fn context_numbers(&mut self) -> usize {
        let (&Written { of, at, .. }, key) = (self.entry, self.entry.file.context_numbers());
        self.taken.push(key.name);
        let expected = "how many numbers come with each query, as in `context_numbers = 4`";
        check::required(&key, of, at, expected, self.report);
        check::number(&key, of, self.report).unwrap_or(1) as usize
    }

    fn weights(&mut self) -> Vec<f64> {
        let (&Written { of, at, models, is_whole, .. }, key) =
            (self.entry, self.entry.file.weights());
        self.taken.push(key.name);
        let expected = "a number for each of `models`, as in `weights = [1, 0.5]`";
        check::required(&key, of, at, expected, self.report);
        let weights = check::decimals(&key, of, self.report).unwrap_or_default();
        let (found, expected) = (weights.len(), models);
        if let (false, true, Some(list)) = (found == expected, is_whole && found > 0, key.value) {
            let of = of.to_owned();
            let problem = Problem::WeightsOfOthers { of, found, expected };
            self.report.problem(list.span().start, problem);
        }
        weights
    }

    /// Whoever writes a parameter means something by it.
    fn refuse_others(self, policy: &str) {
        let expected = if self.taken.is_empty() {
            "no parameter".to_owned()
        } else {
            format!("`{}`", self.taken.join("`, `"))
        };
        for (key, at) in parameters(self.entry.file) {
            let at = at.filter(|_| !self.taken.contains(&key));
            let Some(at) = at else { continue };
            let (of, policy) = (self.entry.of.to_owned(), shown(policy));
            let expected = expected.clone();
            self.report.problem(at, Problem::NotTaken { key, of, policy, expected });
        }
    }
}

/// The parameters, of whatever policy; each with its place where it is written.
pub(in crate::config) fn parameters(
    file: &keys::Policy,
) -> impl Iterator<Item = (&'static str, Option<usize>)> {
    let decimals = [
        file.eta(),
        file.floor(),
        file.share(),
        file.epsilon(),
        file.discount(),
        file.deviation(),
        file.alpha(),
    ];
    let decimals = decimals.map(|key| (key.name, key.value.map(|value| value.span().start)));
    let (numbers, weights) = (file.context_numbers(), file.weights());
    let parameters = file.parameters();
    let others = [
        (numbers.name, numbers.value.map(|value| value.span().start)),
        (weights.name, weights.value.map(|value| value.span().start)),
        (parameters.name, parameters.value.map(|value| value.span().start)),
    ];
    decimals.into_iter().chain(others)
}
